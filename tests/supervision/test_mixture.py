"""Laws of mixtures: exact counts, shared puzzles, one order for one config, no image bytes."""

from __future__ import annotations

from math import ceil, floor
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2h.errors import DataError
from s2h.overlays import read_config
from s2h.phases import Phase
from s2h.puzzles.shards import read_shards
from s2h.supervision.formats import CONVERT_TOKEN, TRANSCRIPTION_HEADER
from s2h.supervision.mixture import SCHEMA, assemble, read_mixture, read_puzzles, write_mixture
from s2h.supervision.recipes import count, examples_seen, kept_share

RECIPES = read_config().recipes
PHASES = [phase for recipe in RECIPES.values() for phase in recipe.phases]
ORDERS = st.sampled_from(["shuffled", "interleaved", "sequential"])
LEVELS = ("SIMPLE", "MEDIUM", "HARD")


def puzzles(task: str, level: str, size: int) -> pl.DataFrame:
    names = [f"{task}-{level}-{i}" for i in range(size)]
    columns = ("text", "text_question", "image_question", "transcription_question", "reasoning", "answer_block")
    frame = pl.DataFrame({column: [f"{column} {name}" for name in names] for column in columns})
    chains = ("template", "order", "value")
    others = [[{"name": chain, "reasoning": f"{chain} {name}"} for chain in chains] for name in names]
    return frame.with_columns(
        pl.Series("puzzle_id", names),
        pl.Series("alternatives", others),
        pl.lit(f"{task}-{level}.parquet").alias("shard"),
        offset=100 * pl.int_range(pl.len(), dtype=pl.Int64),
        size=pl.lit(50, pl.Int64),
    )


SETS: dict[Any, pl.DataFrame] = {("task", level): puzzles("task", level, 300) for level in LEVELS}
JOINT = {(task, level): puzzles(task, level, 300) for task in ("first", "second") for level in LEVELS}


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(PHASES), st.integers(12, 300), ORDERS, st.integers(0, 5))
def test_counts_are_exact_and_formats_share_their_puzzles(phase: Phase, budget: int, order: str, seed: int) -> None:
    phase = phase.model_copy(update={"order": order})
    mixed = assemble(phase, budget=budget, puzzles=SETS, key=(seed, "task"))
    assert dict(mixed.schema) == SCHEMA
    assert mixed.height == examples_seen(phase, budget)
    assert mixed["position"].to_list() == list(range(mixed.height))
    by_size: dict[tuple[str, int], set[frozenset[str]]] = {}
    for counted in count(phase, budget):
        rows = mixed.filter(level=counted.part.level, format=counted.part.format)
        assert counted.epoch * floor(phase.epochs) <= rows.height <= counted.epoch * ceil(phase.epochs)
        assert rows["puzzle_id"].n_unique() == counted.unique
        by_size.setdefault((counted.part.level, counted.unique), set()).add(frozenset(rows["puzzle_id"]))
    assert all(len(same) == 1 for same in by_size.values())


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(PHASES), st.integers(30, 300), ORDERS)
def test_the_order_is_a_function_of_the_seed(phase: Phase, budget: int, order: str) -> None:
    phase = phase.model_copy(update={"order": order})
    one, again, other = (assemble(phase, budget=budget, puzzles=SETS, key=(seed, "task")) for seed in (0, 0, 1))
    assert one.equals(again)
    assert not one.equals(other)


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(PHASES), st.integers(12, 299), st.integers(1, 200))
def test_smaller_budgets_and_larger_sets_hold_the_same_puzzles(phase: Phase, budget: int, more: int) -> None:
    small, large = (assemble(phase, budget=b, puzzles=SETS, key=(0, "task")) for b in (budget, 300))
    assert set(small["puzzle_id"]) <= set(large["puzzle_id"])
    grown: Any = {source: pl.concat([frame, puzzles("new", source[1], more)]) for source, frame in SETS.items()}
    assert assemble(phase, budget=budget, puzzles=grown, key=(0, "task")).equals(small)


def test_what_does_not_concern_the_data_changes_nothing() -> None:
    (phase,) = RECIPES["mix_plus"].phases
    other = phase.model_copy(update={"frozen": ("vision",), "optimizer": "kept", "training": {"learning_rate": 1}})
    one, two = (assemble(each, budget=60, puzzles=SETS, key=(0, "task")) for each in (phase, other))
    assert one.equals(two)


@pytest.mark.parametrize("name", ["mix_plus", "image_text", "mix_plus_interleaved", "mix_plus_curriculum"])
def test_several_tasks_are_mixed_in_equal_shares(name: str) -> None:
    """But for half an epoch, which is the same number of examples of all tasks together."""
    (phase,) = RECIPES[name].phases
    mixed = assemble(phase, budget=240, puzzles=JOINT, key=(0, "both"))
    assert mixed.height == examples_seen(phase, 240, 2) == 240
    counts = mixed.group_by("task", "level", "format").agg(pl.len(), puzzles=pl.col("puzzle_id").n_unique())
    first, second = (counts.filter(task=task).drop("task").sort("level", "format") for task in ("first", "second"))
    assert first.drop("len").equals(second.drop("len"))
    if phase.epochs == int(phase.epochs):
        assert first.equals(second)
    else:
        assert first["len"].sum() == pytest.approx(120, abs=10)


