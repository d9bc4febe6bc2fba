"""How many floating-point operations (FLOPs) the training of an example takes, forwards and backwards.

They are counted by torch's own counter (``torch.utils.flop_counter``) on the model without its weights: it knows every
matrix product and convolution of any model of transformers, and whether anything learns that a product of the backward
pass is for. The counts of a few sizes give those of all, as a decoder's work is a polynomial of the example's length.

What is counted is the model's work, not that of a machine: the causal half of the decoder's attention, one pass
forwards (gradient checkpointing makes another, which does not count), no padding, and no element-wise operations.
docs/metrics.md has the formula.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils import _pytree
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from s2h.errors import ModelError
from s2h.models.adapters import with_adapters
from s2h.models.loading import weightless_model
from s2h.models.parts import freeze, linear_layers, part_of
from s2h.models.settings import LoraSettings
from s2h.phases import ModelPart

_LENGTHS = (128, 256)  # tokens of the examples on which the decoder's work is counted
_SIDES = (224, 448, 896, 112, 56)  # pixels; the first two that the processor tells apart are counted


@dataclasses.dataclass(frozen=True, slots=True)
class FlopModel:
    """FLOPs of a training example, by what it is made of; all of them forwards and backwards.

    Attributes:
        token: of each token, image tokens included: the decoder's linear layers.
        pair: of each pair of a token and one that it attends to, itself or an earlier one.
        target: of each target token: the output layer, which no other token goes through.
        pixel: of each number of ``pixel_values``: vision tower and projector.
        pixel_pair: of the square of their number: attention over a whole image, where images have different sizes.
    """

    token: float
    pair: float
    target: float
    pixel: float
    pixel_pair: float

    @classmethod
    def of(
        cls,
        folder: str | Path,
        processor: Any,
        *,
        frozen: Collection[ModelPart] = (),
        lora: LoraSettings | None = None,
    ) -> FlopModel:
        """Count for a model folder; no weights are read.

        Args:
            folder: what ``save_pretrained`` wrote.
            processor: of the model, with the options of the training: it decides how large images become.
            frozen: parts that do not learn.
            lora: adapters that learn in place of the weights; None where the weights do.

        Raises:
            ModelError: the model cannot be built, or what it computes depends on more than shapes.
        """
        model = weightless_model(
            folder, attn_implementation="eager", dtype=torch.bfloat16, experts_implementation="batched_mm"
        ).eval()
        freeze(model, frozen)
        if lora:
            with torch.device("meta"):
                with_adapters(model, lora, linear_layers(model, frozen))
        try:
            token, pair = _decoder(model)
            return cls(token, pair, _output_layer(model), *_vision(model, processor))
        except Exception as error:  # any family may do what no other does
            raise ModelError(f"the FLOPs of {folder} cannot be counted: {type(error).__name__}: {error}") from error

    def flops(
        self, tokens: NDArray[np.int64], targets: NDArray[np.int64], pixels: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """FLOPs of examples, ``float64[examples]``.

        Args:
            tokens: of each example, image tokens included, ``int64[examples]``.
            targets: of these the ones in the loss, ``int64[examples]``.
            pixels: how many numbers its ``pixel_values`` hold, ``int64[examples]``; 0 without an image.
        """
        length, size = np.asarray(tokens, dtype=np.float64), np.asarray(pixels, dtype=np.float64)
        decoder = self.token * length + self.pair * length * (length + 1) / 2 + self.target * targets
        return decoder + self.pixel * size + self.pixel_pair * size**2


def _decoder(model: Any) -> tuple[float, float]:
    """FLOPs of a token and of a pair of tokens in the decoder; eager attention computes all pairs, masked ones too."""
    return _parabola(_LENGTHS, [_counted(partial(_decoded, model, length)) for length in _LENGTHS])


def _decoded(model: Any, length: int) -> Any:
    """The last hidden states of the decoder for a sequence."""
    hidden = _hidden(model, length, requires_grad=_learns_before(model))
    return model.get_decoder()(inputs_embeds=hidden, use_cache=False).last_hidden_state


def _learns_before(model: Any) -> bool:
    """Whether anything learns before the decoder's first layer: then the backward pass goes through all layers."""
    rest = (parameter for name, parameter in model.named_parameters() if part_of(name) != "language")
    return any(parameter.requires_grad for parameter in (*rest, *model.get_input_embeddings().parameters()))


