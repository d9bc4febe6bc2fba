"""What a chat template writes between the turns of a conversation."""

from __future__ import annotations

import re
from typing import Any

from s2h.errors import ModelError

_RESPONSE, _QUESTION = "s2hresponse", "s2hquestion"  # words that no template has


class Turns:
    """Words the user's later turns as the model's own chat template does.

    A response is closed by the end-of-turn token, as in an example of one turn; what follows up to the next response
    (the marks of the turns and the user's text) is given and not learned.

    Args:
        processor: of the model; its chat template is read once, when it is first needed.
    """

    def __init__(self, processor: Any) -> None:
        self._processor = processor
        self._around: tuple[str, str] | None = None

    def between(self, question: str) -> str:
        """What stands behind a response's end-of-turn token and before the next response.

        Raises:
            ModelError: the model's chat template takes no conversation of several turns.
        """
        before, after = self._around = self._around or self._read_template()
        return f"{before}{question}{after}"

    def _read_template(self) -> tuple[str, str]:
        turns = [("user", "x"), ("assistant", _RESPONSE), ("user", _QUESTION)]
        messages = [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in turns]
        try:
            whole = self._processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        except Exception as error:  # a template's own errors are of several kinds
            raise ModelError(f"the model's chat template takes no conversation of several turns: {error}") from None
        parts = re.split(f"{_RESPONSE}|{_QUESTION}", whole)
        if len(parts) != 3:
            raise ModelError(f"the model's chat template leaves turns out of a conversation: {whole[-200:]!r}")
        end = re.escape(self._processor.tokenizer.eos_token)
        return re.sub(rf"^\s*{end}", "", parts[1], count=1), parts[2]
