"""The weights of trained models: what of them a study keeps once a run is scored (``keep_weights`` in the config).

A folder that loses its weights stays, with its manifest, metrics and processor; ``removed.json`` there holds the names,
sizes and checksums of what is gone, so that records still say whether all else is what it was. It is written first:
whoever is killed on the way has removed less, and nothing unnoticed.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from s2h.errors import DataError, ModelError
from s2h.files import atomic_file
from s2h.logs import LOGGER
from s2h.provenance.cache import kept_results
from s2h.provenance.fingerprints import (
    REMOVED,
    FileMark,
    contents_digest,
    looks_unchanged,
    removed_files,
    take_fingerprint,
)
from s2h.provenance.records import read_record, record_path

Keep = Literal["all", "last_phase", "adapters"]
"""The weights kept once a run is scored: all, those of its last phase, or adapters instead of merged weights."""

ADAPTERS = "adapters"
"""Where they lie in the folder of a model that was trained with ``lora``; beside ``config.json`` transformers would
find them, and put them onto weights that hold them already."""


def remove_weights(
    models: Sequence[str | Path], keep: Keep, *, checkpoints: str | Path, output: str | Path, results: str | Path
) -> None:
    """Remove weights that are not kept of a run that is scored, and write what is gone by now.

    Args:
        models: folders that its phases left, in order.
        keep: what stays.
        checkpoints: folder of its checkpoints, with one for each phase: earlier phases may have left their optimizers
            there for the next (``optimizer: kept``), which are of no use without their weights.
        output: JSON file of the names of the files that are gone, by folder.
        results: folder of everything that the workflow makes.
    """
    for folder, files in _removable([Path(model) for model in models], keep).items():
        _remove(folder, files, keep=keep, results=results)
        if keep == "last_phase":
            shutil.rmtree(Path(checkpoints) / folder.name, ignore_errors=True)
    gone = {str(model): missing_files(model) for model in models}
    with atomic_file(output) as temporary:
        temporary.write_text(json.dumps({folder: files for folder, files in gone.items() if files}, indent=1) + "\n")


def missing_files(folder: str | Path) -> list[str]:
    """Files of a model that were removed, by their paths in its folder; none where they have been brought back."""
    return [name for name in removed_files(folder) if not (Path(folder) / name).exists()]


def check_weights(folder: str | Path) -> None:
    """Raise ModelError where the weights of a model were removed and cannot be put together from its adapters."""
    if not missing_files(folder):
        return
    if not has_adapters(folder):
        setting = json.loads((Path(folder) / REMOVED).read_text(encoding="utf-8")).get("keep_weights")
        raise ModelError(
            f"the weights of {folder} were removed once its run was scored (keep_weights: {setting} in the config). "
            f"To have it trained again:\n  rm -r {folder}\nand run again."
        )
    check_weights(checked_base(folder))


def has_adapters(folder: str | Path) -> bool:
    """Whether the adapters of a model are there, from which its weights can be made again."""
    return (Path(folder) / ADAPTERS / "adapter_model.safetensors").is_file()


def describe_base(base: str | Path, output: str | Path) -> dict[str, Any]:
    """The description of the base of a model's adapters in its manifest: its path and its contents.

    Args:
        base: model folder.
        output: folder of the trained model; a base that is not an absolute path is given relative to it, so that both
            may be moved together.
    """
    place = str(base) if Path(base).is_absolute() else os.path.relpath(base, output)
    files = {name: dataclasses.asdict(mark) for name, mark in take_fingerprint(base).items()}
    return {"base": place, "files": files}


def checked_base(folder: str | Path) -> Path:
    """The folder of the base onto which a model's adapters belong.

    Raises:
        ModelError: it is not there, or holds something else than in the training.
    """
    try:
        contents = json.loads((Path(folder) / "manifest.json").read_text(encoding="utf-8"))["adapters"]
        base = Path(os.path.normpath(Path(folder) / contents["base"]))
        files = {name: FileMark(**mark) for name, mark in contents["files"].items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"the manifest of {folder} does not tell the base of its adapters ({error}).") from None
    if not base.is_dir():
        raise ModelError(f"the adapters of {folder} belong onto {base}, which is not there: {_advice(folder)}")
    if not looks_unchanged(base, files) and contents_digest(take_fingerprint(base)) != contents_digest(files):
        raise ModelError(f"{base} is not what the adapters of {folder} were trained on: {_advice(folder)}")
    return base


def _advice(folder: str | Path) -> str:
    return f"bring it back, or have the model trained again:\n  rm -r {folder}\nand run again."


def _removable(folders: Sequence[Path], keep: Keep) -> dict[Path, list[str]]:
    """The files to be removed, by folder; none that weights which stay depend on."""
    if keep == "last_phase" and folders and not missing_files(folders[-1]):
        return {folder: _weights(folder, "**/*.safetensors") for folder in folders[:-1]}
    if keep == "adapters":
        return {folder: _weights(folder, "*.safetensors") for folder in folders if _can_be_made_again(folder)}
    return {}


def _weights(folder: Path, pattern: str) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.glob(pattern))


def _can_be_made_again(folder: Path) -> bool:
    """Whether a model's weights can be made from its adapters; where it has some but cannot, the log says why."""
    if not has_adapters(folder):
        return False
    try:
        check_weights(checked_base(folder))
    except (ModelError, DataError) as error:
        LOGGER.warning("the weights of %s stay: %s", folder, error)
        return False
    return True


def _remove(folder: Path, files: Sequence[str], *, keep: Keep, results: str | Path) -> None:
    """Say what is removed, then remove it."""
    place = record_path(folder, results)
    record = read_record(place) if place and place.exists() else None
    if record:
        kept_results(results).drop(record.key)
    marks = record.files if record else take_fingerprint(folder)
    gone = removed_files(folder) | {name: marks[name] for name in files}
    contents = {"keep_weights": keep, "files": {name: dataclasses.asdict(mark) for name, mark in gone.items()}}
    with atomic_file(folder / REMOVED) as temporary:
        temporary.write_text(json.dumps(contents, indent=1) + "\n")
    for name in gone:
        (folder / name).unlink(missing_ok=True)
    LOGGER.info("removed the weights of %s: %s", folder, ", ".join(files) or "none that were left")
