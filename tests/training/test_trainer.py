"""Real training runs: two processes, ZeRO-2 and ZeRO-3; killed and resumed; phases; wrong set-ups stop early."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from s2h.models.loading import load_model, load_processor
from s2h.models.parts import part_of
from s2h.overlays import read_config
from s2h.phases import Phase
from s2h.supervision.formats import WORDS
from s2h.supervision.mixture import write_mixture
from tests import forked
from tests.models import qwen
from tests.shipped import ROOT

SETTINGS: dict[str, Any] = {
    "learning_rate": 1e-3,
    "batch_size": 8,
    "micro_batch_size": 2,
    "max_length": 256,
    "precision": "fp32",
    "random_positions": 16,
    "save_steps": 2,
    "deepspeed": str(ROOT / "config/deepspeed/zero2_cpu.json"),
}
ZERO3 = {"deepspeed": str(ROOT / "config/deepspeed/zero3_cpu.json")}
STEADY = {"warmup_ratio": 0, "lr_scheduler_type": "linear", "decay_from": 0.999, "random_positions": 0, "batch_size": 8}
"""One learning rate for all steps, and nothing that depends on how long a phase is."""


def write(path: Path, shards: Any, *, phase: Phase | None = None, budget: int = 48) -> Path:
    phase = phase or read_config().recipes["mix_plus"].phases[0]
    write_mixture(path, phase, budget=budget, shards={"consecutive_table_readout": shards}, key=(0, "test"))
    return path


@pytest.fixture(scope="module")
def mixture(readout_shards: dict[str, list[str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty-eight examples of Mix+: text, image and image-via-text, SIMPLE and HARD, mixed freely."""
    return write(tmp_path_factory.mktemp("mixture") / "phase-1.parquet", readout_shards)


Fields = dict[str, Any] | None
"""Fields of a job beside those that every test has."""


def job(folder: Path, base: Path, mixture: Path, fields: Fields = None, **changes: object) -> list[str]:
    """The arguments of the trainer for a phase from ``base``; ``fields`` of its job and settings may be changed."""
    values = {
        "title": "test",
        "base": base,
        "mixture": mixture,
        "output": folder / "model",
        "checkpoints": folder / "checkpoints",
        "seed": 0,
        "settings": SETTINGS | changes,
        "metrics": folder / "metrics.jsonl",
        "tensorboard": folder / "tensorboard",
    }
    return [json.dumps(values | (fields or {}), default=str), "--job-log", str(folder / "log")]


