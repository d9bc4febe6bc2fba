"""The diagram of the workflow in docs/architecture.md: python -m docs.diagram.

Snakemake says which rule needs which; a line that a longer way implies is left out. Rules lie in layers, each below all
that it needs, in an order in which few lines cross (Sugiyama, Tagawa and Toda, 1981).
"""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, PathPatch, Rectangle
from matplotlib.path import Path as Line
from scipy.optimize import linprog

from s2h.figures.style import INK, LARGE, NORMAL, PALE, look

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs/images/dag.svg"

_TRAINED = (
    "training: {learning_rate: 1, batch_size: 1, micro_batch_size: 1, max_length: 8}, scoring: {max_new_tokens: 1}"
)
_SOURCES = {
    "hub": "kind: released_eagle, name: an/example",
    "made": "kind: pretrained, base: start, phases: [{corpus: any}]",
    "start": "kind: composed, clip: a, convnext: a, language: a",
}
_MODELS = ", ".join(f"{name}: {{source: {{{source}}}, {_TRAINED}}}" for name, source in _SOURCES.items())
_PARTS = "{a: {name: an/example}}"
_CORPUS = "{annotations: README.md, images: [docs]}"
_SET = "{url: http://an.example/set.tsv, sha256: %s, task: table_readout, level: HARD, modality: text}" % ("0" * 64)
_RUN = "{tasks: [table_readout], recipes: [mix_plus], budgets: [600], models: [tiny, hub, made], seeds: [0]}"
_NOWHERE = "results/none"
_TARGETS = ("all", "puzzles")
_EXPORT = f"{_NOWHERE}/exports/table_readout/mix_plus/600/0/phase-1"
"""A study that needs every rule, of which nothing is there."""

_COLOURS = (
    "#cfe3f5",
    "#d5ecd4",
    "#fbe3c0",
    "#f6d1d1",
    "#e3d7f0",
    "#d3eeee",
    "#f3e6b3",
    "#e6e6e6",
    "#e2d6c8",
    "#dfe8bf",
    "#f2dcea",
)
"""Of the files below rules/, in the order in which the Snakefile includes them."""
_WIDTH, _HEIGHT, _GAP, _STEP = 1.62, 0.34, 0.22, 0.68
"""Of a box, between two boxes and from layer to layer, in inches."""
_BETWEEN = 0.3
"""Between lines that pass a layer side by side, in inches."""
_STRAIGHT = 4
"""How much more a line wants to be straight for each of its ends that is a bend; those of the longest way the most."""
_SWEEPS = 24


def rule_graph() -> nx.DiGraph:
    """Which rule of the workflow needs which; ``asked`` marks those that only a request of one's own makes."""
    models, corpora = f"models={{{_MODELS}}}", f"corpora={{any: {_CORPUS}}}"
    sets = f"external_evals={{web: {_SET}}}"
    study = [f"runs=[{_RUN}]", models, f"parts={_PARTS}", corpora, sets, f"results={_NOWHERE}"]
    study.append("keep_weights=last_phase")
    command = ["snakemake", *_TARGETS, _EXPORT, "--rulegraph", "mermaid-js", "--nolock", "--config", *study]
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    names = dict(re.findall(r"^\s*(id\d+)\[(\w+)\]$", done.stdout, re.MULTILINE))
    lines = re.findall(r"^\s*(id\d+) --> (id\d+)$", done.stdout, re.MULTILINE)
    graph = nx.DiGraph()
    graph.add_nodes_from(sorted(names.values()))  # Snakemake's order differs from call to call
    graph.add_edges_from(sorted((names[a], names[b]) for a, b in lines if a != b))
    made = nx.ancestors(graph, "all")
    graph.remove_nodes_from(_TARGETS)
    for rule in graph:
        graph.nodes[rule]["asked"] = rule not in made
    return graph


def shown(graph: nx.DiGraph) -> nx.DiGraph:
    """The graph without the lines that a longer way implies."""
    reduced = nx.DiGraph()
    reduced.add_nodes_from(graph.nodes(data=True))
    reduced.add_edges_from(sorted(nx.transitive_reduction(graph).edges))
    return reduced


def rule_files() -> dict[str, str]:
    """The file below rules/ of every rule, in the order of the Snakefile."""
    files = re.findall(r'^include: "rules/(\w+)\.smk"$', (ROOT / "Snakefile").read_text(), re.MULTILINE)
    rules = {
        file: re.findall(r"^rule (\w+):", (ROOT / f"rules/{file}.smk").read_text(), re.MULTILINE) for file in files
    }
    return {rule: file for file, names in rules.items() for rule in names}


