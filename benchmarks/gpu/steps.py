"""Qwen2.5-VL-3B at full size: how long micro-batches take, from the way of early versions to today's.

Weights are random and lengths are recorded ones of Table Readout's Mix+. Every way computes the same examples, forward
and backward; the optimizer is not in these figures but timed once by itself.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.gpu.measuring import clear_memory, kernel_seconds, on_gpu, peak_gib, seconds_of, waits_of
from benchmarks.gpu.models import (
    Item,
    Sizes,
    blank_inputs,
    device,
    make_model,
    qwen_batch,
    qwen_config,
    recorded_items,
    sizes,
    useful_flops,
)
from benchmarks.gpu.sections import Report, Results
from s2h.models.attention import WINDOWS
from s2h.models.kernels import choose_kernels
from s2h.models.settings import TrainingSettings
from s2h.training.batches import ExampleSizes, Limits, micro_batches, min_grad_accum_steps
from s2h.training.collate import IGNORED, with_targets
from s2h.training.losses import ForwardPass

_PEAK = 989e12  # floating-point operations a second of an H100 or H200 in dense bf16, by their data sheet


@dataclasses.dataclass(frozen=True, slots=True)
class Way:
    """How micro-batches are made and computed; the defaults are those of early versions.

    Attributes:
        windows: all windows of the vision tower in one attention call.
        dummy_image: a blank picture for text alone, in place of a whole example with a picture.
        rows: logits of learned words alone, their loss in pieces, no attention mask.
        tokens: most tokens of a micro-batch; None takes four examples.
        liger: Liger's kernels.
        recompute: activations are computed again in the backward pass.
        alone: one example at a time, nothing beside it.
    """

    windows: bool = False
    dummy_image: bool = False
    rows: bool = False
    tokens: int | None = None
    liger: bool = False
    recompute: bool = True
    alone: bool = False


_EARLY = Way()
_NEW = Way(windows=True, dummy_image=True, rows=True, tokens=8192)
WAYS = {
    "as it was": _EARLY,
    "all but Liger, 8,192 tokens": _NEW,
    "all but Liger, 8,192 tokens, no recomputing": dataclasses.replace(_NEW, recompute=False),
    "one example at a time": Way(recompute=False, alone=True),
    "windows in one call": Way(windows=True),
    "blank picture": Way(dummy_image=True),
    "learned rows, no mask": Way(rows=True),
    "8,192 tokens": Way(tokens=8192),
    "no recomputing": Way(recompute=False),
    "all but Liger, 4,096 tokens": dataclasses.replace(_NEW, tokens=4096),
    "all but Liger, 16,384 tokens": dataclasses.replace(_NEW, tokens=16384),
    "Liger": Way(liger=True),
    "all, 8,192 tokens": dataclasses.replace(_NEW, liger=True),
    "all, 8,192 tokens, no recomputing": dataclasses.replace(_NEW, liger=True, recompute=False),
    "all, 4,096 tokens, no recomputing": dataclasses.replace(_NEW, tokens=4096, liger=True, recompute=False),
    "all, 16,384 tokens": dataclasses.replace(_NEW, tokens=16384, liger=True),
}
"""The best first, in case time runs out; those with Liger last, as its kernels stay in the model."""


def measure(report: Report, *, dry: bool) -> None:
    """Every way on one model, then the decoder's layers compiled, then the optimizer."""
    size, items = sizes(dry=dry), recorded_items(6 if dry else 24, dry=dry)
    model = make_model(qwen_config(size)).train()
    bench = Bench(model, size, items, dry=dry)
    report.add("examples", {"number": len(items), "tokens": sum(item.tokens for item in items), **_shape(model, items)})
    for name, way in WAYS.items():
        report.attempt(name, lambda way=way: bench.run(way))  # type: ignore[misc]
    report.attempt("AdamW, fused, bf16 weights", bench.optimizer_step)
    if not dry:
        report.attempt("all, 8,192 tokens, compiled layers", bench.compiled)


def _shape(model: Any, items: Sequence[Item]) -> Results:
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return {"parameters": parameters, "images": sum(item.image for item in items)}


