from __future__ import annotations

import io

import pytest
import torch
from PIL import Image

from s2h.errors import ModelError
from s2h.models.loading import load_processor
from s2h.models.settings import ScoringSettings
from s2h.scoring.decoding import Decoder, Prompt, example_bytes, load_decoder
from s2h.scoring.sets import read_set
from s2h.supervision.examples import Example
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
