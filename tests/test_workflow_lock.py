"""A dead workflow's lock goes, a living one's stays."""

import subprocess
import sys
from pathlib import Path

import pytest

from s2h.errors import S2HError
from s2h.workflow_lock import release


def lock(folder: Path) -> Path:
    path = folder / ".snakemake/locks/0.input.lock"
    path.parent.mkdir(parents=True)
    path.write_text("results/tables/summary.csv\n")
    return path


def test_without_a_lock_nothing_is_done(tmp_path: Path) -> None:
    assert not release(tmp_path)


def test_a_dead_workflows_lock_is_removed(tmp_path: Path) -> None:
    path = lock(tmp_path)
    assert release(tmp_path)
    assert not path.exists()


def test_a_living_workflows_lock_stays(tmp_path: Path) -> None:
    path = lock(tmp_path)
    sleeper = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()", "snakemake"]
    with subprocess.Popen(sleeper, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        worker.stdout.readline()
        with pytest.raises(S2HError, match=rf"processes {worker.pid} still work here"):
            release(tmp_path)
        assert path.exists()
        worker.communicate(b"")
    assert release(tmp_path)
