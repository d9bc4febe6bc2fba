"""One phase of training, from a laptop to many GPUs.

Every random choice of a step is a function of the seed and the step, so a run that goes on from a checkpoint does
what it would have done without the interruption.
"""

from __future__ import annotations

import json
import math
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import deepspeed
import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from s2h.devices import local_device
from s2h.errors import ModelError, TrainingError
from s2h.files import atomic_folder
from s2h.logs import LOGGER, Progress
from s2h.models.adapters import save_adapters
from s2h.models.loading import load_processor, needs_mask
from s2h.seeding import generator
from s2h.training.batches import Limits
from s2h.training.checkpoints import Checkpoints
from s2h.training.collate import Collator
from s2h.training.data import Mixture
from s2h.training.engine import build, read_config, whole_model, zero_stage
from s2h.training.fitting import Machine, memory_advice, recomputes
from s2h.training.flops import FlopModel
from s2h.training.inspection import inspect
from s2h.training.job import Job
from s2h.training.loader import BatchPlan, MicroBatches, prefetch
from s2h.training.manifest import Outcome, manifest, training_key
from s2h.training.metrics import Meter, MetricsWriter, as_lines
from s2h.training.peaks import device_peak
from s2h.training.schedule import rate
from s2h.training.snapshots import Snapshots
from s2h.training.trackers import TrackedRun, follow

_ALL_REDUCE_LOSSES_EVERY = 10  # steps
_PATIENCE = timedelta(hours=2)  # of processes with one that writes a model to a slow disk; NCCL's own is 10 minutes


