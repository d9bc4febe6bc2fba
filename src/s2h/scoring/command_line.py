"""VLMEvalKit's own command line on our evaluation sets.

    s2h vlmevalkit --data results/tsv/table_readout-HARD-image.tsv --model results/models/.../phase-1

``--data`` takes TSV files: those below results/tsv (by their names alone too), and files from outside in the columns of
the paper's code, with ``--task``; and names that VLMEvalKit knows. ``--model`` takes model folders, and names that
VLMEvalKit knows. All other options are VLMEvalKit's own (``--mode``, ``--reuse``, ...). Where a combination of model
and set fails, the exit code is 1.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from s2h.models.settings import ScoringSettings
from s2h.models.sources import HuggingFaceSource
from s2h.plugins import load_plugins
from s2h.puzzles.task_registry import TASKS
from s2h.scoring.backends import LocalBackend
from s2h.scoring.decoding import load_decoder
from s2h.scoring.predictions import example_digest, model_digest
from s2h.scoring.sets import EvalSet
from s2h.scoring.tsv import is_own, read_external, read_own
from s2h.scoring.vlmevalkit import run_command_line


def main(arguments: Sequence[str]) -> int:
    """Read our own arguments and leave the rest to VLMEvalKit; returns the exit code."""
    ours, rest = _parser().parse_known_args(arguments)
    load_plugins(ours.plugins)
    files = {name: path for name in ours.data if (path := _file(name, ours.tsv)) is not None}
    sets = [_read(path, ours.task) for path in files.values()]
    settings = ScoringSettings(max_new_tokens=ours.max_new_tokens, batch_size=1)
    folders = {path.as_posix().strip("/").replace("/", "-"): path for path in map(Path, ours.model) if path.is_dir()}
    work = Path(ours.work_dir) if ours.work_dir else Path("results/vlmeval") / _key(sets, folders, settings)
    models = {name: LocalBackend(load_decoder(folder, settings)) for name, folder in folders.items()}
    named = [name for name in ours.data if name not in files]
    listed = [name for name in ours.model if not Path(name).is_dir()]
    data, all_models = [*(each.name for each in sets), *named], [*models, *listed]
    return run_command_line(["--data", *data, "--model", *all_models, *rest], sets=sets, models=models, work=work)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="s2h vlmevalkit",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # --mode is an option of VLMEvalKit, not short for our --model
    )
    parser.add_argument("--data", nargs="+", required=True, help="TSV files, or names that VLMEvalKit knows")
    parser.add_argument("--model", nargs="+", required=True, help="model folders, or names that VLMEvalKit knows")
    parser.add_argument("--task", help="whose puzzles are in TSV files from outside")
    parser.add_argument("--plugins", nargs="+", default=[], help="modules that bring tasks, as the config's plugins")
    parser.add_argument("--tsv", type=Path, default=Path("results/tsv"), help="where our sets are looked for by name")
    parser.add_argument(
        "--max-new-tokens", type=int, default=2048, help="where a prediction of a model folder is cut off"
    )
    parser.add_argument("--work-dir", help="VLMEvalKit's files; by default below results/vlmeval, by what is scored")
    return parser


def _file(name: str, folder: Path) -> Path | None:
    """The TSV file that ``--data`` names: a path, or one of ours by its name; None where it is neither."""
    for path in (Path(name), folder / f"{name}.tsv"):
        if path.is_file():
            return path
    return None


def _read(path: Path, task: str | None) -> EvalSet:
    if is_own(path):
        return read_own(path)
    if task is None:
        raise SystemExit(f"s2h: {path} is from outside: say with --task whose puzzles these are ({', '.join(TASKS)}).")
    head = path.open(encoding="utf-8").readline().rstrip("\r\n").split("\t")
    shown = {"image", "image_path"} & set(head)
    return read_external(path.stem, path, task=task, level="HARD", modality="image" if shown else "text")


def _key(sets: Sequence[EvalSet], folders: dict[str, Path], settings: ScoringSettings) -> str:
    """Digest of the contents of models and sets: VLMEvalKit reuses predictions by names alone."""
    parts = [[each.name, *map(example_digest, each.rows)] for each in sets]
    models = [
        model_digest(folder, HuggingFaceSource(name=str(folder.resolve())), settings) for folder in folders.values()
    ]
    return hashlib.sha256(json.dumps([parts, models]).encode()).hexdigest()[:16]
