"""The tables of what was found, by name. A new table is one module and one line here.

``reads`` is what a table reads beside the scores: the fields models, shards, baselines, alignments and
prices of ``Study``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from s2h.analysis.published import PUBLISHED
from s2h.reading_registry import ReadingRegistry

if TYPE_CHECKING:
    from s2h.analysis.study import Table

TABLES: ReadingRegistry[Table] = ReadingRegistry("table")
TABLES.add("summary", "s2h.analysis.summary:SUMMARY", reads=["baselines"])
TABLES.add("accuracy", "s2h.analysis.accuracy:ACCURACY", reads=["baselines"], data=[PUBLISHED])
TABLES.add("gaps", "s2h.analysis.gaps:GAPS")
TABLES.add("seeds", "s2h.analysis.seeds:SEEDS", reads=["baselines"])
TABLES.add("comparisons", "s2h.analysis.comparisons:COMPARISONS", reads=["baselines"])
TABLES.add("failures", "s2h.analysis.failures:FAILURES")
TABLES.add("error_steps", "s2h.analysis.error_steps:ERROR_STEPS")
TABLES.add("exchange", "s2h.analysis.exchange:EXCHANGE", reads=["shards"])
TABLES.add("conversion", "s2h.analysis.conversion:CONVERSION")
TABLES.add("difficulty", "s2h.analysis.difficulty:DIFFICULTY", reads=["shards", "baselines"])
TABLES.add("baselines", "s2h.analysis.baselines:BASELINES_TABLE", reads=["baselines"])
TABLES.add("metrics", "s2h.analysis.paper_metrics:METRICS_TABLE")
TABLES.add("costs", "s2h.analysis.costs:COSTS", reads=["models", "prices"])
TABLES.add("learning", "s2h.analysis.learning:LEARNING", reads=["models"])
TABLES.add("alignment", "s2h.analysis.alignment:ALIGNMENT", reads=["alignments"])
