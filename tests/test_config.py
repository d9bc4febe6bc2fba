"""The config refuses what cannot be, in one line that says what to do; the shipped configs are sound."""

import copy
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from s2h.config import load_config
from s2h.errors import ConfigError
from s2h.overlays import merge, read_config, read_values
from s2h.supervision.formats import FORMATS, FULL, INTERNALISED
from tests.shipped import PAPER_TASKS

MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"sedd": 1}, "unknown key 'sedd'. Did you mean 'seed'?"),
    ({"results": "README.md"}, "README.md is a file: name a folder"),
    ({"runs": [{"tasks": ["x"], "recipe": ["mix"]}]}, "Did you mean 'recipes'"),
    ({"tasks": {"grid_navigaton": {}}}, "Did you mean 'grid_navigation'?"),
    ({"tasks": {"consecutive_table_readout": {"levels": {"SIMPLE": {"path_lenght": [1, 2]}}}}}, "'path_length'"),
    ({"tasks": {"consecutive_table_readout": {"levels": {"HARD": {"path_length": [6, 99]}}}}}, "12 cells"),
    ({"models": {"tiny": {"training": {"learning_rat": 1}}}}, "Did you mean 'learning_rate'"),
    ({"models": {"tiny": {"training": {"learning_rate": -1}}}}, "models.tiny.training.learning_rate"),
    ({"models": {"mine": {"source": {"kind": "huggingface", "name": "./nowhere"}}}}, "./nowhere is not a model folder"),
    ({"trackers": ["wandb", "trackio"]}, "not installed where the training runs: pip install wandb trackio"),
    ({"trackers": ["tensorbord"]}, "expected 'wandb', 'mlflow' or 'trackio', found 'tensorbord'"),
    ({"models": {"a/b": read_values()["models"]["tiny"]}}, "becomes a folder"),
    ({"tasks": {"consecutive_table_readout": {"style": "paper"}}}, "reads the compact style only"),
    ({"tasks": {"grid_navigation": {"levels": {"SIMPLE": {"objects": [0, 1]}}}}}, "choose from 1 to 8"),
    (
        {"tasks": {"grid_navigation": {"levels": {"EASY": {}}}}},
        "levels.EASY: unknown name 'EASY'. Known: HARD, MED",
    ),
    ({"tasks": {"table_readout": {"rows": [5, 4]}}}, "rows: a range is [smallest, largest], but [5, 4] runs backwards"),
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
    (
        {"external_evals": {"x": {"path": "no.tsv", "task": "table_readout", "level": "HARD"}}},
        "there is no file no.tsv",
    ),
    (
        {
            "external_evals": {
                "x": {"url": "https://a.b/c", "task": "table_readout", "level": "HARD", "modality": "text"}
            }
        },
        "give either path, or url and sha256",
    ),
    (
        {"models": {"mine": {"source": {"kind": "released_eagle", "name": "./nowhere"}}}},
        "Give a folder that holds a released Eagle-X2",
    ),
    ({"external_evals": {"x": {"path": "README.md", "task": "table_readot"}}}, "Did you mean 'table_readout'"),
    (
        {"models": {"tiny": {"source": {"kind": "endpoint", "url": "http://a", "name": "b"}}}},
        "a model of kind endpoint is not trained here: omit training",
    ),
    (
        {"models": {"m": {"source": {"kind": "endpoint", "url": "a", "name": "b"}, "scoring": {}}}},
        "models.m.source.url",
    ),
    (
        {"models": {"tiny-reader": {"source": {"phases": [{"scenes": 9, "order": "sequential"}]}}}},
        "budget and order have no effect in a phase without parts",
    ),
    (
        {"models": {"tiny-reader": {"source": {"phases": [{"scenes": 0}]}}}},
        "phases[0].scenes: expected 1 or more",
    ),
    (
        {"recipes": {"mix": {"phases": [{"parts": [{"level": "SCENES", "format": "image_to_text", "share": 1}]}]}}},
        "phase 1 has a part on SCENES: recipes train on puzzles, and base models on scenes",
    ),
    ({"models": {"tiny": {"scoring": {"batch_size": "atuo"}}}}, "models.tiny.scoring.batch_size"),
    ({"models": {"tiny": {"scoring": {"backend": "vllm"}}}}, "needs a GPU: set resources.decoding_gpus to 1 or more"),
]


