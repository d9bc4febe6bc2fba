"""The generated files are those that ``python -m docs`` writes."""

from __future__ import annotations

import pytest

from docs.__main__ import GENERATED, ROOT, old


@pytest.mark.parametrize("kind", GENERATED)
def test_the_generated_files_are_those_of_the_command(kind: str) -> None:
    found = [str(path.relative_to(ROOT)) for path in old(kind)]
    assert not found, f"these files are old: {', '.join(found)}; run: python -m docs"
