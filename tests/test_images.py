"""Pictures are decoded as people see them, whatever file they come in."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from s2h.images import BrokenImageError, OversizedImageError, decode_image, image_type, portable_image
from tests.corpora.generated import bomb

RED, WHITE = (200, 0, 0), (255, 255, 255)
_STORED = {  # how a viewer's picture is stored for each EXIF orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def file_of(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def pixels(image: Image.Image) -> list[Any]:
    return np.asarray(image).tolist()


def corner() -> Image.Image:
    """White, wider than high, with red at the upper left."""
    image = Image.new("RGB", (64, 32), WHITE)
    image.paste(RED, (0, 0, 16, 16))
    return image


def is_corner(image: Image.Image, tolerance: int = 12) -> bool:
    near = [np.abs(np.subtract(image.getpixel(at), colour)).max() for at, colour in (((6, 6), RED), ((48, 24), WHITE))]
    return image.mode == "RGB" and image.size == (64, 32) and max(near) <= tolerance


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_by_its_orientation(form: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = corner().transpose(_STORED[orientation]) if orientation > 1 else corner()
    data = file_of(stored, form, exif=exif)
    assert is_corner(decode_image(data))
    assert is_corner(Image.open(io.BytesIO(portable_image(data))).convert("RGB"))


def test_broken_exif_data_turn_nothing() -> None:
    assert is_corner(decode_image(file_of(corner(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\xff\xff")))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB", "L"])
def test_what_is_transparent_is_white(mode: str) -> None:
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    image.putpixel((1, 1), (90, 90, 90, 255))
    if mode in ("RGB", "L"):
        data = file_of(image.convert(mode), transparency=(0, 0, 0) if mode == "RGB" else 0)
    else:
        data = file_of(image.quantize() if mode == "P" else image.convert(mode))
    seen = decode_image(data)
    assert [seen.getpixel((0, 0)), seen.getpixel((1, 1))] == [WHITE, (90, 90, 90)]


@pytest.mark.parametrize(
    ("values", "kind", "grey"),
    [
        ([0, 32768, 65535], np.uint16, [0, 128, 255]),
        ([0, 128, 255], np.int32, [0, 128, 255]),
        ([0, 32768, 65535], np.int32, [0, 128, 255]),
        ([-10, 0, 10], np.int32, [0, 128, 255]),
        ([0.0, 0.5, 1.0], np.float32, [0, 128, 255]),
        ([0.0, 128.0, 255.0], np.float32, [0, 128, 255]),
        ([0.0, float("nan"), 1.0], np.float32, [0, 0, 255]),
        ([0.0, 0.0, 0.0], np.float32, [0, 0, 0]),
    ],
)
def test_values_of_more_than_8_bits_are_scaled(values: list[float], kind: Any, grey: list[int]) -> None:
    seen = decode_image(file_of(Image.fromarray(np.array([values], dtype=kind)), "TIFF"))
    assert pixels(seen) == [[[value] * 3 for value in grey]]


def test_a_16_bit_png_is_scaled() -> None:
    data = file_of(Image.fromarray(np.array([[0, 32768, 65535]], dtype=np.uint16)))
    assert pixels(decode_image(data))[0][1] == [128] * 3
    assert pixels(Image.open(io.BytesIO(portable_image(data))).convert("RGB"))[0][1] == [128] * 3


@pytest.mark.parametrize("mode", ["RGB", "P", "CMYK", "YCbCr", "RGBX", "RGBA", "LAB"])
def test_every_mode_shows_its_colours(mode: str) -> None:
    image = corner()
    if mode == "LAB":
        image = ImageCms.profileToProfile(
            image, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
        )
    else:
        image = image.convert(mode)
    data = file_of(image, "TIFF")
    assert is_corner(decode_image(data))
    assert is_corner(decode_image(portable_image(data)))


@given(
    form=st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"]),
    mode=st.sampled_from(["1", "L", "P", "RGB", "RGBA", "LA"]),
    noise=st.binary(min_size=192, max_size=192),
)
def test_a_portable_file_needs_no_care(form: str, mode: str, noise: bytes) -> None:
    """Any decoder shows it as we do; and it stays as it is."""
    image = Image.frombytes("RGB", (8, 8), noise).convert("L" if mode == "LA" else "RGB")
    image = image.convert(mode) if form in ("PNG", "TIFF") or mode in ("1", "L", "RGB") else image.convert("RGB")
    data = file_of(image, form)
    made = portable_image(data)
    assert image_type(made) == Image.open(io.BytesIO(made)).get_format_mimetype()
    assert pixels(Image.open(io.BytesIO(made)).convert("RGB")) == pixels(decode_image(data))
    assert portable_image(made) == made


def test_files_that_are_ready_are_not_written_anew() -> None:
    for form in ("PNG", "JPEG"):
        assert portable_image(data := file_of(corner(), form)) is data


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "BMP"])
def test_a_torn_file_is_refused(form: str) -> None:
    data = file_of(Image.effect_noise((64, 64), 50), form)
    with pytest.raises(BrokenImageError):
        decode_image(data[: len(data) // 2])


def test_no_picture_is_refused() -> None:
    for data in (b"", b"<html>404</html>", b"%!PS-Adobe-3.0 EPSF-3.0\n"):
        with pytest.raises(BrokenImageError, match="no picture in one of the formats"):
            decode_image(data)
    with pytest.raises(OversizedImageError):
        decode_image(bomb())
