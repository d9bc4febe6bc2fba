"""Reading our own pictures back: colours, lines, and the words and symbols in boxes.

Nothing here uses the code that draws, but for names of colours and sizes. Words and symbols are recognised by comparing
their ink with each candidate, set afresh in the same typeface.

Shapes: a picture is ``uint8[height, width]`` of indexes into its colours; a mask is ``bool[height, width]``.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from s2h.puzzles.drawing.canvas import NAVY, TILE
from s2h.validation.checker import Mismatch

RGB = tuple[int, int, int]
Mask = NDArray[np.bool_]

_GLYPH = (160, 20)  # width and height in pixels to which inks are brought before they are compared
_CLEAR = 0.8  # the best candidate must differ from the ink by no more than this part of what the second best does


class Picture:
    """A decoded PNG file with indexed colours.

    Attributes:
        indexes: ``uint8[height, width]``.
        colours: the colour of each index.
    """

    def __init__(self, png: bytes) -> None:
        try:
            with Image.open(io.BytesIO(png)) as image:
                self.indexes = np.asarray(image)
                palette = image.getpalette("RGB")
        except (OSError, SyntaxError) as error:
            raise Mismatch("image", f"the image cannot be opened: {error}") from None
        if self.indexes.ndim != 2 or not palette:
            raise Mismatch("image", "the image has no indexed colours")
        self.colours: list[RGB] = [(r, g, b) for r, g, b in np.array(palette).reshape(-1, 3).tolist()]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.indexes.shape[1], self.indexes.shape[0]

    def index(self, colour: RGB) -> int:
        """The index of a colour, -1 where the picture has none of it."""
        return self.colours.index(colour) if colour in self.colours else -1

    def is_colour(self, colour: RGB) -> Mask:
        """Where the picture has exactly this colour."""
        mask: Mask = self.indexes == self.index(colour)
        return mask

    def part(self, left: int, top: int, right: int, bottom: int) -> Part:
        """The pixels from (left, top) to before (right, bottom)."""
        return Part(self, self.indexes[top:bottom, left:right])


class Part:
    """A box cut out of a picture: one fill, and ink on it.

    Attributes:
        fill: colour of the pixel at its upper left, which is taken for the background.
    """

    def __init__(self, picture: Picture, indexes: NDArray[np.uint8]) -> None:
        self._picture, self._indexes = picture, indexes
        self.fill = picture.colours[int(indexes[0, 0])]

    def ink(self) -> NDArray[np.uint8] | None:
        """The indexes of the smallest box that holds all that is not the fill; None where there is nothing."""
        covered = self._indexes != self._indexes[0, 0]
        rows, columns = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
        return self._indexes[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if len(rows) else None

    def shades(self, colour: RGB) -> NDArray[np.int64]:
        """For each index how much of ``colour`` it has over the fill, from 0 to 255; -1 for any other mixture."""
        fill, full = np.array(self.fill), np.array(colour)
        colours = np.array(self._picture.colours)
        share = (colours - fill) @ (full - fill) / np.square(full - fill).sum()
        strange = np.abs(fill + share[:, None] * (full - fill) - colours).max(axis=1) > 1  # colours are rounded
        return np.where(strange, -1, np.rint(255 * share).astype(np.int64))


class Reader:
    """Tells which of some words or symbols a box shows.

    Args:
        texts: what is looked for, by name.
        face: the typeface; its size does not matter, as inks are compared at one size.
        colour: of the ink.
    """

    def __init__(self, texts: dict[str, str], face: ImageFont.FreeTypeFont, colour: RGB) -> None:
        self._names, self._colour = list(texts), colour
        self._inks = [_typeset(text, face) for text in texts.values()]
        self._known: dict[tuple[RGB, tuple[int, ...], bytes], str] = {}
        self._candidates: dict[tuple[int, ...], NDArray[np.float32]] = {}

    def read(self, part: Part) -> str:
        """The name of what the box shows; empty where it shows nothing; raises Mismatch where that is not clear."""
        ink = part.ink()
        if ink is None:
            return ""
        key = (part.fill, ink.shape, ink.tobytes())  # few inks differ, as the same sprites come again and again
        if key not in self._known:
            self._known[key] = self._nearest(ink, part.shades(self._colour))
        return self._known[key]

    def _nearest(self, ink: NDArray[np.uint8], shades: NDArray[np.int64]) -> str:
        cover = shades[ink]
        if cover.min() < 0:
            raise Mismatch("image", f"ink of another colour than {self._colour}")
        differences = np.abs(self._shapes(shades) - _normal(cover.astype(np.uint8))).mean(axis=1)
        best, second = (int(place) for place in np.argsort(differences)[:2])
        if differences[best] > _CLEAR * differences[second]:
            raise Mismatch("image", f"unreadable: {self._names[best]!r} or {self._names[second]!r}")
        return self._names[best]

    def _shapes(self, shades: NDArray[np.int64]) -> NDArray[np.float32]:
        """The candidates in the shades that the picture has: ``float32[names, numbers]``."""
        levels = np.unique(shades[shades >= 0])
        key = tuple(levels.tolist())
        if key not in self._candidates:
            middles = (levels[1:] + levels[:-1]) / 2
            inks = [levels[np.searchsorted(middles, ink)].astype(np.uint8) for ink in self._inks]
            self._candidates[key] = np.stack([_normal(_trimmed(ink)) for ink in inks])
        return self._candidates[key]


def _typeset(text: str, face: ImageFont.FreeTypeFont) -> NDArray[np.uint8]:
    """The ink of a text on an ample page, ``uint8[height, width]``."""
    reach = round(face.getlength(text) + 2 * face.size)
    page = Image.new("L", (2 * reach, 2 * reach), 0)
    ImageDraw.Draw(page).text((reach, reach), text, font=face, fill=255)
    return np.asarray(page)


def _trimmed(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The smallest box that holds all ink."""
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _normal(ink: NDArray[np.uint8]) -> NDArray[np.float32]:
    """An ink at one size, and its proportions, as one list of numbers."""
    height, width = ink.shape
    scaled = Image.fromarray(ink).resize(_GLYPH, Image.Resampling.BOX)
    proportion = np.full(_GLYPH[0] * _GLYPH[1] // 4, 255 * width / (width + height), dtype=np.float32)
    return np.concatenate([np.asarray(scaled, dtype=np.float32).ravel(), proportion])


def tiles(picture: Picture) -> tuple[list[Part], list[list[Part]]]:
    """The cells of a compact picture: the names of the columns, then the rows, each with its name first.

    A cell is a square with a line at its left and top, which are left out; a name stands on navy.
    """
    side = picture.size[0] // TILE
    boxes = [
        [picture.part(c * TILE + 1, r * TILE + 1, (c + 1) * TILE, (r + 1) * TILE) for c in range(side)]
        for r in range(side)
    ]
    columns = [box for box in boxes[0][1:] if box.fill == NAVY]
    return columns, [row[: len(columns) + 1] for row in boxes[1:] if row[0].fill == NAVY]


def runs(mask: ArrayLike) -> list[tuple[int, int]]:
    """The stretches of True as (first, index after the last)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(mask, dtype=np.int8), [0]])))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]
