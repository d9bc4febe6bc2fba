"""The pages hang together: every page is in the index, every link leads somewhere, the example of a config is one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from s2h.config import load_config
from s2h.overlays import merge, read_values
from tests.shipped import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    assert not [link for link in links if "://" not in link and not (page.parent / link).exists()]


def test_every_page_is_in_the_index_once() -> None:
    linked = re.findall(
        r"^\| \[[^]]+\]\(([\w-]+\.md)\) \| [^|]+ \|$", (ROOT / "docs/README.md").read_text(), re.MULTILINE
    )
    assert sorted(linked) == sorted(page.name for page in ROOT.glob("docs/*.md") if page.name != "README.md")


def test_the_config_of_the_quick_start_is_one() -> None:
    page = (ROOT / "docs/quick-start.md").read_text()
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    config = load_config(merge(read_values(), yaml.safe_load(block)))
    assert [(run.recipe, run.seed) for run in config.all_runs()] == [
        ("mix_plus", 0), ("mix_plus", 1), ("mix_plus", 2), ("text", 0), ("text", 1), ("text", 2),
    ]  # fmt: skip
    default = load_config(read_values())
    assert {run for run in config.all_runs() if run in default.all_runs()} == {
        run for run in config.all_runs() if run.recipe == "mix_plus" and run.seed < 2
    }


def test_the_citation_names_this_version_and_licence() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{citation["version"]}"' in project
    assert f'license = "{citation["license"]}"' in project
    assert (ROOT / "LICENSE").read_text().startswith(f"{citation['license']} License")
    assert "2501.02669" in citation["references"][0]["url"]
