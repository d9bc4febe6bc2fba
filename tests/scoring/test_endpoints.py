"""Models behind an API, against a server that answers as those of providers do."""

from __future__ import annotations

import base64
import io
import json
import logging
import re
import time
from collections import Counter
from contextlib import suppress
from email.utils import formatdate

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from s2h.diagnosis.answers import without_thinking
from s2h.errors import ModelError
from s2h.models.settings import ScoringSettings
from s2h.models.sources import EndpointSource
from s2h.scoring import pacing
from s2h.scoring.decode_and_score import decode_predictions
from s2h.scoring.decoding import Prompt
from s2h.scoring.endpoints import EndpointBackend
from s2h.scoring.predictions import prompts_of
from s2h.scoring.replies import ReplyError, read_failure, read_reply, read_usage, read_wait, with_reasoning
from s2h.scoring.sets import read_set
from tests.scoring.provider import completion, error, provider, reply

SETTINGS = ScoringSettings(max_new_tokens=50)
FILTERED = error(
    400, "The response was filtered due to Azure OpenAI's content management policy", code="content_filter"
)
TOO_LONG = error(400, "This model's maximum context length is 4096 tokens, and your prompt has 5000", param="messages")
EMPTY = reply("")


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(pacing, "FIRST_WAIT", 0.02)
    with provider() as found:
        yield found


def source_of(server, **values):
    return EndpointSource.model_validate({"url": server.url, "name": "m", **values})


def ask(server, *texts, allowed_failures=0, image=None, **values):
    """The predictions to prompts with these texts, in their order."""
    backend = EndpointBackend(source_of(server, **values), SETTINGS, allowed_failures=allowed_failures)
    found = dict(backend.generate([[Prompt(text, image)] for text in texts]))
    return [found[i][0] for i in range(len(texts))]


@pytest.fixture
def sets(task, shards):
    return [read_set(task, level, "text", shards[level]) for level in ("SIMPLE", "HARD")]


@pytest.fixture
def job(server, sets, tmp_path):
    """Runs a decoding of 12 prompts and gives its table."""

    def run(settings=SETTINGS, **values):
        told = {"sets": sets, "processes": 1, "title": "t", "trained": False, "log": tmp_path / "log"}
        told |= {"store": tmp_path / "run.kept", "output": tmp_path / "run.parquet", "settings": settings}
        told |= {"spending": tmp_path / "spending/m.jsonl", "source": source_of(server, **values)}
        decode_predictions("m", **told)
        return pl.read_parquet(tmp_path / "run.parquet")

    run.texts = [prompt.text for prompt in prompts_of(sets).values()]
    run.kept = lambda: [json.loads(line) for file in tmp_path.glob("run.kept/*/*.jsonl") for line in file.open()]
    return run


# what a request holds


def picture(form, mode="RGB"):
    file = io.BytesIO()
    Image.new(mode, (8, 6)).save(file, form)
    return file.getvalue()


def test_a_request_says_what_the_config_says_and_no_more(server, monkeypatch):
    monkeypatch.setenv("MY_KEY", "secret-1")
    monkeypatch.setenv("MY_HEADER", "secret-2")
    request = {
        "max_tokens_field": "max_completion_tokens", "temperature": None, "reasoning_effort": "low",
        "system_prompt": "Be brief.", "image_format": "jpeg", "image_detail": "high",
        "extra_body": {"top_p": 0.5, "provider": {"order": ["a"]}},
        "headers": {"x-api-key": "Key $MY_HEADER", "HTTP-Referer": "here"},
    }  # fmt: skip
    ask(server, "hello", image=picture("PNG"), request=request, api_key_env="MY_KEY")
    [asked] = server.asked
    body, headers = asked["body"], asked["headers"]
    system, user = body.pop("messages")
    assert body == {
        "model": "m", "max_completion_tokens": 50, "reasoning_effort": "low", "top_p": 0.5,
        "provider": {"order": ["a"]},
    }  # fmt: skip
    assert system == {"role": "system", "content": "Be brief."}
    image, text = user["content"]
    assert text == {"type": "text", "text": "hello"}
    assert image["image_url"]["detail"] == "high"
    assert image["image_url"]["url"].startswith("data:image/jpeg;base64,")
    assert (headers["authorization"], headers["x-api-key"]) == ("Bearer secret-1", "Key secret-2")
    assert headers["http-referer"] == "here"


