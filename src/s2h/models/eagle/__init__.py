"""Eagle-X2-Llama3, the paper's base model; importing this makes transformers' Auto classes know it."""

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
]

AutoConfig.register("eagle_x2", EagleX2Config)
AutoConfig.register("eagle_x2_vision", EagleX2VisionConfig)
AutoModel.register(EagleX2VisionConfig, EagleX2VisionModel)
AutoModel.register(EagleX2Config, EagleX2Model)
AutoModelForImageTextToText.register(EagleX2Config, EagleX2ForConditionalGeneration)
# Under both names, since pictures are resized by Pillow whether torchvision is there or not.
AutoImageProcessor.register(
    EagleX2Config, image_processor_classes={"pil": EagleX2ImageProcessor, "torchvision": EagleX2ImageProcessor}
)
AutoProcessor.register(EagleX2Config, EagleX2Processor)
