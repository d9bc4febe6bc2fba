"""The results of a run as the tables of docs/benchmarks.md."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu.sections import ROOT, SECTIONS, Results
from docs.blocks import fill_block

PAGE = ROOT / "docs/benchmarks.md"
KEPT = ROOT / "benchmarks/results"
BLOCK = "gpu"

NOTHING = "No GPU has been at hand yet: nothing below this line until `python -m benchmarks.gpu` has run on one."

COLUMNS: dict[str, tuple[str, Mapping[str, str]]] = {
    "training": ("losses beside a CPU's", {"right": "right", "worst": "worst", "tolerance": "tolerance"}),
    "kernels": (
        "compared with the plain way",
        {"right": "right", "loss": "loss", "gradients": "gradients", "tolerance": "tolerance"},
    ),
    "steps": (
        "Qwen2.5-VL-3B, forward and backward",
        {
            "micro_batches": "micro-batches",
            "ms_per_micro_batch": "ms each",
            "gpu_seconds_per_example": "GPU s an example",
            "tokens_per_second": "tokens/s",
            "mfu": "MFU",
            "peak_gib": "peak GiB",
            "host_share": "share of host",
            "host_waits": "waits",
        },
    ),
    "loading": (
        "real training of 8 + 8 layers",
        {
            "tokens_per_second_in_steps": "tokens/s in steps",
            "tokens_per_second": "tokens/s in all",
            "data_wait": "waiting for data",
            "mfu": "MFU",
        },
    ),
    "decoding": (
        "predictions of 64 tokens",
        {
            "predictions_per_second": "predictions/s",
            "new_tokens_per_second": "tokens/s",
            "peak_gib": "peak GiB",
            "same_as_alone": "same as alone",
        },
    ),
    "eagle": ("Eagle-X2, 4 layers of Llama-3", {"ms": "ms", "tokens": "tokens", "peak_gib": "peak GiB"}),
}
"""For each section what its first column says, and which figures are shown under which names."""


def as_page(results: Results) -> str:
    """All tables of a run."""
    parts = [_heading(results)]
    for name in SECTIONS:
        if name in COLUMNS:
            parts.append(_table(name, results.get(name, {"skipped": "it was not asked for"})))
    return "\n\n".join(parts)


def _heading(results: Results) -> str:
    machine = results.get("machine", {})
    software, card = machine.get("software", {}), machine.get("card", {})
    versions = ", ".join(
        f"{name} {software[name]}" for name in ("torch", "transformers", "deepspeed") if name in software
    )
    lines = [f"`{results['command']}` on {card.get('nvidia_smi') or card.get('name', 'an unknown card')}, {versions}."]
    if "tflops" in machine.get("bf16_product", {}):
        product, copy = machine["bf16_product"]["tflops"], machine.get("copy", {}).get("read_and_written_gb_per_s", 0)
        lines.append(
            f"Products of bf16 matrices reach {product:.0f} TFLOP/s, copies {copy:,.0f} GB/s, read and written."
        )
    return "\n".join(lines)


def _table(name: str, found: Results) -> str:
    title, columns = COLUMNS[name]
    lines = [f"| {title} | {' | '.join(columns.values())} |", f"| --- |{' --: |' * len(columns)}"]
    for key, values in found.items():
        if isinstance(values, dict) and ("failed" in values or columns.keys() & values.keys()):
            lines.append(f"| {key} | {' | '.join(_cells(values, [*columns]))} |")
    notes = [f"{name}: {word} {found[word]}." for word in ("skipped", "ended") if word in found]
    return "\n\n".join(["\n".join(lines)] * (len(lines) > 2) + notes)


def _cells(values: Results, names: Sequence[str]) -> list[str]:
    if "failed" in values:
        return [re.sub(r"[|\n]", " ", values["failed"])[:60], *[""] * (len(names) - 1)]
    return [_shown(values.get(name)) for name in names]


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "**no**"
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def write_page(path: Path) -> None:
    """Keep the results of a run under the name of its card, and show them in docs/benchmarks.md."""
    results: Results = json.loads(path.read_text())
    card = results.get("machine", {}).get("card", {}).get("name", "unknown")
    KEPT.mkdir(exist_ok=True)
    kept = KEPT / f"{re.sub(r'[^a-z0-9]+', '-', card.lower()).strip('-')}.json"
    if path.resolve() != kept:
        shutil.copy(path, kept)
    PAGE.write_text(fill_block(PAGE.read_text(), BLOCK, page_text()))


def page_text() -> str:
    """What the page must show: the tables of every kept run, by card."""
    runs = [json.loads(path.read_text()) for path in sorted(KEPT.glob("*.json"))]
    return "\n\n".join(as_page(run) for run in runs) or NOTHING
