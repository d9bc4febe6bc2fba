from __future__ import annotations

import io

import pytest
import torch
from PIL import Image

from s2h.models.loading import load_processor
from s2h.models.settings import ScoringSettings
from s2h.scoring.decoding import Decoder, Prompt, load_decoder
from s2h.scoring.sets import read_set
from s2h.training.collate import Collator
from s2h.training.data import Example


@pytest.fixture(scope="module")
def prompts(task, shards, tmp_path_factory) -> list[Prompt]:
    """Text and image prompts of unequal lengths, mixed."""
    folder = tmp_path_factory.mktemp("images")
    found = []
    for row in read_set(task.name, "HARD", "image", shards["HARD"]).rows:
        path = folder / f"{row.index}.png"
        path.write_bytes(row.image)
        found.append(Prompt(row.question, path))
    rows = read_set(task.name, "SIMPLE", "text", shards["SIMPLE"]).rows
    texts = [Prompt(" ".join(row.question.split()[: 6 + 4 * i]), None) for i, row in enumerate(rows)]
    return [prompt for pair in zip(found, texts, strict=True) for prompt in pair]


def _decoder(folder, *, batch_size, max_new_tokens=12) -> Decoder:
    return load_decoder(folder, ScoringSettings(batch_size=batch_size, max_new_tokens=max_new_tokens))


def test_batched_replies_equal_replies_one_at_a_time(model_folder, prompts):
    alone, together = (_decoder(model_folder, batch_size=size)(prompts) for size in (1, 4))
    assert [(r.text, r.tokens) for r in alone] == [(r.text, r.tokens) for r in together]
    assert len({r.text for r in alone}) > 1
    assert all(r.seconds > 0 for r in together)


def test_prompts_are_encoded_as_in_training(model_folder, prompts):
    decoder = _decoder(model_folder, batch_size=4)
    collator = Collator(load_processor(model_folder), random_positions=0, seed=0, examples=1)
    for prompt in prompts[:2]:
        image = Image.open(io.BytesIO(prompt.image.read_bytes())).convert("RGB") if prompt.image else None
        trained = collator.encode_prompts([Example(0, "image" if image else "text", prompt.text, "", image)])
        scored = decoder.encode([prompt])
        assert trained.keys() == scored.keys()
        assert all(torch.equal(trained[key], scored[key]) for key in trained)


def test_replies_end_at_the_end_token_or_at_the_limit(model_folder, prompts):
    decoder = _decoder(model_folder, batch_size=4, max_new_tokens=3)
    assert all(1 <= reply.tokens <= 3 for reply in decoder(prompts))
    end = decoder.processor.tokenizer.eos_token_id
    word = decoder.processor.tokenizer.convert_tokens_to_ids("7")
    assert decoder._reply([word, end, end], 0.5).text == "7"
    assert decoder._reply([word, end, end], 0.5).tokens == 2
    assert decoder._reply([word, word, word], 0.5).tokens == 3
    assert decoder._reply([end, end, end], 0.5).text == ""


def test_a_published_model_s_sampling_is_switched_off(model_folder, prompts):
    plain = _decoder(model_folder, batch_size=4)
    model = _decoder(model_folder, batch_size=4).model
    model.generation_config.update(do_sample=True, temperature=9.0, repetition_penalty=5.0)
    model.generation_config.eos_token_id = [3, 2]
    decoder = Decoder(model, plain.processor, plain.settings)
    assert decoder._stops == [2, 3]
    assert [r.text for r in decoder(prompts[:4])] == [r.text for r in plain(prompts[:4])]


def test_progress_counts_to_the_end(model_folder, prompts):
    seen: list[int] = []
    _decoder(model_folder, batch_size=4, max_new_tokens=1)(prompts, seen.append)
    assert seen == [4, 6, 10, 12]
    assert _decoder(model_folder, batch_size=4)([]) == []
