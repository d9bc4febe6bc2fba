"""Each mistake that a chain or an answer block of an analogy can make, in both styles and all wordings."""

from __future__ import annotations

import pytest

from s2h.diagnosis.analogy_diagnoser import analogy_metrics
from s2h.diagnosis.diagnosis import Diagnosis
from s2h.puzzles.analogy_panels import LINE_TYPES, Analogy, Panel, Thing
from tests.contracts.settings import shipped_task
from tests.diagnosis.predictions import changed, diagnosed, first_error, gold

PAPER, COMPACT = (shipped_task("visual_analogy", style) for style in ("paper", "compact"))


def panel(*lines: str) -> Panel:
    things = [Thing(kind, int(colour)) for kind, colour in (line.split() for line in lines)]
    return Panel("lines", tuple(sorted(things, key=lambda thing: LINE_TYPES.index(thing.type))))


PUZZLE = Analogy(
    (
        (panel("falling 0", "rising 90"), panel("falling 135", "circle 0"), panel("falling 189")),
        (panel("falling 0", "rising 90"), panel("vertical 0", "circle 135"), panel("diamond 0")),
    ),
    (panel("falling 0", "rising 90"), panel("falling 90", "circle 135")),
    (
        panel("falling 189", "rising 189", "circle 189"),
        panel("rising 189", "circle 189"),
        panel("falling 189"),
        panel("horizontal 135", "vertical 0", "diamond 90"),
    ),
)
CHAIN = """\
line-type e1a:falling e1a:rising e1b:falling e1b:ring e1c:falling AND
line-type e2a:falling e2a:rising e2b:vertical e2b:ring e2c:diamond none
line-colour e2a:black e2a:dark e2b:black e2b:grey e2c:black AND
relation AND
line-type qa:falling qa:rising qb:falling qb:ring o1:falling o1:rising o1:ring OR o2:rising o2:ring XOR o3:falling AND \
o4:horizontal o4:vertical o4:diamond none
line-colour qa:black qa:dark qb:dark qb:grey o4:black o4:dark o4:grey OR"""
BLOCK = """\
Example 1: (line type, AND)
Example 2: (line colour, AND)
Option 1: (line type, OR), not consistent
Option 2: (line type, XOR), not consistent
Option 3: (line type, AND), consistent
Option 4: (line colour, OR), not consistent

Answer: 3"""


def paper(old: str, new: str, wording: str = "") -> Diagnosis:
    """What is found in the paper's prediction, in one of its wordings, after one change."""
    chain = PAPER.alternatives(PUZZLE)[wording] if wording else PAPER.chain_of_thought(PUZZLE)
    return diagnosed(PAPER, PUZZLE, changed(gold(PAPER, PUZZLE, chain), old, new))


def test_the_predictions_are_those_that_are_changed_here() -> None:
    assert PAPER.answer_block(PUZZLE) == BLOCK
    assert COMPACT.chain_of_thought(PUZZLE) == CHAIN


