"""Sources of models and the places of their weights: one class for each kind of source; free of torch."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from s2h.models.endpoint_settings import PriceSettings, RequestSettings
from s2h.paths import ANY_TASK, Paths
from s2h.phases import Phase, check_phases
from s2h.puzzles.task import Task
from s2h.registry import unknown
from s2h.settings import Mistake, Seed, Settings, named


class ModelResources(Settings):
    """The resources of a model's jobs, on a cluster and here; they do not change the training.

    Attributes:
        params_b: of parameters, from which time and memory are reckoned; the default is right for Qwen2.5-VL-7B.
        gpus: GPUs of each node that trains; 0 trains on the CPU, with a process for each core of the job.
        nodes: that train together.
        cpus: cores for each GPU, or of a training without any.
        decoding_gpus: GPUs that share the decoding; 0 decodes on the CPU.
    """

    params_b: float = Field(8.3, gt=0)
    gpus: int = Field(1, ge=0)
    nodes: int = Field(1, ge=1)
    cpus: int = Field(8, ge=1)
    decoding_gpus: int = Field(1, ge=0)


class ModelSource(Settings):
    """Where a model comes from.

    Attributes:
        has_weights: whether it is a model folder, which can be trained and decoded here; else it is asked elsewhere,
            and may answer differently tomorrow.
        vllm_knows_it: whether vLLM has its architecture.
        takes_conversions: whether scoring can force or forbid how its responses begin.
        default_resources: what its jobs are given where the config does not say.
    """

    has_weights: ClassVar[bool] = True
    vllm_knows_it: ClassVar[bool] = True
    takes_conversions: ClassVar[bool] = True
    default_resources: ClassVar[ModelResources] = ModelResources()

    @property
    def processor_options(self) -> dict[str, int]:
        """Keyword arguments for loading the processor of this source; a trained model's processor stores them."""
        return {}

    @property
    def deciding(self) -> dict[str, Any]:
        """What decides the replies of a model whose weights are not here; values that JSON can hold."""
        return self.model_dump(mode="json")

    def folder(self, name: str, catalog: Catalog, *, task: str, seed: int) -> str:
        """The model folder that training starts from and that is scored untrained.

        Args:
            name: of the model in the config.
            catalog: all models of the config.
            task: of the run.
            seed: of the run.
        """
        raise NotImplementedError

    def root(self, catalog: Catalog) -> AnySource:
        """The source of the first weights: this one, or that of the base of a model that is pretrained here."""
        return self  # type: ignore[return-value]

    def downloads(self, name: str, catalog: Catalog) -> set[str]:
        """The entries of the catalog that are fetched from the hub for this model."""
        return set()

    def check(self, catalog: Catalog) -> None:
        """Check the model that it refers to; raises ValueError where that cannot be."""

    def check_tasks(self, name: str, tasks: Mapping[str, Task[Any]]) -> Iterator[Mistake]:
        """Why it cannot read the tasks of a run, if so, at the settings to change.

        Args:
            name: of the model in the config.
            tasks: with their settings, by name.
        """
        yield from ()


class TinySource(ModelSource):
    """Sizes of the tiny model; the defaults give about 0.8 million parameters.

    Attributes:
        patch_size: side of a patch, pixels: one tile of the compact style.
        vision_width: width of the vision tower.
        vision_layers: layers of the vision tower.
        text_width: width of the decoder.
        text_layers: layers of the decoder.
        heads: attention heads, of both.
        intermediate_size: width of the decoder's feed-forward layers.
        initializer_range: standard deviation of all initial weight matrices. The usual 0.02 suits wide models: at a
            width of 128 the signal vanishes, and learning starts several times later.
        position_embedding_std: standard deviation of the initial position embeddings of the patches. With the usual
            initialisation the content of a patch is tens of times larger than its position and drowns it. A position
            is drawn as the sum of one vector for its row and one for its column.
    """

    kind: Literal["tiny"] = "tiny"
    patch_size: int = Field(16, ge=4)
    vision_width: int = Field(64, ge=8)
    vision_layers: int = Field(1, ge=1)
    text_width: int = Field(128, ge=8)
    text_layers: int = Field(3, ge=1)
    heads: int = Field(4, ge=1)
    intermediate_size: int = Field(384, ge=8)
    initializer_range: float = Field(0.06, gt=0)
    position_embedding_std: float = Field(1.5, gt=0)

    default_resources: ClassVar[ModelResources] = ModelResources(params_b=0.001, gpus=0, cpus=2, decoding_gpus=0)

    def folder(self, name: str, catalog: Catalog, *, task: str, seed: int) -> str:
        return catalog.paths.tiny_model.format(task=task, model=name, seed=seed)

    def check_tasks(self, name: str, tasks: Mapping[str, Task[Any]]) -> Iterator[Mistake]:
        """It reads the compact style, and images of one size, which its patches divide."""
        for task, found in tasks.items():
            side = found.image_size[0]
            if found.settings.style != "compact":
                yield Mistake(
                    ("tasks", task, "style"),
                    f"the model {name} reads the compact style only: set tasks.{task}.style to compact",
                )
            elif side % self.patch_size:
                yield Mistake(
                    ("models", name, "source", "patch_size"),
                    f"patches of {self.patch_size} pixels do not divide the images of {task}, of {side} pixels: set it "
                    f"to 16, or another tasks.{task}.image_side",
                )
        sides = {task: found.image_size[0] for task, found in tasks.items()}
        if len(set(sides.values())) > 1:
            yield Mistake(
                ("tasks", next(iter(tasks)), "image_side"),
                f"the model {name} sees images of one size, but those of its tasks have "
                f"{', '.join(f'{side} pixels ({task})' for task, side in sides.items())}: set the same "
                "tasks.*.image_side for all of them",
            )

    @model_validator(mode="after")
    def _divides(self) -> TinySource:
        for width in (self.vision_width, self.text_width):
            if width % (2 * self.heads):
                raise ValueError(f"a width ({width}) must be a multiple of twice the number of heads ({self.heads})")
        return self


