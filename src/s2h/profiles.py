"""What a Snakemake command asks for, read from its words before Snakemake itself reads any file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from s2h.config_files import read_changes, read_config_file
from s2h.errors import ConfigError

_HERE = ("local", "dryrun")


def asks_for_another(words: Sequence[str]) -> bool:
    """Whether a command names a profile, or an executor that does not run jobs here.

    The profile ``profiles/default`` then steps back, as its keys would beat those of the other one.

    Args:
        words: of the command line, e.g. ``["snakemake", "--profile", "slurm"]``.
    """
    return any(True for _ in _values(words, "--profile", "--prof")) or any(
        value not in _HERE for value in _values(words, "--executor", "--exec", "-e")
    )


def _values(words: Sequence[str], option: str, *prefixes: str) -> Iterator[str]:
    """The values of an option, as ``--option value`` or ``--option=value``; argparse takes abbreviations as well."""
    for place, word in enumerate(words):
        name, equals, value = word.partition("=")
        if (option.startswith(name) and name.startswith(prefixes)) or name in prefixes:
            yield value if equals else "".join(words[place + 1 : place + 2])


def refuse_broken_configs(words: Sequence[str]) -> bool:
    """End the program where a file of ``--configfile`` or a value of ``--config`` cannot be read, with its place.

    Snakemake's own message names neither file nor line, and takes the last of two equal keys without a word.

    Args:
        words: of the command line.

    Returns:
        True, so that a profile may ask for it in a condition.
    """
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--configfile", "--configfiles", nargs="+", default=[])
    parser.add_argument("--config", "-C", nargs="*", default=[])
    given, _ = parser.parse_known_args(words[1:])
    if problems := [*_broken(given.configfile, given.config)]:
        sys.exit("\n".join(problems))
    return True


def _broken(files: Sequence[str], changes: Sequence[str]) -> Iterator[str]:
    for path in files:
        try:
            if read_config_file(path).is_empty:
                yield f"{path} is empty, which Snakemake refuses: write {{}} into it, or omit it."
        except ConfigError as error:
            missing = not Path(path).exists()
            yield f"{error}{' Targets stand before --configfile, which takes every word behind it.' if missing else ''}"
    try:
        read_changes(changes)
    except ConfigError as error:
        yield str(error)
