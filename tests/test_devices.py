"""GPUs: how they are counted, which branch is taken where there are some, and what is said where there are not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from s2h import devices
from s2h.devices import count_gpus, local_device, missing_gpus, visible_gpus
from s2h.errors import ModelError, TrainingError
from s2h.models.settings import ScoringSettings
from s2h.overlays import read_config
from s2h.scoring import backends, decoding
from s2h.training import alignment, metrics, peak_flops, processes, trainer
from s2h.training import launch as launching
from s2h.training.job import Job
from s2h.training.memory import fitting
from s2h.training.snapshots import Snapshot

SETTINGS = ScoringSettings(max_new_tokens=1)
LISTED = "GPU 0: NVIDIA H100 (UUID: GPU-a)\n  MIG 1g.10gb Device 0: (UUID: MIG-b)\nGPU 1: NVIDIA H100 (UUID: GPU-c)"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without GPUs, driver or its program; what is put into the folder is its /dev and its PATH."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(devices, "_NODES", tmp_path)
    monkeypatch.setattr(devices, "_DRIVER", tmp_path / "version")
    return tmp_path


def nvidia_smi(folder: Path, says: str, code: int = 0) -> None:
    """A program in the place of NVIDIA's."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho '{says}'\nexit {code}\n")
    program.chmod(0o755)


def driver(folder: Path, version: str) -> None:
    (folder / "version").write_text(
        f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {version}  Sun Jul 27 2025\nGCC version:  gcc 13.3.0\n"
    )


def give_torch(monkeypatch: pytest.MonkeyPatch, gpus: int) -> list[int]:
    """Let torch find GPUs; gives the list of those that are made the current one."""
    current: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    return current


def test_gpus_are_those_that_the_driver_lists_or_that_have_a_device(bare: Path) -> None:
    assert count_gpus() == 0
    for name in ("nvidia0", "nvidia1", "nvidia10", "nvidiactl", "nvidia-uvm"):
        (bare / name).touch()
    assert count_gpus() == 3
    nvidia_smi(bare, LISTED)
    assert count_gpus() == 2
    nvidia_smi(bare, "NVIDIA-SMI has failed", code=9)
    assert count_gpus() == 3


@pytest.mark.parametrize(
    ("named", "seen"),
    [
        (None, "0 1 2 3"),
        ("", ""),
        ("-1", ""),
        ("2", "2"),
        ("3, 1", "3 1"),
        ("0,4,1", "0"),
        ("GPU-a,MIG-b", "GPU-a MIG-b"),
        ("NoDevFiles", ""),
    ],
)
def test_gpus_are_seen_as_cuda_sees_them(monkeypatch: pytest.MonkeyPatch, named: str | None, seen: str) -> None:
    monkeypatch.setenv("S2H_FAKE_GPUS", "4")
    if named is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert visible_gpus() == seen.split()


def test_no_gpu_is_seen_where_none_is_whatever_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,0")
    assert visible_gpus() == []


def test_planning_counts_gpus_without_torch() -> None:
    code = "import sys; from s2h.devices import visible_gpus; visible_gpus(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_each_process_has_the_gpu_of_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    assert local_device() == torch.device("cpu")
    current = give_torch(monkeypatch, 2)
    assert [local_device(rank) for rank in (0, 1)] == [torch.device("cuda:0"), torch.device("cuda:1")]
    assert current == [0, 1]
    with pytest.raises(ModelError, match="process 3 of this node has no GPU of its own, as only 2 can be used"):
        local_device(2)


