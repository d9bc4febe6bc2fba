"""A list of any size is read entry by entry, each with its place; what is no list is refused."""

from __future__ import annotations

import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2h.corpora import annotations
from s2h.corpora.annotations import read_entries, read_entry
from s2h.errors import DataError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    values=st.lists(VALUES, max_size=6),
    ascii_only=st.booleans(),
    indent=st.sampled_from([None, 0, 2]),
    chunk=st.integers(1, 40),
    mark=st.booleans(),
)
def test_entries_and_their_places_are_those_of_the_list(
    values: list[Any], ascii_only: bool, indent: int | None, chunk: int, mark: bool
) -> None:
    text = json.dumps(values, ensure_ascii=ascii_only, indent=indent)
    data = (b"\xef\xbb\xbf" if mark else b"") + f" \n{text}\n".encode("utf-8", "surrogatepass")
    file = io.BytesIO(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(annotations, "_CHUNK", chunk)
        patch.setattr("builtins.open", lambda *_: io.BytesIO(data))
        found = list(read_entries("x"))
    assert [value for _, _, value in found] == values
    assert [read_entry(file, offset, size) for offset, size, _ in found] == values


@given(values=st.lists(VALUES, min_size=1, max_size=4), cut=st.integers(1, 10_000), chunk=st.integers(1, 40))
def test_a_torn_list_is_never_taken_for_a_whole_one(values: list[Any], cut: int, chunk: int) -> None:
    data = json.dumps(values).encode()
    data = data[: max(len(data) - cut, 0)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(annotations, "_CHUNK", chunk)
        patch.setattr("builtins.open", lambda *_: io.BytesIO(data))
        with pytest.raises(DataError, match="not a JSON list of entries, at byte"):
            list(read_entries("x"))


@pytest.mark.parametrize("text", ["", "{}", "[1,]", "[1 2]", "[,1]", '[{"a": }]', "[" * 100_000, '"x"'])
def test_what_is_no_list_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DataError) as caught:
        list(read_entries(tmp_path / "x.json"))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    entry = json.dumps({"id": "1", "conversations": [{"from": "human", "value": "x" * 2000}]})
    (tmp_path / "x.json").write_text("[" + ",\n".join([entry] * 10_000) + "]")  # 20 MB
    tracemalloc.start()
    number = sum(1 for _ in read_entries(tmp_path / "x.json"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert number == 10_000
    assert peak < 8 << 20
