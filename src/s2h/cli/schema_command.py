"""``s2h schema``."""

from __future__ import annotations

import json

import typer

app = typer.Typer()


@app.command()
def schema() -> None:
    """Print the JSON schema of the config, as config/schema.json holds it."""
    from s2h.config import config_type

    print(json.dumps(config_type().model_json_schema(), indent=2))
