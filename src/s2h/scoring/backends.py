"""Backends that answer prompts: a model here, in one process or several; or a server, which may be vLLM's for this job.

Each takes chunks of prompts and yields predictions chunk by chunk as they are finished, so that none is lost when
decoding is interrupted. Models listed by VLMEvalKit are run by ``s2h.scoring.vlmevalkit``.
"""

from __future__ import annotations

import base64
import itertools
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from s2h.children import end_with_parent
from s2h.errors import ModelError
from s2h.images import image_type, portable_image
from s2h.logs import LOGGER
from s2h.models.loading import load_processor, parameter_count
from s2h.models.settings import ScoringSettings
from s2h.models.sources import EndpointSource
from s2h.models.weights import missing_files
from s2h.scoring import vllm
from s2h.scoring.decoding import Decoder, Prediction, Prompt, load_decoder
from s2h.scoring.openings import check_continuation, opening_ids, opening_message
from s2h.supervision.conversion import CONVERSIONS, CONVERTED, Conversion
from s2h.supervision.formats import TRANSCRIPTION_HEADER

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

_UNDER_WAY = 256  # requests at each copy of the weights in vLLM, which computes as many together
_MOST_CONNECTIONS = 768  # a process may hold 1024 files open where nobody has said otherwise
_TIMEOUT = 3600.0  # seconds for a prediction of vLLM, which may wait for others before it begins

Chunk = Sequence[Prompt]
"""Prompts that are answered together, of one kind: all with an image or all without, and with one conversion."""


class Backend(Protocol):
    """A model, as scoring needs it.

    Attributes:
        chunk_size: how many prompts it likes to get at once.
        batched: whether it computes them together, so that arithmetic may round differently than for one alone.
        metadata: what is stored with its predictions.
    """

    chunk_size: int
    batched: bool
    metadata: Mapping[str, str]

    def generate(self, chunks: Sequence[Chunk], *, sequential: bool = False) -> Iterator[tuple[int, list[Prediction]]]:
        """(position of the chunk, predictions in its order), as chunks are finished.

        Args:
            chunks: of prompts.
            sequential: whether no model may compute two chunks at once; only a server would.
        """


class LocalBackend:
    """A decoder in this process."""

    batched = True
    metadata: Mapping[str, str] = {}

    def __init__(self, decoder: Decoder) -> None:
        self.decoder, self.chunk_size = decoder, _chunk_size(decoder.settings)

    def generate(self, chunks: Sequence[Chunk], *, sequential: bool = False) -> Iterator[tuple[int, list[Prediction]]]:
        for position, chunk in enumerate(chunks):
            yield position, self.decoder(chunk)


class PoolBackend:
    """A decoder in each of several processes, which share the chunks; on GPUs each process has its own.

    Args:
        folder: model folder.
        settings: how to decode.
        processes: how many.
        options: for the processor.

    Raises:
        ModelError: when it answers, where a process cannot load the model, or ends before its time.
    """

    batched = True
    metadata: Mapping[str, str] = {}

    def __init__(self, folder: str, settings: ScoringSettings, *, processes: int, options: Mapping[str, Any]) -> None:
        self.chunk_size, self.processes = _chunk_size(settings), processes
        self._arguments = (folder, settings, 1 / processes, dict(options))

    def generate(self, chunks: Sequence[Chunk], *, sequential: bool = False) -> Iterator[tuple[int, list[Prediction]]]:
        context = get_context("spawn")
        ranks: Queue[int] = context.Queue()
        for rank in range(self.processes):
            ranks.put(rank)
        pool = ProcessPoolExecutor(
            self.processes, mp_context=context, initializer=_start_worker, initargs=(ranks, *self._arguments)
        )
        with _stopped_at_once(pool):
            futures = {pool.submit(_work, chunk): position for position, chunk in enumerate(chunks)}
            for future in as_completed(futures):
                try:
                    predictions = future.result()
                except BrokenProcessPool as error:
                    raise ModelError(
                        f"one of {self.processes} decoding processes was ended from outside, most likely for lack of "
                        "memory: lower scoring.batch_size, or use fewer processes. Predictions so far are kept."
                    ) from error
                yield futures[future], predictions


_WORKER: list[Any] = []
"""The arguments of a worker process, and its decoder once it has been loaded."""


def _start_worker(ranks: Queue[int], *arguments: Any) -> None:
    end_with_parent()
    _WORKER[:] = [(ranks.get(), *arguments)]


def _work(chunk: Chunk) -> list[Prediction]:
    if len(_WORKER) == 1:  # not when the process starts: errors would be lost there
        _WORKER.append(_load_worker(*_WORKER[0]))
    predictions: list[Prediction] = _WORKER[1](chunk)
    return predictions


def _load_worker(rank: int, folder: str, settings: ScoringSettings, share: float, options: dict[str, Any]) -> Decoder:
    import torch

    torch.set_num_threads(max(int(share * (os.cpu_count() or 1)), 1))  # each would take all cores
    return load_decoder(folder, settings, rank=rank, share=share, **options)


