"""Time, memory and waiting of what runs on a GPU; on a CPU time alone."""

from __future__ import annotations

import gc
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

_GIB = 2**30


def on_gpu() -> bool:
    """Whether there is a GPU."""
    return torch.cuda.is_available()


def wait() -> None:
    """Wait until the GPU has done all that it was told."""
    if on_gpu():
        torch.cuda.synchronize()


def clear_memory() -> None:
    """Give back what is no longer needed, and measure the peak from here on."""
    gc.collect()
    if on_gpu():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_gib() -> float | None:
    """The most memory that tensors took since ``clear_memory``, GiB."""
    return round(torch.cuda.max_memory_allocated() / _GIB, 2) if on_gpu() else None


def seconds_of(run: Callable[[], object]) -> float:
    """Wall time of a call and of what the GPU does for it."""
    wait()
    began = time.perf_counter()
    run()
    wait()
    return time.perf_counter() - began


def median_seconds(run: Callable[[], object], *, times: int, warm_up: int = 2) -> float:
    """The middle one of some calls after a few that do not count."""
    for _ in range(warm_up):
        run()
    return sorted(seconds_of(run) for _ in range(times))[times // 2]


def waits_of(run: Callable[[], object]) -> int | None:
    """How often a call has the host wait for the GPU, as torch sees it."""
    if not on_gpu():
        return None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            run()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(each.message) for each in caught)


def kernel_seconds(run: Callable[[], object]) -> dict[str, Any] | None:
    """What the GPU computed in a call: seconds of its kernels, how many there were, and the five that took longest."""
    if not on_gpu():
        return None
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        run()
        wait()
    kernels = [each for each in profiled.key_averages() if each.self_device_time_total > 0]
    kernels.sort(key=lambda each: -each.self_device_time_total)
    return {
        "seconds": sum(each.self_device_time_total for each in kernels) / 1e6,
        "launched": sum(each.count for each in kernels),
        "longest": {each.key[:80]: round(each.self_device_time_total / 1e3, 2) for each in kernels[:5]},
    }


def distance(found: Tensor, expected: Tensor) -> float:
    """The norm of a difference by that of what was expected."""
    wide = expected.double()
    return float((found.double() - wide).norm() / wide.norm().clamp_min(1e-30))