def test_gpus_that_are_named_are_used_or_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    give_torch(monkeypatch, 1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(ModelError, match=r"2 GPUs were asked for, but 1 can be used: .*CUDA_VISIBLE_DEVICES is 0,1"):
        local_device()
    give_torch(monkeypatch, 0)
    with pytest.raises(ModelError, match="2 GPUs were asked for, but 0 can be used"):
        local_device()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert local_device() == torch.device("cpu")


@pytest.mark.parametrize(
    ("cuda", "loaded", "told"),
    [
        ("13.0", "535.183.01", "the NVIDIA driver is 535.183.01, but torch .* for CUDA 13.0 needs 580.65.06 or later"),
        ("13.0", "580.65.05", "the NVIDIA driver is 580.65.05, but"),
        ("12.6", "450.80.02", "for CUDA 12.6 needs 525.60.13 or later: update it"),
        ("13.2", "580.65.06", "the driver is there, but no GPU: containers need docker run --gpus all, or apptainer"),
        ("13.0", "", "no NVIDIA driver is loaded; torch .* for CUDA 13.0 needs 580.65.06 or later"),
        (None, "580.65.06", "is built for the CPU alone"),
    ],
)
def test_what_keeps_gpus_from_being_used_is_found(
    bare: Path, monkeypatch: pytest.MonkeyPatch, cuda: str | None, loaded: str, told: str
) -> None:
    monkeypatch.setattr(torch.version, "cuda", cuda)
    if loaded:
        driver(bare, loaded)
    with pytest.raises(ModelError, match=f"2 GPUs were asked for, but 0 can be used: .*{told}.*; CUDA_VISIBLE"):
        raise ModelError(missing_gpus(2, 0))


def test_the_driver_s_version_comes_from_its_program_where_the_system_does_not_tell(bare: Path) -> None:
    nvidia_smi(bare, "NVIDIA-SMI version  : 580.95.05\nDRIVER version      : 580.95.05")
    assert devices.driver_version() == "580.95.05"


@pytest.mark.parametrize(("gpus", "wanted"), [(2, ("cuda:1", "nccl")), (0, ("cpu", "gloo"))])
def test_a_process_of_a_training_has_its_gpu_and_nccl(
    monkeypatch: pytest.MonkeyPatch, gpus: int, wanted: tuple[str, str]
) -> None:
    joined: dict[str, Any] = {}
    monkeypatch.setattr(processes.deepspeed, "init_distributed", lambda **told: joined.update(told))
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)
    monkeypatch.setenv("RANK", "9")
    monkeypatch.setenv("LOCAL_RANK", "1")
    current = give_torch(monkeypatch, gpus)
    assert (str(processes.join_processes()), joined["dist_backend"]) == wanted
    assert current == [1][:gpus]  # before the processes meet, for NCCL takes the current GPU
    assert joined["timeout"].total_seconds() > 3600


class LoadedError(Exception):
    """Stands for a model that was loaded and put somewhere, and ends what would use it."""


def catch_model(monkeypatch: pytest.MonkeyPatch, module: Any) -> None:
    """Let a module's models say, as an error, in what precision they were loaded, and where to."""

    class Model:
        def __init__(self, folder: str, *, dtype: torch.dtype, attention: str) -> None:
            self.told = [str(dtype), attention]

        def to(self, device: torch.device) -> None:
            raise LoadedError(*self.told, str(device))

    monkeypatch.setattr(module, "load_model", Model)


@pytest.mark.parametrize(
    ("gpus", "wanted"), [(2, ("torch.bfloat16", "sdpa", "cuda:1")), (0, ("torch.float32", "eager", "cpu"))]
)
def test_a_process_that_decodes_has_its_gpu_and_bf16(
    monkeypatch: pytest.MonkeyPatch, gpus: int, wanted: tuple[str, ...]
) -> None:
    give_torch(monkeypatch, gpus)
    catch_model(monkeypatch, decoding)
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)
    with pytest.raises(LoadedError) as loaded:
        backends._load_worker(1, "folder", SETTINGS, 0.5, {})
    assert loaded.value.args == wanted


