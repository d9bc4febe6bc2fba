"""vLLM's server for one job: found, started, waited for, and ended with the job.

vLLM pins another torch and another transformers than training does, so it has an environment of its own
(``make vllm``) and is never imported here: it is a program that answers over HTTP, on this machine alone.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any

from s2h.children import with_this_code
from s2h.errors import ModelError
from s2h.logs import LOGGER

VARIABLE = "S2H_VLLM"
"""Environment variable that names the executable."""

_ROOT = Path(__file__).parents[3]  # of the checkout, where `make vllm` puts its environment
_HOST = "127.0.0.1"
_SHARE = 0.75  # of a card's memory that weights may take; vLLM plans with 0.92 and wants room for keys and values
_PATIENCE = 1800.0  # seconds until it must answer: weights of a large model may come from a slow disk
_TRIES = 3  # ports: another program may take one between its choice and its use
_QUICK = 10.0  # seconds for an answer about its health
_TAIL = 30  # lines of the log in an error
_ERROR = re.compile(r"(^|\] +)([\w.]+Error|Exception): ")  # the last line of a traceback, after what loggers put first
_END = 60.0  # seconds in which all its processes must be gone


def find_vllm() -> str:
    """The executable: what S2H_VLLM names, else that of ``make vllm``, else the one on the PATH.

    Raises:
        ModelError: there is none.
    """
    named = os.environ.get(VARIABLE)
    places = [named] if named else [str(_ROOT / ".venv-vllm/bin/vllm"), "vllm"]
    program = next(filter(None, map(shutil.which, places)), None)
    if program is None:
        raise ModelError(
            f"there is no program vllm, which scoring.backend asks for (looked for {' and '.join(places)}): install it "
            f"with make vllm, name it in the environment variable {VARIABLE}, or set scoring.backend to transformers."
        )
    return str(Path(program).absolute())


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """The sizes that limit over how many GPUs a model can be spread.

    Attributes:
        weights: bytes of all weights in bf16.
        sizes: numbers that are split evenly: attention heads and widths of feed-forward layers, of all parts.
        key_heads: heads of keys and values, which are split evenly or repeated evenly.
    """

    weights: int
    sizes: tuple[int, ...]
    key_heads: int

    def splits(self, gpus: int) -> bool:
        """Whether the model can be spread over so many GPUs."""
        even = all(size % gpus == 0 for size in self.sizes)
        return even and (self.key_heads % gpus == 0 or gpus % self.key_heads == 0)


@dataclasses.dataclass(frozen=True, slots=True)
class Layout:
    """How GPUs share the work.

    Attributes:
        tensor: GPUs that hold the weights together.
        data: copies of the weights, which share the prompts.
    """

    tensor: int
    data: int


def plan_layout(shape: Shape, cards: Sequence[int]) -> Layout:
    """As many copies of the weights as fit, each spread over as few GPUs as hold it.

    Args:
        shape: of the model.
        cards: memory of each GPU, bytes.

    Raises:
        ModelError: there is no GPU, or these do not hold the weights.
    """
    if not cards:
        raise ModelError(
            "scoring.backend is vllm, which needs a GPU, and none is visible here (CUDA_VISIBLE_DEVICES is "
            f"{os.environ.get('CUDA_VISIBLE_DEVICES', 'not set')}): run on one, or set scoring.backend to transformers."
        )
    for tensor in range(1, len(cards) + 1):
        if shape.splits(tensor) and shape.weights <= _SHARE * min(cards) * tensor:
            return Layout(tensor, len(cards) // tensor)
    raise ModelError(
        f"the weights take {shape.weights / 2**30:.0f} GiB, for which {len(cards)} GPUs of "
        f"{min(cards) / 2**30:.0f} GiB are too few (of each {_SHARE:.0%} may be weights, and their number must divide "
        "the model's heads): raise resources.decoding_gpus, or use larger GPUs."
    )


def serve_command(
    program: str, folder: str, *, name: str, port: int, layout: Layout, options: Mapping[str, int]
) -> list[str]:
    """The command line that serves a model as this project decodes it.

    Sampling defaults of the model's own must not come in: only its end tokens do. Content reaches the chat template as
    a list of parts, as in training.

    Args:
        program: vLLM's executable.
        folder: model folder.
        name: what the server calls the model.
        port: on this machine.
        layout: over the GPUs.
        options: for the processor.
    """
    command = [program, "serve", folder, "--served-model-name", name, "--host", _HOST, "--port", str(port)]
    command += ["--dtype", "bfloat16", "--seed", "0", "--max-model-len", "auto", "--generation-config", "vllm"]
    command += ["--chat-template-content-format", "openai", "--limit-mm-per-prompt", '{"image": 1, "video": 0}']
    command += ["--tensor-parallel-size", str(layout.tensor), "--data-parallel-size", str(layout.data)]
    command += ["--disable-uvicorn-access-log"]
    return [*command, *(["--mm-processor-kwargs", json.dumps(dict(options))] if options else [])]


@dataclasses.dataclass(frozen=True, slots=True)
class Served:
    """A model that a server answers for.

    Attributes:
        url: base address.
        name: of the model.
        version: of vLLM.
    """

    url: str
    name: str
    version: str


@contextmanager
def served(command: Callable[[str, int], list[str]], *, log: Path, patience: float = _PATIENCE) -> Iterator[Served]:
    """Run a server until the block ends, or this process does.

    Args:
        command: its command line, from the name of the model and the port.
        log: file of all that it prints.
        patience: seconds in which it must answer.

    Raises:
        ModelError: it ended or did not answer in time; with the end of its log. So does an error of the block.
    """
    name = f"s2h-{secrets.token_hex(4)}"  # nobody else's server has a model of this name
    for left in reversed(range(_TRIES)):
        server = _Server(command(name, port := _free_port()), log)
        try:
            if server.wait_for(address := f"http://{_HOST}:{port}", name, patience, port_matters=left > 0):
                yield Served(f"{address}/v1", name, _ask(address, "version")["version"])
                return
        except ModelError as error:
            raise ModelError(f"{error} {server.status_report()}") from error
        finally:
            server.end()


class _Server:
    """The processes of vLLM, below one of ours that ends them when this process ends.

    Args:
        command: to run.
        log: file of all that they print.
    """

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self.log = log
        bare = ["env", "-u", "PYTHONPATH", "-u", "PYTHONHOME", *command]  # packages of this environment are not its own
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "s2h.children", *bare],
                env=_environment(command[0]),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_for(self, address: str, name: str, patience: float, *, port_matters: bool) -> bool:
        """Wait until it answers under its name; whether it does, and did not find its port taken.

        Raises:
            ModelError: it ended, or did not answer in time.
        """
        started = time.monotonic()
        message = f"vLLM is starting; its log is {self.log}"
        LOGGER.info(message)
        print(f"[s2h] {message}", file=sys.stderr, flush=True)
        while not _answers(address, name):
            if self._process.poll() is not None:
                if port_matters and "address already in use" in self.status_report().lower():
                    LOGGER.warning("the port of %s was taken meanwhile: trying another one", address)
                    return False
                raise ModelError(
                    "vLLM does not serve the model: fix the error in its log, or set scoring.backend to transformers."
                )
            if time.monotonic() - started > patience:
                raise ModelError(f"vLLM did not answer within {patience / 60:.0f} minutes.")
            time.sleep(0.5)
        LOGGER.info("vLLM answers at %s after %.0f s", address, time.monotonic() - started)
        return True

    def status_report(self) -> str:
        """The state of the server, with the first error of its log, which causes all others, and the end of the log."""
        code = self._process.poll()
        state = "runs still" if code is None else f"ended with code {code}"
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        first = [line for line in lines[:-_TAIL] if _ERROR.search(line)][:1]
        return "\n".join([f"The server {state}; of its log, {self.log}:", *first, *lines[-_TAIL:]])

    def end(self) -> None:
        """End it, and wait until the GPUs are free."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _environment(program: str) -> dict[str, str]:
    """Environment variables of the server: its own ``bin`` first on PATH, no downloads, no usage statistics."""
    path = os.pathsep.join([str(Path(program).parent), *filter(None, [os.environ.get("PATH")])])
    own = {"PYTHONPATH": with_this_code(), "PYTHONUNBUFFERED": "1", "PATH": path}
    return os.environ | own | {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}


def _answers(address: str, name: str) -> bool:
    """Whether a server is healthy and serves a model of that name."""
    try:
        with _open(f"{address}/health", timeout=_QUICK):
            pass
        return name in [model["id"] for model in _ask(address, "v1/models")["data"]]
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        return False


def _ask(address: str, page: str) -> Any:
    """The JSON response of a server; never through a proxy."""
    with _open(f"{address}/{page}", timeout=_QUICK) as answer:
        return json.load(answer)


_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
    return port
