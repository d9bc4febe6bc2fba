"""Predictions are decoded once, kept by contents, and never lost or mixed up."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter

import polars as pl
import pytest

from s2h.errors import DataError, ModelError
from s2h.models.settings import ScoringSettings
from s2h.models.sources import EndpointSource, HuggingFaceSource, TinySource
from s2h.scoring import decode_and_score
from s2h.scoring.backends import LocalBackend, PoolBackend
from s2h.scoring.decoding import Prediction, load_decoder
from s2h.scoring.predictions import (
    Store,
    decode,
    example_digest,
    model_digest,
    read_predictions,
    recheck,
    write_predictions,
)
from s2h.scoring.sets import read_set
from s2h.supervision.conversion import CONVERSIONS

SETTINGS = ScoringSettings(batch_size=4, max_new_tokens=6)


class Counting:
    """Answers with the number of the prompt, and can be interrupted."""

    batched, chunk_size = True, 2

    def __init__(self, fail_after=10**9):
        self.prompts, self.chunks, self.fail_after = [], [], fail_after

    @property
    def asked(self):
        return [prompt.text for prompt in self.prompts]

    def generate(self, chunks, *, sequential=False):
        for position, chunk in enumerate(chunks):
            if position == self.fail_after:
                raise KeyboardInterrupt
            self.prompts += chunk
            self.chunks.append(chunk)
            yield position, [Prediction(f"{prompt.conversion} {prompt.text[-9:]}", 1, 0.1) for prompt in chunk]


@pytest.fixture
def sets(task, shards):
    return [read_set(task, level, way, shards[level]) for level in ("SIMPLE", "HARD") for way in ("text", "image")]


def test_an_interrupted_decoding_goes_on_without_redoing(sets, tmp_path):
    first = Counting(fail_after=3)
    with pytest.raises(KeyboardInterrupt):
        decode(sets, first, Store(tmp_path, "key"), title="t")
    with (tmp_path / "key/predictions.jsonl").open("a") as file:
        file.write('{"example": "torn')
    store, second = Store(tmp_path, "key"), Counting()
    assert len(store.predictions) == len(first.asked) == 6
    decode(sets, second, store, title="t")
    assert len(first.asked) + len(second.asked) == sum(len(each.rows) for each in sets)
    assert all(Store(tmp_path, "key").predictions[example_digest(row)] for each in sets for row in each.rows)


def test_a_set_that_grows_costs_only_what_is_new(sets, task, shards, tmp_path):
    small = [read_set(task, "HARD", "text", shards["HARD"], 2)]
    decode(small, Counting(), Store(tmp_path, "key"), title="t")
    more = Counting()
    decode(sets, more, Store(tmp_path, "key"), title="t")
    assert len(more.asked) == 22


def test_a_conversion_costs_only_its_own_predictions_and_mixes_with_no_other(sets, tmp_path):
    decode(sets, Counting(), Store(tmp_path, "key"), title="t")
    more, store = Counting(), Store(tmp_path, "key")
    images = [each for each in sets if each.modality == "image"]
    asked = [*sets, *(each.under(way) for way in ("forced", "forbidden") for each in images)]
    decode(asked, more, store, title="t")
    assert Counter(prompt.conversion for prompt in more.prompts) == {"forced": 12, "forbidden": 12}
    assert all(len({prompt.conversion for prompt in chunk}) == 1 for chunk in more.chunks)
    write_predictions(tmp_path / "predictions.parquet", asked, store, {})
    found = read_predictions(tmp_path / "predictions.parquet", asked)
    for each in asked:
        assert [prediction.text.partition(" ")[0] for prediction in found[each.name]] == [each.conversion] * 6


def test_predictions_of_before_conversions_are_found_again(sets):
    row = sets[1].rows[0]
    question = row.question.encode()
    assert example_digest(row) == hashlib.sha256(len(question).to_bytes(8, "big") + question + row.image).hexdigest()
    assert len({example_digest(row, way) for way in CONVERSIONS}) == 3


def test_predictions_of_another_model_are_apart_and_found_again(sets, tmp_path):
    decode(sets, Counting(), Store(tmp_path, "key"), title="t")
    assert not Store(tmp_path, "other").predictions
    assert len(Store(tmp_path, "key").predictions) == 24


def test_predictions_of_before_each_model_had_a_folder_are_found_again(sets, tmp_path):
    decode(sets, Counting(), Store(tmp_path, "key"), title="t")
    (tmp_path / "key/predictions.jsonl").rename(tmp_path / "predictions.jsonl")
    (tmp_path / "recheck.json").write_text("{}")
    (tmp_path / "model").write_text("key")
    assert len(Store(tmp_path, "key").predictions) == 24
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key"]
    assert (tmp_path / "key/recheck.json").exists()


def test_a_model_is_told_by_its_contents(model_folder, tmp_path):
    copy = shutil.copytree(model_folder, tmp_path / "copy")
    source = TinySource()
    same = model_digest(model_folder, source, SETTINGS)
    assert model_digest(copy, source, SETTINGS) == same
    (copy / "manifest.json").write_text("{}")  # says how it came to be, not what it is
    assert model_digest(copy, source, SETTINGS) == same
    assert model_digest(copy, source, SETTINGS.model_copy(update={"max_new_tokens": 7})) != same
    assert model_digest(copy, source, SETTINGS.model_copy(update={"batch_size": 7})) == same
    weights = copy / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert model_digest(copy, source, SETTINGS) != same
    small, large = (HuggingFaceSource(name=str(copy), max_pixels=pixels) for pixels in (1000, 2000))
    assert model_digest(copy, small, SETTINGS) != model_digest(copy, large, SETTINGS)
    hub = HuggingFaceSource(name="a/b")
    assert model_digest("a/b", hub, SETTINGS) != model_digest("a/b", HuggingFaceSource(name="a/c"), SETTINGS)
    assert model_digest("x", EndpointSource(url="http://a", name="b"), SETTINGS) != same


def test_predictions_keep_their_texts_and_their_order(sets, tmp_path):
    store = Store(tmp_path, "key")
    awkward = ["007", "", "=5", "nan", "x" * 40_000, "a\r\nb\x00\x1b\u2028", '"\t\\']
    rows = [(each, row) for each in sets for row in each.rows]
    store.add((example_digest(row), Prediction(awkward[i % 7], None, 0.0)) for i, (_, row) in enumerate(rows))
    write_predictions(tmp_path / "predictions.parquet", sets, Store(tmp_path, "key"), {"rechecked": "3"})
    found = read_predictions(tmp_path / "predictions.parquet", sets)
    assert [prediction.text for each in sets for prediction in found[each.name]] == [
        awkward[i % 7] for i in range(len(rows))
    ]
    assert pl.read_parquet_metadata(tmp_path / "predictions.parquet")["rechecked"] == "3"
    with pytest.raises(DataError, match="cannot be read"):
        read_predictions(tmp_path / "none.parquet", sets)
    pl.read_parquet(tmp_path / "predictions.parquet").reverse().write_parquet(tmp_path / "backwards.parquet")
    with pytest.raises(DataError, match="in their order"):
        read_predictions(tmp_path / "backwards.parquet", sets)


def test_several_processes_give_the_predictions_of_one(sets, model_folder, tmp_path):
    one, two = Store(tmp_path / "one", "key"), Store(tmp_path / "two", "key")
    decode(sets, LocalBackend(load_decoder(model_folder, SETTINGS)), one, title="t")
    decode(sets, PoolBackend(str(model_folder), SETTINGS, processes=2, options={}), two, title="t")
    assert {key: prediction.text for key, prediction in one.predictions.items()} == {
        k: r.text for k, r in two.predictions.items()
    }


def test_a_process_that_cannot_load_the_model_says_so(sets, tmp_path):
    with pytest.raises(ModelError, match="no image-text-to-text model can be loaded"):
        decode(sets, PoolBackend(str(tmp_path), SETTINGS, processes=2, options={}), Store(tmp_path, "k"), title="t")


def test_half_a_surrogate_pair_is_replaced(sets, tmp_path):
    store = Store(tmp_path, "key")
    store.add((example_digest(row), Prediction("a\ud800", 1, 0.0)) for each in sets for row in each.rows)
    write_predictions(tmp_path / "predictions.parquet", sets, store, {})
    assert read_predictions(tmp_path / "predictions.parquet", sets)[sets[0].name][0].text == "a?"


def test_predictions_that_differ_when_decoded_alone_are_counted(sets, tmp_path):
    store, backend = Store(tmp_path, "key"), Counting()
    decode(sets, backend, store, title="t")
    assert recheck(sets, backend, store, 5) == (5, 0)
    changed = {example_digest(row): Prediction("other", 1, 0.0) for row in sets[0].rows}
    store.add(changed.items())
    rechecked, different = recheck(sets, backend, store, 10**6)
    assert (rechecked, different) == (24, 6)
    assert recheck(sets, backend, store, 0) == (0, 0)


def test_a_job_that_has_all_predictions_loads_no_model(sets, model_folder, tmp_path):
    arguments = {"source": TinySource(), "settings": SETTINGS, "sets": sets, "store": tmp_path / "kept"}
    arguments |= {"processes": 1, "title": "t", "trained": True, "log": tmp_path / "log"}
    decode_and_score.decode_predictions(str(model_folder), output=tmp_path / "first.parquet", **arguments)
    folder = shutil.copytree(model_folder, tmp_path / "model")
    (folder / "processor_config.json").rename(tmp_path / "away.json")
    [kept] = (tmp_path / "kept").iterdir()
    kept.rename(kept.with_name(model_digest(folder, TinySource(), SETTINGS)[:16]))
    decode_and_score.decode_predictions(str(folder), output=tmp_path / "second.parquet", **arguments)
    first, second = (pl.read_parquet(tmp_path / f"{name}.parquet") for name in ("first", "second"))
    assert first.equals(second)
    metadata = pl.read_parquet_metadata(tmp_path / "second.parquet")
    assert (metadata["rechecked"], metadata["recheck_mismatches"]) == ("8", "0")
    assert [file.name for file in tmp_path.glob("kept/*/recheck.json")] == ["recheck.json"]