@pytest.mark.parametrize(("change", "complaint"), MISTAKES)
def test_a_mistake_is_named_with_what_to_do(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(merge(read_values(), change))
    assert complaint in str(caught.value)
    assert all(line.startswith("config") for line in str(caught.value).splitlines())


JOINT: list[tuple[dict[str, Any], str]] = [
    ({"task_mixtures": {"mine": ["table_readout", "grid_navigaton"]}}, "Did you mean 'grid_navigation'"),
    ({"task_mixtures": {"mine": ["table_readout"]}}, "name two different tasks or more"),
    ({"task_mixtures": {"table_readout": ["table_readout", "grid_navigation"]}}, "a name of their own"),
    ({"task_mixtures": {"mine": ["table_readout", "visual_analogy"]}}, "set the same tasks.*.image_side"),
]


@pytest.mark.parametrize(("change", "complaint"), JOINT)
def test_tasks_that_are_trained_together_must_fit(change: dict[str, Any], complaint: str) -> None:
    runs = [{"tasks": ["mine"], "recipes": ["mix"], "budgets": [60], "models": ["tiny"], "seeds": [0]}]
    with pytest.raises(ConfigError) as caught:
        load_config(merge(read_values(), change | {"runs": runs}))
    assert complaint in str(caught.value)


def test_a_phase_may_change_the_training_and_says_what_it_gets_wrong() -> None:
    phases = read_values()["recipes"]["mix"]["phases"]
    changed = {"recipes": {"mix": {"phases": [phases[0] | {"training": {"learning_rate": 0.5}}]}}}
    config = load_config(merge(read_values(), changed))
    run = next(run for run in config.all_runs() if run.recipe == "mix")
    assert config.training(run, 1).learning_rate == 0.5
    assert config.training(run, 1).batch_size == config.models["tiny"].training.batch_size
    wrong = {"recipes": {"mix": {"phases": [phases[0] | {"training": {"learning_rat": 0.5}}]}}}
    with pytest.raises(ConfigError, match=r"recipes\.mix\.phases\[0\]\.training\.learning_rat: .*'learning_rate'"):
        load_config(merge(read_values(), wrong))


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
            "raise tasks.consecutive_table_readout.levels.SIMPLE.train to 500000, or lower the budget",
        ),
        ("budgets", [-5], "runs[0].budgets[0]: expected 0 or more, found -5"),
        ("budgets", [0], "trains, but its budget is 0: give it the number of training examples"),
        ("seeds", [-1], "runs[0].seeds[0]: expected 0 or more, found -1"),
    ],
)
def test_runs_must_be_possible(key: str, names: list[object], complaint: str) -> None:
    values = read_values()
    values["runs"][0][key] = names
    with pytest.raises(ConfigError) as caught:
        load_config(values)
    assert complaint in str(caught.value)


@pytest.mark.parametrize("overlays", [(), ("smoke",), ("paper",), ("paper", "released")])
def test_shipped_configs_are_sound(overlays: tuple[str, ...]) -> None:
    config = read_config(*overlays)
    assert config.all_runs()
    assert load_config(json.loads(config.model_dump_json())) == config


def test_a_model_that_is_not_trained_takes_recipes_without_phases_alone() -> None:
    source = {"kind": "endpoint", "url": "http://localhost:8000/v1", "name": "m"}
    change = {"models": {"served": {"source": source, "scoring": {"max_new_tokens": 9}}}}
    runs = {"tasks": ["table_readout"], "recipes": ["untrained"], "budgets": [0], "models": ["served"], "seeds": [0]}
    assert load_config(merge(read_values(), change | {"runs": [runs]})).all_runs()
    wrong = runs | {"recipes": ["mix"], "budgets": [30]}
    with pytest.raises(ConfigError, match=r"models.served has no training: .*trains nothing \(untrained\)"):
        load_config(merge(read_values(), change | {"runs": [wrong]}))


RUNS = {"tasks": ["consecutive_table_readout"], "budgets": [30], "models": ["tiny"], "seeds": [0]}
READ_ELSEWHERE = {"source": {"kind": "vlmeval", "name": "GPT4o"}, "scoring": {"max_new_tokens": 9}}


def test_a_run_has_the_conversions_of_every_grid_that_lists_it() -> None:
    grids = [
        RUNS | {"recipes": ["mix", "image"]},
        RUNS | {"recipes": ["mix"], "conversions": ["forbidden"]},
        RUNS | {"recipes": ["mix"], "conversions": ["forced"], "seeds": [0, 1]},
    ]
    config = load_config(merge(read_values(), {"runs": grids}))
    found = {(run.recipe, run.seed): config.conversions(run) for run in config.all_runs()}
    assert found == {("image", 0): [], ("mix", 0): ["forced", "forbidden"], ("mix", 1): ["forced"]}


def test_a_run_is_asked_in_the_modalities_of_every_grid_that_lists_it() -> None:
    grids = [
        RUNS | {"recipes": ["mix", "image"], "modalities": ["image"]},
        RUNS | {"recipes": ["mix"], "modalities": ["text"]},
        RUNS | {"recipes": ["text"]},
    ]
    config = load_config(merge(read_values(), {"runs": grids}))
    found = {run.recipe: config.modalities(run) for run in config.all_runs()}
    assert found == {"image": ["image"], "mix": ["text", "image"], "text": ["text", "image"]}


