"""The project itself: where it lies, copies of it, and what its workflow hands to a script."""

import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from s2h.config import Config
from s2h.overlays import read_config

ROOT = Path(__file__).parents[1]
PAPER_TASKS = ("consecutive_table_readout", "table_readout", "grid_navigation", "visual_analogy")
"""What is pinned is pinned of these; more tasks may be registered."""
OWN_CONFIG = "S2H_TESTED_CONFIG"
"""The variable that hands the option ``--configfile`` of pytest on."""


_NEEDED = ("Snakefile", "rules", "workflow", "config", "profiles", "slurm", "envs", "src", "pyproject.toml")


def copy_project(folder: Path, *more: str) -> None:
    """Put what Snakemake needs of the project into a folder, as a clone has it, and more by name."""
    for name in (*_NEEDED, *more):
        source = ROOT / name
        if source.is_dir() and not source.is_symlink():
            shutil.copytree(source, folder / name)
        else:
            shutil.copy2(source, folder / name, follow_symlinks=False)


def job(
    rule: str,
    folder: Path,
    *,
    inputs: dict[str, Any],
    outputs: dict[str, str],
    params: dict[str, Any],
    wildcards: dict[str, str] | None = None,
) -> Any:
    """What Snakemake hands to the script of a rule whose results lie in ``folder``."""
    from snakemake.iocontainers import Namedlist

    return SimpleNamespace(
        rule=rule,
        input=Namedlist(fromdict=inputs),
        output=Namedlist(fromdict=outputs),
        params=Namedlist(fromdict=params),
        wildcards=Namedlist(fromdict=wildcards or {}),
        log=[str(folder / "log")],
        resources=Namedlist(),
        config={"results": str(folder)},
    )


def own_config() -> Config | None:
    """The config that ``pytest --configfile`` names, laid over the default; None without one."""
    path = os.environ.get(OWN_CONFIG)
    return read_config(path, root=ROOT) if path else None
