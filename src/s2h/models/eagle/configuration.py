"""Sizes of Eagle-X2; what is left out is as in the released Eagle-X2-Llama3-8B, 9.21 billion parameters.

Sources: Shi et al., 2024, Eagle (arXiv:2408.15998), and the model code that the paper's authors released with it.
"""

from __future__ import annotations

from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, PreTrainedConfig

STRIDE = 32
"""Pixels of a side of what becomes one place of ConvNeXt's last stage: 4 of the stem, halved by three stages."""

RELEASED_TYPES = ("eagle_llama", "llava_llama")
"""``model_type`` of released checkpoints: what the released code writes, and what older ones of its kind say."""

CLIP_SIZES: dict[str, Any] = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "image_size": 336,
    "patch_size": 14,
    "projection_dim": 768,
}
"""CLIP ViT-L/14 at 336 pixels (Radford et al., 2021)."""

LLAMA_SIZES: dict[str, Any] = {
    "vocab_size": 128256,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-5,
    "rope_parameters": {"rope_type": "default", "rope_theta": 500_000.0},
    "bos_token_id": 128000,
    "eos_token_id": [128001, 128009],
    "pad_token_id": 128002,
    "tie_word_embeddings": False,
}
"""Llama-3-8B-Instruct; a response ends at <|end_of_text|> (128001) or <|eot_id|> (128009)."""


def _made(kind: Any, given: Any, sizes: dict[str, Any]) -> Any:
    """A part's config: as it is given, from a dict, or in the released ``sizes`` where nothing is given.

    transformers has a way of its own for this, but not yet in 5.17.
    """
    return given if isinstance(given, PreTrainedConfig) else kind(**(sizes if given is None else given))


@strict
class EagleX2VisionConfig(PreTrainedConfig):  # type: ignore[misc, unused-ignore]
    """The two vision towers.

    Attributes:
        clip_config: of the CLIP tower; its ``image_size`` is what the picture is made smaller to, in pixels.
        convnext_depths: blocks of the four stages (ConvNeXt-XXL: 3, 4, 30, 3).
        convnext_widths: channels of the four stages (ConvNeXt-XXL: 384, 768, 1536, 3072).
        convnext_head: outputs of ConvNeXt's own head, which is never run but lies in the released weights; 0 leaves it
            out. It has ImageNet's 1000: though the release names the weights ``clip_laion2b_soup``, its call reaches
            timm without that tag, and timm's default for this size is ``clip_laion2b_soup_ft_in1k``.
        convnext_eps: epsilon of ConvNeXt's norms; 1e-5 in the XXL size, 1e-6 in all others.
        image_size: side of the square pictures, pixels; ConvNeXt sees them so.
    """

    model_type = "eagle_x2_vision"
    base_config_key = "vision_config"
    sub_configs = sub_configs_defaults = {"clip_config": CLIPVisionConfig}  # noqa: RUF012 - old and new name of it

    clip_config: dict | PreTrainedConfig | None = None  # type: ignore[type-arg]
    convnext_depths: list[int] | tuple[int, ...] = (3, 4, 30, 3)
    convnext_widths: list[int] | tuple[int, ...] = (384, 768, 1536, 3072)
    convnext_head: int = 1000
    convnext_eps: float = 1e-5
    image_size: int = 1024
    initializer_range: float = 0.02

    def __post_init__(self, **kwargs: Any) -> None:
        """Make the tower's config."""
        self.clip_config = _made(CLIPVisionConfig, self.clip_config, CLIP_SIZES)
        super().__post_init__(**kwargs)

    @property
    def hidden_size(self) -> int:
        """Channels of a place: those of CLIP, then those of ConvNeXt."""
        clip: Any = self.clip_config
        return int(clip.hidden_size) + int(self.convnext_widths[-1])

    @property
    def grid_size(self) -> int:
        """Places of a side: the grid of ConvNeXt, to which that of CLIP is brought."""
        return self.image_size // STRIDE

    def validate_architecture(self) -> None:
        """Refuse sizes that do not go together; part of the validation that every config runs."""
        if len(self.convnext_depths) != 4 or len(self.convnext_widths) != 4:
            raise ValueError(
                f"ConvNeXt has four stages, but convnext_depths is {list(self.convnext_depths)} and convnext_widths "
                f"{list(self.convnext_widths)}."
            )
        if self.image_size % STRIDE:
            raise ValueError(f"image_size is {self.image_size}, which is not a multiple of {STRIDE} pixels.")


@strict
class EagleX2Config(LlavaConfig):  # type: ignore[misc, unused-ignore]
    """Eagle-X2: two vision towers, a projector, and Llama-3.

    Attributes:
        vision_config: of the vision towers.
        text_config: of the language model.
        image_token_index: the token that holds the place of an image; 128003, ``<|reserved_special_token_1|>``. The
            release has no such token: it splices features in at an index of its own (-200) that is no word.
        image_seq_length: tokens of an image; it follows from ``vision_config``.

    What LLaVA's config has beside these, on which layer of the tower is taken and how, is without effect.
    """

    model_type = "eagle_x2"
    sub_configs = {"vision_config": EagleX2VisionConfig, "text_config": LlamaConfig}  # noqa: RUF012
    sub_configs_defaults = sub_configs

    image_token_index: int = 128003
    image_seq_length: int = 1024

    def __post_init__(self, **kwargs: Any) -> None:
        """Make the parts' configs; the number of image tokens follows from the vision towers."""
        own: Any = self
        own.vision_config = _made(EagleX2VisionConfig, own.vision_config, {})
        own.text_config = _made(LlamaConfig, own.text_config, LLAMA_SIZES)
        super().__post_init__(**kwargs)
        self.image_seq_length = own.vision_config.grid_size**2
