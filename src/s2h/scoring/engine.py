"""Scoring with VLMEvalKit: our sets in its registry of data sets, our model in its registry of models.

This is the only module that touches VLMEvalKit (``vlmeval``, from the package ms-vlmeval), and it imports it inside
functions: the import takes ten seconds or more, switches gradients off, seeds torch, stops the checking of TLS
certificates and writes to the home folder unless told otherwise. It must never happen in a process that trains.

Three of its ways are worked around:

* It asks for one example at a time. Replies are decoded here in batches and put where it keeps finished ones; it then
  finds nothing left to ask.
* Its tables do not return every text as it was (``007``, an empty reply, control characters). A prediction stands in
  its table as a JSON string of ASCII characters, and tables are read as text.
* It judges replies its own way. Here each reply is judged by its task.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from s2h.errors import DataError
from s2h.files import whole_file
from s2h.logs import LOGGER, Progress
from s2h.models.settings import ScoringSettings
from s2h.puzzles.registry import make_task
from s2h.puzzles.task import Level, Modality, Task, Verdict
from s2h.scoring.decoding import Decoder, Prompt, Reply, load_decoder
from s2h.scoring.sets import EvalSet, read_set

MODEL_NAME = "s2h"
"""What the model under test is called in VLMEvalKit's registry and in its file names."""

Message = list[dict[str, str]]
"""One question as VLMEvalKit words it: parts with ``type`` (image or text) and ``value`` (a path or the text)."""

_MODALITIES: tuple[Modality, ...] = ("text", "image")

Respond = Callable[[Sequence[Message]], list[Reply]]
"""A model, as this module needs it: questions in, replies out in the same order."""


@dataclasses.dataclass(frozen=True, slots=True)
class Score:
    """One puzzle, given in one modality, with a model's reply and what it is worth.

    Attributes:
        puzzle_id: of the puzzle's record.
        task: registered name of the task.
        trained_on: the task that the model was trained on, or the name of several that were trained together.
        recipe: how the model's training was supervised.
        budget: training examples of a phase.
        model: name of the model in the config.
        seed: seed of the training.
        level: SIMPLE, MEDIUM or HARD.
        modality: text or image.
        question: the user's turn, without the image.
        prediction: the reply, unchanged.
        gold: the right answer.
        answer: the answer that was read from the reply; empty when none was.
        parsed: an answer of the right form was found.
        correct: the answer solves the puzzle.
        chain_correct: so does the chain of thought, step by step.
        tokens: new tokens of the reply, its end included.
        seconds: decoding time, shared evenly among the examples of a batch.
    """

    puzzle_id: str
    task: str
    trained_on: str
    recipe: str
    budget: int
    model: str
    seed: int
    level: str
    modality: str
    question: str
    prediction: str
    gold: str
    answer: str
    parsed: bool
    correct: bool
    chain_correct: bool
    tokens: int
    seconds: float


SCHEMA = pa.schema(
    [
        ("puzzle_id", pa.string()),
        ("task", pa.string()),
        ("trained_on", pa.string()),
        ("recipe", pa.string()),
        ("budget", pa.int64()),
        ("model", pa.string()),
        ("seed", pa.int64()),
        ("level", pa.string()),
        ("modality", pa.string()),
        ("question", pa.string()),
        ("prediction", pa.string()),
        ("gold", pa.string()),
        ("answer", pa.string()),
        ("parsed", pa.bool_()),
        ("correct", pa.bool_()),
        ("chain_correct", pa.bool_()),
        ("tokens", pa.int64()),
        ("seconds", pa.float64()),
    ]
)


class Judged(NamedTuple):
    """A reply after its way through VLMEvalKit, and its verdict."""

    prediction: str
    verdict: Verdict


