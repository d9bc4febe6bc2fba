"""vLLM as a server of the job: which GPUs it gets, its command line, its start and end, and its predictions."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2h.errors import ModelError
from s2h.models.settings import ScoringSettings
from s2h.models.sources import EndpointSource, HuggingFaceSource, TinySource
from s2h.scoring import backends, decode_and_score, vllm
from s2h.scoring.backends import shape_of
from s2h.scoring.decoding import Prompt
from s2h.scoring.sets import read_set
from s2h.scoring.vllm import Layout, Shape, find_vllm, plan_layout, serve_command, served
from tests.scoring.fake_vllm import program
from tests.shipped import ROOT

GIB = 2**30
QWEN_7B = Shape(weights=2 * 8_292_166_656, sizes=(28, 18944, 16, 3420), key_heads=4)
QWEN_72B = Shape(weights=2 * 73_410_777_344, sizes=(64, 29568, 16, 3456), key_heads=8)
CRASH = "\n".join(
    [
        "(Worker pid=7) ERROR 11-27 [core.py:1] ValueError: no kernel image for sm_30",
        *(f"  frame {i}" for i in range(40)),
    ]
)
SETTINGS = ScoringSettings(max_new_tokens=6, backend="vllm", recheck=3)


@pytest.mark.parametrize(
    ("shape", "cards", "wanted"),
    [
        (QWEN_7B, [80] * 8, Layout(tensor=1, data=8)),
        (QWEN_7B, [80], Layout(tensor=1, data=1)),
        (QWEN_7B, [24], Layout(tensor=1, data=1)),
        (QWEN_7B, [16] * 8, Layout(tensor=2, data=4)),
        (QWEN_7B, [16, 16, 80], Layout(tensor=2, data=1)),
        (QWEN_7B, [7] * 8, Layout(tensor=4, data=2)),
        (QWEN_72B, [80] * 8, Layout(tensor=4, data=2)),
        (QWEN_72B, [80] * 7, Layout(tensor=4, data=1)),
        (QWEN_72B, [141] * 8, Layout(tensor=2, data=4)),
    ],
)
def test_gpus_hold_as_many_copies_as_fit(shape, cards, wanted):
    assert plan_layout(shape, [card * GIB for card in cards]) == wanted


@given(
    st.integers(1, 200),
    st.lists(st.integers(1, 64), min_size=1, max_size=4),
    st.sampled_from([1, 2, 3, 4, 8]),
    st.integers(1, 16),
    st.sampled_from([8, 24, 80]),
)
def test_weights_are_only_spread_evenly_and_always_fit(gibibytes, sizes, key_heads, gpus, card):
    shape = Shape(gibibytes * GIB, tuple(sizes), key_heads)
    try:
        found = plan_layout(shape, [card * GIB] * gpus)
    except ModelError:
        fitting = [n for n in range(1, gpus + 1) if gibibytes <= 0.75 * card * n]
        assert not any(all(size % n == 0 for size in sizes) and max(key_heads, n) % min(key_heads, n) == 0
                       for n in fitting)  # fmt: skip
    else:
        assert all(size % found.tensor == 0 for size in sizes)
        assert key_heads % found.tensor == 0 or found.tensor % key_heads == 0
        assert gibibytes <= 0.75 * card * found.tensor
        assert gpus - found.tensor < found.tensor * found.data <= gpus


def test_gpus_that_are_not_there_or_too_small_are_errors(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(ModelError, match=r"needs a GPU, and none is visible here \(CUDA_VISIBLE_DEVICES is \)"):
        plan_layout(QWEN_7B, [])
    with pytest.raises(ModelError, match=r"weights take 137 GiB, for which 2 GPUs of 80 GiB are too few"):
        plan_layout(QWEN_72B, [80 * GIB] * 2)


def test_the_shape_of_a_model_is_read_from_its_config(model_folder):
    found = shape_of(str(model_folder))
    assert (found.sizes, found.key_heads) == ((2, 64, 2, 32), 2)
    (weights,) = model_folder.glob("*.safetensors")
    assert found.weights == pytest.approx(weights.stat().st_size / 2, rel=0.2)  # which are in fp32


def test_the_program_is_that_of_the_variable_then_ours_then_that_of_the_path(monkeypatch, tmp_path):
    own, other = tmp_path / "own/.venv-vllm/bin", tmp_path / "other"
    for folder in (own, other):
        folder.mkdir(parents=True)
        program(folder)
    monkeypatch.setattr(vllm, "_ROOT", tmp_path / "own")
    monkeypatch.setenv("PATH", str(other))
    monkeypatch.setenv("S2H_VLLM", str(other / "vllm"))
    assert find_vllm() == str(other / "vllm")
    monkeypatch.delenv("S2H_VLLM")
    assert find_vllm() == str(own / "vllm")
    (own / "vllm").unlink()
    assert find_vllm() == str(other / "vllm")
    monkeypatch.setenv("S2H_VLLM", str(tmp_path / "nowhere"))
    with pytest.raises(
        ModelError,
        match=r"there is no program vllm, .*\(looked for .*nowhere\): install it with make vllm",
    ):
        find_vllm()


@pytest.fixture
def fake(monkeypatch, tmp_path):
    """Sets what the stand-in for vLLM does amiss, and says how it is started."""
    path = str(program(tmp_path))
    monkeypatch.setenv("S2H_VLLM", path)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # what is asked of this machine goes past any proxy
    monkeypatch.setattr(backends, "gpu_memory", lambda: [80 * GIB] * 2)

    def start(**faults):
        monkeypatch.setenv("FAKE_VLLM", json.dumps(faults))
        return lambda name, port: serve_command(path, "m", name=name, port=port, layout=Layout(1, 1), options={})

    return start


def gone(pid: int, seconds: float = 30) -> bool:
    """Whether a process ends within some seconds."""
    for _ in range(int(seconds * 10)):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.1)
    return False


def test_a_server_is_waited_for_and_leaves_no_process_behind(fake, tmp_path):
    command, engine = fake(echo=True, sleep=2, engine=str(tmp_path / "engine")), tmp_path / "engine"
    with served(command, log=tmp_path / "log") as server:
        address = server.url.removesuffix("/v1")
        assert vllm._answers(address, server.name)
        pid = int(engine.read_text())
        assert psutil.pid_exists(pid)
    assert gone(pid, 0.2)
    assert not vllm._answers(address, server.name)


def test_a_server_that_dies_at_its_start_is_an_error_with_the_end_of_its_log(fake, tmp_path):
    with pytest.raises(ModelError) as caught, served(fake(crash=CRASH), log=tmp_path / "log"):
        raise AssertionError
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("vLLM does not serve the model: fix the error in its log, or set scoring.backend")
    assert lines[0].endswith(f"The server ended with code 1; of its log, {tmp_path / 'log'}:")
    assert lines[1].endswith("ValueError: no kernel image for sm_30")
    assert lines[2:] == [f"  frame {i}" for i in range(10, 40)]


def test_a_server_that_takes_too_long_is_ended(fake, tmp_path):
    command, engine = fake(echo=True, sleep=60, engine=str(tmp_path / "engine")), tmp_path / "engine"
    with (
        pytest.raises(ModelError, match=r"vLLM did not answer within 0 minutes\. The server runs still"),
        served(command, log=tmp_path / "log", patience=3),
    ):
        raise AssertionError
    assert gone(int(engine.read_text()), 0.2)


def test_a_port_that_is_taken_meanwhile_is_left_to_its_owner(fake, tmp_path, monkeypatch):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken, free = other.getsockname()[1], vllm._free_port()
        ports = iter([taken, free])
        monkeypatch.setattr(vllm, "_free_port", lambda: next(ports))
        monkeypatch.setattr(vllm, "_QUICK", 0.2)  # the other one accepts, and never answers
        with served(fake(echo=True), log=tmp_path / "log") as server:
            assert server.url == f"http://127.0.0.1:{free}/v1"


def test_another_server_at_the_port_is_not_taken_for_ours(fake, tmp_path, monkeypatch):
    with served(fake(echo=True), log=tmp_path / "first") as first:
        address = first.url.removesuffix("/v1")
        port = int(address.rpartition(":")[2])
        monkeypatch.setattr(vllm, "_free_port", lambda: port)
        with (
            pytest.raises(ModelError, match=r"(?s)does not serve the model.*Address already in use"),
            served(fake(echo=True), log=tmp_path / "second"),
        ):
            raise AssertionError
        assert vllm._answers(address, first.name)


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are found by the kernel's help")
def test_a_job_that_is_killed_takes_its_server_along(fake, tmp_path):
    fake(echo=True, engine=str(tmp_path / "engine"))
    job = (
        "import sys, time; from pathlib import Path; from s2h.scoring.vllm import *\n"
        "def command(name, port):\n"
        "    return serve_command(find_vllm(), 'm', name=name, port=port, layout=Layout(1, 1), options={})\n"
        "with served(command, log=Path(sys.argv[1])) as server:\n"
        "    print(server.url, flush=True); time.sleep(600)"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    words = [sys.executable, "-c", job, str(tmp_path / "log")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        below = psutil.Process(process.pid).children(recursive=True)
        assert len(below) == 3  # what watches, the server, its engine
        process.send_signal(signal.SIGKILL)
    assert all(gone(each.pid) for each in below), url


@pytest.fixture
def sets(task, shards):
    return [read_set(task, "HARD", way, shards["HARD"]) for way in ("text", "image")]


def decoded(folder: Path, sets, settings, name: str, *, model: Path, **more):
    """The predictions of a job of its own."""
    told = {"source": TinySource(), "sets": sets, "processes": 2, "title": "t", "trained": True} | more
    told |= {"store": folder / f"{name}.kept", "output": folder / f"{name}.parquet", "log": folder / f"{name}.log"}
    decode_and_score.decode_predictions(str(model), settings=settings, **told)
    return pl.read_parquet(folder / f"{name}.parquet")


def test_predictions_through_vllm_are_those_of_our_own_decoding(fake, sets, model_folder, tmp_path):
    fake(asked=str(tmp_path / "asked"))
    own = decoded(tmp_path, sets, ScoringSettings(max_new_tokens=6), "own", model=model_folder, processes=1)
    theirs = decoded(tmp_path, sets, SETTINGS, "theirs", model=model_folder)
    assert theirs.drop("seconds", "prompt_tokens").equals(own.drop("seconds", "prompt_tokens"))
    assert theirs["prediction"].n_unique() > 6
    metadata = pl.read_parquet_metadata(tmp_path / "theirs.parquet")
    assert (metadata["rechecked"], metadata["recheck_mismatches"], metadata["vllm"]) == ("3", "0", "0.0")
    lines = [json.loads(line) for line in (tmp_path / "asked").read_text().splitlines()]
    assert len(lines) == 12 + 3
    for line in lines:
        told, asked = line["told"], line["asked"]
        assert (told["tensor_parallel_size"], told["data_parallel_size"]) == (1, 2)
        assert told["mm_processor_kwargs"] == {}  # the folder's own processor knows them
        assert (asked["temperature"], asked["max_tokens"], asked["add_special_tokens"]) == (0, 6, True)
    assert (tmp_path / "theirs.log.vllm").exists()


def test_conversions_through_vllm_are_those_of_our_own_decoding(fake, sets, model_folder, tmp_path):
    fake(asked=str(tmp_path / "asked"))
    ways = [sets[1].under("forced"), sets[1].under("forbidden")]
    own = decoded(tmp_path, ways, ScoringSettings(max_new_tokens=6), "own", model=model_folder, processes=1)
    theirs = decoded(tmp_path, ways, SETTINGS, "theirs", model=model_folder)
    assert theirs.drop("seconds", "prompt_tokens").equals(own.drop("seconds", "prompt_tokens"))
    begun = own["prediction"].str.starts_with("Converted to text: ")
    assert begun.to_list() == [True] * 6 + [False] * 6
    assert own["tokens"][:6].is_between(4, 6).all()
    lines = [json.loads(line)["asked"] for line in (tmp_path / "asked").read_text().splitlines()]
    assert {(len(asked["messages"]), asked["max_tokens"], "bad_words" in asked) for asked in lines} == {
        (2, 3, False), (1, 6, True),
    }  # fmt: skip


def test_a_server_that_does_not_continue_a_response_is_an_error(fake, sets, model_folder, tmp_path):
    fake(echo=True)
    with pytest.raises(ModelError, match=r"the conversion is forced, but .* servers that continue the last message"):
        decoded(tmp_path, [sets[1].under("forced")], SETTINGS, "x", model=model_folder)


def test_a_template_that_a_server_cannot_continue_is_refused_where_a_conversion_is_forced(model_folder, tmp_path):
    folder = shutil.copytree(model_folder, tmp_path / "model")
    template = (folder / "chat_template.jinja").read_text()
    (folder / "chat_template.jinja").write_text(template.replace("{% else %}<assistant>", "{% else %}<assistant> so"))
    source = EndpointSource(url="http://127.0.0.1:9/v1", name="m")
    backend = backends.VllmBackend(source, SETTINGS, folder=str(folder), options={}, gpus=1, version="0.0")
    with pytest.raises(ModelError, match="the model's chat template continues"):
        list(backend.generate([[Prompt("from n a", None, "forced")]]))


def test_pixel_limits_reach_the_server_of_a_model_from_outside(fake, sets, model_folder, tmp_path):
    fake(echo=True, asked=str(tmp_path / "asked"))
    source = HuggingFaceSource(name=str(model_folder), min_pixels=100, max_pixels=1000)
    decoded(tmp_path, sets[:1], SETTINGS, "x", model=model_folder, source=source, trained=False)
    line = json.loads((tmp_path / "asked").read_text().splitlines()[0])
    assert line["told"]["mm_processor_kwargs"] == {"min_pixels": 100, "max_pixels": 1000}


def test_a_server_that_dies_on_the_way_is_an_error_and_predictions_are_kept(fake, sets, model_folder, tmp_path):
    fake(echo=True, most=5)
    with pytest.raises(ModelError) as caught:
        decoded(tmp_path, sets, SETTINGS, "x", model=model_folder)
    assert "predictions so far are kept. The server ended with code 7; of its log" in str(caught.value)
    assert str(caught.value).endswith("CUDA error: the engine is dead")
    [file] = tmp_path.glob("x.kept/*/predictions.jsonl")
    kept = file.read_text().splitlines()
    assert 1 <= len(kept) <= 5
    fake(echo=True, asked=str(tmp_path / "asked"))
    assert len(decoded(tmp_path, sets, SETTINGS, "x", model=model_folder)) == 12
    assert len((tmp_path / "asked").read_text().splitlines()) == 12 - len(kept) + 3
