"""A small study in a copy of the project, and ways to do it harm."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import polars as pl
import psutil
import yaml

from s2h.overlays import merge, read_values
from s2h.provenance.fingerprints import contents_digest, take_fingerprint
from tests.shipped import copy_project

STAGES = (
    *("make_puzzles", "check_puzzles", "validate_puzzles", "make_mixture", "build_base_model"),
    *("train_phase", "decode_predictions", "score_model", "make_table"),
)
TABLE = "results/tables/summary.csv"
TASK = "grid_navigation"
RUN = f"{TASK}/align_mix_plus/48/tiny/0"
GRID = {"tasks": [TASK], "recipes": ["align_mix_plus"], "budgets": [48], "models": ["tiny"], "seeds": [0]}


class Study:
    """A study of one task with two phases of training: twenty-two jobs, about a minute.

    Args:
        folder: in which it is made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        copy_project(folder)
        values = merge(read_values("smoke"), {"runs": [GRID]})
        (folder / "config/small.yaml").write_text(yaml.safe_dump(values))

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def command(self, *words: str) -> list[str]:
        return ["snakemake", TABLE, *words, "--configfile", "config/small.yaml"]

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start the workflow in a session of its own."""
        return subprocess.Popen(
            self.command(*words),
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder / "src"), "CUDA_VISIBLE_DEVICES": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def unlock(self) -> None:
        """Remove the lock of a workflow that was killed."""
        environment = {**os.environ, "PYTHONPATH": str(self.folder / "src")}
        subprocess.run(self.command("--unlock"), cwd=self.folder, env=environment, check=True, capture_output=True)

    def run(self, *words: str) -> tuple[int, str]:
        """Run the workflow to its end: exit code, and what it printed.

        A lock that kill -9 has left is removed first, as Snakemake's message says.
        """
        self.unlock()
        workflow = self.start(*words)
        printed = workflow.communicate(timeout=900)[0]
        return workflow.returncode, printed

    def finish(self, names: Iterable[str] = ()) -> None:
        """Run to the end, which must be reached.

        Args:
            names: results that are asked for beside the table; Snakemake does not make an intermediate again that was
                removed and that nothing needs.
        """
        code, printed = self.run(*(f"results/{name}" for name in names))
        assert code == 0, printed[-4000:]

    def job_of(self, stage: str) -> psutil.Process | None:
        """The process that runs a job of a stage."""
        for process in psutil.process_iter(["cmdline", "cwd"]):
            words = process.info["cmdline"] or []
            if len(words) > 1 and words[1].endswith(f".{stage}.py") and process.info["cwd"] == str(self.folder):
                return process
        return None

    def contents(self) -> dict[str, str]:
        """Digests of all that the study has made, without times: of files as they are, of tables without seconds."""
        found = {}
        for path in sorted(self.results.rglob("*.parquet")):
            name = path.relative_to(self.results).as_posix()
            if name.startswith(("puzzles", "checks", "mixtures")):
                found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
            elif name.startswith(("predictions", "scores")):
                frame = pl.read_parquet(path)
                found[name] = hashlib.sha256(frame.drop("seconds").write_csv().encode()).hexdigest()
        for path in sorted(self.results.glob("models/*/*/*/*/*/phase-*")):
            found[path.relative_to(self.results).as_posix()] = contents_digest(take_fingerprint(path))
        for path in sorted((self.results / "tables").glob("summary.*")):
            found[path.relative_to(self.results).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found

    def leftovers(self) -> list[str]:
        """Files that nobody will finish."""
        return [str(path) for path in self.results.rglob("*.part")]


def wait_until(condition: Callable[[], object], workflow: subprocess.Popen[str], *, seconds: float = 300) -> None:
    """Wait for something to happen while a workflow runs."""
    end = time.monotonic() + seconds
    while not condition():
        if workflow.poll() is not None:
            raise AssertionError(f"it ended before it was to be harmed: {workflow.communicate()[0][-3000:]}")
        assert time.monotonic() < end, "what was waited for did not happen"
        time.sleep(0.01)


def kill(processes: Sequence[psutil.Process], sign: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to processes that may have ended already."""
    for process in processes:
        try:
            process.send_signal(sign)
        except psutil.NoSuchProcess:
            continue


def family(pid: int) -> list[psutil.Process]:
    """A process and all that it started."""
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]
