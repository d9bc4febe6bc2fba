"""What answers prompts: a model here, in one process or several; vLLM; or a server.

Each takes chunks of prompts and gives replies chunk by chunk, as they are finished, so that none is lost when decoding
is interrupted. Models that VLMEvalKit lists are asked by ``s2h.scoring.engine``.
"""

from __future__ import annotations

import base64
import io
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, Protocol

from PIL import Image

from s2h.errors import ModelError
from s2h.models.loading import prompt_text
from s2h.models.settings import EndpointSettings, ScoringSettings
from s2h.models.weights import missing_files
from s2h.scoring.decoding import Decoder, Prompt, Reply, load_decoder
from s2h.training.launch import end_with_parent

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

Chunk = Sequence[Prompt]
"""Prompts that are answered together: all with an image, or all without."""


class Backend(Protocol):
    """A model, as scoring needs it.

    Attributes:
        chunk: how many prompts it likes to get at once.
        batches: whether it computes them together, so that arithmetic may round differently than for one alone.
    """

    chunk: int
    batches: bool

    def answers(self, chunks: Sequence[Chunk]) -> Iterator[tuple[int, list[Reply]]]:
        """(position of the chunk, replies in its order), as chunks are finished."""


class LocalBackend:
    """A decoder in this process."""

    batches = True

    def __init__(self, decoder: Decoder) -> None:
        self.decoder, self.chunk = decoder, _chunk(decoder.settings)

    def answers(self, chunks: Sequence[Chunk]) -> Iterator[tuple[int, list[Reply]]]:
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

    batches = True

    def __init__(self, folder: str, settings: ScoringSettings, *, processes: int, options: Mapping[str, Any]) -> None:
        self.chunk, self.processes = _chunk(settings), processes
        self._arguments = (folder, settings, 1 / processes, dict(options))

    def answers(self, chunks: Sequence[Chunk]) -> Iterator[tuple[int, list[Reply]]]:
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
                    replies = future.result()
                except BrokenProcessPool as error:
                    raise ModelError(
                        f"one of {self.processes} decoding processes was ended from outside, most likely for lack of "
                        "memory: lower scoring.batch_size, or use fewer processes. Replies so far are kept."
                    ) from error
                yield futures[future], replies


_WORKER: list[Any] = []
"""What a worker process was told, and its decoder once it has been loaded."""


def _start_worker(ranks: Queue[int], *told: Any) -> None:
    end_with_parent()
    _WORKER[:] = [(ranks.get(), *told)]


def _work(chunk: Chunk) -> list[Reply]:
    if len(_WORKER) == 1:  # not when the process starts: errors would be lost there
        _WORKER.append(_load_worker(*_WORKER[0]))
    replies: list[Reply] = _WORKER[1](chunk)
    return replies


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


class VllmBackend:
    """A model in vLLM, which schedules batches itself.

    Args:
        folder: model folder.
        settings: how to decode.
        processor: of the model, for its chat template.
        gpus: over which the weights are spread.

    Raises:
        ModelError: vLLM is not installed, or the folder has no weights that it reads.
    """

    batches = True
    chunk = 512

    def __init__(self, folder: str, settings: ScoringSettings, *, processor: Any, gpus: int) -> None:
        try:
            from vllm import LLM, SamplingParams
        except ImportError as error:
            raise ModelError(
                f"scoring.backend is vllm, which cannot be imported ({error}): install it into this environment, or "
                "set scoring.backend to transformers."
            ) from None
        if missing_files(folder):
            raise ModelError(
                f"the weights of {folder} were removed (keep_weights in the config), and vLLM does not make them again "
                "from adapters: set scoring.backend to transformers."
            )
        self.processor = processor
        self._sampling = SamplingParams(temperature=0, max_tokens=settings.max_new_tokens)
        self._llm = LLM(model=folder, dtype="bfloat16", tensor_parallel_size=gpus, seed=0)

    def answers(self, chunks: Sequence[Chunk]) -> Iterator[tuple[int, list[Reply]]]:
        for position, chunk in enumerate(chunks):
            started = time.perf_counter()
            found = self._llm.generate([self._request(prompt) for prompt in chunk], self._sampling, use_tqdm=False)
            seconds = (time.perf_counter() - started) / len(chunk)
            yield position, [Reply(each.outputs[0].text, len(each.outputs[0].token_ids), seconds) for each in found]

    def _request(self, prompt: Prompt) -> dict[str, Any]:
        request: dict[str, Any] = {
            "prompt": prompt_text(self.processor, prompt.text, with_image=prompt.image is not None)
        }
        if prompt.image is not None:
            request["multi_modal_data"] = {"image": Image.open(io.BytesIO(prompt.image)).convert("RGB")}
        return request


