from __future__ import annotations

import dataclasses
import io

import pytest
import torch
from PIL import Image

from s2h.errors import DataError, ModelError
from s2h.models.loading import load_processor
from s2h.models.settings import ScoringSettings
from s2h.scoring import openings
from s2h.scoring.decoding import Decoder, Prompt, example_bytes, load_decoder
from s2h.scoring.sets import read_set
from s2h.supervision.conversion import Conversion
from s2h.supervision.examples import Example
from s2h.supervision.formats import TRANSCRIPTION_HEADER
from s2h.tokenisation.encoding import ExampleEncoder


@pytest.fixture(scope="module")
def images(task, shards) -> list[Prompt]:
    return [Prompt(row.question, row.image) for row in read_set(task, "HARD", "image", shards["HARD"]).rows]


@pytest.fixture(scope="module")
def texts(task, shards) -> list[Prompt]:
    """Text prompts of unequal lengths."""
    rows = read_set(task, "SIMPLE", "text", shards["SIMPLE"]).rows
    return [Prompt(" ".join(row.question.split()[: 6 + 4 * i]), None) for i, row in enumerate(rows)]


def _decoder(folder, *, batch_size, max_new_tokens=12) -> Decoder:
    return load_decoder(folder, ScoringSettings(batch_size=batch_size, max_new_tokens=max_new_tokens))


@pytest.mark.parametrize("size", [4, "auto"])
def test_batched_predictions_equal_predictions_one_at_a_time(model_folder, images, texts, size):
    alone, together = _decoder(model_folder, batch_size=1), _decoder(model_folder, batch_size=size)
    for prompts in (images, texts):
        found = alone(prompts)
        assert [(r.text, r.tokens) for r in found] == [(r.text, r.tokens) for r in together(prompts)]
        assert len({r.text for r in found}) > 1
        assert all(r.seconds > 0 for r in found)


def test_prompts_are_encoded_as_in_training(model_folder, images, texts):
    decoder = _decoder(model_folder, batch_size=4)
    encoder = ExampleEncoder(load_processor(model_folder))
    for prompt in (images[0], texts[0]):
        image = Image.open(io.BytesIO(prompt.image)).convert("RGB") if prompt.image else None
        trained = encoder([Example(0, "image" if image else "text", prompt.text, "7", image)])
        scored, (example,) = decoder.encode([prompt]), trained.examples
        assert example.ids[: example.prompt_length] == scored["input_ids"][0].tolist()
        assert example.ids[example.prompt_length :] == encoder.encode_responses(["7"])[0]
        assert ("pixel_values" in scored) == (image is not None)
        assert all(torch.equal(value, scored[name]) for name, value in trained.images.items())


def test_pictures_are_decoded_as_they_are_seen(model_folder, images):
    decoder = _decoder(model_folder, batch_size=1)
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = 3
    with Image.open(io.BytesIO(images[0].image)) as image:
        image.convert("RGB").rotate(180).save(file, "TIFF", exif=exif)
    turned = dataclasses.replace(images[0], image=file.getvalue())
    seen, wanted = (decoder.encode([prompt])["pixel_values"] for prompt in (turned, images[0]))
    assert torch.equal(seen, wanted)


@pytest.mark.parametrize("token", ["<image>", "<end>", "<pad>"])
def test_a_question_with_a_special_token_of_the_model_is_refused(model_folder, images, token):
    decoder = _decoder(model_folder, batch_size=1)
    with pytest.raises(DataError, match=f"a question holds {token}, .* It begins: 'which {token}"):
        decoder([dataclasses.replace(images[0], text=f"which {token} is it")])


def test_predictions_end_at_the_end_token_or_at_the_limit(model_folder, texts):
    decoder = _decoder(model_folder, batch_size=4, max_new_tokens=3)
    assert all(1 <= prediction.tokens <= 3 for prediction in decoder(texts))
    end = decoder.processor.tokenizer.eos_token_id
    word = decoder.processor.tokenizer.convert_tokens_to_ids("7")
    assert decoder._prediction([word, end, end], 0.5).text == "7"
    assert decoder._prediction([word, end, end], 0.5).tokens == 2
    assert decoder._prediction([word, word, word], 0.5).tokens == 3
    assert decoder._prediction([end, end, end], 0.5).text == ""
    assert decoder([]) == []


def test_a_published_model_s_sampling_is_switched_off(model_folder, texts):
    plain = _decoder(model_folder, batch_size=4)
    model = _decoder(model_folder, batch_size=4).model
    model.generation_config.update(do_sample=True, temperature=9.0, repetition_penalty=5.0)
    model.generation_config.eos_token_id = [3, 2]
    decoder = Decoder(model, plain.processor, plain.settings)
    assert decoder._stops == [2, 3]
    assert [r.text for r in decoder(texts[:4])] == [r.text for r in plain(texts[:4])]


