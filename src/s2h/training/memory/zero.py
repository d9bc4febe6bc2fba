"""How much memory a training takes of a GPU and of its host under DeepSpeed's ZeRO, by rule.

The rules are those by which DeepSpeed 0.19 allocates (``runtime/zero/stage_1_and_2.py``, ``stage3.py``); tests count
what it really allocates beside them.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from deepspeed.runtime.zero.config import DeepSpeedZeroConfig

_MASTER, _MOMENTS, _FP32, _FP64 = 4, 8, 4, 8
"""Bytes of a parameter: AdamW's own weights, its two moments, and numbers of two types."""
_NORM_CHUNK = 250_000_000  # elements whose norm ZeRO-3 takes at once


@dataclasses.dataclass(frozen=True, slots=True)
class ParameterCounts:
    """Numbers of parameters of a model.

    Attributes:
        parameters: all.
        learning: those that learn.
        largest: the most that one learning tensor holds.
    """

    parameters: int
    learning: int
    largest: int

    @classmethod
    def of(cls, model: Any) -> ParameterCounts:
        """Count the parameters of a model, which may be on the device ``meta``."""
        learning = [parameter.numel() for parameter in model.parameters() if parameter.requires_grad]
        return cls(sum(parameter.numel() for parameter in model.parameters()), sum(learning), max(learning))


@dataclasses.dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Bytes that a training takes at its peak.

    Attributes:
        gpu: of each GPU.
        host: of each node's memory: what is offloaded, and the weights while they are loaded.
    """

    gpu: int
    host: int


def estimate_memory(
    sizes: ParameterCounts, config: dict[str, Any], *, activations: int, world_size: int, local_world_size: int
) -> MemoryEstimate:
    """The memory that a training run takes.

    Args:
        sizes: of the model that is trained.
        config: DeepSpeed's, as ``read_config`` gives it.
        activations: bytes; see ``activations.measure_peak``.
        world_size: processes, each with a GPU.
        local_world_size: processes of a node.
    """
    zero = DeepSpeedZeroConfig(**config.get("zero_optimization", {}))
    bf16 = config.get("bf16", {}).get("enabled", False)
    wide = 2 if bf16 else _FP32
    accumulated = config.get("data_types", {}).get("grad_accum_dtype") or ("bf16" if bf16 else "fp32")
    memory = _Zero3 if zero.stage == 3 else _Zero2
    rule = memory(
        sizes=sizes,
        zero=zero,
        wide=wide,
        gradient=_FP32 if accumulated == "fp32" else 2,
        world_size=world_size,
        grad_accum_steps=config.get("gradient_accumulation_steps", 1),
    )
    loading = sizes.parameters * wide
    return MemoryEstimate(
        gpu=int(rule.always() + max(rule.backward() + activations, rule.step())),
        host=int(local_world_size * max(loading, rule.host())),
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """The memory model common to both ZeRO stages; all results are bytes of one process."""

    sizes: ParameterCounts
    zero: DeepSpeedZeroConfig
    wide: int
    gradient: int
    world_size: int
    grad_accum_steps: int

    @property
    def share(self) -> float:
        """Learning parameters whose optimizer a process holds."""
        return self.sizes.learning / (self.world_size if self.zero.stage else 1)

    @property
    def offloads(self) -> bool:
        """Whether the optimizer is in the host's memory."""
        return self.zero.offload_optimizer is not None and self.zero.offload_optimizer.device != "none"

    @property
    def bucket(self) -> float:
        """Gradients that wait until they are exchanged together; two buckets where that overlaps with computing."""
        if not (self.zero.contiguous_gradients or self.offloads):
            return 0
        buckets = 2 if self.zero.overlap_comm and self.zero.stage < 3 else 1
        return float(buckets * self.wide * self.zero.reduce_bucket_size)

    @property
    def optimizer(self) -> float:
        """AdamW's weights and moments."""
        return (_MASTER + _MOMENTS) * self.share

    def pinned(self, size: float) -> float:
        """Bytes of the host for a buffer from which a GPU copies: torch hands out powers of two of such memory."""
        pins = self.zero.offload_optimizer is not None and self.zero.offload_optimizer.pin_memory
        return float(1 << (int(size) - 1).bit_length()) if pins and size else size


