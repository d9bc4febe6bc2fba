"""Cluster resources of training and decoding jobs, from the model, the number of examples and the attempt.

A starting point, generous rather than tight: what is killed by a limit is restarted with more (``attempt``) and resumes
from its checkpoint, and the profile may set any of it for all jobs of a rule. The functions ``*_seconds`` say how long
the same jobs are expected to take, without that margin.
"""

from __future__ import annotations

import dataclasses
import math

from s2h.models.settings import ModelSettings, TrainingSettings

# GPU seconds per example and billion parameters. The paper's training runs suggest 6 h on 8 H100 for 120,000 examples
# with Qwen2.5-VL-7B (8.3 billion): 6 * 3600 * 8 / 120,000 / 8.3.
_TRAINING_SECONDS = 0.174
# GPU seconds per prediction and billion parameters, decoded in batches: a conservative guess, never measured on a GPU.
# The paper's evaluation takes 28 h one by one for about 4,000 examples with the same model.
_DECODING_SECONDS = 0.5
_FIXED_SECONDS = 0.02  # for each example, whatever the model: pictures, tokens; on two cores the whole tiny model
_TEXT_MB = 0.002  # of a conversation and its places: Eagle-1.8M has 1.9 GB of JSON for 1.8 million
# Of a process that reads ahead, beside what it shares with others; and of each image of a micro-batch, four of which it
# keeps ready. Measured with Qwen2.5-VL's processor and 1,248 tokens per image: 700 MB, and 24 MB in fp32.
_LOADER_MB, _LOADED_IMAGE_MB = 700, 4 * 24
_LEAST_IMAGE_TOKENS = 512  # of an example with an image, where a micro-batch is given in tokens
# Seconds of a core per example and billion parameters, trained or decoded: the tiny model of the default study.
_CPU_SECONDS = 4.0
_IMPORT_SECONDS, _LOADING_SECONDS = 15, 10  # of every job; and for each billion parameters
_START_MINUTES = 15  # imports, loading weights, writing a model
_SLACK = 1.5


@dataclasses.dataclass(frozen=True, slots=True)
class ResourceRequest:
    """The resources that a job requests.

    Attributes:
        cpus: cores on each node.
        gpus: GPUs on each node.
        nodes: number of them.
        mem_mb: memory of each node, MB.
        runtime: minutes.
    """

    cpus: int
    gpus: int
    nodes: int
    mem_mb: int
    runtime: int


def training_request(
    model: ModelSettings, training: TrainingSettings, *, examples: int, attempt: int, conversations: int = 0
) -> ResourceRequest:
    """The resources for training one phase.

    Args:
        model: what is trained.
        training: how; its processes that read ahead need memory.
        examples: that the phase sees.
        attempt: 1 for the first; a job that comes back gets as many times the time and memory.
        conversations: of a corpus that every process holds in memory.
    """
    resources = model.job_resources
    seconds = examples * (
        _FIXED_SECONDS + resources.params_b * _TRAINING_SECONDS / (max(resources.gpus, 1) * resources.nodes)
    )
    processes = max(resources.gpus, 2)
    memory = _memory(resources.params_b, processes=processes) + processes * _loading(training)
    text = math.ceil(conversations * _TEXT_MB * processes * (1 + training.num_workers))
    return ResourceRequest(
        cpus=resources.cpus * max(resources.gpus, 1),
        gpus=resources.gpus,
        nodes=resources.nodes,
        mem_mb=(memory + text) * attempt,
        runtime=_minutes(seconds) * attempt,
    )


def decoding_request(model: ModelSettings, *, examples: int, attempt: int) -> ResourceRequest:
    """The resources for decoding a model's predictions: one node, where GPUs share the examples."""
    resources = model.job_resources
    seconds = examples * (_FIXED_SECONDS + resources.params_b * _DECODING_SECONDS / max(resources.decoding_gpus, 1))
    return ResourceRequest(
        cpus=resources.cpus * resources.decoding_gpus or 1,
        gpus=resources.decoding_gpus,
        nodes=1,
        mem_mb=_memory(resources.params_b, processes=max(resources.decoding_gpus, 1)) * attempt,
        runtime=_minutes(seconds) * attempt,
    )


def alignment_request(model: ModelSettings, *, examples: int, attempt: int) -> ResourceRequest:
    """The resources for measuring the alignment of a phase: one process, one GPU where the model trains on any.

    Weights and two gradients with their steps in fp32: 4 bytes per parameter each, of which weights and one gradient
    are on the GPU.
    """
    resources = model.job_resources
    seconds = examples * (_FIXED_SECONDS + resources.params_b * _TRAINING_SECONDS * 2)  # fp32 weights: half as fast
    return ResourceRequest(
        cpus=resources.cpus,
        gpus=min(resources.gpus, 1),
        nodes=1,
        mem_mb=(_memory(resources.params_b, processes=1) + math.ceil(resources.params_b * 20_000)) * attempt,
        runtime=_minutes(seconds) * attempt,
    )


def training_seconds(model: ModelSettings, *, examples: int) -> float:
    """How long training one phase is expected to take, on what ``training_request`` asks for."""
    resources = model.job_resources
    share = _TRAINING_SECONDS / resources.gpus if resources.gpus else _CPU_SECONDS / resources.cpus
    return _expected(resources.params_b, examples, share / resources.nodes)


def decoding_seconds(model: ModelSettings, *, examples: int) -> float:
    """How long decoding is expected to take, on what ``decoding_request`` asks for."""
    resources = model.job_resources
    share = _DECODING_SECONDS / resources.decoding_gpus if resources.decoding_gpus else _CPU_SECONDS
    return _expected(resources.params_b, examples, share)


def alignment_seconds(model: ModelSettings, *, examples: int) -> float:
    """How long measuring an alignment is expected to take, on what ``alignment_request`` asks for."""
    resources = model.job_resources
    share = _TRAINING_SECONDS * 2 if resources.gpus else _CPU_SECONDS / resources.cpus
    return _expected(resources.params_b, examples, share)


def _expected(params_b: float, examples: int, share: float) -> float:
    """Seconds of a job: its start, and ``share`` seconds per example and billion parameters."""
    return _IMPORT_SECONDS + params_b * (_LOADING_SECONDS + examples * share)


def process_count(*, gpus: int, threads: int) -> int:
    """Processes of a node: one for each GPU that the job has, or for each thread of a job without."""
    return gpus or threads


def _memory(params_b: float, *, processes: int) -> int:
    """MB for processes that each load the weights in bf16 on their way to the GPU, beside torch itself."""
    return 1000 + math.ceil(processes * (1500 + params_b * 2500))


def _loading(training: TrainingSettings) -> int:
    """MB for the processes that read ahead of a training process."""
    images = training.micro_batch_size or math.ceil((training.micro_batch_tokens or 0) / _LEAST_IMAGE_TOKENS)
    return training.num_workers * (_LOADER_MB + images * _LOADED_IMAGE_MB)


def _minutes(seconds: float) -> int:
    return _START_MINUTES + math.ceil(seconds * _SLACK / 60)
