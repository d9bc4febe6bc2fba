"""One phase of training with DeepSpeed, from a laptop to many GPUs.

Every random choice of a step is a function of the seed and the step, so a run that goes on from a checkpoint does
what it would have done without the interruption.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import deepspeed
import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional

from s2h.errors import ConfigError, TrainingError
from s2h.files import whole_file, whole_folder
from s2h.logs import LOGGER, Progress
from s2h.models.loading import load_model, load_processor
from s2h.models.settings import TrainingSettings
from s2h.training.batches import micro_batches, step_count, step_positions
from s2h.training.collate import IGNORED, Collator
from s2h.training.data import Mixture
from s2h.training.inspection import inspect
from s2h.training.schedule import rate

_SHARE_LOSSES_EVERY = 10  # steps


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """One phase of training.

    Attributes:
        title: what is trained, for a person to read.
        base: model folder that the phase starts from.
        mixture: Parquet file of its examples, in order.
        output: model folder to write.
        checkpoints: folder of the checkpoints from which an interrupted run goes on; removed at the end.
        seed: seed of the run.
        settings: how to train.
        processor: options for the processor of ``base``.
    """

    title: str
    base: Path
    mixture: Path
    output: Path
    checkpoints: Path
    seed: int
    settings: TrainingSettings
    processor: dict[str, Any]


class Trainer:
    """Trains one phase; ``run`` is all there is to call."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.settings = job.settings
        _start_processes()
        self.rank, self.ranks = dist.get_rank(), dist.get_world_size()
        self.device = torch.device(os.environ.get("LOCAL_RANK", "0") if torch.cuda.is_available() else "cpu")
        self.processor = load_processor(job.base, **job.processor)
        self.mixture = Mixture(job.mixture)
        self.collator = Collator(
            self.processor,
            random_positions=job.settings.random_positions,
            seed=job.seed,
            examples=len(self.mixture),
        )
        self.inspection = inspect(self.mixture, self.collator, self.settings)
        self.steps = step_count(len(self.mixture), self.settings.batch_size)
        self.engine = self._engine()
        self.metrics = self._resume()
        self.step = len(self.metrics)
        self._own_losses: list[Tensor] = []

    def run(self) -> None:
        """Train to the end of the mixture and write the model folder, whole or not at all."""
        started, first = time.monotonic(), self.step
        if self.rank == 0:
            LOGGER.info("%d examples in %d steps, %d processes", len(self.mixture), self.steps, self.ranks)
        progress = Progress(self.job.title, self.steps, done=first)
        while self.step < self.steps:
            self.metrics.append(self._train_step())
            self.step += 1
            checkpoint = self.step % self.settings.checkpoint_every == 0 and self.step < self.steps
            if checkpoint or self.step % _SHARE_LOSSES_EVERY == 0 or self.step == self.steps:
                self._share_losses()
                if self.rank == 0:
                    progress(self.step, f"loss {self.metrics[-1]['loss']:.3f}")
            if checkpoint:
                self._checkpoint()
        self._save(seconds=time.monotonic() - started, resumed_at=first)

    def _engine(self) -> Any:
        dtype = torch.bfloat16 if self.settings.precision == "bf16" else torch.float32
        # Scaled dot product attention is the fastest on a GPU; on a CPU the plain product is, for the tiny model.
        attention = "sdpa" if self.device.type == "cuda" else "eager"
        model = load_model(self.job.base, dtype=dtype, attention=attention)
        if self.settings.gradient_checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        model.train()
        optimizer = torch.optim.AdamW(
            model.parameters(),
            lr=self.settings.learning_rate,
            betas=(0.9, self.settings.beta2),
            weight_decay=self.settings.weight_decay,
        )
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: rate(step, steps=self.steps, settings=self.settings)
        )
        engine, *_ = deepspeed.initialize(
            model=model, optimizer=optimizer, lr_scheduler=scheduler, config=self._deepspeed_config()
        )
        return engine

    def _deepspeed_config(self) -> dict[str, Any]:
        """The file's settings, with what the study decides filled in."""
        path = Path(self.settings.deepspeed)
        try:
            config: dict[str, Any] = json.loads(path.read_text())
        except (OSError, json.JSONDecodeError) as error:
            raise ConfigError(f"training.deepspeed names {path}, which cannot be read: {error}") from None
        self.rounds = max(math.ceil(self.settings.batch_size / (self.ranks * self.settings.micro_batch_size)), 1)
        return config | {
            "train_micro_batch_size_per_gpu": self.settings.micro_batch_size,
            "gradient_accumulation_steps": self.rounds,
            "gradient_clipping": self.settings.max_grad_norm,
            "bf16": {"enabled": self.settings.precision == "bf16"},
            "steps_per_print": 2**31,
        }

    def _train_step(self) -> dict[str, float]:
        """One optimizer step over all its micro-batches; the loss is the mean over the step's target tokens."""
        began = time.monotonic()
        positions = self._positions()
        targets = int(self.inspection.targets[positions].sum())
        total = torch.zeros((), device=self.device)
        for batch in self._batches(positions):
            loss = self._loss(batch) / targets
            total += loss.detach()
            # DeepSpeed takes the mean over processes and accumulation rounds; the loss is normalised already.
            self.engine.backward(loss * self.ranks * self.rounds)
            self.engine.step()
        self._own_losses.append(total)
        return {
            "step": self.step + 1,
            "loss": math.nan,  # known when the processes share their losses
            "learning_rate": self.settings.learning_rate * rate(self.step, steps=self.steps, settings=self.settings),
            "target_tokens": targets,
            "seconds": round(time.monotonic() - began, 4),
        }

    def _share_losses(self) -> None:
        """Add up the processes' shares of the last steps' losses: one exchange for many steps, as each one waits."""
        losses = torch.stack(self._own_losses)
        self._own_losses.clear()
        dist.all_reduce(losses)
        for metrics, loss in zip(self.metrics[-len(losses) :], losses.tolist(), strict=True):
            metrics["loss"] = loss
            if not math.isfinite(loss):
                raise TrainingError(
                    f"the loss of step {metrics['step']} is {loss}: lower training.learning_rate "
                    f"(now {self.settings.learning_rate}) or look at the data of {self.job.mixture}."
                )

    def _positions(self) -> list[int]:
        """Positions in the mixture of the step's examples."""
        return list(step_positions(self.step, examples=len(self.mixture), batch_size=self.settings.batch_size))

    def _batches(self, positions: list[int]) -> Iterator[dict[str, Tensor]]:
        """This process's micro-batches of the step, always as many as ``rounds``."""
        lengths = [int(self.inspection.lengths[p]) for p in positions]
        mine = micro_batches(lengths, ranks=self.ranks, micro_batch_size=self.settings.micro_batch_size)[self.rank]
        mine += [[]] * (self.rounds - len(mine))
        for group in mine:
            # A process without examples computes the step's first one and learns nothing from it.
            batch = self.collator([self.mixture[positions[i]] for i in group or [0]])
            if not group:
                batch["labels"].fill_(IGNORED)
            yield {key: value.to(self.device) for key, value in batch.items()}

    def _loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Cross entropy summed over the target tokens of a micro-batch."""
        labels_BL = batch.pop("labels")
        # Logits are computed from the token before the first response on: prompts need none.
        kept = labels_BL.shape[1] - max(int((labels_BL != IGNORED).any(dim=0).int().argmax()) - 1, 0)
        logits_BKV = self.engine(**batch, use_cache=False, logits_to_keep=kept).logits
        loss = functional.cross_entropy(
            logits_BKV[:, :-1].flatten(0, 1).float(),
            labels_BL[:, -kept:][:, 1:].flatten(),
            ignore_index=IGNORED,
            reduction="sum",
        )
        # A parameter that this micro-batch does not use (the vision tower of a text batch) may be used in another
        # process's. ZeRO adds up gradients in the order in which they come, so every parameter must have one.
        unused = sum(p.sum() for p in self.engine.module.parameters() if p.requires_grad)
        total: Tensor = loss + 0.0 * unused
        return total

    def _checkpoint(self) -> None:
        """Write a checkpoint; it counts from the moment at which all processes have written their part."""
        tag = f"step-{self.step:07d}"
        state = {"metrics": self.metrics}
        self.engine.save_checkpoint(str(self.job.checkpoints), tag=tag, client_state=state, save_latest=False)
        dist.barrier()
        if self.rank == 0:
            with whole_file(self._last_checkpoint) as temporary:
                temporary.write_text(tag)
            for old in self.job.checkpoints.glob("step-*"):
                if old.name != tag:
                    shutil.rmtree(old, ignore_errors=True)

    @property
    def _last_checkpoint(self) -> Path:
        """A file that names the last whole checkpoint."""
        return self.job.checkpoints / "last"

    def _resume(self) -> list[dict[str, float]]:
        """Go on from the last whole checkpoint, if there is one; returns the metrics of the steps done."""
        if not self._last_checkpoint.exists():
            return []
        tag = self._last_checkpoint.read_text()
        path, state = self.engine.load_checkpoint(str(self.job.checkpoints), tag=tag)
        if path is None:
            raise TrainingError(f"the checkpoint {self.job.checkpoints}/{tag} is broken: delete that folder.")
        LOGGER.info("going on from %s", path)
        return list(state["metrics"])

    def _save(self, *, seconds: float, resumed_at: int) -> None:
        """Write weights, processor, metrics and manifest; then the checkpoints are no longer needed."""
        if self.rank == 0:
            with whole_folder(self.job.output) as folder:
                self.engine.module.save_pretrained(folder)
                self.processor.save_pretrained(folder)
                (folder / "metrics.jsonl").write_text("".join(json.dumps(m) + "\n" for m in self.metrics))
                manifest = self._manifest(seconds=seconds, resumed_at=resumed_at)
                (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
            shutil.rmtree(self.job.checkpoints, ignore_errors=True)
        dist.barrier()

    def _manifest(self, *, seconds: float, resumed_at: int) -> dict[str, Any]:
        return {
            "title": self.job.title,
            "base": str(self.job.base),
            "mixture": str(self.job.mixture),
            "seed": self.job.seed,
            "settings": self.settings.model_dump(),
            "zero_stage": self.engine.zero_optimization_stage(),
            "processes": self.ranks,
            "parameters": sum(p.numel() for p in self.engine.module.parameters()),
            "examples": len(self.mixture),
            "steps": self.steps,
            "tokens": int(self.inspection.lengths.sum()),
            "target_tokens": int(self.inspection.targets.sum()),
            "seconds": round(seconds, 1),
            "resumed_at_step": resumed_at,
            "final_loss": self.metrics[-1]["loss"],
            "versions": {"torch": torch.__version__, "deepspeed": deepspeed.__version__},
        }


def _start_processes() -> None:
    """Join the other processes of the launcher; gloo on a CPU, NCCL on GPUs."""
    if "RANK" not in os.environ:
        raise TrainingError("training must be started by torchrun or deepspeed, which set RANK and WORLD_SIZE.")
    if not torch.cuda.is_available():
        # Shared-memory reductions need minutes of compiling once per machine and gain nothing on a small model.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    deepspeed.init_distributed(dist_backend="nccl" if torch.cuda.is_available() else "gloo", verbose=False)
