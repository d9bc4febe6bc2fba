"""Conversations of several turns: every response is learned and nothing else; cut, mixed with images, of many sizes."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from s2h.corpora.corpus_mixture import write_mixture
from s2h.corpora.corpus_shards import write_shard
from s2h.corpora.index import make_index
from s2h.errors import ModelError, TrainingError
from s2h.models.loading import load_model, load_processor, user_turn
from s2h.models.settings import TrainingSettings
from s2h.supervision.formats import WORDS
from s2h.training.collate import IGNORED, Collator
from s2h.training.data import Example, Mixture
from s2h.training.inspection import inspect, measure
from s2h.training.turns import Turns
from tests.corpora.generated import Made, make_corpus
from tests.models import qwen
from tests.training.test_trainer import SETTINGS, manifest, measured, trained_in


@pytest.fixture(scope="module")
def made(readout: Any, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_corpus(tmp_path_factory.mktemp("corpus"), "zip", words=sorted(readout.vocabulary()))


@pytest.fixture(scope="module")
def mixture_file(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two epochs of a corpus in three shards."""
    folder = tmp_path_factory.mktemp("mixture")
    make_index(str(made.annotations), made.images, folder / "index", folder / "pack")
    shards = [folder / f"shard-{shard}.parquet" for shard in range(3)]
    for number, shard in enumerate(shards):
        write_shard(
            shard, index=folder / "index", pack=folder / "pack", shard=number, shards=3, progress=lambda done: None
        )
    write_mixture(folder / "stage-1.parquet", "mine", [str(shard) for shard in shards], epochs=2, seed=0)
    return folder / "stage-1.parquet"