class Trainer:
    """Trains one phase; ``run`` is all there is to call."""

    def __init__(self, job: Job) -> None:
        self.job, self.settings = job, job.settings
        self.device = _start_processes()
        self.rank, self.world_size = dist.get_rank(), dist.get_world_size()
        self._prepare_data()
        self._prepare_engine()
        self._own_losses: list[Tensor] = []
        self._last_checkpoint, self._checkpoint_is_due = time.monotonic(), False

    def _prepare_data(self) -> None:
        job, settings = self.job, self.settings
        self.processor = load_processor(job.base, **job.processor_options)
        mixture = Mixture.read(job.mixture)
        self.collator = Collator(
            self.processor,
            random_positions=settings.random_positions,
            seed=job.seed,
            examples=len(mixture),
            max_length=settings.max_length if settings.on_overlength == "truncate" else None,
            masks=needs_mask(job.base),
        )
        self.mixture, self.lengths, self.dropped = inspect(mixture, self.collator, settings)
        self.collator.examples = len(self.mixture)
        self.uses_images = bool(self.lengths.pixels.any())
        self.frozen = {*job.frozen, *(() if self.uses_images else ("vision", "projector"))}
        self.flops = self._count_flops()
        self.plan = BatchPlan(
            self.lengths,
            cost=self.flops,
            batch_size=settings.batch_size,
            limits=Limits(settings.micro_batch_size, settings.micro_batch_tokens),
            world_size=self.world_size,
        )
        self.padding = self.plan.padding()
        self._log_rank0(
            "%d examples, %d tokens (%d learned) in %d steps of %d rounds on %d processes of the nodes %s; %.1f %% is "
            "padding; processes wait for each other %.1f %% of their time",
            *(len(self.mixture), self.lengths.tokens.sum(), self.lengths.targets.sum(), self.plan.steps),
            *(
                self.plan.grad_accum_steps,
                self.world_size,
                ", ".join(_nodes()),
                100 * self.padding,
                100 * self.plan.waiting(),
            ),
        )

    def _count_flops(self) -> NDArray[np.float64] | None:
        """FLOPs of every example, ``float64[examples]``; None where they cannot be counted.

        The first process counts for all of them, so that all deal the examples in the same way.
        """
        found: list[FlopModel | None] = [None]
        if self.rank == 0:
            try:
                found = [FlopModel.of(self.job.base, self.processor, frozen=self.frozen, lora=self.settings.lora)]
            except ModelError as error:
                LOGGER.warning("%s: there will be no TFLOP/s and no MFU", error)
        dist.broadcast_object_list(found, src=0)
        lengths, (flop_model,) = self.lengths, found
        return flop_model.flops(lengths.tokens, lengths.targets, lengths.pixels) if flop_model else None

    def _prepare_engine(self) -> None:
        job = self.job
        config = read_config(self.settings, grad_accum_steps=self.plan.grad_accum_steps)
        self.config, self.stage = config, zero_stage(config)
        self.recomputed = self._recomputes()
        built = build(
            job,
            config,
            self.processor,
            device=self.device.type,
            steps=self.plan.steps,
            frozen=self.frozen,
            uses_images=self.uses_images,
            recompute=self.recomputed,
        )
        self.engine, self.forward_pass, self.kernels = built.engine, built.forward_pass, built.kernels
        parameters = self.engine.module.parameters()
        self.parameters = sum(getattr(p, "ds_numel", p.numel()) for p in parameters)
        self.checkpoints = Checkpoints(job.checkpoints, self.engine)
        self.checkpoints.check_disk(self.parameters, snapshots=self.settings.snapshots)
        self.checkpoints.claim(training_key(job, self.world_size) if self.rank == 0 else "")
        self.snapshots = Snapshots(
            job.checkpoints / "snapshots",
            self.engine,
            self.processor,
            steps=self.plan.steps,
            number=self.settings.snapshots,
        )
        self.steps = self.checkpoints.resume()
        if job.optimizer_from and not self.steps:
            self.checkpoints.adopt(job.optimizer_from)

    def _recomputes(self) -> bool:
        """Whether activations are computed again in the backward pass; the first process looks what fits."""
        found = [False]
        if self.rank == 0:
            data = MicroBatches(self.mixture, self.collator, self.plan, rank=0, first=0)
            batches = [data.batch(group) for group in self.plan.largest()] if self.device.type == "cuda" else []
            machine = Machine.here(self.device)
            found = [recomputes(self.job, self.config, batches, frozen=self.frozen, machine=machine)]
        dist.broadcast_object_list(found, src=0)
        return found[0]

    def run(self) -> None:
        """Train to the end of the mixture and write the model folder, whole or not at all."""
        started, clock, first = datetime.now(UTC), time.monotonic(), len(self.steps)
        writer = self._open_metrics() if self.rank == 0 else None
        progress = Progress(self.job.title, self.plan.steps, done=first)
        dataset = MicroBatches(self.mixture, self.collator, self.plan, rank=self.rank, first=first)
        with _memory_advice(self.config):
            if first < self.plan.steps:
                self._dry_run(dataset)
            batches = prefetch(dataset, processes=self.settings.num_workers, pin_memory=self.device.type == "cuda")
            meter = Meter(
                device=self.device, world_size=self.world_size, peak=device_peak(self.device, self.settings.precision)
            )
            while len(self.steps) < self.plan.steps:
                meter.begin()
                self.steps.append(self._train_step(batches, meter))
                self._after_step(writer, progress)
        if writer:
            writer.close()
        self._save(started, seconds=time.monotonic() - clock, resumed_at=first)

    def _open_metrics(self) -> MetricsWriter:
        run = TrackedRun.of(self.job, training_key(self.job, self.world_size))
        return MetricsWriter(self.job.metrics, self.job.tensorboard, self.steps, follow(self.job.trackers, run))

    def _after_step(self, writer: MetricsWriter | None, progress: Progress) -> None:
        """Share losses, report and write a checkpoint, each when it is time."""
        done = len(self.steps)
        every = self.settings.save_steps
        checkpoint = every is not None and done % every == 0
        if checkpoint or done % _ALL_REDUCE_LOSSES_EVERY == 0 or done == self.plan.steps:
            shared = len(self._own_losses)
            self._all_reduce_losses()
            if writer:
                writer.write(self.steps[-shared:])
                progress(done, f"loss {self.steps[-1]['loss']:.3f}")
        self.snapshots.save(done)
        if (checkpoint or self._checkpoint_is_due) and done < self.plan.steps:
            self.checkpoints.save(self.steps)
            self._last_checkpoint, self._checkpoint_is_due = time.monotonic(), False

    def _dry_run(self, dataset: MicroBatches) -> None:
        """Compute the largest micro-batches with weight zero: what does not fit, or fit together, fails now."""
        self.engine.set_gradient_accumulation_boundary(False)
        try:
            for group in self.plan.largest():
                self.engine.backward(self._loss(dataset.batch(group)) * 0)
        except (ValueError, RuntimeError) as error:
            if isinstance(error, torch.OutOfMemoryError) or "image" not in str(error).lower():
                raise
            raise TrainingError(
                f"{self.job.base} does not take the images that its processor makes ({error}): use the processor "
                "that belongs to the model."
            ) from error

    def _train_step(self, batches: Iterator[dict[str, Tensor]], meter: Meter) -> dict[str, float]:
        """One optimizer step over all its micro-batches; the loss is the mean over the step's target tokens."""
        step = len(self.steps)
        torch.manual_seed(int(generator(self.job.seed, "step", step, self.rank).integers(2**63)))  # for dropout
        positions = self.plan.positions(step)
        targets = int(self.lengths.targets[positions.start : positions.stop].sum())
        tokens = int(self.lengths.tokens[positions.start : positions.stop].sum())
        total = torch.zeros((), device=self.device)
        for place in range(1, self.plan.grad_accum_steps + 1):
            with meter.waiting():
                batch = next(batches)
            self.engine.set_gradient_accumulation_boundary(place == self.plan.grad_accum_steps)
            loss = self._loss(batch) / targets
            total += loss.detach()
            # DeepSpeed takes the mean over processes and accumulation rounds; the loss is normalised already.
            self.engine.backward(loss * self.world_size * self.plan.grad_accum_steps)
            self.engine.step()
        self._own_losses.append(total)
        flops = None if self.flops is None else float(self.flops[positions.start : positions.stop].sum())
        norm = float(self.engine.get_global_grad_norm() or 0)  # waits for the GPU, so that the time is known
        return {
            "step": step + 1,
            "loss": math.nan,  # known when the processes share their losses
            "learning_rate": self.settings.learning_rate * rate(step, steps=self.plan.steps, settings=self.settings),
            "gradient_norm": norm,
            "tokens": tokens,
            "target_tokens": targets,
            **meter.end(tokens=tokens, flops=flops),
        }

    def _all_reduce_losses(self) -> None:
        """Add up the processes' shares of the last steps' losses: one exchange for many steps, as each one waits.

        The first process's clock says for all of them whether a checkpoint is due.
        """
        minutes = (time.monotonic() - self._last_checkpoint) / 60
        due = self.rank == 0 and minutes >= self.settings.save_minutes
        totals = torch.stack([*self._own_losses, torch.tensor(float(due), device=self.device)])
        self._own_losses.clear()
        dist.all_reduce(totals)
        *losses, waiting = totals.tolist()
        self._checkpoint_is_due = waiting > 0
        for step, loss in zip(self.steps[-len(losses) :], losses, strict=True):
            step["loss"] = loss
            if not math.isfinite(loss):
                raise TrainingError(
                    f"the loss of step {step['step']} is {loss}: lower training.learning_rate "
                    f"(now {self.settings.learning_rate}) or look at the data of {self.job.mixture}."
                )

    def _loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Cross entropy summed over the target tokens of a micro-batch."""
        return self.forward_pass.loss(self.engine, batch, self.device)

    def _save(self, started: datetime, *, seconds: float, resumed_at: int) -> None:
        """Write weights, processor, metrics and manifest; then the checkpoints are no longer needed."""
        if self.job.leave_optimizer:
            self.checkpoints.save(self.steps)
        model, state = whole_model(self.engine)
        if self.rank == 0:
            outcome = Outcome(
                started=started.isoformat(timespec="seconds"),
                ended=datetime.now(UTC).isoformat(timespec="seconds"),
                seconds=seconds,
                resumed_at_step=resumed_at,
                steps=self.steps,
                lengths=self.lengths,
                dropped=self.dropped,
                padding=self.padding,
                parameters=self.parameters,
                processes=self.world_size,
                gpus=self.world_size if self.device.type == "cuda" else 0,
                zero_stage=self.stage,
                kernels=self.kernels,
                recomputed=self.recomputed,
                flops=None if self.flops is None else float(self.flops.sum()),
            )
            with atomic_folder(self.job.output) as folder:
                if self.settings.lora:
                    model = save_adapters(model, folder)
                model.save_pretrained(folder, state_dict=state)
                self.processor.save_pretrained(folder)
                self.snapshots.add_to(folder)
                (folder / "metrics.jsonl").write_text("".join(as_lines(self.steps)))
                (folder / "manifest.json").write_text(json.dumps(manifest(self.job, outcome), indent=2) + "\n")
            if not self.job.leave_optimizer:
                self.checkpoints.remove()
        dist.barrier()
        dist.destroy_process_group()

    def _log_rank0(self, message: str, *values: object) -> None:
        """Log once, not in every process."""
        if self.rank == 0:
            LOGGER.info(message, *values)


@contextmanager
def _memory_advice(config: dict[str, Any]) -> Iterator[None]:
    """Turns a GPU that runs out of memory into an error that says what to change."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise TrainingError(f"the GPU ran out of memory: {memory_advice(config)}.") from error


def _nodes() -> list[str]:
    """The nodes that train together; all processes must call it."""
    names: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(names, os.environ.get("SLURMD_NODENAME") or socket.gethostname())
    return sorted(set(names))


def _start_processes() -> torch.device:
    """Join the other processes of the launcher, by gloo on a CPU, by NCCL on GPUs; gives what this one computes on."""
    if "RANK" not in os.environ:
        raise TrainingError("training must be started by torchrun or deepspeed, which set RANK and WORLD_SIZE.")
    device = local_device(int(os.environ.get("LOCAL_RANK", "0")))
    if device.type == "cpu":
        # Shared-memory reductions need minutes of compiling once per machine and gain nothing on a small model.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    backend = "nccl" if device.type == "cuda" else "gloo"
    deepspeed.init_distributed(dist_backend=backend, timeout=_PATIENCE, verbose=False)
    return device
