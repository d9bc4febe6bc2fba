"""A plan is light: it imports nothing that computes, and the base install alone plans and makes puzzles.

Every Snakemake process plans, also those within each job of a cluster, whose memory counts to the job's. What a plan
may import beside Snakemake: pydantic, in which settings are written; NumPy, PyArrow and Pillow, which the modules of
tasks import, where their settings stand; and polars, in which the supervision formats are written that settings of
phases name (0.2 s, 30 MB; to move them would change the digest of every mixture, and train everything again).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.shipped import ROOT, copy_project

HEAVY = {
    *("torch", "torchvision", "transformers", "deepspeed", "peft", "timm", "tensorboard", "vlmeval", "openai"),
    *("scipy", "matplotlib", "pandas", "datasets"),
}
BY_SNAKEMAKE = {"pandas"}  # its plugin for SLURM imports it where it is installed
LARGEST = 250  # MB
PLAN = """
import atexit, json, re, sys
from pathlib import Path
from snakemake.cli import main
def show():  # not getrusage, which starts from what the process held that started this one
    peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
    print(json.dumps({"megabytes": peak, "packages": sorted({name.partition(".")[0] for name in sys.modules})}))
atexit.register(show)
main(sys.argv[1:])
"""


def base_packages() -> set[str]:
    """What the package needs without any extra, directly or not."""
    found: set[str] = set()
    waiting = list(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])
    while waiting:
        needed = Requirement(waiting.pop())
        if needed.name not in found and (needed.marker is None or needed.marker.evaluate({"extra": ""})):
            found.add(needed.name)
            extras = [f"{needed.name}[{extra}]" for extra in needed.extras]
            assert not extras, f"{extras}: follow the extras too"
            waiting += distribution(needed.name).requires or []
    return found


@pytest.fixture(scope="module")
def base_install(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has the packages of the base install, as links, and no others."""
    folder = tmp_path_factory.mktemp("base")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    site = folder / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    for name in base_packages():
        package = distribution(name)
        tops = {file.parts[0] for file in package.files or [] if file.parts[0] not in ("..", "__pycache__")}
        for top in tops:
            if not (site / top).exists():
                (site / top).symlink_to(package.locate_file(top))
    return folder / "bin/python"


def run(python: str | Path, folder: Path, *words: str) -> str:
    """Run Python in a folder of the project; what it printed to standard output."""
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(folder / "src"), "HOME": str(folder)}
    done = subprocess.run(
        [str(python), *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def plan(python: str | Path, folder: Path, *words: str) -> tuple[set[str], float]:
    """The packages that a plan imports, and the memory that it takes in MB."""
    shown = json.loads(run(python, folder, "-c", PLAN, "-n", "--quiet", "all", *words).splitlines()[-1])
    return set(shown["packages"]), shown["megabytes"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    copy_project(folder)
    return folder


@pytest.mark.parametrize("words", [[], ["--configfile", "config/paper.yaml"]], ids=["default", "paper"])
def test_no_plan_imports_what_computes_trains_or_draws(words: list[str], project: Path) -> None:
    packages, megabytes = plan(sys.executable, project, *words)
    assert {"s2h", "snakemake"} <= packages
    assert not packages & (HEAVY - BY_SNAKEMAKE)
    assert megabytes < LARGEST


def test_the_base_install_alone_plans_and_makes_puzzles(base_install: Path, project: Path) -> None:
    absent = subprocess.run([base_install, "-c", "import torch"], capture_output=True, text=True, check=False)
    assert "No module named 'torch'" in absent.stderr
    packages, _ = plan(base_install, project)
    assert not packages & HEAVY
    shard = "results/checks/visual_analogy/SIMPLE/eval/shard-00000.parquet"
    run(base_install, project, "-m", "snakemake", shard, "--configfile", "config/smoke.yaml", "--cores", "1")
    assert (project / shard).is_file()
