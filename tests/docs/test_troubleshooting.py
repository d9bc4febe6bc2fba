"""The page of errors: each message is provoked here for real, or is word for word one of the code's."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch.distributed as dist

from s2h.claims import claimed_gpus
from s2h.config import load_config
from s2h.errors import S2HError
from s2h.models.loading import load_processor
from s2h.overlays import merge, read_config, read_values
from s2h.puzzles.shards import read_shards
from s2h.supervision.mixture import read_mixture
from s2h.training.checkpoints import Checkpoints
from s2h.training.deepspeed_config import read_config as read_deepspeed_config
from s2h.training.memory.fitting import Machine, recomputes
from tests.models import qwen
from tests.shipped import ROOT, copy_project
from tests.training.memory.test_fitting import job

PAGE = (ROOT / "docs/troubleshooting.md").read_text()
TINY_RUN = {"tasks": ["table_readout"], "recipes": ["mix"], "budgets": [60], "models": ["tiny"], "seeds": [0]}
SERVED = {"source": {"kind": "endpoint", "url": "http://localhost:8000/v1", "name": "m"}, "scoring": {}}

Provoke = Callable[[Path], str]


def squeezed(text: str) -> str:
    return " ".join(text.split())


MESSAGES = {
    title: squeezed(message)
    for title, message in re.findall(r"^### ([^\n]+)\n\n```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
}
"""The messages of the page by their headings; … stands for what differs."""


def said(call: Callable[[], Any]) -> str:
    with pytest.raises(S2HError) as caught:
        call()
    return str(caught.value)


def config(change: dict[str, Any]) -> Provoke:
    """What the config says to a change of the default."""
    return lambda folder: said(lambda: load_config(merge(read_values(), change)))


def phase(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"recipes": {"mine": {"title": "Mine", "phases": [{"parts": list(parts)}]}}}


def told(folder: Path, *command: str, **environment: str) -> str:
    """What a command says that fails in a copy of the project."""
    copy_project(folder)
    variables = {**os.environ, "PYTHONPATH": str(folder / "src"), **environment}
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    return done.stdout + done.stderr


def snakemake(*words: str) -> Provoke:
    return lambda folder: told(folder, sys.executable, "-m", "snakemake", *words)


def written(text: str) -> Provoke:
    """What is said to a config file that holds a text."""

    def provoke(folder: Path) -> str:
        (folder / "mine.yaml").write_text(text)
        return said(lambda: read_config(folder / "mine.yaml"))

    return provoke


def locked(folder: Path) -> str:
    """What Snakemake says where another one, or one that was killed, holds the target."""
    locks, target = folder / ".snakemake/locks", "results/validation/table_readout.json"
    locks.mkdir(parents=True)
    (locks / "0.input.lock").write_text("")
    (locks / "0.output.lock").write_text(f"{target}\n")
    return told(folder, sys.executable, "-m", "snakemake", target, "--cores", "1")


def clocks(folder: Path) -> str:
    """What Snakemake says where the input was made by a machine whose clock is ahead."""
    (folder / "Snakefile").write_text('rule:\n    input: "a"\n    output: "b"\n    shell: "echo > b"\n')
    ahead = time.time() + 3600
    (folder / "a").touch()
    os.utime(folder / "a", (ahead, ahead))
    command = [sys.executable, "-m", "snakemake", "--cores", "1"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stderr


def make(*words: str, path: str | None = None) -> Provoke:
    """What make says in a fresh checkout, with ``path`` alone to look for programs where it is given."""

    def provoke(folder: Path) -> str:
        for name in ("Makefile", "requirements.lock"):
            shutil.copy2(ROOT / name, folder / name)
        tool = shutil.which("make")
        assert tool is not None
        return told(folder, tool, "setup", *words, **({} if path is None else {"PATH": path}))

    return provoke


def without_compiler(folder: Path) -> str:
    programs = folder / "programs"
    programs.mkdir()
    for name in ("sh", "echo"):
        (programs / name).symlink_to(shutil.which(name) or "")
    return make(f"PYTHON={sys.executable}", path=str(programs))(folder)


def torn(read: Callable[[str], Any]) -> Provoke:
    """What is said to a file that was cut short."""

    def provoke(folder: Path) -> str:
        (folder / "torn.parquet").write_bytes(b"PAR1")
        return said(lambda: read(str(folder / "torn.parquet")))

    return provoke


def torn_checkpoint(folder: Path) -> str:
    (folder / "last").write_text("step-0000001")
    engine = SimpleNamespace(load_checkpoint=lambda *_, **__: (None, {}))
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        return said(Checkpoints(folder, engine).resume)
    finally:
        dist.destroy_process_group()


def full_disk(folder: Path) -> str:
    job = "from s2h.logs import job_log\nwith job_log('log'):\n    open('/dev/full', 'w').write('x' * 100_000)"
    return told(folder, sys.executable, "-c", job)


def missing_deepspeed(folder: Path) -> str:
    training = read_config().models["tiny"].training
    assert training is not None
    settings = training.model_copy(update={"deepspeed": str(folder / "zero9.json")})
    return said(lambda: read_deepspeed_config(settings, grad_accum_steps=1))


def too_little_memory(folder: Path) -> str:
    qwen.build(folder, {"a"})
    asked = job(folder)
    config = read_deepspeed_config(asked.settings, grad_accum_steps=1)
    machine = Machine(gpu=1.0, host=1e9, world_size=1, local_world_size=1)
    return said(lambda: recomputes(asked, config, [], frozen=(), machine=machine))


def claim() -> None:
    with claimed_gpus(64):
        pass


PROVOKED: dict[str, Provoke] = {
    "An unknown key": config({"sedd": 1}),
    "A key that is given twice": written("seed: 1\nseed: 2\n"),
    "YAML that cannot be read": written("runs: [a\n"),
    "An unknown name": snakemake("-n", "--config", f"runs=[{TINY_RUN | {'recipes': ['mix_pluss']}}]"),
    "Too few puzzles": config({"runs": [TINY_RUN | {"budgets": [90_000]}]}),
    "Shares that do not add up": config(phase({"level": "SIMPLE", "format": "text", "share": "1/3"})),
    "A range that runs backwards": config({"tasks": {"table_readout": {"rows": [5, 4]}}}),
    "A level that cannot be drawn": config(
        {"tasks": {"consecutive_table_readout": {"levels": {"HARD": {"path_length": [6, 99]}}}}}
    ),
    "The tiny model and the paper's style": config({"tasks": {"consecutive_table_readout": {"style": "paper"}}}),
    "Images of several sizes": config(
        {
            "task_mixtures": {"mine": ["table_readout", "visual_analogy"]},
            "runs": [TINY_RUN | {"tasks": ["mine"]}],
        }
    ),
    "A model that is not trained here": config(
        {"models": {"served": SERVED | {"scoring": {"max_new_tokens": 9}}}, "runs": [TINY_RUN | {"models": ["served"]}]}
    ),
    "A TSV file that is not there": config(
        {"external_evals": {"mine": {"path": "no.tsv", "task": "table_readout", "level": "HARD", "modality": "text"}}}
    ),
    "A plugin that is not there": config({"plugins": ["my_task"]}),
    "A target behind --configfile": snakemake("-n", "--configfile", "config/smoke.yaml", "results/tables/summary.csv"),
    "A profile that is not found": snakemake("-n", "--profile", "nowhere"),
    "A target that nothing makes": snakemake("-n", "results/tables/sumary.csv"),
    "A folder that is locked": locked,
    "Clocks that differ": clocks,
    "No Python": make("PYTHON=python9"),
    "No compiler": without_compiler,
    "A torn shard": torn(lambda path: list(read_shards([path]))),
    "A torn mixture": torn(read_mixture),
    "A folder that holds no processor": lambda folder: said(lambda: load_processor(folder)),
    "A DeepSpeed file that is not there": missing_deepspeed,
    "Too little memory": too_little_memory,
    "A checkpoint that cannot be read": torn_checkpoint,
    "The GPUs of a job": lambda folder: said(claim),
    "More GPUs than there are": snakemake(
        "results/models/table_readout/mix/60/tiny/0/phase-1",
        *("--config", f"runs=[{TINY_RUN}]", "models={tiny: {resources: {gpus: 64}}}"),
    ),
    "A full disk": full_disk,
}
"""Headings of the page, each with what provokes its message in an empty folder."""


def literals(node: ast.AST) -> Iterator[str]:
    """The strings of a module, with … for each value that is filled in."""
    for each in ast.walk(node):
        if isinstance(each, ast.JoinedStr):
            parts = (str(part.value) if isinstance(part, ast.Constant) else "…" for part in each.values)
            yield squeezed("".join(parts))
        elif isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield squeezed(each.value)


@pytest.mark.parametrize("title", PROVOKED)
def test_an_error_says_what_the_page_says(title: str, tmp_path: Path) -> None:
    pattern = ".+?".join(map(re.escape, MESSAGES[title].split("…")))
    output = squeezed(PROVOKED[title](tmp_path))
    assert re.search(pattern, output), output


def test_all_other_messages_are_the_code_s() -> None:
    modules = [ast.parse(path.read_text()) for folder in ("src", "tools") for path in (ROOT / folder).rglob("*.py")]
    known = {literal for module in modules for literal in literals(module)}
    assert not [message for title, message in MESSAGES.items() if title not in PROVOKED and message not in known]


def test_every_error_has_its_message_and_what_to_do() -> None:
    titles = re.findall(r"^### (.+)$", PAGE, re.MULTILINE)
    assert sorted(titles) == sorted(MESSAGES)
    assert set(PROVOKED) <= set(titles)
    assert all(re.search(rf"^### {re.escape(t)}\n\n```text\n.*?```\n\n\S", PAGE, re.M | re.S) for t in titles)
