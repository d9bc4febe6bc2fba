"""What a training step computes is what the page says, and little of it is waste."""

from __future__ import annotations

import re

from benchmarks.training import tables
from docs.blocks import read_block
from tests.shipped import ROOT


def test_the_page_has_what_the_command_prints() -> None:
    found = tables()
    assert read_block((ROOT / "docs/benchmarks.md").read_text(), "benchmarks/training") == found
    wasted = [float(cell) for row in re.findall(r"\| s2h \|(.+)", found) for cell in re.findall(r"([\d.]+) %", row)[:3]]
    assert max(wasted) < 2
