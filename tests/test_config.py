"""The config refuses what cannot be, in one line that says what to do; the shipped configs are sound."""

import json
from typing import Any

import pytest

from s2h.config import Config, load_config
from s2h.errors import ConfigError
from tests.shipped import ROOT, config_values, default_config, merge

MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"sedd": 1}, "unknown key 'sedd'. Did you mean 'seed'?"),
    ({"runs": [{"tasks": ["x"], "recipe": ["mix"]}]}, "Did you mean 'recipes'"),
    ({"tasks": {"grid_navigaton": {}}}, "Did you mean 'grid_navigation'?"),
    ({"tasks": {"consecutive_table_readout": {"levels": {"SIMPLE": {"path_lenght": [1, 2]}}}}}, "'path_length'"),
    ({"tasks": {"consecutive_table_readout": {"levels": {"HARD": {"path_length": [6, 99]}}}}}, "12 cells"),
    ({"models": {"tiny": {"training": {"learning_rat": 1}}}}, "Did you mean 'learning_rate'"),
    ({"models": {"tiny": {"training": {"learning_rate": -1}}}}, "models.tiny.training.learning_rate"),
    ({"models": {"mine": {"source": {"kind": "pretrained", "name": "./nowhere"}}}}, "./nowhere is not a model folder"),
    ({"models": {"a/b": config_values()["models"]["tiny"]}}, "becomes a folder"),
    ({"tasks": {"consecutive_table_readout": {"style": "paper"}}}, "reads the compact style only"),
    ({"tasks": {"grid_navigation": {"levels": {"SIMPLE": {"objects": [0, 1]}}}}}, "choose from 1 to 8"),
    ({"tasks": {"grid_navigation": {"levels": {"EASY": {}}}}}, "should be 'SIMPLE', 'MEDIUM' or 'HARD'"),
    ({"tasks": {"table_readout": {"rows": [5, 4]}}}, "[5, 4] runs backwards"),
    ({"tasks": {"table_readout": {"style": "paper", "rows": [5, 15]}}}, "at most 14 rows"),
    ({"tasks": {"table_readout": {"levels": {"HARD": {"turns": [11, 12]}}}}}, "has from 0 to 10 turns"),
    (
        {
            "recipes": {
                "mix": {"phases": [{"parts": [{"level": "SIMPLE", "format": "text", "share": 1, "chain": "fll"}]}]}
            }
        },
        "unknown chain 'fll'. Did you mean 'full'?",
    ),
]


@pytest.mark.parametrize(("change", "complaint"), MISTAKES)
def test_a_mistake_is_named_with_what_to_do(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(merge(config_values(), change))
    assert complaint in str(caught.value)
    assert all(line.startswith("config") for line in str(caught.value).splitlines())


@pytest.mark.parametrize(
    ("key", "names", "complaint"),
    [
        (
            "tasks",
            ["consecutive_readout"],
            "unknown task 'consecutive_readout'. Did you mean 'consecutive_table_readout'",
        ),
        ("recipes", ["mix_pluss"], "unknown recipe 'mix_pluss'. Did you mean 'mix_plus'"),
        ("models", ["tinny"], "unknown model 'tinny'. Did you mean 'tiny'"),
        (
            "budgets",
            [10**6],
            "raise tasks.consecutive_table_readout.levels.SIMPLE.train to 250000, or lower the budget",
        ),
    ],
)
def test_runs_must_be_possible(key: str, names: list[object], complaint: str) -> None:
    values = config_values()
    values["runs"][0][key] = names
    with pytest.raises(ConfigError) as caught:
        load_config(values)
    assert complaint in str(caught.value)


@pytest.mark.parametrize("overlays", [(), ("smoke",), ("paper",)])
def test_shipped_configs_are_sound(overlays: tuple[str, ...]) -> None:
    config = default_config(*overlays)
    assert config.all_runs()
    assert load_config(json.loads(config.model_dump_json())) == config


def test_every_recipe_and_task_is_smoked() -> None:
    config = default_config("smoke")
    assert {run.recipe for run in config.all_runs()} == set(config.recipes)
    assert {run.task for run in config.all_runs()} == set(type(config.tasks).model_fields)


def test_the_schema_file_is_that_of_the_code() -> None:
    """Mend with: python -m s2h.config > config/schema.json."""
    assert json.loads((ROOT / "config/schema.json").read_text()) == Config.model_json_schema()
