import pytest

from s2h.errors import ConfigError
from s2h.puzzles.task_registry import TASKS
from s2h.registry import Registry
from tests.shipped import PAPER_TASKS


@pytest.fixture
def codecs() -> Registry[object]:
    registry: Registry[object] = Registry("codec")
    registry.add("json_text", "json:dumps")
    registry.add("absent", "s2h.no_such_module:thing")
    return registry


def test_an_entry_is_imported_when_it_is_asked_for(codecs: Registry[object]) -> None:
    import json

    assert codecs["json_text"] is json.dumps
    assert codecs.place("json_text") == "json:dumps"
    assert codecs.module("json_text") == "json"


def test_listing_imports_nothing(codecs: Registry[object]) -> None:
    assert list(codecs) == ["absent", "json_text"]
    assert "absent" in codecs
    assert "other" not in codecs
    with pytest.raises(ConfigError, match=r"'absent' is registered as s2h.no_such_module:thing, but: No module named"):
        codecs["absent"]


def test_a_duplicate_is_refused_with_both_places(codecs: Registry[object]) -> None:
    with pytest.raises(ConfigError, match=r"'json_text' is registered twice: json:dumps and pickle:dumps"):
        codecs.add("json_text", "pickle:dumps")


def test_an_unknown_name_gets_near_matches_and_the_list(codecs: Registry[object]) -> None:
    with pytest.raises(ConfigError, match=r"unknown codec 'jsontext'\. Did you mean 'json_text'\?.*absent, json_text"):
        codecs["jsontext"]


def test_an_empty_registry_says_so() -> None:
    with pytest.raises(ConfigError, match="Known: none"):
        Registry("codec").place("json")


def test_the_four_tasks_of_the_paper_are_registered() -> None:
    assert set(PAPER_TASKS) <= set(TASKS)
