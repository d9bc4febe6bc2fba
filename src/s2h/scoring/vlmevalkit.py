"""VLMEvalKit: our sets in its registry of data sets, models in its registry of models, its inference and evaluation.

This is the only module that touches VLMEvalKit (``vlmeval``, from the package ms-vlmeval), and it imports it inside
functions: the import takes ten seconds or more, switches gradients off, seeds torch, stops the checking of TLS
certificates and writes to the home folder by default. It must never happen in a process that trains.

Four of its ways are worked around:

* It processes one example at a time. Predictions are decoded beforehand, in batches, and put where it keeps finished
  ones; it then finds nothing left to do.
* Its tables do not preserve every text (``007``, an empty prediction, control characters). Predictions are stored in
  them as JSON strings of ASCII characters, and the tables are read as text.
* It judges predictions its own way. Here each prediction is judged by its evaluation set.
* Its command line exits with 0 even if a data set failed. Ours reads its report and exits with 1.
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
from s2h.scoring.reasoning import response_of
from s2h.scoring.score_record import Score, write_scores
from s2h.scoring.sets import EvalRow, EvalSet

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
def registered(sets: Sequence[EvalSet], models: Mapping[str, Any], work: Path) -> Iterator[None]:
    """Sets and models (name: what builds it) in VLMEvalKit's registries, and its environment in order."""
    with _environment(work):
        from vlmeval.config import supported_VLM
        from vlmeval.dataset import DATASET_CLASSES

        classes = [_dataset_class(each, work / "images" / each.name) for each in sets]
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
        found = [_unquoted(cell) for cell in table["prediction"]]
    except (OSError, TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise DataError(f"VLMEvalKit left no predictions that can be read in {path} ({error}): score again.") from None
    if table["index"].to_list() != list(indexes):
        raise DataError(
            f"VLMEvalKit left {table.height} predictions in {path}, but not one for each of the {len(indexes)} puzzles "
            "in their order: score again in an empty folder."
        )
    return found


def _unquoted(cell: str) -> str:
    text = json.loads(cell)
    if not isinstance(text, str):
        raise TypeError(f"{cell!r} is not a JSON string")
    return text


def _through_vlmeval(dataset: Any, predictions: Sequence[Prediction], work: Path) -> tuple[list[str], list[Diagnosis]]:
    """Hand finished predictions to VLMEvalKit's inference job, and evaluate the table that it writes."""
    from vlmeval.inference import infer_data_job
    from vlmeval.smp import get_pred_file_path

    finished = {
        i: json.dumps(prediction.text) for i, prediction in zip(dataset.data["index"], predictions, strict=True)
    }
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
            self.predictions = read_predictions(eval_file, [row.index for row in eval_set.rows])
            pairs = zip(eval_set.rows, self.predictions, strict=True)
            self.diagnoses = [eval_set.diagnose(row, response_of(prediction)) for row, prediction in pairs]
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

    Images inside the table would be cached by index and never refreshed.
    """
    columns = {name: [getattr(row, name) for row in eval_set.rows] for name in ("index", "question", "answer")}
    if eval_set.modality == "image":
        images.mkdir(parents=True, exist_ok=True)
        columns["image_path"] = [str((images / f"{row.index}.png").resolve()) for row in eval_set.rows]
        for path, row in zip(columns["image_path"], eval_set.rows, strict=True):
            Path(path).write_bytes(row.image or b"")
    return pl.DataFrame(columns).to_pandas()


def _Finished() -> Any:  # noqa: N802 - VLMEvalKit calls it like a class
    """A model that must not be asked: all its predictions are there."""
    raise DataError("VLMEvalKit asks for predictions although all of them are there: its files were changed meanwhile.")


def batch_model(backend: Backend) -> Any:
    """A model for VLMEvalKit's own loop, one example after the other."""
    from vlmeval.vlm.base import BaseModel

    class BatchModel(BaseModel):  # type: ignore[misc]
        INTERLEAVE = True

        def generate_inner(self, message: Message, dataset: str | None = None) -> str:
            """One prediction, in the form in which predictions stand in VLMEvalKit's tables."""
            ((_, (prediction,)),) = backend.generate([[_prompt(message)]])
            return json.dumps(prediction.text)

    return BatchModel()


def _prompt(message: Message) -> Prompt:
    """The question that VLMEvalKit built, as decoders take it."""
    images = [part["value"] for part in message if part["type"] == "image"]
    (text,) = (part["value"] for part in message if part["type"] == "text")
    return Prompt(text, Path(images[0]).read_bytes() if images else None)


class _Quoting:
    """One of VLMEvalKit's own models, whose predictions stand in its tables as JSON strings."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def generate(self, message: Message, dataset: str | None = None) -> str:
        return json.dumps(str(self._model.generate(message=message, dataset=dataset)))


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
    arguments: Sequence[str], *, sets: Sequence[EvalSet], models: Mapping[str, Backend], work: Path
) -> int:
    """VLMEvalKit's own command line (``run.py``) on our sets and models; returns 1 where any combination failed.

    Args:
        arguments: its options, e.g. ``--data``, ``--model``, ``--mode``, ``--reuse``.
        sets: that it shall know, by their names.
        models: that it shall know beside its own; all predictions stand in its tables as JSON strings.
        work: where it keeps its files; predictions there must be of the same models and sets.
    """
    with _environment(work):
        from vlmeval.config import supported_VLM

        ours = {name: _builder(backend) for name, backend in models.items()}
        theirs = {name: _quoted(build) for name, build in supported_VLM.items() if name in arguments}
    argv, sys.argv = sys.argv, ["vlmeval", *arguments, "--work-dir", str(work)]
    started = time.time()
    try:
        with registered(sets, theirs | ours, work):
            from vlmeval.run import main

            main()
    finally:
        sys.argv = argv
    problems = list(_failures(work, since=started))
    for problem in problems:
        print(f"s2h: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _builder(backend: Backend) -> Any:
    return lambda **options: batch_model(backend)


def _quoted(build: Any) -> Any:
    return lambda **options: _Quoting(build(**options))


def _failures(work: Path, *, since: float) -> Iterator[str]:
    """The failures in VLMEvalKit's reports of this run, by model and set."""
    for report in sorted(work.glob("*/status.json")):
        if report.stat().st_mtime < since - 1:
            continue
        for name, found in json.loads(report.read_text())["datasets"].items():
            problem = found.get("error_message") or found.get("skip_reason")
            if problem not in (None, "mode_infer") or found.get("status") != "done":
                yield f"{report.parent.name} on {name} failed: {problem or 'it was not finished'}"


@contextmanager
def _environment(work: Path) -> Iterator[None]:
    """The variables that VLMEvalKit reads: its data folder is ours, tables are TSV, and one process does all.

    Variables that would hide failures or cut predictions (SKIP_ERR, SPLIT_THINK) are absent meanwhile.
    """
    if not logging.getLogger().handlers:  # its import would send every log line of ours to the terminal
        logging.getLogger().addHandler(logging.NullHandler())
    data = work / "data"
    data.mkdir(parents=True, exist_ok=True)
    names = ("LMUData", "PRED_FORMAT", "SKIP_ERR", "SPLIT_THINK", "RANK", "WORLD_SIZE", "LOCAL_RANK")
    before = {name: os.environ.pop(name, None) for name in names}
    os.environ.update(LMUData=str(data.resolve()), PRED_FORMAT="tsv")
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextmanager
def _fresh_work(work: Path) -> Iterator[Path]:
    """An empty folder; at the end its predictions stay for people to look at, and the copies of images go."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    yield work
    shutil.rmtree(work / "images", ignore_errors=True)
