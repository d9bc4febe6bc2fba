"""How fast puzzles are made at the paper's sizes, and how large they are: ``python -m benchmarks.puzzles``.

A whole example counts: drawn, solved, described, reasoned about, painted, encoded and written as Parquet. Every set
runs in a process of its own, so that its memory is its own. The yardsticks are the same puzzles' images alone, drawn
in the usual ways in the same run; only the ratios to them mean something on another machine.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from s2h.overlays import read_values
from s2h.puzzles.shards import PuzzleSet, draw_puzzle, write_shard
from s2h.puzzles.task_registry import TASKS, make_task

ROOT = Path(__file__).parents[1]
_WARM_UP = 100  # examples made before the clock starts: fonts are loaded and sprites drawn once a process


def settings(task: str) -> dict[str, Any]:
    """The task's settings in the paper's sizes."""
    values: dict[str, Any] = read_values("paper", root=ROOT)["tasks"][task]
    return values


def make(task: str, level: Any, examples: int) -> dict[str, float]:
    """Make one shard and measure it: examples per second of CPU time, bytes an example, and MB of memory."""
    kind, which = make_task(task, settings(task)), PuzzleSet(0, level, "train")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shard.parquet"
        write_shard(path, kind, which, (examples, examples + _WARM_UP), progress=lambda done: None)
        cpu, wall = time.process_time(), time.perf_counter()
        write_shard(path, kind, which, (0, examples), progress=lambda done: None)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        size = path.stat().st_size
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"rate": examples / cpu, "wall_rate": examples / wall, "bytes": size / examples, "memory": memory}


def in_processes(task: str, level: str, examples: int, processes: int) -> list[dict[str, float]]:
    """The same in fresh processes at once."""
    command = [sys.executable, "-m", "benchmarks.puzzles", "--make", task, level, "--examples", str(examples)]
    running = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    return [json.loads(process.communicate()[0].splitlines()[-1]) for process in running]


def drawing_rates(task: str, level: Any) -> dict[str, float]:
    """Images per second of CPU time with each yardstick, and what their files weigh."""
    from benchmarks.yardsticks import MatplotlibPen, PillowPen, draw_with

    kind = make_task(task, settings(task))
    puzzles = [draw_puzzle(kind, PuzzleSet(0, level, "train"), index)[0] for index in range(22)]
    draws: dict[str, tuple[Callable[[Any], bytes], int]] = {
        "matplotlib": (lambda puzzle: draw_with(MatplotlibPen, task, puzzle), 6),
        "Pillow": (lambda puzzle: draw_with(PillowPen, task, puzzle), 20),
    }
    rates = {}
    for name, (draw, number) in draws.items():
        for puzzle in puzzles[-2:]:
            draw(puzzle)
        start = time.process_time()
        for puzzle in puzzles[:number]:
            draw(puzzle)
        rates[name] = number / (time.process_time() - start)
    return rates


def table(examples: int) -> None:
    """Print a line for every task and level of the paper's preset."""
    print("Whole examples at the paper's image sizes, one core; images alone for the yardsticks.\n")
    print(
        "| task | level | examples/s | KB/example | memory MB | matplotlib images/s | ratio | Pillow images/s | ratio |"
    )
    print("| --- | --- | --: | --: | --: | --: | --: | --: | --: |")
    from benchmarks.yardsticks import SCENES

    for task in sorted(SCENES):
        for level in make_task(task, settings(task)).settings.levels:
            (made,) = in_processes(task, level, examples, 1)
            drawn = drawing_rates(task, level)
            yardsticks = [f"{rate:.1f} | {made['rate'] / rate:.1f}" for rate in drawn.values()]
            cells = [f"{made['rate']:.0f}", f"{made['bytes'] / 1000:.1f}", f"{made['memory']:.0f}", *yardsticks]
            print(f"| {TASKS[task].title} | {level} | {' | '.join(cells)} |", flush=True)


def scaling(examples: int) -> None:
    """Print how two processes at once compare with one."""
    (one,) = in_processes("table_readout", "HARD", examples, 1)
    two = in_processes("table_readout", "HARD", examples, 2)
    together = sum(made["wall_rate"] for made in two)
    print(f"\nTable Readout HARD, two processes at once: {together / one['wall_rate']:.2f} times the examples of one.")


def main() -> None:
    """Print the table, or measure one set for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=1000, help="examples of each set")
    parser.add_argument("--make", nargs=2, metavar=("TASK", "LEVEL"), help="measure one set and print JSON")
    arguments = parser.parse_args()
    if arguments.make:
        task, level = arguments.make
        print(json.dumps(make(task, level, arguments.examples)))
        return
    table(arguments.examples)
    scaling(arguments.examples)


if __name__ == "__main__":
    main()
