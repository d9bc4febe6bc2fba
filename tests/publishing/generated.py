"""Scores of made-up runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from s2h.scoring.score_record import SCHEMA

TASK = "consecutive_table_readout"


FORCED = {"conversion": "forced", "prediction": "Converted to text:", "correct": True, "chain_correct": True}
"""What differs where the conversion is forced."""


def score_file(path: Path, puzzles: list[dict[str, Any]], recipe: str, right: int) -> str:
    """Scores of a run that answers so many of the images rightly, and everything else; all where it must convert."""
    rows = []
    for modality in ("text", "image"):
        for number, puzzle in enumerate(puzzles):
            correct = modality == "text" or number < right
            rows.append(
                {
                    **{name: puzzle[name] for name in ("puzzle_id", "task", "level")},
                    **{"set_name": "x", "external": False, "conversion": "free"},
                    **{"trained_on": TASK, "recipe": recipe, "budget": 100},
                    **{"model": "tiny", "seed": 0, "modality": modality, "question": puzzle["image_question"]},
                    **{"prediction": "<script>alert(1)</script>", "gold": puzzle["answer"], "answer": "7"},
                    **{"parsed": True, "correct": correct, "chain_correct": correct, "seconds": 0.1, "tokens": 3},
                    **{"error": None if correct else "perception", "first_error_step": None if correct else 1},
                }
            )
    rows += [row | FORCED for row in rows if row["modality"] == "image"]
    pl.DataFrame([dict.fromkeys(SCHEMA) | row for row in rows], schema=SCHEMA).write_parquet(path)
    return str(path)
