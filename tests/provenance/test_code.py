"""Digests see what a stage imports, and nothing else."""

from s2h.provenance.code import code_digest, imported_modules
from s2h.puzzles.task_registry import TASKS


def test_a_task_depends_on_its_own_module_alone() -> None:
    for name in TASKS:
        found = imported_modules("s2h.puzzles.shards", TASKS.module(name))
        others = {TASKS.module(other) for other in TASKS if other != name}
        assert not found & others
        assert {"s2h.puzzles.task", "s2h.puzzles.drawing.canvas", "s2h.seeding"} <= found


def test_digests_differ_between_tasks_and_stay() -> None:
    digests = {name: code_digest("s2h.puzzles.shards", TASKS.module(name)) for name in TASKS}
    assert len(set(digests.values())) == len(digests)
    assert digests["visual_analogy"] == code_digest(TASKS.module("visual_analogy"), "s2h.puzzles.shards")
