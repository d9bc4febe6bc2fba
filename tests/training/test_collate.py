"""Labels are the responses alone; padding changes nothing; shifts are the example's own."""

from pathlib import Path

import pytest
import torch

from s2h.models.loading import load_model, load_processor
from s2h.overlays import read_config
from s2h.supervision.examples import Example, Mixture
from s2h.supervision.mixture import write_mixture
from s2h.tokenisation.chat_template import prompt_text
from s2h.tokenisation.encoding import ExampleEncoder
from s2h.training.collate import IGNORED, Collator, RandomPositions


@pytest.fixture(scope="module")
def examples(readout_shards: dict[str, list[str]], tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    path = tmp_path_factory.mktemp("mixture") / "phase-1.parquet"
    phase = read_config().recipes["mix"].phases[0]
    write_mixture(path, phase, budget=24, shards={"consecutive_table_readout": readout_shards}, key=(0, "test"))  # type: ignore[arg-type]
    mixture = Mixture.read(path)
    return [mixture[i] for i in range(len(mixture))]


def test_labels_are_the_responses_and_inputs_the_whole(examples: list[Example], tiny_model: Path) -> None:
    processor = load_processor(tiny_model)
    batch = Collator(ExampleEncoder(processor))(examples)
    assert "position_ids" not in batch
    assert batch["pixel_values"].shape == (sum(e.image is not None for e in examples), 3, 96, 96)
    for row, example in enumerate(examples):
        labels = batch["labels"][row]
        learned = labels[labels != IGNORED]
        assert processor.tokenizer.decode(learned) == " ".join(example.response.split()) + " <end>"
        inputs = batch["input_ids"][row][batch["attention_mask"][row].bool()]
        prompt = prompt_text(processor, example.prompt, with_image=example.image is not None)
        images = [example.image] if example.image is not None else None
        expected = processor(text=[prompt], images=images, return_tensors="pt")["input_ids"][0]
        assert inputs[: len(expected)].equal(expected)
        assert inputs[len(expected) :].equal(learned)
        assert (inputs == processor.tokenizer.unk_token_id).sum() == 0


def test_a_shift_depends_on_the_example_and_the_seed_alone(examples: list[Example], tiny_model: Path) -> None:
    random_positions = RandomPositions(most=30, examples=24, seed=0)
    collate = Collator(ExampleEncoder(load_processor(tiny_model)), random_positions=random_positions)
    batch = collate(examples)
    shifts = set()
    for row, example in enumerate(examples):
        start = int((batch["labels"][row] != IGNORED).nonzero()[0])
        positions = batch["position_ids"][row]
        shift = int(positions[start]) - start
        shifts.add(shift)
        late = max(2 * example.position - 24, 0) if example.format == "image" else 0
        assert 0 <= shift <= 30 * late // 24
        assert positions[:start].equal(torch.arange(start))
        assert (positions[start:].diff() == 1).all()
        alone = collate([example])["position_ids"][0]
        assert int(alone[start]) - start == shift
    assert len(shifts) > 2


@pytest.mark.parametrize("max_length", [None, 60, 25])
def test_padding_is_on_the_right_and_out_of_mask_and_loss(
    tiny_model: Path, conversations: Path, max_length: int | None
) -> None:
    mixture = Mixture.read(conversations)
    encoder = ExampleEncoder(load_processor(tiny_model), max_length=max_length)
    examples = [mixture[place] for place in range(12)]
    batch, encoded = Collator(encoder)(examples), encoder(examples).examples
    length = max(len(each.ids) for each in encoded)
    assert {batch[name].shape for name in ("input_ids", "attention_mask", "labels")} == {(12, length)}
    for row, each in enumerate(encoded):
        end = len(each.ids)
        assert batch["input_ids"][row, :end].tolist() == each.ids
        assert batch["attention_mask"][row].tolist() == [1] * end + [0] * (length - end)
        expected = [token if kept else IGNORED for token, kept in zip(each.ids, each.loss_mask, strict=True)]
        assert batch["labels"][row].tolist() == expected + [IGNORED] * (length - end)


def test_images_of_many_sizes_and_text_mix_in_one_forward_pass(tiny_model: Path, conversations: Path) -> None:
    model = load_model(tiny_model, dtype=torch.float32, attention="sdpa")
    collator, mixture = Collator(ExampleEncoder(load_processor(tiny_model))), Mixture.read(conversations)
    examples = [mixture[place] for place in range(6)]
    assert len({example.image is None for example in examples}) == 2
    together = collator(examples)
    together.pop("labels")
    logits = model(**together).logits
    for row, example in enumerate(examples):
        alone = collator([example])
        length = alone.pop("labels").shape[1]
        torch.testing.assert_close(logits[row, :length], model(**alone).logits[0], atol=1e-4, rtol=1e-4)
