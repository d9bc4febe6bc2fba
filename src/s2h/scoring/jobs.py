"""What the workflow asks of scoring: decode a model's replies, and say what they are worth."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from s2h.files import whole_file
from s2h.logs import LOGGER
from s2h.models.loading import load_processor
from s2h.models.settings import EndpointSettings, PretrainedSettings, ScoringSettings, Source, VlmevalSettings
from s2h.scoring import engine
from s2h.scoring.backends import Backend, EndpointBackend, LocalBackend, PoolBackend, VllmBackend
from s2h.scoring.decoding import load_decoder
from s2h.scoring.replies import Store, decode, example_digest, model_digest, read_replies, recheck, write_replies
from s2h.scoring.sets import EvalSet, Evaluation
from s2h.scoring.tsv import read_outside


def read_sets(evaluation: Mapping[str, Any], outside: Mapping[str, Any]) -> list[EvalSet]:
    """The sets on which a run is scored: those of its tasks, then those from outside.

    Args:
        evaluation: for each task the arguments of ``Evaluation.of``.
        outside: for each name the arguments of ``read_outside``.
    """
    own = [each for name, values in evaluation.items() for each in Evaluation.of(name, **values).sets()]
    return own + [read_outside(name, **values) for name, values in outside.items()]


def make_backend(
    model: str, source: Source, settings: ScoringSettings, *, processes: int, work: Path, trained: bool
) -> Backend:
    """What answers for a model.

    Args:
        model: model folder; not used for models that are asked where they are.
        source: where the model comes from.
        settings: how to decode.
        processes: that share the work; on GPUs each has its own, and vLLM spreads the weights over as many.
        work: folder for files of VLMEvalKit's own models.
        trained: whether the folder was trained here, so that its processor knows its options.
    """
    if isinstance(source, EndpointSettings):
        return EndpointBackend(source, settings)
    if isinstance(source, VlmevalSettings):
        return engine.VlmevalBackend(source, work)
    options: dict[str, Any] = source.processor_options if isinstance(source, PretrainedSettings) and not trained else {}
    if settings.backend == "vllm":
        return VllmBackend(model, settings, processor=load_processor(model, **options), gpus=processes)
    if processes > 1:
        return PoolBackend(model, settings, processes=processes, options=options)
    return LocalBackend(load_decoder(model, settings, **options))


def decode_replies(
    model: str,
    *,
    source: Source,
    settings: ScoringSettings,
    sets: Sequence[EvalSet],
    output: str | Path,
    store: str | Path,
    processes: int,
    title: str,
    trained: bool,
) -> None:
    """Decode a model's replies to evaluation sets, each example once, and write them as Parquet.

    Args:
        model: see ``make_backend``, as are source, settings, processes and trained.
        source: where the model comes from.
        settings: how to decode.
        sets: what is asked.
        output: Parquet file of the replies; its metadata say what was found when some were decoded alone.
        store: folder in which replies are kept as they come.
        processes: that share the work.
        title: for the progress.
        trained: whether the model was trained here.
    """
    kept = Store(store, model_digest(model, source, settings))
    facts = kept.folder / "recheck.json"
    if any(example_digest(row) not in kept.replies for each in sets for row in each.rows):
        backend = make_backend(model, source, settings, processes=processes, work=kept.folder / "work", trained=trained)
        decode(sets, backend, kept, title=title)
        alone, different = recheck(sets, backend, kept, settings.recheck)
        with whole_file(facts) as temporary:
            temporary.write_text(json.dumps({"decoded_alone": str(alone), "different_alone": str(different)}))
    else:
        LOGGER.info("all replies are there already")
    write_replies(output, sets, kept, json.loads(facts.read_text()) if facts.exists() else {})


def score_model(
    replies: str | Path,
    *,
    sets: Sequence[EvalSet],
    output: str | Path,
    work_dir: str | Path,
    identity: Mapping[str, Any],
) -> None:
    """Score the replies that ``decode_replies`` wrote; see ``engine.score``."""
    found = read_replies(replies, sets)
    engine.score(sets, found, output=output, work_dir=work_dir, identity=identity)
