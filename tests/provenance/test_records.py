"""Records, checks of inputs, the cache and the lineage, around jobs that are real processes' work on small files."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from s2h.cli.app import app
from s2h.errors import DataError
from s2h.files import atomic_file, atomic_folder
from s2h.jobs import run_job
from s2h.provenance.fingerprints import contents_digest, take_fingerprint
from s2h.provenance.lineage import lineage, verify
from s2h.provenance.records import input_contents, is_being_made, read_record
from tests.shipped import ROOT


class Named(list[str]):
    """As Snakemake hands inputs and outputs to a script; params and wildcards are dicts here."""

    def get(self, name: str, default: Any) -> Any:
        return getattr(self, name, default)


def job(study: Path, rule: str, output: str, inputs: list[str] = [], **changes: Any) -> Any:  # noqa: B006
    values: dict[str, Any] = {
        "rule": rule,
        "wildcards": {"seed": "0"},
        "params": {"size": 3, "title": "a title"},
        "input": Named(str(study / path) for path in inputs),
        "output": Named([str(study / output)]),
        "log": [str(study / f"logs/{rule}.log")],
        "resources": {},
        "config": {"results": str(study)},
    }
    return SimpleNamespace(**values | changes)


def copies(snakemake: Any, text: str = "made") -> Callable[[], None]:
    """A job that writes what its inputs hold, and a text."""

    def main() -> None:
        with atomic_file(snakemake.output[0]) as temporary:
            temporary.write_text("".join(Path(path).read_text() for path in snakemake.input) + text)

    return main


def never() -> None:
    raise AssertionError("the job ran, although its result was there")


def made(study: Path) -> Path:
    """Two results, the second from the first."""
    first, second = job(study, "first", "a.txt"), job(study, "second", "tables/b.txt", ["a.txt"])
    run_job(first, copies(first), cached=True)
    run_job(second, copies(second), cached=True)
    return study


def test_a_result_tells_where_it_comes_from(tmp_path: Path) -> None:
    lines = list(lineage(made(tmp_path) / "tables/b.txt", tmp_path))
    assert lines[0] == f"{tmp_path}/tables/b.txt"
    assert lines[1].startswith("  second, ")
    assert any(line.strip() == f"{tmp_path}/a.txt" for line in lines)
    record = read_record(tmp_path / "provenance/tables/b.txt.json")
    assert record.inputs == {str(tmp_path / "a.txt"): contents_digest(take_fingerprint(tmp_path / "a.txt"))}
    assert {"commit", "host", "slurm_job", "config", "versions"} <= set(record.job)


def s2h(study: Path, *words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--results", str(study)])


def test_the_command_prints_the_lineage_and_verifies(tmp_path: Path) -> None:
    made(tmp_path)
    command = functools.partial(s2h, tmp_path)
    assert "first, " in command("lineage", f"{tmp_path}/tables/b.txt").stdout
    assert command("verify").exit_code == 0
    (tmp_path / "a.txt").write_text("torn")
    assert f"damaged: {tmp_path}/a.txt" in str(command("verify").exception)
    assert str(command("lineage", "nothing.csv").exception).startswith("there is no record of nothing.csv")


@pytest.mark.parametrize("harm", ["cut", "emptied", "flipped", "replaced by a folder"])
def test_a_torn_input_is_named_and_never_used(tmp_path: Path, harm: str, capsys: pytest.CaptureFixture[str]) -> None:
    torn = made(tmp_path) / "a.txt"
    whole = torn.read_bytes()
    if harm == "replaced by a folder":
        torn.unlink()
        torn.mkdir()
    else:
        torn.write_bytes({"cut": whole[:-1], "emptied": b"", "flipped": b"M" + whole[1:]}[harm])
    again = job(tmp_path, "second", "tables/b.txt", ["a.txt"])
    with pytest.raises(SystemExit):
        run_job(again, never)
    told = capsys.readouterr().err
    assert told.startswith(f"s2h: {torn} is not what first wrote: ")
    assert f"rm -r {torn}\n" in told
    assert "Traceback" not in told + Path(again.log[0]).read_text()
    assert verify(tmp_path).damaged.keys() == {str(torn)}


def test_a_touched_or_copied_input_is_read_and_believed(tmp_path: Path) -> None:
    path = made(tmp_path) / "a.txt"
    os.utime(path, (1, 1))
    assert input_contents(path, tmp_path) == read_record(tmp_path / "provenance/a.txt.json").contents


def test_an_input_whose_job_never_ended_is_refused(tmp_path: Path) -> None:
    made(tmp_path)
    (tmp_path / "provenance/a.txt.json").write_text("")
    with pytest.raises(DataError, match=r"a\.txt was never finished"):
        input_contents(tmp_path / "a.txt", tmp_path)
    assert verify(tmp_path).damaged.keys() == {str(tmp_path / "a.txt")}


def test_a_failed_job_leaves_no_record_and_no_part(tmp_path: Path) -> None:
    broken = job(tmp_path, "first", "a.txt")

    def main() -> None:
        with atomic_file(broken.output[0]) as temporary:
            temporary.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_job(broken, main)
    assert not (tmp_path / "provenance/a.txt.json").exists()
    assert not (tmp_path / "a.txt").exists()
    assert not list(tmp_path.glob(".*.part"))


def test_a_job_that_writes_nothing_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run_job(job(tmp_path, "first", "a.txt"), lambda: None)
    assert "ended without having written" in capsys.readouterr().err


def test_a_full_disk_is_said_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    full = job(tmp_path, "first", "a.txt")

    def main() -> None:
        Path("/dev/full").write_text("more than there is room for")

    with pytest.raises(SystemExit):
        run_job(full, main)
    assert "s2h: the disk is full" in capsys.readouterr().err


def started(study: Path, *, rule: str = "first", output: str = "a.txt", last: str = "") -> subprocess.Popen[bytes]:
    """A process that makes a result, slowly; it has begun, and goes on when ``go`` is there."""
    code = (
        "import sys, time; sys.path.insert(0, '.')\n"
        "from pathlib import Path\n"
        "from s2h.jobs import run_job\n"
        "from tests.provenance.test_records import copies, job\n"
        f"study = Path({str(study)!r})\n"
        f"snakemake = job(study, {rule!r}, {output!r}, params={{'size': 4}})\n"
        "def main():\n"
        "    Path(snakemake.output[0]).write_text('half')\n"
        "    (study / 'begun').touch()\n"
        "    while not (study / 'go').exists(): time.sleep(0.02)\n"
        f"    {last or 'copies(snakemake)()'}\n"
        "run_job(snakemake, main)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    while not (study / "begun").exists():
        assert process.poll() is None
        time.sleep(0.02)
    return process


@contextlib.contextmanager
def going_on_after(seconds: float, study: Path) -> Iterator[None]:
    """Let the process of ``started`` go on in a while."""
    timer = threading.Timer(seconds, (study / "go").touch)
    timer.start()
    yield
    timer.join()


def test_the_second_of_two_jobs_waits_and_takes_what_the_first_made(tmp_path: Path) -> None:
    """As after kill -9 of a workflow whose job goes on while a new workflow starts the same job."""
    first = started(tmp_path)
    with going_on_after(0.5, tmp_path):
        run_job(job(tmp_path, "first", "a.txt", params={"size": 4}), never)
    assert first.wait() == 0
    assert (tmp_path / "a.txt").read_text() == "made"


def test_a_reader_waits_for_what_another_process_makes_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path)
    first = started(tmp_path)
    assert verify(tmp_path).in_progress == [str(tmp_path / "a.txt")]
    assert f"being made just now: {tmp_path}/a.txt" in s2h(tmp_path, "verify").stdout
    assert "a.txt is being made just now" in str(s2h(tmp_path, "lineage", f"{tmp_path}/a.txt").exception)
    reader = job(tmp_path, "second", "tables/b.txt", ["a.txt"], params={"size": 9})
    with going_on_after(0.5, tmp_path):
        run_job(reader, copies(reader))
    assert first.wait() == 0
    assert (tmp_path / "tables/b.txt").read_text() == "mademade"
    assert f"[s2h] another process is making {tmp_path}/a.txt; waiting for it" in capsys.readouterr().err


def test_a_reader_of_what_could_not_be_made_again_says_to_run_again(tmp_path: Path) -> None:
    made(tmp_path)
    first = started(tmp_path, last="Path(snakemake.output[0]).unlink(); raise SystemExit(1)")
    with going_on_after(0.5, tmp_path), pytest.raises(DataError, match="by another process, which failed: run again"):
        input_contents(tmp_path / "a.txt", tmp_path)
    assert first.wait() == 1


def test_what_a_killed_job_left_is_unfinished_and_nobody_waits_for_it(tmp_path: Path) -> None:
    made(tmp_path)
    first = started(tmp_path)
    first.kill()
    first.wait()
    with pytest.raises(DataError, match=r"a\.txt was never finished(.|\n)*rm -r"):
        input_contents(tmp_path / "a.txt", tmp_path)
    again = job(tmp_path, "first", "a.txt", params={"size": 4})
    run_job(again, copies(again))
    assert verify(tmp_path).whole == 2
    assert {path.name for path in (tmp_path / "provenance").rglob("*") if path.is_file()} == {
        "a.txt.json",
        "b.txt.json",
    }


def test_jobs_of_several_outputs_are_known_by_each_of_them(tmp_path: Path) -> None:
    report = job(tmp_path, "report", "report.json")
    report.output.append(str(tmp_path / "report.md"))

    def main() -> None:
        assert all(is_being_made(tmp_path / f"provenance/{name}.json") for name in ("report.json", "report.md"))
        for output in report.output:
            Path(output).write_text("made")

    run_job(report, main)
    assert verify(tmp_path).whole == 2


def test_results_without_a_record_are_named(tmp_path: Path) -> None:
    made(tmp_path)
    (tmp_path / "tables/own.csv").touch()
    for folder in ("models/task/mix/phase-1", "models/task/brought/phase-1", "logs", "kept/ab", "live"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "weights").touch()
    trained = job(tmp_path, "train", "models/task/mix/phase-1")
    run_job(trained, lambda: None)
    for folder in ("predictions/run.kept", "scores/run.work"):
        (tmp_path / folder).mkdir(parents=True)
    assert verify(tmp_path).unrecorded == [f"{tmp_path}/models/task/brought", f"{tmp_path}/tables/own.csv"]
    assert f"without a record: {tmp_path}/tables/own.csv" in s2h(tmp_path, "verify").stdout


def elsewhere(study: Path, cache: Path) -> dict[str, Any]:
    return {"config": {"results": str(study), "cache": str(cache)}}


def test_another_checkout_takes_results_from_the_cache_whatever_its_folder_is_called(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    for study in (tmp_path / "one", tmp_path / "two"):
        first = job(study, "first", "a.txt", **elsewhere(study, cache), params={"place": f"{study}/x", "size": 3})
        run_job(first, copies(first) if study.name == "one" else never, cached=True)
        second = job(study, "second", "b.txt", ["a.txt"], **elsewhere(study, cache))
        run_job(second, copies(second) if study.name == "one" else never, cached=True)
    one, two = (read_record(tmp_path / study / "provenance/b.txt.json") for study in ("one", "two"))
    assert (one.fetched, two.fetched) == ("", str(cache))
    assert one.job == two.job
    assert (tmp_path / "two/b.txt").read_text() == (tmp_path / "one/b.txt").read_text()
    assert verify(tmp_path / "two").whole == 2


@pytest.mark.parametrize(
    "change",
    [{"params": {"size": 4, "title": "a title"}}, {"wildcards": {"seed": "1"}}],
)
def test_what_decides_a_result_is_in_its_key(tmp_path: Path, change: Mapping[str, Any]) -> None:
    cache = tmp_path / "cache"
    one = job(tmp_path / "one", "first", "a.txt", **elsewhere(tmp_path / "one", cache))
    run_job(one, copies(one), cached=True, ignored_params=["title"])
    changed = job(tmp_path / "two", "first", "a.txt", **elsewhere(tmp_path / "two", cache) | dict(change))
    run_job(changed, copies(changed, "anew"), cached=True, ignored_params=["title"])
    assert (tmp_path / "two/a.txt").read_text() == "anew"


def test_code_and_the_contents_of_inputs_are_in_the_key_and_titles_are_not(tmp_path: Path) -> None:
    def key(name: str, text: str, **options: Any) -> str:
        study = tmp_path / name
        first = job(study, "first", "a.txt")
        run_job(first, copies(first, text))
        second = job(study, "second", "b.txt", ["a.txt"], params={"title": name})
        run_job(second, copies(second), ignored_params=["title"], **options)
        return read_record(study / "provenance/b.txt.json").key

    same = key("one", "text")
    assert key("two", "text") == same
    assert key("three", "other text") != same
    assert key("four", "text", code=["s2h.seeding"]) != same


def test_a_damaged_entry_of_the_cache_is_thrown_away(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    one = job(tmp_path / "one", "first", "a.txt", **elsewhere(tmp_path / "one", cache))
    run_job(one, copies(one), cached=True)
    next(cache.rglob("0")).write_text("torn")
    two = job(tmp_path / "two", "first", "a.txt", **elsewhere(tmp_path / "two", cache))
    run_job(two, copies(two), cached=True)
    assert (tmp_path / "two/a.txt").read_text() == "made"
    three = job(tmp_path / "three", "first", "a.txt", **elsewhere(tmp_path / "three", cache))
    run_job(three, never, cached=True)


def test_folders_are_cached_whole(tmp_path: Path) -> None:
    cache = tmp_path / "cache"

    def main() -> None:
        with atomic_folder(one.output[0]) as folder:
            (folder / "deep").mkdir()
            (folder / "deep/weights").write_bytes(bytes(range(256)) * 1000)
            (folder / "manifest.json").write_text(str(time.time()))

    one = job(tmp_path / "one", "train", "model", **elsewhere(tmp_path / "one", cache))
    run_job(one, main, cached=True)
    two = job(tmp_path / "two", "train", "model", **elsewhere(tmp_path / "two", cache))
    run_job(two, never, cached=True)
    assert take_fingerprint(tmp_path / "two/model").keys() == {"deep/weights", "manifest.json"}
    assert (tmp_path / "two/model/deep/weights").read_bytes() == bytes(range(256)) * 1000


def test_a_cache_that_cannot_be_written_costs_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    one = job(tmp_path / "one", "first", "a.txt", **elsewhere(tmp_path / "one", tmp_path / "file"))
    run_job(one, copies(one), cached=True)
    assert (tmp_path / "one/a.txt").read_text() == "made"
    assert "does not go to the cache" in Path(one.log[0]).read_text()


def failing(number: int) -> Callable[..., None]:
    """A copy that ends in an error of the system."""

    def copy(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return copy


def test_a_reader_without_room_leaves_the_cache_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user whose disk is full, or whose quota is, must not cost all others what the cache holds."""
    cache = tmp_path / "cache"
    one = job(tmp_path / "one", "first", "a.txt", **elsewhere(tmp_path / "one", cache))
    run_job(one, copies(one), cached=True)
    two = job(tmp_path / "two", "first", "a.txt", **elsewhere(tmp_path / "two", cache))
    with monkeypatch.context() as patched:
        patched.setattr("s2h.provenance.cache._copy_file", failing(errno.ENOSPC))
        with pytest.raises(SystemExit):
            run_job(two, never, cached=True)
    run_job(two, never, cached=True)