class OutsideSource(ModelSource):
    """A model that exists: a name on the Hugging Face hub, or a local folder.

    Attributes:
        name: ``organisation/name`` on the hub, or the path of a model folder; where a folder has that name, it
            is meant.
        revision: branch, tag or commit on the hub.
    """

    _written_by: ClassVar[str] = "save_pretrained wrote"
    _example: ClassVar[str] = "Qwen/Qwen2.5-VL-3B-Instruct"

    name: str = Field(min_length=1)
    revision: str = "main"

    @property
    def is_local(self) -> bool:
        """Whether the name is a path."""
        return is_path(self.name)

    def weights(self, name: str, catalog: Catalog) -> str:
        """The folder of the weights as they come: the user's own, or the one into which they are fetched."""
        return str(Path(self.name).expanduser()) if self.is_local else catalog.paths.hub_model.format(model=name)

    def downloads(self, name: str, catalog: Catalog) -> set[str]:
        return set() if self.is_local else {name}

    @model_validator(mode="after")
    def _is_a_model(self) -> Self:
        folder = Path(self.name).expanduser()
        if self.is_local and not (folder / "config.json").is_file():
            raise ValueError(
                f"{self.name} is not a model folder: it has no config.json. Give a folder that {self._written_by}, "
                f"or a hub name such as {self._example}"
            )
        return self


class HuggingFaceSource(OutsideSource):
    """A model as transformers reads it: from the hub, or a local folder that ``save_pretrained`` wrote.

    Attributes:
        min_pixels: least pixels of an image for processors that resize by area (Qwen2.5-VL in the paper: 128 * 28**2).
        max_pixels: most pixels (the paper: 1280 * 28**2).
    """

    kind: Literal["huggingface"] = "huggingface"
    min_pixels: int | None = Field(None, ge=1)
    max_pixels: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _least_is_not_most(self) -> HuggingFaceSource:
        if self.min_pixels and self.max_pixels and self.min_pixels > self.max_pixels:
            raise ValueError(f"min_pixels ({self.min_pixels}) is larger than max_pixels ({self.max_pixels}): swap them")
        return self

    @property
    def processor_options(self) -> dict[str, int]:
        """Keyword arguments for loading the processor; the trained model's processor stores them."""
        pixels = {"min_pixels": self.min_pixels, "max_pixels": self.max_pixels}
        return {name: value for name, value in pixels.items() if value is not None}

    def folder(self, name: str, catalog: Catalog, *, task: str, seed: int) -> str:
        return self.weights(name, catalog)


class ReleasedEagleSource(OutsideSource):
    """An Eagle-X2 as the paper's authors released it (docs/eagle.md); the workflow converts it before it is read."""

    kind: Literal["released_eagle"] = "released_eagle"

    _written_by: ClassVar[str] = "holds a released Eagle-X2"
    _example: ClassVar[str] = "PrincetonPLI/Eagle-X2-Llama3-8B"
    vllm_knows_it: ClassVar[bool] = False

    def folder(self, name: str, catalog: Catalog, *, task: str, seed: int) -> str:
        return catalog.paths.converted_model.format(model=name)


