"""Eagle-X2-Llama3, the paper's base model; ``register`` makes transformers' Auto classes know it."""

from functools import cache

from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoModelForImageTextToText, AutoProcessor

from s2h.models.eagle.configuration import RELEASED_TYPES, EagleX2Config, EagleX2VisionConfig
from s2h.models.eagle.modelling import EagleX2ForConditionalGeneration, EagleX2Model, EagleX2VisionModel
from s2h.models.eagle.processing import EagleX2ImageProcessor, EagleX2Processor

__all__ = [
    "RELEASED_TYPES",
    "EagleX2Config",
    "EagleX2ForConditionalGeneration",
    "EagleX2ImageProcessor",
    "EagleX2Model",
    "EagleX2Processor",
    "EagleX2VisionConfig",
    "EagleX2VisionModel",
    "register",
]


@cache
def register() -> None:
    """Make transformers' Auto classes know Eagle-X2, which is not of transformers; done once in a process."""
    AutoConfig.register("eagle_x2", EagleX2Config, exist_ok=True)
    AutoConfig.register("eagle_x2_vision", EagleX2VisionConfig, exist_ok=True)
    AutoModel.register(EagleX2VisionConfig, EagleX2VisionModel, exist_ok=True)
    AutoModel.register(EagleX2Config, EagleX2Model, exist_ok=True)
    AutoModelForImageTextToText.register(EagleX2Config, EagleX2ForConditionalGeneration, exist_ok=True)
    # Under both names, since pictures are resized by Pillow whether torchvision is there or not.
    processors = {"pil": EagleX2ImageProcessor, "torchvision": EagleX2ImageProcessor}
    AutoImageProcessor.register(EagleX2Config, image_processor_classes=processors, exist_ok=True)
    AutoProcessor.register(EagleX2Config, EagleX2Processor, exist_ok=True)
