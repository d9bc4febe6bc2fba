"""Settings of the models, free of torch so that the config loads in no time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import Field, model_validator

from s2h.settings import Settings

ModelPart = Literal["vision", "projector", "language"]
"""The parts of a model that a phase or stage may freeze."""


class TinySettings(Settings):
    """Sizes of the tiny model; the defaults give about 0.8 million parameters.

    Attributes:
        patch_size: side of a patch, pixels: one tile of the compact style.
        vision_width: width of the vision tower.
        vision_layers: layers of the vision tower.
        text_width: width of the decoder.
        text_layers: layers of the decoder.
        heads: attention heads, of both.
        feed_forward: width of the decoder's feed-forward layers.
        initial_std: standard deviation of all initial matrices. The usual 0.02 is made for wide models: at a width of
            128 signals fade, and learning starts several times later.
        place_std: standard deviation of the initial position embeddings of the patches. Where a patch lies must be
            heard beside what it shows, which is tens of times louder in the usual initialisation. A place is drawn as
            the sum of one vector for its row and one for its column.
    """

    kind: Literal["tiny"] = "tiny"
    patch_size: int = Field(16, ge=4)
    vision_width: int = Field(64, ge=8)
    vision_layers: int = Field(1, ge=1)
    text_width: int = Field(128, ge=8)
    text_layers: int = Field(3, ge=1)
    heads: int = Field(4, ge=1)
    feed_forward: int = Field(384, ge=8)
    initial_std: float = Field(0.06, gt=0)
    place_std: float = Field(1.5, gt=0)

    @model_validator(mode="after")
    def _divides(self) -> TinySettings:
        for width in (self.vision_width, self.text_width):
            if width % (2 * self.heads):
                raise ValueError(f"a width ({width}) must be a multiple of twice the number of heads ({self.heads})")
        return self


class OutsideModelSettings(Settings):
    """A model that exists: a name on the Hugging Face hub, or a local folder.

    Attributes:
        name: ``organisation/name`` on the hub, or a path that begins with ``/``, ``./`` or ``~``.
        revision: branch, tag or commit on the hub.
    """

    _written_by: ClassVar[str] = "save_pretrained wrote"
    _example: ClassVar[str] = "Qwen/Qwen2.5-VL-3B-Instruct"

    name: str = Field(min_length=1)
    revision: str = "main"

    @property
    def processor_options(self) -> dict[str, int]:
        """What the processor is told when it is loaded."""
        return {}

    @property
    def is_local(self) -> bool:
        """Whether the name is a path."""
        return self.is_path(self.name)

    @staticmethod
    def is_path(name: str) -> bool:
        """Whether a name is that of a folder rather than one of the hub."""
        return name.startswith(("/", "./", "../", "~"))

    @model_validator(mode="after")
    def _is_a_model(self) -> Self:
        folder = Path(self.name).expanduser()
        if self.is_local and not (folder / "config.json").is_file():
            raise ValueError(
                f"{self.name} is not a model folder: it has no config.json. Give a folder that {self._written_by}, "
                f"or a hub name such as {self._example}"
            )
        return self


class PretrainedSettings(OutsideModelSettings):
    """A model as transformers reads it: from the hub, or a local folder that ``save_pretrained`` wrote.

    Attributes:
        min_pixels: least pixels of an image for processors that resize by area (Qwen2.5-VL in the paper: 128 * 28**2).
        max_pixels: most pixels (the paper: 1280 * 28**2).
    """

    kind: Literal["pretrained"] = "pretrained"
    min_pixels: int | None = Field(None, ge=1)
    max_pixels: int | None = Field(None, ge=1)

    @property
    def processor_options(self) -> dict[str, int]:
        """What the processor is told when it is loaded; the trained model's processor keeps it."""
        pixels = {"min_pixels": self.min_pixels, "max_pixels": self.max_pixels}
        return {name: value for name, value in pixels.items() if value is not None}