@contextmanager
def _stopped_at_once(pool: Executor) -> Iterator[None]:
    """When anything goes wrong, what has not begun is not begun."""
    try:
        yield
    finally:
        pool.shutdown(cancel_futures=True)


_CONVERSION_PARAMETERS: Mapping[Conversion, Mapping[str, Any]] = {
    "free": {},
    "forced": {"add_generation_prompt": False, "continue_final_message": True, "echo": True},
    "forbidden": {"bad_words": TRANSCRIPTION_HEADER.split()[:1]},
}
"""What a request says of the conversion, in vLLM's parameters: OpenAI's own have nothing for it.

The response is echoed from its beginning, so that a server that did not continue it is found out.
"""


class EndpointBackend:
    """A model behind an OpenAI-compatible address, asked with temperature 0; pictures are sent as PNG or JPEG.

    A conversion is forced or forbidden only by a server that takes vLLM's parameters for it.

    Args:
        source: address and name.
        settings: longest prediction.

    Raises:
        ModelError: the key is missing.
    """

    batched = False
    metadata: Mapping[str, str] = {}
    chunk_size = 1
    more: Mapping[str, Any] = {}
    """Further parameters of every request."""
    opening_tokens = 0
    """Tokens of a forced conversion; 0 where the model's tokenizer is not known."""

    def __init__(self, source: EndpointSource, settings: ScoringSettings) -> None:
        from openai import DefaultHttpxClient, OpenAI

        key = os.environ.get(source.api_key_env, "") if source.api_key_env else "none"
        if not key:
            raise ModelError(f"the environment variable {source.api_key_env} holds no key for {source.url}: set it.")
        self.source, self.settings = source, settings
        remote = urlsplit(source.url).hostname not in ("127.0.0.1", "localhost")  # else a proxy would lead astray
        web = DefaultHttpxClient(trust_env=remote)
        self._client = OpenAI(base_url=source.url, api_key=key, timeout=source.timeout, max_retries=4, http_client=web)

    def generate(self, chunks: Sequence[Chunk], *, sequential: bool = False) -> Iterator[tuple[int, list[Prediction]]]:
        pool = ThreadPoolExecutor(1 if sequential else self.source.connections)
        with _stopped_at_once(pool):
            futures = {pool.submit(self._ask, chunk): position for position, chunk in enumerate(chunks)}
            for future in as_completed(futures):
                yield futures[future], future.result()

    def _ask(self, chunk: Chunk) -> list[Prediction]:
        return [self._prediction(prompt) for prompt in chunk]

    def _prediction(self, prompt: Prompt) -> Prediction:
        from openai import OpenAIError

        given = self.opening_tokens if prompt.conversion == "forced" else 0
        started = time.perf_counter()
        try:
            found: Any = self._client.chat.completions.create(
                model=self.source.name,
                messages=_messages(prompt),  # type: ignore[arg-type]
                max_tokens=max(self.settings.max_new_tokens - given, 1),
                temperature=0,
                extra_body={**self.more, **_CONVERSION_PARAMETERS[prompt.conversion]},
            )
            text = found.choices[0].message.content or ""
        except (OpenAIError, AttributeError, IndexError, TypeError) as error:
            message = (
                f"{self.source.url} gave no response of {self.source.name} ({type(error).__name__}: {error}): see that "
                "the server runs and knows the model, then run again; predictions so far are kept."
            )
            raise ModelError(" ".join(filter(None, [message, _ADVICE[prompt.conversion]]))) from error
        self._check_conversion(text, prompt.conversion)
        new = getattr(found.usage, "completion_tokens", None)
        return Prediction(text, None if new is None else new + given, time.perf_counter() - started)

    def _check_conversion(self, text: str, conversion: Conversion) -> None:
        """Raise ModelError where a server ignored what it was told of the conversion."""
        if conversion != "free" and bool(re.match(CONVERTED, text)) != (conversion == "forced"):
            raise ModelError(
                f"the conversion is {conversion}, but {self.source.url} gave a response that begins with "
                f"{text[:40]!r}. {_ADVICE[conversion]}"
            )


class VllmBackend(EndpointBackend):
    """A model that vLLM serves to this job alone; prompts become the tokens that they are in training.

    Args:
        source: address and name.
        settings: longest prediction.
        folder: model folder.
        options: for the processor.
        gpus: that answer.
        version: of vLLM.
    """

    batched = True
    more: Mapping[str, Any] = {"add_special_tokens": True}  # as our processors do; a chat's default is not to

    def __init__(
        self,
        source: EndpointSource,
        settings: ScoringSettings,
        *,
        folder: str,
        options: Mapping[str, int],
        gpus: int,
        version: str,
    ) -> None:
        super().__init__(source, settings)
        self.folder, self.options, self.gpus, self.metadata = folder, options, gpus, {"vllm": version}

    def generate(self, chunks: Sequence[Chunk], *, sequential: bool = False) -> Iterator[tuple[int, list[Prediction]]]:
        """Predictions as of any server, with GPU seconds: concurrent requests share the time of the GPUs equally.

        Raises:
            ModelError: also where the model's chat template does not let a forced conversion stand.
        """
        if any(prompt.conversion == "forced" for chunk in chunks for prompt in chunk):
            processor = load_processor(self.folder, **self.options)
            check_continuation(processor)
            self.opening_tokens = len(opening_ids(processor.tokenizer))
        together = 1 if sequential else min(self.source.connections, max(len(chunks), 1))
        for position, predictions in super().generate(chunks, sequential=sequential):
            yield position, [replace(each, seconds=each.seconds * self.gpus / together) for each in predictions]


