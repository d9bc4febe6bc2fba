"""What the machine is, and the most that it can do: bf16 products and copies."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version

import torch

from benchmarks.gpu.measuring import median_seconds, on_gpu
from benchmarks.gpu.models import device
from benchmarks.gpu.sections import Report, Results

_PACKAGES = (
    *("torch", "torchvision", "transformers", "accelerate", "peft", "timm", "deepspeed", "liger-kernel", "triton"),
    *("pydantic", "polars", "pyarrow", "numpy", "zlib-ng"),
)


def measure(report: Report, *, dry: bool) -> None:
    """Versions and ceilings."""
    report.attempt("software", _software)
    report.attempt("card", _card)
    report.attempt("bf16_product", lambda: _product(256 if dry else 8192))
    report.attempt("copy", lambda: _copy(2**20 if dry else 2**32))


def _software() -> Results:
    found = {"python": platform.python_version(), "cuda": torch.version.cuda, "cores": os.cpu_count()}
    return found | {name: _version(name) for name in _PACKAGES}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _card() -> Results:
    if not on_gpu():
        return {"name": "no GPU"}
    asked = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    output = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    free, total = torch.cuda.mem_get_info()
    return {"name": torch.cuda.get_device_name(), "nvidia_smi": output, "free_bytes": free, "total_bytes": total}


def _product(side: int) -> Results:
    """Square matrices of random numbers: zeros would be faster."""
    one, other = (torch.randn(side, side, device=device(), dtype=torch.bfloat16) for _ in range(2))
    seconds = median_seconds(lambda: one @ other, times=10, warm_up=3)
    return {"side": side, "ms": seconds * 1e3, "tflops": 2 * side**3 / seconds / 1e12}


def _copy(size: int) -> Results:
    source = torch.randint(0, 255, (size,), device=device(), dtype=torch.uint8)
    target = torch.empty_like(source)
    seconds = median_seconds(lambda: target.copy_(source), times=10, warm_up=3)
    return {"bytes": size, "read_and_written_gb_per_s": 2 * size / seconds / 1e9}