def test_an_entry_that_cannot_be_read_just_now_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    one = job(tmp_path / "one", "first", "a.txt", **elsewhere(tmp_path / "one", cache))
    run_job(one, copies(one), cached=True)
    two = job(tmp_path / "two", "first", "a.txt", **elsewhere(tmp_path / "two", cache))
    with monkeypatch.context() as patched:
        patched.setattr("s2h.provenance.cache._copy_file", failing(errno.EIO))
        run_job(two, copies(two), cached=True)
    assert (tmp_path / "two/a.txt").read_text() == "made"
    three = job(tmp_path / "three", "first", "a.txt", **elsewhere(tmp_path / "three", cache))
    run_job(three, never, cached=True)


def train(study: Path, learning_rate: float, count: list[int]) -> None:
    """A job that takes long, as Snakemake runs it: what it made before is removed first."""
    training = job(study, "train", "model", ["a.txt"], params={"learning_rate": learning_rate})
    shutil.rmtree(training.output[0], ignore_errors=True)

    def main() -> None:
        count.append(1)
        with atomic_folder(training.output[0]) as folder:
            (folder / "weights").write_text(f"learned at {learning_rate}")

    run_job(training, main, cached=True, dear=True)
    assert (study / "model/weights").read_text() == f"learned at {learning_rate}"