class ReleasedEagleSettings(OutsideModelSettings):
    """An Eagle-X2 as the paper's authors released it (docs/eagle.md); the workflow converts it before it is read."""

    kind: Literal["released_eagle"] = "released_eagle"

    _written_by: ClassVar[str] = "holds a released Eagle-X2"
    _example: ClassVar[str] = "PrincetonPLI/Eagle-X2-Llama3-8B"


class EndpointSettings(Settings):
    """A model behind an OpenAI-compatible address, e.g. that of ``transformers serve`` or vLLM; it is scored as it is.

    Attributes:
        url: base address, e.g. ``http://localhost:8000/v1``.
        name: what the server calls the model.
        key_variable: environment variable that holds the key; empty where the server wants none.
        connections: requests under way at once.
        timeout: seconds to wait for a reply.
    """

    kind: Literal["endpoint"] = "endpoint"
    url: str = Field(pattern=r"^https?://\S+$")
    name: str = Field(min_length=1)
    key_variable: str = ""
    connections: int = Field(8, ge=1)
    timeout: float = Field(600, gt=0)


class VlmevalSettings(Settings):
    """A model that VLMEvalKit lists (``vlmutil mlist all``); it is scored as it is, in VLMEvalKit's own way.

    Attributes:
        name: what VLMEvalKit calls it.
    """

    kind: Literal["vlmeval"] = "vlmeval"
    name: str = Field(min_length=1)


class Stage(Settings):
    """A stretch of training on a corpus, on the way to a base model.

    Attributes:
        corpus: name of the corpus.
        trained: parts of the model that learn.
        epochs: how often the corpus is seen.
        training: settings of the model's training that are different in this stage, e.g. ``{learning_rate: 1.0e-3}``.
            Conversations that are too long are cut unless it says otherwise, and snapshots are none.
    """

    corpus: str
    trained: tuple[ModelPart, ...] = Field(get_args(ModelPart), min_length=1)
    epochs: int = Field(1, ge=1)
    training: dict[str, Any] = Field(default_factory=dict)

    @property
    def frozen(self) -> tuple[ModelPart, ...]:
        """Parts that do not learn."""
        parts: tuple[ModelPart, ...] = get_args(ModelPart)
        return tuple(part for part in parts if part not in self.trained)


class MadeSettings(Settings):
    """A base model that is made here from another model, by training on corpora.

    Attributes:
        base: name of another entry of models, of kind tiny, pretrained or assembled; or a model folder, whose path
            begins with ``/``, ``./`` or ``~``.
        stages: trained one after the other; recipes start from the last.
        seed: of the stages. All seeds of the runs start from the same base model, as in the paper.
    """

    kind: Literal["made"] = "made"
    base: str = Field(min_length=1)
    stages: tuple[Stage, ...] = Field(min_length=1)
    seed: int = Field(0, ge=0)


class AssembledSettings(Settings):
    """An Eagle-X2 put together from its parts as they are published, with a projector from random weights.

    Attributes:
        clip: name of an entry of parts: CLIP ViT-L/14 at 336 pixels, as transformers has it.
        convnext: name of an entry of parts: ConvNeXt-XXL, as timm puts it on the hub.
        language: name of an entry of parts: Llama-3-8B-Instruct, with its tokenizer.
        seed: of the projector's weights.
    """

    kind: Literal["assembled"] = "assembled"
    clip: str
    convnext: str
    language: str
    seed: int = Field(0, ge=0)

    @property
    def parts(self) -> dict[str, str]:
        """The names of its parts, by what they are."""
        return {"clip": self.clip, "convnext": self.convnext, "language": self.language}


Source = Annotated[
    TinySettings
    | PretrainedSettings
    | ReleasedEagleSettings
    | EndpointSettings
    | VlmevalSettings
    | MadeSettings
    | AssembledSettings,
    Field(discriminator="kind"),
]


class LoraSettings(Settings):
    """Low-rank adapters in every linear layer that learns; they are merged into the weights at the end of a phase.

    Attributes:
        rank: of the adapters.
        alpha: their scale; the update is multiplied by alpha / rank.
        dropout: on their inputs.
    """

    rank: int = Field(64, ge=1)
    alpha: int = Field(128, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)


