"""Where results come from, and whether they still are what their jobs wrote.

python -m s2h.provenance results/tables/summary.csv     how it was made, and from what
python -m s2h.provenance --verify                       read all results again and compare
"""

from __future__ import annotations

import argparse
import sys

from s2h.errors import S2HError
from s2h.provenance.lineage import lineage, report


def main() -> None:
    """Do what the command line says; exit code 1 where something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m s2h.provenance", description="Where results come from.")
    parser.add_argument("path", nargs="?", help="a result whose lineage is printed")
    parser.add_argument("--verify", action="store_true", help="read all results again and compare with their records")
    parser.add_argument("--results", default="results", help="the folder that the config names as results")
    arguments = parser.parse_args()
    try:
        if arguments.verify:
            print("\n".join(report(arguments.results)))
        elif arguments.path:
            print("\n".join(lineage(arguments.path, arguments.results)))
        else:
            parser.error("give a result, or --verify")
    except S2HError as error:
        sys.exit(f"s2h: {error}")


if __name__ == "__main__":
    main()