def test_nothing_is_trained_again_whose_inputs_hold_what_they_held(tmp_path: Path) -> None:
    made = job(tmp_path, "first", "a.txt")

    def make(text: str) -> None:
        (tmp_path / "a.txt").unlink(missing_ok=True)
        run_job(made, copies(made, text))

    make("text")
    count: list[int] = []
    for harm in (lambda: None, lambda: os.utime(tmp_path / "a.txt"), lambda: make("text")):
        harm()
        train(tmp_path, 0.1, count)
    assert count == [1]
    study = shutil.copytree(tmp_path, tmp_path.with_name(f"{tmp_path.name}-copied"), copy_function=shutil.copyfile)
    train(study, 0.1, count)
    assert count == [1]
    make("something else")
    train(tmp_path, 0.1, count)
    assert count == [1, 1]


def test_results_below_the_home_folder_have_their_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    made = job(tmp_path / "study", "first", "a.txt", config={"results": "~/study/"})
    run_job(made, copies(made))
    assert read_record(tmp_path / "study/provenance/a.txt.json").rule == "first"


def test_a_setting_that_is_changed_back_costs_nothing(tmp_path: Path) -> None:
    made = job(tmp_path, "first", "a.txt")
    run_job(made, copies(made))
    count: list[int] = []
    for learning_rate in (0.1, 0.2, 0.1, 0.2):
        train(tmp_path, learning_rate, count)
    assert count == [1, 1]
    assert verify(tmp_path).whole == 2