class Bench:
    """One model, computed in different ways.

    Args:
        model: a Qwen2.5-VL.
        size: its sizes.
        items: the examples.
        dry: in miniature.
    """

    def __init__(self, model: Any, size: Sizes, items: Sequence[Item], *, dry: bool) -> None:
        self.model, self.size, self.items, self.dry = model, size, items, dry
        self.forward_passes = {True: ForwardPass(model, blank_inputs()), False: ForwardPass(model)}
        self.liger = False

    def run(self, way: Way) -> Results:
        """Compute all examples in a way and measure it."""
        if way.liger and not on_gpu():
            return {"skipped": "Liger's kernels need a GPU"}
        self._prepare(way)
        batches = [self._batch(group, way) for group in self._groups(way)]
        compute = self._pinned_steps(batches, way)
        for step in (compute[0], compute[-1]):  # warm-up
            step()
        self.model.zero_grad(set_to_none=True)
        compute[0]()  # gradients are there, as from the second micro-batch of a step on
        clear_memory()
        seconds = seconds_of(lambda: [step() for step in compute])
        found = self._figures(seconds, len(batches))
        return found | self._waiting(compute[len(compute) // 2])

    def _figures(self, seconds: float, batches: int) -> Results:
        flops, tokens = useful_flops(self.items, self.size), sum(item.tokens for item in self.items)
        return {
            "micro_batches": batches,
            "ms_per_micro_batch": round(1e3 * seconds / batches, 2),
            "gpu_seconds_per_example": round(seconds / len(self.items), 4),
            "tokens_per_second": round(tokens / seconds, 1),
            "useful_tflops": round(flops / seconds / 1e12, 1),
            "mfu": round(flops / seconds / _PEAK, 4) if on_gpu() else None,
            "peak_gib": peak_gib(),
        }

    def _waiting(self, step: Callable[[], object]) -> Results:
        """What the host does of a micro-batch: its share of the time, and how often it waits for the GPU."""
        seconds, kernels = seconds_of(step), kernel_seconds(step)
        share = round(max(1 - kernels["seconds"] / seconds, 0), 4) if kernels else None
        return {"host_share": share, "host_waits": waits_of(step), "kernels": kernels}

    def _prepare(self, way: Way) -> None:
        self.model.zero_grad(set_to_none=True)
        for block in self.model.model.visual.blocks:
            block.attn.config._attn_implementation = WINDOWS if way.windows else "sdpa"
        if way.recompute:
            self.model.gradient_checkpointing_enable({"use_reentrant": False})
        else:
            self.model.gradient_checkpointing_disable()
        if way.liger and not self.liger:
            settings = TrainingSettings(
                learning_rate=1, batch_size=1, micro_batch_size=1, max_length=8, kernels="liger"
            )
            choose_kernels(self.model, settings, device="cuda")
            self.liger = True
        clear_memory()

    def _groups(self, way: Way) -> list[list[Item]]:
        """The examples of each micro-batch, text and image mixed by length as in training."""
        if way.alone:
            return [[item] for item in self.items]
        work, limits = ExampleSizes.from_tokens([item.tokens for item in self.items]), Limits(4)
        if way.tokens:
            limits = Limits(tokens=way.tokens // 40 if self.dry else way.tokens)
        needed = min_grad_accum_steps(work, world_size=1, limits=limits)
        (dealt,) = micro_batches(work, world_size=1, grad_accum_steps=needed, limits=limits)
        groups = [[self.items[place] for place in group] for group in dealt if group]
        return groups if way.dummy_image else [self._filled(group) for group in groups]

    def _filled(self, group: list[Item]) -> list[Item]:
        """With the shortest example that has a picture, not learned, where none has."""
        if any(item.image for item in group):
            return group
        shortest = min((item for item in self.items if item.image), key=lambda item: item.tokens)
        return [*group, dataclasses.replace(shortest, targets=0)]

    def _batch(self, group: Sequence[Item], way: Way) -> dict[str, Tensor]:
        batch = qwen_batch(group, self.size, masks=not way.rows, seed=random.Random(len(group)).randrange(2**30))
        if way.rows:
            batch = with_targets(batch)
        elif way.dummy_image:
            batch = _all_rows(batch)
        return {name: value.pin_memory() for name, value in batch.items()} if on_gpu() else batch

    def _pinned_steps(self, batches: Sequence[dict[str, Tensor]], way: Way) -> list[Callable[[], None]]:
        loss = self._forward_pass_loss(way) if way.rows or way.dummy_image else self._early_loss
        return [lambda batch=batch: loss(batch).backward() for batch in batches]  # type: ignore[misc]

    def _forward_pass_loss(self, way: Way) -> Callable[[Mapping[str, Tensor]], Tensor]:
        forward_pass = self.forward_passes[way.dummy_image]
        if way.rows:
            return lambda batch: forward_pass.loss(self.model, batch, device())
        return lambda batch: _whole_loss(
            forward_pass.logits(self.model, batch, device()), batch["targets"].to(device(), non_blocking=True)
        )

    def _early_loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """As early versions: the attention mask, all logits from the first learned word on, all in fp32 at once."""
        inputs = {name: value.to(device(), non_blocking=True) for name, value in batch.items()}
        labels = inputs.pop("labels")
        kept = labels.shape[1] - max(int((labels != IGNORED).any(dim=0).int().argmax()) - 1, 0)
        logits = self.model(**inputs, use_cache=False, logits_to_keep=kept).logits
        return _whole_loss(logits[:, :-1].flatten(0, 1), labels[:, -kept:][:, 1:].flatten())

    def optimizer_step(self) -> Results:
        """One step of AdamW on bf16 weights and moments; DeepSpeed's has fp32 ones beside them."""
        self._prepare(_NEW)
        for parameter in self.model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.0, fused=on_gpu())
        optimizer.step()
        found = {"ms": round(1e3 * seconds_of(optimizer.step), 2), "peak_gib": peak_gib()}
        self.model.zero_grad(set_to_none=True)
        return found

    def compiled(self) -> Results:
        """The decoder's layers through torch.compile, without recomputing; its time to compile by itself."""
        for layer in self.model.model.language_model.layers:
            layer.forward = torch.compile(layer.forward, dynamic=True)
        way = WAYS["all, 8,192 tokens, no recomputing"]
        self._prepare(way)
        batches = [self._batch(group, way) for group in self._groups(way)]
        compiling = seconds_of(lambda: [step() for step in self._pinned_steps(batches[:2], way)])
        return {"first_two_micro_batches_seconds": round(compiling, 1), **self.run(way)}


def _all_rows(batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """As ``with_targets``, but of every place from the first learned word on; those not learned are ignored."""
    following = functional.pad(batch["labels"][:, 1:], (0, 1), value=IGNORED)
    first = int((following != IGNORED).any(dim=0).int().argmax())
    places = torch.arange(following.numel()).view_as(following)[:, first:].flatten()
    rest = {name: value for name, value in batch.items() if name != "labels"}
    return {**rest, "rows": places, "targets": following.flatten()[places]}


def _whole_loss(logits_NV: Tensor, targets_N: Tensor) -> Tensor:
    return functional.cross_entropy(logits_NV.float(), targets_N, ignore_index=IGNORED, reduction="sum")
