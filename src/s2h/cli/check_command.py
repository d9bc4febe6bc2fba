"""``s2h check``."""

from __future__ import annotations

import sys

import typer

from s2h.cli.study_options import Changes, ConfigFiles, More, open_overlays

app = typer.Typer()


@app.command()
def check(more: More = None, configfile: ConfigFiles = None, config: Changes = None) -> None:
    """Check config files, laid over the default in their order: every mistake and what is odd; nothing is planned.

    Files are named as they are, or by the names of shipped configs: s2h check paper my.yaml.
    """
    from s2h.config import config_warnings, load_config
    from s2h.errors import ConfigError

    try:
        overlays = open_overlays(more, configfile, config)
        study = load_config(overlays.values, overlays)
    except ConfigError as error:
        sys.exit(str(error))
    for line in config_warnings(study, overlays):
        print(f"warning: {line}", file=sys.stderr)
    print(f"The config is sound: {len(study.all_runs())} runs.")
