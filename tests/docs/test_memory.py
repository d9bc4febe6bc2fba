"""The page of memory: its table is what its command writes."""

from __future__ import annotations

import math

from docs.blocks import read_block
from docs.memory import _GIB, _HEAD, _SHIPPED, PAGE, _rows, measure_memory

TABLE = read_block(PAGE.read_text(), "needs").splitlines()


def cells(name: str, file: str, gpus: int) -> list[str]:
    """The cells of a row behind its name."""
    (found,) = (line for line in TABLE if line.startswith(f"| {name} | {gpus} | `{file}` |"))
    return found.strip("| ").split(" | ")[3:]


def test_every_case_has_its_row() -> None:
    assert TABLE[:2] == list(_HEAD)
    assert len(TABLE) == 2 + len([cells(*which) for which in _rows()])


def test_a_row_is_what_the_command_writes() -> None:
    """Mend with: python -m docs.memory."""
    name, file, gpus = "Qwen2.5-VL-3B", "zero2", 8
    found = measure_memory(name, file, gpus=gpus, checkpointing=True, examples=_SHIPPED)
    shown = cells(name, file, gpus)
    assert (shown[0], shown[-1]) == (f"{found.gpu / _GIB:.0f}", f"{found.host / _GIB:.0f}")


def test_more_spreading_never_needs_more() -> None:
    for name, file, gpus in _rows():
        if gpus > 1:
            assert all(float(cells(name, file, gpus)[i]) <= float(cells(name, file, 1)[i]) for i in (0, 3))
    assert all(math.isfinite(float(cell)) for which in _rows() for cell in cells(*which) if cell != "-")