def test_without_a_request_block_a_request_is_what_it_was(server):
    ask(server, "hello")
    assert server.asked[0]["body"] == {
        "model": "m", "max_tokens": 50, "temperature": 0,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("form", "wanted", "sent"),
    [("PNG", "original", "PNG"), ("BMP", "original", "PNG"), ("TIFF", "png", "PNG"), ("GIF", "jpeg", "JPEG")],
)
def test_images_are_sent_in_a_format_that_providers_take(server, form, wanted, sent):
    ask(server, "hello", image=picture(form), request={"image_format": wanted})
    url = server.asked[0]["body"]["messages"][0]["content"][0]["image_url"]["url"]
    kind, _, data = url.partition(";base64,")
    assert kind == f"data:image/{sent.lower()}"
    assert Image.open(io.BytesIO(base64.b64decode(data))).format == sent


@pytest.mark.parametrize(
    ("request_block", "complaint"),
    [
        ({"headers": {"api-key": "sk-123"}}, "name the environment variable that holds the value"),
        ({"extra_body": {"max_tokens": 3}}, "max_tokens cannot be set here"),
    ],
)
def test_keys_stand_in_no_config_and_settings_have_one_place(request_block, complaint):
    with pytest.raises(ValueError, match=complaint):
        EndpointSource.model_validate({"url": "http://a", "name": "m", "request": request_block})


def test_a_header_s_variable_that_is_not_set_is_an_error(server, monkeypatch):
    monkeypatch.delenv("NO_SUCH", raising=False)
    with pytest.raises(ModelError, match="NO_SUCH holds nothing for the header api-key"):
        ask(server, "hello", request={"headers": {"api-key": "$NO_SUCH"}})


# replies of all kinds


@pytest.mark.parametrize(
    ("answer", "text", "finish"),
    [
        (reply("Answer: 7"), "Answer: 7", "stop"),
        (reply(["Answer:", {"type": "text", "text": " 7"}]), "Answer: 7", "stop"),
        (reply([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Answer: 7"}]), "Answer: 7", "stop"),
        (reply("Answer: 7", reasoning_content="hm"), "<think>\nhm\n</think>\n\nAnswer: 7", "stop"),
        (reply("Answer: 7", reasoning="hm"), "<think>\nhm\n</think>\n\nAnswer: 7", "stop"),
        (reply("1, 2", "length"), "1, 2", "length"),
        (reply("1, 2", "MAX_TOKENS"), "1, 2", "length"),
        (reply("", "length"), "", "length"),
        (reply("1, 2", "SAFETY"), "1, 2", "content_filter"),
        (reply(None, "stop", refusal="I cannot."), "I cannot.", "stop"),
        (reply("Answer: 7", None), "Answer: 7", None),
    ],
)
def test_a_reply_is_read(server, answer, text, finish):
    server.script["p"] = [answer]
    [found] = ask(server, "p")
    assert (found.text, found.finish, found.error) == (text, finish, None)
    assert (found.prompt_tokens, found.tokens, found.version) == (100, 10, "model-2026-01-01")
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("usage", "tokens", "reasoning"),
    [
        ({"completion_tokens_details": {"reasoning_tokens": 6}, "completion_tokens": 10, "prompt_tokens": 5}, 10, 6),
        ({"completion_tokens": 10, "prompt_tokens": 5, "total_tokens": 40}, 35, None),  # reasoning in the total alone
        (None, None, None),
        ({"completion_tokens": None}, None, None),
    ],
)
def test_all_tokens_that_are_paid_are_counted(server, usage, tokens, reasoning):
    server.script["p"] = [(200, completion("Answer: 7", "stop", usage), {})]
    [found] = ask(server, "p")
    assert (found.tokens, found.reasoning_tokens) == (tokens, reasoning)


# failures


@pytest.mark.parametrize(
    "passing",
    [
        error(429, "Rate limit reached", retry_after="0.1"),
        error(429, "Rate limit reached. Please try again in 20ms. Visit https://a/account/billing.", code="rate_limit"),
        error(503, "overloaded", retry_after_ms="30"),
        (529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, {}),
        (500, "<html>oops</html>", {}),
        (200, "<html>please log in</html>", {}),
        (200, {"error": {"message": "Provider returned error", "code": 502}}, {}),
        (200, {"choices": [{"error": {"message": "upstream"}, "message": {"content": ""}}]}, {}),
        (200, {"choices": []}, {}),
        (0, "", {}),
        EMPTY,
        reply(None),
        reply("\n \n"),
    ],
    ids=lambda answer: f"{answer[0]} {str(answer[1])[:40]}",
)
def test_what_may_pass_is_asked_again(server, passing):
    server.script["p"] = [passing, passing, reply()]
    ask(server, "first")
    [found] = ask(server, "p")
    assert (found.text, found.error, server.counts["p"]) == ("Answer: 7", None, 3)


@pytest.mark.parametrize(
    ("answer", "finish", "cause"),
    [
        (FILTERED, "refused", r"400: The response was filtered .* \(content_filter\)"),
        (error(403, "Your input was flagged by moderation", code=403), "refused", "flagged"),
        (reply("", "content_filter"), "refused", "content_filter"),
        (TOO_LONG, "refused", "maximum context length"),
        (error(413, "Request too large"), "refused", "413: Request too large"),
        (EMPTY, "failed", r"an empty reply \(finish_reason: stop\)"),
        (error(500, "boom"), "failed", "500: boom"),
        ((200, {"error": {"message": "Provider returned error", "code": 502}}, {}), "failed", "502: Provider returned"),
    ],
)
def test_a_prompt_without_a_reply_becomes_a_row_with_its_error(server, answer, finish, cause):
    server.script["bad"] = [answer]
    bad, good = ask(server, "bad", "good", allowed_failures=1)
    assert (bad.text, bad.finish, good.text) == ("", finish, "Answer: 7")
    assert re.search(cause, bad.error)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (error(401, "Incorrect API key provided: secret-1", code="invalid_api_key"), "API key provided: … "),
        (error(404, "The model m does not exist", code="model_not_found"), "404: The model m does not exist"),
        (error(429, "You exceeded your current quota", code="insufficient_quota"), "insufficient_quota"),
        (
            error(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.", param="max_tokens"),
            "Set request: {max_tokens_field: max_completion_tokens}",
        ),
        (
            error(400, "Unsupported value: 'temperature' does not support 0", param="temperature"),
            "Set request: {temperature: null}",
        ),
        (error(429, "daily limit", retry_after="86400"), "it asks to wait 24:00:00, and patience is 30:00"),
    ],
)
def test_what_concerns_every_prompt_ends_the_job_at_once(server, answer, message, monkeypatch):
    monkeypatch.setenv("MY_KEY", "secret-1")
    server.script["bad"] = [answer]
    with pytest.raises(ModelError) as caught:
        ask(server, "bad", api_key_env="MY_KEY", allowed_failures=9)
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)
    assert len(server.asked) == 1


