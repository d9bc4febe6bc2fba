"""Released Eagle-X2 checkpoints for this project, and models of this project for the released code.

python -m s2h.models.eagle convert SOURCE TARGET     a released checkpoint, as a model folder of ours
python -m s2h.models.eagle release SOURCE TARGET     a model folder of ours, under the released names
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from s2h.errors import S2HError
from s2h.models.eagle.conversion import LARGEST_FILE, convert, release


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line says, and print what became of the keys; exit code 1 where it cannot be done."""
    parser = argparse.ArgumentParser(
        prog="python -m s2h.models.eagle", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("direction", choices=["convert", "release"], help="to our names, or to the released ones")
    parser.add_argument("source", type=Path, help="folder with config.json, safetensors files and tokenizer.json")
    parser.add_argument("target", type=Path, help="folder to write; it must not be there")
    parser.add_argument("--largest", type=float, default=LARGEST_FILE / 1e9, help="GB of a weight file (%(default)s)")
    told = parser.parse_args(arguments)
    if told.largest <= 0:
        parser.error("--largest must be more than 0")
    change = convert if told.direction == "convert" else release
    try:
        print("\n".join(change(told.source, told.target, largest=int(told.largest * 1e9)).lines()))
    except (S2HError, OSError) as problem:
        sys.exit(f"s2h: {problem}")


if __name__ == "__main__":
    main()
