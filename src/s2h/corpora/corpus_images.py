"""An image of a corpus: can it be shown to a model?"""

from __future__ import annotations

import dataclasses
import warnings

from PIL import Image

from s2h.corpora.conversations import Unusable
from s2h.images import BrokenImageError, OversizedImageError, as_seen, open_image

STARTS: dict[str, tuple[bytes, ...]] = {
    "BMP": (b"BM",),
    "GIF": (b"GIF87a", b"GIF89a"),
    "JPEG": (b"\xff\xd8\xff",),
    "MPO": (b"\xff\xd8\xff",),  # JPEG with a second picture behind it, as cameras write it
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "TIFF": (b"II*\0", b"MM\0*"),
    "WEBP": (b"RIFF",),
}
"""Formats that are kept, and how their files begin."""

_MOST_PIXELS = 100_000_000  # half of what Pillow calls a decompression bomb; 10,000 x 10,000
_LEAST_SIDE = 4  # pixels; processors of transformers take a side of 1 or 3 for the colours
_MOST_STRETCHED = 200  # longer to shorter side; Qwen2.5-VL's processor refuses more


@dataclasses.dataclass(frozen=True, slots=True)
class Picture:
    """Format and size of an image file.

    Attributes:
        format: name of its format, a key of ``STARTS``.
        width: pixels, of the picture as it is seen.
        height: the same.
    """

    format: str
    width: int
    height: int


def check_picture(data: bytes) -> Picture:
    """Look at an image and decode all of it, as training will.

    Args:
        data: the file as it lies in its archive.

    Raises:
        Unusable: it cannot be decoded, or is too large or small; the reason says which.
    """
    if not data:
        raise Unusable("empty image", "its file has no bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a size that Pillow warns of is refused below
            image = open_image(data)
            _check_format(image, data)
            _check_size(*image.size)
            seen = as_seen(image)
    except OversizedImageError as error:
        raise Unusable("image too large", str(error)) from None
    except BrokenImageError as error:
        raise Unusable("broken image", str(error)) from None
    return Picture(str(image.format), *seen.size)


def _check_format(image: Image.Image, data: bytes) -> None:
    if not data.startswith(STARTS.get(str(image.format), ())):
        raise Unusable("broken image", f"it is read as {image.format}; files of {', '.join(STARTS)} are kept")


def _check_size(width: int, height: int) -> None:
    if width * height > _MOST_PIXELS:
        raise Unusable("image too large", f"{width} x {height} pixels; at most {_MOST_PIXELS:,} are decoded")
    if min(width, height) < _LEAST_SIDE:
        raise Unusable("image too small", f"{width} x {height} pixels; a side must have {_LEAST_SIDE}")
    if max(width, height) > _MOST_STRETCHED * min(width, height):
        raise Unusable("image too narrow", f"{width} x {height} pixels; at most {_MOST_STRETCHED} to 1")
