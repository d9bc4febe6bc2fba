"""What the requests to a model will cost: tokens are counted before any is sent."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Self

from s2h.images import open_image
from s2h.models.sources import EndpointSource
from s2h.scoring.decoding import Prediction, Prompt

# Where no reply is kept that tells better: figures in a text are about three characters a token, and providers count
# images at some 500 to 1,000 pixels a token (Anthropic: 750).
_CHARACTERS, _PIXELS = 3, 750


@dataclasses.dataclass(frozen=True, slots=True)
class Estimate:
    """The tokens of what is not asked yet.

    Attributes:
        prompts: how many there are.
        missing: how many are still to be asked.
        prompt_tokens: of these.
        tokens: of their replies, if these are as long as those that are kept; None where none is.
        most: of their replies, if all are cut off.
    """

    prompts: int
    missing: int
    prompt_tokens: int
    tokens: int | None
    most: int

    @classmethod
    def of(
        cls, source: EndpointSource, longest: int, prompts: Mapping[str, Prompt], kept: Mapping[str, Prediction]
    ) -> Self:
        """The estimate of a run; kept replies say how many tokens the model makes of a prompt.

        Args:
            source: the model.
            longest: tokens of a reply.
            prompts: what is asked, by the examples' digests.
            kept: replies by the same.
        """
        missing = [prompt for example, prompt in prompts.items() if example not in kept]
        asked = [(prompt, kept[example]) for example, prompt in prompts.items() if example in kept]
        lengths = [reply.tokens for _, reply in asked if reply.tokens is not None]
        system = len(source.request.system_prompt) / _CHARACTERS
        scales = {
            shown: _scale([each for each in asked if _has_image(each[0]) == shown], system) for shown in (True, False)
        }
        return cls(
            prompts=len(prompts),
            missing=len(missing),
            prompt_tokens=round(sum((system + _rough(prompt)) * scales[_has_image(prompt)] for prompt in missing)),
            tokens=round(sum(lengths) / len(lengths) * len(missing)) if lengths else None,
            most=longest * len(missing),
        )

    def __add__(self, other: Estimate) -> Estimate:
        return Estimate(
            prompts=self.prompts + other.prompts,
            missing=self.missing + other.missing,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            tokens=None if self.tokens is None or other.tokens is None else self.tokens + other.tokens,
            most=self.most + other.most,
        )

    def lines(self, name: str, source: EndpointSource) -> list[str]:
        """What a person wants to know, with its price."""
        replies = {"about": self.tokens, "at most": self.most}
        known = {how: tokens for how, tokens in replies.items() if tokens is not None}
        return [
            f"{name} ({source.name}): {self.prompts:,} prompts, of which {self.missing:,} are to be asked",
            f"  tokens in: about {self.prompt_tokens:,}",
            f"  tokens out: {', '.join(f'{how} {tokens:,}' for how, tokens in known.items())}",
            f"  USD: {self._price(source, known)}",
        ]

    def _price(self, source: EndpointSource, replies: Mapping[str, int]) -> str:
        if source.price is None:
            return "not known, as its source has no price"
        usd = {how: source.price.usd(self.prompt_tokens, tokens) for how, tokens in replies.items()}
        limit = "" if source.spending_limit is None else f"; spending_limit is {source.spending_limit:,.2f}"
        return ", ".join(f"{how} {value:,.2f}" for how, value in usd.items()) + limit


def _rough(prompt: Prompt) -> float:
    """Tokens of a prompt, by its characters and pixels alone."""
    if prompt.image is None:
        return len(prompt.text) / _CHARACTERS
    picture = open_image(prompt.image)
    return len(prompt.text) / _CHARACTERS + picture.width * picture.height / _PIXELS


def _has_image(prompt: Prompt) -> bool:
    return prompt.image is not None


def _scale(asked: Sequence[tuple[Prompt, Prediction]], system: float) -> float:
    """How many times as many tokens the model has counted; 1 where it has not."""
    known = [(system + _rough(prompt), reply.prompt_tokens) for prompt, reply in asked if reply.prompt_tokens]
    return sum(tokens for _, tokens in known) / sum(rough for rough, _ in known) if known else 1.0
