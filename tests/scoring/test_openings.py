"""The tokens of a conversion, with tokenizers of words and of bytes, and a template that a server applies."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from s2h.errors import ModelError
from s2h.models.loading import load_processor
from s2h.scoring.openings import check_continuation, opening_ids, starting_tokens, with_opening
from s2h.supervision.conversion import OPENING
from s2h.supervision.formats import TEXT_COLUMNS, response
from tests.contracts.settings import CASES
from tests.supervision.test_formats import frame

PIECES = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+"
"""How tokenizers like that of Llama-3 and Qwen cut text before they merge bytes: a colon keeps its line breaks."""


@pytest.fixture(scope="module")
def responses() -> dict[str, list[str]]:
    """Responses of every task in the paper's style, by format."""
    cases = [case for case in CASES if case[1] == "paper"]
    found: dict[str, list[str]] = {"image": [], "image_via_text": []}
    for case in cases:
        puzzles = frame(*case).select(TEXT_COLUMNS)
        for form, texts in found.items():
            texts += puzzles.select(response(form))["response"].to_list()  # type: ignore[arg-type]
    return found


@pytest.fixture(scope="module")
def of_bytes(responses: dict[str, list[str]]) -> PreTrainedTokenizerFast:
    """A tokenizer that merges bytes."""
    backend = Tokenizer(models.BPE())
    cut = pre_tokenizers.Split(Regex(PIECES), "isolated")
    backend.pre_tokenizer = pre_tokenizers.Sequence([cut, pre_tokenizers.ByteLevel(False, use_regex=False)])
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1000,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<end>"],
        show_progress=False,
    )
    backend.train_from_iterator([*responses["image_via_text"], "Conv", " Converted"], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>")


def test_a_response_of_training_begins_with_the_tokens_of_the_opening(of_bytes, responses):
    ids = opening_ids(of_bytes)
    assert of_bytes.convert_ids_to_tokens(ids)[-1] == ":ĊĊ"
    for text in responses["image_via_text"]:
        assert of_bytes(text)["input_ids"][: len(ids)] == ids


def test_every_spelling_of_the_conversion_begins_with_a_starting_token_and_nothing_else_does(of_bytes, responses):
    starts = set(starting_tokens(of_bytes))
    texts = [of_bytes.decode([token]) for token in range(len(of_bytes))]
    spelled = {texts[token] for token in starts}
    assert {"C", "Con", "Conv", "Converted", " Converted", "\n", " "} <= spelled
    for said in (OPENING, f" {OPENING}", f"\n{OPENING}", f"\n \n{OPENING}"):
        assert {token for token, text in enumerate(texts) if said.startswith(text)} <= starts
    assert of_bytes.eos_token_id not in starts
    assert not starts & {of_bytes(text)["input_ids"][0] for text in responses["image"]}


def test_tokens_of_the_opening_are_text_that_is_seen():
    kinds = {
        name: torch.tensor([[7, 7, 1], [7, 1, 1]]) for name in ("attention_mask", "input_ids", "mm_token_type_ids")
    }
    found = with_opening({**kinds, "pixel_values": torch.ones(2, 3)}, [8, 9])
    assert found["input_ids"].tolist() == [[7, 7, 1, 8, 9], [7, 1, 1, 8, 9]]
    assert found["attention_mask"].tolist() == [[7, 7, 1, 1, 1], [7, 1, 1, 1, 1]]
    assert found["mm_token_type_ids"].tolist() == [[7, 7, 1, 0, 0], [7, 1, 1, 0, 0]]
    assert found["pixel_values"].shape == (2, 3)


def test_a_template_that_changes_the_beginning_of_a_response_is_refused(model_folder):
    processor = load_processor(model_folder)
    check_continuation(processor)
    template = processor.chat_template
    processor.chat_template = template.replace("{{ part.text }}", "{{ part.text | upper }}")
    with pytest.raises(ModelError, match=r"(?s)template cannot continue a response .*scoring\.backend to transformers"):
        check_continuation(processor)
    processor.chat_template = template.replace("{% else %}<assistant>", "{% else %}<assistant> so")
    with pytest.raises(ModelError, match=r"continues 'Converted to text:.*' as '.*<assistant> so Converted to text:"):
        check_continuation(processor)


def test_a_template_that_strips_a_response_changes_the_token_of_its_line_breaks(of_bytes):
    template = "{% for m in messages %}<{{ m.role }}>\n{{ m.content[-1].text }}<end>\n{% endfor %}"
    template += "{% if add_generation_prompt %}<assistant>\n{% endif %}"
    processor = SimpleNamespace(tokenizer=of_bytes, apply_chat_template=of_bytes.apply_chat_template)
    of_bytes.chat_template = template
    check_continuation(processor)
    of_bytes.chat_template = template.replace(".text }}", ".text | trim }}")
    with pytest.raises(ModelError, match=r"continues 'Converted to text:"):
        check_continuation(processor)
