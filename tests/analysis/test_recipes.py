"""The recipes' table: exact in examples and puzzles, near in tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from s2h.analysis.recipes import SCHEMA, Study, recipe_rows, write_recipe_tables
from s2h.config import load_config
from s2h.models.loading import load_processor
from s2h.supervision.mixture import write_mixture
from s2h.supervision.recipes import count, examples_seen
from s2h.training.collate import Collator
from s2h.training.data import Mixture
from s2h.training.inspection import measure
from tests.shipped import ROOT, config_values, default_config, merge

CONFIG = default_config()
FITTING = CONFIG.fitting_recipes("consecutive_table_readout")


def study(processor: str, shards: dict[str, list[str]]) -> Study:
    return Study.of(
        name="consecutive_table_readout",
        model="tiny",
        processor=processor,
        processor_options={},
        shards={"consecutive_table_readout": shards},
        recipes={name: recipe.model_dump(mode="json") for name, recipe in FITTING.items()},
    )


@pytest.fixture(scope="module")
def rows(tiny_model: Path, readout_shards: dict[str, list[str]]) -> pl.DataFrame:
    return recipe_rows(study(str(tiny_model), readout_shards), [36, 120_000])


def test_the_recipes_are_those_that_fit_the_task() -> None:
    assert set(CONFIG.recipes) - set(FITTING) == {
        "mix_plus_medium", "mix_plus_template", "mix_plus_order", "mix_plus_value", "untrained",
    }  # fmt: skip
    paper = default_config("paper")
    assert set(paper.fitting_recipes("visual_analogy")) == set(paper.recipes) - {"mix_plus_medium", "untrained"}


def test_examples_and_puzzles_are_exact(rows: pl.DataFrame) -> None:
    assert dict(rows.schema) == SCHEMA
    for name, recipe in FITTING.items():
        for number, phase in enumerate(recipe.phases, 1):
            found = rows.filter(recipe=name, phase=number, budget=120_000)
            assert found["examples"].sum() == examples_seen(phase, 120_000)
            assert found["unique_puzzles"].to_list() == [counted.unique for counted in count(phase, 120_000)]


def test_tokens_are_those_of_the_mixture(
    rows: pl.DataFrame, tiny_model: Path, readout_shards: dict[str, list[str]], tmp_path: Path
) -> None:
    for name in ("mix_plus", "image_via_text", "mix_plus_internalised"):
        shards: Any = {"consecutive_table_readout": readout_shards}
        write_mixture(tmp_path / name, FITTING[name].phases[0], budget=36, shards=shards, key=(0, "x"))
        mixture = Mixture.read(tmp_path / name)
        collator = Collator(load_processor(tiny_model), random_positions=0, seed=0, examples=len(mixture))
        lengths = measure(mixture, collator)
        found = rows.filter(recipe=name, budget=36)
        assert found["tokens"].sum() == pytest.approx(int(lengths.tokens.sum()), rel=0.1)
        assert found["target_tokens"].sum() == pytest.approx(int(lengths.targets.sum()), rel=0.15)


def test_without_the_processor_all_else_is_told(readout_shards: dict[str, list[str]], tmp_path: Path) -> None:
    paths = {"csv_path": str(tmp_path / "recipes.csv"), "markdown_path": str(tmp_path / "recipes.md")}
    titles = {name: recipe.title for name, recipe in CONFIG.recipes.items()}
    write_recipe_tables([study("/no/such/model", readout_shards)], [120_000], titles=titles, **paths)
    table = pl.read_csv(paths["csv_path"])
    assert table["tokens"].null_count() == table.height
    page = (tmp_path / "recipes.md").read_text()
    assert "| Mix+ | 1 | 120,000 | 80,000 | 20,000 | 20,000 | 0 | 20,000 | 0 | 60,000 | – | – |" in page


def test_the_recipes_of_the_guide_are_sound() -> None:
    guide = (ROOT / "docs/training.md").read_text()
    blocks = [yaml.safe_load(block.partition("```")[0]) for block in guide.split("```yaml\n")[1:]]
    values = config_values()
    for block in blocks:
        values = merge(values, block)
    values["runs"] = [*values["runs"], {**config_values()["runs"][0], "recipes": ["align_projector_first"]}]
    config = load_config(values)
    assert config.recipes["align_projector_first"].phases[0].frozen == ("vision", "language")
    assert any(run.task == "tables" for run in config.all_runs())
