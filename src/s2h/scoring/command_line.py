"""VLMEvalKit's own command line on our evaluation sets, and on its own.

    s2h vlmevalkit --data results/tsv/table_readout-HARD-image.tsv --model results/models/.../phase-1

``--data`` takes files: those below results/tsv (by their names alone too), and those from outside in the columns of the
paper's code, with ``--task``; names that VLMEvalKit knows; and names of TSV files in the folder that the environment
variable LMUData names, which VLMEvalKit judges. ``--model`` takes model folders, and names that VLMEvalKit knows. All
other options are VLMEvalKit's own (``--mode``, ``--reuse``, ...). Where a combination of model and set fails, the exit
code is 1.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence, Set
from pathlib import Path

from s2h.models.settings import ScoringSettings
from s2h.models.sources import HuggingFaceSource
from s2h.plugins import load_plugins
from s2h.puzzles.task_registry import TASKS
from s2h.scoring.backends import LocalBackend
from s2h.scoring.decoding import load_decoder
from s2h.scoring.predictions import example_digest, model_digest
from s2h.scoring.row_files import columns_of
from s2h.scoring.sets import EvalSet
from s2h.scoring.tsv import is_own, read_external, read_own
from s2h.scoring.vlmevalkit import run_command_line, unlisted_files


def main(arguments: Sequence[str]) -> int:
    """Read our own arguments and leave the rest to VLMEvalKit; returns the exit code."""
    parser = _parser()
    ours, rest = parser.parse_known_args(arguments)
    options = {word.partition("=")[0] for word in rest}
    if "--config" not in options and not (ours.data and ours.model):
        parser.error("give --data and --model, or a --config of VLMEvalKit")
    load_plugins(ours.plugins)
    files = {name: path for name in ours.data if (path := _file(name, ours.tsv)) is not None}
    sets = [_read(path, ours.task) for path in files.values()]
    _check_sets(sets, options)
    settings = ScoringSettings(max_new_tokens=ours.max_new_tokens, batch_size=1)
    folders = {path.as_posix().strip("/").replace("/", "-"): path for path in map(Path, ours.model) if path.is_dir()}
    named = [name for name in ours.data if name not in files]
    work = Path(ours.work_dir) if ours.work_dir else Path("results/vlmeval") / _key(sets, named, folders, settings)
    models = {name: LocalBackend(load_decoder(folder, settings)) for name, folder in folders.items()}
    all_models = [*models, *(name for name in ours.model if not Path(name).is_dir())]
    chosen = ["--model", *all_models] if all_models else []
    return run_command_line([*chosen, *rest], sets=sets, others=named, models=models, work=work)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="s2h vlmevalkit",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # --mode is an option of VLMEvalKit, not short for our --model
    )
    parser.add_argument("--data", nargs="+", default=[], help="files of sets, or names that VLMEvalKit knows")
    parser.add_argument("--model", nargs="+", default=[], help="model folders, or names that VLMEvalKit knows")
    parser.add_argument("--task", help="whose puzzles are in files from outside")
    parser.add_argument("--plugins", nargs="+", default=[], help="modules that bring tasks, as the config's plugins")
    parser.add_argument("--tsv", type=Path, default=Path("results/tsv"), help="where our sets are looked for by name")
    parser.add_argument(
        "--max-new-tokens", type=int, default=2048, help="where a prediction of a model folder is cut off"
    )
    parser.add_argument("--work-dir", help="VLMEvalKit's files; by default below results/vlmeval, by what is scored")
    return parser


def _check_sets(sets: Sequence[EvalSet], options: Set[str]) -> None:
    """Refuse what VLMEvalKit would confuse or cannot do."""
    names = [each.name for each in sets]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SystemExit(f"s2h: two files are called {', '.join(twice)}: rename one, or score them one by one.")
    if names and "--api-mode" in options:
        raise SystemExit(f"s2h: --api-mode takes VLMEvalKit's own sets only, not {', '.join(names)}: leave it out.")


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
        raise SystemExit(
            f"s2h: {path} is from outside: say with --task whose puzzles these are ({', '.join(TASKS)}). A set of "
            "another kind is judged by VLMEvalKit: put the file into the folder that LMUData names, and give --data "
            f"its name, {path.stem}."
        )
    shown = {"image", "image_path"} & columns_of(path)
    return read_external(path.stem, path, task=task, level="HARD", modality="image" if shown else "text")


def _key(sets: Sequence[EvalSet], named: Sequence[str], folders: dict[str, Path], settings: ScoringSettings) -> str:
    """Digest of the contents of models and sets: VLMEvalKit reuses predictions by names alone."""
    parts: list[list[str]] = [[each.name, *map(example_digest, each.rows)] for each in sets]
    for path in unlisted_files(named) if named else []:
        with path.open("rb") as file:
            parts.append([path.stem, hashlib.file_digest(file, "sha256").hexdigest()])
    models = [
        model_digest(folder, HuggingFaceSource(name=str(folder.resolve())), settings) for folder in folders.values()
    ]
    return hashlib.sha256(json.dumps([parts, models]).encode()).hexdigest()[:16]
