"""Eagle-X2 with both vision towers at full size and four of Llama-3's layers: a micro-batch of one picture and text."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from benchmarks.gpu.measuring import clear_memory, median_seconds, peak_gib
from benchmarks.gpu.models import device, eagle_config, make_model
from benchmarks.gpu.sections import Report, Results
from s2h.training.collate import IGNORED, with_targets
from s2h.training.losses import ForwardPass

_LAYERS = 4


def measure(report: Report, *, dry: bool) -> None:
    """Pictures and text alone, with activations kept and recomputed."""
    config = eagle_config(dry=dry, layers=_LAYERS)
    model = make_model(config).train()
    forward_pass = ForwardPass(model, {"pixel_values": _pixels(config, 1)})
    report.add("parameters", sum(parameter.numel() for parameter in model.parameters()))
    for recompute in (False, True):
        for examples, shown in ((1, True), (2, True), (2, False)):
            name = f"{examples} {'with a picture' if shown else 'of text'}{', recomputed' if recompute else ''}"
            batch = _batch(config, examples, shown=shown, words=32 if dry else 300)
            report.attempt(
                name,
                lambda batch=batch, recompute=recompute: _timed(
                    model, forward_pass, batch, recompute=recompute, dry=dry
                ),  # type: ignore[misc]
            )


def _timed(model: Any, forward_pass: ForwardPass, batch: dict[str, Tensor], *, recompute: bool, dry: bool) -> Results:
    if recompute:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    else:
        model.gradient_checkpointing_disable()
    model.zero_grad(set_to_none=True)
    clear_memory()
    seconds = median_seconds(
        lambda: forward_pass.loss(model, batch, device()).backward(), times=1 if dry else 3, warm_up=1
    )
    return {"ms": round(1e3 * seconds, 1), "tokens": batch["input_ids"].numel(), "peak_gib": peak_gib()}


def _pixels(config: Any, number: int) -> Tensor:
    side = config.vision_config.image_size
    return torch.randn(number, 3, side, side, generator=torch.Generator().manual_seed(0))


def _batch(config: Any, examples: int, *, shown: bool, words: int) -> dict[str, Tensor]:
    """Examples of a picture's tokens and words, of which the second half is learned."""
    image = config.image_token_index
    ids = torch.randint(6, min(image, 256) if image > 6 else 256, (examples, words))
    if shown:
        ids = torch.cat([torch.full((examples, config.image_seq_length), image), ids], dim=1)
    labels = ids.clone()
    labels[:, : -words // 2] = IGNORED
    pictures = {"pixel_values": _pixels(config, examples)} if shown else {}
    return with_targets({"input_ids": ids, "labels": labels, **pictures})
