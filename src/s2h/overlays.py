"""Configs as Snakemake reads them: YAML files laid over each other.

The Snakefile names the first two, ``config/recipes.yaml`` and ``config/config.yaml``: the default study. The files of
``--configfile`` are laid over them, in order.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from s2h.config import Config, load_config
from s2h.errors import ConfigError
from s2h.paths import WORKFLOW
from s2h.registry import unknown

BASE = ("config/recipes.yaml", "config/config.yaml")
"""The files of the default study, relative to the project's folder."""


def read_config(*overlays: str | Path, root: Path | None = None) -> Config:
    """The checked config of a study; arguments and errors are those of ``read_values``."""
    return load_config(read_values(*overlays, root=root))


def read_values(*overlays: str | Path, root: Path | None = None) -> dict[str, Any]:
    """The values of the default study with overlays laid over it.

    Args:
        overlays: YAML files, or names of configs that are shipped, as ``paper``.
        root: the project's folder; ``find_root()`` by default.

    Raises:
        ConfigError: a file is missing, or is not valid YAML with keys at its top.
    """
    root = root or find_root()
    values: dict[str, Any] = {}
    for path in (*(root / name for name in BASE), *(_overlay(name, root) for name in overlays)):
        values = merge(values, _read(path))
    return values


def shipped_configs(root: Path | None = None) -> dict[str, Path]:
    """The overlays that the project ships, by name; some are made to be laid over another one, as their heads say."""
    root = root or find_root()
    paths = sorted((root / "config").glob("*.yaml"))
    return {path.stem: path for path in paths if path not in [root / name for name in BASE]}


def find_root(folder: Path | None = None) -> Path:
    """The project's folder: the nearest one, from a folder upwards, that holds the default config.

    Args:
        folder: the current one by default; the project in which this package lies comes after those above it.

    Raises:
        ConfigError: there is none.
    """
    folder = folder or Path.cwd()
    for each in (folder, *folder.parents, WORKFLOW):
        if all((each / name).is_file() for name in BASE):
            return each
    raise ConfigError(f"neither {folder} nor a folder above it holds {' and '.join(BASE)}: go to the project's folder.")


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one config over another as Snakemake does: mappings are merged, all else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key, {})
        if isinstance(value, Mapping):
            # An empty mapping replaces nothing, whatever it is laid over.
            merged[key] = merge(old if isinstance(old, Mapping) else {}, value) if value else old
        else:
            merged[key] = value
    return merged


def _overlay(name: str | Path, root: Path) -> Path:
    """The file that is meant: a path, or the name of a shipped config."""
    if Path(name).is_file():
        return Path(name)
    shipped = shipped_configs(root)
    if str(name) not in shipped:
        raise ConfigError(f"there is no file {name}, and {unknown('config', str(name), shipped)}")
    return shipped[str(name)]


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path} holds {values!r}: a config file has keys at its top.")
    return values
