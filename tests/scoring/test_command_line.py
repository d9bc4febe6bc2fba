"""What VLMEvalKit's command line is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from s2h.scoring import command_line


def test_all_options_but_our_own_are_passed_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def run(arguments: list[str], **_: Any) -> int:
        seen.extend(arguments)
        return 0

    monkeypatch.setattr(command_line, "run_command_line", run)
    rest = ["--mode", "infer", "--reuse", "--judge=exact_matching", "--work", "3"]
    words = ["--data", "MMMU", "MME", *rest, "--model", "GPT4o", "--work-dir", str(tmp_path)]
    assert command_line.main(words) == 0
    assert seen == ["--data", "MMMU", "MME", "--model", "GPT4o", *rest]