Expected = tuple[str, int | None, str, str, str]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("I compare the", "I see the", ("format", 1, "wording", "I compare the panels of each example, attribute by "
                                        "attribute.", "I see the panels of each example, attribute by attribute.")),
        ("The relation that they share is AND.\n", "",
         ("reasoning", 9, "missing step", "The relation that they share is AND.", "nothing")),
        ("Example 1 shows lines", "Example 1 shows shapes", ("perception", 2, "family", "lines", "shapes.")),
        ("{falling, rising}, {falling, circle}, {falling}: this", "{falling, rising}, {falling}, {falling}: this",
         ("perception", 3, "values", "{falling, circle}", "{falling}")),
        ("{falling, rising}, {falling, circle}, {falling}: this",
         "{falling, rising}, {falling, circle}, {falling, circle}: this",
         ("perception", 3, "values", "{falling}", "{falling, circle}")),
        ("- line colour {0, 90}, {0, 135}, {189}: no pattern", "- line colour {0, 90}, {0, 135}, {189}: this fits OR",
         ("reasoning", 4, "pattern", "no pattern", "this fits OR.")),
        ("{falling}: this fits AND", "{falling}: this fits OR",
         ("reasoning", 3, "pattern", "this fits AND", "this fits OR.")),
        ("in the line type in example 1", "in the line colour in example 1",
         ("reasoning", 8, "attribute", "line type", "line colour in example 1 and in the line colour in example 2.")),
        ("in the line colour in example 2", "in the line type in example 2",
         ("reasoning", 8, "attribute", "line colour", "line type in example 2.")),
        ("they share is AND", "they share is XOR", ("reasoning", 9, "relation", "AND", "XOR.")),
        ("The query shows lines", "The query shows shapes", ("perception", 10, "family", "lines", "shapes.")),
        ("{0, 90}, {90, 135}.", "{0, 90}, {0, 135}.", ("perception", 12, "values", "{90, 135}", "{0, 135}")),
        ("With option 1 (line type {falling, rising, circle})", "With option 1 (line type {falling, rising})",
         ("perception", 13, "values", "{falling, rising, circle}", "{falling, rising}")),
        ("With option 1 (line type", "With option 1 (line colour", ("reasoning", 13, "attribute", "line type",
         "line colour {falling, rising, circle}) it fits OR, not AND.")),
        ("it fits XOR, not AND", "it fits OR, not AND", ("reasoning", 14, "pattern", "XOR", "OR, not AND.")),
        ("fits AND, the relation sought", "fits AND, not AND", ("reasoning", 15, "option", "the relation sought",
                                                               "not AND.")),
        ("Only option 3 is", "Only option 2 is", ("reasoning", 17, "option", "3", "2 is consistent with AND.")),
        ("consistent with AND.", "consistent with OR.", ("reasoning", 17, "relation", "AND", "OR.")),
        ("\nOnly option 3 is consistent with AND.", "", ("reasoning", 17, "missing step",
                                                         "Only option 3 is consistent with AND.", "nothing")),
        ("consistent with AND.", "consistent with AND.\nSo 3.", ("reasoning", 18, "surplus step", "nothing", "So 3.")),
    ],
)  # fmt: skip
def test_the_paper_s_chain_is_compared_piece_by_piece(old: str, new: str, expected: Expected) -> None:
    diagnosis = paper(old, new)
    assert first_error(diagnosis) == expected
    assert (diagnosis.correct, diagnosis.chain_correct, diagnosis.metrics["exact_match"]) == (True, False, 1)