def test_interleaving_keeps_the_proportions_everywhere() -> None:
    mixed = assemble(RECIPES["mix_plus_interleaved"].phases[0], budget=300, puzzles=SETS, key=(0, "task"))
    for start in range(0, mixed.height - 60, 7):
        window = mixed.slice(start, 60)
        assert abs(window.filter(level="HARD").height - 30) <= 2
        assert abs(window.filter(format="image").height - 10) <= 2


def test_a_curriculum_takes_part_after_part() -> None:
    mixed = assemble(RECIPES["mix_plus_curriculum"].phases[0], budget=60, puzzles=SETS, key=(0, "task"))
    assert mixed["format"].to_list() == ["text"] * 10 + ["image"] * 10 + ["image_via_text"] * 10 + ["text"] * 30


def test_prompts_and_responses_are_those_of_the_format() -> None:
    mixed = assemble(RECIPES["mix"].phases[0], budget=30, puzzles=SETS, key=(0, "task"))
    for row in mixed.iter_rows(named=True):
        name = row["puzzle_id"]
        text, reasoning, block = f"text {name}", f"reasoning {name}", f"answer_block {name}"
        asked = {"text": f"{text}\n\ntext_question {name}"}.get(row["format"], f"image_question {name}")
        said = f"{reasoning}\n\n{block}"
        if row["format"] == "image_via_text":
            said = f"{TRANSCRIPTION_HEADER}\n\n{text}\n\n{said}"
        assert (row["prompt"], row["response"]) == (asked, said)
        place = (row["image_shard"], row["image_offset"], row["image_bytes"])
        number = int(name.rpartition("-")[2])
        assert place == (("", -1, 0) if row["format"] == "text" else ("task-SIMPLE.parquet", 100 * number, 50))


def test_alternative_chains_are_for_text_alone() -> None:
    mixed = assemble(RECIPES["mix_plus_template"].phases[0], budget=60, puzzles=SETS, key=(0, "task"))
    for row in mixed.iter_rows(named=True):
        assert ("template" in row["response"]) == (row["format"] == "text") == (row["chain"] == "template")


def test_convert_tokens_replace_the_transcription() -> None:
    mixed = assemble(RECIPES["mix_plus_convert_tokens"].phases[0], budget=60, puzzles=SETS, key=(0, "task"))
    for row in mixed.filter(format="image_via_text").iter_rows(named=True):
        name = row["puzzle_id"]
        tokens = " ".join([CONVERT_TOKEN] * 16)
        assert row["response"] == f"{tokens}\n\nreasoning {name}\n\nanswer_block {name}"
    assert mixed["response"].str.contains(CONVERT_TOKEN).sum() == 10


def test_a_transcription_alone_answers_nothing() -> None:
    mixed = assemble(RECIPES["convert_mix_plus"].phases[0], budget=60, puzzles=SETS, key=(0, "task"))
    for row in mixed.iter_rows(named=True):
        assert row["prompt"] == f"transcription_question {row['puzzle_id']}"
        assert row["response"] == f"text {row['puzzle_id']}"


def test_an_internalised_chain_is_truncated_after_its_transcription() -> None:
    mixed = assemble(RECIPES["mix_plus_internalised"].phases[0], budget=300, puzzles=SETS, key=(0, "task"))
    assert mixed["chain_kept"].to_list() == [kept_share(position, 300) for position in range(300)]
    for row in mixed.iter_rows(named=True):
        name = row["puzzle_id"]
        words = f"reasoning {name}"
        start = f"{TRANSCRIPTION_HEADER}\n\ntext {name}\n\n" if row["format"] == "image_via_text" else ""
        chain = row["response"].removeprefix(start).removesuffix(f"answer_block {name}").rstrip("\n")
        assert row["response"].endswith(f"answer_block {name}")
        assert words.startswith(chain)
        assert (chain == words) if row["chain_kept"] == 1 else (len(chain) <= row["chain_kept"] * len(words))


def test_too_few_puzzles_and_torn_shards_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="needs 301 SIMPLE puzzles of task, but only 300"):
        assemble(RECIPES["text"].phases[0], budget=602, puzzles=SETS, key=(0, "task"))
    torn = tmp_path / "shard-00000.parquet"
    torn.write_bytes(b"PAR1 torn")
    with pytest.raises(DataError, match="cannot be read"):
        read_puzzles([str(torn)])


def test_a_mixture_says_where_images_lie_and_holds_none(readout_shards: dict[str, list[str]], tmp_path: Path) -> None:
    path = tmp_path / "mixture.parquet"
    shards: Any = {"consecutive_table_readout": readout_shards}
    write_mixture(path, RECIPES["mix_plus"].phases[0], budget=48, shards=shards, key=(0, "task"))
    assert b"\x89PNG" not in path.read_bytes()
    images = {
        record["puzzle_id"]: record["image"]["bytes"]
        for files in readout_shards.values()
        for record in read_shards(files)
    }
    rows = [row for row in read_mixture(path).iter_rows(named=True) if row["image_shard"]]
    assert len(rows) == 16
    for row in rows:
        with open(row["image_shard"], "rb") as file:
            file.seek(row["image_offset"])
            assert file.read(row["image_bytes"]) == images[row["puzzle_id"]]
