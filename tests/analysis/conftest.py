from __future__ import annotations

from pathlib import Path

import pytest

from tests.analysis.generated import study


@pytest.fixture(scope="session")
def score_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Scores of a small study: two tasks, two recipes, two seeds, 20 puzzles of SIMPLE and of HARD."""
    return study(tmp_path_factory.mktemp("scores"))
