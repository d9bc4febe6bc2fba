"""``s2h plan``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from s2h.cli.study_options import Changes, ConfigFiles, More, split_words

app = typer.Typer()


@app.command()
def plan(
    more: More = None,
    configfile: ConfigFiles = None,
    config: Changes = None,
    gpus: Annotated[int | None, typer.Option(min=1, help="that jobs may use at once, for the time it takes")] = None,
    cores: Annotated[int | None, typer.Option(min=1, help="that jobs may use at once; default: all here")] = None,
) -> None:
    """Say what a study will make, why, and what it costs: GPU-hours, time, disk, replies; start nothing.

    Snakemake is asked (snakemake -n), as it alone decides what runs; a second account of that would differ some day.
    Files are named as they are, or by the names of shipped configs: s2h plan paper results=results/paper.
    """
    from s2h.overlays import find_root, shipped_configs
    from s2h.plan import PLAN_HEAD

    names, changes = split_words(more, configfile, config)
    shipped = shipped_configs()
    files = [name if Path(name).exists() else str(shipped.get(name, name)) for name in names]
    command = [sys.executable, "-m", "snakemake", "-n", "--nolock", "--quiet", "rules", "progress"]
    command += ["--snakefile", str(find_root() / "Snakefile")]
    command += ["--resources", f"gpus={gpus}"] if gpus else []
    command += ["--cores", str(cores)] if cores else []
    command += ["--configfile", *files] if files else []
    command += ["--config", *changes] if changes else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    _, head, lines = done.stdout.partition(PLAN_HEAD)
    if done.returncode or not head:
        sys.exit(done.stderr.strip() or done.stdout.strip() or "s2h: Snakemake has planned nothing.")
    print(head + lines, end="")
