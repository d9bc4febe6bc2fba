"""An oracle scores 100 on every set and a wrong-answer oracle 0, for every task, level, format and metric."""

from __future__ import annotations

from docs.oracles import table
from tests.shipped import ROOT


def test_the_table_of_oracles_is_that_of_the_command() -> None:
    """Mend with: python -m docs.oracles."""
    printed = table(2)
    assert printed in (ROOT / "docs/metrics.md").read_text()
    rows = [line.strip("| ").split(" | ") for line in printed.splitlines()[2:]]
    for row in rows:
        assert set(row[4:]) - {"–"} == {"100" if row[3] == "right" else "0"}
