"""``s2h lineage`` and ``s2h verify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()
Results = Annotated[Path, typer.Option(help="the folder that the config names as results")]


@app.command()
def lineage(
    path: Annotated[Path, typer.Argument(help="a result, e.g. results/tables/summary.csv")],
    results: Results = Path("results"),
) -> None:
    """Print how a result was made, and from what."""
    from s2h.provenance.lineage import lineage

    print("\n".join(lineage(path, results)))


@app.command()
def verify(results: Results = Path("results")) -> None:
    """Read all results again and compare them with their records."""
    from s2h.provenance.lineage import report

    print("\n".join(report(results)))
