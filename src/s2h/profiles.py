"""Which profile a Snakemake command asks for, read from its words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