@dataclasses.dataclass(frozen=True, slots=True)
class Evaluation:
    """What of a task is scored.

    Attributes:
        task: the task, with its settings.
        shards: evaluation shards of each level, in order.
        puzzles: how many puzzles of each level are scored: the first of its shards.
    """

    task: Task[Any]
    shards: Mapping[Level, Sequence[str]]
    puzzles: Mapping[Level, int]

    @classmethod
    def of(cls, name: str, *, settings: Mapping[str, Any], shards: Any, puzzles: Any) -> Evaluation:
        """The same from a task's name and its settings as a config file holds them."""
        return cls(make_task(name, settings), shards, puzzles)


def score(
    model_folder: str | Path,
    *,
    evaluations: Sequence[Evaluation],
    output: str | Path,
    settings: ScoringSettings,
    work_dir: str | Path,
    identity: dict[str, Any],
) -> None:
    """Score a model on every task and level, as text and as image; write one Score for each puzzle and modality.

    All sets are scored in one process, as importing VLMEvalKit takes longer than many a set.

    Args:
        model_folder: what ``save_pretrained`` wrote, model and processor.
        evaluations: what is scored.
        output: Parquet file of the scores: tasks and levels in the order of ``evaluations``, text before image.
        settings: how to decode.
        work_dir: folder for VLMEvalKit's files; what it held before is removed, so that nothing is ever reused.
        identity: ``trained_on``, ``recipe``, ``budget``, ``model`` and ``seed``; numbers may be written as text.

    Raises:
        DataError: a shard is not what it should be, or predictions were lost on their way.
        ModelError: the model cannot be loaded.
    """
    eval_sets = [
        (each.task, read_set(each.task.name, level, modality, paths, each.puzzles[level]))
        for each in evaluations
        for level, paths in each.shards.items()
        for modality in _MODALITIES
    ]
    decoder = load_decoder(model_folder, settings)
    examples = sum(len(eval_set.rows) for _, eval_set in eval_sets)
    progress = Progress(f"score {identity['recipe']} on {identity['trained_on']}", examples)
    scores: list[Score] = []
    with _fresh_work(Path(work_dir)) as work:
        for task, eval_set in eval_sets:
            respond = _responder(decoder, progress, len(scores))
            scores += score_set(eval_set, task=task, respond=respond, work=work, identity=identity)
    _write(output, scores)


def _responder(decoder: Decoder, progress: Progress, done: int) -> Respond:
    """Replies of the decoder; progress counts on from the ``done`` examples of earlier sets."""
    return lambda messages: decoder([_prompt(each) for each in messages], lambda more: progress(done + more))


def score_set(
    eval_set: EvalSet, *, task: Task[Any], respond: Respond, work: Path, identity: dict[str, Any]
) -> list[Score]:
    """Score one set with any source of replies; ``work`` must not hold predictions for it from before."""
    with registered(eval_set, task, respond, work) as (dataset, model):
        replies = model.respond([dataset.build_prompt(at) for at in range(len(dataset))])
        judged = _through_vlmeval(dataset, model, replies, work)
    right = sum(each.verdict.correct for each in judged)
    LOGGER.info("%s: %d of %d right", eval_set.name, right, len(judged))
    run = {name: identity[name] for name in ("trained_on", "recipe", "model")}
    run |= {name: int(identity[name]) for name in ("budget", "seed")}
    return [
        Score(
            puzzle_id=row.puzzle_id,
            task=eval_set.task,
            level=eval_set.level,
            modality=eval_set.modality,
            question=row.question,
            prediction=each.prediction,
            gold=row.answer,
            tokens=reply.tokens,
            seconds=reply.seconds,
            **run,
            **dataclasses.asdict(each.verdict),
        )
        for row, reply, each in zip(eval_set.rows, replies, judged, strict=True)
    ]


