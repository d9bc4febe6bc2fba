"""Files of external evaluation sets, fetched once, so that no job needs a network."""

from __future__ import annotations

from http.client import HTTPException
from pathlib import Path

from s2h.errors import DataError
from s2h.fetching import fetch_file


def fetch_external_eval(url: str, sha256: str, path: Path) -> None:
    """Fetch the file of a set; an interrupted download resumes.

    Raises:
        DataError: it cannot be had from here, and the message says how else to bring it; or another file lies there.
    """
    try:
        fetch_file(url, sha256, path)
    except (OSError, HTTPException) as error:
        raise DataError(
            f"{url} cannot be fetched: {getattr(error, 'reason', None) or error}\n"
            "Where there is a network, fetch all sets of the config:\n"
            "  snakemake external_evals\n"
            f"or bring the file yourself, to {path} (sha256 {sha256})."
        ) from error
