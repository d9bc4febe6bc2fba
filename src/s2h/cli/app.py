"""The command ``s2h`` with all its subcommands."""

from __future__ import annotations

import sys

import typer

from s2h.cli import (
    check_command,
    eagle_command,
    kept_command,
    plan_command,
    provenance_commands,
    replies_command,
    schema_command,
    score_command,
    unlock_command,
    vlmevalkit_command,
    watch_command,
)
from s2h.errors import S2HError

app = typer.Typer(
    name="s2h",
    help="Do vision-language models generalise from SIMPLE to HARD visual reasoning? The workflow itself is run by "
    "snakemake; these commands stand beside it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for module in (
    check_command,
    plan_command,
    score_command,
    watch_command,
    provenance_commands,
    kept_command,
    vlmevalkit_command,
    replies_command,
    eagle_command,
    unlock_command,
    schema_command,
):
    app.add_typer(module.app)


def main() -> None:
    """Do what the command line says; what a user can mend is said in one line, with exit code 1."""
    try:
        app()
    except (S2HError, OSError) as error:
        sys.exit(f"s2h: {error}")
