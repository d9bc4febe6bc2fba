"""Predictions of one model to evaluation sets: decoded once, kept by what model and example hold."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from s2h.errors import DataError
from s2h.files import atomic_file
from s2h.logs import LOGGER, Progress
from s2h.models.settings import ScoringSettings
from s2h.models.sources import Source
from s2h.parquet import read_parquet
from s2h.provenance.fingerprints import contents_digest, take_fingerprint
from s2h.scoring.backends import Backend, make_chunks
from s2h.scoring.decoding import Prediction, Prompt
from s2h.scoring.sets import EvalRow, EvalSet
from s2h.supervision.conversion import OPENING, Conversion

SCHEMA = {
    "set_name": pl.String,
    "index": pl.String,
    "prediction": pl.String,
    "tokens": pl.Int64,
    "seconds": pl.Float64,
    "prompt_tokens": pl.Int64,
    "reasoning_tokens": pl.Int64,
    "finish": pl.String,
    "error": pl.String,
    "version": pl.String,
}
"""Columns of a file of predictions: a row for each puzzle of each set, in order; the third is its text."""

_DECIDING = (".json", ".jinja", ".safetensors")  # ends of the files of a model that decide its predictions


def model_digest(model: str | Path, source: Source, settings: ScoringSettings) -> str:
    """Digest of what decides a model's predictions: its files and how they are decoded.

    Where the files are not here, what it is called and what requests say; the longest prediction is not part of that,
    as it only decides over those that it cuts (``Store``).

    Args:
        model: model folder, or a name.
        source: where the model comes from.
        settings: how to decode.
    """
    folder = Path(model).expanduser()
    if not (source.has_weights and folder.is_dir()):
        return hashlib.sha256(json.dumps(source.deciding, sort_keys=True).encode()).hexdigest()
    options = getattr(source, "processor_options", {})
    digest = hashlib.sha256(json.dumps([settings.backend, settings.max_new_tokens, options]).encode())
    files = {name: mark for name, mark in take_fingerprint(folder).items() if name.endswith(_DECIDING)}
    digest.update(contents_digest(files).encode())
    return digest.hexdigest()


def example_digest(row: EvalRow, conversion: Conversion = "free") -> str:
    """Digest of what a model sees of a puzzle, and of the conversion where it is not left to the model."""
    question = row.question.encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(len(question).to_bytes(8, "big") + question + (row.image or b""))
    if conversion != "free":
        digest.update(f"{conversion} {OPENING}".encode())
    return digest.hexdigest()


def prompts_of(sets: Sequence[EvalSet]) -> dict[str, Prompt]:
    """What a model is asked for evaluation sets, by the examples' digests: each example once."""
    return {
        example_digest(row, each.conversion): Prompt(row.question, row.image, each.conversion)
        for each in sets
        for row in each.rows
    }


class Store:
    """Predictions as they come, kept on disk: an interrupted decoding and a set that grows cost only what is missing.

    Nothing that is kept is ever removed here: predictions of other models or settings lie in folders of their own, and
    are found again when these come back (``s2h replies`` lists and drops them).

    Args:
        folder: of the run.
        key: what decides the predictions, from ``model_digest``.
        longest: tokens after which a prediction is cut off, where the key does not hold it: those that were cut
            earlier or are longer do not count. None where it does.
        about: what people want to know of the predictions.

    Attributes:
        folder: of these predictions.
        predictions: by their examples' digests.
    """

    def __init__(
        self, folder: str | Path, key: str, *, longest: int | None = None, about: Mapping[str, Any] | None = None
    ) -> None:
        _move_old_layout(Path(folder))
        self.folder, self._longest = Path(folder) / key[:16], longest
        self._file = self.folder / FILE
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic_file(self.folder / ABOUT) as temporary:
            temporary.write_text(json.dumps(about or {}))
        _cut_torn_line(self._file)
        self.predictions = {
            record.example: record.prediction for record in read_records(self._file) if record.holds_for(longest)
        }

    def add(self, predictions: Iterable[tuple[str, Prediction]]) -> None:
        """Keep predictions, each by its example's digest; those with an error are only remembered (``settle``)."""
        added = []
        for example, prediction in predictions:
            text = prediction.text.encode("utf-8", "replace").decode()  # no table holds half a surrogate pair
            self.predictions[example] = dataclasses.replace(prediction, text=text)
            added.append(example)
        self._write(example for example in added if self.predictions[example].error is None)

    def settle(self) -> None:
        """Keep, too, which prompts were refused: a decoding has ended well, so that it was not its settings' fault.

        Prompts that failed in another way are asked again when decoding runs again.
        """
        kept = {record.example for record in read_records(self._file) if record.holds_for(self._longest)}
        refused = (example for example, each in self.predictions.items() if each.finish == "refused")
        self._write(example for example in refused if example not in kept)

    def _write(self, examples: Iterable[str]) -> None:
        with self._file.open("a", encoding="ascii") as file:
            file.writelines(Record(each, self.predictions[each], self._longest).line() for each in examples)


FILE, ABOUT = "predictions.jsonl", "about.json"
"""The files of a store: a record in each line, and what is said of all."""


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """A kept prediction.

    Attributes:
        example: digest of what was asked.
        prediction: the answer.
        longest: see ``Store``.
    """

    example: str
    prediction: Prediction
    longest: int | None

    def holds_for(self, longest: int | None) -> bool:
        """Whether the same would be predicted with another longest prediction."""
        if longest is None or self.longest in (None, longest):
            return True
        tokens = self.prediction.tokens
        return self.prediction.finish == "stop" and tokens is not None and tokens <= longest

    def line(self) -> str:
        """As a line of JSON; what is None is left out."""
        values = {"longest": self.longest, **dataclasses.asdict(self.prediction)}
        required = {"example": self.example, "tokens": values["tokens"]}
        return json.dumps(required | {name: value for name, value in values.items() if value is not None}) + "\n"


