"""The options by which a command selects a study, named as in Snakemake."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
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
    from s2h.overlays import find_root, merge, read_values
    from s2h.plan.plan import Plan

    files: list[str | Path] = [*(configfile or []), *(word for word in more or [] if "=" not in word)]
    changes = [*(config or []), *(word for word in more or [] if "=" in word)]
    root = find_root()
    values = merge(read_values(*files, root=root), dict(map(_change, changes)))
    return Plan(load_config(values), root / "workflow" / "scripts")


def _change(word: str) -> tuple[str, Any]:
    """A key and its value, which is read as YAML."""
    import yaml

    from s2h.errors import ConfigError

    key, equals, value = word.partition("=")
    if not equals:
        raise ConfigError(f"--config {word}: give KEY=VALUE, as in --config results=results/sweep.")
    return key, yaml.safe_load(value)
