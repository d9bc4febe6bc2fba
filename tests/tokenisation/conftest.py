"""Models whose processors tokenise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from s2h.supervision.formats import WORDS
from tests.models import qwen


@pytest.fixture(scope="module", params=["tiny", "qwen"])
def model_folder(
    request: pytest.FixtureRequest, readout: Any, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    if request.param == "tiny":
        return tiny_model
    folder = tmp_path_factory.mktemp("qwen")
    qwen.build(folder, readout.vocabulary() | WORDS)
    return folder
