"""The graph in docs/architecture.md is of the rules as they are."""

from __future__ import annotations

import re

import networkx as nx
import pytest

from docs.blocks import read_block
from docs.rule_graph import BLOCK, PAGE, mermaid, rule_graph
from tests.shipped import ROOT


@pytest.fixture(scope="module")
def graph() -> nx.DiGraph:
    return rule_graph()


def test_the_page_has_the_rules_and_edges_of_the_workflow(graph: nx.DiGraph) -> None:
    """Mend with: python -m docs.rule_graph."""
    assert read_block(PAGE.read_text(), BLOCK) == mermaid(graph)


def test_every_rule_that_makes_something_is_in_the_graph(graph: nx.DiGraph) -> None:
    """The others only gather, or check what is there."""
    text = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    rules = re.split(r"^(?:use rule \w+ as|rule) (\w+)(?: with)?:$", text, flags=re.MULTILINE)
    making = {
        name for name, body in zip(rules[1::2], rules[2::2], strict=True) if re.search(r"^    output:", body, re.M)
    }
    assert making == set(graph)
