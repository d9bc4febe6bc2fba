"""Whether real training runs are right on a GPU: their losses beside those of the same training runs on a CPU.

The tiny model in fp32 and bf16, killed and resumed, and under ZeRO-3; a small Qwen2.5-VL with adapters.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from benchmarks.gpu.data import make_mixture, words_of
from benchmarks.gpu.measuring import on_gpu
from benchmarks.gpu.sections import Report, Results, write_json
from benchmarks.gpu.training_runs import Training, read_manifest, train, train_killed
from s2h.supervision.mixture import read_mixture
from tests.models import qwen
from tests.small import build_tiny_model, small_readout

REFERENCES = Path(__file__).with_name("references.json")
_TOLERANCES = {"fp32": 0.005, "bf16": 0.03}
"""Relative, of each step's loss. Convolutions on a GPU round fp32 to TF32."""

_BUDGET = 64  # examples
_SETTINGS: dict[str, Any] = {
    "learning_rate": 1e-3,
    "batch_size": 8,
    "micro_batch_tokens": 512,
    "max_length": 256,
    "precision": "fp32",
    "kernels": "plain",
}
_LORA = {"lora": {"rank": 4, "alpha": 8}, "learning_rate": 1e-2, "gradient_checkpointing": True}


def measure(report: Report, *, dry: bool) -> None:
    """All training runs, several at once on a GPU."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        training_runs = _training_runs(folder)
        references = _references(training_runs, folder)
        report.add("reference", {"bases": references["bases"], "from": references["from"]})
        jobs = _jobs(training_runs, folder / "runs", references)
        chosen = {key: job for key, job in jobs.items() if not dry or key in ("tiny fp32", "tiny killed")}
        with ThreadPoolExecutor(4 if on_gpu() else 1) as pool:
            list(pool.map(lambda key: report.attempt(key, chosen[key]), chosen))


def write_references() -> None:
    """Train on the CPU, in fp32, and write the losses that every other way must come to."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        training_runs = _training_runs(folder)
        losses = {key: _losses(train(each, folder / key, gpu=False)) for key, each in training_runs.items()}
        write_json(REFERENCES, {"bases": _digests(training_runs), "losses": losses})


def _training_runs(folder: Path) -> dict[str, Training]:
    """Those that have a reference, by name."""
    task = small_readout()
    mixture = make_mixture(folder, task, budget=_BUDGET)
    tiny = build_tiny_model(folder / "tiny", task)
    qwen.build(folder / "qwen", words_of(mixture))
    return {"tiny": Training(tiny, mixture, _SETTINGS), "lora": Training(folder / "qwen", mixture, _SETTINGS | _LORA)}


def _jobs(training_runs: dict[str, Training], folder: Path, references: Results) -> dict[str, Callable[[], Results]]:
    """What is trained, beside which reference."""
    folder.mkdir()
    tiny, lora = training_runs["tiny"], training_runs["lora"]
    often = Training(tiny.base, tiny.mixture, tiny.settings | {"save_steps": 2})
    half = {"precision": "bf16"}
    ways: dict[str, tuple[Training, str]] = {
        "tiny fp32": (tiny, "tiny"),
        "tiny killed": (often, "tiny"),
        "tiny bf16": (Training(tiny.base, tiny.mixture, tiny.settings | half), "tiny"),
        "tiny ZeRO-3": (Training(tiny.base, tiny.mixture, tiny.settings, zero=3), "tiny"),
        "Qwen LoRA fp32": (lora, "lora"),
        "Qwen LoRA bf16": (Training(lora.base, lora.mixture, lora.settings | half), "lora"),
    }
    return {
        key: lambda key=key, way=way: _compared(key, way[0], folder / key, references["losses"][way[1]])  # type: ignore[misc]
        for key, way in ways.items()
    }


def _compared(key: str, training: Training, folder: Path, expected: list[float]) -> Results:
    run = train_killed if "killed" in key else train
    steps = run(training, folder, gpu=on_gpu())
    found, manifest = _losses(steps), read_manifest(folder)
    tolerance = _TOLERANCES[training.settings["precision"]]
    worst = max(abs(one - other) / other for one, other in zip(found, expected, strict=True))
    return {
        "right": worst <= tolerance,
        "worst": worst,
        "tolerance": tolerance,
        "losses": found,
        "device": manifest["device"],
        "zero_stage": manifest["zero_stage"],
        "resumed_at_step": manifest["resumed_at_step"],
    }


def _losses(steps: list[dict[str, float]]) -> list[float]:
    return [round(step["loss"], 6) for step in steps]


def _references(training_runs: dict[str, Training], folder: Path) -> Results:
    """The committed losses; where other versions draw other initial weights, they are computed on this CPU."""
    committed: Results = json.loads(REFERENCES.read_text())
    bases = _digests(training_runs)
    if committed["bases"] == bases:
        return {**committed, "from": "references.json"}
    with ThreadPoolExecutor(2 if on_gpu() else 1) as pool:
        runs = {key: pool.submit(train, each, folder / key, gpu=False) for key, each in training_runs.items()}
    losses = {key: _losses(run.result()) for key, run in runs.items()}
    return {"bases": bases, "losses": losses, "from": "this machine's CPU, as its base models are others"}


def _digests(training_runs: dict[str, Training]) -> dict[str, str]:
    """What tells base models and mixtures apart, but for rounding."""
    return {key: f"{_weights(each.base)} {_examples(each.mixture)}" for key, each in training_runs.items()}


def _weights(base: Path) -> str:
    tensors = load_file(base / "model.safetensors")
    return f"{sum(float(tensor.double().abs().sum()) for tensor in tensors.values()):.4f}"


def _examples(mixture: Path) -> str:
    frame = read_mixture(mixture).select("prompt", "response")
    return hashlib.sha256(repr(frame.rows()).encode()).hexdigest()[:12]
