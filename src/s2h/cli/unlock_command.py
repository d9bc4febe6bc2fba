"""``s2h unlock``."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

app = typer.Typer()


@app.command()
def unlock() -> None:
    """Remove the lock that a killed workflow left in this folder, unless processes of this machine still work here."""
    from s2h.workflow_lock import release

    if release(Path.cwd()):
        print("s2h: an earlier run was killed; going on from where it was.", file=sys.stderr)
