"""One entry of a corpus: what makes it a conversation that can be trained on, and what does not."""

from __future__ import annotations

import dataclasses
from typing import Any

from s2h.tokenisation.special_tokens import IMAGE_MARK, find_special_token

_MEDIA = ("image", "images", "video", "videos", "audio", "audios")
_READ = ("image", "images")
_ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}


class Unusable(Exception):  # noqa: N818 - a finding, which never ends a job
    """An entry that is dropped.

    Attributes:
        reason: one of a few, under which entries are counted.
        detail: what was found.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


@dataclasses.dataclass(frozen=True, slots=True)
class Conversation:
    """An entry that can be trained on, as far as its text goes.

    Attributes:
        entry_id: as the corpus has it; not always unique.
        image: name of its image in the archives; empty for text alone.
        turns: texts of user and model by turns, the user's first and the model's last, without image marks. A system
            turn stands at the beginning of the first, with a blank line behind it.
    """

    entry_id: str
    image: str
    turns: tuple[str, ...]


def image_names(entry: Any) -> list[str]:
    """Names of the images of an entry, from ``image`` or ``images``, which may be a name, a list or nothing."""
    names: list[str] = []
    if isinstance(entry, dict):
        for key in ("image", "images"):
            value = entry.get(key)
            listed = value if isinstance(value, list) else [value]
            names += [name for name in listed if isinstance(name, str) and name]
    return list(dict.fromkeys(names))


def entry_id(entry: Any, position: int) -> str:
    """The name of an entry in reports: its id, or where it has none its place in the list."""
    name = entry.get("id") if isinstance(entry, dict) else None
    return _printable(str(position if name in (None, "") else name))


def parse_entry(entry: Any, position: int) -> Conversation:
    """The conversation of an entry.

    The image is shown before the first turn's text, as LLaVA does wherever in that turn the mark stands; an entry with
    an image but no mark is taken the same way.

    Args:
        entry: what JSON held.
        position: its place in the list, from 0; names it where it has no id.

    Raises:
        Unusable: it is dropped, and why.
    """
    if not isinstance(entry, dict) or not isinstance(entry.get("conversations"), list):
        raise Unusable("no conversation", "an entry needs a list named conversations")
    _check_media(entry)
    names = image_names(entry)
    if len(names) > 1:
        raise Unusable("several images", f"{len(names)} images; a model of one image is trained here")
    turns = _alternating([_turn(turn) for turn in entry["conversations"]])
    turns = _without_mark(turns, bool(names))
    for number, text in enumerate(turns, start=1):
        if not text and not (number == 1 and names):
            raise Unusable("empty turn", f"turn {number} has no text")
        if token := find_special_token(text):
            raise Unusable("special token", f"{token} stands in turn {number}")
    _check_unicode([*turns, *names])
    return Conversation(entry_id(entry, position), names[0] if names else "", tuple(turns))


def _check_media(entry: dict[str, Any]) -> None:
    """Refuse what is shown but not read: such a conversation is no conversation of text alone."""
    for key in _MEDIA:
        value = entry.get(key)
        for each in value if isinstance(value, list) else [value]:
            if each not in (None, "") and not (key in _READ and isinstance(each, str)):
                read = "the name of an image file is read" if key in _READ else "only images are read"
                raise Unusable("media that are not read", f"{key} is {_printable(repr(each)[:60])}; {read}")


def _turn(turn: Any) -> tuple[str, str]:
    """Role and text of a turn."""
    if not isinstance(turn, dict) or not isinstance(turn.get("value"), str):
        raise Unusable("no conversation", "a turn needs a text named value")
    role = _ROLES.get(str(turn.get("from")))
    if role is None:
        raise Unusable("unknown role", f"a turn is from {_printable(str(turn.get('from')))!r}, not human or gpt")
    return role, turn["value"].strip()


def _alternating(turns: list[tuple[str, str]]) -> list[str]:
    """The texts, after a look at the roles; a leading system turn goes into the first one."""
    system = turns[0][1] if turns and turns[0][0] == "system" else ""
    spoken = turns[1:] if turns and turns[0][0] == "system" else turns
    roles = [role for role, _ in spoken]
    if not spoken:
        raise Unusable("no conversation", "it has no turns")
    if roles != [("user", "assistant")[place % 2] for place in range(len(roles))]:
        raise Unusable("turns out of order", f"{', '.join(roles[:4])}: human and gpt must alternate, human first")
    if len(spoken) % 2:
        raise Unusable("no last response", "the last turn is not the model's")
    texts = [text for _, text in spoken]
    return [f"{system}\n\n{texts[0]}" if system else texts[0], *texts[1:]]


def _without_mark(turns: list[str], has_image: bool) -> list[str]:
    """The texts without the image's mark, after a look where it stands."""
    marks = [text.count(IMAGE_MARK) for text in turns]
    if sum(marks) and not has_image:
        raise Unusable("image mark without an image", f"{IMAGE_MARK} stands in a text, but no image is named")
    if sum(marks) > 1:
        raise Unusable("several image marks", f"{IMAGE_MARK} stands {sum(marks)} times in it")
    if sum(marks[1:]):
        raise Unusable("image mark in a later turn", f"{IMAGE_MARK} stands in turn {marks.index(1) + 1}")
    first = turns[0].replace(IMAGE_MARK, "").strip()
    if IMAGE_MARK in first:  # its halves have met; a mark in a text would be taken for a second image
        raise Unusable("several image marks", f"{IMAGE_MARK} stands inside another one")
    return [first, *turns[1:]]


def _check_unicode(texts: list[str]) -> None:
    """JSON can name half of a character (a lone surrogate), which no file can hold."""
    for text in texts:
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise Unusable("text is not Unicode", repr(text[:40])) from None


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