class _Zero2(_Rule):
    """Weights are on every GPU; gradients (from stage 2 on) and the optimizer are spread."""

    @property
    def _widened(self) -> bool:
        """Whether gradients of bf16 are added up in fp32, in one buffer that is the optimizer's own."""
        return self.gradient > self.wide

    @property
    def _gradients(self) -> float:
        return self.gradient * (self.share if self.zero.stage == 2 else self.sizes.learning)

    def always(self) -> float:
        """From the first step to the last."""
        weights = self.wide * self.sizes.parameters
        return weights + (self.wide * self.sizes.largest if self.offloads else self.optimizer)

    def backward(self) -> float:
        """Beside the activations; with gradient accumulation a micro-batch's are added to those of all before it."""
        if self._widened:  # one at a time, or a bucket where it is exchanged
            at_once = max(self.sizes.largest, self.zero.reduce_bucket_size if self.world_size > 1 else 0)
            gradients = self._gradients + _FP32 * at_once
        else:
            gradients = 0 if self.offloads else self._gradients * (2 if self.grad_accum_steps > 1 else 1)
        norm = _FP64 * self.sizes.largest if self.offloads else 0
        return self.bucket + gradients + norm

    def step(self) -> float:
        """While the optimizer steps: gradients as they are, put together, and in fp32."""
        if self.offloads:
            return 0
        norm = self._gradients + _FP64 * min(self.sizes.largest, self.share)
        if self._widened:
            return norm
        return max(norm, 2 * self._gradients + (_FP32 * self.share if self.gradient < _FP32 else 0))

    def host(self) -> float:
        """Optimizer, fp32 gradients, weights on their way back, and accumulated gradients."""
        if not self.offloads:
            return 0
        flat = self.pinned(_MASTER * self.share) + self.pinned(_FP32 * self.share) + self.pinned(self.wide * self.share)
        accumulated = self.wide * self.share if self.grad_accum_steps > 1 and not self._widened else 0
        return flat + _MOMENTS * self.share + accumulated + self.wide * self.sizes.largest


class _Zero3(_Rule):
    """Weights are spread as well, and put together where they are needed."""

    @property
    def _spread(self) -> float:
        return self.wide * self.sizes.parameters / self.world_size

    @property
    def _offloads_weights(self) -> bool:
        return self.zero.offload_param is not None and self.zero.offload_param.device != "none"

    @property
    def _whole(self) -> float:
        """Weights that are put together at once, and those that are fetched next, still in pieces."""
        if self.world_size == 1 and not self._offloads_weights:
            return 0
        most = (self.zero.max_live_parameters, self.zero.prefetch_bucket_size)
        return float(self.wide * sum(min(number, self.sizes.parameters) for number in most))

    def always(self) -> float:
        """From the first step to the last."""
        kept = 0 if self.offloads else self.optimizer + self.gradient * self.share
        return self.bucket + kept + (0 if self._offloads_weights else self._spread)

    def backward(self) -> float:
        """Beside the activations."""
        return self._whole + (_FP64 * min(self.sizes.largest, _NORM_CHUNK) if self.offloads else 0)

    def step(self) -> float:
        """While the optimizer steps, one group of parameters after the other: gradients put together, and in fp32."""
        if self.offloads:
            return 0
        group = float(min(self.share, self.zero.sub_group_size))
        return group * (self.gradient + (_FP32 if self.gradient < _FP32 else 0))

    def host(self) -> float:
        """Optimizer, gradients as they come and in fp32, and the weights where they are offloaded."""
        if not self.offloads:
            return 0
        weights = self.pinned(self._spread) if self._offloads_weights else 0
        return weights + self.pinned(self.gradient * self.share) + (_FP32 * self.share) + self.optimizer
