"""What a training needs by rule is what DeepSpeed allocates."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from s2h.training.memory.zero import MemoryEstimate, ParameterCounts, estimate_memory
from tests.shipped import ROOT
from tests.training.memory.zero_memory import LAYERS, ROUNDS, WIDTH, stack
from tests.training.test_trainer import ENVIRONMENT

BILLION = ParameterCounts(10**9, 10**9, 10**8)
WIDENED = {"data_types": {"grad_accum_dtype": "fp32"}}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "zero2": ("zero2", {}),
    "zero2, fp32 gradients": ("zero2", WIDENED),
    "zero3": ("zero3", {}),
    "zero3, fp32 gradients": ("zero3", WIDENED),
    "zero2_offload": ("zero2_offload", {}),
    "zero3_offload": ("zero3_offload", {}),
}


def config(file: str, *, bucket: int | None = None, grad_accum_steps: int = 1, **more: Any) -> dict[str, Any]:
    """A shipped file with what a training fills in."""
    found: dict[str, Any] = json.loads((ROOT / f"config/deepspeed/{file}.json").read_text()) | more
    if bucket:
        found["zero_optimization"]["reduce_bucket_size"] = bucket
        for name in ("offload_optimizer", "offload_param"):  # a CPU pins nothing
            if name in found["zero_optimization"]:
                found["zero_optimization"][name]["pin_memory"] = False
    return found | {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": grad_accum_steps,
        "gradient_clipping": 1.0,
        "bf16": {"enabled": True},
        "steps_per_print": 2**31,
    }


@pytest.mark.parametrize("world_size", [1, 2])
def test_the_rules_give_what_deepspeed_allocates(world_size: int, tmp_path: Path) -> None:
    """Never less, and hardly more. A CPU copies no offloaded weights to itself, as one GPU does: nothing to compare."""
    kinds = {name: kind for name, kind in KINDS.items() if (world_size, name) != (1, "zero3_offload")}
    configs = {
        name: config(file, bucket=2 * WIDTH**2, grad_accum_steps=ROUNDS, **more) for name, (file, more) in kinds.items()
    }
    paths = [tmp_path / f"{number}.json" for number in range(len(configs))]
    for path, each in zip(paths, configs.values(), strict=True):
        path.write_text(json.dumps(each))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={world_size}"]
    command = [*launcher, "-m", "tests.training.memory.zero_memory", str(tmp_path / "found.json"), *map(str, paths)]
    environment = ENVIRONMENT | {"DS_ACCELERATOR": "cpu"}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=900)
    assert run.returncode == 0, run.stderr[-3000:]
    sizes = ParameterCounts.of(stack())
    assert sizes == ParameterCounts(LAYERS * WIDTH**2, LAYERS * WIDTH**2, WIDTH**2)
    found = dict(zip(configs, json.loads((tmp_path / "found.json").read_text()), strict=True))
    expected = {name: sum(_on_one(sizes, each, world_size)) for name, each in configs.items()}
    ratios = {name: found[name] / number for name, number in expected.items()}
    assert all(0.8 < ratio < 1.02 for ratio in ratios.values()), ratios


def _on_one(sizes: ParameterCounts, config: dict[str, Any], world_size: int) -> tuple[int, int]:
    """What a process has on its GPU, and offloaded; of the activations there is the gradient that is being made."""
    found = estimate_memory(sizes, config, activations=2 * sizes.largest, world_size=world_size, local_world_size=1)
    return found.gpu, found.host if "offload_optimizer" in config["zero_optimization"] else 0


def test_activations_count_where_the_backward_pass_is_the_peak() -> None:
    def gpu(activations: int) -> int:
        return estimate_memory(BILLION, config("zero2"), activations=activations, world_size=1, local_world_size=1).gpu

    assert gpu(0) == gpu(2 * 10**9) == 22 * 10**9  # the optimizer's step
    assert gpu(20 * 10**9) == (14 + 2 + 2 + 20) * 10**9  # weights and optimizer, gradients, buckets, activations


def test_adapters_leave_nothing_but_the_weights() -> None:
    sizes = ParameterCounts(10**9, 10**7, 10**6)
    found = estimate_memory(sizes, config("zero2"), activations=0, world_size=1, local_world_size=1)
    assert found.gpu == pytest.approx(2e9 + 12e7 + 2e9 + 2e7)  # two buckets are always whole


def test_pinned_memory_is_handed_out_in_powers_of_two() -> None:
    found = estimate_memory(BILLION, config("zero2_offload"), activations=0, world_size=1, local_world_size=1)
    assert found.host == 2 * 2**32 + 2**31 + 8 * 10**9 + 2 * 10**8


def test_a_node_holds_the_weights_of_each_process_while_they_are_loaded() -> None:
    found = estimate_memory(BILLION, config("zero3"), activations=0, world_size=16, local_world_size=8)
    assert found == MemoryEstimate(gpu=found.gpu, host=8 * 2 * 10**9)
