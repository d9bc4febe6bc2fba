"""Two processes under ZeRO-3, of which one has an image and the other none: -m tests.models.eagle_ranks FOLDER."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import deepspeed
import torch
import torch.distributed as dist
from PIL import Image
from transformers.integrations import HfDeepSpeedConfig

from s2h.models.loading import load_model, load_processor
from s2h.supervision.examples import Example
from s2h.tokenisation.encoding import ExampleEncoder
from s2h.training.collate import Collator, with_targets
from s2h.training.losses import ForwardPass, dummy_image
from tests.shipped import ROOT


def main(folder: str) -> None:
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False  # it would be compiled first
    deepspeed.init_distributed("gloo", timeout=timedelta(seconds=120))
    config: dict[str, Any] = json.loads(Path(ROOT / "config/deepspeed/zero3_cpu.json").read_text())
    config |= {"train_micro_batch_size_per_gpu": 1, "gradient_accumulation_steps": 1}
    keep = HfDeepSpeedConfig(config)  # spreads the weights while they are loaded
    model = load_model(folder, dtype=torch.float32, attention="eager").train()
    del keep
    processor = load_processor(folder)
    forward_pass = ForwardPass(model, dummy_image(processor))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    engine, *_ = deepspeed.initialize(model=model, optimizer=optimizer, config=config)
    rank = dist.get_rank()
    image = Image.new("RGB", (80, 80)) if rank == 0 else None
    example = Example(0, "image" if image else "text", "from a to b", "7", image)
    batch = with_targets(Collator(ExampleEncoder(processor))([example]))
    for _ in range(2):
        engine.backward(forward_pass.loss(engine, batch, torch.device("cpu")))
        engine.step()
    print(f"{rank} finished", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
