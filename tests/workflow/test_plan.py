"""What Snakemake plans: nothing twice, only what changed, and a clear word for a user's mistake.

One real run of a small study is made first; each test changes one thing and reads Snakemake's own plan (a dry run).
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from s2h.analysis.table_registry import TABLES
from s2h.overlays import read_values
from s2h.provenance.lineage import verify
from s2h.puzzles.record import SCHEMA
from tests import forked
from tests.plan.test_plan import as_words, cut_up, shuffled
from tests.shipped import ROOT
from tests.workflow.study import RUNS, TASKS, configure, environment, snakemake
from tests.workflow.study import run as in_shell


def proves(row: str) -> Callable[[Any], Any]:
    """Say which row of the table in docs/architecture.md a test here proves."""

    def mark(test: Any) -> Any:
        test.proves = row
        return test

    return mark


def plan(study: Path, *words: str) -> Counter[str]:
    """Jobs of a dry run for the summary, or for what is named, by rule and, where it has one, task."""
    targets = [word for word in words if re.search("/(tables|figures|tsv)/", word)] or ["results/tables/summary.csv"]
    run = snakemake(study, "-n", "--nolock", *targets, *(word for word in words if word not in targets))
    assert run.returncode == 0, run.stdout + run.stderr
    found: Counter[str] = Counter()
    for line in re.findall(r"^Job \d+: (.+)$", run.stdout + run.stderr, re.MULTILINE):
        rule = " ".join(line.split()[:2]).rstrip(":")
        task = next((t for t in TASKS if t in line), "")
        found[f"{rule} {task}".strip()] += 1
    return found


@pytest.fixture
def study(finished: Path) -> Iterator[Path]:
    """The finished study; what a test changes in it is put back."""
    yield finished
    for folder in ("src", "config", "workflow", "envs"):
        shutil.copytree(ROOT / folder, finished / folder, dirs_exist_ok=True)
    configure(finished, {})


def test_the_table_and_every_intermediate_are_there(finished: Path) -> None:
    table = pl.read_csv(finished / "results/tables/summary.csv")
    assert set(table.columns) >= {
        "task", "recipe", "model", "seed", "level", "modality", "n", "accuracy", "ci_low", "ci_high",
    }  # fmt: skip
    sets = table.group_by("task").len().sort("task").rows()
    assert sets == [("consecutive_table_readout", 6), ("grid_navigation", 4)]
    assert (table["ci_low"] <= table["accuracy"]).all()
    shard = finished / "results/puzzles/grid_navigation/HARD/eval/shard-00000.parquet"
    assert pl.read_parquet_schema(shard).keys() == set(SCHEMA.names)
    run = "consecutive_table_readout/align_mix_plus/48/tiny/0"
    assert (finished / f"results/models/{run}/phase-2/model.safetensors").is_file()
    assert (finished / f"results/scores/{run}.parquet").is_file()
    assert (finished / "results/mixtures/grid_navigation/align_mix_plus/48/0/phase-1.parquet").is_file()


def test_the_second_phase_starts_from_the_first_ones_weights(finished: Path) -> None:
    manifest = finished / "results/models/grid_navigation/align_mix_plus/48/tiny/0/phase-2/manifest.json"
    assert yaml.safe_load(manifest.read_text())["base"].endswith("align_mix_plus/48/tiny/0/phase-1")


def test_every_table_and_the_pages_of_failures_are_made(study: Path) -> None:
    run = "grid_navigation/align_mix_plus/48/tiny/0"
    done = snakemake(study, "tables", f"results/failures/{run}.html")
    assert done.returncode == 0, done.stderr[-4000:]
    assert "s2h: the table is results/tables/summary.md, " in done.stderr
    assert "s2h: all tables, figures and pages: snakemake --configfile " in done.stderr
    for name in (*TABLES, "recipes"):
        table = pl.read_parquet(study / f"results/tables/{name}.parquet")
        assert pl.read_csv(study / f"results/tables/{name}.csv", infer_schema=False).columns == table.columns
        assert (study / f"results/tables/{name}.tex").read_text().startswith("%")
    assert "Grid Navigation" in (study / f"results/failures/{run}.html").read_text()


def test_every_result_has_a_record_and_no_lock_or_part_is_left(finished: Path) -> None:
    found = verify(finished / "results")
    assert found.whole > 40
    assert (found.unrecorded, found.damaged, found.stale) == ([], {}, {})
    assert {path.suffix for path in (finished / "results/provenance").rglob("*") if path.is_file()} == {".json"}


@proves("nothing")
def test_a_second_run_does_nothing(study: Path) -> None:
    run = snakemake(study, "results/tables/summary.csv")
    assert run.returncode == 0
    assert "Nothing to be done" in run.stdout + run.stderr


def test_the_order_of_keys_and_the_cut_into_files_change_nothing(study: Path) -> None:
    rng = random.Random(0)
    whole = yaml.safe_load((study / "config/small.yaml").read_text())
    first, second, rest = cut_up(shuffled(whole, rng), rng, pieces=3)
    for name, values in {"first": first, "second": second}.items():
        (study / f"config/{name}.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    words = [f"{key}={json.dumps(as_words(value))}" for key, value in rest.items()]
    assert len(words) > 1
    files = ["config/first.yaml", "config/second.yaml"]
    command = ["-n", "results/tables/summary.csv", "--configfile", *files, "--config", *words]
    run = forked.python("snakemake", *command, folder=study, environments=[environment(study)])
    assert "Nothing to be done" in run.stdout + run.stderr, run.stdout + run.stderr


@proves("a task's code or settings")
def test_a_change_in_one_tasks_code_remakes_that_task_alone(study: Path) -> None:
    module = study / "src/s2h/puzzles/grid_navigation.py"
    module.write_text(module.read_text() + "\n\nCHANGED = True\n")
    planned = plan(study)
    assert planned["make puzzles grid_navigation"] == 6
    assert planned["check puzzles grid_navigation"] == 6
    assert planned["measure baselines grid_navigation"] == 1
    assert planned["train align_mix_plus grid_navigation"] == 2
    assert not any("consecutive_table_readout" in job for job in planned)


@proves("the tiny model's code")
def test_a_change_in_the_tiny_models_code_remakes_base_models_and_no_puzzles(study: Path) -> None:
    module = study / "src/s2h/models/tiny.py"
    module.write_text(module.read_text() + "\n\nCHANGED = True\n")
    planned = plan(study)
    assert planned["build the grid_navigation"] == 1
    assert planned["train align_mix_plus grid_navigation"] == 2
    assert not any(job.startswith("make") for job in planned)


@proves("a blind baseline's code")
def test_a_change_in_a_blind_baseline_measures_it_again_and_decodes_nothing(study: Path) -> None:
    module = study / "src/s2h/baselines/grid_baselines.py"
    module.write_text(module.read_text() + "\n\nCHANGED = True\n")
    assert plan(study) == {"measure baselines grid_navigation": 1, "write results/tables/summary.csv": 1}


@proves("a checker's code")
def test_a_change_in_a_checker_checks_again_and_trains_nothing(study: Path) -> None:
    module = study / "src/s2h/validation/grid_checker.py"
    module.write_text(module.read_text() + "\n\nCHANGED = True\n")
    assert plan(study) == {
        "check puzzles grid_navigation": 6,
        "validate puzzles grid_navigation": 1,
        "write results/tables/summary.csv": 1,
    }


def test_what_waits_for_a_report_is_made_in_the_same_run_as_the_report(study: Path) -> None:
    """An ``ancient`` report would hide the change of a setting, and the new set's TSV file (Snakemake's issue 4166)."""
    settings = {"learning_rate": 0.5}
    levels = {"levels": {"SIMPLE": {"eval": 6}}}
    configure(study, {"models": {"tiny": {"training": settings}}, "tasks": {"grid_navigation": levels}})
    assert plan(study)["train align_mix_plus grid_navigation"] == 2
    configure(study, {"tasks": {"grid_navigation": levels}})
    planned = plan(study, "results/tsv/grid_navigation-HARD-text.tsv")
    assert planned["export evaluation grid_navigation"] == 1


@proves("a new level")
def test_a_new_level_makes_nothing_of_the_others_again(study: Path) -> None:
    simple = read_values("smoke")["tasks"]["grid_navigation"]["levels"]["HARD"]
    configure(study, {"tasks": {"grid_navigation": {"levels": {"MEDIUM": simple | {"steps": [6, 9]}}}}})
    planned = plan(study)
    assert planned["make puzzles grid_navigation"] == 3
    assert not planned["make mixture grid_navigation"]


@proves("a comment or docstring in a module or a script")
def test_a_comment_remakes_nothing(study: Path) -> None:
    for module in study.glob("src/s2h/**/*.py"):
        module.write_text(module.read_text() + "\n# a comment\n")
    for script in study.glob("workflow/scripts/*.py"):
        script.write_text(script.read_text().replace('"""', '"""Otherwise: ', 1) + "\n# a comment\n")
    assert not plan(study)


@proves("a figure's code")
def test_a_change_in_a_figures_code_draws_that_figure_alone(study: Path) -> None:
    figures = [f"results/figures/{name}.svg" for name in ("budgets", "modalities")]
    assert snakemake(study, *figures).returncode == 0
    module = study / "src/s2h/figures/budgets.py"
    module.write_text(module.read_text() + "\n\nCHANGED = True\n")
    assert plan(study, *figures) == {"draw results/figures/budgets.svg": 1}


@proves("a table's code")
def test_a_change_in_a_tables_code_or_its_script_writes_that_table(study: Path) -> None:
    for name in ("src/s2h/analysis/summary.py", "workflow/scripts/make_table.py"):
        whole = (study / name).read_text()
        (study / name).write_text(f"{whole}\n\nCHANGED = True\n")
        assert plan(study) == {"write results/tables/summary.csv": 1}
        (study / name).write_text(whole)


@proves("the code of the training")
def test_a_change_in_the_trainings_code_trains_nothing_again(study: Path) -> None:
    for name in ("src/s2h/training/trainer.py", "workflow/scripts/train_phase.py"):
        (study / name).write_text((study / name).read_text() + "\n\nCHANGED = True\n")
    assert not plan(study)


@proves("resources of a model, the profile, environments, the cache, `keep_weights`, `trackers`")
def test_where_and_with_what_a_study_runs_remakes_nothing(study: Path) -> None:
    resources = {"params_b": 1, "gpus": 4, "nodes": 2, "cpus": 3, "decoding_gpus": 2}
    (study / "src/wandb.py").write_text("")  # so that it is installed
    changes = {"cache": "somewhere", "keep_weights": "adapters", "replace": True, "trackers": ["wandb"]}
    configure(study, {"models": {"tiny": {"resources": resources}}, **changes})
    for name in ("puzzles", "training", "scoring"):
        environment = study / f"envs/{name}.yaml"
        environment.write_text(environment.read_text().replace("3.11", "3.12"))
    assert not plan(study)
    assert not plan(study, "--profile", "profiles/slurm")


def test_the_study_s_plan_says_what_changed_what_follows_and_what_it_costs(study: Path) -> None:
    summary = in_shell(study, "python -m s2h plan --configfile config/small.yaml")
    assert re.search(r"^training +0 +4 +0 +0$", summary.stdout, re.MULTILINE), summary.stdout + summary.stderr
    levels = {"levels": {"HARD": {"eval": 9}}}
    changes = {"models": {"tiny": {"training": {"learning_rate": 0.5}}}, "tasks": {"grid_navigation": levels}}
    configure(study, changes)
    changed = in_shell(study, "python -m s2h plan --configfile config/small.yaml --cores 2")
    lines = changed.stdout.splitlines()
    assert lines[0].startswith("Plan of results: 2 runs, of which 2 train;")
    assert "  training (4): learning_rate 0.0005 → 0.5" in lines
    assert "  decoding (1): grid_navigation.puzzles.HARD 8 → 9" in lines
    assert any(re.fullmatch(r"Time: about \d+ min on 2 cores", line) for line in lines)
    assert len(lines) <= 30
    dry = in_shell(study, "snakemake -n --nolock --configfile config/small.yaml --cores 2")
    assert changed.stdout in dry.stdout


def test_a_mistake_in_the_config_leaves_no_plan(study: Path) -> None:
    configure(study, {"sedd": 1})
    done = in_shell(study, "python -m s2h plan --configfile config/small.yaml")
    assert done.returncode == 1
    assert "Did you mean 'seed'" in done.stderr
    assert not done.stdout


def test_every_row_of_the_documented_table_is_proved() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    rows = text.partition("| change | made again |\n| --- | --- |\n")[2].partition("\n\n")[0]
    proved = [test.proves for test in globals().values() if hasattr(test, "proves")]
    assert {row.split("|")[1].strip() for row in rows.splitlines()} == {*proved}


@proves("number of evaluation puzzles")
def test_an_evaluation_size_trains_nothing(study: Path) -> None:
    configure(study, {"tasks": {"grid_navigation": {"levels": {"HARD": {"eval": 9}}}}})
    assert plan(study) == {
        "make puzzles grid_navigation": 1,
        "check puzzles grid_navigation": 1,
        "validate puzzles grid_navigation": 1,
        "measure baselines grid_navigation": 1,
        "decode align_mix_plus grid_navigation": 1,
        "score align_mix_plus grid_navigation": 1,
        "write results/tables/summary.csv": 1,
    }


@proves("number of training puzzles")
def test_a_set_grows_without_making_or_training_anything_again(study: Path) -> None:
    configure(study, {"tasks": {"grid_navigation": {"levels": {"SIMPLE": {"train": 90}}}}})
    assert plan(study) == {
        "make puzzles grid_navigation": 1,
        "check puzzles grid_navigation": 1,
        "validate puzzles grid_navigation": 1,
        "write results/tables/summary.csv": 1,
    }


def test_nothing_trains_on_a_set_that_failed(study: Path) -> None:
    shard = study / "results/puzzles/grid_navigation/SIMPLE/train/shard-00000.parquet"
    good, model = shard.read_bytes(), study / "results/models/grid_navigation/align_mix_plus/48/tiny/0"
    trained = (model / "phase-2/model.safetensors").stat().st_mtime
    frame = pl.read_parquet(shard)
    frame.with_columns(answer=pl.when(pl.col("index") == 7).then(pl.lit("up up")).otherwise("answer")).write_parquet(
        shard
    )
    edited = snakemake(study, "results/tables/summary.csv")
    assert f"{shard.relative_to(study)} is not what make_puzzles wrote" in edited.stderr
    ending = edited.stderr.partition("s2h: 1 job failed, and what waits for it was not started:\n")[2].splitlines()
    reason = f"{shard.relative_to(study)} is not what make_puzzles wrote: it has "
    assert ending[0].startswith(f"s2h:   puzzles grid_navigation/SIMPLE/train/00000: {reason}")
    assert ending[1] == "s2h:     results/logs/check_puzzles/grid_navigation/SIMPLE/train/shard-00000.log"
    assert re.match("s2h: [12] of 2 runs are scored; their table is results/live/tables/summary.md", ending[2])
    assert (study / "results/live/tables/summary.md").is_file()
    (study / "results/provenance/puzzles/grid_navigation/SIMPLE/train/shard-00000.parquet.json").unlink()
    run = snakemake(study, "results/tables/summary.csv")
    assert run.returncode != 0
    assert "grid_navigation-SIMPLE-train-0000007: answer" in run.stderr
    assert "Traceback" not in run.stderr
    assert (model / "phase-2/model.safetensors").stat().st_mtime == trained
    advice = re.search(r"^  rm (.+)$", run.stderr, re.MULTILINE)
    assert advice is not None
    subprocess.run(["rm", *advice[1].split()], cwd=study, check=True)
    assert snakemake(study, "results/validation/grid_navigation.json").returncode == 0
    assert shard.read_bytes() == good
    assert snakemake(study, "results/tables/summary.csv").returncode == 0


@proves("a new recipe in `runs`")
def test_a_new_recipe_adds_its_own_jobs_only(study: Path) -> None:
    recipe = {"title": "Mine", "phases": [{"parts": [{"level": "SIMPLE", "format": "text", "share": 1}]}]}
    mine = {**RUNS[0], "tasks": ["grid_navigation"], "recipes": ["mine"]}
    configure(study, {"recipes": {"mine": recipe}, "runs": [*RUNS, mine]})
    assert plan(study) == {
        "make mixture grid_navigation": 1,
        "train mine grid_navigation": 1,
        "decode mine grid_navigation": 1,
        "score mine grid_navigation": 1,
        "write results/tables/summary.csv": 1,
    }


@proves("a diagnoser's code")
def test_a_change_in_a_diagnoser_decodes_nothing(study: Path) -> None:
    module = study / "src/s2h/diagnosis/grid_diagnoser.py"
    module.write_text(module.read_text() + "\n\nCHANGED = True\n")
    assert plan(study) == {"score align_mix_plus grid_navigation": 1, "write results/tables/summary.csv": 1}


@proves("how answers are read (`answers`)")
def test_answers_are_read_anew_without_decoding(study: Path) -> None:
    configure(study, {"answers": "strict"})
    scored = {f"score align_mix_plus {task}": 1 for task in TASKS}
    assert plan(study) == {**scored, "write results/tables/summary.csv": 1}


def test_a_model_is_scored_without_training_and_on_sets_from_outside(study: Path) -> None:
    columns = ("index", "question", "answer", "text", "start_row", "start_col", "end_row", "end_col")
    header = "\t".join([*columns, "collect_objects_coordinates"])
    (study / "outside.tsv").write_text(f"{header}\n1\tq\ta\tt\ta\ta\tb\tb\t[]\n")
    outside = {"path": "outside.tsv", "task": "grid_navigation", "level": "HARD", "modality": "text"}
    mine = {**RUNS[0], "tasks": ["grid_navigation"], "recipes": ["untrained"], "budgets": [0]}
    configure(study, {"external_evals": {"mine": outside}, "runs": [*RUNS, mine]})
    assert plan(study) == {
        "decode align_mix_plus grid_navigation": 1,
        "score align_mix_plus grid_navigation": 1,
        "decode untrained grid_navigation": 1,
        "score untrained grid_navigation": 1,
        "write results/tables/summary.csv": 1,
    }


@proves("training settings of a model")
def test_training_settings_retrain_but_make_no_data(study: Path) -> None:
    configure(study, {"models": {"tiny": {"training": {"learning_rate": 0.5}}}})
    planned = plan(study)
    assert planned["train align_mix_plus grid_navigation"] == 2
    assert not any(job.startswith("make") for job in planned)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"sedd": 1}, "Did you mean 'seed'"),
        ({"runs": [{**RUNS[0], "recipes": ["mixx"]}]}, "unknown recipe 'mixx'. Did you mean 'mix'"),
        ({"runs": [{**RUNS[0], "budgets": [10**7]}]}, "lower the budget"),
        ({"models": {"mine": {"source": {"kind": "huggingface", "name": "/none"}}}}, "not a model folder"),
    ],
)
def test_a_users_mistake_is_answered_in_a_line_or_two(study: Path, change: dict[str, object], complaint: str) -> None:
    configure(study, change)
    run = snakemake(study, "-n", "--nolock")
    assert run.returncode != 0
    assert complaint in run.stderr
    assert "Traceback" not in run.stderr


def test_another_study_is_not_laid_over_a_finished_one(study: Path) -> None:
    configure(study, {"seed": 5})
    refused = snakemake(study, "-n", "--nolock", "results/tables/summary.csv")
    assert refused.returncode == 1
    assert "s2h: results holds another study: results/models/" in refused.stderr
    assert "  seed: 0 there, 5 in this config\n" in refused.stderr
    assert "Traceback" not in refused.stderr
    configure(study, {"seed": 5, "replace": True})
    assert plan(study)["make puzzles grid_navigation"] == 6


def test_a_killed_workflow_goes_on_and_no_torn_file_stays(study: Path) -> None:
    scores = study / "results/scores/grid_navigation/align_mix_plus/48/tiny/0.parquet"
    shard = study / "results/puzzles/grid_navigation/SIMPLE/eval/shard-00000.parquet"
    before, scores_before = shard.read_bytes(), pl.read_parquet(scores).drop("seconds")
    for gone in (shard, scores, study / "results/tables/summary.csv"):
        gone.unlink()
    environment = {**os.environ, "PYTHONPATH": str(study / "src"), "CUDA_VISIBLE_DEVICES": ""}
    command = ["snakemake", "results/tables/summary.csv", "--configfile", "config/small.yaml"]
    workflow = subprocess.Popen(command, cwd=study, env=environment, start_new_session=True)
    while not shard.exists():
        assert workflow.poll() is None
        time.sleep(0.05)
    os.killpg(workflow.pid, signal.SIGINT)
    workflow.wait(60)
    assert snakemake(study, "results/tables/summary.csv").returncode == 0
    assert shard.read_bytes() == before
    assert pl.read_parquet(scores).drop("seconds").equals(scores_before)
    assert not list((study / "results").rglob("*.part"))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("runs: [a\n", "config/mine.yaml:2:1: not valid YAML"),
        ("seed: 1\nseed: 2\n", "config/mine.yaml:2:1: the key 'seed' is given twice, in lines 1 and 2"),
        ("seed: 1\nsedd: 2\n", "config/mine.yaml:2:1: sedd: unknown key 'sedd'. Did you mean 'seed'?"),
        ("tasks: {table_readout: {levels: {HARD: {eval: 1000000}}}}", "s2h: warning: config/mine.yaml:1:41: tasks"),
    ],
)
def test_snakemake_tells_the_line_of_a_mistake_and_what_is_odd(study: Path, text: str, complaint: str) -> None:
    (study / "config/mine.yaml").write_text(text)
    run = snakemake(study, "-n", "--nolock", "results/tables/summary.csv", config="mine")
    assert complaint in run.stderr
    assert not re.search("Traceback|WorkflowError", run.stderr)


@pytest.mark.parametrize("overlay", ["config", "smoke", "paper"])
def test_shipped_configs_have_a_plan(study: Path, overlay: str) -> None:
    run = snakemake(study, "-n", "--nolock", "--config", "results=elsewhere", config=overlay)
    assert run.returncode == 0, run.stderr[-2000:]