def layers(graph: nx.DiGraph) -> dict[str, int]:
    """The layer of each rule, from the top: below all that it needs; one that needs nothing lies near its use."""
    first = {rule: layer for layer, rules in enumerate(nx.topological_generations(graph)) for rule in rules}
    depth: dict[str, int] = {}
    for rule in nx.topological_sort(graph):
        use = max((first[after] for after in graph.successors(rule)), default=1) - 1
        depth[rule] = max((depth[before] + 1 for before in graph.predecessors(rule)), default=use)
    return depth


def routed(graph: nx.DiGraph, depth: dict[str, int]) -> tuple[nx.DiGraph, dict[tuple[str, str], list[str]]]:
    """The graph with a bend in each layer that a line passes, and the way of every line."""
    bent, ways = nx.DiGraph(), {}
    bent.add_nodes_from((rule, {"layer": layer}) for rule, layer in sorted(depth.items()))
    for start, end in sorted(graph.edges):
        bends = [(f"{start} {end} {layer}", layer) for layer in range(depth[start] + 1, depth[end])]
        bent.add_nodes_from((bend, {"layer": layer}) for bend, layer in bends)
        ways[start, end] = [start, *(bend for bend, _ in bends), end]
        nx.add_path(bent, ways[start, end])
    for start, end in bent.edges:
        bent.edges[start, end]["weight"] = _STRAIGHT ** sum(" " in node for node in (start, end))
    for line in itertools.pairwise(nx.dag_longest_path(graph)):
        for piece in itertools.pairwise(ways[line]):
            bent.edges[piece]["weight"] = _STRAIGHT**3
    return bent, ways


def crossings(bent: nx.DiGraph, rows: list[list[str]]) -> int:
    """How many pairs of lines cross."""
    place = {node: index for row in rows for index, node in enumerate(row)}
    found = 0
    for row in rows:
        lines = sorted((place[start], place[end]) for start in row for end in bent.successors(start))
        found += sum(lines[j][1] < lines[i][1] for i in range(len(lines)) for j in range(i + 1, len(lines)))
    return found


def ordered(bent: nx.DiGraph) -> list[list[str]]:
    """The nodes of each layer from left to right: the best order of some sweeps down and up, to neighbours' means."""
    number = 1 + max(layer for _, layer in bent.nodes(data="layer"))
    rows = [[node for node, layer in bent.nodes(data="layer") if layer == each] for each in range(number)]
    best = rows
    for sweep in range(_SWEEPS):
        near = bent.predecessors if sweep % 2 == 0 else bent.successors
        place = {node: index / len(row) for row in rows for index, node in enumerate(row)}
        swept = []
        for row in rows if sweep % 2 == 0 else reversed(rows):
            means = {node: np.mean([place[other] for other in near(node)] or [place[node]]) for node in row}
            row = sorted(row, key=lambda node: (means[node], place[node]))
            place |= {node: index / len(row) for index, node in enumerate(row)}
            swept.append(row)
        rows = swept if sweep % 2 == 0 else swept[::-1]
        best = min(best, rows, key=lambda each: crossings(bent, each))
    return best


def places(bent: nx.DiGraph, rows: list[list[str]]) -> dict[str, float]:
    """Where each node lies from left to right, in inches: lines as upright as can be, nodes of a layer apart.

    A linear program (Gansner, Koutsofios, North and Vo, 1993) whose unknowns are the nodes and the leans of the lines.
    """
    nodes, lines = list(bent), list(bent.edges(data="weight"))
    number = {node: index for index, node in enumerate(nodes)}
    rules: list[tuple[dict[int, float], float]] = []  # of each: factors of unknowns, whose sum is at most a number
    for index, (start, end, _) in enumerate(lines, start=len(nodes)):
        for side in (1.0, -1.0):
            rules.append(({number[start]: side, number[end]: -side, index: -1.0}, 0.0))
    width = {node: _WIDTH + _GAP if " " not in node else _BETWEEN for node in nodes}
    for left, right in itertools.chain.from_iterable(map(itertools.pairwise, rows)):
        rules.append(({number[left]: 1.0, number[right]: -1.0}, -(width[left] + width[right]) / 2))
    factors = np.zeros((len(rules), len(nodes) + len(lines)))
    for row, (rule, _) in zip(factors, rules, strict=True):
        row[list(rule)] = list(rule.values())
    costs = [0.0] * len(nodes) + [weight for *_, weight in lines]
    bounds = [(None, None)] * len(costs)
    solved = linprog(costs, A_ub=factors, b_ub=[most for _, most in rules], bounds=bounds)
    return dict(zip(nodes, solved.x[: len(nodes)].tolist(), strict=True))


