"""How much memory a model needs to compute a micro-batch forward and backward, measured without a GPU.

The batch is computed with tensors that have shapes and types but no values (torch's FakeTensorMode), and the bytes that
are alive are counted. What a GPU's allocator and its libraries take beside them is not.
"""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

_BLOCK = 512
"""Bytes in whose multiples a GPU's memory is given out."""

_FUSED = "flash_placeholder"
"""Attention as fused kernels have it, which keep no L x L matrix. The name begins like FlashAttention's, so that a
vision tower that cuts its picture into windows calls it once a layer, as it does with the real one, not once a window.
On the CPU, whose tensors the fake ones are, torch's own attention saves what the kernels of GPUs save."""

AttentionInterface.register(_FUSED, sdpa_attention_forward)
AttentionMaskInterface.register(_FUSED, sdpa_mask)


@dataclasses.dataclass(frozen=True, slots=True)
class Peak:
    """Bytes that a forward and backward pass needs of a GPU that holds the whole model.

    Attributes:
        weights: parameters and buffers.
        gradients: of all parameters that learn, in the type of the weights.
        activations: the most that is alive at once beside both: what is saved for the backward pass, inputs, the loss,
            and the gradient that is being made; a finished one counts as gone, into ``gradients``.
    """

    weights: int
    gradients: int
    activations: int


class Live(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of all tensors that are alive; tensors that share memory count once.

    Attributes:
        now: bytes alive.
        most: bytes that were alive at once.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.most = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        self.add(result)
        return result

    def add(self, tensors: Any) -> None:
        """Count the tensors of a nest of lists, tuples and dicts until they are gone."""
        for tensor in tree_iter(tensors):
            if isinstance(tensor, Tensor) and tensor.layout == torch.strided and tensor.device.type != "meta":
                self._add_storage(tensor.untyped_storage())

    def _add_storage(self, storage: Any) -> None:
        if storage._cdata in self._known:
            return
        size = -(-storage.nbytes() // _BLOCK) * _BLOCK
        self._known.add(storage._cdata)
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._remove, storage._cdata, size)

    def _remove(self, name: int, size: int) -> None:
        self._known.discard(name)
        self.now -= size


def measure_peak(model: Any, batch: dict[str, Tensor], loss: Callable[[Any, dict[str, Tensor]], Tensor]) -> Peak:
    """The memory of one micro-batch, forward and backward. Seconds of one core, whatever the size of the model.

    Integers of the batch (token ids, masks, grids of images) keep their values, as models read lengths from them; all
    else has none.

    Args:
        model: on the device ``meta``, as ``weightless_model`` gives it, ready to be trained: frozen, with adapters,
            with gradient checkpointing, each where it shall be. It is of no use afterwards.
        batch: what ``collate.with_targets`` gives, on the CPU.
        loss: the loss of a model for a batch, a scalar.
    """
    _use_fused_attention(model)
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    with fake:
        model.to_empty(device="cpu")
    model.tie_weights()
    live = Live()
    live.add([*model.parameters(), *model.buffers()])
    weights = live.now
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in learning:
        parameter.register_post_accumulate_grad_hook(_forget_gradient)
    inputs = {name: fake.from_tensor(value) if value.is_floating_point() else value for name, value in batch.items()}
    live.add(inputs)
    with live, torch.enable_grad():  # importing VLMEvalKit turns gradients off
        loss(model, inputs).backward()  # type: ignore[no-untyped-call]
    gradients = sum(parameter.numel() * parameter.element_size() for parameter in learning)
    return Peak(weights=weights, gradients=gradients, activations=live.most - weights)


def _forget_gradient(parameter: Tensor) -> None:
    parameter.grad = None


def _use_fused_attention(model: nn.Module) -> None:
    """Put the placeholder in the place of any attention but the plain one, which does keep its matrices."""
    for part in model.modules():
        if isinstance(part, PreTrainedModel) and part.config._attn_implementation != "eager":
            part.config._attn_implementation = _FUSED
