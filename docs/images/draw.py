"""Draw the puzzles that the documentation shows: python docs/images/draw.py."""

import io
from pathlib import Path

from PIL import Image

from s2h.overlays import read_config
from s2h.puzzles.shards import PuzzleSet, draw_puzzle
from s2h.puzzles.task_registry import TASKS

ROOT = Path(__file__).parents[2]


def main() -> None:
    """The first HARD evaluation puzzle of the default study, six times enlarged."""
    config = read_config(root=ROOT)
    task = TASKS["consecutive_table_readout"](config.task("consecutive_table_readout"))
    puzzle, _ = draw_puzzle(task, PuzzleSet(config.seed, "HARD", "eval"), 0)
    image = Image.open(io.BytesIO(task.render(puzzle))).convert("RGB").crop((0, 0, 80, 64))
    image.resize((480, 384), Image.Resampling.NEAREST).save(ROOT / "docs/images/puzzle.png", optimize=True)
    print(task.to_text(puzzle), task.question(puzzle, "text"), task.chain_of_thought(puzzle), sep="\n\n")
    print(task.answer_block(puzzle))


if __name__ == "__main__":
    main()
