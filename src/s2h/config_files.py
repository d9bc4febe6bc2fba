"""One config file: its values, where each stands, and what is wrong with it as YAML.

Light, for the profile reads the files before Snakemake does, whose own messages name neither file nor line.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from s2h.errors import ConfigError

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CONFLICT = re.compile(r"^(<{7}|={7}|>{7})( |$)", re.MULTILINE)
_ADVICE = {
    "cannot start any token": "quote text that begins with a special character, and indent with spaces, not with tabs",
    "undefined alias": "no anchor (&name) of this name stands above it",
    "constructor for the tag": "tags such as !!python are not read: write plain values",
    "could not find expected ':'": "put a colon and a space between a key and its value",
    "expected ',' or": "a bracket or brace is not closed",
    "expected <block end>": "keys of one mapping begin in the same column",
    "mapping values are not allowed": "keys of one mapping begin in the same column; quote text that holds a colon",
}


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in a file.

    Attributes:
        file: its path, or what stands in its stead.
        line: from 1; 0 for the file as a whole.
        column: from 1; likewise.
    """

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """Where a value and all below it stand.

    Attributes:
        place: of a value in a mapping that of its key.
        entries: the same of its entries, by key or by place in the list.
        is_mapping: whether it has keys, so that another file may change some of them.
    """

    place: Place
    entries: Mapping[str | int, Source] = dataclasses.field(default_factory=dict)
    is_mapping: bool = False

    def find(self, path: Iterable[str | int]) -> Place:
        """The place of a key; of the nearest one above it where it does not stand in any file."""
        here = self
        for part in path:
            if part not in here.entries:
                break
            here = here.entries[part]
        return here.place

    def under(self, over: Source) -> Source:
        """The places of these values with others laid over them, as ``s2h.overlays.merge`` lays the values."""
        if not over.is_mapping:
            return over
        own = dict(self.entries) if self.is_mapping else {}
        for key, source in over.entries.items():
            own[key] = own[key].under(source) if key in own else source
        return Source(over.place if over.entries else self.place, own, is_mapping=True)


@dataclasses.dataclass(frozen=True, slots=True)
class ConfigFile:
    """A config file, or what stands in its place.

    Attributes:
        name: its path, or ``--config`` for values of a command line.
        values: by key; none of an empty file.
        source: where they stand.
        is_empty: whether it holds nothing but comments.
    """

    name: str
    values: dict[str, Any]
    source: Source
    is_empty: bool = False


def read_config_file(path: str | Path) -> ConfigFile:
    """A config file.

    Raises:
        ConfigError: there is no such file, it is not valid YAML with keys at its top, or a key is given twice.
    """
    text, name = _text(path), _relative(Path(path))
    try:
        loader = _LOADER(text)  # the constructor of which makes no objects of other types
        node = loader.get_single_node()
        if isinstance(node, yaml.MappingNode):
            _refuse_repeated_keys(name, node)
        values = loader.construct_document(node) if node else None
    except yaml.YAMLError as error:
        values, node = _json(text), None
        if values is None:
            raise ConfigError(_syntax(name, text, error)) from None
    if values is not None and not isinstance(values, dict):
        raise ConfigError(f"{name}:1:1: {_no_keys(values)}")
    source = _placed(name, node, node.start_mark, {}) if node else Source(Place(name), is_mapping=True)
    return ConfigFile(name, values or {}, source, is_empty=values is None)


