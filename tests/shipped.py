"""The configs that are shipped, read as Snakemake reads them."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from s2h.config import Config, load_config

ROOT = Path(__file__).parents[1]


_NEEDED = ("Snakefile", "rules", "workflow", "config", "profiles", "slurm", "envs", "src", "pyproject.toml")


def copy_project(folder: Path, *more: str) -> None:
    """Put what Snakemake needs of the project into a folder, as a clone has it, and more by name."""
    for name in (*_NEEDED, *more):
        source = ROOT / name
        if source.is_dir() and not source.is_symlink():
            shutil.copytree(source, folder / name)
        else:
            shutil.copy2(source, folder / name, follow_symlinks=False)


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Lay one config over another: dicts are merged, all else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


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


def config_values(*overlays: str) -> dict[str, Any]:
    """The values of recipes.yaml and config.yaml with the named overlays laid over it."""
    values: dict[str, Any] = {}
    for name in ("recipes", "config", *overlays):
        values = merge(values, yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text()))
    return values


def default_config(*overlays: str) -> Config:
    """The checked config."""
    return load_config(config_values(*overlays))
