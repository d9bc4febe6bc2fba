"""Turns as the model's chat template writes them."""

from pathlib import Path

import pytest

from s2h.errors import ModelError
from s2h.models.loading import load_processor
from s2h.tokenisation.chat_template import LaterTurns


def test_a_template_of_one_turn_is_named(tiny_model: Path) -> None:
    processor = load_processor(tiny_model)
    processor.chat_template = "{{ messages[0].content }}"
    with pytest.raises(ModelError, match="leaves turns out"):
        LaterTurns(processor).between("x")