def test_what_is_kept_is_listed_and_removed_when_asked(tmp_path: Path) -> None:
    made = job(tmp_path, "first", "a.txt")
    run_job(made, copies(made))
    count: list[int] = []
    for learning_rate in (0.1, 0.2):
        train(tmp_path, learning_rate, count)
    listed = s2h(tmp_path, "kept").stdout.splitlines()
    assert len(listed) == 2
    assert all(str(tmp_path / "model") in line for line in listed)
    (unused,) = (line for line in listed if "in use" not in line)
    assert s2h(tmp_path, "kept", "--drop", "0000").exit_code == 1
    assert unused[:12] in s2h(tmp_path, "kept", "--drop").stdout
    train(tmp_path, 0.2, count)
    assert count == [1, 1]
    train(tmp_path, 0.1, count)
    assert count == [1, 1, 1]


@given(st.dictionaries(st.sampled_from("abcdef"), st.binary(max_size=20), min_size=1), st.data())
def test_contents_differ_when_any_byte_or_name_does(files: dict[str, bytes], data: st.DataObject) -> None:
    import tempfile

    def digest(files: Mapping[str, bytes]) -> str:
        with tempfile.TemporaryDirectory() as folder:
            for name, held in files.items():
                (Path(folder) / name).write_bytes(held)
            return contents_digest(take_fingerprint(folder))

    name = data.draw(st.sampled_from(sorted(files)))
    other = files | {name: files[name] + b"x"}
    renamed = {("g" if each == name else each): held for each, held in files.items()}
    assert digest(files) == digest(dict(reversed(files.items())))
    assert len({digest(files), digest(other), digest(renamed)}) == 3
