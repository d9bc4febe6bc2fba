"""One phase of training, from a laptop to many GPUs.

Every random choice of a step is a function of the seed and the step, so a run that resumes from a checkpoint does
what it would have done without the interruption.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NoReturn

import torch
import torch.distributed as dist
from torch import Tensor

from s2h.errors import TrainingError
from s2h.files import atomic_folder
from s2h.logs import Progress, announce
from s2h.models.adapters import save_adapters
from s2h.seeding import generator
from s2h.training.checkpoints import Checkpoints
from s2h.training.data import PhaseData
from s2h.training.deepspeed_engine import TrainingEngine
from s2h.training.interruptions import Interruption, on_interruption
from s2h.training.job import Job
from s2h.training.manifest import Outcome, manifest, training_key
from s2h.training.memory.fitting import memory_advice
from s2h.training.metrics import Meter, MetricsWriter, as_lines
from s2h.training.model import with_precision
from s2h.training.peak_flops import device_peak
from s2h.training.processes import join_processes
from s2h.training.schedule import rate
from s2h.training.snapshot_writer import SnapshotWriter
from s2h.training.trackers import TrackedRun, follow


class Trainer:
    """Trains one phase; ``run`` is all there is to call."""

    def __init__(self, job: Job) -> None:
        self.device = join_processes()
        self.job = job = with_precision(job, self.device)
        self.settings = job.settings
        self.rank, self.world_size = dist.get_rank(), dist.get_world_size()
        self.data = PhaseData(job)
        self.plan = self.data.plan
        torch.manual_seed(int(generator(job.seed, "adapters").integers(2**63)))  # their first weights
        self.engine = TrainingEngine(job, self.data, self.device)
        self.checkpoints = Checkpoints(job.checkpoints, self.engine.deepspeed)
        self.checkpoints.claim(training_key(job) if self.rank == 0 else "")
        self.checkpoints.check_disk(self.engine.parameters, snapshots=self.settings.snapshots)
        self.snapshots = SnapshotWriter(
            job.checkpoints / "snapshots",
            self.engine,
            self.data.processor,
            steps=self.plan.steps,
            number=self.settings.snapshots,
        )
        self.steps = self.checkpoints.resume()
        if job.optimizer_from and not self.steps:
            self.checkpoints.adopt(job.optimizer_from)
        self.interruption = Interruption()
        self._last_checkpoint = time.monotonic()

    def run(self) -> None:
        """Train to the end of the mixture and write the model folder, whole or not at all."""
        started, clock, first = datetime.now(UTC), time.monotonic(), len(self.steps)
        if first and self.rank == 0:
            announce(f"{self.job.title}: goes on after step {first} of {self.plan.steps}")
        writer = self._open_metrics() if self.rank == 0 else None
        progress = Progress(self.job.title, self.plan.steps, done=first)
        with _memory_advice(self.engine.config):
            if first < self.plan.steps:
                self._dry_run()
            stopped = self._train(self._batches(first), writer, progress)
        if writer:
            writer.close()
        if stopped:
            self._end_interrupted()
        self._save(Outcome(started, datetime.now(UTC), time.monotonic() - clock, first, self.steps))

    def _train(self, batches: Iterator[dict[str, Tensor]], writer: MetricsWriter | None, progress: Progress) -> bool:
        """Train to the last step, or to an interruption of any process; whether there was one."""
        meter, stopped = self._meter(), False
        with on_interruption(self.interruption.ask):
            while len(self.steps) < self.plan.steps and not stopped:
                meter.begin()
                stopped = self._after_step(*self._train_step(batches, meter), writer, progress)
        return stopped

    def _end_interrupted(self) -> NoReturn:
        """End the training before its last step; the first process says so."""
        done = len(self.steps)
        message = f"interrupted at step {done} of {self.plan.steps}, checkpoint at {done}; the same command goes on"
        raise TrainingError(message if self.rank == 0 else "")

    def _open_metrics(self) -> MetricsWriter:
        run = TrackedRun.of(self.job, training_key(self.job))
        return MetricsWriter(self.job.metrics, self.job.tensorboard, self.steps, follow(self.job.trackers, run))

    def _batches(self, first: int) -> Iterator[dict[str, Tensor]]:
        """This process's micro-batches from a step on."""
        workers, on_gpu = self.settings.num_workers, self.device.type == "cuda"
        return self.data.batches(first=first, num_workers=workers, pin_memory=on_gpu)

    def _meter(self) -> Meter:
        peak = device_peak(self.device, self.settings.precision)
        return Meter(device=self.device, world_size=self.world_size, peak=peak)

    def _dry_run(self) -> None:
        """Compute the largest micro-batches with weight zero: what does not fit, or fit together, fails now."""
        try:
            for batch in self.data.largest():
                self.engine.dry_backward(self.engine.loss(batch))
        except (ValueError, RuntimeError) as error:
            if isinstance(error, torch.OutOfMemoryError) or "image" not in str(error).lower():
                raise
            raise TrainingError(
                f"{self.job.base} does not take the images that its processor makes ({error}): use the processor "
                "that belongs to the model."
            ) from error

    def _train_step(self, batches: Iterator[dict[str, Tensor]], meter: Meter) -> tuple[dict[str, float], Tensor]:
        """One optimizer step over all its micro-batches.

        Returns:
            What was measured but the loss, and this process's part of the loss, which is the mean over the step's
            target tokens.
        """
        step = len(self.steps)
        torch.manual_seed(int(generator(self.job.seed, "step", step, self.rank).integers(2**63)))  # for dropout
        counts = self.data.counts(step)
        total = torch.zeros((), device=self.device)
        for place in range(1, self.plan.grad_accum_steps + 1):
            with meter.waiting():
                batch = next(batches)
            loss = self.engine.loss(batch) / counts.targets
            total += loss.detach()
            self.engine.learn(loss, last=place == self.plan.grad_accum_steps)
        norm = self.engine.gradient_norm()  # waits for the GPU, so that the time is known
        measured = {
            "step": step + 1,
            "loss": math.nan,  # known after the all-reduce
            "learning_rate": self.settings.learning_rate * rate(step, steps=self.plan.steps, settings=self.settings),
            "gradient_norm": norm,
            "tokens": counts.tokens,
            "target_tokens": counts.targets,
            **meter.end(tokens=counts.tokens, flops=counts.flops),
        }
        return measured, total

    def _after_step(
        self, step: dict[str, float], loss: Tensor, writer: MetricsWriter | None, progress: Progress
    ) -> bool:
        """Report a step, and write a checkpoint where one is due; whether the training stops here."""
        due, stopped = self._all_reduce(step, loss)
        self.steps.append(step)
        done, last = len(self.steps), len(self.steps) == self.plan.steps
        if writer:
            writer.write([step])
            progress(done, f"loss {step['loss']:.3f}")
        self.snapshots.save(done)
        if (due or stopped) and not last:
            self.checkpoints.save(self.steps)
            self._last_checkpoint = time.monotonic()
        return stopped and not last

    def _all_reduce(self, step: dict[str, float], loss: Tensor) -> tuple[bool, bool]:
        """Add up the processes' shares of the loss; all of them agree on what comes next.

        The first process's clock says whether a checkpoint is due; an interruption of any process is one of all.

        Returns:
            Whether a checkpoint is due, and whether the training was interrupted.
        """
        every, minutes = self.settings.save_steps, (time.monotonic() - self._last_checkpoint) / 60
        due = self.rank == 0 and (
            minutes >= self.settings.save_minutes or (every is not None and step["step"] % every == 0)
        )
        flags = [torch.tensor(float(flag), device=self.device) for flag in (due, self.interruption.asked)]
        summed = torch.stack([loss, *flags])
        dist.all_reduce(summed)
        step["loss"], waiting, interrupted = summed.tolist()
        if not math.isfinite(step["loss"]):
            raise TrainingError(
                f"the loss of step {step['step']} is {step['loss']}: lower training.learning_rate "
                f"(now {self.settings.learning_rate}) or look at the data of {self.job.mixture}."
            )
        return waiting > 0, interrupted > 0

    def _save(self, outcome: Outcome) -> None:
        """Write weights, processor, metrics and manifest; then the checkpoints are no longer needed."""
        if self.job.leave_optimizer:
            self.checkpoints.save(self.steps)
        model, state = self.engine.whole_model()
        if self.rank == 0:
            with atomic_folder(self.job.output) as folder:
                if self.settings.lora:
                    model = save_adapters(model, folder)
                model.save_pretrained(folder, state_dict=state)
                self.data.processor.save_pretrained(folder)
                self.snapshots.add_to(folder)
                (folder / "metrics.jsonl").write_text("".join(as_lines(self.steps)))
                contents = manifest(self.job, self.data, self.engine, outcome)
                (folder / "manifest.json").write_text(json.dumps(contents, indent=2) + "\n")
            if not self.job.leave_optimizer:
                self.checkpoints.remove()
        dist.barrier()
        dist.destroy_process_group()


@contextmanager
def _memory_advice(config: dict[str, Any]) -> Iterator[None]:
    """Turns a GPU that runs out of memory into an error that says what to change."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise TrainingError(f"the GPU ran out of memory: {memory_advice(config)}.") from error
