"""What the README shows is what its commands print."""

import subprocess
import sys

from tests.shipped import ROOT


def test_the_puzzles_of_the_readme_are_those_that_are_drawn() -> None:
    pictures = [ROOT / "docs/images" / name for name in ("puzzle.png", "tasks.png")]
    before = [picture.read_bytes() for picture in pictures]
    command = [sys.executable, "-m", "docs.images.draw"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    drawn = [picture.read_bytes() for picture in pictures]
    for picture, contents in zip(pictures, before, strict=True):
        picture.write_bytes(contents)
    assert drawn == before
    assert f"```\n{done.stdout}```" in (ROOT / "README.md").read_text()
