"""Eagle-X2 from released weights or from its parts, and back to the released names.

python -m s2h.models.eagle convert SOURCE TARGET     a released checkpoint, as a model folder of ours
python -m s2h.models.eagle release SOURCE TARGET     a model folder of ours, under the released names
python -m s2h.models.eagle assemble CLIP CONVNEXT LANGUAGE TARGET [--seed N]
                                                     the parts as they are published, and a random projector
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from s2h.errors import S2HError
from s2h.models.eagle.assembly import assemble
from s2h.models.eagle.conversion import LARGEST_FILE, KeyReport, convert, release


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line says, and print what became of the keys; exit code 1 where it cannot be done."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.largest <= 0:
        parser.error("--largest must be more than 0")
    try:
        print("\n".join(_done(options).lines()))
    except (S2HError, OSError) as problem:
        sys.exit(f"s2h: {problem}")


def _done(options: argparse.Namespace) -> KeyReport:
    largest = int(options.largest * 1e9)
    if options.direction == "assemble":
        return assemble(
            options.clip, options.convnext, options.language, options.target, seed=options.seed, largest=largest
        )
    change = convert if options.direction == "convert" else release
    return change(options.source, options.target, largest=largest)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m s2h.models.eagle", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    directions = parser.add_subparsers(dest="direction", required=True)
    for name, words in (("convert", "to our names"), ("release", "to the released names")):
        direction = directions.add_parser(name, help=words)
        direction.add_argument("source", type=Path, help="folder with config.json, safetensors files, tokenizer.json")
        _add_target(direction)
    parts = directions.add_parser("assemble", help="from the parts")
    parts.add_argument("clip", type=Path, help="folder of openai/clip-vit-large-patch14-336")
    parts.add_argument("convnext", type=Path, help="folder of timm/convnext_xxlarge.clip_laion2b_soup_ft_in1k")
    parts.add_argument("language", type=Path, help="folder of meta-llama/Meta-Llama-3-8B-Instruct")
    parts.add_argument("--seed", type=int, default=0, help="of the projector's weights (%(default)s)")
    _add_target(parts)
    return parser


def _add_target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", type=Path, help="folder to write; it must not be there")
    parser.add_argument("--largest", type=float, default=LARGEST_FILE / 1e9, help="GB of a weight file (%(default)s)")


if __name__ == "__main__":
    main()
