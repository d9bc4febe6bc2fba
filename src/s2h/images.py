"""Pictures as people see them: one decoder for training, corpora and scoring.

A file may be turned by its EXIF orientation, and have transparent parts or values of 16 bits. Pillow's
``convert("RGB")`` ignores the first two and cuts off the third; a browser does not.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from s2h.errors import DataError

FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""Formats that are read. Pillow has more, among them some for which it starts other programs."""

_ORIENTATION = 0x0112  # EXIF tag
_PLAIN_MODES = ("1", "L", "P", "RGB")


class BrokenImageError(DataError):
    """A picture file that cannot be decoded; the message says why, without naming the file."""


class OversizedImageError(BrokenImageError):
    """A picture file of so many pixels that Pillow takes it for an attack on the memory."""


def open_image(data: bytes) -> Image.Image:
    """The picture of a file with its format and size, before its pixels are decoded.

    Raises:
        BrokenImageError: it is no picture of a known format.
        OversizedImageError: it has too many pixels.
    """
    with _one_error():
        return Image.open(io.BytesIO(data), formats=FORMATS)


def as_seen(image: Image.Image) -> Image.Image:
    """A picture from ``open_image``, decoded whole, as RGB with 8 bits a channel.

    It is turned by its EXIF orientation, laid over white where it is transparent, and values of more than 8 bits are
    scaled; of an animation it is the first picture.

    Raises:
        BrokenImageError: it is torn.
    """
    with _one_error():
        image.load()
        turned = ImageOps.exif_transpose(image) if _orientation(image) != 1 else image
        if turned.mode == "F" or turned.mode.startswith("I"):
            return _scaled(turned).convert("RGB")
        if turned.has_transparency_data:
            return _over_white(turned)
        return _from_lab(turned) if turned.mode == "LAB" else turned.convert("RGB")


def decode_image(data: bytes) -> Image.Image:
    """The picture of a file as ``as_seen`` gives it; raises what ``open_image`` and ``as_seen`` raise."""
    return as_seen(open_image(data))


def portable_image(data: bytes, form: Literal["original", "png", "jpeg"] = "original") -> bytes:
    """The same picture as a PNG or JPEG file that every decoder shows as ``decode_image`` does.

    Args:
        data: a picture file.
        form: of the file; ``original`` leaves a file as it is that is one already, and makes others PNG.

    Raises:
        BrokenImageError: it cannot be decoded.
    """
    image = open_image(data)
    wanted = "PNG" if form == "original" else form.upper()
    portable = _is_portable(image) and (form == "original" or image.format == wanted)
    picture = as_seen(image)
    if portable:
        return data
    file = io.BytesIO()
    picture.save(file, wanted, quality=95)
    return file.getvalue()


def image_type(data: bytes) -> str:
    """The media type of a file from ``portable_image``."""
    return "image/png" if data.startswith(b"\x89PNG") else "image/jpeg"


def _is_portable(image: Image.Image) -> bool:
    plain = image.mode in _PLAIN_MODES and not image.has_transparency_data
    return plain and image.format in ("JPEG", "PNG") and _orientation(image) == 1


@contextmanager
def _one_error() -> Iterator[None]:
    """Turn what decoders raise on broken files, errors of many kinds, into one."""
    try:
        yield
    except Image.DecompressionBombError as error:
        raise OversizedImageError(str(error)) from None
    except UnidentifiedImageError:  # whose message names a place in memory
        raise BrokenImageError(f"it is no picture in one of the formats {', '.join(FORMATS)}") from None
    except Exception as error:
        raise BrokenImageError(str(error) or type(error).__name__) from None


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1, which is upright, where it is absent or cannot be read."""
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # viewers show a picture whose EXIF data are broken
        return 1
    return found if found in range(1, 9) else 1


def _over_white(image: Image.Image) -> Image.Image:
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def _scaled(image: Image.Image) -> Image.Image:
    """Values of more than 8 bits as 8 bits: by the range of their type, or where that is unknown by what they span.

    16-bit values span 0 to 65535. Floats from 0 to 1 span just that; other floats and 32-bit integers that fit 8 or 16
    bits are taken for such, and the rest is stretched from its least to its greatest value.
    """
    values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0, neginf=0)
    low, high = float(values.min()), float(values.max())
    if image.mode.startswith("I;16"):
        low, high = 0, 65535
    elif low >= 0:
        spans = (1, 255, 65535) if image.mode == "F" else (255, 65535)
        low, high = 0, next((span for span in spans if high <= span), high)
    grey = (values - low) * (255 / max(high - low, 1e-300))
    return Image.fromarray(np.rint(grey).clip(0, 255).astype(np.uint8))


def _from_lab(image: Image.Image) -> Image.Image:
    profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    seen = ImageCms.profileToProfile(image, *profiles, outputMode="RGB")
    assert seen is not None
    return seen
