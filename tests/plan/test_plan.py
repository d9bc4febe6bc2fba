"""The plan: what jobs are given, from the shipped configs, without Snakemake."""

from __future__ import annotations

import functools
import math
import random
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from s2h.config import load_config
from s2h.models.settings import TrainingSettings
from s2h.overlays import merge, read_config, read_values
from s2h.paths import Paths
from s2h.phases import Phase
from s2h.plan.plan import Plan
from s2h.plan.stage import run_of
from s2h.training.job import PhaseSpec
from tests.shipped import ROOT

TASK = "consecutive_table_readout"
RECIPES = ["image", "mix", "mix_plus", "align_mix_plus"]
RUNS = [{"tasks": [TASK], "recipes": RECIPES, "budgets": [30000], "models": ["tiny"], "seeds": [0]}]


def plan_of(*overlays: str, **changes: Any) -> Plan:
    """The plan of shipped configs laid over each other, with changes on top; of the default with runs of its own."""
    runs = {} if overlays else {"runs": RUNS}
    return Plan(load_config(merge(read_values(*overlays), runs | changes)), ROOT / "workflow/scripts")


def run(**changes: Any) -> Any:
    """The wildcards of a job of a run."""
    names = {"task": TASK, "recipe": "align_mix_plus", "budget": "30000", "model": "tiny", "seed": "0"}
    return SimpleNamespace(**names | changes)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_of()


PATTERNS = [name for name, kind in vars(Paths).items() if isinstance(kind, property)]


@pytest.mark.parametrize("name", PATTERNS)
def test_every_path_lies_below_the_results_and_its_names_are_wildcards_of_the_rules(name: str, plan: Plan) -> None:
    pattern = getattr(Paths("elsewhere/results"), name)
    assert pattern.startswith("elsewhere/results/")
    assert set(re.findall(r"{(\w+)}", pattern)) <= plan.wildcard_constraints().keys()


def test_no_two_paths_are_the_same() -> None:
    found = [getattr(Paths("r"), name) for name in PATTERNS]
    assert len({re.sub(r"{\w+}", "{}", pattern) for pattern in found}) == len(found)


def test_wildcards_match_the_names_of_the_config_whole(plan: Plan) -> None:
    allowed = plan.wildcard_constraints()
    for name in (*plan.config.recipes, "align_mix"):
        assert bool(re.fullmatch(allowed["recipe"], name)) == (name in plan.config.recipes)
    assert not re.fullmatch(allowed["corpus"], "any")  # the default has none, and nothing matches


def test_shards_hold_what_is_asked_for_and_no_more(plan: Plan) -> None:
    puzzles = plan.config.task(TASK).levels["SIMPLE"].train
    assert len(plan.puzzles.shards(TASK, "SIMPLE", "train")) == math.ceil(puzzles / 5000)
    assert len(plan.puzzles.shards(TASK, "SIMPLE", "train", 5001)) == 2
    assert plan.puzzles.shards(TASK, "HARD", "eval") == [f"results/puzzles/{TASK}/HARD/eval/shard-00000.parquet"]


def test_a_mixture_draws_on_as_many_shards_as_its_phase_needs(plan: Plan) -> None:
    first, second = (plan.mixtures.shards(run(phase=phase)) for phase in "12")
    assert set(first[TASK]) == {"SIMPLE"}
    assert set(second[TASK]) == {"SIMPLE", "HARD"}
    assert plan.mixtures.shard_files(run(phase="2")) == [*second[TASK]["HARD"], *second[TASK]["SIMPLE"]]


def test_what_does_not_change_a_mixture_is_no_param_of_it(plan: Plan) -> None:
    changes = {"frozen": ["vision"], "training": {"learning_rate": 1e-4}}
    phases = [phase.model_dump(mode="json") | changes for phase in plan.config.recipes["align_mix_plus"].phases]
    changed = plan_of(recipes={"align_mix_plus": {"phases": phases}})
    assert changed.mixtures.settings(run(phase="1")) == plan.mixtures.settings(run(phase="1"))
    assert changed.training.spec(run(phase="1")) != plan.training.spec(run(phase="1"))


