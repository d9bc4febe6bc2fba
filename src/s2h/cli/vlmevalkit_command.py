"""``s2h vlmevalkit``."""

from __future__ import annotations

import typer

app = typer.Typer()
_AS_THEY_ARE = {
    "ignore_unknown_options": True,
    "allow_extra_args": True,
    "allow_interspersed_args": False,
    "help_option_names": [],
}
"""No argument is Typer's: VLMEvalKit has options of its own, and lists behind some of them."""


@app.command(context_settings=_AS_THEY_ARE)
def vlmevalkit(context: typer.Context) -> None:
    """Run VLMEvalKit's own command line on our evaluation sets and models; --help says with which options."""
    from s2h.scoring.command_line import main

    raise typer.Exit(main(context.args))
