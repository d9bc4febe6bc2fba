"""Scoring through the real VLMEvalKit."""

from __future__ import annotations

import dataclasses
import io
import os
import time
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from s2h.analysis.conversion import measure_conversion
from s2h.analysis.scores import read_scores
from s2h.diagnosis.diagnoser_registry import METRICS
from s2h.errors import DataError, ModelError
from s2h.models.settings import ScoringSettings
from s2h.models.sources import TinySource, VlmevalSource
from s2h.puzzles.shards import read_shards
from s2h.scoring import decode_and_score, vlmevalkit
from s2h.scoring.backends import LocalBackend
from s2h.scoring.decoding import Prediction, Prompt, load_decoder
from s2h.scoring.score_record import SCHEMA, write_scores
from s2h.scoring.sets import EvalSet, read_set
from s2h.supervision.conversion import CONVERSIONS

IDENTITY = {"trained_on": "consecutive_table_readout", "recipe": "mix", "budget": 30000, "model": "tiny", "seed": 3}
COLUMNS = ["prediction", "correct", "tokens", "transcription"]
AWKWARD = [
    "007",
    "",
    "nan",
    "=5",
    "5",
    '"a"\t"b"',
    "x" * 40_000,
    "a\r\nb\rc\x00\x1b\u2028",
    "\\n ' , 'é😀",
    "https://a.b",
]


def _predictions(texts):
    return [Prediction(text, 1, 0.0) for text in texts]