def test_each_phase_starts_from_the_one_before(plan: Plan) -> None:
    run_name = f"{TASK}/align_mix_plus/30000/tiny/0"
    assert plan.training.base(run(phase="1")) == f"results/base_models/{TASK}/tiny/0"
    assert plan.training.base(run(phase="2")) == f"results/models/{run_name}/phase-1"
    assert plan.scoring.model(run()) == f"results/models/{run_name}/phase-2"
    assert plan.training.models_of(run_of(run())) == [f"results/models/{run_name}/phase-{n}" for n in (1, 2)]


def test_the_spec_of_a_phase_is_what_the_trainer_reads(plan: Plan) -> None:
    spec = PhaseSpec.model_validate(plan.training.spec(run(phase="2")))
    assert spec.settings == plan.config.training(run_of(run()), 2)
    assert (spec.frozen, spec.optimizer_from, spec.leave_optimizer) == ((), None, False)


def test_a_kept_optimizer_is_left_by_one_phase_and_read_by_the_next() -> None:
    parts = [{"level": "SIMPLE", "format": "text", "share": 1}]
    recipe = {"title": "Kept", "phases": [{"parts": parts}, {"parts": parts, "optimizer": "kept"}]}
    plan = plan_of(recipes={"kept": recipe})
    first, second = (plan.training.spec(run(recipe="kept", phase=phase)) for phase in "12")
    assert (first["leave_optimizer"], second["leave_optimizer"]) == (True, False)
    assert first["optimizer_from"] is None
    assert second["optimizer_from"] == plan.training.checkpoints(run(recipe="kept", phase="1"))
    cached = [plan.training.is_cached(run(recipe="kept", phase=phase)) for phase in "12"]
    assert cached == [False, True]


