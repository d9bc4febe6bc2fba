"""The diagram of the workflow is of the rules as they are."""

from __future__ import annotations

import itertools
import re

import networkx as nx
import pytest

from docs.diagram import PICTURE, crossings, layers, ordered, places, routed, rule_files, rule_graph, shown
from tests.shipped import ROOT


@pytest.fixture(scope="module")
def graph() -> nx.DiGraph:
    return rule_graph()


def test_the_picture_has_the_rules_and_lines_of_the_workflow(graph: nx.DiGraph) -> None:
    """Mend with: python -m docs.diagram."""
    drawn = set(re.findall(r'id="((?:rule|asked|line)-[\w-]+)"', PICTURE.read_text()))
    rules = {f"{'asked' if asked else 'rule'}-{rule}" for rule, asked in graph.nodes(data="asked")}
    assert drawn == rules | {f"line-{start}-{end}" for start, end in shown(graph).edges}


def test_every_rule_that_makes_something_is_in_the_graph(graph: nx.DiGraph) -> None:
    """The others only gather, or check what is there."""
    text = "".join((ROOT / f"rules/{file}.smk").read_text() for file in set(rule_files().values()))
    rules = re.split(r"^rule (\w+):$", text, flags=re.MULTILINE)
    making = {
        name for name, body in zip(rules[1::2], rules[2::2], strict=True) if re.search(r"^    output:", body, re.M)
    }
    assert making == set(graph)


def test_what_the_workflow_makes_unasked_is_told_from_the_rest(graph: nx.DiGraph) -> None:
    asked = {rule for rule, asked in graph.nodes(data="asked") if asked}
    assert asked == {"write_dataset_card", "draw_gallery", "export_evaluation", "export_mixture"}


def test_few_lines_cross_and_none_a_box(graph: nx.DiGraph) -> None:
    reduced = shown(graph)
    depth = layers(reduced)
    assert all(depth[start] < depth[end] for start, end in reduced.edges)
    bent, _ = routed(reduced, depth)
    rows = ordered(bent)
    # Some must: scores and alignment both go to make_table and remove_weights, all that is trained to
    # make_recipe_table.
    assert crossings(bent, rows) <= 8
    x = places(bent, rows)
    assert all(x[a] < x[b] for row in rows for a, b in itertools.pairwise(row))
