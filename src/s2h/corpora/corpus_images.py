"""An image of a corpus: can it be shown to a model?"""

from __future__ import annotations

import dataclasses
import io
import warnings

from PIL import Image, UnidentifiedImageError

from s2h.corpora.conversations import Unusable

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
        width: pixels.
        height: pixels.
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
            with Image.open(io.BytesIO(data), formats=[name for name in STARTS if name != "MPO"]) as image:
                found = Picture(str(image.format), *image.size)
                _check_size(found)
                image.convert("RGB")
    except Unusable:
        raise
    except Image.DecompressionBombError as error:
        raise Unusable("image too large", str(error)) from None
    except Exception as error:  # decoders raise errors of many kinds on broken files
        # Pillow names the buffer that it read from, with its address in memory: another in every run.
        what = "it is no image of a known format" if isinstance(error, UnidentifiedImageError) else str(error)
        raise Unusable("broken image", what or type(error).__name__) from None
    if not data.startswith(STARTS[found.format]):
        raise Unusable("broken image", f"it is read as {found.format} but does not begin like one")
    return found


def _check_size(picture: Picture) -> None:
    width, height = picture.width, picture.height
    if width * height > _MOST_PIXELS:
        raise Unusable("image too large", f"{width} x {height} pixels; at most {_MOST_PIXELS:,} are decoded")
    if min(width, height) < _LEAST_SIDE:
        raise Unusable("image too small", f"{width} x {height} pixels; a side must have {_LEAST_SIDE}")
    if max(width, height) > _MOST_STRETCHED * min(width, height):
        raise Unusable("image too narrow", f"{width} x {height} pixels; at most {_MOST_STRETCHED} to 1")
