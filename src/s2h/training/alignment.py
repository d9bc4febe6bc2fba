"""Gradient alignment: how far a training step on one kind of example lowers the loss on another, to first order.

The target is HARD puzzles as images, on which no recipe trains. docs/metrics.md has the formulas and what they cost.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import Tensor, nn

from s2h.devices import local_device
from s2h.files import atomic_file
from s2h.logs import LOGGER, Progress
from s2h.models.loading import fastest_attention, load_model
from s2h.models.parts import freeze
from s2h.models.settings import TrainingSettings
from s2h.phases import ModelPart, Phase
from s2h.puzzles.task import Level
from s2h.supervision.examples import Mixture
from s2h.supervision.formats import Format
from s2h.supervision.mixture import assemble, read_puzzle_sets
from s2h.tokenisation.encoding import ExampleEncoder
from s2h.training.collate import Collator, with_targets
from s2h.training.losses import ForwardPass, count_exact_responses, summed_loss
from s2h.training.snapshots import Snapshot, read_snapshots

Kind = tuple[Level, Format]
"""A level, and how its puzzles are given and answered."""

TARGET: Kind = ("HARD", "image")
SOURCES: tuple[Kind, ...] = (
    ("SIMPLE", "text"),
    ("SIMPLE", "image"),
    ("SIMPLE", "image_via_text"),
    ("HARD", "text"),
)
"""Sources of a gradient: all kinds of examples in the paper's recipes."""

SCHEMA = {
    "task": pl.String,  # as are all that follow up to seed: the names of the run
    "trained_on": pl.String,
    "recipe": pl.String,
    "budget": pl.Int64,
    "model": pl.String,
    "seed": pl.Int64,
    "phase": pl.Int64,  # from 1
    "step": pl.Int64,  # optimizer steps that the model has behind it
    "steps": pl.Int64,  # of the phase
    "puzzles": pl.Int64,  # examples of each kind
    "source_level": pl.String,
    "source_format": pl.String,
    "target_level": pl.String,
    "target_format": pl.String,
    "source_loss": pl.Float64,  # nats a target token
    "target_loss": pl.Float64,
    "target_exact": pl.Float64,  # share of the target responses that are the most likely ones word for word
    "inner_product": pl.Float64,
    "cosine": pl.Float64,
    "preconditioned": pl.Float64,  # null where the optimizer's moments were not kept, as is the next
    "preconditioned_cosine": pl.Float64,
}

_EPSILON = 1e-8  # of AdamW, as torch has it

Gradient = Mapping[str, Tensor]
"""A gradient by parameter, on the CPU."""


@dataclasses.dataclass(frozen=True, slots=True)
class Alignment:
    """The effect of a step along one gradient on another loss; null where moments or a gradient are missing.

    Attributes:
        inner_product: decrease of the target's loss for a step of plain gradient descent, per unit of learning rate.
        cosine: between the two gradients, -1 to 1; null where one of them is zero.
        preconditioned: the same decrease for a step of AdamW.
        preconditioned_cosine: between AdamW's step and the target's gradient.
    """

    inner_product: float
    cosine: float | None
    preconditioned: float | None
    preconditioned_cosine: float | None


def align(source: Gradient, target: Gradient, moments: Gradient | None = None, beta2: float = 0.999) -> Alignment:
    """How a step on the source lowers the target's loss.

    AdamW's step is that of its second moments after they have seen the source's gradient too, without momentum:
    ``g / (sqrt(beta2 * v + (1 - beta2) * g^2) + 1e-8)``. Weight decay is left out, as it is no matter of the examples.

    Args:
        source: gradient of the source's loss, by parameter.
        target: gradient of the target's loss, of the same parameters.
        moments: second moments without their bias; None leaves AdamW's numbers out.
        beta2: how slowly they change.
    """
    steps = None if moments is None else {name: _adam_step(g, moments[name], beta2) for name, g in source.items()}
    plain = _product(source, target)
    adam = None if steps is None else _product(steps, target)
    return Alignment(
        inner_product=plain,
        cosine=_cosine(plain, source, target),
        preconditioned=adam,
        preconditioned_cosine=None if steps is None or adam is None else _cosine(adam, steps, target),
    )


def _adam_step(gradient: Tensor, moment: Tensor, beta2: float) -> Tensor:
    return gradient / ((beta2 * moment.float() + (1 - beta2) * gradient.square()).sqrt() + _EPSILON)


def _product(one: Gradient, other: Gradient) -> float:
    return math.fsum(float(torch.dot(one[name].flatten().double(), other[name].flatten().double())) for name in one)


def _cosine(product: float, one: Gradient, other: Gradient) -> float | None:
    norms = math.sqrt(_product(one, one) * _product(other, other))
    return product / norms if norms else None


@dataclasses.dataclass(frozen=True, slots=True)
class Probe:
    """A model on the examples of one kind.

    Attributes:
        loss: mean over the target tokens of all examples, nats.
        exact: share of the responses that are the most likely ones word for word.
        gradient: of that loss, for the parameters that learn; ``float32``.
    """

    loss: float
    exact: float
    gradient: Gradient


