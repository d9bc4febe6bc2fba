"""Taking predictions apart, transcriptions, and the diagnoser of a task that has none of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from s2h.diagnosis.diagnosis import Diagnoser, Diagnosis, FirstError, Parts, cells, short, split_like
from s2h.diagnosis.table_diagnoser import TableDiagnoser
from s2h.puzzles.table_task import Table
from tests.contracts.settings import shipped_task
from tests.diagnosis.predictions import changed, first_error, gold

PAPER, COMPACT = (shipped_task("table_readout", style) for style in ("paper", "compact"))
PAPER_TABLE = Table(("Nova Tool", "Flux Tool"), ("May", "June"), ((1, 2), (3, 4)), ((0, 0), (0, 1), (1, 1)))
TABLE = Table(("n", "o"), ("a", "b"), ((1, 2), (3, 4)), ((0, 0), (0, 1), (1, 1)))


def plain(prediction: str, *, paper: bool = False) -> Diagnosis:
    """What the default diagnoser finds in a prediction for the small table."""
    diagnoser: Diagnoser[Table] = Diagnoser(PAPER if paper else COMPACT)
    return diagnoser.diagnose(PAPER_TABLE if paper else TABLE, prediction)


def split(prediction: str, *, paper: bool = False) -> tuple[str | None, str, str]:
    parts = TableDiagnoser(PAPER if paper else COMPACT).split(PAPER_TABLE if paper else TABLE, prediction)
    assert parts.text == prediction
    return parts.transcription, parts.chain, parts.answer


@pytest.mark.parametrize(
    ("prediction", "parts"),
    [
        ("", (None, "", "")),
        ("Answer: 7", (None, "", "Answer: 7")),
        ("so\nand so\n\nAnswer: 7", (None, "so\nand so", "Answer: 7")),
        ("Answer: 6\nno\nAnswer: 7", (None, "Answer: 6\nno", "Answer: 7")),
        ("so\nand so", (None, "so\nand so", "")),
        ("Converted to text:\n\na b\nc\n\nso\n\nAnswer: 7", ("a b\nc", "so", "Answer: 7")),
        ("Converted to text:\r\n\r\na b\r\nc\r\n \r\nso\r\n", ("a b\r\nc\r", "so", "")),
        ("Converted to text:\na b\n\n\nAnswer: 7", ("a b", "", "Answer: 7")),
        ("Converted  to text:", ("", "", "")),
        ("Converted to text:\n\na b\nc", ("a b\nc", "", "")),
        ("<Convert> <Convert>\n\nso\n\nAnswer: 7", (None, "so", "Answer: 7")),
        ("<Convert> Answer: 7", (None, "", "Answer: 7")),
        ("Well. Converted to text:\n\na b\n\nso", (None, "Well. Converted to text:\n\na b\n\nso", "")),
        ("Converted to text: na:1 oa:3 ob:4 ob:5 na 1 Answer: 1", ("na:1 oa:3 ob:4 ob:5", "na 1", "Answer: 1")),
    ],
)  # fmt: skip
def test_a_prediction_is_taken_apart(prediction: str, parts: tuple[str | None, str, str]) -> None:
    assert split(prediction) == parts
    if "\n" in prediction:  # predictions of the paper's style are never one line
        assert split(prediction, paper=True) == parts


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        (" & May & June \\\\", ["", "May", "June \\\\"]),
        ("Nova Tool & 1 * & 2", ["Nova Tool", "1 *", "2"]),
        ("Panel 1: lines; types circle; colours 0, 90", ["Panel 1: lines", "types circle", "colours 0, 90"]),
        ("na:1  nb:*2", ["na:1", "nb:*2"]),
        ("", []),
    ],
)
def test_a_line_is_cut_into_cells(line: str, parts: list[str]) -> None:
    assert cells(line) == parts


@pytest.mark.parametrize(
    ("words", "model", "lines"),
    [
        ("n 1 2 o 3 4", ["n 5 6", "o 7 8"], ["n 1 2", "o 3 4"]),
        ("na:1 nb:2 oa:3 ob:4", ["na:5 nb:6", "oa:7 ob:8"], ["na:1 nb:2", "oa:3 ob:4"]),  # of a cell the name counts
        ("a:1 a:2 b:3 a:4", ["a:5 a:6", "b:7 b:8"], ["a:1 a:2", "b:3", "a:4"]),
        ("n 1 o 3 4 5", ["n 5 6", "o 7 8"], ["n 1", "o 3 4 5"]),  # a word lost spoils one line
        ("1 n 1 2 n 3", ["n 5 6", "o 7 8"], ["1", "n 1 2", "n 3"]),
        ("x 1 2 3 x 4", ["x 1", "2 x", "3"], ["x 1", "2 3", "x", "4"]),  # first words do not tell lines apart
        ("", ["n 5", "o 6"], []),
    ],
)
def test_words_are_laid_out_as_the_lines_that_they_repeat(words: str, model: Sequence[str], lines: list[str]) -> None:
    assert split_like(words.split(), model) == lines


@pytest.mark.parametrize(
    ("old", "new", "expected", "found", "share"),
    [
        ("June", "July", "line 4, cell 3: June \\\\", "July \\\\", 20),
        ("Nova Tool & 1 *", "Nova Tool & 7 *", "line 5, cell 2: 1 *", "7 *", 20),
        ("3 & 4 *", "3 & 4", "line 6, cell 3: 4 * \\\\", "4 \\\\", 20),
        ("Flux Tool & 3 & 4 * \\\\\n", "", "line 6, cell 1: Flux Tool", "\\end{tabular}", 9),
        ("\n\\end{table}", "\n\\end{table}\nand more", "line 11, cell 1: nothing", "and", 21),
        ("\n\\end{table}", "", "line 10, cell 1: \\end{table}", "nothing", 20),
    ],
)
def test_a_transcription_is_compared_cell_by_cell(old: str, new: str, expected: str, found: str, share: int) -> None:
    text = changed(PAPER.to_text(PAPER_TABLE), old, new)
    prediction = f"Converted to text:\n\n{text}\n\n{gold(PAPER, PAPER_TABLE)}"
    diagnosis = plain(prediction, paper=True)
    assert first_error(diagnosis) == ("perception", 0, "transcription", expected, found)
    assert (diagnosis.correct, diagnosis.chain_correct) == (True, False)
    assert diagnosis.metrics["transcription"] == share / 21


def test_white_space_of_a_transcription_does_not_matter() -> None:
    text = PAPER.to_text(PAPER_TABLE).replace("\n", "  \r\n   ").replace(" & ", "  &  ")
    diagnosis = plain(f"Converted to text:\n\n{text}\n\n{gold(PAPER, PAPER_TABLE)}", paper=True)
    assert (diagnosis.error, diagnosis.chain_correct, diagnosis.metrics["transcription"]) == (None, True, 1)


@pytest.mark.parametrize("join", ["\n", " "])
@pytest.mark.parametrize(
    ("text", "place", "found", "share"),
    [
        ("na:*1 nb:2 oa:3 ob:*4", "line 1, cell 2: nb:*2", "nb:2", 3),
        ("na:*1 nb:*2 oa:*3 ob:*4", "line 2, cell 1: oa:3", "oa:*3", 3),
        ("na:*1 oa:3 ob:*4", "line 1, cell 2: nb:*2", "nothing", 3),
        ("na:*1 nb:*2 nb:*2 oa:3 ob:*4", "line 1, cell 3: nothing", "nb:*2", 4),
        ("na:*1 nb:*2", "line 2, cell 1: oa:3", "nothing", 2),
        ("nb:*2 oa:3 ob:*4", "line 1, cell 1: na:*1", "nb:*2", 2),
    ],
)
def test_a_transcription_on_one_line_is_compared_too(text: str, place: str, found: str, share: int, join: str) -> None:
    """The tiny model writes no ends of lines, and a word too many or too few spoils one line alone."""
    assert COMPACT.to_text(TABLE).split() == ["na:*1", "nb:*2", "oa:3", "ob:*4"]
    prediction = f"Converted to text:{join * 2}{text}{join * 2}{gold(COMPACT, TABLE)}"
    diagnosis = TableDiagnoser(COMPACT).diagnose(TABLE, prediction if join == "\n" else " ".join(prediction.split()))
    assert first_error(diagnosis) == ("perception", 0, "transcription", place, found)
    assert diagnosis.metrics["transcription"] == share / 4
    assert diagnosis.metrics["exact_match"] == 1  # the chain is right all the same


@pytest.mark.parametrize("join", ["\n", " "])
@pytest.mark.parametrize(
    ("chain", "step", "expected", "found"),
    [
        ("na 1 = 1\nnb 2 = 3", 3, "ob 4 = 7", ""),
        ("na 1 = 1\nnb 2 = 4\nob 4 = 7", 2, "nb 2 = 3", "nb 2 = 4"),
        ("na 1 = 1\nnb 2 = 3\nob 4 = 7\nob", 4, "", "ob"),
    ],
)
def test_the_default_compares_a_chain_line_by_line(chain: str, step: int, expected: str, found: str, join: str) -> None:
    for prediction in (
        f"{chain}\n\nAnswer: 7",
        f"Converted to text:\n\n{COMPACT.to_text(TABLE)}\n\n{chain}\n\nAnswer: 7",
    ):
        diagnosis = plain(prediction if join == "\n" else " ".join(prediction.split()))
        assert first_error(diagnosis) == ("reasoning", step, "line", expected, found)
        assert (diagnosis.correct, diagnosis.chain_correct) == (True, False)


def test_the_first_flaw_counts_and_an_unreadable_answer_makes_it_one_of_form() -> None:
    chain = "na 1 = 1\nnb 2 = 4"
    assert first_error(plain(f"{chain}\n\nAnswer: 4")) == ("reasoning", 2, "line", "nb 2 = 3", "nb 2 = 4")
    assert first_error(plain(f"{chain}\n\nAnswer: four")) == ("format", 2, "line", "nb 2 = 3", "nb 2 = 4")
    assert first_error(plain(chain)) == ("format", 2, "line", "nb 2 = 3", "nb 2 = 4")
    assert first_error(plain("Answer: four")) == ("format", None, "answer", "7", "Answer: four")
    assert first_error(plain(f"{COMPACT.chain_of_thought(TABLE)}\n\nAnswer:")) == (
        "format",
        None,
        "answer",
        "7",
        "Answer:",
    )


def test_a_wrong_answer_is_explained_by_what_stands_before_it() -> None:
    text = COMPACT.to_text(TABLE)
    assert first_error(plain("Answer: 8")) == ("unexplained", None, "answer", "7", "8")
    assert first_error(plain("<Convert> Answer: 8")) == ("unexplained", None, "answer", "7", "8")
    assert first_error(plain(f"Converted to text:\n\n{text}\n\nAnswer: 8")) == ("reasoning", None, "answer", "7", "8")
    assert first_error(plain(f"{COMPACT.chain_of_thought(TABLE)}\n\nAnswer: 8")) == (
        "reasoning",
        None,
        "answer",
        "7",
        "8",
    )
    misread = text.replace("oa:3", "oa:5")
    assert first_error(plain(f"Converted to text:\n\n{misread}\n\nAnswer: 8"))[:3] == ("perception", 0, "transcription")


def test_what_is_found_is_short_and_can_be_written_to_a_file() -> None:
    assert short("a \n\t b") == "a b"
    assert short("x" * 100) == "x" * 79 + "…"
    assert short("\ud800!") == "?!"
    assert short(12) == "12"
    found = FirstError("reasoning", 3, "value", "\ud800", "x" * 40_000)
    assert (found.expected, len(found.observed)) == ("?", 80)
    assert str(found) == "reasoning, step 3: value"


def test_a_subclass_adds_steps_and_metrics() -> None:
    class Own(Diagnoser[Table]):
        metrics = ("exact_match", "transcription")

        def follow(self, puzzle: Table, chain: str, answer: str) -> None:
            if "7" not in chain:
                raise FirstError("arithmetic", 1, "sum", 7, chain)

        def measure(self, puzzle: Table, parts: Parts) -> dict[str, float | None]:
            return {"exact_match": float(len(parts.chain))}

    def own(prediction: str) -> Any:
        return Own(COMPACT).diagnose(TABLE, prediction)

    assert first_error(own("it is 8\nAnswer: 7")) == ("arithmetic", 1, "sum", "7", "it is 8")
    assert own("it is 7\nAnswer: 7").chain_correct
    assert own("it is 7\nAnswer: 7").metrics == {"exact_match": 7, "transcription": None}
