"""Whether pictures and words come fast enough: a real training with none and four processes that read ahead.

Eight layers each of Qwen2.5-VL-3B, Table Readout's Mix+ with images of 1500 x 800 pixels, words as tokens.
"""

from __future__ import annotations

import dataclasses
import statistics
from pathlib import Path
from typing import Any

from benchmarks.gpu.data import make_mixture, paper_task, qwen_folder, qwen_processor, words_of
from benchmarks.gpu.measuring import on_gpu
from benchmarks.gpu.models import FEW_LAYERS, MINIATURE
from benchmarks.gpu.sections import Report, Results, scratch_folder
from benchmarks.gpu.training_runs import Training, read_manifest, train


def measure(report: Report, *, dry: bool) -> None:
    """Both training runs, one after the other."""
    with scratch_folder() as name:
        folder = Path(name)
        mixture = make_mixture(folder, paper_task(), budget=12 if dry else 256)
        least, most = (4, 16) if dry else (128, 1280)
        processor = qwen_processor(words_of(mixture), least=least, most=most)
        base = qwen_folder(folder / "base", _sizes(processor, dry=dry), processor)
        for processes in (0,) if dry else (0, 4):
            report.attempt(
                f"num_workers {processes}",
                lambda processes=processes: _timed(base, mixture, folder / f"run-{processes}", processes, dry=dry),  # type: ignore[misc]
            )


def _sizes(processor: Any, *, dry: bool) -> Any:
    if not dry:
        return FEW_LAYERS
    return dataclasses.replace(MINIATURE, words=len(processor.tokenizer))


def _timed(base: Path, mixture: Path, folder: Path, processes: int, *, dry: bool) -> Results:
    settings = {
        "learning_rate": 1e-5,
        "batch_size": 4 if dry else 32,
        "micro_batch_tokens": 2048 if dry else 8192,
        "max_length": 2048 if dry else 3072,
        "precision": "bf16" if on_gpu() else "fp32",
        "num_workers": processes,
        "gradient_checkpointing": False,
    }
    steps = train(Training(base, mixture, settings), folder, gpu=on_gpu(), limit=75)
    manifest = read_manifest(folder)
    return {
        "steps": len(steps),
        "tokens_per_second_in_steps": statistics.median(step["tokens_per_second"] for step in steps[1:]),
        "tokens_per_second": round(manifest["tokens"] / manifest["seconds"], 1),
        "examples_per_second": round(manifest["examples"] / manifest["seconds"], 2),
        "data_wait": manifest["data_wait"],
        "mfu": manifest["mfu"],
        "losses": [step["loss"] for step in steps],
    }
