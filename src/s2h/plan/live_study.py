"""The study of a plan, as ``s2h watch`` shows it."""

from __future__ import annotations

from s2h.config import Run
from s2h.plan.report_stage import ReportStage
from s2h.plan.stage import filled
from s2h.publishing.live import LiveStudy, RunFiles


def live_study(report: ReportStage) -> LiveStudy:
    """All runs of a plan, with the files that they leave and the names that the page uses."""
    return LiveStudy(
        results=report.config.results,
        runs={run.name: _files(run, report) for run in report.runs},
        tables=report.overview_tables,
        figures=report.overview_figures,
        shards=report.shards(),
        task_settings={task: report.task_settings(task) for task in report.tasks()},
        baselines=report.baselines(),
        prices=report.prices(),
        config=report.shown_config(),
        recipe_titles=report.recipe_titles(),
        task_titles=report.task_titles(),
    )


def _files(run: Run, report: ReportStage) -> RunFiles:
    return RunFiles(
        tasks=report.config.members(run.task),
        scores=filled(report.paths.scores, run),
        models=report.training.models_of(run),
        alignments=report.alignment.files_of(run),
    )