@contextmanager
def registered(eval_set: EvalSet, task: Task[Any], respond: Respond, work: Path) -> Iterator[tuple[Any, Any]]:
    """A set and a model, entered in VLMEvalKit's registries and built from there: (dataset, model)."""
    with _environment(work):
        from vlmeval.config import supported_VLM
        from vlmeval.dataset import DATASET_CLASSES, build_dataset

        dataset_class = _dataset_class(eval_set, task, work / "images" / eval_set.name)
        DATASET_CLASSES.insert(0, dataset_class)
        supported_VLM[MODEL_NAME] = _model_class(respond)
        try:
            yield build_dataset(eval_set.name), supported_VLM[MODEL_NAME]()
        finally:
            DATASET_CLASSES.remove(dataset_class)
            del supported_VLM[MODEL_NAME]


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


def _through_vlmeval(dataset: Any, model: Any, replies: Sequence[Reply], work: Path) -> list[Judged]:
    """Hand finished replies to VLMEvalKit's inference job, and judge the table that it writes."""
    from vlmeval.inference import infer_data_job
    from vlmeval.smp import get_pred_file_path

    finished = {i: json.dumps(reply.text) for i, reply in zip(dataset.data["index"], replies, strict=True)}
    with whole_file(work / f"01_{dataset.dataset_name}.pkl") as temporary:  # process 0 of 1, by its naming
        temporary.write_bytes(pickle.dumps(finished))
    infer_data_job(model, work_dir=str(work), model_name=MODEL_NAME, dataset=dataset)
    judged: list[Judged] = dataset.evaluate(get_pred_file_path(str(work), MODEL_NAME, dataset.dataset_name))
    return judged


def _dataset_class(eval_set: EvalSet, task: Task[Any], images: Path) -> type[Any]:
    """A class of data sets, as VLMEvalKit registers them, that knows this one set."""
    from vlmeval.dataset.image_base import ImageBaseDataset
    from vlmeval.dataset.text_base import TextBaseDataset

    base: Any = ImageBaseDataset if eval_set.modality == "image" else TextBaseDataset

    class PuzzleDataset(base):  # type: ignore[misc]
        @classmethod
        def supported_datasets(cls) -> list[str]:
            return [eval_set.name]

        def load_data(self, dataset: str) -> Any:
            return _frame(eval_set, images)

        def evaluate(self, eval_file: str, **judge_kwargs: Any) -> list[Judged]:
            predictions = read_predictions(eval_file, [row.index for row in eval_set.rows])
            puzzles = (task.from_json(row.puzzle) for row in eval_set.rows)
            return [Judged(text, task.judge(puzzle, text)) for text, puzzle in zip(predictions, puzzles, strict=True)]

    return PuzzleDataset


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


def _model_class(respond: Respond) -> type[Any]:
    """A class of models, as VLMEvalKit registers them, that answers with ``respond``."""
    from vlmeval.vlm.base import BaseModel

    class BatchModel(BaseModel):  # type: ignore[misc]
        INTERLEAVE = True

        def respond(self, messages: Sequence[Message]) -> list[Reply]:
            return respond(messages)

        def generate_inner(self, message: Message, dataset: str | None = None) -> str:
            """One reply in VLMEvalKit's own loop, in the form in which predictions stand in its tables."""
            return json.dumps(self.respond([message])[0].text)

    return BatchModel


def _prompt(message: Message) -> Prompt:
    """The question that VLMEvalKit built, as the decoder takes it."""
    images = [part["value"] for part in message if part["type"] == "image"]
    (text,) = (part["value"] for part in message if part["type"] == "text")
    return Prompt(text, Path(images[0]) if images else None)


@contextmanager
def _environment(work: Path) -> Iterator[None]:
    """The variables that VLMEvalKit reads: its data folder is ours, tables are TSV, and one process does all.

    Variables that would hide failures or cut replies (SKIP_ERR, SPLIT_THINK) are absent meanwhile.
    """
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


def _write(output: str | Path, scores: Sequence[Score]) -> None:
    table = pa.Table.from_pylist([dataclasses.asdict(each) for each in scores], schema=SCHEMA)
    with whole_file(output) as temporary:
        pq.write_table(table, temporary, compression="zstd")
