"""Prove and measure training and decoding on one GPU, in one run of a few minutes.

    python -m benchmarks.gpu --output results.json       on a machine with a GPU
    python -m benchmarks.gpu --dry-run                   every section in miniature, on a CPU
    python -m benchmarks.gpu --write-references          losses on a CPU into benchmarks/gpu/references.json
    python -m benchmarks.gpu --write results.json        the results into docs/benchmarks.md
    python -m benchmarks.gpu --pack FOLDER               packages for a machine that has torch and no network

Every section is a process of its own with its own time limit, and what it has found so far is always on the disk. On a
machine without a network, ``--packages FILE`` unpacks what ``--pack`` made: this process itself needs nothing but
Python.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.gpu.packing import pack, unpack
from benchmarks.gpu.sections import SECTIONS, run_section, run_sections


def parse() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("gpu-results.json"), help="JSON file of all results")
    parser.add_argument("--minutes", type=float, default=9, help="after which what is left is not begun or is ended")
    parser.add_argument("--sections", nargs="+", choices=[*SECTIONS], default=[*SECTIONS], metavar="NAME")
    parser.add_argument("--dry-run", action="store_true", help="everything in miniature on a CPU")
    parser.add_argument("--packages", type=Path, help="archive that --pack made")
    parser.add_argument("--pack", type=Path, metavar="FOLDER", help="make an archive of packages, and end")
    parser.add_argument("--write", type=Path, metavar="RESULTS", help="fill docs/benchmarks.md, and end")
    parser.add_argument("--write-references", action="store_true", help="write references.json, and end")
    parser.add_argument("--section", choices=[*SECTIONS], help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Do what the command line says."""
    options = parse()
    if options.pack:
        pack(options.pack)
    elif options.write:
        from benchmarks.gpu.page import write_page

        write_page(options.write)
    elif options.write_references:
        from benchmarks.gpu.training import write_references

        write_references()
    elif options.section:
        run_section(options.section, options.output, dry=options.dry_run)
    else:
        site = unpack(options.packages) if options.packages else None
        run_sections(options.sections, options.output, minutes=options.minutes, dry=options.dry_run, site=site)


if __name__ == "__main__":
    main()
