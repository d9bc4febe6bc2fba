"""The arithmetic that training an example of Qwen2.5-VL needs, whatever a program computes beside it."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.gpu.models import Item, Sizes

_BACKWARD = 3  # forward once, backward twice as much


def useful_flops(items: Iterable[Item], size: Sizes) -> float:
    """Floating-point operations of the forward and backward pass: no padding, nothing computed twice.

    Two for each weight and token (the vision tower's weights count for patches, those of the output layer for learned
    tokens alone); attention's two products, 4 * width for each pair of tokens, of which a decoder needs half; windows
    have 64 patches.
    """
    return _BACKWARD * sum(_text(item, size) + (_vision(size) if item.image else 0) for item in items)


def _text(item: Item, size: Sizes) -> float:
    keys = size.width * size.key_heads / size.heads
    layer = 2 * size.width * (size.width + keys) + 3 * size.width * size.feed_forward
    attention = 4 * size.width * item.tokens**2 / 2
    return size.layers * (2 * layer * item.tokens + attention) + 2 * size.width * size.words * item.targets


def _vision(size: Sizes) -> float:
    patches, width = size.grid[0] * size.grid[1], size.vision_width
    layer = 4 * width**2 + 3 * width * size.vision_feed_forward
    whole = len(size.whole) * patches + (size.vision_layers - len(size.whole)) * min(64, patches)
    merged = 4 * width
    merger = merged**2 + merged * size.width
    embedding = 3 * 2 * 14 * 14 * width
    return 2 * patches * (size.vision_layers * layer + embedding + merger / 4) + 4 * width * patches * whole
