"""The graph of all rules in docs/architecture.md, which the code host draws: python -m docs.rule_graph.

Snakemake says which rule needs which, of a study that needs every rule; edges that a longer path implies are left out.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import networkx as nx

from docs.blocks import fill_block

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/architecture.md"
BLOCK = "rule-graph"

_TRAINED = (
    "training: {learning_rate: 1, batch_size: 1, micro_batch_size: 1, max_length: 8}, scoring: {max_new_tokens: 1}"
)
_SOURCES = {
    "hub": "kind: released_eagle, name: an/example",
    "made": "kind: pretrained, base: start, phases: [{corpus: any}, {scenes: 600}]",
    "start": "kind: composed, clip: a, convnext: a, language: a",
}
_MODELS = ", ".join(f"{name}: {{source: {{{source}}}, {_TRAINED}}}" for name, source in _SOURCES.items())
_SET = "{url: http://an.example/set.tsv, sha256: %s, task: table_readout, level: HARD, modality: text}" % ("0" * 64)
_NOWHERE = "results/none"
_STUDY = [
    "runs=[{tasks: [table_readout], recipes: [mix_plus], budgets: [600], models: [tiny, hub, made], seeds: [0]}]",
    f"models={{{_MODELS}}}",
    "parts={a: {name: an/example}}",
    "corpora={any: {annotations: README.md, images: [docs]}}",
    f"external_evals={{web: {_SET}}}",
    "keep_weights=last_phase",
    f"results={_NOWHERE}",
]
"""A study that needs every rule, of which nothing is there."""
_TARGETS = ("all", "puzzles")
_EXPORT = f"{_NOWHERE}/exports/table_readout/mix_plus/600/0/phase-1"


def rule_graph() -> nx.DiGraph:
    """Which rule of the workflow needs which; ``on_request`` marks those that the target ``all`` does not need."""
    command = ["snakemake", *_TARGETS, _EXPORT, "--rulegraph", "mermaid-js", "--nolock", "--config", *_STUDY]
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    names = dict(re.findall(r"^\s*(id\d+)\[(\w+)\]$", done.stdout, re.MULTILINE))
    edges = re.findall(r"^\s*(id\d+) --> (id\d+)$", done.stdout, re.MULTILINE)
    graph = nx.DiGraph((names[start], names[end]) for start, end in edges if start != end)
    made = nx.ancestors(graph, "all")
    graph.remove_nodes_from(_TARGETS)
    for rule in graph:
        graph.nodes[rule]["on_request"] = rule not in made
    return graph


def mermaid(graph: nx.DiGraph) -> str:
    """The graph as a Mermaid block."""
    lines = ["flowchart TB"]
    lines += [f"    {start} --> {end}" for start, end in sorted(nx.transitive_reduction(graph).edges)]
    asked = sorted(rule for rule, on_request in graph.nodes(data="on_request") if on_request)
    lines += ["    classDef on_request stroke-dasharray: 4 3", f"    class {','.join(asked)} on_request"]
    return "\n".join(["```mermaid", *lines, "```"])


def main() -> None:
    """Write the graph of the rules as they are now."""
    PAGE.write_text(fill_block(PAGE.read_text(), BLOCK, mermaid(rule_graph())))


if __name__ == "__main__":
    main()
