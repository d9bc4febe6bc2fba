"""Models from the Hugging Face hub, fetched once into a folder of the study, so that no job needs a network."""

from __future__ import annotations

import glob
import json
import os
import shutil
from fnmatch import fnmatch
from pathlib import Path

from huggingface_hub import HfApi, get_token, hf_hub_url, snapshot_download

from s2h.errors import ModelError, S2HError
from s2h.fetching import fetch_file, sha256_of
from s2h.models.sources import OutsideSource

_KEPT = ["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model"]
"""File patterns of weights, config, tokenizer and processor; no second copy of the weights, and no code."""
_KEPT_WITHOUT = [*_KEPT, "pytorch_model*.bin"]
"""File patterns of a model that is not published as safetensors, such as CLIP at 336 pixels."""


def fetch_model(source: OutsideSource, folder: Path) -> None:
    """Fetch a model; an interrupted download resumes, in a folder beside ``folder``.

    ``fetched.json`` in it says which commit it is, and the sha256 of every file.

    Raises:
        ModelError: it cannot be had from here; the message says how else to bring it.
        DataError: a file is not the one that the hub names; it is removed.
    """
    part = folder.with_name(f"{folder.name}.part")
    try:
        commit = _fetch(source, part)
    except S2HError:
        raise
    except Exception as error:  # the hub's client raises errors of several libraries
        raise _unreachable(source, folder, error) from error
    shutil.rmtree(part / ".cache", ignore_errors=True)
    files = {path.relative_to(part).as_posix(): sha256_of(path) for path in sorted(part.rglob("*")) if path.is_file()}
    source_record = {"name": source.name, "revision": source.revision, "commit": commit, "files": files}
    (part / "fetched.json").write_text(json.dumps(source_record, indent=1) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(part, folder)


def _fetch(source: OutsideSource, folder: Path) -> str | None:
    """Fetch the files of a model that are kept, those with a checksum on the hub by ourselves; returns the commit."""
    info = HfApi().model_info(source.name, revision=source.revision, files_metadata=True)
    digests = {file.rfilename: file.lfs.sha256 for file in info.siblings or [] if file.lfs}
    safe = any(file.rfilename.endswith(".safetensors") for file in info.siblings or [])
    kept = _KEPT if safe else _KEPT_WITHOUT
    large = [name for name in digests if any(fnmatch(name, pattern) for pattern in kept)]
    excluded = [glob.escape(name) for name in large]
    snapshot_download(source.name, revision=info.sha, local_dir=folder, allow_patterns=kept, ignore_patterns=excluded)
    headers = {"Authorization": f"Bearer {token}"} if (token := get_token()) else {}
    for name in large:
        url = hf_hub_url(source.name, name, revision=info.sha)
        fetch_file(url, digests[name], folder / name, headers=headers)
    return info.sha


def _unreachable(source: OutsideSource, folder: Path, error: Exception) -> ModelError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return ModelError(
        f"the model {source.name} (revision {source.revision}) cannot be fetched from the Hugging Face hub: {reason}\n"
        "Where there is a network, fetch all models of the config:\n"
        "  snakemake models\n"
        f"or bring it yourself: hf download {source.name} --revision {source.revision} --local-dir FOLDER\n"
        f"and copy FOLDER to {folder}, or name it in the config (models.*.source.name: /path/to/FOLDER)."
    )