def test_score_writes_every_set(task, shards, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setenv("SKIP_ERR", "1")
    monkeypatch.delenv("PRED_FORMAT", raising=False)
    work = tmp_path / "work"
    work.mkdir()
    (work / "01_left-over.pkl").write_text("torn")
    output = tmp_path / "scores.parquet"
    used = {"SIMPLE": 6, "HARD": 4}
    sets = [read_set(task, level, way, shards[level], used[level]) for level in used for way in ("text", "image")]
    predictions = {each.name: [Prediction(f"Answer: {r.answer}", None, 0.5) for r in each.rows] for each in sets}
    identity = {name: str(value) for name, value in IDENTITY.items()}
    vlmevalkit.score(sets, predictions, output=output, work_dir=work, identity=identity)
    assert [os.environ.get(name) for name in ("WORLD_SIZE", "SKIP_ERR", "PRED_FORMAT")] == ["8", "1", None]
    assert not (work / "01_left-over.pkl").exists()
    assert pl.read_parquet_schema(output) == SCHEMA
    for level, paths in shards.items():
        frame = pl.read_parquet(output).filter(pl.col("level") == level)
        ids = [record["puzzle_id"] for record in read_shards(paths)][: used[level]]
        assert frame["puzzle_id"].to_list() == ids * 2
        assert frame["modality"].to_list() == ["text"] * used[level] + ["image"] * used[level]
        assert frame.select(pl.col(IDENTITY).first()).row(0, named=True) == IDENTITY
        assert frame["correct"].all()
        assert not frame["chain_correct"].any()


def test_scores_say_how_each_set_was_decoded(task, shards, model_folder, tmp_path):
    sets = [read_set(task, "SIMPLE", "image", shards["SIMPLE"])]
    sets += [sets[0].under(way) for way in ("forced", "forbidden")]
    made = {"source": TinySource(), "settings": ScoringSettings(max_new_tokens=8, recheck=0), "sets": sets}
    made |= {"store": tmp_path / "kept", "processes": 1, "title": "t", "trained": True, "log": tmp_path / "log"}
    decode_and_score.decode_predictions(str(model_folder), output=tmp_path / "predictions.parquet", **made)
    files = {"output": tmp_path / "scores.parquet", "work_dir": tmp_path / "work"}
    decode_and_score.score_model(tmp_path / "predictions.parquet", sets=sets, identity=IDENTITY, **files)
    scores = pl.read_parquet(tmp_path / "scores.parquet")
    assert scores["conversion"].to_list() == [way for way in CONVERSIONS for _ in range(6)]
    transcribed = scores.group_by("conversion", maintain_order=True).agg(pl.col("transcription").count())
    assert transcribed.rows() == [("free", 0), ("forced", 6), ("forbidden", 0)]
    table = measure_conversion(read_scores([tmp_path / "scores.parquet"], COLUMNS, conversions=True))
    assert table.select("conversion", "n", "converted").rows() == [
        ("free", 6, 0.0), ("forced", 6, 1.0), ("forbidden", 6, 0.0),
    ]  # fmt: skip


def test_vlmevalkit_s_own_loop_gives_the_predictions_of_batches(task, shards, model_folder, tmp_path):
    backend = LocalBackend(load_decoder(model_folder, ScoringSettings(batch_size=4, max_new_tokens=8)))
    for modality in ("text", "image"):
        eval_set = read_set(task, "SIMPLE", modality, shards["SIMPLE"])
        prompts = [Prompt(row.question, row.image) for row in eval_set.rows]
        ((_, predictions),) = backend.generate([prompts])
        batched = vlmevalkit.score_set(eval_set, predictions, work=tmp_path / "batched", identity=IDENTITY)
        alone = tmp_path / "alone"
        with vlmevalkit.registered([eval_set], {"one": lambda: vlmevalkit.batch_model(backend)}, alone):
            from vlmeval.dataset import build_dataset
            from vlmeval.inference import infer_data_job

            dataset = build_dataset(eval_set.name)
            infer_data_job("one", work_dir=str(alone), model_name="one", dataset=dataset)
            dataset.evaluate(str(alone / f"one_{eval_set.name}.tsv"))
        assert dataset.predictions == [each.prediction for each in batched]


def _oracle(eval_set: EvalSet, shards):
    return [f"{record['reasoning']}\n\n{record['answer_block']}" for record in read_shards(shards)]


@pytest.mark.parametrize("modality", ["text", "image"])
def test_an_oracle_is_always_right(task, shards, tmp_path, modality):
    eval_set = read_set(task, "HARD", modality, shards["HARD"])
    gold = _oracle(eval_set, shards["HARD"])
    scores = vlmevalkit.score_set(eval_set, _predictions(gold), work=tmp_path, identity=IDENTITY)
    assert [each.prediction for each in scores] == gold
    assert all(each.parsed and each.correct and each.chain_correct and each.answer == each.gold for each in scores)
    assert all(each.error is None for each in scores)


def test_verdicts_belong_to_their_puzzles(task, shards, tmp_path):
    eval_set = read_set(task, "HARD", "text", shards["HARD"])
    texts = [f"Answer: {row.answer}" if i % 2 else "Answer: 999" for i, row in enumerate(eval_set.rows)]
    scores = vlmevalkit.score_set(eval_set, _predictions(texts), work=tmp_path, identity=IDENTITY)
    assert [each.correct for each in scores] == [False, True] * 3
    assert not any(each.chain_correct for each in scores)


def _survive(texts, task, shards, work):
    eval_set = read_set(task, "SIMPLE", "text", shards["SIMPLE"])
    rows = (eval_set.rows * len(texts))[: len(texts)]
    eval_set.rows = tuple(dataclasses.replace(row, index=f"q{i:07d}") for i, row in enumerate(rows))
    scores = vlmevalkit.score_set(eval_set, _predictions(texts), work=work, identity=IDENTITY)
    write_scores(work / "scores.parquet", scores)
    frame = pl.read_parquet(work / "scores.parquet")
    assert frame["prediction"].to_list() == texts
    assert set(METRICS) <= set(frame.columns)
    for table in work.glob("*.tsv"):
        table.unlink()  # each call begins afresh, as each run does


def test_awkward_predictions_survive_unchanged(task, shards, tmp_path):
    _survive(AWKWARD, task, shards, tmp_path)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=6))
def test_any_prediction_survives_unchanged(texts, task, shards, tmp_path):
    _survive(texts, task, shards, tmp_path)


def test_awkward_predictions_survive_a_second_run_of_vlmevalkit(task, shards, tmp_path):
    """Its stock classes turn ``5`` into ``5.0`` and an empty prediction into ``nan`` when they read their own table."""

    class Told:
        batched, chunk_size = False, 1

        def generate(self, chunks, *, sequential=False):
            yield 0, [Prediction(AWKWARD[asked.pop(0)], 1, 0.0)]

    eval_set = read_set(task, "SIMPLE", "text", shards["SIMPLE"])
    rows = (eval_set.rows * 2)[: len(AWKWARD)]
    eval_set.rows = tuple(dataclasses.replace(row, index=f"q{i:07d}") for i, row in enumerate(rows))
    asked = list(range(len(AWKWARD)))
    with vlmevalkit.registered([eval_set], {"told": lambda: vlmevalkit.batch_model(Told())}, tmp_path):
        from vlmeval.dataset import build_dataset
        from vlmeval.inference import infer_data_job

        for _ in range(2):
            dataset = build_dataset(eval_set.name)
            infer_data_job("told", work_dir=str(tmp_path), model_name="told", dataset=dataset)
            dataset.evaluate(str(tmp_path / f"told_{eval_set.name}.tsv"))
            assert dataset.predictions == AWKWARD
    assert not asked


