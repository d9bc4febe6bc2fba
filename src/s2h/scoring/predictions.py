"""Predictions of one model to evaluation sets: decoded once, kept by what model and example hold."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

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
}
"""Columns of a file of predictions: a row for each puzzle of each set, in order."""

_DECIDING = (".json", ".jinja", ".safetensors")  # ends of the files of a model that decide its predictions


def model_digest(model: str | Path, source: Source, settings: ScoringSettings) -> str:
    """Digest of what decides a model's predictions: its files, or what it is called where they are not here.

    Args:
        model: model folder, or a name.
        source: where the model comes from.
        settings: how to decode.
    """
    options = getattr(source, "processor_options", {})
    digest = hashlib.sha256(json.dumps([settings.backend, settings.max_new_tokens, options]).encode())
    folder = Path(model).expanduser()
    if folder.is_dir():
        files = {name: mark for name, mark in take_fingerprint(folder).items() if name.endswith(_DECIDING)}
        digest.update(contents_digest(files).encode())
    else:
        digest.update(source.model_dump_json().encode())
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

    Args:
        folder: where they lie; predictions of another model, or decoded otherwise, are removed.
        key: what decides the predictions, from ``model_digest``.
    """

    def __init__(self, folder: str | Path, key: str) -> None:
        self.folder = Path(folder)
        self._file = self.folder / "predictions.jsonl"
        named = self.folder / "model"
        if not named.exists() or named.read_text() != key:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            with atomic_file(named) as temporary:
                temporary.write_text(key)
        self.predictions = dict(self._read())

    def _read(self) -> Iterable[tuple[str, Prediction]]:
        whole = self._file.read_bytes() if self._file.exists() else b""
        kept = whole[: whole.rfind(b"\n") + 1]  # the last line may be torn
        if len(kept) < len(whole):
            self._file.write_bytes(kept)
        for line in kept.splitlines():
            record = json.loads(line)
            yield record.pop("example"), Prediction(**record)

    def add(self, predictions: Iterable[tuple[str, Prediction]]) -> None:
        """Keep predictions, each by its example's digest."""
        lines = []
        for example, prediction in predictions:
            text = prediction.text.encode("utf-8", "replace").decode()  # no table holds half a surrogate pair
            self.predictions[example] = Prediction(text, prediction.tokens, prediction.seconds)
            record = {"example": example, "text": text, "tokens": prediction.tokens, "seconds": prediction.seconds}
            lines.append(json.dumps(record) + "\n")
        with self._file.open("a", encoding="ascii") as file:
            file.writelines(lines)


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


def write_predictions(path: str | Path, sets: Sequence[EvalSet], store: Store, metadata: dict[str, str]) -> None:
    """Write the predictions for all sets as a Parquet file with the columns of ``SCHEMA`` and this file metadata."""
    rows = []
    for each in sets:
        for row in each.rows:
            prediction = store.predictions[example_digest(row, each.conversion)]
            rows.append((each.name, row.index, prediction.text, prediction.tokens, prediction.seconds))
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
        found[each.name] = [
            Prediction(*values) for values in part.select("prediction", "tokens", "seconds").iter_rows()
        ]
    return found
