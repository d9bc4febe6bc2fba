"""The scoring jobs of the workflow: decode a model's predictions, and score them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from s2h.diagnosis.answers import Answers
from s2h.files import atomic_file
from s2h.logs import LOGGER
from s2h.models.settings import ScoringSettings
from s2h.models.sources import EndpointSource, HuggingFaceSource, RemoteSource, Source, VlmevalSource
from s2h.scoring import vlmevalkit
from s2h.scoring.backends import Backend, LocalBackend, PoolBackend, vllm_backend
from s2h.scoring.decoding import load_decoder
from s2h.scoring.endpoints import EndpointBackend
from s2h.scoring.predictions import (
    Store,
    decode,
    model_digest,
    prompts_of,
    read_predictions,
    recheck,
    report_endings,
    write_predictions,
)
from s2h.scoring.sets import EvalSet, Evaluation
from s2h.scoring.spending import Spending
from s2h.scoring.tsv import read_external
from s2h.supervision.conversion import Conversion


def read_sets(
    evaluation: Mapping[str, Any],
    external: Mapping[str, Any],
    conversions: Sequence[Conversion],
    *,
    answers: Answers = "tolerant",
) -> list[EvalSet]:
    """The sets on which a run is scored: those of its tasks, those from outside, the tasks' images once more.

    Args:
        evaluation: for each task the arguments of ``Evaluation.of``.
        external: for each name the arguments of ``read_external``.
        conversions: with which the tasks' images are given once more each.
        answers: how those of predictions are read.
    """
    own = [each for name, values in evaluation.items() for each in Evaluation.of(name, **values).sets()]
    outside = [read_external(name, **values) for name, values in external.items()]
    images = [each for each in own if each.modality == "image"]
    sets = own + outside + [each.under(conversion) for conversion in conversions for each in images]
    return [each.strictly() for each in sets] if answers == "strict" else sets


@contextmanager
def open_backend(
    model: str,
    source: Source,
    settings: ScoringSettings,
    *,
    processes: int,
    work: Path,
    trained: bool,
    log: Path,
    spending: Path | None = None,
    allowed_failures: int = 0,
) -> Iterator[Backend]:
    """The backend of a model, open as long as the block runs.

    Args:
        model: model folder; not used for models that are asked where they are.
        source: where the model comes from.
        settings: how to decode.
        processes: that share the work; on GPUs each has its own, and vLLM has as many GPUs.
        work: folder for files of VLMEvalKit's own models.
        trained: whether the folder was trained here, so that its processor knows its options.
        log: log file of the job; vLLM's own is beside it, with ``.vllm`` added.
        spending: file to which the cost of every request to an endpoint is added.
        allowed_failures: prompts that a model elsewhere may leave without a reply.
    """
    options: dict[str, Any] = source.processor_options if isinstance(source, HuggingFaceSource) and not trained else {}
    if isinstance(source, EndpointSource):
        spent = Spending(spending, source.price, source.spending_limit)
        yield EndpointBackend(source, settings, spending=spent, allowed_failures=allowed_failures)
    elif isinstance(source, VlmevalSource):
        yield vlmevalkit.VlmevalBackend(source, work, allowed_failures=allowed_failures)
    elif settings.backend == "vllm":
        own = log.with_name(f"{log.name}.vllm")
        with vllm_backend(model, settings, gpus=processes, options=options, log=own) as backend:
            yield backend
    elif processes > 1:
        yield PoolBackend(model, settings, processes=processes, options=options)
    else:
        yield LocalBackend(load_decoder(model, settings, **options))


def decode_predictions(
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
    log: str | Path,
    spending: str | Path | None = None,
) -> None:
    """Decode a model's predictions for evaluation sets, each example once, and write them as Parquet.

    Args:
        model: see ``open_backend``, as are source, settings, processes, trained and log.
        source: where the model comes from.
        settings: how to decode.
        sets: what is asked.
        output: Parquet file of the predictions; its metadata say what was found when some were decoded alone,
            and which vLLM it was.
        store: folder in which predictions are kept as they come.
        processes: that share the work.
        title: for the progress.
        trained: whether the model was trained here.
        log: log file of the job.
        spending: see ``open_backend``.
    """
    kept = open_store(store, model, source, settings)
    recheck_file, prompts = kept.folder / "recheck.json", prompts_of(sets)
    if not prompts.keys() <= kept.predictions.keys():
        with open_backend(
            model,
            source,
            settings,
            processes=processes,
            work=kept.folder / "work",
            trained=trained,
            log=Path(log),
            spending=Path(spending) if spending else None,
            allowed_failures=_allowed_failures(source, kept, prompts),
        ) as backend:
            decode(sets, backend, kept, title=title)
            rechecked, different = recheck(sets, backend, kept, settings.recheck)
        with atomic_file(recheck_file) as temporary:
            metadata = {"rechecked": str(rechecked), "recheck_mismatches": str(different), **backend.metadata}
            temporary.write_text(json.dumps(metadata))
    else:
        LOGGER.info("all predictions already exist")
    report_endings([kept.predictions[example] for example in prompts])
    write_predictions(output, sets, kept, json.loads(recheck_file.read_text()) if recheck_file.exists() else {})


def open_store(folder: str | Path, model: str, source: Source, settings: ScoringSettings) -> Store:
    """The predictions of a model that are kept; the arguments are those of ``decode_predictions``."""
    longest = None if source.has_weights else settings.max_new_tokens
    about = {"model": model} if source.has_weights else source.deciding
    return Store(folder, model_digest(model, source, settings), longest=longest, about=about)


def _allowed_failures(source: Source, kept: Store, prompts: Iterable[str]) -> int:
    """How many of the prompts that are still to be sent may get no reply; refused ones that are kept count too."""
    if not isinstance(source, RemoteSource):
        return 0
    examples = list(prompts)
    before = sum(kept.predictions[each].error is not None for each in examples if each in kept.predictions)
    return int(source.max_failed_share * len(examples)) - before


def score_model(
    predictions: str | Path,
    *,
    sets: Sequence[EvalSet],
    output: str | Path,
    work_dir: str | Path,
    identity: Mapping[str, Any],
) -> None:
    """Score the predictions that ``decode_predictions`` wrote; see ``vlmevalkit.score``."""
    found = read_predictions(predictions, sets)
    vlmevalkit.score(sets, found, output=output, work_dir=work_dir, identity=identity)