def test_lost_predictions_are_an_error(tmp_path):
    path = tmp_path / "predictions.tsv"
    with pytest.raises(DataError, match="no predictions that can be read"):
        vlmevalkit.read_predictions(path, ["q0000000"])
    path.write_text('"index"\t"prediction"\n"q0000000"\t"s2h""7"""\n')
    assert vlmevalkit.read_predictions(path, ["q0000000"]) == ["7"]
    with pytest.raises(DataError, match="1 predictions"):
        vlmevalkit.read_predictions(path, ["q0000000", "q0000001"])
    path.write_text('"index"\t"prediction"\n"q0000000"\t"7"\n')
    with pytest.raises(DataError, match="not a prediction as they are stored"):
        vlmevalkit.read_predictions(path, ["q0000000"])
    path.write_text('"index"\t"prediction"\n"q0000000"\t\n')
    with pytest.raises(DataError, match="no predictions that can be read"):
        vlmevalkit.read_predictions(path, ["q0000000"])


def test_a_part_of_a_set_can_be_scored(task, shards, tmp_path):
    """VLMEvalKit's --limit."""

    class Told:
        batched, chunk_size = False, 1

        def generate(self, chunks, *, sequential=False):
            yield 0, [Prediction("Answer: 1", 1, 0.0)]

    eval_set = read_set(task, "SIMPLE", "image", shards["SIMPLE"])
    with vlmevalkit.registered([eval_set], {"told": lambda: vlmevalkit.batch_model(Told())}, tmp_path):
        from vlmeval.dataset import build_dataset
        from vlmeval.inference import infer_data_job

        dataset = build_dataset(eval_set.name)
        infer_data_job("told", work_dir=str(tmp_path), model_name="told", dataset=dataset, limit=2)
        dataset.evaluate(str(tmp_path / f"told_{eval_set.name}.tsv"))
    assert dataset.predictions == ["Answer: 1"] * 2


def _part(kind, value):
    return {"type": kind, "value": str(value)}


def test_all_of_a_question_reaches_the_model_or_it_is_refused(tmp_path):
    picture = tmp_path / "a.png"
    picture.write_bytes(b"file")
    texts = [_part("text", "first"), _part("image", picture), _part("text", "<image>\nsecond")]
    assert vlmevalkit._prompt(texts) == Prompt("first\n\nsecond", b"file")
    assert vlmevalkit._prompt(texts[:1]) == Prompt("first", None)
    with pytest.raises(ModelError, match="shows 2 images, but the models of s2h read one image"):
        vlmevalkit._prompt([*texts, _part("image", picture)])
    with pytest.raises(ModelError, match="shows 0 images and video"):
        vlmevalkit._prompt([_part("video", picture), _part("text", "x")])
    with pytest.raises(DataError, match=r"cannot be asked: .*<\|im_end\|>"):
        vlmevalkit._prompt([_part("text", "x <|im_end|>")])


def test_too_few_predictions_are_an_error(task, shards, tmp_path):
    eval_set = read_set(task, "SIMPLE", "text", shards["SIMPLE"])
    with pytest.raises(ValueError, match="zip"):
        vlmevalkit.score_set(eval_set, _predictions(["7"]), work=tmp_path, identity=IDENTITY)


def test_a_model_of_vlmevalkit_is_asked_in_its_own_way(task, shards, model_folder, tmp_path):
    backend = LocalBackend(load_decoder(model_folder, ScoringSettings(batch_size=4, max_new_tokens=8)))
    prompts = [Prompt(r.question, r.image) for r in read_set(task, "HARD", "image", shards["HARD"]).rows][:2]
    ((_, wanted),) = backend.generate([prompts])

    with vlmevalkit._environment(tmp_path):
        from vlmeval.config import supported_VLM
        from vlmeval.vlm.base import BaseModel

    class Theirs(BaseModel):
        INTERLEAVE, fail_msg = True, "Failed to obtain answer"

        def generate_inner(self, message, dataset=None):
            ((_, (prediction,)),) = backend.generate([[vlmevalkit._prompt(message)]])
            return self.fail_msg if message[-1]["value"] == "fail" else prediction.text

    supported_VLM["theirs"] = Theirs
    try:
        found = vlmevalkit.VlmevalBackend(VlmevalSource(name="theirs"), tmp_path)
        predictions = dict(found.generate([[prompt] for prompt in prompts]))
        assert [predictions[i][0].text for i in range(2)] == [prediction.text for prediction in wanted]
        with pytest.raises(ModelError, match="theirs gave no response"):
            list(found.generate([[Prompt("fail", None)]]))
    finally:
        del supported_VLM["theirs"]


