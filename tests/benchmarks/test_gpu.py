"""The GPU script runs in miniature on a CPU, keeps what it has found, and its page is that of its results."""

from __future__ import annotations

import json
import re
import sys
import tarfile
from pathlib import Path

import pytest

from benchmarks.gpu import page, sections
from benchmarks.gpu.models import QWEN_3B, Item, recorded_items, useful_flops
from benchmarks.gpu.packing import unpack
from benchmarks.gpu.sections import SECTIONS, Report, Results, run_sections
from benchmarks.gpu.training import REFERENCES
from docs.blocks import read_block

RESULTS: Results = {
    "command": "python -m benchmarks.gpu",
    "machine": {
        "card": {"name": "NVIDIA X", "nvidia_smi": "NVIDIA X, 1, 2 MiB"},
        "software": {"torch": "2"},
        "bf16_product": {"tflops": 789.4},
        "copy": {"read_and_written_gb_per_s": 3000.0},
    },
    "training": {"tiny fp32": {"right": True, "worst": 1e-4, "tolerance": 0.005}, "seconds": 3.0},
    "steps": {"as it was": {"failed": "OutOfMemoryError: a | b\nc", "traceback": []}, "ended": "after its 9 seconds"},
    "eagle": {"skipped": "the 9 minutes were spent"},
}


@pytest.mark.slow
def test_every_section_runs_in_miniature_and_all_that_is_judged_is_right(tmp_path: Path) -> None:
    found = run_sections(SECTIONS, tmp_path / "results.json", minutes=20, dry=True, site=None)
    assert json.loads((tmp_path / "results.json").read_text()) == found
    for name in SECTIONS:
        assert not {"skipped", "ended"} & found[name].keys(), found[name]
        measured = {key: value for key, value in found[name].items() if isinstance(value, dict)}
        assert measured
        assert all("failed" not in value for value in measured.values()), measured
        assert all(value.get("right", True) for value in measured.values()), measured
    assert found["training"]["tiny killed"]["resumed_at_step"] > 0
    assert found["training"]["reference"]["from"] == REFERENCES.name


def test_a_section_that_takes_too_long_keeps_what_it_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "section"
    script.write_text(
        f"#!{sys.executable}\nimport sys, time\nopen(sys.argv[6], 'w').write('{{\"one\": 1}}')\ntime.sleep(60)\n"
    )
    script.chmod(0o755)
    monkeypatch.setattr(sections.sys, "executable", str(script))
    monkeypatch.setattr(sections, "SECTIONS", {"steps": 2, "eagle": 2})
    monkeypatch.setattr(sections, "_LEAST", 1)
    found = run_sections(["steps", "eagle"], tmp_path / "results.json", minutes=2.5 / 60, dry=False, site=None)
    assert found["steps"]["one"] == 1
    assert found["steps"]["ended"] == "after its 2 seconds"
    assert "were spent" in found["eagle"]["skipped"]


def test_a_measurement_that_fails_leaves_the_others(tmp_path: Path) -> None:
    report = Report(tmp_path / "part.json")
    assert report.attempt("bad", lambda: 1 / 0) is None
    assert report.attempt("good", lambda: {"ms": 1}) == {"ms": 1}
    written = json.loads((tmp_path / "part.json").read_text())
    assert written["bad"]["failed"].startswith("ZeroDivisionError")
    assert written["good"] == {"ms": 1}


def test_the_page_shows_what_is_there_and_says_what_is_not() -> None:
    text = page.as_page(RESULTS)
    assert "on NVIDIA X, 1, 2 MiB, torch 2." in text
    assert "reach 789 TFLOP/s, copies 3,000 GB/s" in text
    assert "| tiny fp32 | yes | 0.0001 | 0.005 |" in text
    assert re.search(r"\| as it was \| OutOfMemoryError: a   b c \|( +\|)+", text)
    assert "steps: ended after its 9 seconds." in text
    assert "eagle: skipped the 9 minutes were spent." in text
    assert "decoding: skipped it was not asked for." in text


def test_the_page_is_that_of_the_kept_results() -> None:
    assert read_block(page.PAGE.read_text(), page.BLOCK) == page.page_text()


def test_an_archive_is_unpacked_beside_it(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("x = 1\n")
    with tarfile.open(tmp_path / "packages.tar.xz", "w:xz") as packed:
        packed.add(tmp_path / "module.py", "package/module.py")
    assert (unpack(tmp_path / "packages.tar.xz") / "package/module.py").read_text() == "x = 1\n"


def test_useful_arithmetic_is_about_six_a_weight_and_token() -> None:
    """The decoder has 2.77 billion weights without its embeddings, which are the output layer too (0.31)."""
    text = Item(1000, 500, image=False)
    assert useful_flops([text], QWEN_3B) / (6 * (2.77e9 * 1000 + 0.311e9 * 500)) == pytest.approx(1.027, abs=0.01)
    picture = useful_flops([Item(1000, 500, image=True)], QWEN_3B) - useful_flops([text], QWEN_3B)
    assert picture / (6 * 0.63e9 * 4992) == pytest.approx(1.1, abs=0.1)
    items = recorded_items(24, dry=False)
    assert (len(items), sum(item.image for item in items)) == (24, 9)
