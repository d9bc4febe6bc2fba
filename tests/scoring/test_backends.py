"""Backends: chunks, and a model behind a real OpenAI-compatible server of transformers."""

from __future__ import annotations

import base64
import io
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from s2h.errors import ModelError
from s2h.images import decode_image
from s2h.models.endpoint_settings import RequestSettings
from s2h.models.settings import ScoringSettings
from s2h.models.sources import EndpointSource, VlmevalSource
from s2h.scoring.backends import LocalBackend, make_chunks
from s2h.scoring.decoding import Prompt, load_decoder
from s2h.scoring.endpoints import EndpointBackend, _messages
from s2h.scoring.sets import read_set
from s2h.scoring.vlmevalkit import VlmevalBackend
from s2h.supervision.conversion import CONVERSIONS

SETTINGS = ScoringSettings(batch_size=4, max_new_tokens=6)


@given(st.lists(st.tuples(st.text(max_size=9), st.booleans(), st.sampled_from(CONVERSIONS))), st.integers(1, 5))
def test_chunks_hold_every_prompt_once_and_one_kind_each(kinds, size):
    prompts = [Prompt(text, b"png" if image else None, conversion) for text, image, conversion in kinds]
    chunks = list(make_chunks(prompts, size))
    assert sorted(i for chunk in chunks for i in chunk) == list(range(len(prompts)))
    for chunk in chunks:
        assert 1 <= len(chunk) <= size
        assert len({(prompts[i].image is None, prompts[i].conversion) for i in chunk}) == 1
        lengths = [len(prompts[i].text) for i in chunk]
        assert lengths == sorted(lengths, reverse=True)


def test_a_server_gets_a_picture_that_it_shows_as_we_do():
    """It might neither turn nor fill it, and know no other formats than PNG and JPEG."""
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    Image.new("RGBA", (64, 32), (0, 0, 0, 0)).save(file, "WEBP", exif=exif)
    (message,) = _messages(Prompt("x", file.getvalue()), RequestSettings())
    kind, _, data = message["content"][0]["image_url"]["url"].partition(";base64,")
    with Image.open(io.BytesIO(base64.b64decode(data))) as sent:
        assert (kind, sent.format, sent.size) == ("data:image/png", "PNG", (32, 64))
        assert sent.convert("RGB").tobytes() == decode_image(file.getvalue()).tobytes()


POOL = """
import os, sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from s2h.scoring.backends import _start_worker
if __name__ == "__main__":
    context = get_context("spawn")
    ranks = context.Queue()
    ranks.put(0)
    pool = ProcessPoolExecutor(1, mp_context=context, initializer=_start_worker, initargs=(ranks,))
    print(pool.submit(os.getpid).result(), flush=True)
    sys.stdin.read()
"""


def test_a_decoding_that_is_killed_leaves_no_process_on_its_gpus(tmp_path):
    (tmp_path / "pool.py").write_text(POOL)
    command = [sys.executable, str(tmp_path / "pool.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        worker = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    worker.wait(30)


@pytest.fixture(scope="module")
def server(model_folder, tmp_path_factory):
    """The address of the tiny model, served by ``transformers serve``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(model_folder)]
    command += ["--device", "cpu", "--host", "127.0.0.1", "--port", str(port)]
    log = (tmp_path_factory.mktemp("server") / "log").open("w")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        for _ in range(240):
            assert process.poll() is None, Path(log.name).read_text()[-2000:]
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1)
                break
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait()


def test_an_endpoint_gives_the_predictions_of_the_model_behind_it(server, model_folder, task, shards):
    source = EndpointSource(url=server, name=str(model_folder), connections=2)
    endpoint, local = EndpointBackend(source, SETTINGS), LocalBackend(load_decoder(model_folder, SETTINGS))
    for way in ("text", "image"):
        prompts = [Prompt(row.question, row.image) for row in read_set(task, "HARD", way, shards["HARD"]).rows]
        ((_, wanted),) = local.generate([prompts])
        found = dict(endpoint.generate([[prompt] for prompt in prompts]))
        assert [found[i][0].text for i in range(len(prompts))] == [prediction.text for prediction in wanted]
        assert all(1 <= prediction.tokens <= 6 for (prediction,) in found.values())


@pytest.mark.parametrize(
    ("conversion", "complaint"),
    [("forced", "continue the last message of a conversation"), ("forbidden", "keep words out of a response")],
)
def test_a_server_that_knows_no_conversion_is_an_error(server, model_folder, conversion, complaint):
    endpoint = EndpointBackend(EndpointSource(url=server, name=str(model_folder)), SETTINGS)
    with pytest.raises(ModelError, match=f"gave no response .*422: .* servers that {complaint}, as vLLM does"):
        list(endpoint.generate([[Prompt("from n a", None, conversion)]]))


@pytest.mark.parametrize(
    ("conversion", "text"), [("forced", "n a 7 = 7"), ("forbidden", "Converted to text:\n\nn a:7"), ("forced", "")]
)
def test_a_server_that_ignores_a_conversion_is_an_error(conversion, text):
    endpoint = EndpointBackend(EndpointSource(url="http://127.0.0.1:9/v1", name="m"), SETTINGS)
    with pytest.raises(ModelError, match=f"the conversion is {conversion}, but .* leave {conversion} out of the conv"):
        endpoint._check_conversion(text, conversion)
    endpoint._check_conversion(text, "free")


def test_an_endpoint_that_does_not_answer_is_an_error():
    backend = EndpointBackend(EndpointSource(url="http://127.0.0.1:9/v1", name="m", patience=0.01), SETTINGS)
    with pytest.raises(ModelError, match=r"9/v1 gave no response of m \(.* refused.*not answered.*see that the serv"):
        list(backend.generate([[Prompt("hello", None)]]))


def test_a_missing_key_is_an_error(monkeypatch):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    source = EndpointSource(url="http://127.0.0.1:9/v1", name="m", api_key_env="NO_SUCH_KEY")
    with pytest.raises(ModelError, match="NO_SUCH_KEY holds no key"):
        EndpointBackend(source, SETTINGS)


def test_a_model_that_vlmevalkit_does_not_list_is_answered_with_near_matches(tmp_path):
    with pytest.raises(ModelError, match="Did you mean"):
        VlmevalBackend(VlmevalSource(name="GPT4o_20240806x"), tmp_path)
