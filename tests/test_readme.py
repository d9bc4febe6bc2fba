"""What the README shows is what its commands print."""

import subprocess
import sys

from tests.shipped import ROOT


def test_the_puzzle_of_the_readme_is_the_one_that_is_drawn() -> None:
    picture = ROOT / "docs/images/puzzle.png"
    before = picture.read_bytes()
    done = subprocess.run([sys.executable, "docs/images/draw.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    drawn = picture.read_bytes()
    picture.write_bytes(before)
    assert drawn == before
    assert f"```\n{done.stdout}```" in (ROOT / "README.md").read_text()
