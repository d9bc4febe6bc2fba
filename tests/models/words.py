"""A tokenizer of whole words for small models from random weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast


def word_tokenizer(
    special: Sequence[str], words: Iterable[str], *, named: Mapping[str, str]
) -> PreTrainedTokenizerFast:
    """A tokenizer in the manner of Qwen's.

    Args:
        special: tokens of their own; ``<|endoftext|>`` is the first, ``<unk>`` the last.
        words: all that it knows beside them.
        named: tokens that a processor asks for by name.
    """
    vocabulary = [*special, *sorted({*words} - {*special})]
    backend = Tokenizer(models.WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        unk_token="<unk>",
        padding_side="left",
        additional_special_tokens=list(special[1:-1]),
        extra_special_tokens=dict(named),
    )
