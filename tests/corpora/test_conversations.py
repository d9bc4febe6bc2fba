"""What is kept alternates, ends with the model, and has at most one image, before its first turn."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from s2h.corpora.conversations import Unusable, entry_id, image_names, parse_entry
from s2h.corpora.corpus_images import check_picture
from s2h.tokenisation.special_tokens import IMAGE_MARK, find_special_token
from tests.corpora.generated import bomb, picture

T = TypeVar("T")

JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)
TURN = st.fixed_dictionaries(
    {
        "from": st.sampled_from(["human", "gpt", "user", "assistant", "system", "tool"]),
        "value": st.text(max_size=6) | st.sampled_from([IMAGE_MARK, f"{IMAGE_MARK}\nx", "x", "x </s>"]) | JSON,
    }
)
ENTRY = JSON | st.fixed_dictionaries(
    {"conversations": st.lists(TURN | JSON, max_size=5) | JSON},
    optional={"id": JSON, "image": JSON | st.text(max_size=5), "images": JSON},
)


def outcome(call: Callable[[], T]) -> T | Unusable:
    """What a call gives, or why it drops its entry."""
    try:
        return call()
    except Unusable as error:
        return error


@given(ENTRY)
def test_any_entry_is_a_sound_conversation_or_dropped_with_a_reason(entry: Any) -> None:
    found = outcome(lambda: parse_entry(entry, 7))
    if isinstance(found, Unusable):
        assert found.reason
        assert found.detail
    else:
        assert len(found.turns) % 2 == 0
        assert all(found.turns[1:])
        assert found.turns[0] or found.image
        assert not any(find_special_token(text) for text in found.turns)
        assert image_names(entry) == ([found.image] if found.image else [])
    assert entry_id(entry, 7).encode()


def turns(*texts: str) -> list[dict[str, str]]:
    return [{"from": ("human", "gpt")[place % 2], "value": text} for place, text in enumerate(texts)]


@pytest.mark.parametrize("asked", ["<image>\na b", "a b\n<image>", "a b", "  <image> a b "])
def test_wherever_the_mark_stands_the_image_comes_first(asked: str) -> None:
    found = parse_entry({"id": 3, "image": "x.jpg", "conversations": turns(asked, "c ")}, 0)
    assert (found.entry_id, found.image, found.turns) == ("3", "x.jpg", ("a b", "c"))


def test_marks_inside_marks_are_refused() -> None:
    with pytest.raises(Unusable, match="several image marks"):
        parse_entry({"image": "x.jpg", "conversations": turns("<ima<image>ge> a", "c")}, 0)


@pytest.mark.parametrize("token", ["<|image_pad|>", "<|im_end|>", "</s>", "<video>"])
@pytest.mark.parametrize("turn", range(4))
def test_a_special_token_is_dropped_with_its_turn(token: str, turn: int) -> None:
    texts = [f"a {token} b" if place == turn else "a" for place in range(4)]
    with pytest.raises(Unusable, match=f"special token: .* stands in turn {turn + 1}"):
        parse_entry({"conversations": turns(*texts)}, 0)


@pytest.mark.parametrize(
    "media",
    [
        {"video": "a.mp4"},
        {"audio": ["a.wav"]},
        {"image": {"bytes": None, "path": "a.jpg"}},
        {"image": 7},
        {"images": [["a.jpg"]]},
        {"image": "a.jpg", "videos": ["a.mp4"]},
    ],
)
def test_media_that_are_not_read_are_dropped(media: dict[str, Any]) -> None:
    """Without them the conversation is about nothing."""
    with pytest.raises(Unusable, match="media that are not read"):
        parse_entry({**media, "conversations": turns("What is this?", "a")}, 0)
    nothing = {"video": None, "audio": "", "images": []}
    assert parse_entry({**nothing, "conversations": turns("a", "b")}, 0).image == ""


def test_a_picture_has_the_size_in_which_it_is_seen() -> None:
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    Image.new("RGB", (64, 32)).save(file, "JPEG", exif=exif)
    found = check_picture(file.getvalue())
    assert (found.width, found.height) == (32, 64)


def test_an_image_may_be_all_that_is_asked() -> None:
    assert parse_entry({"image": "x.jpg", "conversations": turns("<image>", "c")}, 5).turns == ("", "c")
    with pytest.raises(Unusable, match="empty turn"):
        parse_entry({"conversations": turns("", "c")}, 5)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_picture_is_told_by_what_it_holds(form: str) -> None:
    data = picture(random.Random(form), form)
    with Image.open(io.BytesIO(data)) as image:
        assert (check_picture(data).format, check_picture(data).width) == (form, image.width)


def test_a_bomb_is_not_decoded() -> None:
    with pytest.raises(Unusable, match="image too large"):
        check_picture(bomb())


def test_a_strip_is_refused() -> None:
    file = io.BytesIO()
    Image.new("RGB", (2000, 5)).save(file, "PNG")
    with pytest.raises(Unusable, match="image too narrow"):
        check_picture(file.getvalue())


@given(st.binary(max_size=200), st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"]), st.data())
def test_damage_is_found_or_harmless_and_never_an_error(noise: bytes, form: str, data: st.DataObject) -> None:
    whole = bytearray(picture(random.Random(1), form, side=16))
    at = data.draw(st.integers(0, len(whole)))
    whole[at : at + len(noise)] = noise
    found = outcome(lambda: check_picture(bytes(whole)))
    assert (found.reason if isinstance(found, Unusable) else found.format) != ""
