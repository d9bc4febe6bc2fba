"""The page of the recipes: a recipe of one's own that the config takes."""

from __future__ import annotations

import re
from fractions import Fraction

import yaml

from docs.recipes import PAGE
from s2h.config import load_config
from s2h.overlays import merge, read_values
from s2h.supervision.recipes import examples_seen

PAGE_TEXT = PAGE.read_text()


def test_the_recipe_of_the_page_is_one() -> None:
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE_TEXT, re.MULTILINE | re.DOTALL)
    config = load_config(merge(read_values(), yaml.safe_load(block)))
    runs = config.all_runs()
    assert [(run.recipe, run.seed) for run in runs] == [
        ("mix", 0), ("mix", 1), ("read_first_mix", 0), ("read_first_mix", 1),
    ]  # fmt: skip
    run, phases = runs[-1], config.recipes["read_first_mix"].phases
    assert [phase.budget for phase in phases] == [Fraction(1, 4), 1]
    assert [examples_seen(phase, run.budget) for phase in phases] == [3000, 12_000]
    assert [config.training(run, phase).learning_rate for phase in (1, 2)] == [5e-4, 2.5e-4]
    assert "read_first_mix" in config.fitting_recipes("table_readout")
