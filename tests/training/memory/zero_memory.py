"""Run by torchrun: what DeepSpeed allocates, for each of the files that it is given; one JSON line for each.

All of it lies on the CPU, that of a GPU and that of its host: bytes alive are counted as each operation makes them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import deepspeed
import torch
import torch.distributed as dist
from torch import nn

from s2h.training.memory.activations import Live

LAYERS, WIDTH, ROUNDS = 16, 256, 2


def stack() -> nn.Sequential:
    """Layers without activations to speak of."""
    return nn.Sequential(*(nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(LAYERS))).to(torch.bfloat16)


def most_alive(config: dict[str, Any]) -> int:
    """Bytes at the peak of the second step, when the optimizer has all that it keeps."""
    live, model = Live(), stack()
    live.add([*model.parameters()])
    with live:
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
        engine, *_ = deepspeed.initialize(model=model, optimizer=optimizer, config=config)
        for _ in range(2):
            live.most = live.now
            for _ in range(ROUNDS):
                engine.backward(engine(torch.ones(1, WIDTH, dtype=torch.bfloat16)).float().square().mean())
                engine.step()
    engine.destroy()
    return live.most


def main() -> None:
    """Count for every file."""
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False  # it would be compiled first
    deepspeed.init_distributed("gloo", verbose=False)
    found = [most_alive(json.loads(Path(path).read_text())) for path in sys.argv[2:]]
    if dist.get_rank() == 0:
        Path(sys.argv[1]).write_text(json.dumps(found))
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