def test_nobody_asks_before_the_time_that_the_server_names(server):
    server.script["a"] = [error(429, "slow down", retry_after="1"), reply()]
    server.seconds = 0.02
    ask(server, "a", *map(str, range(20)), connections=4)
    limited = server.sent.index(429)
    times = sorted(asked["time"] for asked in server.asked)
    held = [at for at in times[limited + 4 :] if at - times[0] < 1]
    assert not held
    assert len(times) == 22


def test_connections_adapt_to_what_the_server_takes(server):
    server.at_once, server.seconds = 3, 0.03
    found = ask(server, *map(str, range(60)), connections=16)
    assert {each.text for each in found} == {"Answer: 7"}
    sent = Counter(server.sent)
    assert sent[200] == 60
    assert sent[429] < 45  # sixteen at once all along would be told so some hundred times
    late = server.sent[len(server.sent) // 2 :]
    assert late.count(429) < len(late) / 3


def test_a_server_that_takes_all_is_asked_as_much_as_the_config_allows(server):
    server.seconds = 0.05
    ask(server, *map(str, range(24)), connections=6)
    assert server.most == 6


def test_retry_after_is_seconds_or_a_date():
    assert read_wait({"retry-after": "2.5"}) == 2.5
    assert read_wait({"retry-after-ms": "1500", "retry-after": "9"}) == 1.5
    assert 58 < read_wait({"retry-after": formatdate(time.time() + 60, usegmt=True)}) < 61
    assert read_wait({"retry-after": "soon"}) is None
    assert read_wait({}, "Please try again in 1m12.5s.") == 72.5
    assert read_wait({}, '{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "36s"}') == 36
    assert read_failure(429, [{"error": {"code": 429, "details": [{"retryDelay": "36s"}]}}], {}).seconds == 36


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["error", "choices", "message", "content", "usage", "code", "finish_reason", "total_tokens"]),
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(JSON, st.integers(0, 599), st.dictionaries(st.just("retry-after"), st.text(max_size=5)))
def test_no_answer_of_a_server_is_a_surprise(answer, status, headers):
    assert isinstance(read_failure(status, answer, headers).cause, str)
    read_usage(answer)
    with suppress(ReplyError):
        assert isinstance(read_reply(answer, seconds=0.0).text, str)


# jobs


def test_a_refused_prompt_is_a_row_with_its_error_and_is_not_asked_again(server, job, caplog):
    server.script[job.texts[3]] = [FILTERED]
    with caplog.at_level(logging.WARNING, logger="s2h"):
        table = job(max_failed_share=0.1)
    assert table["finish"].value_counts(sort=True).rows() == [("stop", 11), ("refused", 1)]
    [row] = table.filter(finish="refused").rows(named=True)
    assert row["prediction"] == ""
    assert row["error"].startswith("400: The response was filtered")
    assert "1 of 12 prompts were refused by the server" in caplog.text
    job(max_failed_share=0.1)
    assert len(server.asked) == 12


