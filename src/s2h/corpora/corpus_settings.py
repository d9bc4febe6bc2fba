"""Settings of the corpora, free of libraries so that the config loads in no time."""

from __future__ import annotations

import glob
from pathlib import Path

from pydantic import Field

from s2h.settings import Settings


class CorpusSettings(Settings):
    """A corpus in the layout in which LLaVA-CC3M-Pretrain-595K and Eagle-1.8M are published.

    Attributes:
        annotations: JSON file with a list of entries ``{id, image, conversations: [{from, value}, ...]}``.
        images: where the images lie: .zip and .tar files, compressed tar files, the parts of a split one in their
            order, and folders; names may hold ``*``. What comes first counts where two hold the same name.
        shards: files into which the corpus is cut, each made by a job of its own. It decides how the corpus is cut,
            never what is kept.
        min_kept_fraction: share of the entries that must be good; with fewer the report ends in an error.
        entries: about how many entries there are; only the time that jobs ask a cluster for is reckoned from it.
    """

    annotations: str = Field(min_length=1)
    images: tuple[str, ...] = ()
    shards: int = Field(1, ge=1, le=100_000)
    min_kept_fraction: float = Field(0.95, ge=0, le=1)
    entries: int = Field(1_000_000, ge=1)

    def image_paths(self) -> list[str]:
        """The files and folders of the images, with every ``*`` filled in; a pattern without a match is left out."""
        paths = [
            path
            for pattern in self.images
            for path in (sorted(glob.glob(_home(pattern))) if "*" in pattern else [_home(pattern)])
        ]
        return list(dict.fromkeys(paths))

    def annotations_path(self) -> str:
        """The file of the annotations."""
        return _home(self.annotations)

    def problems(self) -> list[str]:
        """The files of the settings that are missing."""
        wrong = [] if Path(self.annotations_path()).is_file() else [f"there is no file {self.annotations}"]
        for pattern in self.images:
            if "*" in pattern and not glob.glob(_home(pattern)):
                wrong.append(f"no file matches {pattern}")
            elif "*" not in pattern and not Path(_home(pattern)).exists():
                wrong.append(f"there is no file or folder {pattern}")
        return wrong


def _home(path: str) -> str:
    return str(Path(path).expanduser())