@contextmanager
def vllm_backend(
    folder: str, settings: ScoringSettings, *, gpus: int, options: Mapping[str, int], log: Path
) -> Iterator[VllmBackend]:
    """A model in a server of vLLM, which ends with the block.

    Args:
        folder: model folder.
        settings: how to decode.
        gpus: that it may use, of those that this process sees.
        options: for the processor.
        log: file of all that the server prints.

    Raises:
        ModelError: vLLM is not there, the GPUs do not hold the model, or the server did not start or did not answer.
    """
    if missing_files(folder):
        raise ModelError(
            f"the weights of {folder} were removed (keep_weights in the config), and vLLM does not make them again "
            "from adapters: set scoring.backend to transformers."
        )
    program, cards = vllm.find_vllm(), gpu_memory()[:gpus]
    layout = vllm.plan_layout(shape_of(folder), cards)
    LOGGER.info("vLLM: %d copies of the weights on %d GPUs each", layout.data, layout.tensor)

    def command(name: str, port: int) -> list[str]:
        return vllm.serve_command(program, folder, name=name, port=port, layout=layout, options=options)

    with vllm.served(command, log=log) as server:
        connections = min(_UNDER_WAY * layout.data, _MOST_CONNECTIONS)
        source = EndpointSource(url=server.url, name=server.name, connections=connections, timeout=_TIMEOUT)
        gpus = layout.tensor * layout.data
        yield VllmBackend(source, settings, folder=folder, options=options, gpus=gpus, version=server.version)


def gpu_memory() -> list[int]:
    """Bytes of each GPU that this process sees."""
    import torch

    return [torch.cuda.get_device_properties(i).total_memory for i in range(torch.cuda.device_count())]


def shape_of(folder: str) -> vllm.Shape:
    """The sizes that limit over how many GPUs a model folder can be spread, from its config alone."""
    from transformers import AutoConfig

    weights = 2 * parameter_count(folder)  # which says what is wrong with the folder
    config = AutoConfig.from_pretrained(folder)
    text, names = config.get_text_config(), ("num_attention_heads", "num_heads", "intermediate_size")
    parts = [text, getattr(config, "vision_config", None)]
    sizes = tuple(size for part in parts for name in names if isinstance(size := getattr(part, name, None), int))
    return vllm.Shape(weights, sizes, getattr(text, "num_key_value_heads", None) or text.num_attention_heads)


_ADVICE: Mapping[Conversion, str] = {
    "free": "",
    "forced": "A conversion is forced by servers that continue the last message of a conversation, as vLLM does "
    "(continue_final_message, echo); for others leave forced out of the conversions of the model's runs.",
    "forbidden": "A conversion is forbidden by servers that keep words out of a response, as vLLM does (bad_words); "
    "for others leave forbidden out of the conversions of the model's runs, or set scoring.backend to transformers.",
}
"""What to do where a server refuses a conversion, or ignores it."""


def _messages(prompt: Prompt) -> list[dict[str, Any]]:
    """The conversation that a server is asked to go on with."""
    content: list[dict[str, Any]] = [{"type": "text", "text": prompt.text}]
    if prompt.image is not None:
        content.insert(0, {"type": "image_url", "image_url": {"url": _data_url(prompt.image)}})
    return [{"role": "user", "content": content}, *[opening_message()] * (prompt.conversion == "forced")]


def _data_url(image: bytes) -> str:
    """A picture in a URL, as PNG or JPEG: few servers take other formats, or turn and fill as we do."""
    file = portable_image(image)
    return f"data:{image_type(file)};base64,{base64.b64encode(file).decode()}"


def _chunk_size(settings: ScoringSettings) -> int:
    """Examples that a decoder gets at once: a batch, so that what is finished is kept after each."""
    return 256 if settings.batch_size == "auto" else settings.batch_size


def make_chunks(prompts: Sequence[Prompt], size: int) -> Iterable[list[int]]:
    """Positions of prompts of one kind and alike in length; the longest come first, so that memory fails early."""
    for conversion, has_image in itertools.product(CONVERSIONS, (True, False)):
        kind = conversion, has_image
        chosen = [i for i, prompt in enumerate(prompts) if (prompt.conversion, prompt.image is not None) == kind]
        chosen.sort(key=lambda i: -len(prompts[i].text))
        for start in range(0, len(chosen), size):
            yield chosen[start : start + size]
