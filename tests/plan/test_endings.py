"""What is said of a job that failed, from the log that it leaves."""

from __future__ import annotations

import contextlib
from pathlib import Path

from s2h.errors import DataError
from s2h.logs import job_log
from s2h.plan.endings import failure_reason


def test_a_users_error_is_the_reason(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    with contextlib.suppress(SystemExit), job_log(log) as logger:
        logger.error("an earlier one")
        raise DataError("shard-00000.parquet is torn.\nRemove it:\n  rm shard-00000.parquet")
    assert failure_reason(log) == "shard-00000.parquet is torn."


def test_the_last_line_of_a_traceback_is_the_reason(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    with contextlib.suppress(ZeroDivisionError), job_log(log) as logger:
        logger.warning("careful")
        _ = 1 / 0
    assert failure_reason(log) == "ZeroDivisionError: division by zero"


def test_a_job_that_was_killed_left_no_reason(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    with job_log(log) as logger:
        logger.info("train mix, phase 1 of 1: 10/100 (10%)")
    assert (
        failure_reason(log)
        == failure_reason(tmp_path / "none.log")
        == "it left no error message, as where it is killed"
    )
