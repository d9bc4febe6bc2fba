"""The options by which a command selects a study, named as in Snakemake."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from s2h.overlays import Overlays
    from s2h.plan.plan import Plan

More = Annotated[list[str] | None, typer.Argument(help="more files of --configfile, or more KEY=VALUE of --config")]
ConfigFiles = Annotated[list[Path] | None, typer.Option("--configfile", help="config files that override the default")]
Changes = Annotated[list[str] | None, typer.Option("--config", help="KEY=VALUE, as results=results/sweep")]


def open_plan(more: More, configfile: ConfigFiles, config: Changes) -> Plan:
    """The plan of a study in the current folder.

    Snakemake takes several files behind one ``--configfile``; all but the first are ``more`` here.

    Raises:
        ConfigError: a file or a value is wrong.
    """
    from s2h.config import load_config
    from s2h.plan.plan import Plan

    overlays = open_overlays(more, configfile, config)
    return Plan(load_config(overlays.values, overlays), overlays.root / "workflow" / "scripts")


def open_overlays(more: More, configfile: ConfigFiles, config: Changes) -> Overlays:
    """The files of that study; arguments and errors are those of ``open_plan``."""
    from s2h.config_files import read_changes
    from s2h.overlays import read_overlays

    files, changes = split_words(more, configfile, config)
    return read_overlays(*files, changes=read_changes(changes))


def split_words(more: More, configfile: ConfigFiles, config: Changes) -> tuple[list[str], list[str]]:
    """The files, or names of shipped configs, and the KEY=VALUE words among these options."""
    words = more or []
    files = [*map(str, configfile or []), *(word for word in words if "=" not in word)]
    return files, [*(config or []), *(word for word in words if "=" in word)]
