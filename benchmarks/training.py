"""What a training step computes, counted without a GPU: ``python -m benchmarks.training``.

Mix+ of the paper's sizes with Qwen2.5-VL's tokens (``benchmarks/lengths.json``: of 768 examples of each task, tokens,
target tokens, and whether there is a picture), 128 examples a step on 8 processes. The yardstick is the plain way: four
examples at once, an attention mask, a whole example with a picture beside texts, every logit from the first target on.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch.nn import functional
from transformers import Qwen2_5_VLConfig
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VisionTransformerPretrainedModel

from s2h.models.attention import WINDOWS, attend_in_windows
from s2h.tokenisation.lengths import Lengths
from s2h.training.batches import BatchPlan, Limits
from s2h.training.flops import FlopModel

RANKS, BATCH, EXAMPLES, TOKENS = 8, 128, 4, 4096
PATCHES, BLANK = 4992, 4  # of a table of 1500 x 800 pixels, of the blank picture
_GRID = (1, 52, 96)
_WORK = FlopModel(token=1.665e10, pair=884_736, target=1.867e9, pixel=20.8e12 / PATCHES, pixel_pair=0)
"""Of Qwen2.5-VL-3B with all of it learning, as ``s2h.training.flops`` counts it; a pixel is a patch here."""


def recorded(task: str) -> Lengths:
    """The recorded lengths of a task's Mix+; a picture counts its patches."""
    found = json.loads((Path(__file__).parent / "lengths.json").read_text())[task]
    shows = np.array([letter == "1" for letter in found["images"]])
    return Lengths(np.array(found["tokens"]), np.array(found["targets"]), np.where(shows, PATCHES, 0))


def counted(groups: list[list[int]], lengths: Lengths, *, plain: bool) -> Counter[str]:
    """Tokens, patches and rows of logits that groups compute."""
    tokens, targets, patches = lengths.tokens, lengths.targets, lengths.pixels
    filler = int(np.where(patches > 0, tokens, tokens.max() + 1).argmin())
    found: Counter[str] = Counter()
    for group in groups:
        blind = not patches[group].any()
        whole = [*group, filler] if plain and blind else group
        longest = int(tokens[whole].max())
        kept = longest - int((tokens - targets)[whole].min()) + 1
        found["tokens"] += len(whole) * longest
        found["pairs"] += len(whole) * longest * (longest + 1) // 2
        found["patches"] += int(patches[whole].sum()) + BLANK * (blind and not plain)
        found["rows"] += len(whole) * kept if plain else int(targets[group].sum())
    return found


def steps(task: str) -> Iterator[str]:
    """A row for each way of dealing a task's examples."""
    lengths = recorded(task)
    work = _WORK.flops(lengths.tokens, lengths.targets, lengths.pixels)
    least = {"tokens": lengths.tokens, "patches": lengths.pixels, "rows": lengths.targets}
    for title, limits, given in (("plain", Limits(EXAMPLES), None), ("s2h", Limits(None, TOKENS), work)):
        plan = BatchPlan(lengths, cost=given, batch_size=BATCH, limits=limits, world_size=RANKS)
        plan.cost = work
        groups = [plan.computed(group) for step in range(plan.steps) for mine in plan.groups(step) for group in mine]
        found = counted(groups, lengths, plain=title == "plain")
        wasted = [f"{100 * (1 - int(each.sum()) / found[name]):.1f} %" for name, each in least.items()]
        flops = found["tokens"] * _WORK.token + found["pairs"] * _WORK.pair + found["patches"] * _WORK.pixel
        each = (flops + found["rows"] * _WORK.target) / len(lengths.tokens) / 1e12
        cells = [str(plan.grad_accum_steps), *wasted, f"{100 * plan.waiting():.1f} %", f"{each:.1f}"]
        yield f"| {task} | {title} | {' | '.join(cells)} |"
    yield f"| {task} | no waste | | | | | | {work.mean() / 1e12:.1f} |"


def attention_calls(way: str) -> int:
    """Calls of attention in a forward pass of Qwen2.5-VL's vision tower, narrow but as deep, on one picture."""
    config: Any = Qwen2_5_VLConfig(
        vision_config={"hidden_size": 32, "num_heads": 2, "intermediate_size": 32, "out_hidden_size": 32, "depth": 32}
    ).vision_config
    config._attn_implementation = "sdpa"
    tower = Qwen2_5_VisionTransformerPretrainedModel(config)
    if way == WINDOWS:
        attend_in_windows(tower)
    real, calls = functional.scaled_dot_product_attention, 0

    def counting(*arguments: Any, **options: Any) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return real(*arguments, **options)

    with torch.no_grad(), mock.patch.object(functional, "scaled_dot_product_attention", counting):
        tower(torch.zeros(PATCHES, 1176), grid_thw=torch.tensor([_GRID]))
    return calls


def tables() -> str:
    """Both tables, as docs/benchmarks.md has them."""
    tasks = ("consecutive_table_readout", "table_readout", "grid_navigation", "visual_analogy")
    rows = [row for task in tasks for row in steps(task)]
    calls = [f"| {way} | {attention_calls(way)} |" for way in ("sdpa", WINDOWS)]
    return "\n".join([*_HEAD, *rows, "", *_CALLS, *calls])


_HEAD = (
    "| Mix+ of | way | accumulation steps | tokens wasted | patches wasted | logits wasted | waiting | TFLOP/example |",
    "| --- | --- | --: | --: | --: | --: | --: | --: |",
)
_CALLS = ("| vision attention | calls per image, on a CPU |", "| --- | --: |")


if __name__ == "__main__":
    print(tables())