@pytest.fixture(scope="module", params=["tiny", "qwen"])
def model_folder(
    request: pytest.FixtureRequest, readout: Any, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    if request.param == "tiny":
        return tiny_model
    folder = tmp_path_factory.mktemp("qwen")
    qwen.build(folder, readout.vocabulary() | WORDS)
    return folder


def collator_of(folder: Path, max_length: int | None = None) -> Collator:
    return Collator(load_processor(folder), random_positions=0, seed=0, examples=1, max_length=max_length)


def test_an_epoch_holds_every_good_entry_once_in_an_order_of_its_own(made: Made, mixture_file: Path) -> None:
    mixture = Mixture.read(mixture_file)
    names, number = mixture.frame["puzzle_id"].to_list(), len(made.kept)
    assert sorted(names[:number]) == sorted(names[number:]) == sorted(made.kept)
    assert names[:number] not in (names[number:], made.kept)
    for place in range(0, len(mixture), 7):
        example, name = mixture[place], names[place]
        assert [example.prompt, example.response, *example.more] == made.turns[name]
        assert (example.image is not None) == (name in made.files)


def test_the_input_is_the_templates_conversation_and_the_labels_are_its_responses(
    model_folder: Path, mixture_file: Path
) -> None:
    collator, mixture = collator_of(model_folder), Mixture.read(mixture_file)
    processor = collator.processor
    examples = [mixture[place] for place in range(40)]
    assert {len(example.more) for example in examples} >= {0, 2, 4}
    batch = collator(examples)
    assert len(batch["pixel_values"]) > 0
    for row, example in enumerate(examples):
        turns = user_turn(example.prompt, with_image=example.image is not None)
        for place, text in enumerate((example.response, *example.more)):
            role = ("assistant", "user")[place % 2]
            turns.append({"role": role, "content": [{"type": "text", "text": text}]})
        text = processor.apply_chat_template(turns, tokenize=False)
        images = [example.image] if example.image else None
        expected = processor(text=[text], images=images, return_tensors="pt")["input_ids"][0]
        found = batch["input_ids"][row][batch["attention_mask"][row].bool()]
        assert found.equal(expected[: len(found)])
        assert len(expected) - len(found) <= 1  # what a template writes behind the last end-of-turn token
        labels = batch["labels"][row]
        learned = processor.tokenizer.decode(labels[labels != IGNORED]).split()
        end = processor.tokenizer.eos_token
        assert learned == [word for response in example.responses for word in [*response.split(), end]]


@pytest.mark.parametrize("max_length", [None, 200, 60, 40, 25])
def test_lengths_are_those_of_the_batches_cut_or_not(
    model_folder: Path, mixture_file: Path, max_length: int | None
) -> None:
    collator, mixture = collator_of(model_folder, max_length), Mixture.read(mixture_file)
    lengths = measure(mixture, collator)
    assert max_length is None or lengths.tokens.max() <= max_length
    for place in range(0, len(mixture), 3):
        if lengths.targets[place]:
            batch = collator([mixture[place]])
            assert lengths.tokens[place] == batch["input_ids"].shape[1] == batch["attention_mask"].sum()
            assert lengths.targets[place] == (batch["labels"] != IGNORED).sum()


def test_a_cut_example_is_the_beginning_of_the_whole(model_folder: Path, mixture_file: Path) -> None:
    mixture = Mixture.read(mixture_file)
    example = max((mixture[place] for place in range(len(mixture))), key=lambda each: len(each.more))
    whole = collator_of(model_folder)([example])
    length = whole["input_ids"].shape[1] - 5
    cut = collator_of(model_folder, length)([example])
    for name in {"input_ids", "attention_mask", "labels", "mm_token_type_ids"} & whole.keys():
        assert cut[name].equal(whole[name][:, :length]), name


def test_images_of_many_sizes_and_text_mix_in_one_forward_pass(model_folder: Path, mixture_file: Path) -> None:
    model = load_model(model_folder, dtype=torch.float32, attention="sdpa")
    collator, mixture = collator_of(model_folder), Mixture.read(mixture_file)
    examples = [mixture[place] for place in range(6)]
    assert len({example.image is None for example in examples}) == 2
    together = collator(examples)
    together.pop("labels")
    logits = model(**together).logits
    for row, example in enumerate(examples):
        alone = collator([example])
        length = alone.pop("labels").shape[1]
        torch.testing.assert_close(logits[row, :length], model(**alone).logits[0], atol=1e-4, rtol=1e-4)


def settings(**changes: object) -> TrainingSettings:
    return TrainingSettings.model_validate(SETTINGS | changes)


def test_what_has_nothing_learned_left_is_left_out_and_counted(tiny_model: Path, mixture_file: Path) -> None:
    mixture = Mixture.read(mixture_file)
    whole = measure(mixture, collator_of(tiny_model))
    kept, lengths, dropped = inspect(
        mixture, collator_of(tiny_model, 47), settings(max_length=47, on_overlength="truncate")
    )
    assert 0 < dropped < len(mixture)
    assert len(kept) == len(lengths.tokens) == len(mixture) - dropped
    assert lengths.targets.min() >= 1
    assert lengths.tokens.max() == 47 < whole.tokens.max()
    shown = Mixture(mixture.frame.filter(pl.col("image_bytes") > 0))
    with pytest.raises(TrainingError, match="no example has a response within"):
        inspect(shown, collator_of(tiny_model, 8), settings(max_length=8, on_overlength="truncate"))


def test_long_conversations_are_refused_where_nothing_is_to_be_cut(tiny_model: Path, mixture_file: Path) -> None:
    with pytest.raises(TrainingError, match="are longer than training"):
        inspect(Mixture.read(mixture_file), collator_of(tiny_model), settings(max_length=47))


def test_a_word_that_the_model_lacks_is_named_in_later_turns_too(tiny_model: Path, mixture_file: Path) -> None:
    mixture = Mixture.read(mixture_file)
    frame = mixture.frame.with_columns(more=mixture.frame["more"].list.eval("zebra" + pl.element()))
    with pytest.raises(TrainingError, match="'zebra"):
        measure(Mixture(frame), collator_of(tiny_model))


def test_a_template_of_one_turn_is_named(tiny_model: Path) -> None:
    processor = load_processor(tiny_model)
    processor.chat_template = "{{ messages[0].content }}"
    with pytest.raises(ModelError, match="leaves turns out"):
        Turns(processor).between("x")


def test_one_turn_is_encoded_as_ever(tiny_model: Path, mixture_file: Path) -> None:
    rng = random.Random(0)
    mixture, collator = Mixture.read(mixture_file), collator_of(tiny_model)
    plain = [place for place in range(len(mixture)) if not mixture[place].more]
    for place in rng.sample(plain, 5):
        example = mixture[place]
        bare = Example(example.position, "text", example.prompt, example.response, example.image)
        one, other = collator([example]), collator([bare])
        assert all(one[name].equal(other[name]) for name in one)


def test_conversations_are_trained_on_cut_in_two_processes(
    tmp_path: Path, tiny_model: Path, mixture_file: Path
) -> None:
    trained_in(
        tmp_path, tiny_model, mixture_file, {"frozen": ["vision", "language"]}, max_length=60, on_overlength="truncate"
    )
    facts = manifest(tmp_path)
    assert facts["frozen"] == ["vision", "language"]
    assert facts["examples"] + facts["examples_dropped"] == len(Mixture.read(mixture_file))
    assert sum(measured(tmp_path, "target_tokens")) == facts["target_tokens"]
