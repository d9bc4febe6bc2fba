"""Laws of mixtures: exact counts, shared puzzles, one order for one config, no image bytes."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2h.errors import DataError
from s2h.supervision.formats import CONVERSION
from s2h.supervision.mixture import SCHEMA, assemble, read_puzzles
from s2h.supervision.recipes import Phase, count, examples_seen
from tests.shipped import default_config

RECIPES = default_config().recipes
PHASES = [phase for recipe in RECIPES.values() for phase in recipe.phases]
ORDERS = st.sampled_from(["shuffled", "interleaved", "sequential"])


def puzzles(level: str, size: int) -> pl.DataFrame:
    names = [f"{level}-{i}" for i in range(size)]
    columns = ("puzzle_id", "text", "text_question", "image_question", "reasoning", "answer_block")
    frame = pl.DataFrame({column: [f"{column} {name}" for name in names] for column in columns})
    rows = pl.int_range(pl.len(), dtype=pl.Int64).alias("row")
    return frame.with_columns(pl.Series("puzzle_id", names), pl.lit(f"{level}.parquet").alias("shard"), rows)


SETS = {"SIMPLE": puzzles("SIMPLE", 300), "HARD": puzzles("HARD", 300)}


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
        if phase.epochs == int(phase.epochs):
            assert rows.height == counted.epoch * phase.epochs
            assert rows["puzzle_id"].n_unique() == counted.unique
            by_size.setdefault((counted.part.level, counted.unique), set()).add(frozenset(rows["puzzle_id"]))
    assert all(len(same) == 1 for same in by_size.values())


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(PHASES), st.integers(12, 300), ORDERS)
def test_the_order_is_a_function_of_the_seed(phase: Phase, budget: int, order: str) -> None:
    phase = phase.model_copy(update={"order": order})
    one, again, other = (assemble(phase, budget=budget, puzzles=SETS, key=(seed, "task")) for seed in (0, 0, 1))
    assert one.equals(again)
    assert not one.equals(other)


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(PHASES), st.integers(12, 299))
def test_a_smaller_budget_holds_some_of_the_larger_ones_puzzles(phase: Phase, budget: int) -> None:
    small, large = (assemble(phase, budget=b, puzzles=SETS, key=(0, "task")) for b in (budget, 300))
    assert set(small["puzzle_id"]) <= set(large["puzzle_id"])


def test_interleaving_keeps_the_proportions_everywhere() -> None:
    phase = RECIPES["mix_plus"].phases[0].model_copy(update={"order": "interleaved"})
    mixed = assemble(phase, budget=300, puzzles=SETS, key=(0, "task"))
    for start in range(0, mixed.height - 60, 7):
        window = mixed.slice(start, 60)
        assert abs(window.filter(level="HARD").height - 30) <= 2
        assert abs(window.filter(format="image").height - 10) <= 2


def test_a_curriculum_takes_part_after_part() -> None:
    phase = RECIPES["mix_plus"].phases[0].model_copy(update={"order": "sequential"})
    mixed = assemble(phase, budget=60, puzzles=SETS, key=(0, "task"))
    assert mixed["format"].to_list() == ["text"] * 10 + ["image"] * 10 + ["image_via_text"] * 10 + ["text"] * 30


def test_prompts_and_responses_are_those_of_the_format() -> None:
    mixed = assemble(RECIPES["mix"].phases[0], budget=30, puzzles=SETS, key=(0, "task"))
    for row in mixed.iter_rows(named=True):
        name = row["puzzle_id"]
        text, reasoning, block = f"text {name}", f"reasoning {name}", f"answer_block {name}"
        asked = {"text": f"{text}\n\ntext_question {name}"}.get(row["format"], f"image_question {name}")
        said = f"{reasoning}\n\n{block}"
        if row["format"] == "image_via_text":
            said = f"{CONVERSION}\n\n{text}\n\n{said}"
        assert (row["prompt"], row["response"]) == (asked, said)
        shard = "" if row["format"] == "text" else "SIMPLE.parquet"
        assert (row["image_shard"], row["image_row"] >= 0) == (shard, shard != "")


def test_too_few_puzzles_and_torn_shards_are_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match="needs 301 SIMPLE puzzles, but only 300"):
        assemble(RECIPES["text"].phases[0], budget=602, puzzles=SETS, key=(0, "task"))
    torn = tmp_path / "shard-00000.parquet"
    torn.write_bytes(b"PAR1 torn")
    with pytest.raises(DataError, match="cannot be read"):
        read_puzzles([str(torn)])