def read_records(path: Path) -> Iterator[Record]:
    """The records of a store's file, none where it is not there; a later one takes the place of one before it."""
    for line in path.read_bytes().splitlines() if path.exists() else ():
        values = json.loads(line)
        yield Record(values.pop("example"), longest=values.pop("longest", None), prediction=Prediction(**values))


def _cut_torn_line(path: Path) -> None:
    whole = path.read_bytes() if path.exists() else b""
    kept = whole[: whole.rfind(b"\n") + 1]
    if len(kept) < len(whole):
        path.write_bytes(kept)


def _move_old_layout(folder: Path) -> None:
    """Give predictions of before every key had a folder of its own that folder."""
    named = folder / "model"
    if named.is_file():
        place = folder / named.read_text()[:16]
        place.mkdir(exist_ok=True)
        for name in (FILE, "recheck.json"):
            if (folder / name).exists():
                shutil.move(folder / name, place / name)
        named.unlink()


def decode(sets: Sequence[EvalSet], backend: Backend, store: Store, *, title: str) -> None:
    """Decode what the store lacks, set by set in the order given, as far as chunks allow.

    Args:
        sets: what is asked.
        backend: the model.
        store: predictions so far; every finished chunk is added at once.
        title: for the progress.
    """
    every = prompts_of(sets)
    missing = [example for example in every if example not in store.predictions]
    if len(missing) < len(every):
        LOGGER.info("%d of %d predictions already exist", len(every) - len(missing), len(every))
    prompts = [every[example] for example in missing]
    chunks = list(make_chunks(prompts, backend.chunk_size))
    progress, done = Progress(title, len(missing)), 0
    for position, predictions in backend.generate([[prompts[i] for i in chunk] for chunk in chunks]):
        store.add(zip([missing[i] for i in chunks[position]], predictions, strict=True))
        done += len(predictions)
        progress(done)
    store.settle()


def recheck(sets: Sequence[EvalSet], backend: Backend, store: Store, examples: int) -> tuple[int, int]:
    """Decode some examples one at a time, spread over the sets: (how many, how many predictions differ)."""
    every = list(prompts_of(sets).items())
    chosen = every[:: max(len(every) // examples, 1)][:examples] if examples and backend.batched else []
    single = [[prompt] for _, prompt in chosen]
    different = 0
    for position, (prediction,) in backend.generate(single, sequential=True):
        different += prediction.text != store.predictions[chosen[position][0]].text
    if chosen:
        LOGGER.info("%d of %d predictions differ when decoded one at a time", different, len(chosen))
    return len(chosen), different


def report_endings(predictions: Sequence[Prediction]) -> dict[str, int]:
    """Log how many predictions did not end by themselves, and by how many versions of a model they are.

    Returns:
        The number of each ending but ``stop``.
    """
    endings = Counter(prediction.finish for prediction in predictions)
    for finish, meaning in _ENDINGS.items():
        if endings[finish]:
            LOGGER.warning("%d of %d %s", endings[finish], len(predictions), meaning)
    for error, number in Counter(prediction.error for prediction in predictions if prediction.error).most_common(3):
        LOGGER.warning("%d times: %s", number, error)
    versions = Counter(prediction.version for prediction in predictions if prediction.version)
    if len(versions) > 1:
        LOGGER.warning(
            "predictions are of %d versions of the model (%s): drop those of one with s2h replies drop --version",
            len(versions), ", ".join(f"{name}: {number}" for name, number in versions.items()),
        )  # fmt: skip
    return {finish: endings[finish] for finish in _ENDINGS if endings[finish]}


_ENDINGS = {
    "length": "predictions were cut off at scoring.max_new_tokens, reasoning included",
    "content_filter": "predictions were cut off by a content filter",
    "refused": "prompts were refused by the server",
    "failed": "prompts got no usable reply in several tries; they are asked again when decoding runs again",
}


def write_predictions(path: str | Path, sets: Sequence[EvalSet], store: Store, metadata: dict[str, str]) -> None:
    """Write the predictions for all sets as a Parquet file with the columns of ``SCHEMA`` and this file metadata."""
    rows = []
    for each in sets:
        for row in each.rows:
            prediction = store.predictions[example_digest(row, each.conversion)]
            rows.append((each.name, row.index, *dataclasses.astuple(prediction)))
    with atomic_file(path) as temporary:
        pl.DataFrame(rows, schema=SCHEMA, orient="row").write_parquet(temporary, compression="zstd", metadata=metadata)


def read_predictions(path: str | Path, sets: Sequence[EvalSet]) -> dict[str, list[Prediction]]:
    """The predictions for each set, by its name, in the order of its puzzles.

    Raises:
        DataError: the file cannot be read or does not hold one prediction for each puzzle, in order.
    """
    frame = read_parquet("file of predictions", path, list(SCHEMA))
    found: dict[str, list[Prediction]] = {}
    for each in sets:
        part = frame.filter(set_name=each.name)
        if part["index"].to_list() != [row.index for row in each.rows]:
            raise DataError(
                f"{path} holds {part.height} predictions to {each.name}, but not one for each of its {len(each.rows)} "
                "puzzles in their order: delete the file and run again."
            )
        found[each.name] = [Prediction(*values) for values in part.select(list(SCHEMA)[2:]).iter_rows()]
    return found