@pytest.mark.parametrize(
    ("wording", "old", "new", "expected"),
    [
        ("template", "Example 2: by line colour we", "Example 2: by line type we",
         ("reasoning", 2, "attribute", "line colour",
          "line type we see {0, 90} then {0, 135} then {0}, which is AND.")),
        ("template", "then {0, 135} then", "then {0} then", ("perception", 2, "values", "{0, 135}", "{0}")),
        ("template", "{rising, circle}, which is XOR", "{rising, circle}, which is OR",
         ("reasoning", 5, "pattern", "XOR", "OR.")),
        ("template", "So we look for AND", "So we look for OR", ("reasoning", 3, "relation", "AND", "OR.")),
        ("template", "That is option 3", "That is option 4", ("reasoning", 8, "option", "3", "4.")),
        ("order", "- line colour {0, 90}, {0, 135}, {189}", "- line colour {0, 90}, {0, 135}, {0}",
         ("perception", 3, "values", "{189}", "{0}")),
        ("value", "{90, 0}, {135, 0}, {189}: no", "{90, 0}, {135}, {189}: no",
         ("perception", 4, "values", "{135, 0}", "{135}")),
    ],
)  # fmt: skip
def test_every_wording_is_compared_with_its_own_truth(wording: str, old: str, new: str, expected: Expected) -> None:
    diagnosis = paper(old, new, wording)
    assert first_error(diagnosis) == expected
    assert (diagnosis.correct, diagnosis.chain_correct) == (True, False)


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("line-type e1a:falling", "line-colour e1a:falling", ("reasoning", 1, "attribute", "line-type", "line-colour")),
        ("e1b:falling e1b:ring", "e1b:ring", ("perception", 1, "values", "e1b:falling e1b:ring", "e1b:ring")),
        ("e1b:falling e1b:ring", "e1b:falling", ("perception", 1, "values", "e1b:falling e1b:ring", "e1b:falling")),
        ("e1b:ring e1c", "e1b:ring e1b:diamond e1c",
         ("perception", 1, "values", "e1b:falling e1b:ring", "e1b:falling e1b:ring e1b:diamond")),
        ("e1c:falling AND", "e1c:falling e1c:rising AND",
         ("perception", 1, "values", "e1c:falling", "e1c:falling e1c:rising")),
        ("e2c:diamond none", "e2c:rising none", ("perception", 2, "values", "e2c:diamond", "e2c:rising")),
        ("e1b:falling e1b:ring e1c", "e1c", ("reasoning", 1, "panel", "e1b:falling", "e1c:falling")),
        ("e2c:diamond none", "none", ("reasoning", 2, "panel", "e2c:diamond", "none")),
        ("e2c:diamond none", "e2c:diamond OR", ("reasoning", 2, "pattern", "none", "OR")),
        ("e2c:diamond none\n", "e2c:diamond\n", ("reasoning", 2, "pattern", "none", "nothing")),
        ("e2c:black AND", "e2c:black XOR", ("reasoning", 3, "pattern", "AND", "XOR")),
        ("relation AND", "relation OR", ("reasoning", 4, "relation", "AND", "OR")),
        ("relation AND\n", "", ("reasoning", 4, "missing step", "relation AND", "nothing")),
        ("relation AND\n", "relation AND relation AND\n", ("reasoning", 5, "attribute", "line-type", "relation")),
        ("o2:rising o2:ring XOR ", "", ("reasoning", 5, "panel", "o2:rising", "o3:falling")),
        ("o4:grey OR", "o4:grey OR o1:black", ("reasoning", 6, "pattern", "nothing", "o1:black")),
    ],
)  # fmt: skip
def test_the_compact_chain_is_compared_piece_by_piece(old: str, new: str, expected: Expected, flat: bool) -> None:
    prediction = changed(gold(COMPACT, PUZZLE), old, new)
    diagnosis = diagnosed(COMPACT, PUZZLE, " ".join(prediction.split()) if flat else prediction)
    assert first_error(diagnosis) == expected
    assert (diagnosis.correct, diagnosis.chain_correct, diagnosis.metrics["exact_match"]) == (True, False, 1)


@pytest.mark.parametrize("style", ["paper", "compact"])
@pytest.mark.parametrize(
    ("old", "new", "expected", "found", "scores"),
    [
        ("Example 2: (line colour, AND)", "Example 2: (line type, AND)", "label", "(line type, AND)", (0, 1, 5)),
        ("Option 2: (line type, XOR)", "Option 2: (line type, OR)", "label", "(line type, OR), not consistent",
         (0, 1, 5)),
        ("Option 2: (line type, XOR), not consistent", "Option 2: (line type, XOR), consistent", "verdict",
         "consistent", (0, 0, 6)),
        ("AND), consistent", "AND), not consistent", "verdict", "not consistent", (0, 0, 6)),
        ("Option 4: (line colour, OR), not consistent\n", "", "label", "nothing", (0, 0, 5)),
        ("Option 1: (line type, OR), not consistent\n", "", "label", "nothing", (0, 0, 5)),
        ("Answer: 3", "Answer: 2", "answer", "2", (0, 0, 6)),
    ],
)  # fmt: skip
def test_the_answer_block_is_compared_after_the_chain(
    style: str, old: str, new: str, expected: str, found: str, scores: tuple[int, int, int]
) -> None:
    block, task = changed(BLOCK, old, new), PAPER
    if style == "compact":
        task, block, found = COMPACT, compacted(block), compacted(found)
    diagnosis = diagnosed(task, PUZZLE, f"{task.chain_of_thought(PUZZLE)}\n\n{block}")
    assert first_error(diagnosis)[:3] == ("reasoning", None, expected)
    assert diagnosis.observed == found
    assert (diagnosis.correct, diagnosis.chain_correct) == (expected != "answer", False)
    metrics = diagnosis.metrics
    assert (metrics["exact_match"], metrics["partial_score"]) == scores[:2]
    assert metrics["labels_correct"] == scores[2] / 6


