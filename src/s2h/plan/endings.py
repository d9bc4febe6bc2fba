"""What is said when a workflow ends: what failed and why, or where the results lie.

It reads Snakemake's own objects, as ``start_checks`` does.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from s2h.plan.plan import Plan
from s2h.plan.planned_jobs import STAGE_OF

_ERROR = re.compile(r"^\d{4}-\d\d-\d\d [\d:,]+ (?:ERROR|CRITICAL) (.+)$", re.MULTILINE)
_UNEXPECTED = "the job stopped"  # in the log (s2h.logs), before a traceback
_LONGEST = 200  # characters of a reason
_MOST = 20  # jobs that are listed


def failure_lines(workflow: Any, plan: Plan) -> Iterator[str]:
    """Lines for a person: each job that failed, its reason and log; then the table of the runs that are scored.

    Args:
        workflow: Snakemake's, at its end.
        plan: of the same config.
    """
    failed = [each for job in workflow.scheduler.failed for each in getattr(job, "jobs", [job])]
    if not failed:  # interrupted
        return
    yield f"s2h: {len(failed):,} {'job' if len(failed) == 1 else 'jobs'} failed, and what waits for it was not started:"
    for job in failed[:_MOST]:
        log = str(job.log[0]) if job.log else ""
        run = "/".join(map(str, job.wildcards))
        yield f"s2h:   {STAGE_OF.get(job.rule.name, job.rule.name)} {run or job.rule.name}: {failure_reason(log)}"
        yield f"s2h:     {log}"
    if len(failed) > _MOST:
        yield f"s2h:   and {len(failed) - _MOST:,} more"
    yield from _scored_so_far(workflow, plan)
    yield "s2h: the same command goes on from here: what is finished stays."


def failure_reason(log: str | Path) -> str:
    """Why a job failed, in a line: the last error in its log."""
    text = Path(log).read_text(encoding="utf-8", errors="replace") if Path(log).is_file() else ""
    errors = list(_ERROR.finditer(text))
    if not errors:
        return "it left no error message, as where it is killed"
    reason = errors[-1][1]
    if reason == _UNEXPECTED:
        reason = text.rstrip().rpartition("\n")[2]
    return reason if len(reason) <= _LONGEST else f"{reason[: _LONGEST - 1]}…"


def _scored_so_far(workflow: Any, plan: Plan) -> Iterator[str]:
    """Write the summary of the runs that are scored, and say how many these are."""
    from s2h.plan.live_study import live_study
    from s2h.publishing.live import scored_runs, write_summary

    study = live_study(plan.report)
    if ready := scored_runs(study):
        table = write_summary(study, ready)
        yield f"s2h: {len(ready):,} of {len(study.runs):,} runs are scored; their table is {table}"
        yield f"s2h: their other tables and figures: {shlex.join(['s2h', 'watch', '--once', *_options(workflow)])}"


def success_lines(workflow: Any, plan: Plan) -> Iterator[str]:
    """Lines for a person: where tables, figures and pages lie, and the next command; none where no table is made.

    Args:
        workflow: Snakemake's, at its end.
        plan: of the same config.
    """
    paths = plan.paths
    table = Path(paths.table("md").format(table="summary"))
    if not table.exists():
        return
    yield f"s2h: the table is {table}, its other forms and other tables are beside it"
    if Path(paths.overview).exists():
        figures, pages = Path(paths.figure("svg")).parent, Path(paths.below("failures", ""))
        yield f"s2h: figures are in {figures}, what each model gets wrong in {pages}"
        yield f"s2h: all in one file: {shlex.join(['snakemake', *_options(workflow), '--report', 'report.html'])}"
    else:
        yield f"s2h: all tables, figures and pages: {shlex.join(['snakemake', *_options(workflow)])}"


def _options(workflow: Any) -> list[str]:
    """The options by which the study was selected."""
    files, values = workflow.overwrite_configfiles, workflow.config_settings.config
    changes = [f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in values.items()]
    return [*(["--configfile", *map(str, files)] if files else []), *(["--config", *changes] if changes else [])]
