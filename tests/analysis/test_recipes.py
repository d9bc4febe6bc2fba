"""The recipes' table: exact in examples and puzzles, near in tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from s2h.analysis.recipes import SCHEMA, RecipeStudy, recipe_rows, write_recipe_tables
from s2h.config import load_config
from s2h.models.loading import load_processor
from s2h.overlays import merge, read_config, read_values
from s2h.supervision.examples import Mixture
from s2h.supervision.mixture import write_mixture
from s2h.supervision.recipes import count, examples_seen
from s2h.tokenisation.encoding import ExampleEncoder
from s2h.tokenisation.lengths import count_tokens
from tests.analysis.generated import ENDINGS
from tests.shipped import ROOT

CONFIG = read_config()
FITTING = CONFIG.fitting_recipes("consecutive_table_readout")


def study(processor: str, shards: dict[str, list[str]]) -> RecipeStudy:
    return RecipeStudy.of(
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
    other_chains = {"mix_plus_template", "mix_plus_order", "mix_plus_value"}
    assert set(FITTING).isdisjoint({"mix_plus_medium", "untrained", *other_chains})
    assert set(FITTING) >= {"text", "image", "mix", "mix_plus", "align_mix_plus", "mix_plus_internalised"}
    paper = set(read_config("paper").fitting_recipes("visual_analogy"))
    assert paper.isdisjoint({"mix_plus_medium", "untrained"})
    assert paper >= other_chains


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
        lengths = count_tokens(mixture, ExampleEncoder(load_processor(tiny_model)))
        found = rows.filter(recipe=name, budget=36)
        assert found["tokens"].sum() == pytest.approx(int(lengths.tokens.sum()), rel=0.1)
        assert found["target_tokens"].sum() == pytest.approx(int(lengths.targets.sum()), rel=0.15)


def _write(studies: list[RecipeStudy], folder: Path, titles: dict[str, str]) -> tuple[pl.DataFrame, str]:
    paths = {kind: str(folder / f"recipes.{end}") for kind, end in ENDINGS.items()}
    task_titles = {"consecutive_table_readout": "Consecutive Table Readout"}
    write_recipe_tables(studies, [120_000], paths, recipe_titles=titles, task_titles=task_titles)
    assert pl.read_parquet_schema(paths["parquet"]) == SCHEMA
    assert (r"\label{tab:recipes-1}" in Path(paths["latex"]).read_text()) == bool(studies)
    return pl.read_csv(paths["csv"]), Path(paths["markdown"]).read_text()


def test_a_study_that_trains_nothing_has_no_recipes(tmp_path: Path) -> None:
    table, page = _write([], tmp_path, {})
    assert table.is_empty()
    assert "No recipe of this study trains anything." in page


def test_without_the_processor_all_else_is_told(readout_shards: dict[str, list[str]], tmp_path: Path) -> None:
    titles = {name: recipe.title for name, recipe in CONFIG.recipes.items()}
    table, page = _write([study("/no/such/model", readout_shards)], tmp_path, titles)
    assert table["tokens"].null_count() == table.height
    assert "## Consecutive Table Readout\n\n### tiny, budget 120,000\n" in page
    assert "| Mix+ | 1 | 120,000 | 80,000 | 20,000 | 20,000 | 0 | 20,000 | 0 | 60,000 | – | – |" in page


def test_the_recipes_of_the_guide_are_sound() -> None:
    guide = (ROOT / "docs/training.md").read_text()
    blocks = [yaml.safe_load(block.partition("```")[0]) for block in guide.split("```yaml\n")[1:]]
    values = read_values()
    for block in blocks:
        values = merge(values, block)
    values["trackers"] = []  # their packages are the reader's
    values["runs"] = [*values["runs"], {**read_values()["runs"][0], "recipes": ["align_projector_first"]}]
    config = load_config(values)
    assert config.recipes["align_projector_first"].phases[0].frozen == ("vision", "language")
    assert any(run.task == "tables" for run in config.all_runs())
