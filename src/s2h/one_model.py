"""A study of one model as it is: the config that ``s2h score`` writes, and Snakemake's command for it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from s2h.devices import visible_gpus
from s2h.errors import ConfigError
from s2h.files import atomic_file
from s2h.models.sources import is_path
from s2h.overlays import find_root, read_values
from s2h.profiles import asks_for_another
from s2h.puzzles.record import MODALITIES
from s2h.puzzles.task import Style
from s2h.registry import unknown

VLMEVAL = "vlmeval:"
"""Before the name of a model that VLMEvalKit lists."""


def one_model_config(
    model: str,
    *,
    source: Mapping[str, Any],
    tasks: Sequence[str],
    levels: Sequence[str],
    modalities: Sequence[str],
    puzzles: int,
    max_new_tokens: int,
    style: Style,
    results: str,
    on_gpus: bool,
) -> dict[str, Any]:
    """The values to lay over the default config, so that its only run is a model that is scored as it is.

    Args:
        model: what tables call it; a folder name.
        source: the model's ``source``.
        tasks: all that have settings, if empty.
        levels: all that a task has, if empty.
        modalities: how the puzzles are given.
        puzzles: of each level.
        max_new_tokens: where a prediction is cut off.
        style: the tasks' sizes, drawing and words: the paper's, or the compact ones of the default study.
        results: folder of the results.
        on_gpus: whether a model that has weights is decoded on a GPU.

    Raises:
        ConfigError: there is no such task, level or modality.
    """
    known = read_values(*(["paper"] if style == "paper" else []))["tasks"]
    _refuse_unknown("task", tasks, known)
    _refuse_unknown("modality", modalities, MODALITIES)
    chosen = {task: _sizes(task, known[task], levels, puzzles) for task in tasks or known}
    entry: dict[str, Any] = {"source": dict(source), "scoring": {"max_new_tokens": max_new_tokens}}
    if source["kind"] == "huggingface" and not on_gpus:
        entry["resources"] = {"gpus": 0, "decoding_gpus": 0, "cpus": 1}
    run = {"tasks": [*chosen], "recipes": ["untrained"], "budgets": [0], "models": [model], "seeds": [0]}
    return {
        "results": results,
        "shard_size": {"eval": 100},
        "runs": [run | {"modalities": [*modalities]}],
        "tasks": chosen,
        "models": {model: entry},
    }


def _sizes(task: str, settings: Mapping[str, Any], levels: Sequence[str], puzzles: int) -> dict[str, Any]:
    """The settings of a task, with evaluation puzzles of the levels that are asked for and no others."""
    _refuse_unknown(f"level of {task}", levels, settings["levels"])
    own = {
        level: {**values, "train": 0, "eval": puzzles if not levels or level in levels else 0}
        for level, values in settings["levels"].items()
    }
    return {**settings, "levels": own}


def _refuse_unknown(kind: str, names: Sequence[str], known: Iterable[str]) -> None:
    for name in names:
        if name not in known:
            raise ConfigError(str(unknown(kind, name, known)))


def source_of(model: str, *, endpoint: str | None, api_key_env: str, request: str = "{}") -> dict[str, Any]:
    """The ``source`` of a model that a command line names.

    Args:
        model: a folder; a name on the hub; ``vlmeval:`` and a name of VLMEvalKit's; or what the server calls it.
        endpoint: base address of an OpenAI-compatible server that has it.
        api_key_env: environment variable with the server's key.
        request: what requests to that server say, a mapping in YAML.

    Raises:
        ConfigError: it is none.
    """
    if endpoint:
        source = {"kind": "endpoint", "url": endpoint, "name": model, "api_key_env": api_key_env}
        return source | {"request": read_mapping("--request", request)}
    if model.startswith(VLMEVAL):
        return {"kind": "vlmeval", "name": model.removeprefix(VLMEVAL)}
    return {"kind": "huggingface", "name": str(Path(model).expanduser().resolve()) if is_path(model) else model}


def read_mapping(option: str, text: str) -> dict[str, Any]:
    """The value of an option that is a mapping in YAML, as in a config file; raises ConfigError where it is none."""
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError:
        values = None
    if not isinstance(values, dict):
        raise ConfigError(f"{option} {text}: give a mapping, as in {option} '{{temperature: null}}'.")
    return values


def folder_name(model: str) -> str:
    """A model's name as that of a folder: of a path the last two parts, as the last alone may be ``phase-1``."""
    parts = [part for part in model.removeprefix(VLMEVAL).split("/") if part not in ("", ".", "..", "~")]
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", "-".join(parts[-2:])).strip("-.") or "model"


def snakemake_command(values: Mapping[str, Any], more: Sequence[str]) -> list[str]:
    """Write the config of a study beside its results, and tell Snakemake's words, without ``snakemake`` itself.

    Args:
        values: of the config.
        more: further words, e.g. ``--profile slurm``.
    """
    config = Path(values["results"]) / "study.yaml"
    config.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(config) as temporary:
        temporary.write_text("# Written by s2h score.\n" + yaml.safe_dump(dict(values), sort_keys=False))
    tables = [f"{values['results']}/tables/{name}.csv" for name in ("summary", "metrics")]
    return [*tables, "-s", str(find_root() / "Snakefile"), *more, "--configfile", str(config)]


def has_gpus(more: Sequence[str]) -> bool:
    """Whether jobs will find GPUs: here, or where another profile sends them."""
    return bool(visible_gpus()) or asks_for_another(more)
