"""Whether the fast ways compute what the plain ones do: windows, Liger's kernels, blank pictures and learned rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.gpu.measuring import distance, median_seconds, on_gpu
from benchmarks.gpu.models import MINIATURE, Item, Sizes, blank_inputs, device, make_model, qwen_batch, qwen_config
from benchmarks.gpu.sections import Report, Results
from s2h.models import attention
from s2h.models.kernels import choose_kernels
from s2h.models.settings import TrainingSettings
from s2h.training.collate import IGNORED, with_targets
from s2h.training.losses import ForwardPass

MIDDLE = dataclasses.replace(
    MINIATURE, width=256, feed_forward=512, sections=(8, 12, 12), vision_width=160, vision_feed_forward=320
)
"""Heads of 64 and 80 numbers."""

_TEXT, _IMAGE = Item(60, 20, image=False), Item(70, 10, image=True)
_BATCHES: dict[str, Sequence[Item]] = {
    "text": (_TEXT, Item(33, 7, image=False)),
    "image": (_IMAGE, Item(90, 30, image=True)),
    "mixed": (_TEXT, _IMAGE, Item(41, 40, image=False), Item(64, 3, image=True)),
}


def measure(report: Report, *, dry: bool) -> None:
    """Every comparison, each on its own."""
    for width in (64, 80, 128):
        report.attempt(f"windows, heads of {width}", lambda width=width: _windows(width, dry=dry))  # type: ignore[misc]
    for precision in (torch.float32, torch.bfloat16):
        for kind in _BATCHES:
            name = f"learned rows and blank picture, {kind}, {str(precision).removeprefix('torch.')}"
            report.attempt(name, lambda kind=kind, precision=precision: _learner(kind, precision))  # type: ignore[misc]
    report.attempt("Liger", _liger)


def _windows(width: int, *, dry: bool) -> Results:
    """One call for all windows beside one in fp64 for each: output and gradients, relative.

    ``by_length`` is what runs where torch has no kernel for it; both must be as close as the precision allows.
    """
    lengths = [64, 64, 48, 16, 64, 32] * (1 if dry else 13)
    starts = torch.tensor([0, *lengths], device=device()).cumsum(0).to(torch.int32)
    dtype = torch.bfloat16 if on_gpu() else torch.float32
    draw = torch.Generator(device()).manual_seed(0)
    shape = 1, 4, sum(lengths), width
    given = [torch.randn(shape, generator=draw, device=device()).to(dtype) for _ in range(4)]
    ways: dict[str, Callable[..., Tensor]] = {
        "exact": lambda q, k, v: _one_by_one(q, k, v, lengths),
        "one_call": lambda q, k, v: attention.attend(
            torch.nn.Identity(), q, k, v, None, cu_seq_lens_q=starts, max_length_q=max(lengths), scaling=width**-0.5
        )[0],
        "by_length": lambda q, k, v: attention._by_length(q, k, v, starts, width**-0.5),
    }
    results = {name: _with_gradients(way, given, exact=name == "exact") for name, way in ways.items()}
    found: Results = {"precision": str(dtype), "patches": sum(lengths), "windows": len(lengths)}
    for name in ("one_call", "by_length"):
        pairs = zip(("output", "query", "key", "value"), results[name], results["exact"], strict=True)
        found[name] = {part: distance(one, other) for part, one, other in pairs}
        found[name]["ms"] = 1e3 * median_seconds(lambda name=name: _with_gradients(ways[name], given), times=5)  # type: ignore[misc]
    return found | {"right": max(found["one_call"][part] for part in ("output", "query", "key", "value")) < 0.02}


def _with_gradients(way: Callable[..., Tensor], given: Sequence[Tensor], *, exact: bool = False) -> list[Tensor]:
    *inputs, weight = [each.double() if exact else each for each in given]
    inputs = [each.detach().requires_grad_() for each in inputs]
    output = way(*inputs)
    return [output.detach(), *torch.autograd.grad((output * weight.transpose(1, 2)).sum(), inputs)]


def _one_by_one(query: Tensor, key: Tensor, value: Tensor, lengths: Sequence[int]) -> Tensor:
    """The plain way: the products of each window, in the precision of the inputs."""
    pieces = zip(*(each.split([*lengths], dim=2) for each in (query, key, value)), strict=True)
    found = [torch.softmax(q @ k.transpose(2, 3) * q.shape[-1] ** -0.5, -1) @ v for q, k, v in pieces]
    return torch.cat(found, dim=2).transpose(1, 2)


def plain_loss(model: Any, batch: Mapping[str, Tensor]) -> Tensor:
    """Cross entropy summed over the targets, from all logits, with the attention mask."""
    inputs = {name: value.to(device()) for name, value in batch.items()}
    labels = inputs.pop("labels")
    logits = model(**inputs, use_cache=False).logits
    targets = labels[:, 1:].flatten()
    return functional.cross_entropy(
        logits[:, :-1].flatten(0, 1).float(), targets, ignore_index=IGNORED, reduction="sum"
    )


def _one_at_a_time(model: Any, items: Sequence[Item], size: Sizes) -> tuple[float, Tensor]:
    """Loss and gradients of examples one by one, in the plain way."""
    model.zero_grad()
    total = 0.0
    for batch in _alone(items, size):
        loss = plain_loss(model, batch)
        loss.backward()
        total += float(loss.detach())
    return total, _gradients(model)


def _alone(items: Sequence[Item], size: Sizes) -> list[dict[str, Tensor]]:
    """The examples of ``qwen_batch`` as batches of one."""
    whole = qwen_batch(items, size, masks=True)
    patches, rows, seen = size.grid[0] * size.grid[1], [], 0
    for row, item in enumerate(items):
        names = ("input_ids", "labels", "attention_mask", "mm_token_type_ids")
        one = {name: whole[name][row : row + 1, : item.tokens] for name in names}
        if item.image:
            one["pixel_values"] = whole["pixel_values"][seen * patches : (seen + 1) * patches]
            one["image_grid_thw"] = whole["image_grid_thw"][:1]
            seen += 1
        rows.append(one)
    return rows


def _gradients(model: Any) -> Tensor:
    """All gradients in one row; zeros where there is none."""
    given = [torch.zeros_like(p) if p.grad is None else p.grad for p in model.parameters()]
    return torch.cat([each.flatten().float() for each in given])


def _learner(kind: str, precision: torch.dtype) -> Results:
    """The training's way beside one example at a time in fp64 on the same weights."""
    items = _BATCHES[kind]
    model = make_model(qwen_config(MIDDLE), dtype=precision).train()
    loss, gradients = _learned(model, items)
    exact = make_model(qwen_config(MIDDLE), dtype=torch.float64, windows=False).train()
    exact.load_state_dict({name: value.double() for name, value in model.state_dict().items()})
    expected, wanted = _one_at_a_time(exact, items, MIDDLE)
    return _judged(loss, gradients, expected, wanted, tolerance=1e-3 if precision == torch.float32 else 0.05)