class RemoteSource(ModelSource):
    """A model that is asked where it is.

    Attributes:
        name: what the model is called there.
        max_failed_share: of the prompts that may get no reply, refused by a content filter for instance; each is a row
            with its error and counts as wrong. Where more fail, so does the job.
    """

    has_weights: ClassVar[bool] = False

    name: str = Field(min_length=1)
    max_failed_share: float = Field(0.02, ge=0, le=1)

    @property
    def deciding(self) -> dict[str, Any]:
        """What decides a reply, beside the prompt: neither where the model is asked nor how fast."""
        return {"name": self.name}

    def folder(self, name: str, catalog: Catalog, *, task: str, seed: int) -> str:
        """There is none: what the model is called where it is asked."""
        return self.name


def _names_a_variable(name: str) -> str:
    """Refuse what is no name of an environment variable, without repeating it: it may be a key."""
    looks_like_a_key = re.match(r"(sk|hf|gsk|xai)[-_]", name) or re.fullmatch(r"(?=.*[a-z])(?=.*\d)\w{24,}", name)
    if name and (looks_like_a_key or not re.fullmatch(r"[A-Za-z_]\w*", name)):
        raise ValueError(
            "expected the name of an environment variable, such as OPENAI_API_KEY, which holds the key: never write "
            "the key itself into a config (what was found is not shown)"
        )
    return name


class EndpointSource(RemoteSource):
    """A model behind an OpenAI-compatible address, e.g. a provider's, that of ``transformers serve`` or vLLM.

    It is scored as it is (docs/scoring.md).

    Attributes:
        url: base address, e.g. ``http://localhost:8000/v1``.
        api_key_env: environment variable that holds the key; empty where the server wants none.
        connections: most requests under way at once; fewer are while the server says that they are too many.
        timeout: seconds to wait for a response.
        patience: minutes without any response, or of waiting that the server asks for, after which the job ends.
        request: what requests say beside the prompt.
        price: of the model's tokens, for what is reported and limited; null where it is not known.
        spending_limit: USD that all requests to the model, of all runs, may cost; those under way when it is reached
            are paid beyond it. Null sets no limit.
    """

    default_resources: ClassVar[ModelResources] = ModelResources(params_b=0.1, gpus=0, decoding_gpus=0)

    kind: Literal["endpoint"] = "endpoint"
    url: str = Field(pattern=r"^https?://\S+$")
    api_key_env: Annotated[str, AfterValidator(_names_a_variable)] = ""
    connections: int = Field(8, ge=1)
    timeout: float = Field(600, gt=0)
    patience: float = Field(30, ge=0)
    request: RequestSettings = RequestSettings()
    price: PriceSettings | None = None
    spending_limit: float | None = Field(None, ge=0)

    @property
    def deciding(self) -> dict[str, Any]:
        return {"name": self.name, **self.request.deciding}

    @model_validator(mode="after")
    def _limit_has_a_price(self) -> EndpointSource:
        if self.spending_limit is not None and self.price is None:
            raise ValueError("spending_limit needs a price: give price: {input: …, output: …}, USD per million tokens")
        return self


class VlmevalSource(RemoteSource):
    """A model that VLMEvalKit lists (``vlmutil mlist all``); it is scored as it is, in VLMEvalKit's own way.

    Attributes:
        name: what VLMEvalKit calls it.
        connections: most prompts that an API model of it is asked at once; others are asked one after the other.
    """

    takes_conversions: ClassVar[bool] = False

    kind: Literal["vlmeval"] = "vlmeval"
    connections: int = Field(4, ge=1)


