"""The memory of a micro-batch measured without values is that of real tensors."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from s2h.models.loading import load_model, load_processor, weightless_model
from s2h.models.parts import freeze
from s2h.puzzles.consecutive_table_readout import ConsecutiveTableReadout
from s2h.supervision.examples import Mixture
from s2h.supervision.formats import WORDS
from s2h.tokenisation.encoding import ExampleEncoder
from s2h.training.collate import Collator, with_targets
from s2h.training.losses import ForwardPass
from s2h.training.memory.activations import Live, Peak, measure_peak
from tests.models import qwen
from tests.training.test_trainer import write

CPU = torch.device("cpu")


def loss(model: Any, batch: dict[str, Tensor]) -> Tensor:
    return ForwardPass(model).loss(model, batch, CPU)


def ready(model: Any, *, checkpointing: bool) -> Any:
    model.train()
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return model


def really(model: Any, batch: dict[str, Tensor]) -> int:
    """Bytes of the activations of a real model."""
    live = Live()
    live.add([*model.parameters(), *model.buffers(), batch])
    inputs = sum(value.nbytes for value in batch.values())
    before = live.now - inputs
    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(lambda p: setattr(p, "grad", None))
    with live:
        loss(model, batch).backward()
    return live.most - before


@pytest.fixture(scope="module")
def models(tiny_model: Path, readout: ConsecutiveTableReadout, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The embedded model and a small Qwen2.5-VL."""
    folder = tmp_path_factory.mktemp("qwen")
    qwen.build(folder, readout.vocabulary() | WORDS)
    return [tiny_model, folder]


@pytest.fixture(scope="module")
def mixture(readout_shards: dict[str, list[str]], tmp_path_factory: pytest.TempPathFactory) -> Mixture:
    return Mixture.read(write(tmp_path_factory.mktemp("mixture") / "phase-1.parquet", readout_shards))


def batch_of(folder: Path, mixture: Mixture, positions: Iterable[int]) -> dict[str, Tensor]:
    collator = Collator(ExampleEncoder(load_processor(folder)))
    return with_targets(collator([mixture[position] for position in positions]))


def peak(folder: Path, batch: dict[str, Tensor], *, checkpointing: bool = False, attention: str = "sdpa") -> Peak:
    model = weightless_model(folder, dtype=torch.float32, attn_implementation=attention)
    return measure_peak(ready(model, checkpointing=checkpointing), batch, loss)


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("which", [0, 1])
def test_it_is_that_of_real_tensors(which: int, checkpointing: bool, models: list[Path], mixture: Mixture) -> None:
    batch = batch_of(models[which], mixture, range(8))
    found = peak(models[which], batch, checkpointing=checkpointing)
    model = load_model(models[which], dtype=torch.float32, attention="sdpa")
    assert found.gradients == 4 * sum(parameter.numel() for parameter in model.parameters())
    assert found.activations == pytest.approx(
        really(ready(model, checkpointing=checkpointing), batch), rel=0.02, abs=50_000
    )


def test_what_is_frozen_has_no_gradient(models: list[Path], mixture: Mixture) -> None:
    model = weightless_model(models[0], dtype=torch.float32, attn_implementation="sdpa")
    counts = freeze(model, ("vision", "projector"))
    batch = batch_of(models[0], mixture, range(8))
    found = measure_peak(ready(model, checkpointing=False), batch, loss)
    assert found.gradients == 4 * counts["language"][1]
    assert found.activations < peak(models[0], batch).activations


def test_plain_attention_keeps_its_matrices(models: list[Path], mixture: Mixture) -> None:
    batch = batch_of(models[0], mixture, range(8))
    assert peak(models[0], batch, attention="eager").activations > peak(models[0], batch).activations


class Stack(nn.Module):
    """Linear layers one after the other."""

    def __init__(self, layers: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(nn.Linear(width, width, bias=False) for _ in range(layers)))

    def tie_weights(self) -> None:
        """There is none to tie."""


@pytest.mark.parametrize(("layers", "width", "rows"), [(3, 512, 4096), (6, 4096, 256), (4, 65536, 1024)])
def test_linear_layers_keep_their_inputs(layers: int, width: int, rows: int) -> None:
    """The inputs of all layers, the gradient of the last one's input, and that of its weights. The last has 32 GB."""
    with torch.device("meta"):
        model = Stack(layers, width).to(torch.bfloat16)
    batch = {"x": torch.zeros(rows, width, dtype=torch.bfloat16)}
    found = measure_peak(model, batch, lambda model, batch: model.layers(batch["x"]).sum())
    weights = 2 * layers * width**2
    assert (found.weights, found.gradients) == (weights, weights)
    assert found.activations == pytest.approx(2 * ((layers + 1) * rows * width + width**2), abs=4096)