def _output_layer(model: Any) -> float:
    """FLOPs of a target token in the layer that gives the logits."""
    hidden = _hidden(model, 1, requires_grad=True)
    return float(_counted(lambda: model.get_output_embeddings()(hidden)))


def _hidden(model: Any, length: int, *, requires_grad: bool) -> Tensor:
    """A sequence in the width and type of the words' embeddings, ``[1, length, width]``."""
    words = model.get_input_embeddings().weight
    return torch.empty(1, length, words.shape[1], dtype=words.dtype, device="meta", requires_grad=requires_grad)


def _vision(model: Any, processor: Any) -> tuple[float, float]:
    """FLOPs of a pixel and of a pair of pixels in vision tower and projector."""
    prepared: dict[int, Mapping[str, Any]] = {}
    for side in _SIDES:
        if len(prepared) < 2:
            inputs = processor.image_processor(images=[Image.new("RGB", (side, side), "grey")], return_tensors="pt")
            prepared[inputs["pixel_values"].numel()] = inputs
    sizes = list(prepared)
    return _parabola(sizes, [_counted(partial(_features, model, prepared[size])) for size in sizes])


def _features(model: Any, inputs: Mapping[str, Any]) -> tuple[Any, ...]:
    """The image features that the decoder is given."""
    known = inspect.signature(model.get_image_features).parameters
    given = {name: value for name, value in inputs.items() if name in known}
    outputs = model.get_image_features(**given)
    return outputs.pooler_output, getattr(outputs, "deepstack_features", None)


def _parabola(sizes: Sequence[int], counts: Sequence[int]) -> tuple[float, float]:
    """(a, b) of ``a * x + b * x**2`` through one or two counts; b is 0 for one."""
    if len(sizes) == 1:
        return counts[0] / sizes[0], 0.0
    (x, y), (each_x, each_y) = sizes, [count / size for count, size in zip(counts, sizes, strict=True)]
    bend = (each_y - each_x) / (y - x)
    return each_x - bend * x, bend


def _counted(compute: Callable[[], Any]) -> int:
    """FLOPs of a computation and of the backward pass from all its results that anything learns from."""
    with _Counter() as counter:  # type: ignore[no-untyped-call]
        results = [each for each in _pytree.tree_leaves(compute()) if isinstance(each, Tensor) and each.requires_grad]
        if results:
            torch.autograd.backward(results, [torch.empty_like(each) for each in results])
    return int(counter.flops)


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts FLOPs by torch's formulas, and computes only the shapes of all that depends on the model's weights.

    These are on the meta device. What does not depend on them is computed: models ask for its values, for how many
    patches an image has decides what comes after.
    """

    flops: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        leaves, tree = _pytree.tree_flatten((args, kwargs or {}))
        shapes = any(isinstance(each, Tensor) and each.is_meta for each in leaves)
        places = [each for each in leaves if isinstance(each, torch.device)]
        args, kwargs = _pytree.tree_unflatten([_moved(each, to_meta=shapes) for each in leaves], tree)
        result = func(*args, **kwargs)
        formula = _FORMULAS.get(func.overloadpacket)
        if formula:
            self.flops += int(formula(*args, **kwargs, out_val=result))
        return _pytree.tree_map(_on_meta, result) if _META in places else result


_META = torch.device("meta")


def _moved(each: Any, *, to_meta: bool) -> Any:
    """An argument of an operation on shapes, or of one on values."""
    if to_meta:
        return each.to(_META) if isinstance(each, Tensor) else each
    return torch.device("cpu") if isinstance(each, torch.device) else each


def _on_meta(value: Any) -> Any:
    """A new tensor of real numbers beside those of the model, which may be written into; whole numbers stay."""
    return value.to(_META) if isinstance(value, Tensor) and value.is_floating_point() else value


def _convolution(gradient: Tensor, inputs: Tensor, weights: Tensor, *args: Any, **kwargs: Any) -> int:
    """FLOPs of a convolution's backward pass: those of the forward pass for each gradient that is asked for.

    torch's own formula takes no account of groups: for ConvNeXt, with a group for each channel, it gives the thousand
    of it.
    """
    transposed, output_mask = args[4], args[7]
    places = prod((inputs if transposed else gradient).shape[2:])
    gradients = sum(1 for needed in output_mask[:2] if needed)
    return 2 * inputs.shape[0] * places * weights.numel() * gradients


_FORMULAS = flop_registry | {torch.ops.aten.convolution_backward: _convolution}
