"""``s2h watch``."""

from __future__ import annotations

from typing import Annotated

import typer

from s2h.cli.study_options import Changes, ConfigFiles, More, open_plan

app = typer.Typer()


@app.command()
def watch(
    more: More = None,
    configfile: ConfigFiles = None,
    config: Changes = None,
    seconds: Annotated[float, typer.Option(min=1, help="between two looks")] = 30,
    once: Annotated[bool, typer.Option("--once", help="look once, and do not wait for what is to come")] = False,
) -> None:
    """Show the runs of a study that are scored by now, while it runs: tables, figures and a page.

    It writes results/live/index.html again whenever a run has been scored, and ends when all are. It only reads what
    the workflow has finished: run it in a second terminal, with the same --configfile and --config.
    """
    from s2h.plan.live_study import live_study
    from s2h.publishing.live import watch

    study = live_study(open_plan(more, configfile, config).report)
    watch(study, seconds=seconds, say=lambda line: print(f"s2h: {line}", flush=True), until_done=not once)
