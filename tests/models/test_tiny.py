"""The tiny model as it starts."""

from pathlib import Path
from typing import Any

import torch

from s2h.models.loading import load_model
from s2h.models.sources import TinySource
from s2h.models.tiny import build


def load(folder: Path) -> Any:
    return load_model(folder, dtype=torch.float32, attention="eager")


def test_it_has_about_a_million_parameters_and_places_that_are_rows_plus_columns(tmp_path: Path) -> None:
    build(TinySource(), vocabulary={"n", "a", "7"}, image_size=80, seed=0, folder=tmp_path / "base")
    model = load(tmp_path / "base")
    assert 0.5e6 < sum(p.numel() for p in model.parameters()) < 1.5e6
    (places,) = [p for name, p in model.named_parameters() if name.endswith("position_embedding.weight")]
    grid = places[1:].detach().unflatten(0, (5, 5))
    torch.testing.assert_close(grid[1:] - grid[:1], (grid[1:, :1] - grid[:1, :1]).expand(-1, 5, -1))


def test_the_seed_alone_decides_the_weights(tmp_path: Path) -> None:
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        build(TinySource(), vocabulary={"n"}, image_size=32, seed=seed, folder=tmp_path / name)
    one, same, other = (load(tmp_path / name).lm_head.weight for name in ("one", "same", "other"))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
