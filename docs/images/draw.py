"""Draw the puzzles that the README shows: python -m docs.images.draw."""

import io
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image, ImageOps

from docs.pictures import record
from s2h.figures.style import NORMAL, look
from s2h.overlays import read_config
from s2h.puzzles.shards import PuzzleSet, draw_puzzle
from s2h.puzzles.task import Level
from s2h.puzzles.task_registry import TASKS

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs/images"
_LEVELS: tuple[Level, ...] = ("SIMPLE", "HARD")
_TASKS = ("consecutive_table_readout", "table_readout", "grid_navigation", "visual_analogy")


def draw_tasks() -> Figure:
    """The first evaluation puzzle of every task in the paper's sizes, SIMPLE above HARD."""
    config = read_config("paper", root=ROOT)
    images = [[_cropped(record(config, name, level)["image"]["bytes"]) for name in _TASKS] for level in _LEVELS]
    widths = [max(row[place].width / row[place].height for row in images) for place in range(len(_TASKS))]
    figure = Figure(figsize=(8, 2.6))
    grid = figure.subplots(len(_LEVELS), len(_TASKS), gridspec_kw={"width_ratios": widths})
    figure.subplots_adjust(left=0.03, right=0.995, bottom=0.01, top=0.92, wspace=0.05, hspace=0.06)
    for row, shown in zip(grid, images, strict=True):
        for axes, image in zip(row, shown, strict=True):
            axes.imshow(image)
            axes.set(xticks=[], yticks=[], anchor="N")
            axes.spines[:].set_visible(False)
    for axes, name in zip(grid[0], _TASKS, strict=True):
        axes.set_title(TASKS[name].title, fontsize=NORMAL)
    for axes, level in zip(grid[:, 0], _LEVELS, strict=True):
        axes.set_ylabel(level, fontsize=NORMAL)
    return figure


def _cropped(png: bytes) -> Image.Image:
    """The image at half its size, without the white around what it shows."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image = image.crop(ImageOps.invert(image).getbbox())
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)


def main() -> None:
    """Draw all tasks, and the first HARD evaluation puzzle of the default study, six times enlarged."""
    with look():
        draw_tasks().savefig(IMAGES / "tasks.png", dpi=200)
    config = read_config(root=ROOT)
    task = TASKS["consecutive_table_readout"](config.task("consecutive_table_readout"))
    puzzle, _ = draw_puzzle(task, PuzzleSet(config.seed, "HARD", "eval"), 0)
    image = Image.open(io.BytesIO(task.render(puzzle))).convert("RGB").crop((0, 0, 80, 64))
    image.resize((480, 384), Image.Resampling.NEAREST).save(IMAGES / "puzzle.png", optimize=True)
    print(task.to_text(puzzle), task.question(puzzle, "text"), task.chain_of_thought(puzzle), sep="\n\n")
    print(task.answer_block(puzzle))


if __name__ == "__main__":
    main()
