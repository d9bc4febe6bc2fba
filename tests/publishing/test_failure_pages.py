"""The page of failures escapes what models wrote, counts every prediction once, and chooses the same each time."""

from __future__ import annotations

import base64
import io
import itertools
import re
import runpy
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from PIL import Image

from s2h.analysis.failures import ERRORS
from s2h.analysis.failures import OUTCOMES as OF_TABLES
from s2h.errors import DataError
from s2h.publishing import failure_pages
from s2h.publishing.failure_pages import OUTCOMES, TEMPLATE, excerpt, first_difference, write_failures
from s2h.puzzles.consecutive_table_readout import ConsecutiveTableReadout
from s2h.puzzles.shards import PuzzleSet, read_shards, write_shard
from s2h.supervision.formats import TRANSCRIPTION_HEADER
from s2h.templates import visible
from tests.contracts.settings import shipped_task
from tests.shipped import ROOT, job

TASK = "consecutive_table_readout"
TITLES = {TASK: "Consecutive Table Readout"}
RIGHT = OF_TABLES[: -len(ERRORS)]
NOWHERE: dict[str, Any] = dict.fromkeys(("first_error_step", "error_detail", "expected", "observed"))
TYPES: dict[str, Any] = dict.fromkeys(("error", "error_detail", "expected", "observed"), pl.String) | {
    "first_error_step": pl.Int64
}
Shards = dict[str, dict[str, list[str]]]


@pytest.fixture(scope="module")
def shards(readout: ConsecutiveTableReadout, tmp_path_factory: pytest.TempPathFactory) -> Shards:
    """Twelve evaluation puzzles of two levels, in two files each."""
    folder = tmp_path_factory.mktemp("eval")
    made: dict[str, list[str]] = {}
    for level, part in itertools.product(("SIMPLE", "HARD"), range(2)):
        path = folder / f"{level}-{part}.parquet"
        which = PuzzleSet(0, level, "eval")  # type: ignore[arg-type]
        write_shard(path, readout, which, (6 * part, 6 * part + 6), progress=lambda done: None)
        made.setdefault(level, []).append(str(path))
    return {TASK: made}


def score(record: dict[str, Any], modality: str = "text", **changes: Any) -> dict[str, Any]:
    """A right prediction for a puzzle, or one with ``changes``."""
    question = record["text"] + "\n\n" + record["text_question"] if modality == "text" else record["image_question"]
    row = {
        **{name: record[name] for name in ("puzzle_id", "task", "level")},
        **{"trained_on": TASK, "recipe": "mix", "budget": 100, "model": "tiny", "seed": 0, "modality": modality},
        **{"question": question, "prediction": f"{record['reasoning']}\n\n{record['answer_block']}"},
        **{"gold": record["answer"], "answer": record["answer"], "parsed": True, "correct": True},
        **{"chain_correct": True, "tokens": 12, "seconds": 0.5, "error": None, **NOWHERE},
        "external": False,
        "conversion": "free",
    }
    return row | changes


def wrong(record: dict[str, Any], error: str, modality: str = "text", **changes: Any) -> dict[str, Any]:
    prediction = record["reasoning"].replace(" = ", " = 1", 1)
    found = {"error": error, "first_error_step": 1, "error_detail": "sum", "expected": "3", "observed": "7"}
    base = {"prediction": prediction, "answer": "", "parsed": False, "correct": False, "chain_correct": False}
    return score(record, modality, **base | found | changes)


def mixed(shards: Shards) -> list[dict[str, Any]]:
    """Predictions for every puzzle in both modalities, of all outcomes."""
    rows = []
    for level, modality in itertools.product(shards[TASK], ("text", "image")):
        for number, record in enumerate(read_shards(shards[TASK][level])):
            if number < 8:
                rows.append(wrong(record, ERRORS[number % (len(ERRORS) if level == "HARD" else 2)], modality))
            elif number < 10:
                error = "permuted" if number == 8 else "arithmetic"
                rows.append(wrong(record, error, modality, correct=True, parsed=True))
            else:
                rows.append(score(record, modality, chain_correct=number == 10))
    return rows


