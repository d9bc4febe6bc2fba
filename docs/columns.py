"""The columns of the tables, as docs/metrics.md lists them: read from tables of a study made up by chance."""

from __future__ import annotations

import tempfile
import textwrap
from pathlib import Path

from s2h.analysis.table_registry import TABLES
from tests.analysis.generated import whole_study


def columns() -> str:
    """A paragraph for each table: its name, and its columns in order."""
    with tempfile.TemporaryDirectory() as folder:
        study = whole_study(Path(folder), puzzles=2)
        found = {name: TABLES[name].make(study)[0].columns for name in TABLES}
    lines = [f"{name}: {', '.join(names)}" for name, names in found.items()]
    return "\n".join(["```", *(textwrap.fill(line, 119, subsequent_indent="  ") for line in lines), "```"])
