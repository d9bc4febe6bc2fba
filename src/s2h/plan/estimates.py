"""What the endpoints of a study will cost."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

from s2h.config import Run
from s2h.errors import ConfigError
from s2h.models.sources import EndpointSource
from s2h.plan.scoring_stage import ScoringStage
from s2h.plan.stage import filled
from s2h.scoring.decode_and_score import open_store, read_sets
from s2h.scoring.estimate import Estimate
from s2h.scoring.predictions import prompts_of


def estimate_endpoints(scoring: ScoringStage) -> Iterator[str]:
    """Lines for a person: the tokens and the price of what is still to be asked, model by model.

    Args:
        scoring: of a plan whose puzzles are made.

    Raises:
        ConfigError: no run is of an endpoint.
        DataError: puzzles are missing.
    """
    config = scoring.config
    sources = {name: model.source for name, model in config.models.items()}
    endpoints = {name: source for name, source in sources.items() if isinstance(source, EndpointSource)}
    runs = [run for run in config.all_runs() if run.model in endpoints]
    if not runs:
        raise ConfigError("no run of this study is of an endpoint: name the config that has some with --configfile.")
    for name in sorted({run.model for run in runs}):
        first, *others = [_estimate(scoring, run, endpoints[name]) for run in runs if run.model == name]
        yield from sum(others, first).lines(name, endpoints[name])


def _estimate(scoring: ScoringStage, run: Run, source: EndpointSource) -> Estimate:
    job = SimpleNamespace(**{name: str(getattr(run, name)) for name in ("task", "recipe", "budget", "model", "seed")})
    sets = read_sets(scoring.asked(job), scoring.external_evals(job), scoring.conversions(job))
    settings = scoring.config.models[run.model].scoring
    kept = open_store(filled(scoring.paths.kept_predictions, run), source.name, source, settings)
    return Estimate.of(source, settings.max_new_tokens, prompts_of(sets), kept.predictions)
