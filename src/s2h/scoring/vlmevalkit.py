"""VLMEvalKit: our sets in its registry of data sets, models in its registry of models, its inference and evaluation.

This is the only module that touches VLMEvalKit (``vlmeval``, from the package ms-vlmeval), and it imports it inside
functions: the import takes ten seconds or more, switches gradients off, seeds torch, stops the checking of TLS
certificates and writes to the home folder by default. It must never happen in a process that trains.

Four of its ways are worked around:

* It processes one example at a time. Predictions are decoded beforehand, in batches, and put where it keeps finished
  ones; it then finds nothing left to do.
* Its tables do not preserve every text (``007``, an empty prediction, control characters). The predictions for our sets
  are stored in them as JSON strings of ASCII characters, and the tables are read as text.
* It judges predictions its own way. Here each prediction for our sets is judged by its evaluation set.
* Its command line exits with 0 even if a data set failed. Ours reads its report and exits with 1.

None of this touches its own data sets, on which its command line does what it does without us.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from s2h.diagnosis.diagnosis import Diagnosis
from s2h.errors import DataError, ModelError
from s2h.files import atomic_file
from s2h.logs import LOGGER, Progress
from s2h.models.sources import VlmevalSource
from s2h.registry import unknown
from s2h.scoring.backends import Backend
from s2h.scoring.decoding import Prediction, Prompt
from s2h.scoring.parallel import Chunk, ask_in_parallel
from s2h.scoring.score_record import Score, write_scores
from s2h.scoring.sets import EvalRow, EvalSet
from s2h.tokenisation.special_tokens import plain_question

MODEL_NAME = "s2h"
"""The name of the model under test in VLMEvalKit's registry and in its file names."""

Message = list[dict[str, str]]
"""One question as VLMEvalKit words it: parts with ``type`` (image or text) and ``value`` (a path or the text)."""


def score(
    sets: Sequence[EvalSet],
    predictions: Mapping[str, Sequence[Prediction]],
    *,
    output: str | Path,
    work_dir: str | Path,
    identity: Mapping[str, Any],
) -> None:
    """Score a model's predictions; write one Score for each puzzle and modality.

    All sets are scored in one process, as importing VLMEvalKit takes longer than many a set.

    Args:
        sets: what was asked.
        predictions: to each set, by its name, in the order of its puzzles.
        output: Parquet file of the scores, set by set.
        work_dir: folder for VLMEvalKit's files; what it held before is removed, so that nothing is ever reused.
        identity: ``trained_on``, ``recipe``, ``budget``, ``model`` and ``seed``; numbers may be written as text.

    Raises:
        DataError: predictions were lost on their way.
    """
    progress = Progress(f"score {identity['recipe']} on {identity['trained_on']}", sum(len(s.rows) for s in sets))
    scores: list[Score] = []
    with _fresh_work(Path(work_dir)) as work:
        for each in sets:
            scores += score_set(each, predictions[each.name], work=work, identity=identity)
            progress(len(scores))
    write_scores(output, scores)


def score_set(
    eval_set: EvalSet, predictions: Sequence[Prediction], *, work: Path, identity: Mapping[str, Any]
) -> list[Score]:
    """Score the predictions for one set; ``work`` must not hold predictions for it from before."""
    with registered([eval_set], {MODEL_NAME: _Finished}, work):
        from vlmeval.dataset import build_dataset

        dataset = build_dataset(eval_set.name)
        texts, diagnoses = _through_vlmeval(dataset, predictions, work)
    LOGGER.info("%s: %d of %d right", eval_set.name, sum(each.correct for each in diagnoses), len(diagnoses))
    return [
        _score(eval_set, row, prediction, text, diagnosis, identity)
        for row, prediction, text, diagnosis in zip(eval_set.rows, predictions, texts, diagnoses, strict=True)
    ]


