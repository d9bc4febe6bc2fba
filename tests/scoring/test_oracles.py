"""An oracle scores 100 on every set and a wrong-answer oracle 0, for every task, level, format and metric."""

from __future__ import annotations

from docs.blocks import read_block
from tests.shipped import ROOT


def test_right_predictions_get_everything_and_wrong_ones_nothing() -> None:
    """In the table that tests/docs/test_generated.py compares with what scoring makes of them now."""
    table = read_block((ROOT / "docs/metrics.md").read_text(), "oracles")
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    assert rows
    for row in rows:
        assert set(row[4:]) - {"–"} == {"100" if row[3] == "right" else "0"}
