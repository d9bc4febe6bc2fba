"""Mistakes in a config, in plain words: where they are, what was expected, what was found."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from s2h.registry import near_matches, unknown
from s2h.settings import KeyPath, Mistake

_TOLD = "told"  # the type of errors that are in plain words already
_SHOWN = 60  # characters of what was found
_SECRET = {"api_key_env", "headers"}

_WHOLE, _NUMBER, _TRUTH, _TEXT, _LIST, _KEYS = (
    "a whole number", "a number", "true or false", "text", "a list", "keys with values",
)  # fmt: skip
_EXPECTED = {
    "int_type": _WHOLE, "int_parsing": _WHOLE, "int_from_float": _WHOLE, "int_parsing_size": _WHOLE,
    "float_type": _NUMBER, "float_parsing": _NUMBER, "finite_number": "a finite number",
    "bool_type": _TRUTH, "bool_parsing": _TRUTH, "string_type": _TEXT, "tuple_type": _LIST, "list_type": _LIST,
    "dict_type": _KEYS, "mapping_type": _KEYS, "model_type": _KEYS, "model_attributes_type": _KEYS,
    "greater_than": "more than {gt}", "greater_than_equal": "{ge} or more",
    "less_than": "less than {lt}", "less_than_equal": "{le} or less",
    "multiple_of": "a multiple of {multiple_of}", "none_required": "null",
}  # fmt: skip
_FORMS = {
    r"^https?://\S+$": "an address that begins with http:// or https://",
    r"^[0-9a-f]{64}$": "64 hexadecimal digits",
}


def explain(error: ValidationError, values: Any, kind: type[BaseModel]) -> list[Mistake]:
    """What is wrong with values that are no ``kind``, each mistake once and without what merely follows from another.

    Args:
        error: what pydantic found.
        values: what was checked.
        kind: as what.
    """
    found: dict[KeyPath, list[Any]] = {}
    for each in error.errors():
        found.setdefault(_path(each, values), []).append(each)
    near = {
        (*path[:-1], match)
        for path, errors in found.items()
        if _is_unknown_key(errors[0])
        for match in near_matches(str(path[-1]), _keys(kind, values, path[:-1]))
    }
    wrong_names = [path for path, errors in found.items() if errors[0]["loc"][-1:] == ("[key]",)]
    return [
        _named_in(Mistake(path, _message(path, errors, values, kind)), values)
        for path, errors in found.items()
        if not (errors[0]["type"] == "missing" and path in near)
        and not (errors[0]["type"] == "too_short" and any(_is_below(other, path) for other in found))
        and not any(_is_below(path, wrong) for wrong in wrong_names)
    ]


def _named_in(mistake: Mistake, values: Any) -> Mistake:
    """A mistake at the key that its message begins with, as checks of several keys say it."""
    word, is_found, rest = mistake.message.partition(" is ")
    keys = word.partition(" ")[0].split(".")
    here = values
    for part in (*mistake.path, *keys):
        here = _item(here, part)
    if here is None:
        return mistake
    plain = f"found {rest}" if is_found and " " not in word else mistake.message
    return Mistake((*mistake.path, *keys), plain)


def _is_below(path: KeyPath, other: KeyPath) -> bool:
    return path[: len(other)] == other and path != other


def told(mistakes: Iterable[Mistake]) -> ValidationError:
    """Mistakes as the error of a validator, in whose config they have the path of what it validates before theirs."""
    errors: list[InitErrorDetails] = [
        {"type": PydanticCustomError(_TOLD, "{message}", {"message": each.message}), "loc": each.path, "input": None}
        for each in mistakes
    ]
    return ValidationError.from_exception_data("config", errors)


def truth_values(values: Any, kind: Any, path: KeyPath = ()) -> Iterator[Mistake]:
    """Each true and false that stands for a number, as which pydantic takes them."""
    kind = _chosen(kind, values)
    if isinstance(values, bool) and {int, float} & {kind, *get_args(kind)} and bool not in (kind, *get_args(kind)):
        yield Mistake(path, f"expected a number, found {shown(values)}")
    entries = values.items() if isinstance(values, Mapping) else enumerate(values) if isinstance(values, list) else ()
    for key, value in entries:
        yield from truth_values(value, _inner(kind, key), (*path, key))


def _path(error: Any, values: Any) -> KeyPath:
    """The keys of an error: pydantic names the branches of unions too, which are no keys of the file."""
    path: list[str | int] = []
    here, loc = values, error["loc"]
    for place, part in enumerate(loc):
        last = place == len(loc) - 1
        if isinstance(here, Mapping) and (part in here or (last and error["type"] in ("missing", _TOLD))):
            here = here.get(part)
            path.append(str(part))
        elif isinstance(here, (list, tuple)) and isinstance(part, int) and part < len(here):
            here = here[part]
            path.append(part)
    if error["type"].startswith("union_tag") and isinstance(here, Mapping):
        path.append(error["ctx"]["discriminator"].strip("'"))
    return tuple(path)


def _is_unknown_key(error: Any) -> bool:
    return error["type"] in ("extra_forbidden", "invalid_key")


def _message(path: KeyPath, errors: Sequence[Any], values: Any, kind: type[BaseModel]) -> str:
    error, name = errors[0], str(path[-1]) if path else ""
    if error["type"] == _TOLD:
        return str(error["msg"])
    if _is_unknown_key(error):
        return str(unknown("key", name, _keys(kind, values, path[:-1])))
    if error["type"] == "missing":
        return _missing(path, error, values, kind)
    if error["type"] == "union_tag_not_found":
        return f"this key is missing: give one of {_choices(kind, values, path)}"
    if error["type"] == "union_tag_invalid":
        return str(unknown(name, error["ctx"]["tag"], _quoted(error["ctx"]["expected_tags"])))
    if error["loc"][-1:] == ("[key]",) and error["type"] == "literal_error":
        return str(unknown("name", name, _quoted(error["ctx"]["expected"])))
    if plain := [str(each["msg"]).removeprefix("Value error, ") for each in errors if _is_ours(each)]:
        return plain[0]
    if get_args(_bare(_annotation_at(kind, values, path))) == (int, int):
        return f"expected a range, as [3, 5], found {shown(error['input'])}"
    return _expectation(errors, secret=bool(_SECRET.intersection(map(str, path))))


def _is_ours(error: Any) -> bool:
    return bool(error["type"] == "value_error")


def _missing(path: KeyPath, error: Any, values: Any, kind: type[BaseModel]) -> str:
    if isinstance(error["loc"][-1], int):
        return f"expected {error['loc'][-1] + 1} entries, found {len(error['input'])}"
    about = description(_settings_at(kind, values, path[:-1]), str(path[-1]))
    return f"this key is missing: add it{f' ({about})' if about else ''}"


def _expectation(errors: Sequence[Any], *, secret: bool) -> str:
    """What was expected, over all branches of a union, and what was found."""
    error = errors[0]
    wanted = " or ".join(dict.fromkeys(map(_wanted, errors)))
    if not wanted:
        return f"found {shown(error['input'])}, which cannot stand here"
    given = "" if secret else f", found {shown(error['input'])}"
    return f"expected {wanted}{given}{_advice(error)}"


def _wanted(error: Any) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "literal_error":
        return str(context["expected"])
    if kind == "too_short":
        return f"{context['min_length']} or more entries"
    if kind == "too_long":
        return f"{context['max_length']} entries at most"
    if kind == "string_too_short":
        return "text that is not empty"
    if kind == "string_pattern_mismatch":
        return _FORMS.get(context["pattern"], f"text of the form {context['pattern']}")
    return _EXPECTED.get(kind, "").format(
        **{name: f"{value:g}" if isinstance(value, float) else value for name, value in context.items()}
    )


def _advice(error: Any) -> str:
    kind, given = error["type"], error["input"]
    if kind == "literal_error" and (near := near_matches(str(given), _quoted(error["ctx"]["expected"]))):
        return f". Did you mean {near[0]!r}?"
    if given is None:
        return ": give a value, or omit the key"
    if kind in ("tuple_type", "list_type") and isinstance(given, (str, int, float)):
        return f": write [{given}]"
    if kind == "list_type" or (kind == "tuple_type" and isinstance(given, Mapping)):
        return ": begin each entry with a dash"
    if kind == "string_type" and isinstance(given, (int, float)):
        return ": put it in quotes"
    return ""


def shown(value: Any) -> str:
    """A value as it stands in a file, cut where it is long."""
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        text = f"keys ({', '.join(map(str, value))})"
    else:
        text = repr(value) if isinstance(value, str) else json.dumps(value, default=str).strip('"')
    text = text if text.isprintable() else repr(text)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _quoted(text: str) -> list[str]:
    return re.findall(r"'([^']*)'", text)


def description(settings: type[BaseModel] | None, key: str) -> str:
    """The first clause on a key in the docstring of its settings."""
    for each in settings.__mro__ if settings else ():
        lines = re.search(rf"^    {re.escape(key)}: (.+(?:\n {{8}}.+)*)", inspect.cleandoc(each.__doc__ or ""), re.M)
        if lines:
            return re.split(r"[.;:,(](?:\s|$)| \(", " ".join(lines[1].split()))[0]
    return ""


# What settings there are at a place of the config.


def _keys(kind: type[BaseModel], values: Any, path: KeyPath) -> Iterable[str]:
    settings = _settings_at(kind, values, path)
    return list(settings.model_fields) if settings else []


def _choices(kind: type[BaseModel], values: Any, path: KeyPath) -> str:
    """The kinds that there are of a union, by the key that tells them apart."""
    members = get_args(_bare(_annotation_at(kind, values, path[:-1])))
    return ", ".join(_literal(member, str(path[-1])) for member in members)


def _settings_at(kind: type[BaseModel], values: Any, path: KeyPath) -> type[BaseModel] | None:
    here = values
    for part in path:
        here = _item(here, part)
    chosen = _chosen(_annotation_at(kind, values, path), here)
    return chosen if inspect.isclass(chosen) and issubclass(chosen, BaseModel) else None


def _annotation_at(kind: type[BaseModel], values: Any, path: KeyPath) -> Any:
    annotation: Any = kind
    for part in path:
        annotation, values = _inner(_chosen(annotation, values), part), _item(values, part)
    return annotation


def _item(values: Any, part: str | int) -> Any:
    if isinstance(values, Mapping):
        return values.get(part)
    return values[part] if isinstance(values, (list, tuple)) and isinstance(part, int) and part < len(values) else None


def _inner(annotation: Any, part: str | int) -> Any:
    """The type of an entry."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        field = annotation.model_fields.get(str(part))
        return field.annotation if field else None
    arguments = get_args(annotation)
    return arguments[-1 if get_origin(annotation) is dict else 0] if arguments else None


def _chosen(annotation: Any, values: Any) -> Any:
    """The branch of a union that is meant: the only one that is no None, or the one whose kind the values give."""
    annotation = _bare(annotation)
    if get_origin(annotation) not in (Union, UnionType):
        return annotation
    members = [member for member in map(_bare, get_args(annotation)) if member is not type(None)]
    given = set(map(str, values.values())) if isinstance(values, Mapping) else set()
    named = [member for member in members if {_literal(member, "kind"), _literal(member, "family")} & given]
    return _chosen((named or members)[0], values)


def _bare(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _literal(member: Any, key: str) -> str:
    """The value of a key that tells settings from others; empty where they have none."""
    field = getattr(_bare(member), "model_fields", {}).get(key)
    return str(get_args(field.annotation)[0]) if field and get_origin(field.annotation) is Literal else ""
