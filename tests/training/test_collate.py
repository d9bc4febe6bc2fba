"""The response alone is learned; prompts are those of scoring; shifts are the example's own."""

from pathlib import Path

import pytest
import torch

from s2h.models.loading import load_processor, prompt_text
from s2h.overlays import read_config
from s2h.supervision.mixture import write_mixture
from s2h.training.collate import IGNORED, Collator
from s2h.training.data import Example, Mixture


@pytest.fixture(scope="module")
def examples(readout_shards: dict[str, list[str]], tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    path = tmp_path_factory.mktemp("mixture") / "phase-1.parquet"
    phase = read_config().recipes["mix"].phases[0]
    write_mixture(path, phase, budget=24, shards={"consecutive_table_readout": readout_shards}, key=(0, "test"))  # type: ignore[arg-type]
    mixture = Mixture.read(path)
    return [mixture[i] for i in range(len(mixture))]


def test_labels_are_the_responses_and_inputs_the_whole(examples: list[Example], tiny_model: Path) -> None:
    processor = load_processor(tiny_model)
    batch = Collator(processor, random_positions=0, seed=0, examples=24)(examples)
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
    collate = Collator(load_processor(tiny_model), random_positions=30, seed=0, examples=24)
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
