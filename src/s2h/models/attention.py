"""Attention of vision towers that cut pictures into windows (Qwen's): all windows in one call.

transformers calls torch's scaled dot product once for each window of each picture in each layer. FlashAttention takes
them all in one call, given by their cumulative lengths; so does ``attend``, through transformers' own place for other
implementations of attention, where FlashAttention is not installed.

Shapes: H heads, S patches of all windows one after the other, W width of a head, P windows of one length n.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface

WINDOWS = "flash_windows"  # transformers gives cumulative lengths to implementations whose names say flash
_HALF = (torch.bfloat16, torch.float16)  # the precisions of torch's kernel


def attend(
    _: nn.Module,
    query_1HSW: Tensor,
    key_1HSW: Tensor,
    value_1HSW: Tensor,
    attention_mask: Tensor | None,
    *,
    cu_seq_lens_q: Tensor,
    max_length_q: int | Tensor,
    scaling: float | None = None,
    **__: Any,
) -> tuple[Tensor, None]:
    """Attention within windows, in the signature that transformers gives to all implementations.

    Args:
        query_1HSW: of the patches, ``float[1, H, S, W]``, as are key and value.
        key_1HSW: see there.
        value_1HSW: see there.
        attention_mask: None.
        cu_seq_lens_q: where each window begins, and the end of the last, ``int32[windows + 1]``.
        max_length_q: patches of the longest window.
        scaling: of the products; one over the root of W where it is None.

    Returns:
        ``float[1, S, H, W]``, and no weights.
    """
    assert attention_mask is None
    tensors = query_1HSW, key_1HSW, value_1HSW
    if query_1HSW.is_cuda and query_1HSW.dtype in _HALF:
        return _in_one_kernel(*tensors, cu_seq_lens_q, int(max_length_q), scaling), None
    return _by_length(*tensors, cu_seq_lens_q, scaling), None


def _in_one_kernel(
    query_1HSW: Tensor, key_1HSW: Tensor, value_1HSW: Tensor, starts: Tensor, longest: int, scaling: float | None
) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    # The scale of the root of W is the kernel's own; the name of its argument differs between versions of torch.
    own = scaling is None or abs(scaling * query_1HSW.shape[-1] ** 0.5 - 1) < 1e-6
    query = query_1HSW if own or scaling is None else query_1HSW * (scaling * query_1HSW.shape[-1] ** 0.5)
    query_SHW, key_SHW, value_SHW = (each[0].transpose(0, 1) for each in (query, key_1HSW, value_1HSW))
    starts = starts.to(query.device, torch.int32)
    output = varlen_attn(query_SHW, key_SHW, value_SHW, starts, starts, longest, longest)
    assert isinstance(output, Tensor)
    return output[None]


def _by_length(
    query_1HSW: Tensor, key_1HSW: Tensor, value_1HSW: Tensor, starts: Tensor, scaling: float | None
) -> Tensor:
    """Windows of one length as one batch of torch's scaled dot product."""
    edges = starts.long().cpu()
    lengths, begins = edges.diff(), edges[:-1]
    places, outputs = [], []
    for length in sorted(set(lengths.tolist())):
        place_Pn = begins[lengths == length][:, None] + torch.arange(length)
        place = place_Pn.flatten().to(query_1HSW.device)
        query, key, value = (_cut(each, place, length) for each in (query_1HSW, key_1HSW, value_1HSW))
        found_PHnW = functional.scaled_dot_product_attention(query, key, value, scale=scaling)
        places.append(place)
        outputs.append(found_PHnW.transpose(1, 2).flatten(0, 1))
    return torch.cat(outputs)[torch.cat(places).argsort()][None]


def _cut(tensor_1HSW: Tensor, place: Tensor, length: int) -> Tensor:
    """The chosen patches as windows, ``float[P, H, n, W]``."""
    chosen_HSW = tensor_1HSW[0, :, place]
    heads, patches, width = chosen_HSW.shape
    return chosen_HSW.reshape(heads, patches // length, length, width).transpose(0, 1)


def attend_in_windows(model: nn.Module) -> int:
    """Have the layers of a model that attend within windows do so in one call; returns how many there are."""
    layers = [module for module in model.modules() if "cu_seqlens" in inspect.signature(module.forward).parameters]
    chosen = [module for module in layers if hasattr(module, "config")]
    for module in chosen:
        module.config._attn_implementation = WINDOWS  # type: ignore[union-attr]
    return len(chosen)


AttentionInterface.register(WINDOWS, attend)
