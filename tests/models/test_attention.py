"""All windows of all pictures in one call: the same to the last bit on a CPU, and the right call on a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from s2h.models.attention import WINDOWS, attend, attend_in_windows
from s2h.models.loading import load_model, needs_mask
from s2h.supervision.formats import WORDS
from tests.models import eagle, internvl, qwen

GRIDS = [(1, 8, 10), (1, 4, 4), (1, 6, 14)]
"""Pictures of which most windows are whole and those at the edges are not."""


@pytest.fixture(scope="module")
def folder(readout: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("qwen")
    qwen.build(made, readout.vocabulary() | WORDS)
    return made


def features(model: Any, grids: list[tuple[int, int, int]]) -> tuple[Tensor, Tensor]:
    """Features of pictures of noise, and the gradient of their squares."""
    patches = sum(t * h * w for t, h, w in grids)
    pixels = torch.randn(patches, 1176, generator=torch.Generator().manual_seed(0))
    model.zero_grad()
    found = torch.cat(model.get_image_features(pixels, torch.tensor(grids)).pooler_output)
    found.square().sum().backward()
    return found, torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.parametrize("grids", [GRIDS[:1], GRIDS])
def test_windows_together_are_windows_one_by_one(folder: Path, grids: list[tuple[int, int, int]]) -> None:
    together = load_model(folder, dtype=torch.float32, attention="sdpa")
    assert together.model.visual.config._attn_implementation == WINDOWS
    apart = load_model(folder, dtype=torch.float32, attention="sdpa")
    apart.model.visual.config._attn_implementation = "sdpa"
    for one, other in zip(features(together, grids), features(apart, grids), strict=True):
        assert one.equal(other)


@pytest.mark.parametrize("build", [internvl.build, eagle.build])
def test_towers_without_windows_are_left_as_they_are(build: Any, readout: Any, tmp_path: Path) -> None:
    build(tmp_path, readout.vocabulary() | WORDS)
    assert attend_in_windows(load_model(tmp_path, dtype=torch.float32, attention="sdpa")) == 0


@pytest.mark.parametrize("scaling", [None, 80**-0.5, 0.3])
def test_a_gpu_computes_them_in_one_kernel(scaling: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch's own checks of shapes and types, with tensors that say they lie on a GPU."""
    from torch.nn.attention import varlen

    calls: list[Any] = []
    real = varlen.varlen_attn

    def seen(*arguments: Any, **options: Any) -> Any:
        calls.append((arguments, options))
        return real(*arguments, **options)

    monkeypatch.setattr(varlen, "varlen_attn", seen)
    monkeypatch.setattr(varlen, "_should_use_cudnn", lambda device: False)
    with FakeTensorMode():
        tensors = [torch.empty(1, 4, 100, 80, dtype=torch.bfloat16, device="cuda") for _ in range(3)]
        starts = torch.tensor([0, 64, 100], dtype=torch.int32, device="cuda")
        found, weights = attend(
            torch.nn.Identity(), *tensors, None, cu_seq_lens_q=starts, max_length_q=64, scaling=scaling, is_causal=False
        )
        assert (found.shape, found.dtype, found.device.type) == ((1, 100, 4, 80), torch.bfloat16, "cuda")
    assert weights is None
    ((arguments, options),) = calls
    assert [tuple(each.shape) for each in arguments[:3]] == [(100, 4, 80)] * 3
    assert (arguments[5:], options) == ((64, 64), {})


def test_models_whose_tokens_see_what_follows_need_a_mask(folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    assert not needs_mask(folder)
    assert not needs_mask(tiny_model)
    (tmp_path / "config.json").write_text('{"model_type": "paligemma"}')
    assert needs_mask(tmp_path)
