"""Every command of the documentation, and how it is proved: python -m tests.docs.commands.

A command is run as it is, or on a small study in a copy of the project; Snakemake's other commands are planned (a dry
run with the config that they name); some are run by another test; and what needs a network, root or much time is done
by hand, with the reason. A new command must find its place here.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from tests.shipped import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]
_PROGRAMS = ("snakemake", "python", "make", "torchrun", "docker", "apptainer", "git", "source", "pre-commit")
_BLOCK = re.compile(r"^```(sh|)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)

IN_A_STUDY = [
    "snakemake -n",
    "snakemake results/tables/summary.csv",
    "snakemake puzzles",
    "snakemake results/gallery.html",
    "snakemake results/tables/accuracy.csv",
    "snakemake results/tables/alignment.csv",
    "snakemake tables",
    "snakemake figures",
    "snakemake failures",
    "snakemake",
    "snakemake --report report.html",
    "snakemake verify",
    "python -m s2h.provenance results/tables/summary.csv",
]
"""Commands for the default config that are run with a small study's, in this order."""

RUN = ["torchrun --standalone --nproc_per_node=2 -m s2h.training --help"]
"""Commands that are run as they are."""

ELSEWHERE = {
    "make setup": ".ci/run",
    "make lint": ".ci/run",
    "make test": ".ci/run",
    "python -m pytest tests/supervision": ".ci/run",
    "make run": "tests/workflow/test_plan.py::test_the_table_and_every_intermediate_are_there",
    "python -m s2h.config > config/schema.json": "tests/test_config.py::test_the_schema_file_is_that_of_the_code",
    "python -m pytest tests/contracts -k dot_counting": (
        "tests/workflow/test_new_task.py::test_it_passes_the_contract_tests"
    ),
    "snakemake results/validation/dot_counting.json": (
        "tests/workflow/test_new_task.py::test_it_is_made_checked_and_shown"
    ),
    **dict.fromkeys(
        (
            f"snakemake {words}"
            for made in ["--configfile config/paper.yaml config/base_model.yaml --config results=results/base"]
            for words in (f"corpora {made}", f"base_models {made} --profile slurm", f"{made} --profile slurm")
        ),
        "tests/corpora/test_base_model.py::study",
    ),
    "snakemake -n --configfile config/paper.yaml config/base_model.yaml --config results=results/base": (
        "tests/workflow/test_base_model_plan.py::test_the_plan_leads_from_the_published_parts_to_scores"
    ),
    "snakemake models --configfile config/paper.yaml config/base_model.yaml --config results=results/base": (
        "tests/workflow/test_base_model_plan.py::"
        "test_parts_are_fetched_under_their_names_before_going_where_there_is_no_network"
    ),
    "python -m s2h.models.eagle assemble released/clip released/convnext released/llama models/start --seed 0": (
        "tests/models/test_eagle_assembly.py::test_the_command_line_accounts_for_every_key"
    ),
    "python -m s2h.scoring --data table_readout-HARD-image --model results/models/…/phase-1": (
        "tests/scoring/test_tsv.py::test_vlmevalkit_s_command_line_runs_our_sets"
    ),
    "python -m s2h.scoring --data my.tsv --task table_readout --model my/folder GPT4o --mode all": (
        "tests/scoring/test_tsv.py::test_vlmevalkit_s_command_line_runs_our_sets"
    ),
    "python -m s2h.models.eagle convert released/Eagle-X2-Llama3-8B models/Eagle-X2-Llama3-8B": (
        "tests/models/test_eagle_conversion.py::test_the_command_line_accounts_for_every_key"
    ),
    "python -m benchmarks.gpu --dry-run": (
        "tests/benchmarks/test_gpu.py::test_every_section_runs_in_miniature_and_all_that_is_judged_is_right"
    ),
    "python -m s2h.models.eagle release results/models/…/phase-1 released/mine": (
        "tests/models/test_eagle_conversion.py::test_the_command_line_accounts_for_every_key"
    ),
}
"""Commands that another test, or the commands of CI, runs, in small where they would take long."""

BY_HAND = {
    "hf download PrincetonPLI/Eagle-X2-Llama3-8B --local-dir released/Eagle-X2-Llama3-8B": "it needs a network",
    "git clone <this repository> && cd s2h": "the address is the reader's",
    "source .venv/bin/activate": "it changes the reader's shell alone",
    "pre-commit install": "pre-commit is not among the packages; its hooks are those of make lint",
    "make vllm": "it takes 10 GB; docs/scoring.md says what was run",
    "make bench": "it takes long; docs/benchmarks.md holds what it printed",
    "python -m benchmarks.gpu --output gpu-results.json": "it needs a GPU; its dry run is proved",
    "python -m benchmarks.gpu --write gpu-results.json": "it needs results of a GPU; its tables are proved",
    "python -m benchmarks.gpu --pack packages": "it fetches 100 MB; docs/benchmarks.md says how large the file is",
    "python -m benchmarks.gpu --packages packages/gpu-packages.tar.xz --output gpu-results.json": "it needs a GPU",
    "docker build -t s2h -f containers/Dockerfile .": "it needs Docker and a network",
    "apptainer build s2h.sif containers/s2h.def && apptainer exec --nv s2h.sif snakemake": (
        "it needs Apptainer and a network"
    ),
}
"""Commands that no test runs, and why."""


@dataclasses.dataclass(frozen=True, slots=True)
class Command:
    """A command of a page.

    Attributes:
        words: the command without its comment.
        page: the page that has it, relative to the project.
    """

    words: str
    page: str

    @property
    def proof(self) -> str:
        """How it is proved; empty where nobody said so."""
        if self.words in ELSEWHERE:
            return ELSEWHERE[self.words]
        if self.words in BY_HAND:
            return f"by hand: {BY_HAND[self.words]}"
        if self.words in RUN:
            return "run"
        if self.words in IN_A_STUDY:
            return "run on a small study"
        return "planned" if self.words.startswith("snakemake") else ""


def commands_of(text: str) -> list[str]:
    """The commands in the blocks of a page: all lines of a block marked sh, those that call a program in plain ones."""
    found = []
    for block in _FENCED.findall(text):
        opened = _BLOCK.fullmatch(block)
        if opened is None:
            continue
        for line in opened[2].replace("\\\n", " ").splitlines():
            words = " ".join(re.sub(r"(^|\s)#.*", "", line).split())
            if words and (opened[1] == "sh" or words.split()[0] in _PROGRAMS):
                found.append(words)
    return found


def all_commands() -> list[Command]:
    """The commands of all pages, each once a page."""
    return [
        Command(words, str(page.relative_to(ROOT)))
        for page in PAGES
        for words in dict.fromkeys(commands_of(page.read_text()))
    ]


def own_config(page: str) -> str | None:
    """The file config/mine.yaml that a page has its reader write, its first YAML; None where it has none."""
    text = (ROOT / page).read_text()
    if "config/mine.yaml" not in text:
        return None
    return str(re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[0])


def write_own_config(project: Path, page: str) -> None:
    """Put it where the page says."""
    if (config := own_config(page)) is not None:
        (project / "config/mine.yaml").write_text(config)


if __name__ == "__main__":
    for command in all_commands():
        print(f"{command.words}\n    {command.page}: {command.proof or 'NOT PROVED'}")