def test_a_batch_that_does_not_fit_the_memory_is_halved(model_folder, texts, monkeypatch):
    decoder = _decoder(model_folder, batch_size=6)
    wanted = [prediction.text for prediction in decoder(texts)]
    sizes, decode = [], Decoder._decode

    def small_memory(self, prompts):
        sizes.append(len(prompts))
        if len(prompts) > 2:
            raise torch.OutOfMemoryError("no more")
        return decode(self, prompts)

    monkeypatch.setattr(Decoder, "_decode", small_memory)
    assert [prediction.text for prediction in decoder(texts)] == wanted
    assert sizes == [6, 3, 1, 1, 1, 1, 1, 1]
    monkeypatch.setattr(Decoder, "_decode", lambda self, prompts: (_ for _ in ()).throw(torch.OutOfMemoryError("no")))
    with pytest.raises(ModelError, match="one example alone does not fit"):
        decoder(texts)


def test_a_batch_is_as_large_as_the_memory_allows(model_folder, images, monkeypatch):
    decoder = _decoder(model_folder, batch_size="auto")
    one = example_bytes(decoder.model, decoder.encode(images[:1])["input_ids"].shape[1], 12)
    free = type("Memory", (), {"available": 3.5 * one / 0.6})
    monkeypatch.setattr("s2h.scoring.decoding.psutil.virtual_memory", lambda: free)
    assert decoder._fitting(images) == 3
    free.available = 0
    assert decoder._fitting(images) == 1


def _asked(prompts: list[Prompt], conversion: Conversion) -> list[Prompt]:
    return [dataclasses.replace(prompt, conversion=conversion) for prompt in prompts]


def test_a_forced_conversion_begins_every_prediction_and_is_part_of_it(model_folder, images):
    decoder = _decoder(model_folder, batch_size=4)
    found = decoder(_asked(images, "forced"))
    assert all(prediction.text.startswith(f"{TRANSCRIPTION_HEADER} ") for prediction in found)
    assert all(3 < prediction.tokens <= 12 for prediction in found)
    assert len({prediction.text for prediction in found}) > 1


@pytest.mark.parametrize("conversion", ["forced", "forbidden"])
def test_batches_do_not_change_predictions_with_a_conversion(model_folder, images, texts, conversion):
    alone, together = _decoder(model_folder, batch_size=1), _decoder(model_folder, batch_size=4)
    for prompts in (images, texts):
        asked = _asked(prompts, conversion)
        found = [(prediction.text, prediction.tokens) for prediction in together(asked)]
        assert found == [(prediction.text, prediction.tokens) for prediction in alone(asked)]


@pytest.fixture
def as_it_begins(model_folder, images, monkeypatch):
    """A decoder for which the conversion is what the model says first to the first image, and what it says freely."""
    free = _decoder(model_folder, batch_size=4)(images)
    opening = " ".join(free[0].text.split()[:2])
    assert free[0].tokens > 4
    monkeypatch.setattr(openings, "OPENING", opening)
    monkeypatch.setattr(openings, "TRANSCRIPTION_HEADER", opening.split()[0])
    return _decoder(model_folder, batch_size=4), free


def test_what_begins_so_by_itself_is_the_same_when_it_is_forced(as_it_begins, images):
    decoder, free = as_it_begins
    found = decoder(_asked(images, "forced"))
    assert (found[0].text, found[0].tokens) == (free[0].text, free[0].tokens)
    assert {" ".join(prediction.text.split()[:2]) for prediction in found} == {openings.OPENING}


def test_a_forbidden_conversion_changes_what_would_begin_with_it_and_nothing_else(as_it_begins, images):
    decoder, free = as_it_begins
    found, word = decoder(_asked(images, "forbidden")), free[0].text.split()[0]
    assert not any(prediction.text.split()[:1] == [word] for prediction in found)
    same = [prediction.text for prediction in free if prediction.text.split()[0] != word]
    assert [new.text for new, old in zip(found, free, strict=True) if old.text.split()[0] != word] == same
    assert len(same) < len(free)


def test_a_model_that_converts_by_itself_is_kept_from_it(model_folder, images):
    """The bias of the last layer makes the model say the header's first word, and nothing else."""
    decoder = _decoder(model_folder, batch_size=4, max_new_tokens=4)
    word = decoder.processor.tokenizer.convert_tokens_to_ids("Converted")
    embedding = decoder.model.get_output_embeddings()
    bias = torch.zeros(embedding.out_features)
    bias[word] = 1e6
    embedding.register_forward_hook(lambda module, inputs, logits: logits + bias)
    assert {prediction.text for prediction in decoder(images)} == {"Converted " * 3 + "Converted"}
    for prediction in decoder(_asked(images, "forbidden")):
        assert prediction.text.split()[0] != "Converted"
        assert prediction.text.split()[1:] == ["Converted"] * 3  # only the first position is closed to it
