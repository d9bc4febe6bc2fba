"""The loss of a response, for training and for what is measured on a trained model.

Shapes: B examples, L tokens of the longest of them, K of these whose logits are needed, V words.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from s2h.training.collate import IGNORED


def response_logits(model: Any, batch: dict[str, Tensor], device: torch.device) -> tuple[Tensor, Tensor]:
    """The logits that predict the responses, and the words that they should predict.

    Logits are computed from the token before the first response on: prompts need none.

    Args:
        model: of transformers, or an engine around it.
        batch: what ``Collator`` gives.
        device: where the model is.

    Returns:
        ``float[B, K, V]`` and ``int64[B, K]``; the words are ``IGNORED`` where nothing is learned.
    """
    inputs = {name: value.to(device, non_blocking=True) for name, value in batch.items()}
    labels_BL = inputs.pop("labels")
    kept = labels_BL.shape[1] - max(int((labels_BL != IGNORED).any(dim=0).int().argmax()) - 1, 0)
    logits_BKV = model(**inputs, use_cache=False, logits_to_keep=kept).logits
    return logits_BKV[:, :-1], labels_BL[:, -kept:][:, 1:]


def summed_loss(logits_BKV: Tensor, labels_BK: Tensor) -> Tensor:
    """Cross entropy in nats, summed over the target tokens."""
    loss: Tensor = functional.cross_entropy(
        logits_BKV.flatten(0, 1).float(), labels_BK.flatten(), ignore_index=IGNORED, reduction="sum"
    )
    return loss


def whole_responses(logits_BKV: Tensor, labels_BK: Tensor) -> int:
    """How many of the responses a greedy decoder would give word for word: every target is the most likely word."""
    right_BK = (logits_BKV.argmax(dim=-1) == labels_BK) | (labels_BK == IGNORED)
    return int(right_BK.all(dim=1).sum())
