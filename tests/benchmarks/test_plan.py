"""What a plan costs is measured, in memory and processor time."""

from pathlib import Path

from benchmarks.plan import YARDSTICK, measure


def test_a_small_workflow_is_planned_done_and_has_nothing_left_to_do(tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text(YARDSTICK.format(pairs=2))
    jobs, plan, done = measure(tmp_path, "--cores", "1")
    assert jobs == 5
    for cost in (plan, done):
        assert cost.cpu_seconds > 0
        assert 20 < cost.memory_mb < 2000
