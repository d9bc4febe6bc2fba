"""``s2h kept``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def kept(
    keys: Annotated[
        list[str] | None, typer.Argument(help="what --drop removes, by the first digits of its key")
    ] = None,
    drop: Annotated[
        bool, typer.Option("--drop", help="remove these, or, without keys, all that are not in use")
    ] = False,
    results: Annotated[Path, typer.Option(help="folder of the results")] = Path("results"),
) -> None:
    """List the results that took long and are kept: those of earlier settings are not computed again.

    What is in use shares its disk space with the results themselves.
    """
    from s2h.provenance.kept import drop as drop_kept
    from s2h.provenance.kept import kept_jobs

    if drop:
        for record in drop_kept(results, keys or [each.record.key for each in kept_jobs(results) if not each.in_use]):
            print(f"removed {record.key[:12]}  {record.output}")
        return
    for each in kept_jobs(results):
        record, state = each.record, "in use" if each.in_use else f"{each.bytes / 1e6:,.1f} MB"
        seconds = f"{record.job['seconds']:,.0f} s"
        print(f"{record.key[:12]}  {record.job['started'][:16]}  {seconds:>10}  {state:>12}  {record.output}")