def write(rows: list[dict[str, Any]], folder: Path, shards: Shards, **options: Any) -> str:
    path = folder / "scores.parquet"
    pl.DataFrame(rows, schema_overrides=TYPES, infer_schema_length=None).write_parquet(path)
    write_failures(path, folder / "page.html", shards=shards, titles=TITLES, recipe_title="Mix", **options)
    return (folder / "page.html").read_text()


class Page(HTMLParser):
    """The tags of a page, its examples, and the rows of its table."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.examples: list[dict[str, Any]] = []
        self.rows: list[list[str]] = []
        self.inside: str | None = None
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags[tag] += 1
        self.attributes |= set(values)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in ("meta", "img", "input"):
            self.open.append(tag)
        if tag == "article":
            self.examples.append({"id": values["id"], "outcome": values["data-outcome"], "verdict": "", "mark": []})
        elif tag == "pre" or (tag == "p" and values.get("class") == "verdict"):
            self.inside = (values.get("class") or "").split()[0]
            self.examples[-1].setdefault(self.inside, "")
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "img":
            assert values["alt"]
            self.examples[-1]["image"] = (values["src"] or "").split(",")[1]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag in ("pre", "p"):
            self.inside = None

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.examples[-1][self.inside] += data
            if "mark" in self.open:
                self.examples[-1]["mark"].append(data)
        elif "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data

    def chosen(self, level: str, modality: str, outcome: str) -> list[str]:
        found = [each["id"] for each in self.examples if each["outcome"] == outcome]
        return [name for name in found if f"-{level}-" in name and name.endswith(modality)]


def pixels(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB").tobytes()


def test_the_page_is_whole_and_asks_for_nothing_else(shards: Shards, tmp_path: Path) -> None:
    page = Page(write(mixed(shards), tmp_path, shards))
    assert all(link.startswith(("data:image/webp;base64,", "#")) for link in page.links)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert len(set(page.ids)) == len(page.ids)
    assert page.tags["script"] == 1


def test_outcomes_are_those_of_the_tables() -> None:
    assert tuple(outcome.name for outcome in OUTCOMES) == OF_TABLES


def test_every_prediction_is_counted_once(shards: Shards, tmp_path: Path) -> None:
    rows = Page(write(mixed(shards), tmp_path, shards)).rows[1:]
    assert [row[:3] for row in rows] == [
        [TITLES[TASK], level, modality] for level in ("SIMPLE", "HARD") for modality in ("text", "image")
    ]
    for row in rows:
        n, *counts = (int(cell) for cell in row[3 : 4 + len(OUTCOMES)])
        assert n == sum(counts) == 12
    counted = dict(zip((outcome.name for outcome in OUTCOMES), rows[-1][4:], strict=False))
    assert counted == dict.fromkeys((*RIGHT, *ERRORS), "1") | dict.fromkeys(ERRORS[:2], "2")


def test_the_first_puzzles_are_shown_whatever_the_order_of_the_rows(shards: Shards, tmp_path: Path) -> None:
    rows = mixed(shards)
    text = write(rows, tmp_path, shards, per_kind=3)
    assert text == write(rows[::-1], tmp_path, shards, per_kind=3)
    page = Page(text)
    first = [f"{TASK}-SIMPLE-eval-{number:07d}-image" for number in (0, 2, 4)]
    assert page.chosen("SIMPLE", "image", "format") == first
    assert len(page.chosen("HARD", "text", "format")) == 2
    assert page.chosen("HARD", "text", "correct_invalid_cot") == [f"{TASK}-HARD-eval-0000009-text"]
    assert not page.chosen("HARD", "text", "correct_valid_cot")


def test_only_images_of_shown_puzzles_are_in_the_page(shards: Shards, tmp_path: Path) -> None:
    records = list(read_shards(shards[TASK]["HARD"]))
    rows = [wrong(records[number], "perception", "image") for number in (3, 7, 8)]
    text = write([*rows, *(score(record) for record in records)], tmp_path, shards, per_kind=2)
    images = [base64.b64decode(data) for data in re.findall(r"base64,([^\"]+)", text)]
    assert [pixels(image) for image in images] == [pixels(records[number]["image"]["bytes"]) for number in (3, 7)]


def test_the_sentence_says_what_is_wrong_and_where(shards: Shards, tmp_path: Path) -> None:
    records = list(read_shards(shards[TASK]["HARD"]))
    rows = [
        wrong(records[0], "perception", first_error_step=5, error_detail="value"),
        wrong(records[1], "reasoning", first_error_step=0, error_detail=None, expected="2", observed=""),
        wrong(records[2], "format", **NOWHERE),
        wrong(records[3], "arithmetic", correct=True, parsed=True, answer="9"),
        wrong(records[4], "unexplained", **NOWHERE, parsed=True, answer="8"),
    ]
    said = {each["outcome"]: " ".join(each["verdict"].split()) for each in Page(write(rows, tmp_path, shards)).examples}
    gold = [record["answer"] for record in records]
    assert said["perception"].startswith("Perception error in step 5: value; expected 3, found 7. No answer was found")
    assert said["reasoning"].startswith("Reasoning error before the first step; expected 2, found nothing.")
    assert said["format"] == f"Format error. No answer was found; right is {gold[2]}."
    assert said["correct_invalid_cot"].startswith("Right answer, but arithmetic error in step 1: sum;")
    assert said["unexplained"] == f"Unexplained error. The answer is 8, right is {gold[4]}."


def test_the_first_word_that_differs_is_marked_where_a_step_is_known(shards: Shards, tmp_path: Path) -> None:
    record = next(read_shards(shards[TASK]["HARD"]))
    known = Page(write([wrong(record, "perception")], tmp_path, shards)).examples[0]
    right = re.search(r"= (\d+)", record["reasoning"])
    assert right is not None
    assert known["mark"] == ["1" + right[1], right[1]]
    unknown = Page(write([wrong(record, "perception", first_error_step=None)], tmp_path, shards)).examples[0]
    assert unknown["mark"] == []
    assert unknown["response"] == f"{record['reasoning']}\n\n{record['answer_block']}"


def test_the_question_is_shown_without_the_text_of_the_puzzle(shards: Shards, tmp_path: Path) -> None:
    record = next(read_shards(shards[TASK]["HARD"]))
    for modality in ("text", "image"):
        (example,) = Page(write([wrong(record, "format", modality)], tmp_path, shards)).examples
        assert (example["text"], example["question"]) == (record["text"], record[f"{modality}_question"])


TEXT = st.text(st.characters(codec="utf-8"), max_size=60) | st.sampled_from(
    ["</bdi></pre><script>alert(1)</script>", "\n\n<b>", "'\" onclick=x", "&lt;b&gt;", "\u202eevil\u2066",
     "\x00\r\x1b[1m", "]]>-->", "{{ run }}{% raw %}", "</title></article>", "<!--"]
)  # fmt: skip


@pytest.fixture(scope="module")
def plain(shards: Shards, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """A page of one harmless prediction."""
    rows = [wrong(next(read_shards(shards[TASK]["SIMPLE"])), "perception", parsed=True)]
    return Page(write(rows, tmp_path_factory.mktemp("plain"), shards))


@given(TEXT, TEXT, TEXT, TEXT, TEXT, st.none() | st.integers(0, 3))
@settings(deadline=None, max_examples=80, phases=[Phase.explicit, Phase.generate])  # to shrink takes minutes
def test_nothing_that_a_model_writes_becomes_part_of_the_page(
    shards: Shards,
    plain: Page,
    tmp_path_factory: pytest.TempPathFactory,
    prediction: str,
    answer: str,
    expected: str,
    found: str,
    kind: str,
    step: int | None,
) -> None:
    folder = tmp_path_factory.getbasetemp()
    record = next(read_shards(shards[TASK]["SIMPLE"]))
    values = {"prediction": prediction, "answer": answer, "expected": expected, "observed": found, "error_detail": kind}
    text = write([wrong(record, "perception", first_error_step=step, parsed=True, **values)], folder, shards)
    page = Page(text)
    (example,) = page.examples
    assert visible(prediction) in (example["prediction"], example["prediction"].replace("\n", " "))
    assert all(visible(value) in example["verdict"] for value in (answer, expected, found, kind))
    free = {"mark", "span", "code", "bdi", "i"}  # the template's own, by what there is to show
    assert {tag: n for tag, n in (page.tags - plain.tags).items() if tag not in free} == {}
    assert {tag: n for tag, n in (plain.tags - page.tags).items() if tag not in free} == {}
    assert page.attributes <= plain.attributes
    assert visible(text) == text


@given(TEXT)
def test_what_is_not_seen_is_shown_by_its_number(text: str) -> None:
    shown = visible(text)
    assert all(c.isprintable() or c in "\n\t" for c in shown)
    assert re.sub(r"⟨U\+([0-9A-F]+)⟩", lambda match: chr(int(match[1], 16)), shown) == text


@pytest.mark.parametrize(
    ("prediction", "right", "marks"),
    [
        ("a b c", "a x c", ("b", "x")),
        ("a  b\nc", "a b c", None),
        ("a b", "a b c", ("", "c")),
        ("a b c ", "a b", ("c", "")),
        ("", "a", ("", "a")),
        ("b", "", ("b", "")),
        (" ", "", None),
    ],
)
def test_the_first_difference(prediction: str, right: str, marks: tuple[str, str] | None) -> None:
    found = first_difference(prediction, right)
    assert marks == (found and (prediction[slice(*found[0])], right[slice(*found[1])]))


@given(st.text("ab \n", max_size=60), st.data(), st.integers(1, 80))
def test_an_excerpt_holds_the_mark_and_says_how_much_is_left_out(text: str, data: st.DataObject, longest: int) -> None:
    start = data.draw(st.integers(0, len(text)))
    word = data.draw(st.none() | st.integers(start, len(text)).map(lambda stop: (start, stop)))
    part = excerpt(text, word, longest)
    shown = part.before + part.line + (part.word or "") + part.rest + part.after
    assert shown == text[part.skipped : len(text) - part.left]
    assert len(shown) <= longest
    assert "\n" not in part.line + part.rest
    if word is not None:
        assert part.skipped + len(part.before + part.line) == word[0]
        assert text[slice(*word)].startswith(part.word or "")


def test_long_predictions_are_cut_around_their_mark(shards: Shards, tmp_path: Path) -> None:
    record = next(read_shards(shards[TASK]["HARD"]))
    right = f"{record['reasoning']}\n\n{record['answer_block']}"
    late = right.replace(" ", " " * 9_000, 1).replace(" = ", " = 1", 1)
    text = write([wrong(record, "perception", prediction=late + " x" * 9_000)], tmp_path, shards)
    (example,) = Page(text).examples
    assert len(example["prediction"]) == 6_000
    assert example["mark"][0].startswith("1")
    before, after = (int(n.replace(",", "")) for n in re.findall(r"([\d,]+) more characters", text))
    assert before + after + 6_000 == len(late) + 18_000


def test_the_right_response_is_worded_as_the_prediction_begins(shards: Shards, tmp_path: Path) -> None:
    record = next(read_shards(shards[TASK]["HARD"]))
    right = f"{record['reasoning']}\n\n{record['answer_block']}"
    for beginning in (f"{TRANSCRIPTION_HEADER}\n\n{record['text']}\n\n", "<Convert> <Convert>\n\n", ""):
        prediction = beginning + right.replace(" = ", " = 1", 1)
        (example,) = Page(
            write([wrong(record, "perception", "image", prediction=prediction)], tmp_path, shards)
        ).examples
        assert example["response"] == beginning + right


def test_a_task_may_have_other_chains(tmp_path: Path) -> None:
    task = shipped_task("visual_analogy", "paper")
    path = str(tmp_path / "analogies.parquet")
    write_shard(path, task, PuzzleSet(0, "SIMPLE", "eval"), (0, 1), progress=lambda done: None)
    record = next(read_shards([path]))
    for chain in record["alternatives"]:
        prediction = chain["reasoning"] + "\n\nAnswer: 9"
        rows = [wrong(record, "reasoning", prediction=prediction)]
        (example,) = Page(write(rows, tmp_path, {task.name: {"SIMPLE": [path]}})).examples
        assert example["response"] == f"{chain['reasoning']}\n\n{record['answer_block']}"


def test_a_prediction_of_one_line_is_broken_like_the_right_response(shards: Shards, tmp_path: Path) -> None:
    record = next(read_shards(shards[TASK]["HARD"]))
    lines = [line for line in f"{record['reasoning']}\n{record['answer_block']}".splitlines() if line]
    rows = [wrong(record, "reasoning", prediction=" ".join(lines))]
    text = write(rows, tmp_path, shards)
    assert Page(text).examples[0]["prediction"].splitlines() == lines
    assert "written as one line" in text
    rows = [wrong(record, "reasoning", prediction="  ".join(lines))]  # more than single spaces: shown as it is
    assert Page(write(rows, tmp_path, shards)).examples[0]["prediction"] == "  ".join(lines)


def test_predictions_to_sets_from_outside_are_left_out(shards: Shards, tmp_path: Path) -> None:
    record = next(read_shards(shards[TASK]["HARD"]))
    rows = [wrong(record, "format", external=False), wrong(record, "format", puzzle_id="theirs-q1", external=True)]
    text = write(rows, tmp_path, shards)
    assert "1 predictions for puzzles of external evaluation sets" in text
    assert len(Page(text).examples) == 1
    assert Page(text).rows[1][3] == "1"


def test_a_page_without_failures_has_a_table(shards: Shards, tmp_path: Path) -> None:
    page = Page(write([score(next(read_shards(shards[TASK]["HARD"])))], tmp_path, shards))
    assert page.rows[1][3:6] == ["1", "1", "0"]
    assert not page.examples


def test_predictions_whose_conversion_was_forced_or_forbidden_are_left_out(shards: Shards, tmp_path: Path) -> None:
    record = next(read_shards(shards[TASK]["HARD"]))
    free = wrong(record, "format", "image")
    page = Page(write([free, *(free | {"conversion": way} for way in ("forced", "forbidden"))], tmp_path, shards))
    assert (page.rows[1][3], len(page.examples)) == ("1", 1)


def test_a_large_page_shows_fewer_examples(shards: Shards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = write(mixed(shards), tmp_path, shards, per_kind=3)
    monkeypatch.setattr(failure_pages, "_LARGEST", len(whole.encode()) - 1)
    text = write(mixed(shards), tmp_path, shards, per_kind=3)
    assert "At most 2 examples of each" in text
    assert len(Page(text).chosen("SIMPLE", "image", "format")) == 2


def test_a_puzzle_that_is_in_no_shard_is_refused(shards: Shards, tmp_path: Path) -> None:
    record = next(read_shards(shards[TASK]["HARD"]))
    with pytest.raises(DataError, match=r"have the puzzle lost-1, .* 2 evaluation shards of .* HARD: give all of them"):
        write([score(record), score(record, puzzle_id="lost-1")], tmp_path, shards)
    with pytest.raises(DataError, match="none of the 0 evaluation shards"):
        write([score(record)], tmp_path, {TASK: {"SIMPLE": shards[TASK]["SIMPLE"]}})
    assert not (tmp_path / "page.html").exists()


def test_files_that_cannot_be_used_are_refused(shards: Shards, tmp_path: Path) -> None:
    record = next(read_shards(shards[TASK]["HARD"]))
    with pytest.raises(DataError, match="2 runs"):
        write([score(record), score(record, seed=1)], tmp_path, shards)
    with pytest.raises(DataError, match="has the error boredom, expected one of format, perception"):
        write([wrong(record, "boredom")], tmp_path, shards)
    torn = tmp_path / "torn.parquet"
    torn.write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"the puzzle shard .*torn\.parquet, or one after it, cannot be read"):
        write([score(record)], tmp_path, {TASK: {"HARD": [str(torn)]}})
    with pytest.raises(DataError, match=r"score file .* cannot be read"):
        write_failures(torn, tmp_path / "page.html", shards=shards, titles=TITLES, recipe_title="Mix")


def test_the_script_writes_the_page(shards: Shards, tmp_path: Path) -> None:
    expected = write(mixed(shards), tmp_path, shards)
    rule = job(
        "draw_failures",
        tmp_path,
        inputs={"scores": str(tmp_path / "scores.parquet"), "template": str(TEMPLATE)},
        outputs={"page": str(tmp_path / "drawn.html")},
        params={"evaluation": {TASK: {"shards": shards[TASK]}}, "titles": TITLES, "recipe_title": "Mix"},
    )
    script = ROOT / "workflow/scripts/draw_failures.py"
    runpy.run_path(str(script), init_globals={"snakemake": rule}, run_name="__main__")
    assert (tmp_path / "drawn.html").read_text() == expected