def probe(
    model: nn.Module, forward_pass: ForwardPass, batches: Sequence[dict[str, Tensor]], *, autocast: bool = False
) -> Probe:
    """Loss and gradient over examples.

    Args:
        model: in float32.
        forward_pass: of the model.
        batches: what ``collate.with_targets`` gives.
        autocast: compute in bf16 where a GPU would in training.
    """
    device = next(model.parameters()).device
    targets = sum(len(batch["targets"]) for batch in batches)
    loss, exact = 0.0, 0
    model.zero_grad(set_to_none=True)
    for batch in batches:
        with torch.autocast(device.type, torch.bfloat16) if autocast else nullcontext():
            logits = forward_pass.logits(model, batch, device)
        share = summed_loss(logits, batch["targets"].to(device)) / targets
        share.backward()  # type: ignore[no-untyped-call]
        loss += float(share.detach())
        exact += count_exact_responses(logits, batch)
    gradient = {
        name: parameter.grad.detach().float().cpu() if parameter.grad is not None else torch.zeros(parameter.shape)
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }
    model.zero_grad(set_to_none=True)
    return Probe(loss, exact / sum(len(batch["input_ids"]) for batch in batches), gradient)


@dataclasses.dataclass(frozen=True, slots=True)
class AlignmentSpec:
    """The settings of an alignment measurement: its examples and its model.

    Attributes:
        model: folder of a trained phase.
        shards: evaluation shards by task and level; SIMPLE and HARD are read.
        puzzles: of each kind, shared evenly between the tasks: the first ones of each set.
        settings: of the training.
        frozen: parts of the model that did not learn.
    """

    model: str
    shards: Mapping[str, Mapping[Level, Sequence[str]]]
    puzzles: int
    settings: TrainingSettings
    frozen: Sequence[ModelPart]


def measure_alignment(spec: AlignmentSpec, title: str) -> pl.DataFrame:
    """A row for each snapshot, in order, and each of ``SOURCES``: the columns of ``SCHEMA`` from step on."""
    collator = Collator(ExampleEncoder.of_model(spec.model))
    examples = _examples(spec.shards, spec.puzzles)
    batches = {kind: list(_batches(mixture, collator, spec.settings)) for kind, mixture in examples.items()}
    snapshots = read_snapshots(spec.model)
    progress = Progress(title, len(snapshots))
    rows: list[dict[str, Any]] = []
    for done, snapshot in enumerate(snapshots, 1):
        rows += _measure(snapshot, batches, spec)
        progress(done)
    LOGGER.info("measured %d snapshots on %d examples of each kind", len(snapshots), len(examples[TARGET]))
    return pl.DataFrame(rows, schema={name: SCHEMA[name] for name in rows[0]})


def _measure(
    snapshot: Snapshot, batches: Mapping[Kind, Sequence[dict[str, Tensor]]], spec: AlignmentSpec
) -> Iterator[dict[str, Any]]:
    device = local_device()
    model = load_model(snapshot.folder, dtype=torch.float32, attention=fastest_attention(device.type)).to(device)
    moments = snapshot.second_moments() if snapshot.updates else None
    if moments is None:
        freeze(model, spec.frozen)
    else:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in moments)
    if spec.settings.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    model.train()  # no dropout in the models that are trained here, and checkpointing asks for it
    forward_pass = ForwardPass(model)
    autocast = spec.settings.precision != "fp32" and device.type == "cuda"
    target = probe(model, forward_pass, batches[TARGET], autocast=autocast)
    for kind in SOURCES:
        source = probe(model, forward_pass, batches[kind], autocast=autocast)
        alignment = align(source.gradient, target.gradient, moments, snapshot.beta2)
        yield {
            "step": snapshot.step,
            "steps": snapshot.steps,
            "puzzles": sum(len(batch["input_ids"]) for batch in batches[TARGET]),
            **dict(zip(("source_level", "source_format"), kind, strict=True)),
            **dict(zip(("target_level", "target_format"), TARGET, strict=True)),
            "source_loss": source.loss,
            "target_loss": target.loss,
            "target_exact": target.exact,
            **dataclasses.asdict(alignment),
        }


def _examples(shards: Mapping[str, Mapping[Level, Sequence[str]]], puzzles: int) -> dict[Kind, Mixture]:
    """Examples of every kind, made of the same puzzles of a level."""
    levels: tuple[Level, ...] = ("SIMPLE", "HARD")
    read = read_puzzle_sets({task: {level: sets[level] for level in levels} for task, sets in sorted(shards.items())})
    most = min(frame.height for frame in read.values()) * len(shards)
    mixtures = {}
    for level, form in (TARGET, *SOURCES):
        phase = Phase.model_validate({"parts": [{"level": level, "format": form, "share": 1}]})
        chosen = {key: frame for key, frame in read.items() if key[1] == level}
        examples = assemble(phase, budget=min(puzzles, most), puzzles=chosen, key=(0, "alignment"))
        mixtures[level, form] = Mixture(examples)
    return mixtures


def _batches(mixture: Mixture, collator: Collator, settings: TrainingSettings) -> Iterator[dict[str, Tensor]]:
    size = settings.micro_batch_size or max((settings.micro_batch_tokens or 0) // settings.max_length, 1)
    for start in range(0, len(mixture), size):
        yield with_targets(collator([mixture[place] for place in range(start, min(start + size, len(mixture)))]))


def write_alignment(path: str | Path, spec: AlignmentSpec, *, run: Mapping[str, Any], phase: int) -> None:
    """Measure and write a Parquet file with the columns of ``SCHEMA``.

    Args:
        path: where to.
        spec: what is measured.
        run: task, recipe, budget, model and seed.
        phase: of the recipe, from 1.
    """
    names = {**run, "trained_on": run["task"], "phase": phase}
    title = f"align {run['recipe']} on {run['task']}, phase {phase}"
    measured = measure_alignment(spec, title)
    frame = measured.with_columns(pl.lit(value).alias(name) for name, value in names.items())
    with atomic_file(path) as temporary:
        frame.select(pl.col(name).cast(kind) for name, kind in SCHEMA.items()).write_parquet(temporary)
