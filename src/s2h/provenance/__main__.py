"""Where results come from, and whether they still are what their jobs wrote.

python -m s2h.provenance results/tables/summary.csv     how it was made, and from what
python -m s2h.provenance --verify                       read all results again and compare
"""

from __future__ import annotations

import argparse
import sys

from s2h.errors import DataError, S2HError
from s2h.provenance.lineage import lineage, verify
from s2h.provenance.records import advice


def main() -> None:
    """Do what the command line says; exit code 1 where something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m s2h.provenance", description="Where results come from.")
    parser.add_argument("path", nargs="?", help="a result whose lineage is printed")
    parser.add_argument("--verify", action="store_true", help="read all results again and compare with their records")
    parser.add_argument("--results", default="results", help="the folder that the config names as results")
    arguments = parser.parse_args()
    try:
        if arguments.verify:
            _verify(arguments.results)
        elif arguments.path:
            print("\n".join(lineage(arguments.path, arguments.results)))
        else:
            parser.error("give a result, or --verify")
    except S2HError as error:
        sys.exit(f"s2h: {error}")


def _verify(results: str) -> None:
    verdict = verify(results)
    if verdict.whole + len(verdict.gone) + len(verdict.damaged) == 0:
        raise DataError(f"there are no records below {results}: has the workflow made anything there?")
    print(f"{verdict.whole} results hold what their jobs wrote.")
    for path in verdict.gone:
        print(f"gone: {path}")
    for path, made_from in verdict.stale.items():
        print(f"older than what it was made from: {path} (from {made_from}); the next run makes it again if needed")
    for path, problem in verdict.damaged.items():
        print(f"damaged: {path}: {problem}\n{advice(path)}")
    if verdict.damaged:
        sys.exit(1)


if __name__ == "__main__":
    main()