class TrainingSettings(Settings):
    """How a model is trained; a phase of a recipe may change any of it.

    Attributes:
        learning_rate: peak of the schedule (the paper: 2e-5).
        schedule: ``cosine`` to zero (the paper), or ``linear`` to zero from ``decay_from`` on.
        decay_from: share of the phase after which the linear schedule falls.
        warmup: share of the phase in which the rate rises from zero (the paper: 0.03).
        batch_size: examples of an optimizer step, over all processes (the paper: 128).
        micro_batch_size: most examples that one process computes at once; the rest is gradient accumulation.
        micro_batch_tokens: most tokens that one process computes at once, padding included, where examples are of very
            different lengths: GPUs like a full load and have a limited memory. Give either, or both.
        weight_decay: of AdamW (the paper: 0).
        beta2: of AdamW.
        max_grad_norm: gradients are clipped to this norm.
        max_length: most tokens of an example, image tokens included (the paper's script: 3072).
        too_long: what becomes of longer examples: ``refuse`` ends the training before it starts, ``drop`` leaves them
            out, ``cut`` takes their first ``max_length`` tokens where a learned one is among them and leaves the others
            out. They are counted and reported. Cut a corpus of conversations if you like, never puzzles: their answers
            stand at the end.
        precision: arithmetic of the forward and backward pass.
        gradient_checkpointing: recompute activations in the backward pass: a third more arithmetic, a fraction of the
            memory. ``auto`` does so where the largest micro-batch does not fit without.
        attention: ``auto`` takes the fastest that is there: FlashAttention 2 where it is installed, torch's own on any
            other GPU, the plain product on a CPU.
        kernels: ``liger`` has norms and gated feed-forward layers computed by Liger's fused GPU kernels, ``plain`` by
            transformers' own code; ``auto`` takes Liger's on a GPU, where they are installed and know the model.
        lora: train low-rank adapters instead of the weights.
        loader_processes: processes beside each training process that read and encode examples ahead; 0 does it in
            between steps, which is right for two cores.
        random_positions: responses that read the picture start some random positions later than they follow their
            prompts, so that reading cannot lean on fixed distances (compare Ruoss et al., 2023, Randomized Positional
            Encodings).
            The range of the shift grows over the second half of the phase from none to this many positions: shifts
            from the start hold up the learning of images. 0 turns it off, as in the paper.
        checkpoint_minutes: about how long a run goes on between two checkpoints from which it goes on when it was
            interrupted: a large model takes a minute to write one, of 16 bytes a parameter.
        checkpoint_every: optimizer steps between two of them, as well; null leaves it to the time alone.
        snapshots: models that are kept along a phase, at even distances and the last at its end, with the optimizer's
            second moments, so that the alignment of gradients can be measured along the training; 6 to 8 bytes a
            parameter each. Not with ``lora``.
        deepspeed: DeepSpeed config file; batch sizes and precision are filled in from here.
    """

    learning_rate: float = Field(gt=0)
    schedule: Literal["cosine", "linear"] = "cosine"
    decay_from: float = Field(0.6, ge=0, lt=1)
    warmup: float = Field(0.03, ge=0, lt=1)
    batch_size: int = Field(ge=1)
    micro_batch_size: int | None = Field(None, ge=1)
    micro_batch_tokens: int | None = Field(None, ge=1)
    weight_decay: float = Field(0.0, ge=0)
    beta2: float = Field(0.999, gt=0, lt=1)
    max_grad_norm: float = Field(1.0, gt=0)
    max_length: int = Field(ge=8)
    too_long: Literal["refuse", "drop", "cut"] = "refuse"
    precision: Literal["fp32", "bf16"] = "bf16"
    gradient_checkpointing: bool | Literal["auto"] = False
    attention: Literal["auto", "eager", "sdpa", "flash_attention_2"] = "auto"
    kernels: Literal["auto", "plain", "liger"] = "auto"
    lora: LoraSettings | None = None
    loader_processes: int = Field(0, ge=0)
    random_positions: int = Field(0, ge=0)
    checkpoint_minutes: float = Field(25, gt=0)
    checkpoint_every: int | None = Field(None, ge=1)
    snapshots: int = Field(0, ge=0)
    deepspeed: str = "config/deepspeed/zero2.json"

    @model_validator(mode="after")
    def _micro_batches_have_a_limit(self) -> TrainingSettings:
        if self.micro_batch_size is None and self.micro_batch_tokens is None:
            raise ValueError("say how much a process computes at once: give micro_batch_size or micro_batch_tokens")
        if self.micro_batch_tokens is not None and self.micro_batch_tokens < self.max_length:
            raise ValueError(
                f"micro_batch_tokens ({self.micro_batch_tokens}) must hold an example of max_length "
                f"({self.max_length}) tokens"
            )
        return self

    @model_validator(mode="after")
    def _snapshots_hold_whole_weights(self) -> TrainingSettings:
        if self.lora and self.snapshots:
            raise ValueError("snapshots hold whole weights, which adapters leave alone: set snapshots to 0, or no lora")
        return self


