"""``s2h score``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer()
_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.command(context_settings=_PASSED_ON)
def score(
    context: typer.Context,
    model: Annotated[
        str,
        typer.Option(
            help="a model folder; a name on the Hugging Face hub; vlmeval: and a name of VLMEvalKit's; or, with "
            "--endpoint, what the server calls it"
        ),
    ],
    endpoint: Annotated[str | None, typer.Option(help="address of an OpenAI-compatible server, ending in /v1")] = None,
    api_key_env: Annotated[str, typer.Option(help="environment variable that holds the server's key")] = "",
    request: Annotated[
        str, typer.Option(help="what its requests say, e.g. '{temperature: null}' (docs/scoring.md)")
    ] = "{}",
    task: Annotated[list[str] | None, typer.Option(help="may be repeated; all tasks by default")] = None,
    level: Annotated[list[str] | None, typer.Option(help="may be repeated; all levels by default")] = None,
    modality: Annotated[list[str] | None, typer.Option(help="may be repeated; text and image by default")] = None,
    puzzles: Annotated[int, typer.Option(min=1, help="of each level")] = 100,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="where a prediction is cut off")] = 2048,
    style: Annotated[
        Literal["paper", "compact"], typer.Option(help="the paper's puzzles, or the small ones of the default study")
    ] = "paper",
    results: Annotated[Path, typer.Option(help="a folder for each model is made in it")] = Path("results/score"),
) -> None:
    """Score one model as it is, without a config: puzzles are made, asked and judged, and a table is shown.

    It is the workflow underneath: run it again to go on after an interruption, or with more --puzzles to add to those
    that are answered. Other options, such as --cores 4 or --profile slurm, are handed to Snakemake.
    """
    from s2h.one_model import folder_name, has_gpus, one_model_config, snakemake_command, source_of
    from s2h.puzzles.record import MODALITIES

    name = folder_name(model)
    values = one_model_config(
        name,
        source=source_of(model, endpoint=endpoint, api_key_env=api_key_env, request=request),
        tasks=task or [],
        levels=level or [],
        modalities=modality or MODALITIES,
        puzzles=puzzles,
        max_new_tokens=max_new_tokens,
        style=style,
        results=str(results.expanduser() / name),
        on_gpus=has_gpus(context.args),
    )
    words = snakemake_command(values, context.args)
    if code := subprocess.run([sys.executable, "-m", "snakemake", *words], check=False).returncode:
        raise typer.Exit(code)
    tables = Path(values["results"]) / "tables"
    print(f"\n{(tables / 'summary.md').read_text()}\nTables: {tables}; every reply: {values['results']}/scores")