@pytest.fixture
def api(tmp_path):
    """An API model of VLMEvalKit's registry that counts how often it is asked at once."""
    with vlmevalkit._environment(tmp_path):
        from vlmeval.api.base import BaseAPI
        from vlmeval.config import supported_VLM

    class Api(BaseAPI):
        is_api, under_way, most = True, 0, 0

        def __init__(self):
            super().__init__(retry=1, wait=0)

        def generate_inner(self, inputs, **kwargs):
            Api.under_way += 1
            Api.most = max(Api.most, Api.under_way)
            time.sleep(0.2)
            Api.under_way -= 1
            text = inputs[-1]["value"]
            shown = [Path(part["value"]).read_bytes() for part in inputs if part["type"] == "image"]
            return (-1, "", "down") if text == "fail" else (0, f"{text} {shown == [PIXEL]}", "ok")

    supported_VLM["api"] = Api
    yield Api
    del supported_VLM["api"]


_FILE = io.BytesIO()
Image.new("RGB", (1, 1)).save(_FILE, "PNG")
PIXEL = _FILE.getvalue()


def test_an_api_model_of_vlmevalkit_is_asked_several_prompts_at_once(api, tmp_path):
    found = vlmevalkit.VlmevalBackend(VlmevalSource(name="api", connections=3), tmp_path)
    predictions = dict(found.generate([[Prompt(str(i), PIXEL)] for i in range(9)]))
    assert [predictions[i][0].text for i in range(9)] == [f"{i} True" for i in range(9)]
    assert 2 <= api.most <= 3  # it waits by chance before it asks
    assert list(tmp_path.glob("*/question.png")) == []


def test_a_prompt_that_an_api_model_leaves_without_response_is_a_row_with_its_error(api, tmp_path):
    source = VlmevalSource(name="api")
    found = vlmevalkit.VlmevalBackend(source, tmp_path, allowed_failures=1)
    predictions = dict(found.generate([[Prompt(text, None)] for text in ("a", "fail", "b")]))
    assert [predictions[i][0].finish for i in range(3)] == [None, "failed", None]
    assert predictions[1][0].error.startswith("api gave no response (Failed to obtain answer")
    with pytest.raises(ModelError, match="1 prompts got no reply, and max_failed_share allows 0"):
        list(vlmevalkit.VlmevalBackend(source, tmp_path).generate([[Prompt("fail", None)]]))


def test_reasoning_is_stored_and_not_judged(task, shards, tmp_path):
    eval_set = read_set(task, "SIMPLE", "text", shards["SIMPLE"])
    gold = _oracle(eval_set, shards["SIMPLE"])
    thought = [f"<think>\nAnswer: 999\n{text}\n</think>\n\n{text}" for text in gold]
    thought[-1] = f"<think>\n{gold[-1]}"  # cut off while it thought
    scores = vlmevalkit.score_set(eval_set, _predictions(thought), work=tmp_path, identity=IDENTITY)
    assert [each.prediction for each in scores] == thought
    assert [each.chain_correct for each in scores] == [True] * 5 + [False]
    assert scores[-1].error == "format"


def test_scores_say_how_a_reply_ended(task, shards, tmp_path):
    eval_set = read_set(task, "SIMPLE", "text", shards["SIMPLE"])
    replies = [Prediction("", None, 0.0, 100, None, "refused", "400: no")] * 2
    replies += [Prediction("1", 9, 0.0, 100, 5, "length")] * 4
    scores = vlmevalkit.score_set(eval_set, replies, work=tmp_path, identity=IDENTITY)
    write_scores(tmp_path / "scores.parquet", scores)
    frame = pl.read_parquet(tmp_path / "scores.parquet")
    columns = ["prompt_tokens", "reasoning_tokens", "finish", "reply_error", "correct"]
    assert frame.select(columns).unique(maintain_order=True).rows() == [
        (100, None, "refused", "400: no", False), (100, 5, "length", None, False),
    ]  # fmt: skip
