"""The forward pass and the loss of a training step: logits of the tokens in the loss only.

Shapes: B examples, L tokens of the longest of them, N target tokens of all of them, D width of the model, V words.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

_LOGITS_AT_ONCE = 2**27  # fp32 logits of a piece of the loss: half a GiB
_LEAST_SIDE = 28  # pixels of the blank picture, where the processor takes pictures of any size


class ForwardPass:
    """The forward pass of a model in training.

    Two things are added to the model's own, by hooks before its language model and before its output layer:

    - Only the hidden states before tokens in the loss reach the output layer.
    - A batch of text alone shows the vision tower a blank picture with weight zero. All processes then run the same
      layers in the same order. Otherwise ZeRO-3 waits for ever, and ZeRO-2, which adds up gradients as they come, adds
      those of different parameters.

    Args:
        model: of transformers, perhaps with adapters.
        dummy_image: inputs of the blank picture (see ``dummy_image``); None runs text alone without the vision tower.
    """

    def __init__(self, model: Any, dummy_image: Mapping[str, Tensor] | None = None) -> None:
        self._rows: Tensor | None = None
        self._dummy_image, self._use_dummy_image = dummy_image, False
        plain = model.get_base_model() if hasattr(model, "get_base_model") else model
        self._features, self._rope = _feature_function(plain), _rope_function(plain)
        model.get_output_embeddings().register_forward_pre_hook(self._select)
        if dummy_image is not None:
            # Behind the embeddings of the tokens, as for pictures: ZeRO-3 gathers weights in this order.
            plain.base_model.language_model.register_forward_pre_hook(self._add_dummy_image, with_kwargs=True)

    def logits(self, run: Any, batch: Mapping[str, Tensor], device: torch.device) -> Tensor:
        """The logits that predict the targets of a batch, ``float[N, V]``.

        Args:
            run: the model, or an engine around it.
            batch: what ``collate.with_targets`` gives.
            device: where the model is.
        """
        arguments = {**batch, **self._rope(batch)}
        inputs = {name: value.to(device, non_blocking=True) for name, value in arguments.items() if name != "targets"}
        self._rows = inputs.pop("rows")
        self._use_dummy_image = "pixel_values" not in inputs
        try:
            logits: Tensor = run(**inputs, use_cache=False).logits
        finally:
            self._rows = None
        return logits[0]

    def loss(self, run: Any, batch: Mapping[str, Tensor], device: torch.device) -> Tensor:
        """Cross entropy in nats, summed over the targets of a batch; the arguments are those of ``logits``."""
        logits_NV = self.logits(run, batch, device)
        return summed_loss(logits_NV, batch["targets"].to(device, non_blocking=True))

    def _select(self, _: Any, arguments: tuple[Tensor]) -> tuple[Tensor] | None:
        if self._rows is None:
            return None
        (hidden_BLD,) = arguments
        return (hidden_BLD.flatten(0, 1).index_select(0, self._rows)[None],)

    def _add_dummy_image(self, _: Any, arguments: Any, named: dict[str, Any]) -> tuple[Any, dict[str, Any]] | None:
        if self._rows is None or not self._use_dummy_image or self._dummy_image is None:
            return None
        embedded_BLD = named["inputs_embeds"]
        shown = {name: value.to(embedded_BLD.device) for name, value in self._dummy_image.items()}
        nothing = torch.stack([each.float().mean() for each in _tensors(self._features(**shown))]).sum() * 0
        return arguments, {**named, "inputs_embeds": embedded_BLD + nothing.to(embedded_BLD.dtype)}


def summed_loss(logits_NV: Tensor, targets_N: Tensor) -> Tensor:
    """Cross entropy in nats, summed over the target tokens.

    Its fp32 logits are computed piece by piece, and again in the backward pass, so that they never lie in memory as a
    whole.
    """
    size = max(_LOGITS_AT_ONCE // logits_NV.shape[1], 1)
    if len(targets_N) <= size:
        return _cross_entropy(logits_NV, targets_N)
    pieces = [slice(start, start + size) for start in range(0, len(targets_N), size)]
    losses = [checkpoint(_cross_entropy, logits_NV[each], targets_N[each], use_reentrant=False) for each in pieces]
    return torch.stack(losses).sum()


def _cross_entropy(logits_NV: Tensor, targets_N: Tensor) -> Tensor:
    return functional.cross_entropy(logits_NV.float(), targets_N, reduction="sum")


def count_exact_responses(logits_NV: Tensor, batch: Mapping[str, Tensor]) -> int:
    """How many of the responses a greedy decoder would give word for word: every target is the most likely word."""
    examples, length = batch["input_ids"].shape
    wrong_N = (logits_NV.argmax(dim=-1) != batch["targets"].to(logits_NV.device)).cpu()
    return examples - len(set((batch["rows"][wrong_N] // length).tolist()))


def dummy_image(processor: Any) -> dict[str, Tensor]:
    """A model's inputs of one black picture, of the least size that its processor takes."""
    images = processor.image_processor
    size, options = dict(getattr(images, "size", None) or {}), {}
    if {"shortest_edge", "longest_edge"} <= size.keys():  # a range of areas: sizes of pictures are free
        options = {"size": size | {"shortest_edge": _LEAST_SIDE**2}}
    return dict(images(images=[Image.new("RGB", (_LEAST_SIDE, _LEAST_SIDE))], return_tensors="pt", **options))


def _feature_function(model: Any) -> Any:
    """The function that gives a model's image features, called with the processor's outputs that it accepts."""
    find = getattr(model, "get_image_features", None)
    known = set(inspect.signature(find).parameters) if find else set()

    def features(**inputs: Tensor) -> Any:
        chosen = {name: value for name, value in inputs.items() if name in known}
        chosen["pixel_values"] = chosen["pixel_values"].to(model.dtype)
        outputs = find(**chosen)  # type: ignore[misc]
        return getattr(outputs, "pooler_output", outputs)

    return features


def _rope_function(model: Any) -> Any:
    """Positions in text and picture where a model has them (Qwen), as ``position_ids``; nothing elsewhere.

    The model would compute them on the GPU, token by token, waiting for each.
    """
    find = getattr(model.base_model, "get_rope_index", None)
    known = set(inspect.signature(find).parameters) if find else set()

    def positions(batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if find is None or "position_ids" in batch or "image_grid_thw" not in batch:
            return {}
        return {"position_ids": find(**{name: value for name, value in batch.items() if name in known})[0]}

    return positions


def _tensors(found: Any) -> list[Tensor]:
    return [found] if isinstance(found, Tensor) else [each for item in found for each in _tensors(item)]
