"""``s2h replies``: what models behind an API have said, what it has cost, and what the rest will."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from s2h.cli.study_options import Changes, ConfigFiles, More, open_plan

replies = typer.Typer(help="List, drop and reckon the kept replies of models; they cost money.", no_args_is_help=True)
app = typer.Typer()
app.add_typer(replies, name="replies")

Pattern = Annotated[str, typer.Argument(help="name of a model, or of runs: 'table_readout/*'")]
Results = Annotated[Path, typer.Option(help="the folder that the config names as results")]
Key = Annotated[str, typer.Option(help="beginning of the key that list shows")]


@replies.command("list")
def list_replies(pattern: Pattern = "*", results: Results = Path("results"), key: Key = "") -> None:
    """Print which replies are kept: of which run, by which model and settings, how many, and how they ended."""
    from s2h.scoring.kept_replies import find_kept

    for each in find_kept(results, pattern, key=key):
        print(each.line())


@replies.command("drop")
def drop_replies(
    pattern: Pattern,
    results: Results = Path("results"),
    key: Key = "",
    finish: Annotated[
        Literal["stop", "length", "content_filter", "refused"] | None, typer.Option(help="only those that ended so")
    ] = None,
    version: Annotated[str | None, typer.Option(help="only those of this version of the model")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
) -> None:
    """Remove kept replies; the workflow then asks for them again, which is paid again."""
    from s2h.scoring.kept_replies import drop, find_kept, select

    found, which = find_kept(results, pattern, key=key), select(finish, version)
    numbers = [sum(map(which, each.records)) for each in found]
    for each, number in zip(found, numbers, strict=True):
        print(f"{each.run} {each.key}: {number:,} of {len(each.records):,} replies")
    if not sum(numbers):
        print("s2h: there are no such replies.")
        return
    if not yes:
        typer.confirm(f"Drop {sum(numbers):,} replies?", abort=True)
    print(f"s2h: {sum(drop(each, which) for each in found):,} replies were dropped.")


@replies.command("estimate")
def estimate_replies(more: More = None, configfile: ConfigFiles = None, config: Changes = None) -> None:
    """Count the tokens of all prompts that a study will send to endpoints, and say what they will cost; send none.

    The puzzles must be there: snakemake puzzles, with the same --configfile and --config. Where replies are kept, they
    tell how many tokens a prompt and a reply have; without them, the numbers are rough.
    """
    from s2h.plan.estimates import estimate_endpoints

    for line in estimate_endpoints(open_plan(more, configfile, config).scoring):
        print(line)
