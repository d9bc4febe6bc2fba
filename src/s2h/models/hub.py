"""Models from the Hugging Face hub, fetched once into a folder of the study, so that no job needs a network."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download

from s2h.errors import ModelError
from s2h.models.settings import OutsideModelSettings

_KEPT = ["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model"]
"""Weights, config, tokenizer and processor; no second copy of the weights in another form, and no code."""


def fetch_model(source: OutsideModelSettings, folder: Path) -> None:
    """Fetch a model; an interrupted download goes on where it was, in a folder beside ``folder``.

    ``fetched.json`` in it says which commit it is, and the sha256 of every file.

    Raises:
        ModelError: it cannot be had from here, and the message says how else to bring it; or files are not those of
            the hub.
    """
    part = folder.with_name(f"{folder.name}.part")
    try:
        info = HfApi().model_info(source.name, revision=source.revision, files_metadata=True)
        snapshot_download(source.name, revision=info.sha, local_dir=part, allow_patterns=_KEPT)
    except Exception as error:  # the hub's client raises errors of several libraries
        raise _unreachable(source, folder, error) from error
    files = _checked(part, {file.rfilename: file.lfs.sha256 for file in info.siblings or [] if file.lfs})
    shutil.rmtree(part / ".cache", ignore_errors=True)
    story = {"name": source.name, "revision": source.revision, "commit": info.sha, "files": files}
    (part / "fetched.json").write_text(json.dumps(story, indent=1) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(part, folder)


def _checked(folder: Path, expected: Mapping[str, str]) -> dict[str, str]:
    """The sha256 of every file of a model by its name, after those that the hub names were compared.

    Raises:
        ModelError: some differ; these are removed.
    """
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and ".cache" not in path.parts]
    found = {path.relative_to(folder).as_posix(): _sha256(path) for path in paths}
    torn = [name for name, digest in found.items() if digest != expected.get(name, digest)]
    for name in torn:
        (folder / name).unlink()
    if torn:
        raise ModelError(
            f"{', '.join(torn)} in {folder} had another sha256 than on the hub and was removed: running again fetches "
            "it anew."
        )
    return found


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unreachable(source: OutsideModelSettings, folder: Path, error: Exception) -> ModelError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return ModelError(
        f"the model {source.name} (revision {source.revision}) cannot be fetched from the Hugging Face hub: {reason}\n"
        "Where there is a network, fetch all models of the config:\n"
        "  snakemake models\n"
        f"or bring it yourself: hf download {source.name} --revision {source.revision} --local-dir FOLDER\n"
        f"and copy FOLDER to {folder}, or name it in the config (models.*.source.name: /path/to/FOLDER)."
    )
