"""Loss and gradients are those of the plain way: one example at a time, all logits, no blank picture, no tricks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from s2h.models.loading import load_model, load_processor
from s2h.models.parts import part_of
from s2h.supervision.examples import Example
from s2h.supervision.formats import WORDS
from s2h.tokenisation.encoding import ExampleEncoder
from s2h.training import losses
from s2h.training.collate import IGNORED, Collator, with_targets
from s2h.training.losses import ForwardPass, count_exact_responses, dummy_image, summed_loss
from tests.models import eagle, internvl, qwen

CPU = torch.device("cpu")
BUILDERS: dict[str, Callable[..., Any]] = {"qwen": qwen.build, "internvl": internvl.build}
BATCHES = {"text": [0, 0, 0], "image": [1, 1], "mixed": [0, 1, 0, 1]}


@pytest.fixture(scope="module", params=["llava", "qwen", "internvl", "eagle"])
def folder(request: Any, tiny_model: Path, readout: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param == "llava":
        return tiny_model
    made = tmp_path_factory.mktemp(request.param)
    if request.param == "eagle":
        eagle.build(made, readout.vocabulary() | WORDS)
    else:
        BUILDERS[request.param](made, readout.vocabulary() | WORDS)
    return made


def examples(shows: Sequence[int]) -> list[Example]:
    """Examples of different lengths, with and without a picture of noise."""
    made = []
    for place, shown in enumerate(shows):
        noise = torch.randint(0, 256, (96, 96, 3), generator=torch.Generator().manual_seed(place), dtype=torch.uint8)
        image = Image.fromarray(noise.numpy()) if shown else None
        response = " ".join(["7 5 Answer: 7", "3", "5 5 5"][: place % 3 + 1])
        made.append(Example(place, "image" if shown else "text", "from " * (place + 1), response, image))
    return made


def gradients(model: Any) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def plain(model: Any, collator: Collator, chosen: Sequence[Example]) -> tuple[float, dict[str, Tensor]]:
    """One example at a time, with its attention mask and all of its logits."""
    model.zero_grad()
    total = 0.0
    for example in chosen:
        batch = collator([example])
        labels = batch.pop("labels")
        logits = model(**batch, use_cache=False).logits
        loss = functional.cross_entropy(
            logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED, reduction="sum"
        )
        loss.backward()
        total += float(loss.detach())
    return total, gradients(model)


@pytest.mark.parametrize("kind", BATCHES)
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_loss_and_gradients_are_those_of_the_plain_way(folder: Path, kind: str, attention: str) -> None:
    model = load_model(folder, dtype=torch.float32, attention=attention).train()
    processor, chosen = load_processor(folder), examples(BATCHES[kind])
    encoder = ExampleEncoder(processor)
    loss, expected = plain(model, Collator(encoder), chosen)
    forward_pass = ForwardPass(model, dummy_image(processor))
    batch = with_targets(Collator(encoder, masks=False)(chosen))
    assert "attention_mask" not in batch
    model.zero_grad()
    found = forward_pass.loss(model, batch, CPU)
    found.backward()
    assert float(found.detach()) == pytest.approx(loss, rel=1e-5)
    own = gradients(model)
    assert expected.keys() <= own.keys()
    whole = float(torch.cat([gradient.flatten() for gradient in expected.values()]).norm())
    for name, gradient in own.items():
        wanted = expected.get(name, torch.zeros_like(gradient))
        assert float((gradient - wanted).norm()) <= 1e-4 * float(wanted.norm()) + 1e-6 * whole, name


def test_all_batches_give_gradients_to_the_same_parameters_in_the_same_order(folder: Path) -> None:
    """What ZeRO-2 adds up as it comes, and what ZeRO-3 waits for."""
    model = load_model(folder, dtype=torch.float32, attention="eager").train()
    processor = load_processor(folder)
    forward_pass = ForwardPass(model, dummy_image(processor))
    orders: list[list[str]] = []
    for name, parameter in model.named_parameters():
        parameter.register_post_accumulate_grad_hook(lambda _, name=name: orders[-1].append(name))
    for shows in BATCHES.values():
        orders.append([])
        batch = with_targets(Collator(ExampleEncoder(processor), masks=False)(examples(shows)))
        forward_pass.loss(model, batch, CPU).backward()
    assert orders[0] == orders[1] == orders[2]
    assert {part_of(name) for name in orders[0]} == {"vision", "projector", "language"}


def test_the_output_layer_sees_learned_rows_alone_and_scoring_is_left_as_it_is(tiny_model: Path) -> None:
    model, processor = load_model(tiny_model, dtype=torch.float32, attention="eager"), load_processor(tiny_model)
    collated = Collator(ExampleEncoder(processor))(examples([0, 1, 0, 1]))
    before = model(**{name: value for name, value in collated.items() if name != "labels"}).logits
    forward_pass, batch = ForwardPass(model, dummy_image(processor)), with_targets(collated)
    logits = forward_pass.logits(model, batch, CPU)
    assert len(logits) == len(batch["targets"]) == int((collated["labels"] != IGNORED).sum())
    torch.testing.assert_close(logits, before.flatten(0, 1)[batch["rows"]])
    after = model(**{name: value for name, value in collated.items() if name != "labels"}).logits
    assert after.equal(before)


def test_a_batch_without_targets_has_a_loss_of_zero_and_gradients_of_zero(tiny_model: Path) -> None:
    model, processor = load_model(tiny_model, dtype=torch.float32, attention="eager"), load_processor(tiny_model)
    collated = Collator(ExampleEncoder(processor))(examples([1]))
    collated["labels"][:] = IGNORED
    loss = ForwardPass(model).loss(model, with_targets(collated), CPU)
    loss.backward()
    assert float(loss.detach()) == 0
    assert all(not gradient.any() for gradient in gradients(model).values())


@pytest.mark.parametrize("rows", [1, 7, 8, 30])
def test_a_loss_in_pieces_is_the_loss(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.randn(rows, 11, requires_grad=True, generator=torch.Generator().manual_seed(0))
    targets = torch.arange(rows) % 11
    expected = functional.cross_entropy(logits, targets, reduction="sum")
    (gradient,) = torch.autograd.grad(expected, logits)
    monkeypatch.setattr(losses, "_LOGITS_AT_ONCE", 8 * 11)
    found = summed_loss(logits, targets)
    found.backward()
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(logits.grad, gradient)


def test_whole_responses_are_counted() -> None:
    labels = torch.tensor([[IGNORED, 1, 2], [IGNORED, IGNORED, 0]])
    batch = with_targets({"input_ids": torch.zeros(2, 3), "labels": labels})
    right = functional.one_hot(torch.tensor([1, 2, 0]), 3).float()
    assert count_exact_responses(right, batch) == 2
    assert count_exact_responses(right.roll(1, dims=1), batch) == 0
    half = functional.one_hot(torch.tensor([1, 1, 0]), 3).float()
    assert count_exact_responses(half, batch) == 1
