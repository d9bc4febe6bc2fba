"""Configs as Snakemake reads them: YAML files laid over each other.

The Snakefile names the first two, ``config/recipes.yaml`` and ``config/config.yaml``: the default study. The files of
``--configfile`` are laid over them, in order, and the values of ``--config`` over all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s2h.config_files import ConfigFile, Place, Source, given_values, read_config_file
from s2h.errors import ConfigError
from s2h.paths import WORKFLOW
from s2h.registry import unknown

if TYPE_CHECKING:  # the profile reads files, and waits for no types
    from s2h.config import Config

BASE = ("config/recipes.yaml", "config/config.yaml")
"""The files of the default study, relative to the project's folder."""

_SECTIONS = {"task": "task_mixtures", "recipe": "recipes", "model": "models", "corpus": "corpora", "part": "parts"}


@dataclasses.dataclass(frozen=True)
class Overlays:
    """The files of a study.

    Attributes:
        files: in the order in which they are laid over each other.
        root: the project's folder.
    """

    files: tuple[ConfigFile, ...]
    root: Path

    @cached_property
    def values(self) -> dict[str, Any]:
        """The values of all files."""
        empty: dict[str, Any] = {}
        return reduce(merge, (file.values for file in self.files), empty)

    @cached_property
    def source(self) -> Source:
        """Where they stand."""
        return reduce(Source.under, (file.source for file in self.files), Source(Place("config"), is_mapping=True))

    def elsewhere(self, kind: str, name: str) -> str:
        """Advice where a name exists in a shipped config that is none of the files; empty elsewhere."""
        used = {Path(file.name).resolve() for file in self.files}
        for path in shipped_configs(self.root).values():
            if path.resolve() not in used and name in (read_config_file(path).values.get(_SECTIONS[kind]) or {}):
                return f" config/{path.name} has it: name that file before yours, as in --configfile config/{path.name}"
        return ""

    def reversals(self) -> Iterator[str]:
        """Warnings of shipped configs that stand behind files of the user's and take back what these say."""
        shipped = {path.resolve() for path in shipped_configs(self.root).values()}
        base = {(self.root / name).resolve() for name in BASE}
        own: list[ConfigFile] = []
        for file in self.files:
            path = Path(file.name).resolve()
            if path not in shipped | base:
                own.append(file)
                continue
            for earlier in own:
                if lost := [*_taken_back(earlier.values, file.values)]:
                    yield (
                        f"{file.name} comes after {earlier.name} and replaces its {', '.join(lost[:4])}"
                        f"{', …' if len(lost) > 4 else ''}: name it before, for the last file counts"
                    )


def _taken_back(before: Mapping[str, Any], after: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """The keys whose values a later file replaces by others."""
    for key in before.keys() & after.keys():
        old, new = before[key], after[key]
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _taken_back(old, new, f"{above}{key}.")
        elif old != new:
            yield f"{above}{key}"


def read_config(*overlays: str | Path, root: Path | None = None) -> Config:
    """The checked config of a study; arguments and errors are those of ``read_overlays``."""
    from s2h.config import load_config

    read = read_overlays(*overlays, root=root)
    return load_config(read.values, read)


def read_values(*overlays: str | Path, root: Path | None = None) -> dict[str, Any]:
    """The values of a study, not checked; arguments and errors are those of ``read_overlays``."""
    return read_overlays(*overlays, root=root).values


def read_overlays(
    *overlays: str | Path, changes: Mapping[str, Any] | None = None, root: Path | None = None
) -> Overlays:
    """The files of the default study with overlays laid over it.

    Args:
        overlays: YAML files, or names of configs that are shipped, as ``paper``.
        changes: values of ``--config``.
        root: the project's folder; ``find_root()`` by default.

    Raises:
        ConfigError: files are missing, or are not valid YAML with keys at their top; all of them are named.
    """
    root = root or find_root()
    files = _read_all([*(root / name for name in BASE), *(_overlay(name, root) for name in overlays)])
    return Overlays((*files, given_values("--config", changes or {})), root)


def _read_all(paths: Sequence[Path]) -> list[ConfigFile]:
    files, wrong = [], []
    for path in paths:
        try:
            files.append(read_config_file(path))
        except ConfigError as error:
            wrong.append(str(error))
    if wrong:
        raise ConfigError("\n".join(wrong))
    return files


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
    if str(name) in shipped:
        return shipped[str(name)]
    if Path(name).exists():
        return Path(name)  # which is no file, as its reader says
    raise ConfigError(f"there is no file {name}, and {unknown('config', str(name), shipped)}")