def curve(points: list[tuple[float, float]]) -> Line:
    """A smooth line downwards through points."""
    vertices, codes = [points[0]], [Line.MOVETO]
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        middle = (y0 + y1) / 2
        vertices += [(x0, middle), (x1, middle), (x1, y1)]
        codes += [Line.CURVE4] * 3
    return Line(vertices, codes)


def draw_box(axes: Axes, rule: str, at: tuple[float, float], *, colour: str, asked: bool) -> None:
    """A rule; a dashed one is made only when it is asked for."""
    corner = (at[0] - _WIDTH / 2, at[1] - _HEIGHT / 2)
    box = FancyBboxPatch(
        corner, _WIDTH, _HEIGHT, boxstyle="round,pad=0,rounding_size=0.08", facecolor=colour, edgecolor=INK,
        linewidth=0.8, linestyle=(0, (3, 2)) if asked else "solid", zorder=3,
        gid=f"{'asked' if asked else 'rule'}-{rule}",
    )  # fmt: skip
    axes.add_patch(box)
    axes.text(*at, rule, ha="center", va="center", fontsize=LARGE, zorder=4)


def draw_line(axes: Axes, name: str, points: list[tuple[float, float]]) -> None:
    """What goes from one rule to another, with a head at its end."""
    (x, y), half = points[-1], 0.035
    axes.add_patch(
        PathPatch(curve([*points[:-1], (x, y + 0.08)]), facecolor="none", edgecolor=PALE, gid=f"line-{name}")
    )
    axes.fill([x - half, x + half, x], [y + 0.09, y + 0.09, y + 0.01], color=PALE, linewidth=0)


def ends(way: list[str], x: dict[str, float], depth: dict[str, int]) -> Iterator[tuple[float, float]]:
    """The points of a line: below its start, straight through its bends, above its end."""
    top, bottom = -depth[way[0]] * _STEP, -depth[way[-1]] * _STEP
    yield x[way[0]], top - _HEIGHT / 2
    for number, bend in enumerate(way[1:-1], start=1):
        yield x[bend], top - number * _STEP + _HEIGHT / 2
        yield x[bend], top - number * _STEP - _HEIGHT / 2
    yield x[way[-1]], bottom + _HEIGHT / 2


def draw_legend(axes: Axes, colours: dict[str, str], at: tuple[float, float]) -> None:
    """Which file of rules/ a colour stands for, from the upper left corner on."""
    for number, (file, colour) in enumerate(colours.items()):
        y = at[1] - number * 0.2
        axes.add_patch(Rectangle((at[0], y - 0.06), 0.24, 0.12, facecolor=colour, edgecolor=INK, linewidth=0.5))
        axes.text(at[0] + 0.34, y, f"rules/{file}.smk", va="center", fontsize=NORMAL)
    axes.text(at[0], at[1] - len(colours) * 0.2, "dashed: only on request", va="center", fontsize=NORMAL)


def figure(graph: nx.DiGraph) -> Figure:
    """The diagram of a graph of rules."""
    depth, files = layers(graph), rule_files()
    bent, ways = routed(graph, depth)
    x = places(bent, ordered(bent))
    left, right = (side(x.values()) for side in (min, max))
    bottom = -max(depth.values()) * _STEP
    size = (right - left + _WIDTH + 0.2, -bottom + _HEIGHT + 0.2)
    drawn = Figure(figsize=size)
    axes = drawn.add_axes((0, 0, 1, 1))
    axes.set_xlim(left - _WIDTH / 2 - 0.1, right + _WIDTH / 2 + 0.1)
    axes.set_ylim(bottom - _HEIGHT / 2 - 0.1, _HEIGHT / 2 + 0.1)
    axes.axis("off")
    used = dict.fromkeys(file for rule, file in files.items() if rule in graph)
    colours = dict(zip(used, _COLOURS, strict=False))
    lowest = [x[rule] for rule, layer in depth.items() if -layer * _STEP < bottom + 0.2 * len(colours) + _STEP]
    free = left - _WIDTH / 2 if min(lowest) - left > right - max(lowest) else right - _WIDTH / 2
    draw_legend(axes, colours, (free, bottom + 0.2 * len(colours)))
    for (start, end), way in ways.items():
        draw_line(axes, f"{start}-{end}", list(ends(way, x, depth)))
    for rule, asked in graph.nodes(data="asked"):
        at = (x[rule], -depth[rule] * _STEP)
        draw_box(axes, rule, at, colour=colours[files[rule]], asked=asked)
    return drawn


def main() -> None:
    """Draw the rules as they are now."""
    with look():
        figure(shown(rule_graph())).savefig(PICTURE, metadata={"Date": None})


if __name__ == "__main__":
    main()
