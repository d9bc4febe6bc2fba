"""The sections, each in a process of its own; this module needs nothing but Python."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

SECTIONS = {"machine": 45, "training": 150, "kernels": 75, "steps": 210, "loading": 120, "decoding": 90, "eagle": 60}
"""Their names, the most important first, and how many seconds each may take; benchmarks/gpu/NAME.py is a section."""

_LEAST = 15  # seconds under which a section is not worth its start
_PATIENCE = 4  # times as long may a section take in miniature, on a busy CPU

Results = dict[str, Any]


class Report:
    """What a section has found so far, always on the disk.

    Args:
        path: JSON file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: Results = {}

    def add(self, name: str, values: object) -> None:
        """Keep what one measurement gave."""
        self.found[name] = values
        write_json(self.path, self.found)

    def attempt(self, name: str, measure: Callable[[], object]) -> Any:
        """Keep what a measurement gives, or how it failed; then the others go on, and None is returned."""
        try:
            values = measure()
        except Exception as error:
            last = traceback.format_exc().strip().splitlines()[-12:]
            self.add(name, {"failed": f"{type(error).__name__}: {error}"[:2000], "traceback": last})
            return None
        self.add(name, values)
        return values


def write_json(path: Path, values: object) -> None:
    """Write a JSON file, whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps(values, indent=1) + "\n")
    os.replace(part, path)


def run_section(name: str, output: Path, *, dry: bool) -> None:
    """Run a section in this process."""
    module = importlib.import_module(f"benchmarks.gpu.{name}")
    module.measure(Report(output), dry=dry)


def run_sections(names: Iterable[str], output: Path, *, minutes: float, dry: bool, site: Path | None) -> Results:
    """Run sections one after the other, and write what they found after each.

    Args:
        names: of the sections.
        output: JSON file.
        minutes: of all of them together.
        dry: in miniature on a CPU.
        site: folder of further packages.
    """
    end = time.monotonic() + 60 * minutes
    results: Results = {"command": " ".join(["python -m benchmarks.gpu", *sys.argv[1:]]), "dry_run": dry}
    with tempfile.TemporaryDirectory() as scratch:
        for name in names:
            limit = min(SECTIONS[name] * (_PATIENCE if dry else 1), end - time.monotonic())
            if limit < _LEAST:
                results[name] = {"skipped": f"the {minutes:g} minutes were spent"}
            else:
                part = Path(scratch) / f"{name}.json"
                results[name] = _run_alone(name, part, limit=limit, dry=dry, site=site)
            write_json(output, results)
            print(_summary(name, results[name]), flush=True)
    return results


def _run_alone(name: str, part: Path, *, limit: float, dry: bool, site: Path | None) -> Results:
    """A section in a process of its own, which is ended with its children when its time is over."""
    command = [sys.executable, "-m", "benchmarks.gpu", "--section", name, "--output", str(part)]
    log, began = part.with_suffix(".log"), time.monotonic()
    with log.open("w") as written:
        process = subprocess.Popen(
            command + ["--dry-run"] * dry,
            cwd=ROOT,
            env=_environment(site, dry=dry),
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        report = _wait(process, limit)
    found: Results = json.loads(part.read_text()) if part.exists() else {}
    if report:
        report["output"] = log.read_text(errors="replace").splitlines()[-25:]
    return {**found, **report, "seconds": round(time.monotonic() - began, 1)}


def _wait(process: subprocess.Popen[bytes], limit: float) -> Results:
    try:
        code = process.wait(limit)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return {"ended": f"after its {limit:.0f} seconds"}
    return {"ended": f"with code {code}"} if code else {}


def _environment(site: Path | None, *, dry: bool) -> dict[str, str]:
    """That of a section: this code first, further packages last."""
    paths = [str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", ""), str(site or "")]
    environment = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1"}
    if dry:
        environment |= {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    return {**os.environ, **environment, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _summary(name: str, found: Results) -> str:
    """One line on a section, and one on each of its failures."""
    failed = {key: value["failed"] for key, value in found.items() if isinstance(value, dict) and "failed" in value}
    said = ", ".join(str(found[key]) for key in ("skipped", "ended") if key in found) or "done"
    lines = [f"{name}: {said} in {found.get('seconds', 0)} s"]
    return "\n".join(lines + [f"  {key}: {value.splitlines()[0]}" for key, value in failed.items()])


def scratch_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder for large files, on the disk or in memory: where there is more room."""
    places = [Path(tempfile.gettempdir()), *(place for place in [Path("/dev/shm")] if os.access(place, os.W_OK))]
    return tempfile.TemporaryDirectory(dir=max(places, key=lambda place: shutil.disk_usage(place).free))
