"""Liger's kernels go where the model has such layers; what they compute on a GPU is a matter of ``benchmarks.gpu``."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from s2h.errors import ModelError
from s2h.models.kernels import choose_kernels
from s2h.models.loading import load_model
from s2h.models.settings import TrainingSettings
from s2h.supervision.formats import WORDS
from tests.models import eagle, qwen

liger = pytest.importorskip("liger_kernel.transformers.functional")


def settings(kernels: str) -> TrainingSettings:
    values = {"learning_rate": 1, "batch_size": 1, "micro_batch_size": 1, "max_length": 8, "kernels": kernels}
    return TrainingSettings.model_validate(values)


def plain_norm(hidden: Tensor, weight: Tensor, eps: float, in_place: bool = True) -> Tensor:
    assert not in_place
    return weight * hidden * torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + eps)


@pytest.fixture(params=["llava", "qwen", "eagle"])
def folder(request: Any, tiny_model: Path, readout: Any, tmp_path: Path) -> Path:
    if request.param == "llava":
        return tiny_model
    build = {"qwen": qwen.build, "eagle": eagle.build}[request.param]
    build(tmp_path, readout.vocabulary() | WORDS)
    return tmp_path


def computed(model: Any) -> tuple[Tensor, Tensor]:
    ids = torch.arange(18).reshape(2, 9) % 7 + 9
    model.zero_grad()
    logits = model(input_ids=ids).logits
    logits.float().log_softmax(-1)[..., 1].sum().backward()
    gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    return logits, torch.cat(gradients)


def test_norms_and_feed_forward_layers_are_computed_by_liger(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With Liger's functions replaced by their formulas, as they run on a GPU alone."""
    model = load_model(folder, dtype=torch.float32, attention="sdpa").eval()
    expected = computed(model)
    calls: list[str] = []

    def norm(*arguments: Any, **options: Any) -> Tensor:
        calls.append("norm")
        return plain_norm(*arguments, **options)

    def swiglu(a: Tensor, b: Tensor) -> Tensor:
        calls.append("swiglu")
        return functional.silu(a) * b

    monkeypatch.setattr(liger, "liger_rms_norm", norm)
    monkeypatch.setattr(liger, "liger_swiglu", swiglu)
    assert choose_kernels(model, settings("auto"), device="cuda") == "liger"
    for found, wanted in zip(computed(model), expected, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
    layers = model.config.get_text_config().num_hidden_layers
    assert (calls.count("swiglu"), calls.count("norm")) == (layers, 2 * layers + 1)


def test_the_installed_package_has_the_functions_as_they_are_called() -> None:
    assert {"eps", "in_place"} <= inspect.signature(liger.liger_rms_norm).parameters.keys()
    assert len(inspect.signature(liger.liger_swiglu).parameters) == 2


def test_on_a_cpu_models_are_computed_plainly_or_the_setting_is_refused(tiny_model: Path) -> None:
    model = load_model(tiny_model, dtype=torch.float32, attention="eager")
    for kernels in ("plain", "auto"):
        assert choose_kernels(model, settings(kernels), device="cpu") == "plain"
    with pytest.raises(ModelError, match=r"training\.kernels is liger, but they need a GPU"):
        choose_kernels(model, settings("liger"), device="cpu")


def test_a_missing_package_is_named_where_it_is_asked_for(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "liger_kernel.transformers.functional", None)
    model = load_model(tiny_model, dtype=torch.float32, attention="eager")
    assert choose_kernels(model, settings("auto"), device="cuda") == "plain"
    with pytest.raises(ModelError, match="pip install liger-kernel"):
        choose_kernels(model, settings("liger"), device="cuda")
