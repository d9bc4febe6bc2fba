"""Eagle-X2: the towers are those of transformers (CLIP) and timm (ConvNeXt), all around them that of LLaVA.

What the released model does that one would not expect is kept, and marked with QUIRK.

Shapes: B examples, L tokens, N images, P pixels of a side, G places of a side of the common grid, C channels.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPVisionModel, LlavaForConditionalGeneration, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.llava.modeling_llava import LlavaModel

from s2h.errors import ModelError
from s2h.models.eagle.configuration import EagleX2Config, EagleX2VisionConfig


def make_convnext(config: EagleX2VisionConfig) -> nn.Module:
    """timm's ConvNeXt in the sizes of ``config``, from random weights, with the head that is never run.

    Raises:
        ModelError: timm is not installed.
    """
    try:
        from timm.models.convnext import ConvNeXt  # takes seconds, which other models should not wait for
    except ImportError as error:
        raise ModelError(f"Eagle-X2 needs timm for its ConvNeXt, which cannot be imported ({error}).") from None
    tower: nn.Module = ConvNeXt(
        depths=tuple(config.convnext_depths),
        dims=tuple(config.convnext_widths),
        num_classes=config.convnext_head,
        norm_eps=config.convnext_eps,
    )
    return tower


class EagleX2VisionModel(PreTrainedModel):  # type: ignore[misc, unused-ignore]
    """Both vision towers; the channels of each place of the grid are CLIP's, then ConvNeXt's."""

    config_class = EagleX2VisionConfig
    main_input_name = "pixel_values"
    input_modalities = ("image",)
    supports_gradient_checkpointing = True
    _no_split_modules = ["CLIPEncoderLayer", "ConvNeXtBlock"]  # noqa: RUF012
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True

    def __init__(self, config: EagleX2VisionConfig) -> None:
        super().__init__(config)
        self.clip = CLIPVisionModel(config.clip_config)
        self.convnext: Any = make_convnext(config)  # Any: stages and blocks are modules' attributes
        self.gradient_checkpointing = False
        self.post_init()

    def forward(self, pixel_values: Tensor, **kwargs: Any) -> BaseModelOutputWithPooling:
        """Features of pictures.

        Args:
            pixel_values: ``float[N, 3, P, P]``, normalised with CLIP's mean and deviation.
            kwargs: what callers of transformers add; nothing here depends on it.

        Returns:
            ``last_hidden_state float[N, G * G, C]``, row by row.
        """
        pixels = pixel_values.to(self.dtype)
        features = torch.cat([self._clip(pixels), self._convnext(pixels)], dim=1)
        return BaseModelOutputWithPooling(last_hidden_state=features.flatten(2).transpose(1, 2))

    def _clip(self, pixels: Tensor) -> Tensor:
        """CLIP's features on the common grid, ``float[N, C, G, G]``.

        QUIRK: the picture for CLIP is not prepared apart: it is made smaller from the normalised one that ConvNeXt
        sees, bilinearly between corner and corner, without smoothing, so that at a third of the size most pixels are
        skipped.
        QUIRK: the class token is dropped before the first layer, not after the last, so that no patch attends to it.
        QUIRK: all layers are run and the last is taken, as it is, without the norm after it (post_layernorm), though
        the released config says mm_vision_select_layer: -2.
        """
        small = _resize(pixels, self.config.clip_config.image_size)
        hidden = self.clip.pre_layrnorm(self.clip.embeddings(small)[:, 1:])
        hidden = self.clip.encoder(inputs_embeds=hidden).last_hidden_state
        side = self.config.clip_config.image_size // self.config.clip_config.patch_size
        return _resize(hidden.transpose(1, 2).unflatten(2, (side, side)), self.config.grid_size)

    def _convnext(self, pixels: Tensor) -> Tensor:
        """ConvNeXt's features, ``float[N, C, G, G]``.

        QUIRK: they are normalised by CLIP's constants, like all that the towers see, and the last stage is taken as
        it is: the norm that ends ConvNeXt lies in its head, which is not run.
        """
        hidden = self.convnext.stem(pixels)
        for stage in self.convnext.stages:
            hidden = stage.downsample(hidden)
            for block in stage.blocks:
                if self.gradient_checkpointing and self.training:
                    hidden = self._gradient_checkpointing_func(block, hidden)
                else:
                    hidden = block(hidden)
        return hidden  # type: ignore[no-any-return]


def _resize(maps: Tensor, side: int) -> Tensor:
    """Bring maps ``float[N, C, S, S]`` to another side, as the release does: in fp32, corners on corners."""
    if maps.shape[-1] == side:
        return maps
    wide = functional.interpolate(maps.float(), size=(side, side), mode="bilinear", align_corners=True)
    return wide.to(maps.dtype)


class EagleX2Model(LlavaModel):  # type: ignore[misc, unused-ignore]
    """LLaVA's model with both towers: projected features take the places of the image tokens.

    QUIRK: in training the release shows the towers a picture of CLIP's mean colour (zeros, normalised) for each example
    that has none, and takes nothing of it. Here the training does so for every model, once for a batch that has no
    other picture (``s2h.training.losses.ForwardPass``).
    """

    config_class = EagleX2Config

    def get_image_features(self, pixel_values: Tensor, **kwargs: Any) -> BaseModelOutputWithPooling:
        """Features of pictures in the width of words.

        Args:
            pixel_values: ``float[N, 3, P, P]``.
            kwargs: what LLaVA's model adds; which layer is taken is not asked here.

        Returns:
            ``pooler_output``, for each picture ``float[G * G, C]``.
        """
        outputs = self.vision_tower(pixel_values)
        outputs.pooler_output = list(self.multi_modal_projector(outputs.last_hidden_state))
        return outputs


class EagleX2ForConditionalGeneration(LlavaForConditionalGeneration):  # type: ignore[misc, unused-ignore]
    """Eagle-X2 with the layer that gives a logit for each word."""

    config_class = EagleX2Config

    def __init__(self, config: EagleX2Config) -> None:
        super(LlavaForConditionalGeneration, self).__init__(config)
        self.model = EagleX2Model(config)
        self.lm_head = nn.Linear(config.text_config.hidden_size, config.text_config.vocab_size, bias=False)
        self.post_init()