def test_more_refusals_than_are_allowed_end_the_job_and_are_forgotten(server, job):
    for text in job.texts:
        server.script[text] = [TOO_LONG]
    with pytest.raises(ModelError, match=r"2 prompts got no reply, and max_failed_share allows 1; the last: 400: This"):
        job(max_failed_share=0.1, connections=1)
    assert len(server.asked) <= 3
    assert job.kept() == []
    server.script.clear()
    assert job()["finish"].to_list() == ["stop"] * 12


def test_what_is_under_way_is_stored_before_the_job_fails(server, job):
    server.seconds = 0.3
    server.script[job.texts[0]] = [error(401, "no")]
    with pytest.raises(ModelError, match="401: no"):
        job(connections=12)
    assert len(job.kept()) == 11
    server.script.clear()
    job()
    assert len(server.asked) == 13


def test_waiting_ends_when_another_prompt_ends_the_job(server):
    server.seconds = 0.3
    server.script |= {"a": [error(503, "later", retry_after="600")], "b": [error(401, "no")]}
    started = time.monotonic()
    with pytest.raises(ModelError, match="401: no"):
        ask(server, "a", "b", connections=2)
    assert time.monotonic() - started < 20


def test_an_empty_reply_is_not_kept(server, job):
    server.script[job.texts[5]] = [EMPTY]
    table = job(max_failed_share=0.1)
    assert table.filter(finish="failed")["error"].to_list() == ["an empty reply (finish_reason: stop)"]
    assert server.counts[job.texts[5]] == 3
    assert len(job.kept()) == 11
    server.script.clear()
    assert job()["prediction"].to_list() == ["Answer: 7"] * 12
    assert len(server.asked) == 15


def test_replies_that_were_cut_off_are_counted(server, job, caplog):
    server.script[job.texts[0]] = [reply("1, 2", "length")]
    with caplog.at_level(logging.WARNING, logger="s2h"):
        job()
    assert "1 of 12 predictions were cut off at scoring.max_new_tokens" in caplog.text


def test_replies_outlive_every_setting_that_does_not_decide_them(server, job, monkeypatch):
    job()
    monkeypatch.setenv("MY_KEY", "x")
    changed = {"connections": 3, "timeout": 5, "patience": 1, "api_key_env": "MY_KEY", "spending_limit": 9}
    changed |= {"price": {"input": 1, "output": 2}, "request": {"max_tokens_field": "max_completion_tokens"}}
    job(**changed, url=server.url.replace("127.0.0.1", "localhost"))
    assert len(server.asked) == 12
    job(request={"reasoning_effort": "high"})
    assert len(server.asked) == 24
    job()
    assert len(server.asked) == 24


def test_a_longer_limit_costs_only_the_replies_that_were_cut_off(server, job):
    server.script[job.texts[0]] = [reply("1, 2", "length"), reply("Answer: 9")]
    job()
    table = job(ScoringSettings(max_new_tokens=500))
    assert (len(server.asked), table["prediction"][0]) == (13, "Answer: 9")
    assert job()["prediction"][0] == "Answer: 9"  # 10 tokens are no more than 50
    job(ScoringSettings(max_new_tokens=5))
    assert len(server.asked) == 25


def test_spending_stops_at_its_limit_with_all_replies_kept(server, job, tmp_path):
    price = {"input": 1000, "output": 10000}  # USD per million: a request costs 0.10 + 0.10
    server.script[max(job.texts, key=len)] = [EMPTY, reply()]  # the first that is asked
    with pytest.raises(ModelError, match=r"have cost 1\.00 USD, and spending_limit is 0\.90: raise it and run again"):
        job(price=price, spending_limit=0.9, connections=1)
    assert (len(server.asked), len(job.kept())) == (5, 4)
    job(price=price, spending_limit=9, connections=1)
    assert len(server.asked) == 13
    lines = [json.loads(line) for line in (tmp_path / "spending/m.jsonl").open()]
    assert sum(line["usd"] for line in lines) == pytest.approx(2.6)


def test_versions_of_a_model_that_are_mixed_are_said(server, job, caplog):
    other = reply()
    other[1]["model"] = "model-2026-02-02"
    server.script[job.texts[0]] = [other]
    with caplog.at_level(logging.WARNING, logger="s2h"):
        job()
    assert "predictions are of 2 versions of the model (model-2026-0" in caplog.text


# reasoning


@given(st.text(st.characters(exclude_characters="<>[]◁▷")), st.text(st.characters(exclude_characters="<>[]◁▷")))
def test_a_response_is_found_again_behind_any_reasoning(reasoning, response):
    assert without_thinking(with_reasoning(reasoning, response)) == (response.lstrip() if reasoning else response)
