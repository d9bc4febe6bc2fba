"""``precision: auto``: what a device computes fastest."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch

from s2h.overlays import read_config
from s2h.training.job import Job
from s2h.training.model import with_precision


def job(precision: str) -> Job:
    settings = read_config().models["tiny"].training.model_copy(update={"precision": precision})
    files: dict[str, Any] = dict.fromkeys(
        ("base", "mixture", "output", "checkpoints", "metrics", "tensorboard"), Path("any")
    )
    return Job(title="t", seed=0, settings=settings, **files)


@pytest.mark.parametrize(
    ("device", "has_bf16", "expected"),
    [("cuda", False, "bf16"), ("cpu", True, "bf16-mixed"), ("cpu", False, "fp32")],
)
def test_auto_is_bf16_where_it_is_computed_by_the_device(device: str, has_bf16: bool, expected: str) -> None:
    with (
        mock.patch.object(torch.cpu, "_is_avx512_bf16_supported", return_value=has_bf16),
        mock.patch.object(torch.cpu, "_is_amx_tile_supported", return_value=False),
    ):
        assert with_precision(job("auto"), torch.device(device)).settings.precision == expected


@pytest.mark.parametrize("precision", ["fp32", "bf16", "bf16-mixed"])
def test_what_is_named_stays(precision: str) -> None:
    assert with_precision(job(precision), torch.device("cpu")).settings.precision == precision