def _score(
    eval_set: EvalSet,
    row: EvalRow,
    prediction: Prediction,
    text: str,
    diagnosis: Diagnosis,
    identity: Mapping[str, Any],
) -> Score:
    names = (
        "answer",
        "parsed",
        "tolerant",
        "correct",
        "chain_correct",
        "error",
        "first_error_step",
        "error_detail",
        "expected",
        "observed",
    )
    found: dict[str, Any] = {name: getattr(diagnosis, name) for name in names}
    return Score(
        puzzle_id=row.puzzle_id,
        set_name=eval_set.name,
        external=eval_set.external,
        task=eval_set.task,
        level=eval_set.level,
        modality=eval_set.modality,
        conversion=eval_set.conversion,
        question=row.question,
        prediction=text,
        gold=row.answer,
        metrics=diagnosis.metrics,
        tokens=prediction.tokens,
        seconds=prediction.seconds,
        prompt_tokens=prediction.prompt_tokens,
        reasoning_tokens=prediction.reasoning_tokens,
        finish=prediction.finish,
        reply_error=prediction.error,
        **{name: identity[name] for name in ("trained_on", "recipe", "model")},
        budget=int(identity["budget"]),
        seed=int(identity["seed"]),
        **found,
    )


@contextmanager
def registered(sets: Sequence[EvalSet], models: Mapping[str, Any], work: Path | None) -> Iterator[None]:
    """Sets and models (name: what builds it) in VLMEvalKit's registries, and its environment in order.

    Args:
        sets: ours.
        models: by their names, what builds them.
        work: for VLMEvalKit's files where there are sets; see ``_environment``.
    """
    with _environment(work):
        from vlmeval.config import supported_VLM
        from vlmeval.dataset import DATASET_CLASSES

        classes = [_dataset_class(each, (work or Path()) / "images" / each.name) for each in sets]
        before = {name: supported_VLM[name] for name in models if name in supported_VLM}
        DATASET_CLASSES[:0] = classes
        supported_VLM.update(models)
        try:
            yield
        finally:
            for each in classes:
                DATASET_CLASSES.remove(each)
            for name in models:
                del supported_VLM[name]
            supported_VLM.update(before)


