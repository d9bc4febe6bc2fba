"""Scoring through the real VLMEvalKit; the only test module that imports it."""

from __future__ import annotations

import dataclasses
import os
import ssl

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s2h.errors import DataError
from s2h.models.settings import ScoringSettings
from s2h.puzzles.shards import read_shards
from s2h.scoring import engine
from s2h.scoring.decoding import Reply, load_decoder
from s2h.scoring.sets import read_set

IDENTITY = {"trained_on": "consecutive_table_readout", "recipe": "mix", "budget": 30000, "model": "tiny", "seed": 3}
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


@pytest.fixture(scope="module", autouse=True)
def _contained():
    """What importing VLMEvalKit changes in this process is put back for the tests that follow."""
    gradients, context = torch.is_grad_enabled(), ssl._create_default_https_context
    yield
    torch.set_grad_enabled(gradients)
    ssl._create_default_https_context = context


def _replies(texts):
    return lambda messages: [Reply(text, 1, 0.0) for text in texts]


def test_schema_holds_the_fields_of_a_score_in_order():
    kinds = {"str": pa.string(), "int": pa.int64(), "bool": pa.bool_(), "float": pa.float64()}
    fields = [(field.name, kinds[str(field.type)]) for field in dataclasses.fields(engine.Score)]
    assert pa.schema(fields) == engine.SCHEMA


def test_score_writes_every_set(task, shards, model_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setenv("SKIP_ERR", "1")
    monkeypatch.delenv("PRED_FORMAT", raising=False)
    work = tmp_path / "work"
    work.mkdir()
    (work / "01_left-over.pkl").write_text("torn")
    output = tmp_path / "scores.parquet"
    identity = {name: str(value) for name, value in IDENTITY.items()}
    decoding = ScoringSettings(batch_size=4, max_new_tokens=5)
    engine.score(
        model_folder,
        evaluations=[engine.Evaluation(task, shards, {"SIMPLE": 6, "HARD": 4})],
        output=output,
        settings=decoding,
        work_dir=work,
        identity=identity,
    )
    assert [os.environ.get(name) for name in ("WORLD_SIZE", "SKIP_ERR", "PRED_FORMAT")] == ["8", "1", None]
    assert not (work / "01_left-over.pkl").exists()
    assert pq.read_schema(output) == engine.SCHEMA
    for level, paths in shards.items():
        frame = pl.read_parquet(output).filter(pl.col("level") == level)
        used = {"SIMPLE": 6, "HARD": 4}[level]
        ids = [record["puzzle_id"] for record in read_shards(paths)][:used]
        assert frame["puzzle_id"].to_list() == ids * 2
        assert frame["modality"].to_list() == ["text"] * used + ["image"] * used
        assert frame.select(pl.col(IDENTITY).first()).row(0, named=True) == IDENTITY
        assert frame["tokens"].is_between(1, 5).all()


def test_vlmevalkit_s_own_loop_gives_the_replies_of_batches(task, shards, model_folder, tmp_path):
    decoder = load_decoder(model_folder, ScoringSettings(batch_size=4, max_new_tokens=8))
    for modality in ("text", "image"):
        eval_set = read_set(task.name, "SIMPLE", modality, shards["SIMPLE"])
        respond = engine._responder(decoder, lambda done: None, 0)
        batched = engine.score_set(eval_set, task=task, respond=respond, work=tmp_path / "batched", identity=IDENTITY)
        alone = tmp_path / "alone"
        with engine.registered(eval_set, task, respond, alone) as (dataset, model):
            from vlmeval.inference import infer_data_job

            infer_data_job(model, work_dir=str(alone), model_name=engine.MODEL_NAME, dataset=dataset)
            judged = dataset.evaluate(str(alone / f"{engine.MODEL_NAME}_{eval_set.name}.tsv"))
        assert [each.prediction for each in judged] == [each.prediction for each in batched]


@pytest.mark.parametrize("modality", ["text", "image"])
def test_an_oracle_is_always_right(task, shards, tmp_path, modality):
    gold = [f"{record['reasoning']}\n\n{record['answer_block']}" for record in read_shards(shards["HARD"])]
    eval_set = read_set(task.name, "HARD", modality, shards["HARD"])
    scores = engine.score_set(eval_set, task=task, respond=_replies(gold), work=tmp_path, identity=IDENTITY)
    assert [each.prediction for each in scores] == gold
    assert all(each.parsed and each.correct and each.chain_correct and each.answer == each.gold for each in scores)


def test_verdicts_belong_to_their_puzzles(task, shards, tmp_path):
    eval_set = read_set(task.name, "HARD", "text", shards["HARD"])
    replies = [f"Answer: {row.answer}" if i % 2 else "Answer: 999" for i, row in enumerate(eval_set.rows)]
    scores = engine.score_set(eval_set, task=task, respond=_replies(replies), work=tmp_path, identity=IDENTITY)
    assert [each.correct for each in scores] == [False, True] * 3
    assert not any(each.chain_correct for each in scores)


def _survive(texts, task, shards, work):
    eval_set = read_set(task.name, "SIMPLE", "text", shards["SIMPLE"])
    rows = (eval_set.rows * len(texts))[: len(texts)]
    rows = tuple(dataclasses.replace(row, index=f"q{i:07d}") for i, row in enumerate(rows))
    many = dataclasses.replace(eval_set, rows=rows)
    scores = engine.score_set(many, task=task, respond=_replies(texts), work=work, identity=IDENTITY)
    engine._write(work / "scores.parquet", scores)
    assert pl.read_parquet(work / "scores.parquet")["prediction"].to_list() == texts
    for table in work.glob("*.tsv"):
        table.unlink()  # each call begins afresh, as each run does


def test_awkward_replies_survive_unchanged(task, shards, tmp_path):
    _survive(AWKWARD, task, shards, tmp_path)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=6))
def test_any_reply_survives_unchanged(texts, task, shards, tmp_path):
    _survive(texts, task, shards, tmp_path)


def test_lost_predictions_are_an_error(tmp_path):
    path = tmp_path / "predictions.tsv"
    with pytest.raises(DataError, match="no predictions that can be read"):
        engine.read_predictions(path, ["q0000000"])
    path.write_text('"index"\t"prediction"\n"q0000000"\t"""7"""\n')
    assert engine.read_predictions(path, ["q0000000"]) == ["7"]
    with pytest.raises(DataError, match="1 predictions"):
        engine.read_predictions(path, ["q0000000", "q0000001"])
    path.write_text('"index"\t"prediction"\n"q0000000"\t"7"\n')
    with pytest.raises(DataError, match="not a JSON string"):
        engine.read_predictions(path, ["q0000000"])
    path.write_text('"index"\t"prediction"\n"q0000000"\t\n')
    with pytest.raises(DataError, match="no predictions that can be read"):
        engine.read_predictions(path, ["q0000000"])


def test_a_failing_model_raises(task, shards, tmp_path):
    def broken(messages):
        raise RuntimeError("out of memory")

    eval_set = read_set(task.name, "SIMPLE", "text", shards["SIMPLE"])
    with pytest.raises(RuntimeError, match="out of memory"):
        engine.score_set(eval_set, task=task, respond=broken, work=tmp_path, identity=IDENTITY)
    with pytest.raises(ValueError, match="zip"):
        engine.score_set(eval_set, task=task, respond=_replies(["7"]), work=tmp_path, identity=IDENTITY)
