"""The tables of what was found, by name. A new table is one module and one line here."""

from s2h.analysis.study import Table
from s2h.registry import Registry

TABLES: Registry[Table] = Registry("table")
TABLES.add("summary", "s2h.analysis.summary:SUMMARY")
TABLES.add("accuracy", "s2h.analysis.accuracy:ACCURACY")
TABLES.add("gaps", "s2h.analysis.gaps:GAPS")
TABLES.add("seeds", "s2h.analysis.seeds:SEEDS")
TABLES.add("comparisons", "s2h.analysis.comparisons:COMPARISONS")
TABLES.add("failures", "s2h.analysis.failures:FAILURES")
TABLES.add("error_steps", "s2h.analysis.error_steps:ERROR_STEPS")
TABLES.add("exchange", "s2h.analysis.exchange:EXCHANGE")
TABLES.add("conversion", "s2h.analysis.conversion:CONVERSION")
TABLES.add("difficulty", "s2h.analysis.difficulty:DIFFICULTY")
TABLES.add("baselines", "s2h.analysis.baselines:BASELINES_TABLE")
TABLES.add("metrics", "s2h.analysis.paper_metrics:METRICS_TABLE")
TABLES.add("costs", "s2h.analysis.costs:COSTS")
TABLES.add("learning", "s2h.analysis.learning:LEARNING")
TABLES.add("alignment", "s2h.analysis.alignment:ALIGNMENT")