def test_results_may_lie_below_the_home_folder() -> None:
    config = load_config(merge(read_values(), {"results": "~/study/"}))
    assert config.results == str(Path("~/study").expanduser())


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"recipes": ["mix"], "modalities": ["text"]}, "conversions are of images"),
        ({"recipes": ["mix"], "conversions": ["free"]}, "expected 'forced' or 'forbidden', found 'free'"),
        ({"recipes": ["mix_plus_convert_tokens"]}, "mix_plus_convert_tokens has convert_tokens in place of the"),
        ({"recipes": ["untrained"], "models": ["elsewhere"]}, "models.elsewhere is a model of VLMEvalKit, in which no"),
    ],
)
def test_conversions_that_cannot_be_are_refused(change: dict[str, Any], complaint: str) -> None:
    runs = [RUNS | {"conversions": ["forced"]} | change]
    with pytest.raises(ConfigError) as caught:
        load_config(merge(read_values(), {"models": {"elsewhere": READ_ELSEWHERE}, "runs": runs}))
    assert complaint in str(caught.value)


def test_every_task_and_kind_of_recipe_is_smoked() -> None:
    config = read_config("smoke")
    recipes = [config.recipes[run.recipe] for run in config.all_runs()]
    parts = [part for recipe in recipes for phase in recipe.phases for part in phase.parts]
    assert {part.format for part in parts} == set(FORMATS)
    assert {part.level for part in parts} == {"SIMPLE", "MEDIUM", "HARD"}
    assert {part.chain for part in parts} >= {FULL, INTERNALISED}
    assert {len(recipe.phases) for recipe in recipes} == {0, 1, 2}
    assert {run.task for run in config.all_runs()} >= {*PAPER_TASKS, "every_task"}
    assert {way for run in config.all_runs() for way in config.conversions(run)} == {"forced", "forbidden"}


SERVED = {"scoring": {"max_new_tokens": 9, "backend": "vllm"}, "resources": {"decoding_gpus": 1}}


def test_vllm_is_looked_for_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    values = merge(read_values(), {"models": {"tiny-reader": SERVED}})
    monkeypatch.setenv("S2H_VLLM", "/no/vllm")
    with pytest.raises(
        ConfigError,
        match=r"^config: models\.tiny-reader\.scoring\.backend: there is no program vllm, which scoring.back",
    ):
        load_config(values)
    monkeypatch.setenv("S2H_VLLM", "/bin/sh")
    load_config(values)


def test_vllm_is_not_needed_where_no_run_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S2H_VLLM", "/no/vllm")
    load_config(merge(read_values(), {"models": {"other": read_values()["models"]["tiny"] | SERVED}}))


@pytest.mark.parametrize("name", ["results/models/mix/phase-1", "organisation/mine", "mine"])
def test_a_folder_that_is_there_is_a_model_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / name).mkdir(parents=True)
    (tmp_path / name / "config.json").write_text("{}")
    mine = {"source": {"kind": "huggingface", "name": name}, "scoring": {"max_new_tokens": 9}}
    values = merge(read_values(), {"models": {"mine": mine}})
    monkeypatch.chdir(tmp_path)
    catalog = load_config(values).catalog
    assert catalog.folder("mine", task="table_readout", seed=0) == name
    assert not catalog.downloads({"mine"})


def test_a_path_without_a_folder_is_no_name_of_the_hub() -> None:
    mine = {"source": {"kind": "huggingface", "name": "results/models/mix/phase-1"}, "scoring": {"max_new_tokens": 9}}
    with pytest.raises(ConfigError, match="results/models/mix/phase-1 is not a model folder"):
        load_config(merge(read_values(), {"models": {"mine": mine}}))


def test_vllm_has_no_eagle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S2H_VLLM", "/bin/sh")
    (tmp_path / "config.json").write_text("{}")
    eagle = {"source": {"kind": "released_eagle", "name": str(tmp_path)}, "scoring": {"max_new_tokens": 9}}
    eagle["scoring"]["backend"] = "vllm"
    run = {"tasks": ["table_readout"], "recipes": ["untrained"], "budgets": [0], "models": ["eagle"]}
    with pytest.raises(ConfigError, match=r"models\.eagle\.scoring\.backend: vllm has no Eagle-X2"):
        load_config(merge(read_values(), {"models": {"eagle": eagle}, "runs": [run]}))


def test_the_order_in_which_levels_are_laid_over_each_other_changes_no_setting() -> None:
    values = read_values()
    turned = copy.deepcopy(values)
    for task in turned["tasks"].values():
        for key in ("levels", "held_out"):
            if key in task:
                task[key] = dict(reversed(task[key].items()))
    assert str(load_config(turned).model_dump()["tasks"]) == str(load_config(values).model_dump()["tasks"])


def test_the_frontier_is_planned_once_names_and_prices_are_filled_in() -> None:
    with pytest.raises(ConfigError, match=r"frontier\.yaml:\d+:\d+: models\.openai\.source\.name: this key is missing"):
        read_config("paper", "frontier")
    values = read_values("paper", "frontier")
    endpoints = ("openai", "anthropic", "google")
    named = merge(values, {"models": {name: {"source": {"name": "m"}} for name in endpoints}})
    with pytest.raises(ConfigError, match=r"models\.openai\.source\.spending_limit: spending_limit needs a price"):
        load_config(named)
    price = {"price": {"input": 1, "output": 2}}
    config = load_config(merge(named, {"models": {name: {"source": price} for name in endpoints}}))
    assert {(run.model, run.task) for run in config.all_runs()} == set(itertools.product(endpoints, PAPER_TASKS))
