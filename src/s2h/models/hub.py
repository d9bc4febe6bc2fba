"""Models from the Hugging Face hub, fetched once into a folder of the study, so that no job needs a network."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download

from s2h.errors import ModelError
from s2h.models.settings import PretrainedSettings

_KEPT = ["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model"]
"""Weights, config, tokenizer and processor; no second copy of the weights in another form, and no code."""
_KEPT_WITHOUT = [*_KEPT, "pytorch_model*.bin"]
"""The same of a model that is not there as safetensors, such as CLIP at 336 pixels."""


def fetch_model(source: PretrainedSettings, folder: Path) -> None:
    """Fetch a model; an interrupted download goes on where it was, in a folder beside ``folder``.

    ``fetched.json`` in it says which commit it is.

    Raises:
        ModelError: it cannot be had from here; the message says how else to bring it.
    """
    part = folder.with_name(f"{folder.name}.part")
    try:
        info = HfApi().model_info(source.name, revision=source.revision)
        commit, files = str(info.sha), [file.rfilename for file in info.siblings or []]
        kept = _KEPT if any(file.endswith(".safetensors") for file in files) else _KEPT_WITHOUT
        snapshot_download(source.name, revision=commit, local_dir=part, allow_patterns=kept)
    except Exception as error:  # the hub's client raises errors of several libraries
        raise _unreachable(source, folder, error) from error
    shutil.rmtree(part / ".cache", ignore_errors=True)
    story = {"name": source.name, "revision": source.revision, "commit": commit}
    (part / "fetched.json").write_text(json.dumps(story, indent=1) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(part, folder)


def _unreachable(source: PretrainedSettings, folder: Path, error: Exception) -> ModelError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return ModelError(
        f"the model {source.name} (revision {source.revision}) cannot be fetched from the Hugging Face hub: {reason}\n"
        "Where there is a network, fetch all models of the config:\n"
        "  snakemake models\n"
        f"or bring it yourself: hf download {source.name} --revision {source.revision} --local-dir FOLDER\n"
        f"and copy FOLDER to {folder}, or name it in the config (models.*.source.name: /path/to/FOLDER)."
    )