@pytest.mark.parametrize(
    ("gpus", "wanted"), [(1, ("torch.float32", "sdpa", "cuda:0")), (0, ("torch.float32", "eager", "cpu"))]
)
def test_alignment_is_measured_on_the_gpu(
    monkeypatch: pytest.MonkeyPatch, gpus: int, wanted: tuple[str, ...], bare: Path
) -> None:
    give_torch(monkeypatch, gpus)
    catch_model(monkeypatch, alignment)
    question: Any = None
    with pytest.raises(LoadedError) as loaded:
        next(alignment._measure(Snapshot(bare, 1, 1, 0, 0.9), {}, question))
    assert loaded.value.args == wanted


@pytest.mark.parametrize("module", ["s2h.scoring.decode_and_score", "s2h.training.alignment", "s2h.training.launch"])
def test_jobs_can_claim_gpus_after_their_imports(module: str) -> None:
    """CUDA looks at CUDA_VISIBLE_DEVICES once, when it is first asked for anything: by no import."""
    code = (
        "import sys, torch\n"
        "def asked(): sys.exit('CUDA was asked')\n"
        "torch._C._cuda_getDeviceCount = torch.cuda.is_available = torch.cuda.device_count = asked\n"
        f"import {module}"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_decoding_plans_with_the_memory_of_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = object.__new__(decoding.Decoder)
    decoder.model, decoder.settings, decoder._share = SimpleNamespace(device=torch.device("cuda")), SETTINGS, 1.0
    memory = {"mem_get_info": (1000, 2000), "memory_reserved": 600, "memory_allocated": 100}
    for name, value in memory.items():
        monkeypatch.setattr(torch.cuda, name, lambda value=value: value)
    monkeypatch.setattr(decoding.Decoder, "encode", lambda self, prompts: {"input_ids": torch.zeros(1, 5)})
    monkeypatch.setattr(decoding, "example_bytes", lambda model, tokens, new: 10)
    assert decoder._fitting([decoding.Prompt("a", None)]) == 90  # 0.6 of what is free, or reserved and not in use


def test_a_training_looks_at_the_memory_of_its_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    device = torch.device("cuda", 1)
    monkeypatch.setattr(fitting.dist, "get_world_size", lambda: 8)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    asked: list[torch.device] = []
    told = {
        "mem_get_info": (100, 200),
        "max_memory_allocated": 70,
        "get_device_name": "NVIDIA H100 80GB HBM3",
    }
    for name, value in told.items():
        monkeypatch.setattr(torch.cuda, name, lambda place, value=value: asked.append(place) or value)
    machine = fitting.Machine.here(device)
    assert (machine.gpu, machine.world_size, machine.local_world_size) == (95, 8, 4)
    assert metrics.peak_memory(device) == 70
    assert peak_flops.device_peak(device, "bf16") == 989.5e12
    assert asked == [device] * 3


def test_a_gpu_without_memory_is_answered_with_what_to_change() -> None:
    with pytest.raises(TrainingError, match="the GPU ran out of memory: lower"), trainer._memory_advice({}):
        raise torch.OutOfMemoryError("no more")


@pytest.mark.parametrize(
    ("gpus", "pretended", "wanted"), [(2, "0", (2, "cuda")), (2, "4", (2, "cpu")), (0, "0", (3, "cpu"))]
)
def test_a_training_starts_a_process_for_each_gpu_and_deepspeed_takes_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, gpus: int, pretended: str, wanted: tuple[int, str]
) -> None:
    class StartedError(Exception):
        pass

    def start(command: list[str], environment: dict[str, str]) -> None:
        raise StartedError(int(command[3].rpartition("=")[2]), environment["DS_ACCELERATOR"])

    nowhere = dict.fromkeys(("base", "mixture", "output", "checkpoints", "metrics", "tensorboard"), tmp_path)
    job = Job(title="test", seed=0, settings=read_config().models["tiny"].training, **nowhere)
    monkeypatch.setattr(launching, "_start", start)
    monkeypatch.setenv("S2H_FAKE_GPUS", pretended)
    with pytest.raises(StartedError) as started:
        launching.launch(job, log=tmp_path / "log", threads=3, gpus=gpus, nodes=1)
    assert started.value.args == wanted
