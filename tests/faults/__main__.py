"""The table of faults: ``python -m tests.faults`` (as root for the full disk; about half an hour on two cores)."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.faults.harms import (
    TORN,
    checkpoint_files,
    enlarge,
    small_disk,
    strike_every_stage,
    tear,
    two_at_once,
)
from tests.faults.study import STAGES, Study, family, kill, wait_until

Outcome = tuple[int, str]
"""How often a fault was tried, and what happened."""


def struck(study: Study, victim: str) -> Outcome:
    times = sum(1 for _ in strike_every_stage(study, victim))
    study.finish()
    return times, f"the same command goes on, all {len(STAGES)} stages hit"


def torn_files(study: Study) -> Outcome:
    study.finish()
    made = study.contents()
    for name in TORN.values():
        tear(study, name, share=0.6)
        study.finish(made)
    return len(TORN), f"stops and says what to remove ({', '.join(TORN)})"


def torn_checkpoint(study: Study) -> Outcome:
    workflow = study.start()
    wait_until(lambda: list(study.results.glob("checkpoints/**/last")), workflow)
    kill(family(workflow.pid))
    workflow.communicate()
    largest = max(checkpoint_files(study), key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:1000])
    code, printed = study.run()
    assert code != 0
    told = [line for line in printed.splitlines() if "cannot be read" in line and "and run again" in line]
    assert told, printed[-3000:]
    folder = told[0].partition("delete ")[2].partition(" and run again")[0]
    for path in sorted((study.folder / folder).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    study.finish()
    return 1, "stops and says what to remove"


def full_disk(study: Study) -> Outcome:
    for told, larger in (("the disk is full", "1m"), ("are free: make room", "200m")):
        code, printed = study.run()
        assert code != 0
        assert told in printed, printed[-3000:]
        assert "Traceback" not in printed, printed[-3000:]
        enlarge(study, larger)
    study.finish()
    return 2, "says so in a line (making puzzles; before training); goes on when there is room"


def two_workflows(study: Study) -> Outcome:
    outcomes = two_at_once(study)
    assert sorted(code for code, _ in outcomes) == [0, 1], outcomes
    (refused,) = [printed for code, printed in outcomes if code]
    assert "locked" in refused
    return 1, "the second is refused by Snakemake's lock"


def two_workflows_without_lock(study: Study) -> Outcome:
    outcomes = two_at_once(study, "--nolock")
    if any(code for code, _ in outcomes):
        study.finish()
    return 1, f"each result is made once (exit codes {[code for code, _ in outcomes]}, then finished)"


FAULTS: dict[str, Callable[[Study], Outcome]] = {
    "Ctrl-C": lambda study: struck(study, "interrupt"),
    "kill -9 of workflow and jobs": lambda study: struck(study, "everything"),
    "kill -9 of the workflow, its job goes on": lambda study: struck(study, "workflow"),
    "kill -9 of a job": lambda study: struck(study, "job"),
    "torn file": torn_files,
    "torn checkpoint": torn_checkpoint,
    "full disk": full_disk,
    "two workflows at once": two_workflows,
    "two workflows at once, without lock": two_workflows_without_lock,
}


def table(chosen: list[str]) -> Iterator[str]:
    """The lines of the table; an assertion fails where a fault does harm."""
    yield "| fault | times tried | outcome | final bytes |"
    yield "| --- | --: | --- | --- |"
    with tempfile.TemporaryDirectory() as name:
        reference = Study(_fresh(Path(name) / "reference"))
        reference.finish()
        expected = reference.contents()
        for fault in chosen:
            study = Study(_fresh(Path(name) / fault.replace(" ", "_")))
            if fault == "full disk":
                with small_disk(study, "250k"):
                    times, outcome = FAULTS[fault](study)
                    same = study.contents() == expected
            else:
                times, outcome = FAULTS[fault](study)
                same = study.contents() == expected
            assert not study.leftovers() or fault == "full disk", study.leftovers()
            yield f"| {fault} | {times} | {outcome} | {'the same' if same else 'DIFFERENT'} |"


def _fresh(folder: Path) -> Path:
    folder.mkdir()
    return folder


if __name__ == "__main__":
    names = [name for name in FAULTS if not sys.argv[1:] or any(word in name for word in sys.argv[1:])]
    for line in table([name for name in names if name != "full disk" or os.geteuid() == 0]):
        print(line, flush=True)