class ScoringSettings(Settings):
    """How a model is decoded: greedily.

    Attributes:
        max_new_tokens: where a reply is cut off (the paper: 2048).
        batch_size: most examples decoded together; ``auto`` takes as many as fit the memory. Where a GPU's memory does
            not suffice after all, batches are halved.
        backend: ``transformers``, or ``vllm`` for the models that it serves: on GPUs; ``make vllm`` installs it, and
            each job starts and ends its own.
        recheck: so many examples are decoded alone as well, and replies that come out differently are counted and
            reported: arithmetic in batches rounds differently.
    """

    max_new_tokens: int = Field(ge=1)
    batch_size: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    backend: Literal["transformers", "vllm"] = "transformers"
    recheck: int = Field(8, ge=0)


class ModelNeeds(Settings):
    """What a model's jobs are given, on a cluster and here; nothing of it changes what is trained.

    Attributes:
        billions: of parameters, from which time and memory are reckoned; the default is right for Qwen2.5-VL-7B.
        gpus: GPUs of each node that trains; 0 trains on the CPU, with a process for each core of the job.
        nodes: that train together.
        cpus: cores for each GPU, or of a training without any.
        decoding_gpus: GPUs that share the decoding; 0 decodes on the CPU.
    """

    billions: float = Field(8.3, gt=0)
    gpus: int = Field(1, ge=0)
    nodes: int = Field(1, ge=1)
    cpus: int = Field(8, ge=1)
    decoding_gpus: int = Field(1, ge=0)


_SMALL = ModelNeeds(billions=0.001, gpus=0, cpus=2, decoding_gpus=0)
_ELSEWHERE = ModelNeeds(billions=0.1, gpus=0, decoding_gpus=0)


class ModelSettings(Settings):
    """A model: where it comes from, how it is trained and decoded, and what its jobs are given.

    ``training`` may be left out of a model that is only scored, with the recipe ``untrained``. Without ``resources``
    the tiny model and endpoints get no GPU, others one.
    """

    source: Source
    training: TrainingSettings | None = None
    scoring: ScoringSettings
    resources: ModelNeeds | None = None

    @property
    def needs(self) -> ModelNeeds:
        """What its jobs are given."""
        defaults = {"tiny": _SMALL, "endpoint": _ELSEWHERE}
        return self.resources or defaults.get(self.source.kind, ModelNeeds())

    @model_validator(mode="after")
    def _can_be_trained(self) -> ModelSettings:
        if self.training and self.source.kind in ("endpoint", "vlmeval"):
            raise ValueError(f"a model of kind {self.source.kind} is not trained here: leave training away")
        return self

    @property
    def served_by_vllm(self) -> bool:
        """Whether jobs start vLLM for it; endpoints and models of VLMEvalKit are asked in their own way."""
        return self.scoring.backend == "vllm" and self.source.kind not in ("endpoint", "vlmeval")

    @model_validator(mode="after")
    def _vllm_has_gpus(self) -> ModelSettings:
        if self.served_by_vllm and not self.needs.decoding_gpus:
            raise ValueError("scoring.backend is vllm, which needs a GPU: set resources.decoding_gpus to 1 or more")
        return self
