"""Names of the tensors of our model in the released checkpoints.

Their names are those of LLaVA's code around Hugging Face's CLIP and an older timm's ConvNeXt.
"""

from __future__ import annotations

import re

CLIP = "model.vision_tower.vision_towers.0.vision_tower.vision_model."
CONVNEXT = "model.vision_tower.vision_towers.1.vision_tower."

_BEGINNINGS = (
    ("CLIP", "model.vision_tower.clip.", CLIP),
    ("ConvNeXt", "model.vision_tower.convnext.", CONVNEXT),
    ("projector", "model.multi_modal_projector.linear_1.", "model.mm_projector.0."),
    ("projector", "model.multi_modal_projector.linear_2.", "model.mm_projector.2."),
    ("Llama-3", "model.language_model.", "model."),
    ("Llama-3", "lm_head.", "lm_head."),
)
"""Part, how its names begin here, and how in the release."""

_LAYER_SCALE = re.compile(r"(stages\.\d+\.blocks\.\d+)\.gamma")
_RECOMPUTED = re.compile(r"\.(embeddings\.position_ids|rotary_emb\.inv_freq)$")


def released_name(ours: str) -> str:
    """The name in the release of one of our tensors.

    All of a part keeps its names but for the beginning, and the layer scale of a ConvNeXt block, which the release
    calls ``weight``, and timm ``gamma``.
    """
    _, begin, theirs = _beginning(ours)
    return theirs + _LAYER_SCALE.sub(r"\1.weight", ours.removeprefix(begin))


def part_name(ours: str) -> str:
    """The human-readable name of the part of the model to which one of our tensors belongs."""
    return _beginning(ours)[0]


def is_recomputed(name: str) -> bool:
    """Whether a tensor is a table that older versions of transformers stored, and that is no weight."""
    return _RECOMPUTED.search(name) is not None


def _beginning(ours: str) -> tuple[str, str, str]:
    return next(each for each in _BEGINNINGS if ours.startswith(each[1]))
