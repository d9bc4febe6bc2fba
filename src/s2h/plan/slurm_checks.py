"""What SLURM says to the profile's own settings, before the first job is submitted, and of jobs that it killed.

Both read Snakemake's own objects, whose attributes are no public interface.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

_OPTIONS = {
    "slurm_partition": "--partition",
    "slurm_account": "--account",
    "qos": "--qos",
    "constraint": "--constraint",
    "cluster": "--clusters",
}
"""Resources that name something of the cluster, as the SLURM plugin hands them to sbatch."""
# Wrong today and tomorrow. Other words are those of an hour, as "Requested node configuration is not available", which
# --test-only says as well where nodes are drained and sbatch itself would queue the job.
_REFUSED = re.compile(r"\binvalid\b|not permitted|denied|unrecogni[sz]ed option", re.IGNORECASE)
_PATIENCE = 60  # seconds for one answer of sbatch
_KILLED = {
    "DUE TO TIME LIMIT": "it reached its time limit (runtime in the profile's set-resources)",
    r"exceeded memory limit|Exceeded job memory limit|oom[_-]kill|Out Of Memory": (
        "it took more memory than it asked for (mem_mb in the profile's set-resources)"
    ),
    "DUE TO NODE FAILURE": "its node failed",
    "DUE TO PREEMPTION": "a job of higher priority took its place",
}
"""The reasons that SLURM writes into the log of a job, as regular expressions."""


def refuse_what_slurm_refuses(workflow: Any) -> None:
    """End the program where SLURM knows no such partition, account or QOS; nothing is submitted then.

    sbatch is asked once for each combination of the settings of the jobs that will run.
    """
    if not _on_slurm(workflow):
        return
    for options, rules in _rules_by_options(workflow).items():
        answer = _ask(options)
        named = f"{', '.join(sorted(rules))} ({' '.join(options) or 'no options'})"
        if _REFUSED.search(answer):
            sys.exit(
                f"s2h: SLURM refuses the jobs of {named}; nothing was submitted. It says:\n  {answer}\nCorrect the "
                "settings at the top of the profile (profiles/slurm/config.yaml)."
            )
        if answer:
            print(f"s2h: SLURM may not run the jobs of {named} now: {answer}", file=sys.stderr)


def say_why_slurm_killed(workflow: Any) -> None:
    """Print why SLURM ended jobs of this workflow, where their logs tell; without accounting nothing else does."""
    if not _on_slurm(workflow):
        return
    folder = Path(workflow.executor_settings.logdir or ".snakemake/slurm_logs")
    for log in sorted(folder.rglob("*.log")):
        if log.stat().st_mtime >= psutil.Process().create_time() and (reason := _reason(log)):
            rule = log.relative_to(folder).parts[0].removeprefix("rule_")
            print(f"s2h: SLURM ended the job {log.stem} ({rule}): {reason}; its log: {log}", file=sys.stderr)


def _on_slurm(workflow: Any) -> bool:
    return workflow.executor_plugin is not None and workflow.executor_plugin.name == "slurm"


def _rules_by_options(workflow: Any) -> dict[tuple[str, ...], set[str]]:
    """The options of sbatch that jobs will be submitted with, each with the rules of those jobs."""
    found: dict[tuple[str, ...], set[str]] = {}
    for job in workflow.dag.needrun_jobs():
        if not job.is_local:
            found.setdefault(tuple(_options(job.resources, workflow.executor_settings)), set()).add(job.rule.name)
    return found


def _options(resources: Any, settings: Any) -> Iterator[str]:
    for name, option in _OPTIONS.items():
        if value := str(resources.get(name) or ""):
            first = re.split(r"[,\s]", value)[0]  # of several accounts, as the plugin does
            yield f"{option}={first if name == 'slurm_account' else value}"
    for name in ("qos", "reservation"):
        if setting := getattr(settings, name, None):
            yield f"--{name}={setting}"
    yield from shlex.split(resources.get("slurm_extra") or "")


def _ask(options: tuple[str, ...]) -> str:
    """The complaint of sbatch about a job with these options; empty where it has none."""
    command = ["sbatch", "--test-only", *options, "--wrap", "true"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE)
    except FileNotFoundError:
        sys.exit("s2h: there is no sbatch here: run Snakemake on a login node of the cluster, or leave out --profile.")
    except subprocess.TimeoutExpired:
        return f"sbatch gave no answer in {_PATIENCE} seconds"
    return "\n  ".join(done.stderr.strip().splitlines()) if done.returncode else ""


def _reason(log: Path) -> str | None:
    text = log.read_text(encoding="utf-8", errors="replace")
    return next((reason for words, reason in _KILLED.items() if re.search(words, text)), None)