def test_a_folder_of_the_users_is_no_input_and_a_model_of_the_hub_is(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    tiny = read_values()["models"]["tiny"]
    sources = {
        "mine": {"kind": "huggingface", "name": str(tmp_path), "max_pixels": 1000},
        "theirs": {"kind": "huggingface", "name": "organisation/model"},
        "asked": {"kind": "endpoint", "url": "http://localhost/v1", "name": "gpt"},
    }
    models = {name: {"source": source, "scoring": tiny["scoring"]} for name, source in sources.items()}
    runs = [{"tasks": [TASK], "recipes": ["untrained"], "budgets": [0], "models": list(models)}]
    plan = plan_of(models=models, runs=runs)
    jobs = {name: run(recipe="untrained", budget="0", model=name) for name in models}
    found = {name: (plan.scoring.model(job), plan.scoring.model_input(job)) for name, job in jobs.items()}
    assert found == {
        "mine": (str(tmp_path), []),
        "theirs": ("results/hub/theirs", ["results/hub/theirs"]),
        "asked": ("gpt", []),
    }
    assert plan.corpora.hub_models() == ["results/hub/theirs"]
    assert [plan.scoring.is_cached(job) for job in jobs.values()] == [True, True, False]


def pretrained(tmp_path: Path, base: str) -> Plan:
    """A plan with a model that is pretrained on a corpus, from ``base``."""
    (tmp_path / "chat.json").write_text("[]")
    tiny = read_values()["models"]["tiny"]
    phases = [{"corpus": "chat", "frozen": ["vision"]}, {"corpus": "chat", "epochs": 2}]
    source = {"kind": "pretrained", "base": base, "phases": phases, "seed": 3}
    runs = [{"tasks": [TASK], "recipes": ["mix"], "budgets": [600], "models": ["mine"]}]
    corpora = {"chat": {"annotations": str(tmp_path / "chat.json"), "shards": 2, "entries": 50}}
    return plan_of(models={"mine": {**tiny, "source": source}}, corpora=corpora, runs=runs)


def test_a_base_model_from_the_tiny_one_is_pretrained_for_each_task(tmp_path: Path) -> None:
    plan = pretrained(tmp_path, "tiny")
    first, second = (SimpleNamespace(origin=TASK, model="mine", seed="3", phase=phase) for phase in "12")
    folders = f"results/base_models/{TASK}/mine/3/phase-"
    assert plan.training.base(first) == f"results/base_models/{TASK}/tiny/3"
    assert plan.training.base(second) == f"{folders}1"
    assert plan.training.base(run(recipe="mix", budget="600", model="mine", phase="1")) == f"{folders}2"
    assert plan.training.base_models() == [f"{folders}2"]
    assert plan.training.corpus_shards(second) == [f"results/corpora/chat/shard-0000{n}.parquet" for n in (0, 1)]
    assert (plan.training.epochs(first), plan.training.epochs(second)) == (1, 2)


def test_a_base_model_from_a_folder_is_the_same_for_all_tasks(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    plan = pretrained(tmp_path, str(tmp_path))
    job = SimpleNamespace(origin="any", model="mine", seed="3", phase="1")
    assert (plan.training.base(job), plan.training.base_input(job)) == (str(tmp_path), [])
    assert plan.training.base_models() == ["results/base_models/any/mine/3/phase-2"]


SCENE = "results/puzzles/{}/SCENES/train/shard-00000.parquet"


def reading(*trained: str, **changes: Any) -> Plan:
    """A plan in which the tiny model writes 600 scenes down before it is trained on tasks."""
    source = {"phases": [{"scenes": 600}]}
    runs = [{"tasks": trained, "recipes": ["mix"], "budgets": [600], "models": ["tiny-reader"], "seeds": [0, 1]}]
    return plan_of(models={"tiny-reader": {"source": source}}, runs=runs, shard_size={"train": 500}, **changes)


def test_scenes_are_made_where_a_model_of_the_runs_is_pretrained_on_them(plan: Plan) -> None:
    reads, job = reading(TASK), SimpleNamespace(task=TASK, level="SCENES")
    for found in (plan.puzzles.sizes(TASK), plan.puzzles.checks(job), plan.puzzles.made_by(job)):
        assert found.keys() == {"SIMPLE", "HARD"}
    assert reads.puzzles.sizes(TASK)["SCENES"] == {"train": 600, "eval": 0}
    assert len(reads.puzzles.checks(job)["SCENES"]["train"]) == 2
    assert reads.puzzles.checks(job)["SCENES"]["eval"] == []
    assert "SCENES" in reads.puzzles.made_by(job)
    assert reads.puzzles.gallery_shards()[TASK]["SCENES"] == SCENE.format(TASK)
    assert reads.puzzles.sizes("table_readout").keys() == {"SIMPLE", "HARD"}
    assert "SCENES" not in reads.puzzles.eval_sizes(TASK)
    assert re.fullmatch(reads.wildcard_constraints()["level"], "SCENES")


def test_all_recipes_and_seeds_start_from_one_base_that_has_read_scenes() -> None:
    plan, base = reading(TASK), SimpleNamespace(origin=TASK, model="tiny-reader", seed="0", phase="1")
    folder = f"results/base_models/{TASK}/tiny-reader/0/phase-1"
    assert plan.training.base_models() == [folder]
    assert {plan.training.run_phase(each, 1).base for each in plan.config.all_runs()} == {folder}
    assert plan.training.base_mixture(base) == f"results/mixtures/{TASK}/tiny-reader/0/scenes-1.parquet"
    assert plan.training.base_shards(base) == plan.mixtures.shard_files(base)
    assert plan.mixtures.shard_files(base)[0] == SCENE.format(TASK)
    planned = plan.training.planned(base)
    assert (planned.examples, planned.conversations, planned.settings.on_overlength) == (600, 0, "error")


def test_tasks_that_are_trained_together_share_the_scenes() -> None:
    tasks = {name: {"image_side": 96} for name in (TASK, "table_readout")}
    plan = reading("tables", task_mixtures={"tables": list(tasks)}, tasks=tasks)
    base = SimpleNamespace(origin="tables", model="tiny-reader", seed="0", phase="1")
    assert {plan.config.scenes(task) for task in tasks} == {300}
    assert sorted(plan.mixtures.shard_files(base)) == sorted(SCENE.format(task) for task in tasks)
    assert plan.training.planned(base).examples == 600


def test_a_model_from_a_folder_reads_the_scenes_of_each_task(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    source = {"kind": "pretrained", "base": str(tmp_path), "phases": [{"scenes": 900, "epochs": "3/2"}]}
    model = read_values("paper")["models"]["qwen2.5-vl-3b"] | {"source": source}
    runs = [{"tasks": [TASK, "table_readout"], "recipes": ["mix"], "budgets": [600], "models": ["mine"]}]
    plan = plan_of("paper", models={"mine": model}, runs=runs)
    folders = [f"results/base_models/{task}/mine/0/phase-1" for task in (TASK, "table_readout")]
    assert plan.training.base_models() == folders
    assert plan.config.scenes(TASK) == 900
    base = SimpleNamespace(origin=TASK, model="mine", seed="0", phase="1")
    assert plan.training.base(base) == str(tmp_path)
    assert plan.training.planned(base).examples == 1350


def test_recipes_and_base_models_are_trained_by_one_spec(tmp_path: Path) -> None:
    plan = pretrained(tmp_path, "tiny")
    base = plan.training.planned(SimpleNamespace(origin=TASK, model="mine", seed="3", phase="1"))
    mine = plan.training.planned(run(recipe="mix", budget="600", model="mine", phase="1"))
    assert type(base) is type(mine)
    assert isinstance(base.phase, Phase)
    assert isinstance(mine.phase, Phase)
    assert base.settings == TrainingSettings.model_validate(
        mine.settings.model_dump() | {"on_overlength": "truncate", "snapshots": 0, "random_positions": 0}
    )
    assert (base.conversations, mine.conversations) == (50, 0)


def test_what_a_job_asks_for_grows_with_each_attempt(plan: Plan) -> None:
    asked = plan.training.requested
    job = run(phase="1")
    assert asked.mem_mb(job, 3) == 3 * asked.mem_mb(job, 1)
    assert (asked.cores(job), asked.gpus(job), asked.gres(job), asked.nodes(job)) == (1, 0, "", 1)
    assert asked.steps("mpi")(job) is None


def test_a_job_on_several_nodes_starts_its_own_steps() -> None:
    plan = plan_of("paper", models={"qwen2.5-vl-7b": {"resources": {"nodes": 2}}})
    asked, job = plan.training.requested, run(budget="120000", model="qwen2.5-vl-7b", phase="1")
    assert asked.gres(job) == "gpu:8"
    assert [asked.steps(name)(job) for name in ("tasks", "tasks_per_gpu", "mpi")] == [2, 0, "srun"]


def test_alignment_is_measured_where_snapshots_are_kept_and_both_levels_evaluated(plan: Plan) -> None:
    recipes = {path.split("/")[3] for path in plan.alignment.files()}
    assert recipes == {each.recipe for each in plan.config.all_runs()}
    levels = {"HARD": {"eval": 0}}
    assert plan_of(tasks={TASK: {"levels": levels}}).alignment.files() == []
    assert plan_of(models={"tiny": {"training": {"snapshots": 0}}}).alignment.files() == []


def test_nothing_is_removed_unless_the_config_asks_for_it(plan: Plan) -> None:
    assert plan.weights.removals() == []
    assert len(plan_of(keep_weights="last_phase").weights.removals()) == len(plan.config.all_runs())


def test_the_paper_is_told_what_it_takes_of_the_disk() -> None:
    lines = plan_of("paper", results="nowhere/paper").weights.disk_report()
    assert lines[0].startswith("s2h: this study keeps 128 trained models, about 1.08 TB")
    assert plan_of().weights.disk_report() == []


def test_a_mistake_in_the_config_ends_the_program_with_its_place() -> None:
    with pytest.raises(SystemExit, match="Did you mean 'results'"):
        Plan.open(read_values() | {"result": "x"}, ROOT)


def shuffled(values: Any, rng: random.Random) -> Any:
    """The same values, every mapping in another order."""
    if isinstance(values, dict):
        return {key: shuffled(values[key], rng) for key in rng.sample(list(values), len(values))}
    return [shuffled(each, rng) for each in values] if isinstance(values, list) else values


def cut_up(values: dict[str, Any], rng: random.Random, pieces: int) -> list[dict[str, Any]]:
    """Mappings that give the values again when they are laid over each other; lists stay whole."""
    found: list[dict[str, Any]] = [{} for _ in range(pieces)]
    for key, value in values.items():
        if isinstance(value, dict) and value:
            for piece, part in zip(found, cut_up(value, rng, pieces), strict=True):
                piece.update({key: part} if part else {})
        else:
            rng.choice(found)[key] = value
    return found


def as_words(values: Any) -> Any:
    """The same values as Snakemake reads them from ``--config``, numbers below the top as text."""
    if isinstance(values, dict):
        return {key: as_words(value) for key, value in values.items()}
    if isinstance(values, list):
        return [as_words(value) for value in values]
    return values if isinstance(values, bool) or values is None else str(values)


def params(plan: Plan) -> str:
    """What jobs of every stage are given, in the order in which Snakemake compares it."""
    alone = SimpleNamespace(task=TASK, level="HARD", split="eval", shard="00000", table="difficulty", model="tiny")
    base = SimpleNamespace(origin=TASK, model="tiny-reader", seed="0", phase="1")
    job, second = run(model="tiny-reader"), run(phase="2")
    return str(
        [
            *(plan.puzzles.level_settings(alone), plan.puzzles.made_by(alone), plan.puzzles.whole_settings(alone)),
            *(plan.puzzles.checks(alone), plan.puzzles.gallery_shards()),
            *(plan.mixtures.shards(second), plan.mixtures.settings(second)),
            *(plan.training.spec(second), plan.training.spec(base), plan.training.tiny_settings(alone)),
            *(plan.training.tiny_tasks(second), plan.scoring.asked(job), plan.scoring.model_settings(job)),
            *(plan.scoring.external_evals(job), plan.report.recipe_titles(), plan.report.recipe_studies()),
            *(plan.report.table_settings(alone), plan.report.run_names(), plan.report.shown_config()),
        ]
    )


OF_EVERY_KIND = {
    "external_evals": {
        name: {"url": "https://a.b/c", "sha256": "0" * 64, "task": TASK, "level": "HARD", "modality": "text"}
        for name in ("second", "first")
    },
    "task_mixtures": {"tables": ["table_readout", TASK]},
    "models": {
        "tiny-reader": {
            "source": {"phases": [{"scenes": 600, "training": {"weight_decay": 0.5, "learning_rate": 0.125}}]}
        }
    },
    "recipes": {
        "align_mix_plus": {
            "phases": [
                {"parts": [{"format": "text", "level": "SIMPLE", "share": "1"}], "training": {"save_steps": 5}},
                {
                    "parts": [{"share": 1, "level": "SIMPLE", "format": "text"}],
                    "training": {"weight_decay": 0.5, "learning_rate": 0.125},
                },
            ]
        }
    },
}


@pytest.mark.parametrize("seed", range(8))
def test_params_depend_neither_on_the_order_of_keys_nor_on_how_files_are_cut(seed: int) -> None:
    rng = random.Random(seed)
    values = merge(read_values(), {"runs": RUNS, **OF_EVERY_KIND})
    *files, words = cut_up(shuffled(values, rng), rng, pieces=4)
    pieces = [*(shuffled(each, rng) for each in files), as_words(words)]
    again = functools.reduce(merge, pieces, {})
    scripts = ROOT / "workflow/scripts"
    assert params(Plan(load_config(again), scripts)) == params(Plan(load_config(values), scripts))


def test_tables_list_simple_recipes_before_complex_ones(plan: Plan) -> None:
    shown = ["untrained", "image", "text", "image_text", "mix", "mix_plus", "align_mix_plus"]
    assert [name for name in plan.report.recipe_titles() if name in shown] == shown


def test_planning_imports_no_torch() -> None:
    code = (
        "import sys; from tests.plan.test_plan import plan_of, run; plan = plan_of();"
        "job = run(phase='1'); plan.training.tiny_code(job); plan.scoring.code_of(job);"
        "plan.code = plan.training.code('train_phase', 's2h.training.trainer', 's2h.models.eagle.assembly');"
        "sys.exit(bool({'torch', 'transformers'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_every_run_of_every_shipped_config_is_planned() -> None:
    for overlays in ((), ("paper",), ("sweep",), ("smoke",)):
        plan = plan_of(*overlays)
        for each in plan.config.all_runs():
            assert plan.training.final(each).startswith("results/")
            assert len(plan.training.run_phases(each)) == len(plan.config.recipes[each.recipe].phases)
    assert read_config().results == "results"


def test_each_conversion_has_images_decoded_once_more_and_is_no_other_run() -> None:
    plain = plan_of()
    asked = plan_of(runs=[plain.config.runs[0].model_dump(mode="json") | {"conversions": ["forbidden", "forced"]}])
    assert plain.scoring.conversions(run()) == []
    assert asked.scoring.conversions(run()) == ["forced", "forbidden"]
    assert asked.scoring.evaluation(run()) == plain.scoring.evaluation(run())
    assert asked.scoring.model_settings(run()) == plain.scoring.model_settings(run())
    assert asked.config.all_runs() == plain.config.all_runs()