def _relative(path: Path) -> str:
    """A path as short as it can be told from the current folder."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def read_changes(words: Iterable[str]) -> dict[str, Any]:
    """The values of ``--config``, each of which is read as YAML.

    Args:
        words: KEY=VALUE, where KEY is one of the top of the config.

    Raises:
        ConfigError: a word is none of these.
    """
    values: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals:
            raise ConfigError(f"--config {word}: expected KEY=VALUE, as in --config results=results/sweep.")
        if "." in key:
            raise ConfigError(
                f"--config {word}: only keys of the top can be set, as in --config '{_nested(key, text)}'."
            )
        try:
            values[key] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise ConfigError(f"--config {word}: the value is not valid YAML.") from None
    return values


def _nested(key: str, text: str) -> str:
    """A value below keys of keys, as ``--config`` takes it."""
    first, *others = key.split(".")
    return f"{first}={''.join(f'{{{each}: ' for each in others)}{text}{'}' * len(others)}"


def given_values(name: str, values: Mapping[str, Any]) -> ConfigFile:
    """Values that stand in no file."""
    return ConfigFile(name, dict(values), _named(name, values))


def _named(name: str, values: Any) -> Source:
    if isinstance(values, Mapping):
        return Source(Place(name), {key: _named(name, value) for key, value in values.items()}, is_mapping=True)
    return Source(Place(name))


def _text(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"there is no file {path}: check the path, which is relative to {Path.cwd()}.") from None
    except IsADirectoryError:
        raise ConfigError(f"{path} is a folder: name a YAML file.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as text: {error}.") from None


def _json(text: str) -> Any:
    """The values of a JSON file that is no YAML, as one with tabs; None where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _syntax(path: str, text: str, error: yaml.YAMLError) -> str:
    """Where a file stops to be YAML, and what may be wrong there."""
    if conflict := _CONFLICT.search(text):
        line = text.count("\n", 0, conflict.start()) + 1
        return f"{path}:{line}:1: a merge conflict is left here: keep one of the versions, and remove the marks."
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return f"{path}:{line}:1: a character that is no text: is this a YAML file?"
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else path
    problem = str(getattr(error, "problem", None) or error)
    line_text = text.splitlines()[mark.line] if mark and mark.line < len(text.splitlines()) else ""
    if re.match(r" *\t", line_text):
        return f"{place}: not valid YAML: indent with spaces, not with tabs."
    advice = next((advice for words, advice in _ADVICE.items() if words in problem), "")
    return f"{place}: not valid YAML: {problem}{f' ({advice})' if advice else ''}."


def _no_keys(values: Any) -> str:
    advice = "a config file has keys at its top, as in seed: 0."
    if isinstance(values, str) and (written := re.fullmatch(r"(\w+):(\S.*)", values)):
        advice = f"put a space behind the colon: {written[1]}: {written[2]}"
    return f"expected keys, found {'a list' if isinstance(values, list) else repr(values)}: {advice}"


def _refuse_repeated_keys(path: str, top: yaml.MappingNode) -> None:
    """Raise ConfigError where a mapping gives a key twice: YAML takes the last without a word."""
    found = []
    for mapping in _mappings(top):
        lines: dict[str, int] = {}
        for key, _ in mapping.value:
            name, mark = str(key.value), key.start_mark
            if name in lines and key.tag != "tag:yaml.org,2002:merge":
                found.append(
                    f"{path}:{mark.line + 1}:{mark.column + 1}: the key {name!r} is given twice, in lines "
                    f"{lines[name]} and {mark.line + 1}: remove one, or put their entries together"
                )
            lines[name] = mark.line + 1
    if found:
        raise ConfigError("\n".join(found))


def _mappings(top: yaml.Node) -> Iterable[yaml.MappingNode]:
    """All mappings of a document once, in order; the same node may stand in several places."""
    seen: set[int] = set()
    waiting = [top]
    while waiting:
        node = waiting.pop()
        if id(node) in seen or isinstance(node, yaml.ScalarNode):
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            yield node
            waiting.extend(value for _, value in reversed(node.value))
        else:
            waiting.extend(reversed(node.value))


def _placed(path: str, node: yaml.Node, mark: Any, known: dict[int, Mapping[str | int, Source]]) -> Source:
    """The places below a node that was constructed, so that ``<<`` has brought its entries in, before the own ones."""
    place = Place(path, mark.line + 1, mark.column + 1)
    if isinstance(node, yaml.ScalarNode):
        return Source(place)
    if id(node) not in known:
        known[id(node)] = {}  # for one that holds itself
        known[id(node)] = (
            {str(key.value): _placed(path, value, key.start_mark, known) for key, value in node.value}
            if isinstance(node, yaml.MappingNode)
            else {number: _placed(path, each, each.start_mark, known) for number, each in enumerate(node.value)}
        )
    return Source(place, known[id(node)], is_mapping=isinstance(node, yaml.MappingNode))