class EndpointBackend:
    """A model behind an OpenAI-compatible address, asked with temperature 0; pictures are sent as they are.

    Args:
        source: address and name.
        settings: longest reply.

    Raises:
        ModelError: the key is missing.
    """

    batches = False
    chunk = 1

    def __init__(self, source: EndpointSettings, settings: ScoringSettings) -> None:
        from openai import OpenAI

        key = os.environ.get(source.key_variable, "") if source.key_variable else "none"
        if not key:
            raise ModelError(f"the environment variable {source.key_variable} holds no key for {source.url}: set it.")
        self.source, self.settings = source, settings
        self._client = OpenAI(base_url=source.url, api_key=key, timeout=source.timeout, max_retries=4)

    def answers(self, chunks: Sequence[Chunk]) -> Iterator[tuple[int, list[Reply]]]:
        pool = ThreadPoolExecutor(self.source.connections)
        with _stopped_at_once(pool):
            futures = {pool.submit(self._ask, chunk): position for position, chunk in enumerate(chunks)}
            for future in as_completed(futures):
                yield futures[future], future.result()

    def _ask(self, chunk: Chunk) -> list[Reply]:
        return [self._reply(prompt) for prompt in chunk]

    def _reply(self, prompt: Prompt) -> Reply:
        from openai import OpenAIError

        content: list[dict[str, Any]] = [{"type": "text", "text": prompt.text}]
        if prompt.image is not None:
            content.insert(0, {"type": "image_url", "image_url": {"url": _data_url(prompt.image)}})
        started = time.perf_counter()
        try:
            found: Any = self._client.chat.completions.create(
                model=self.source.name,
                messages=[{"role": "user", "content": content}],  # type: ignore[misc, list-item]
                max_tokens=self.settings.max_new_tokens,
                temperature=0,
            )
            text = found.choices[0].message.content or ""
        except (OpenAIError, AttributeError, IndexError, TypeError) as error:
            raise ModelError(
                f"{self.source.url} gave no reply of {self.source.name} ({type(error).__name__}: {error}): see that "
                "the server runs and knows the model, then run again; replies so far are kept."
            ) from error
        return Reply(text, getattr(found.usage, "completion_tokens", None), time.perf_counter() - started)


def _data_url(image: bytes) -> str:
    """A picture file as it is, in a URL."""
    with Image.open(io.BytesIO(image)) as picture:
        kind = picture.get_format_mimetype()
    return f"data:{kind};base64,{base64.b64encode(image).decode()}"


def _chunk(settings: ScoringSettings) -> int:
    """Examples that a decoder gets at once: a batch, so that what is finished is kept after each."""
    return 256 if settings.batch_size == "auto" else settings.batch_size


def make_chunks(prompts: Sequence[Prompt], size: int) -> Iterable[list[int]]:
    """Positions of prompts of one kind and alike in length; the longest come first, so that memory fails early."""
    for shows_image in (True, False):
        chosen = [i for i, prompt in enumerate(prompts) if (prompt.image is not None) == shows_image]
        chosen.sort(key=lambda i: -len(prompts[i].text))
        for start in range(0, len(chosen), size):
            yield chosen[start : start + size]