def torchrun(processes: int, arguments: list[str]) -> list[str]:
    """The command that starts the trainer as the workflow does."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    return [*launcher, "-m", "s2h.training", *arguments]


ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def train(
    folder: Path, base: Path, mixture: Path, fields: Fields = None, *, processes: int = 2, **changes: Any
) -> subprocess.CompletedProcess[str]:
    """Train in processes that meet as those of torchrun do."""
    arguments = job(folder, base, mixture, fields, **changes)
    return forked.python(
        "s2h.training", *arguments, folder=Path.cwd(), environments=forked.ranks(processes, ENVIRONMENT)
    )


def trained_in(folder: Path, base: Path, mixture: Path, fields: Fields = None, **changes: Any) -> dict[str, Tensor]:
    folder.mkdir(exist_ok=True)
    run = train(folder, base, mixture, fields, **changes)
    assert run.returncode == 0, run.stderr[-3000:]
    return weights(folder)


def weights(folder: Path) -> dict[str, Tensor]:
    found: dict[str, Tensor] = load_file(folder / "model/model.safetensors")
    return found


def measured(folder: Path, name: str) -> list[float]:
    return [json.loads(line)[name] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def same_model(one: Path, other: Path, base: Path, *, tolerance: float) -> bool:
    """Whether two runs computed the same but for rounding: losses and gradients in every step, and the weights.

    Single weights may differ by more, as Adam divides small gradients by their own size; what training has changed
    differs in all by a hundredth at most.
    """
    for measure in ("loss", "gradient_norm"):
        assert measured(one, measure) == pytest.approx(measured(other, measure), rel=tolerance), measure
    before, first, second = load_file(base / "model.safetensors"), weights(one), weights(other)
    assert first.keys() == second.keys()
    change, difference = (
        sum((mine[name] - theirs[name]).square().sum().sqrt().item() for name in first)
        for mine, theirs in ((first, before), (first, second))
    )
    return change > 0 and difference < 0.01 * change


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "model/manifest.json").read_text())
    return found


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, mixture: Path) -> Path:
    """A run that was not interrupted."""
    folder = tmp_path_factory.mktemp("trained")
    trained_in(folder, tiny_model, mixture)
    return folder


def test_the_result_is_a_plain_model_folder_with_its_manifest(trained: Path, tiny_model: Path, mixture: Path) -> None:
    model = load_model(trained / "model", dtype=torch.float32, attention="eager")
    assert type(model).__name__ == "LlavaForConditionalGeneration"
    assert load_processor(trained / "model").tokenizer.eos_token == "<end>"
    facts = manifest(trained)
    assert (facts["zero_stage"], facts["processes"], facts["steps"]) == (2, 2, 6)
    assert (facts["examples"], facts["examples_dropped"], facts["resumed_at_step"]) == (48, 0, 0)
    assert 0 <= facts["padding"] < 0.5
    assert (facts["kernels"], facts["activations_recomputed"]) == ("plain", False)
    assert facts["final_loss"] < facts["first_loss"]
    assert {"torch", "transformers", "deepspeed", "python"} <= set(facts["versions"])
    assert len(facts["mixture_sha256"]) == 64
    assert facts["started"] <= facts["ended"]
    before, after = load_file(tiny_model / "model.safetensors"), weights(trained)
    assert before.keys() == after.keys()
    assert not (trained / "checkpoints").exists()
    assert not list((trained / "model").glob("*.bin"))


def test_every_step_is_measured_in_lines_and_for_tensorboard(trained: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    lines = (trained / "metrics.jsonl").read_text()
    assert lines == (trained / "model/metrics.jsonl").read_text()
    steps = [json.loads(line) for line in lines.splitlines()]
    assert [step["step"] for step in steps] == list(range(1, 7))
    assert sum(step["target_tokens"] for step in steps) == manifest(trained)["target_tokens"]
    assert sum(step["tokens"] for step in steps) == manifest(trained)["tokens"]
    assert all(step["gradient_norm"] > 0 for step in steps)
    events = EventAccumulator(str(trained / "tensorboard"))
    events.Reload()
    assert [event.value for event in events.Scalars("loss")] == pytest.approx([step["loss"] for step in steps])


def killed(folder: Path, base: Path, mixture: Path, awaited: Path, *, delay: float = 0, **changes: object) -> None:
    """A training that is killed a little after a file has appeared."""
    folder.mkdir(exist_ok=True)
    process = subprocess.Popen(
        torchrun(2, job(folder, base, mixture, **changes)),
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not awaited.exists():
        assert process.poll() is None, "the run ended before it was killed"
        time.sleep(0.01)
    time.sleep(delay)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("seed", range(3))
def test_a_run_killed_at_any_moment_goes_on_to_the_same_weights(
    seed: int, trained: Path, tmp_path: Path, tiny_model: Path, mixture: Path
) -> None:
    awaited = [tmp_path / "log", tmp_path / "metrics.jsonl", tmp_path / "checkpoints/last"][seed]
    killed(tmp_path, tiny_model, mixture, awaited, delay=random.Random(seed).random() * 0.4)
    again = trained_in(tmp_path, tiny_model, mixture)
    once = weights(trained)
    assert all(once[name].equal(again[name]) for name in once)
    assert measured(trained, "loss") == measured(tmp_path, "loss")


def test_a_torn_checkpoint_is_named(tmp_path: Path, tiny_model: Path, mixture: Path) -> None:
    checkpoints = tmp_path / "checkpoints"
    killed(tmp_path, tiny_model, mixture, checkpoints / "last")
    torn = checkpoints / (checkpoints / "last").read_text() / "mp_rank_00_model_states.pt"
    torn.write_bytes(torn.read_bytes()[:1000])
    run = train(tmp_path, tiny_model, mixture)
    assert run.returncode != 0
    assert f"{torn.parent} cannot be read" in run.stderr
    assert f"delete {checkpoints} and run again" in run.stderr


def test_gradients_are_those_of_one_process_under_zero_2_and_zero_3(
    trained: Path, tmp_path: Path, tiny_model: Path, mixture: Path
) -> None:
    """Micro-batches hold text alone or images, whatever the other process computes at that moment.

    ZeRO-3 would then wait for ever; ZeRO-2 would add up gradients of different parameters, as they come in another
    order, with no word of it.
    """
    shapes = [set(group) for group in _modalities(mixture)]
    assert {"text"} in shapes
    assert {"image"} in shapes
    trained_in(tmp_path / "alone", tiny_model, mixture, processes=1)
    trained_in(tmp_path / "zero3", tiny_model, mixture, **ZERO3)
    assert [manifest(folder)["zero_stage"] for folder in (trained, tmp_path / "zero3")] == [2, 3]
    assert same_model(trained, tmp_path / "alone", tiny_model, tolerance=1e-4)
    assert same_model(tmp_path / "zero3", tmp_path / "alone", tiny_model, tolerance=1e-4)


def _modalities(mixture: Path) -> list[list[str]]:
    """What the micro-batches of both processes show."""
    from s2h.tokenisation.lengths import Lengths
    from s2h.training.batches import BatchPlan, Limits

    frame = pl.read_parquet(mixture)
    tokens = (frame["prompt"].str.len_chars() + frame["response"].str.len_chars()).to_numpy()
    shows = (frame["image_shard"] != "").to_numpy()
    plan = BatchPlan(Lengths(tokens, tokens, shows.astype(int)), batch_size=8, limits=Limits(2), world_size=2)
    groups = [group for step in range(plan.steps) for mine in plan.groups(step) for group in mine if group]
    return [["image" if shows[position] else "text" for position in group] for group in groups]


def test_products_in_bf16_leave_weights_in_fp32_and_losses_near(
    trained: Path, tmp_path: Path, tiny_model: Path, mixture: Path
) -> None:
    found = trained_in(tmp_path, tiny_model, mixture, precision="bf16-mixed")
    assert {value.dtype for value in found.values()} == {torch.float32}
    plain, mixed = measured(trained, "loss"), measured(tmp_path, "loss")
    assert mixed != plain
    assert mixed == pytest.approx(plain, rel=0.01)


def test_loaders_ahead_change_nothing(trained: Path, tmp_path: Path, tiny_model: Path, mixture: Path) -> None:
    ahead = trained_in(tmp_path, tiny_model, mixture, num_workers=1)
    assert all(value.equal(ahead[name]) for name, value in weights(trained).items())


def test_frozen_parts_do_not_learn_and_the_others_do(tmp_path: Path, tiny_model: Path, mixture: Path) -> None:
    found = trained_in(tmp_path, tiny_model, mixture, {"frozen": ["vision", "language"]})
    before = load_file(tiny_model / "model.safetensors")
    changed = {part_of(name) for name, value in found.items() if not value.equal(before[name])}
    assert changed == {"projector"}


def test_without_images_vision_is_left_as_it_is(
    tmp_path: Path, tiny_model: Path, readout_shards: dict[str, list[str]]
) -> None:
    phase = read_config().recipes["text"].phases[0]
    mixture = write(tmp_path / "text.parquet", readout_shards, phase=phase, budget=16)
    found = trained_in(tmp_path, tiny_model, mixture, weight_decay=0.1)
    before = load_file(tiny_model / "model.safetensors")
    changed = {part_of(name) for name, value in found.items() if not value.equal(before[name])}
    assert changed == {"language"}


def test_a_kept_optimizer_makes_two_phases_of_one(
    tmp_path: Path, tiny_model: Path, readout_shards: dict[str, list[str]]
) -> None:
    whole = write(tmp_path / "whole.parquet", readout_shards, budget=48)
    frame = pl.read_parquet(whole)
    halves = [tmp_path / "first.parquet", tmp_path / "second.parquet"]
    for half, rows in zip(halves, (frame.head(24), frame.tail(24)), strict=True):
        rows.write_parquet(half)
    trained_in(tmp_path / "once", tiny_model, whole, **STEADY)
    trained_in(tmp_path / "one", tiny_model, halves[0], {"leave_optimizer": True}, **STEADY)
    kept = {"optimizer_from": tmp_path / "one/checkpoints"}
    trained_in(tmp_path / "two", tmp_path / "one/model", halves[1], kept, **STEADY)
    trained_in(tmp_path / "fresh", tmp_path / "one/model", halves[1], **STEADY)
    once, two, fresh = (measured(tmp_path / name, "loss") for name in ("once", "two", "fresh"))
    assert two == pytest.approx(once[3:], rel=1e-6)
    assert fresh[0] == pytest.approx(once[3], rel=1e-6)
    assert fresh[1:] != pytest.approx(once[4:], rel=1e-4)
    shutil.rmtree(tmp_path / "one/checkpoints")
    run = train(tmp_path / "lost", tmp_path / "one/model", halves[1], kept, **STEADY)
    assert "the phase before left no checkpoint there" in run.stderr


@pytest.mark.parametrize("lora", [None, {"rank": 4, "alpha": 8}])
def test_qwen_is_trained_whole_or_with_adapters(
    lora: dict[str, int] | None,
    tmp_path: Path,
    mixture: Path,
    readout: Any,
) -> None:
    qwen.build(tmp_path / "base", readout.vocabulary() | WORDS)
    changes = {"lora": lora, "random_positions": 0, "attention": "sdpa", "gradient_checkpointing": True}
    changes |= {"learning_rate": 1e-2 if lora else 1e-3}
    found = trained_in(tmp_path, tmp_path / "base", mixture, {"frozen": ["vision"]}, **changes)
    before = load_file(tmp_path / "base/model.safetensors")
    assert found.keys() == before.keys()  # adapters are merged: the same plain folder
    changed = {name for name, value in found.items() if not value.equal(before[name])}
    assert {part_of(name) for name in changed} == {"projector", "language"}
    assert any("embed_tokens" in name for name in changed) == (lora is None)
    assert load_processor(tmp_path / "model").tokenizer.eos_token == "<|im_end|>"
    assert manifest(tmp_path)["final_loss"] < manifest(tmp_path)["first_loss"]


def test_long_examples_are_refused_or_dropped_and_never_cut(tmp_path: Path, tiny_model: Path, mixture: Path) -> None:
    run = train(tmp_path, tiny_model, mixture, max_length=80)
    assert run.returncode != 0
    assert "examples are longer than training.max_length = 80 tokens" in run.stderr
    assert "Traceback" not in (tmp_path / "log").read_text()
    assert not (tmp_path / "model").exists()
    trained_in(tmp_path, tiny_model, mixture, max_length=80, on_overlength="drop")
    facts = manifest(tmp_path)
    assert facts["examples_dropped"] > 0
    assert facts["examples"] + facts["examples_dropped"] == 48
    assert "they are left out" in (tmp_path / "log").read_text()


def test_a_loss_that_is_no_number_stops_the_training(tmp_path: Path, tiny_model: Path, mixture: Path) -> None:
    run = train(tmp_path, tiny_model, mixture, learning_rate=1e30, warmup_ratio=0)
    assert run.returncode != 0
    assert "lower training.learning_rate" in run.stderr


def test_images_that_do_not_fit_the_model_stop_early(tmp_path: Path, tiny_model: Path, mixture: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(tiny_model, base)
    config = json.loads((base / "processor_config.json").read_text())
    config["image_processor"]["size"] = {"height": 64, "width": 64}
    (base / "processor_config.json").write_text(json.dumps(config))
    run = train(tmp_path, base, mixture)
    assert run.returncode != 0
    assert "does not take the images that its processor makes" in run.stderr


def test_a_base_without_a_processor_is_refused(tmp_path: Path, tiny_model: Path, mixture: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(tiny_model / name, base / name)
    run = train(tmp_path, base, mixture)
    assert run.returncode != 0
    assert "no processor can be loaded" in run.stderr or "a processor with a tokenizer" in run.stderr
