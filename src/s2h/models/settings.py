"""Settings of the models, free of torch so that the config loads in no time."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from s2h.models.sources import ModelResources, Source
from s2h.settings import Settings


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


Precision = Literal["fp32", "bf16", "bf16-mixed", "auto"]
"""Arithmetic of a training run; ``auto`` is one of the others, by the device."""


class TrainingSettings(Settings):
    """How a model is trained; a phase of a recipe may change any of it.

    Attributes:
        learning_rate: peak of the schedule (the paper: 2e-5).
        lr_scheduler_type: ``cosine`` to zero (the paper), or ``linear`` to zero from ``decay_from`` on.
        decay_from: share of the phase after which the linear schedule falls.
        warmup_ratio: share of the phase in which the rate rises from zero (the paper: 0.03).
        batch_size: examples of an optimizer step, over all processes (the paper: 128).
        micro_batch_size: most examples that one process computes at once; the rest is gradient accumulation.
        micro_batch_tokens: most tokens that one process computes at once, padding included, where examples are of very
            different lengths: GPUs like a full load and have a limited memory. Give either, or both.
        weight_decay: of AdamW (the paper: 0).
        adam_beta2: of AdamW.
        max_grad_norm: gradients are clipped to this norm.
        max_length: most tokens of an example, image tokens included (the paper's script: 3072).
        on_overlength: what happens to longer examples: ``error`` stops before the first step, ``drop`` omits them,
            ``truncate`` keeps their first ``max_length`` tokens if one of these is in the loss, and omits the others.
            They are counted and reported. Truncate conversations if you like, never puzzles: the answer comes last.
        precision: arithmetic of the forward and backward pass: ``fp32``; ``bf16``, weights included, of which the
            optimizer keeps fp32 copies; ``bf16-mixed``, matrix products in bf16 of weights in fp32. ``auto`` is
            ``bf16`` on a GPU, ``bf16-mixed`` on a CPU that has instructions for it, and ``fp32`` elsewhere.
        gradient_checkpointing: recompute activations in the backward pass: a third more arithmetic, a fraction of the
            memory. ``auto`` does so where the largest micro-batch does not fit without.
        attention: ``auto`` takes the fastest that is there: FlashAttention 2 where it is installed, torch's own on any
            other GPU, the plain product on a CPU.
        kernels: ``liger`` has norms and gated feed-forward layers computed by Liger's fused GPU kernels, ``plain`` by
            transformers' own code; ``auto`` takes Liger's on a GPU, where they are installed and know the model.
        lora: train low-rank adapters instead of the weights.
        num_workers: processes beside each training process that read and encode examples ahead; 0 does it in
            between steps, which is right for two cores.
        random_positions: responses that read the picture start some random positions later than they follow their
            prompts, so that reading cannot lean on fixed distances (compare Ruoss et al., 2023, Randomized Positional
            Encodings).
            The range of the shift grows over the second half of the phase from none to this many positions: shifts
            from the start hold up the learning of images. 0 turns it off, as in the paper.
        save_minutes: minutes between two checkpoints, from which an interrupted run resumes: a large model takes a
            minute to write one, of 16 bytes per parameter.
        save_steps: optimizer steps between two of them, as well; null leaves it to the time alone.
        snapshots: models that are kept along a phase, at even distances and the last at its end, with the optimizer's
            second moments, so that the alignment of gradients can be measured along the training; 6 to 8 bytes per
            parameter each. Not with ``lora``.
        deepspeed: DeepSpeed config file; batch sizes and precision are filled in from here.
    """

    learning_rate: float = Field(gt=0)
    lr_scheduler_type: Literal["cosine", "linear"] = "cosine"
    decay_from: float = Field(0.6, ge=0, lt=1)
    warmup_ratio: float = Field(0.03, ge=0, lt=1)
    batch_size: int = Field(ge=1)
    micro_batch_size: int | None = Field(None, ge=1)
    micro_batch_tokens: int | None = Field(None, ge=1)
    weight_decay: float = Field(0.0, ge=0)
    adam_beta2: float = Field(0.999, gt=0, lt=1)
    max_grad_norm: float = Field(1.0, gt=0)
    max_length: int = Field(ge=8)
    on_overlength: Literal["error", "drop", "truncate"] = "error"
    precision: Precision = "bf16"
    gradient_checkpointing: bool | Literal["auto"] = False
    attention: Literal["auto", "eager", "sdpa", "flash_attention_2"] = "auto"
    kernels: Literal["auto", "plain", "liger"] = "auto"
    lora: LoraSettings | None = None
    num_workers: int = Field(0, ge=0)
    random_positions: int = Field(0, ge=0)
    save_minutes: float = Field(25, gt=0)
    save_steps: int | None = Field(None, ge=1)
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
        if self.micro_batch_size is not None and self.micro_batch_size > self.batch_size:
            raise ValueError(
                f"micro_batch_size ({self.micro_batch_size}) is larger than batch_size ({self.batch_size}), of which "
                "it is a part: lower it"
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
        max_new_tokens: where a prediction is cut off (the paper: 2048).
        batch_size: most examples decoded together; ``auto`` takes as many as fit the memory. Where a GPU's memory does
            not suffice after all, batches are halved.
        backend: ``transformers``, or ``vllm`` for the models that it serves: on GPUs; ``make vllm`` installs it, and
            each job starts and ends its own.
        recheck: so many examples are decoded one at a time as well, and predictions that differ are counted and
            reported: arithmetic in batches rounds differently.
    """

    max_new_tokens: int = Field(ge=1)
    batch_size: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    backend: Literal["transformers", "vllm"] = "transformers"
    recheck: int = Field(8, ge=0)


class ModelSettings(Settings):
    """A model: where it comes from, how it is trained and decoded, and what its jobs are given.

    ``training`` may be left out of a model that is only scored, with the recipe ``untrained``. Without ``resources``
    the tiny model and endpoints get no GPU, others one.
    """

    source: Source
    training: TrainingSettings | None = None
    scoring: ScoringSettings
    resources: ModelResources | None = None

    @property
    def job_resources(self) -> ModelResources:
        """The resources of its jobs."""
        return self.resources or self.source.default_resources

    @model_validator(mode="after")
    def _can_be_trained(self) -> ModelSettings:
        if self.training and not self.source.has_weights:
            raise ValueError(f"a model of kind {self.source.kind} is not trained here: omit training")
        return self

    @property
    def served_by_vllm(self) -> bool:
        """Whether jobs start vLLM for it; endpoints and models of VLMEvalKit are asked in their own way."""
        return self.scoring.backend == "vllm" and self.source.has_weights

    @model_validator(mode="after")
    def _vllm_has_gpus(self) -> ModelSettings:
        if self.served_by_vllm and not self.job_resources.decoding_gpus:
            raise ValueError("scoring.backend is vllm, which needs a GPU: set resources.decoding_gpus to 1 or more")
        return self