def _learned(model: Any, items: Sequence[Item]) -> tuple[float, Tensor]:
    model.zero_grad()
    forward_pass = ForwardPass(model, blank_inputs())
    batch = with_targets(qwen_batch(items, MIDDLE))
    loss = forward_pass.loss(model, batch, device())
    loss.backward()
    return float(loss.detach()), _gradients(model)


def _judged(loss: float, gradients: Tensor, expected: float, wanted: Tensor, *, tolerance: float) -> Results:
    apart = {"loss": abs(loss - expected) / expected, "gradients": distance(gradients, wanted)}
    return {**apart, "tolerance": tolerance, "right": max(apart.values()) <= tolerance}


def _liger() -> Results:
    """Liger's kernels beside transformers' own code in bf16, both beside fp32.

    They go into the classes of transformers too, so all that is plain is computed first.
    """
    if not on_gpu():
        return {"skipped": "Liger's kernels need a GPU"}
    model = make_model(qwen_config(MIDDLE), dtype=torch.bfloat16).train()
    wide = make_model(qwen_config(MIDDLE), dtype=torch.float32).train()
    wide.load_state_dict({name: value.float() for name, value in model.state_dict().items()})
    exact = {kind: _learned(wide, items) for kind, items in _BATCHES.items()}
    plain = {kind: _learned(model, items) for kind, items in _BATCHES.items()}
    settings = TrainingSettings(learning_rate=1, batch_size=1, micro_batch_size=1, max_length=8, kernels="liger")
    choose_kernels(model, settings, device="cuda")
    fast = {kind: _learned(model, items) for kind, items in _BATCHES.items()}
    ways = {"plain": plain, "liger": fast}
    judged = {
        way: {kind: _judged(*found[kind], *exact[kind], tolerance=0.05) for kind in _BATCHES}
        for way, found in ways.items()
    }
    return {"right": all(each["right"] for each in judged["liger"].values()), **judged}