def compacted(block: str) -> str:
    """The same in the compact style."""
    for old, new in ((": (", " "), ("(", ""), ("),", ""), (")", ""), (",", ""), ("not consistent", "inconsistent")):
        block = block.replace(old, new)
    return block.replace("line type", "line-type").replace("line colour", "line-colour")


def test_labels_count_for_the_chain_only() -> None:
    prediction = changed(gold(PAPER, PUZZLE), "Option 1: (", "Option 1: (the ")
    diagnosis = diagnosed(PAPER, PUZZLE, prediction)
    assert (diagnosis.correct, diagnosis.chain_correct) == (True, False)
    assert first_error(diagnosis) == (
        "reasoning",
        None,
        "label",
        "(line type, OR)",
        "(the line type, OR), not consistent",
    )
    for dress in ("Answer: Option 3", "Answer: (3).", "Answer:\n3"):
        assert diagnosed(PAPER, PUZZLE, changed(gold(PAPER, PUZZLE), "Answer: 3", dress)).chain_correct


def test_a_missing_or_longer_block_is_noticed() -> None:
    for task in (PAPER, COMPACT):
        bare = f"{task.chain_of_thought(PUZZLE)}\n\nAnswer: 3"
        assert first_error(diagnosed(task, PUZZLE, bare))[:3] == ("reasoning", None, "label")
        assert diagnosed(task, PUZZLE, bare).observed == "nothing"
        more = changed(gold(task, PUZZLE), "\n\nAnswer:", "\n\nOption 5\n\nAnswer:")
        assert first_error(diagnosed(task, PUZZLE, more)) == ("format", None, "surplus text", "", "Option 5")


@pytest.mark.parametrize(
    ("block", "scores"),
    [
        (BLOCK, (1, 1, 6)),
        (f"Example 1: (line colour, OR)\nno, again:\n{BLOCK}", (1, 1, 6)),  # the last block counts
        (BLOCK.replace("\n", "  \n "), (1, 1, 6)),
        (f"{BLOCK}.", (0, 1, 6)),
        (BLOCK.replace("not consistent", "inconsistent"), (0, 1, 6)),
        (BLOCK.replace(", not consistent", ""), (0, 0, 6)),
        (BLOCK.replace("consistent\n", "consistent.\n"), (0, 1, 6)),
        (BLOCK.replace("not ", ""), (0, 0, 6)),
        (BLOCK.replace("AND", "OR"), (0, 1, 3)),
        (BLOCK.replace("Option 4", "Option 3"), (0, 0, 5)),
        ("Answer: 3", (0, 0, 0)),  # the paper's partial score accepts this and anything else
        (BLOCK.replace("Answer: 3", "Answer: 1"), (0, 0, 6)),
        (BLOCK.replace("Answer: 3", "Answer: three"), (0, 0, 6)),
        ("", (0, 0, 0)),
    ],
)
def test_the_metrics_of_an_answer_block(block: str, scores: tuple[int, int, int]) -> None:
    for gold_text in (BLOCK, gold(PAPER, PUZZLE)):
        metrics = analogy_metrics(gold_text, f"Example 1 shows lines.\n{block}")
        assert (metrics["exact_match"], metrics["partial_score"]) == scores[:2]
        assert metrics["labels_correct"] == pytest.approx(scores[2] / 6)


def test_a_chain_is_compared_with_the_wording_that_it_shares_most_with() -> None:
    for wording, chain in PAPER.alternatives(PUZZLE).items():
        cut = chain[: 2 * len(chain) // 3]
        found = diagnosed(PAPER, PUZZLE, f"{cut}\n\n{BLOCK}")
        assert found.first_error_step in (len(cut.split("\n")), len(cut.split("\n")) + 1), wording