class PretrainedSource(ModelSource):
    """A base model that is pretrained here, on corpora and scenes, from another model.

    Attributes:
        base: name of another entry of models, of kind tiny, huggingface, released_eagle or composed; or the path of
            a model folder.
        phases: trained one after the other, each on a corpus or on scenes; recipes start from the last.
        seed: of the phases. All seeds of the runs start from the same base model, as in the paper.
    """

    kind: Literal["pretrained"] = "pretrained"
    base: str = Field(min_length=1)
    phases: tuple[Phase, ...] = Field(min_length=1)
    seed: Seed = 0

    @model_validator(mode="after")
    def _phases_fit(self) -> PretrainedSource:
        check_phases(self.phases, of="base model")
        return self

    def root(self, catalog: Catalog) -> AnySource:
        return catalog[self.base]

    def folder(self, name: str, catalog: Catalog, *, task: str, seed: int) -> str:
        return self.phase_folder(name, len(self.phases), catalog, origin=self.origin(task, catalog))

    def phase_folder(self, name: str, number: int, catalog: Catalog, *, origin: str) -> str:
        """The model folder that a phase leaves (from 1); where training starts for 0."""
        if number == 0:
            return self.root(catalog).folder(self.base, catalog, task=origin, seed=self.seed)
        return catalog.paths.base_model.format(origin=origin, model=name, seed=self.seed, phase=number)

    def origin(self, task: str, catalog: Catalog) -> str:
        """The task for which it is pretrained, where base or data differ from task to task; else ``ANY_TASK``."""
        differs = isinstance(self.root(catalog), TinySource) or any(phase.scenes for phase in self.phases)
        return task if differs else ANY_TASK

    def downloads(self, name: str, catalog: Catalog) -> set[str]:
        return self.root(catalog).downloads(self.base, catalog)

    def check(self, catalog: Catalog) -> None:
        if self.base not in catalog.models and not is_path(self.base):
            folder = "or give the path of a model folder"
            raise ValueError(f"{unknown('model', self.base, catalog.models)} {folder}")
        try:
            base = catalog[self.base]
        except ValueError as error:
            raise ValueError(_first_problem(error)) from None
        if isinstance(base, PretrainedSource) or not base.has_weights:
            raise ValueError(
                f"{self.base} is of kind {base.kind}: name one of kind tiny, huggingface, released_eagle or composed"
            )


PartName = Annotated[str, named("part")]


class ComposedSource(ModelSource):
    """An Eagle-X2 put together from its parts as they are published, with a projector from random weights.

    Attributes:
        clip: name of an entry of parts: CLIP ViT-L/14 at 336 pixels, as transformers has it.
        convnext: name of an entry of parts: ConvNeXt-XXL, as timm puts it on the hub.
        language: name of an entry of parts: Llama-3-8B-Instruct, with its tokenizer.
        seed: of the projector's weights.
    """

    vllm_knows_it: ClassVar[bool] = False

    kind: Literal["composed"] = "composed"
    clip: PartName
    convnext: PartName
    language: PartName
    seed: Seed = 0

    @property
    def parts(self) -> dict[str, str]:
        """The names of its parts, by what they are."""
        return {"clip": self.clip, "convnext": self.convnext, "language": self.language}

    def part_folder(self, part: str, catalog: Catalog) -> str:
        """The folder of a part's weights."""
        name = self.parts[part]
        return catalog[name].folder(name, catalog, task=ANY_TASK, seed=0)

    def folder(self, name: str, catalog: Catalog, *, task: str, seed: int) -> str:
        return catalog.paths.composed_model.format(model=name)

    def downloads(self, name: str, catalog: Catalog) -> set[str]:
        return {found for part in self.parts.values() for found in catalog[part].downloads(part, catalog)}


AnySource = (
    TinySource
    | HuggingFaceSource
    | ReleasedEagleSource
    | EndpointSource
    | VlmevalSource
    | PretrainedSource
    | ComposedSource
)
Source = Annotated[AnySource, Field(discriminator="kind")]
"""The type of ``source`` of a model in the config."""


@dataclasses.dataclass(frozen=True, slots=True)
class Catalog:
    """All models and parts of a config, and where their weights lie.

    Attributes:
        models: sources of the models, by name.
        parts: what composed models are put together from, by name.
        paths: where the workflow puts what it makes and fetches.
    """

    models: Mapping[str, AnySource]
    parts: Mapping[str, HuggingFaceSource]
    paths: Paths

    @property
    def sources(self) -> dict[str, AnySource]:
        """Models and parts together."""
        return {**self.models, **self.parts}

    def __getitem__(self, name: str) -> AnySource:
        """The source of a model or part; a path is that of a model folder.

        Raises:
            ValueError: the path is not that of a model folder.
            KeyError: there is no such name.
        """
        sources = self.sources
        return HuggingFaceSource(name=name) if name not in sources and is_path(name) else sources[name]

    def folder(self, name: str, *, task: str, seed: int) -> str:
        """The folder of a model for a run; see ``ModelSource.folder``."""
        return self[name].folder(name, self, task=task, seed=seed)

    def downloads(self, names: set[str]) -> list[str]:
        """The models and parts that are fetched from the hub for the named models, sorted."""
        return sorted({found for name in names for found in self[name].downloads(name, self)})


def is_path(name: str) -> bool:
    """Whether a name is that of a folder rather than one of the hub: it looks like one, or there is one."""
    return name.startswith(("/", "./", "../", "~")) or name.count("/") > 1 or Path(name).is_dir()


def _first_problem(error: ValueError) -> str:
    """The first of the validation errors, without pydantic's prefix."""
    assert isinstance(error, ValidationError)
    return str(error.errors()[0]["msg"]).removeprefix("Value error, ")