def read_predictions(path: str | Path, indexes: Sequence[str]) -> list[str]:
    """The predictions of VLMEvalKit's table, each as it was, in the order of ``indexes``.

    Raises:
        DataError: the table is missing (VLMEvalKit falls back to another format in silence), torn, or does not hold
            each index once.
    """
    try:
        table = pl.read_csv(path, separator="\t", infer_schema=False, glob=False)
        found = [_from_cell(cell) for cell in table["prediction"].fill_null("")]
    except (OSError, TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise DataError(f"VLMEvalKit left no predictions that can be read in {path} ({error}): score again.") from None
    if table["index"].to_list() != list(indexes):
        raise DataError(
            f"VLMEvalKit left {table.height} predictions in {path}, but not one for each of the {len(indexes)} puzzles "
            "in their order: score again in an empty folder."
        )
    return found


_CELL = 's2h"'
"""How cells of predictions for our sets begin: a JSON string follows, with its quotation mark."""


def _to_cell(prediction: object) -> str:
    """A prediction as it stands in a table; what is a cell already stays one, as VLMEvalKit reads its own tables."""
    text = str(prediction)
    return text if text.startswith(_CELL) else f"s2h{json.dumps(text)}"


def _from_cell(cell: str) -> str:
    if not cell.startswith(_CELL):
        raise TypeError(f"{cell!r} is not a prediction as they are stored")
    return str(json.loads(cell.removeprefix("s2h")))


def _through_vlmeval(dataset: Any, predictions: Sequence[Prediction], work: Path) -> tuple[list[str], list[Diagnosis]]:
    """Hand finished predictions to VLMEvalKit's inference job, and evaluate the table that it writes."""
    from vlmeval.inference import infer_data_job
    from vlmeval.smp import get_pred_file_path

    finished = {i: _to_cell(prediction.text) for i, prediction in zip(dataset.data["index"], predictions, strict=True)}
    with atomic_file(work / f"01_{dataset.dataset_name}.pkl") as temporary:  # process 0 of 1, by its naming
        temporary.write_bytes(pickle.dumps(finished))
    infer_data_job(MODEL_NAME, work_dir=str(work), model_name=MODEL_NAME, dataset=dataset)
    dataset.evaluate(get_pred_file_path(str(work), MODEL_NAME, dataset.dataset_name))
    return dataset.predictions, dataset.diagnoses


def _dataset_class(eval_set: EvalSet, images: Path) -> type[Any]:
    """A class of data sets, as VLMEvalKit registers them, that knows this one set."""
    from vlmeval.dataset.image_base import ImageBaseDataset
    from vlmeval.dataset.text_base import TextBaseDataset

    base: Any = ImageBaseDataset if eval_set.modality == "image" else TextBaseDataset

    class PuzzleDataset(base):  # type: ignore[misc]
        TYPE = "VQA"

        @classmethod
        def supported_datasets(cls) -> list[str]:
            return [eval_set.name]

        def load_data(self, dataset: str) -> Any:
            return _frame(eval_set, images)

        def evaluate(self, eval_file: str, **judge_kwargs: Any) -> dict[str, float]:
            """The means of what each prediction is worth; predictions and diagnoses themselves stay on this object."""
            asked = list(self.data["index"])  # fewer than there are with --limit
            self.predictions = read_predictions(eval_file, asked)
            pairs = zip(eval_set.rows[: len(asked)], self.predictions, strict=True)
            self.diagnoses = [eval_set.diagnose(row, prediction) for row, prediction in pairs]
            return means(self.diagnoses)

    return PuzzleDataset


def means(diagnoses: Sequence[Diagnosis]) -> dict[str, float]:
    """Accuracy of answers and chains, and the mean of each metric that the task has."""
    found = {
        "accuracy": [float(each.correct) for each in diagnoses],
        "chain_accuracy": [float(each.chain_correct) for each in diagnoses],
    }
    for name in diagnoses[0].metrics:
        found[name] = [value for each in diagnoses if (value := each.metrics[name]) is not None]
    return {name: sum(values) / len(values) for name, values in found.items() if values}


def _frame(eval_set: EvalSet, images: Path) -> Any:
    """The set as the pandas table that VLMEvalKit works on; images become files with absolute paths.

    Images inside the table would be cached by index and never refreshed. The table turns the predictions that
    VLMEvalKit puts into it, before it writes them, into cells that it reads back unchanged.
    """
    import pandas as pd

    class Table(pd.DataFrame):  # type: ignore[misc]
        @property
        def _constructor(self) -> type[Any]:
            return Table

        def __setitem__(self, key: Any, value: Any) -> None:
            super().__setitem__(key, list(map(_to_cell, value)) if key == "prediction" else value)

    columns = {name: [getattr(row, name) for row in eval_set.rows] for name in ("index", "question", "answer")}
    if eval_set.modality == "image":
        images.mkdir(parents=True, exist_ok=True)
        columns["image_path"] = [str((images / f"{row.index}.png").resolve()) for row in eval_set.rows]
        for path, row in zip(columns["image_path"], eval_set.rows, strict=True):
            Path(path).write_bytes(row.image or b"")
    return Table(columns)


def _Finished() -> Any:  # noqa: N802 - VLMEvalKit calls it like a class
    """A model that must not be asked: all its predictions are there."""
    raise DataError("VLMEvalKit asks for predictions although all of them are there: its files were changed meanwhile.")


def batch_model(backend: Backend) -> Any:
    """A model for VLMEvalKit's own loop, one example after the other."""
    from vlmeval.vlm.base import BaseModel

    class BatchModel(BaseModel):  # type: ignore[misc]
        INTERLEAVE = True

        def generate_inner(self, message: Message, dataset: str | None = None) -> str:
            ((_, (prediction,)),) = backend.generate([[_prompt(message)]])
            return prediction.text

    return BatchModel()


def _prompt(message: Message) -> Prompt:
    """The question that VLMEvalKit built, as decoders take it: its image, then all of its texts.

    Raises:
        ModelError: it shows several images, or something else.
        DataError: a text holds a special token.
    """
    images = [part["value"] for part in message if part["type"] == "image"]
    others = {part["type"] for part in message} - {"image", "text"}
    if len(images) > 1 or others:
        shown = " and ".join([f"{len(images)} images", *sorted(others)])
        raise ModelError(f"a question shows {shown}, but the models of s2h read one image and text: leave the set out.")
    text = "\n".join(part["value"] for part in message if part["type"] == "text")
    try:
        question = plain_question(text, has_image=bool(images))
    except ValueError as error:
        raise DataError(f"a question of VLMEvalKit cannot be asked: {error}. It begins: {text[:80]!r}") from None
    return Prompt(question, Path(images[0]).read_bytes() if images else None)


class VlmevalBackend:
    """A model that VLMEvalKit lists, asked in VLMEvalKit's own way: API models several prompts at once.

    A prompt that an API model gives no response to gets a prediction with an error.

    Args:
        source: its name.
        work: folder for VLMEvalKit's files and pictures.
        allowed_failures: predictions that may have an error; more are an error of the job.

    Raises:
        ModelError: VLMEvalKit has no such model, cannot build it, or it gives no response.
    """

    batched = False
    metadata: Mapping[str, str] = {}
    chunk_size = 1

    def __init__(self, source: VlmevalSource, work: Path, *, allowed_failures: int = 0) -> None:
        self.source, self.work, self.allowed_failures = source, work, allowed_failures
        work.mkdir(parents=True, exist_ok=True)
        with _environment(work):
            from vlmeval.config import supported_VLM

            if source.name not in supported_VLM:
                raise ModelError(str(unknown("model of VLMEvalKit", source.name, supported_VLM)))
            try:
                self._model = supported_VLM[source.name]()
            except Exception as error:  # whatever its many classes raise
                raise ModelError(f"VLMEvalKit cannot build {source.name} ({type(error).__name__}: {error}).") from error

    def generate(self, chunks: Sequence[Chunk], *, sequential: bool = False) -> Iterator[tuple[int, list[Prediction]]]:
        with _environment(self.work):
            if self._is_api:
                yield from ask_in_parallel(
                    self._prediction,
                    chunks,
                    connections=1 if sequential else self.source.connections,
                    allowed_failures=self.allowed_failures,
                )
            else:  # in this thread, where VLMEvalKit has switched gradients off
                for position, chunk in enumerate(chunks):
                    yield position, [self._prediction(prompt) for prompt in chunk]

    def _prediction(self, prompt: Prompt) -> Prediction:
        started = time.perf_counter()
        with self._message(prompt) as message:
            text = str(self._model.generate(message=message))
        seconds, failed = time.perf_counter() - started, getattr(self._model, "fail_msg", None)
        if not (failed and failed in text):
            return Prediction(text, None, seconds)
        problem = f"{self.source.name} gave no response ({text})"
        if not self._is_api:
            raise ModelError(f"{problem}: see that it can be reached, then run again.")
        return Prediction("", None, seconds, finish="failed", error=problem)

    @property
    def _is_api(self) -> bool:
        return bool(getattr(self._model, "is_api", False))

    @contextmanager
    def _message(self, prompt: Prompt) -> Iterator[Message]:
        """The question as VLMEvalKit words it; its picture is a file while the block runs."""
        with tempfile.TemporaryDirectory(dir=self.work) as folder:
            message = [{"type": "text", "value": prompt.text}]
            if prompt.image is not None:
                picture = Path(folder).resolve() / "question.png"
                picture.write_bytes(prompt.image)
                message.insert(0, {"type": "image", "value": str(picture)})
            yield message


def run_command_line(
    arguments: Sequence[str],
    *,
    sets: Sequence[EvalSet],
    others: Sequence[str],
    models: Mapping[str, Backend],
    work: Path,
) -> int:
    """VLMEvalKit's own command line (``run.py``); returns 1 where any combination of model and set failed.

    Its own sets run as they do without us, with the user's ``LMUData`` and other variables.

    Args:
        arguments: its options but ``--data`` and ``--work-dir``, e.g. ``--model``, ``--mode``, ``--reuse``.
        sets: ours, that it shall know by their names.
        others: names of its own sets, and of files in the user's ``LMUData``.
        models: that it shall know beside its own.
        work: where it keeps its files; predictions there must be of the same models and sets.
    """
    builders = {name: _builder(backend) for name, backend in models.items()}
    started, asked = time.time(), [*(each.name for each in sets), *others]
    if sets:
        with registered(sets, builders, work):
            _run(["--data", *(each.name for each in sets), *arguments], work)
    if others or not asked:  # where a --config names them
        with registered([], builders, None):
            _run([*(["--data", *others] if others else []), *arguments], work)
    problems = list(_failures(work, asked, since=started))
    for problem in problems:
        print(f"s2h: {problem}", file=sys.stderr)
    return 1 if problems else 0


def unlisted_files(names: Sequence[str]) -> list[Path]:
    """The files in the user's ``LMUData`` of sets that VLMEvalKit does not list, and so takes from there alone."""
    with _environment(None):
        from vlmeval.dataset import SUPPORTED_DATASETS

    folder = Path(os.environ.get(_DATA_FOLDER, "~/LMUData")).expanduser()
    files = [folder / f"{name}.tsv" for name in names if name not in SUPPORTED_DATASETS]
    return [path for path in files if path.is_file()]


def _run(arguments: Sequence[str], work: Path) -> None:
    from vlmeval.run import main

    argv, sys.argv = sys.argv, ["vlmeval", *arguments, "--work-dir", str(work)]
    try:
        main()
    finally:
        sys.argv = argv


def _builder(backend: Backend) -> Any:
    return lambda **options: batch_model(backend)


def _failures(work: Path, asked: Sequence[str], *, since: float) -> Iterator[str]:
    """The failures in VLMEvalKit's reports of this run, by model and set, and sets of which there is no report."""
    reported: set[str] = set()
    for report in sorted(work.glob("**/status.json")):
        if report.stat().st_mtime < since - 1:
            continue
        for name, found in json.loads(report.read_text())["datasets"].items():
            reported.add(name)
            problem = found.get("error_message") or found.get("skip_reason")
            if problem not in (None, "mode_infer") or found.get("status") != "done":
                yield f"{report.relative_to(work).parts[0]} on {name} failed: {problem or 'it was not finished'}"
    yield from (f"{name} was not evaluated: see VLMEvalKit's log above" for name in asked if name not in reported)


_DATA_FOLDER = "LMUData"
"""Variable that names the folder of VLMEvalKit's sets."""

_PROCESSES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MMEVAL_ROOT")
"""Variables that VLMEvalKit must not see: one process does all, and its files are where we look for them."""


@contextmanager
def _environment(work: Path | None) -> Iterator[None]:
    """The variables that VLMEvalKit reads.

    Args:
        work: for our sets, whose data folder is there, in whose tables (TSV) nothing may be cut off (SPLIT_THINK) and
            whose failures must show (SKIP_ERR); None leaves the user's variables.

    Raises:
        DataError: the user's ``LMUData`` is no folder; VLMEvalKit would take the one in the home folder instead.
    """
    if work is None:
        _check_data_folder()
    if not logging.getLogger().handlers:  # its import would send every log line of ours to the terminal
        logging.getLogger().addHandler(logging.NullHandler())
    ours = () if work is None else (_DATA_FOLDER, "PRED_FORMAT", "SKIP_ERR", "SPLIT_THINK")
    before = {name: os.environ.pop(name, None) for name in (*_PROCESSES, *ours)}
    if work is not None:
        data = work / "data"
        data.mkdir(parents=True, exist_ok=True)
        os.environ.update({_DATA_FOLDER: str(data.resolve()), "PRED_FORMAT": "tsv"})
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _check_data_folder() -> None:
    folder = os.environ.get(_DATA_FOLDER)
    if folder is not None and not Path(folder).is_dir():
        raise DataError(f"the environment variable LMUData names {folder}, which is no folder: mend or unset it.")


@contextmanager
def _fresh_work(work: Path) -> Iterator[Path]:
    """An empty folder; at the end its predictions stay for people to look at, and the copies of images go."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    yield work
    shutil.rmtree(work / "images", ignore_errors=True)
