"""The workflow's conda environments: ``python -m tools.environments`` writes ``envs/*.yaml`` from the lock.

An environment pins what its kind of work needs, and nothing else: the project's dependencies and those of some of its
extras, with all that these need in turn. What needs what is read from the packages installed here (``make setup``), the
versions from the lock. s2h itself is in none of them: its modules come from ``src``, wherever the workflow lies.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from s2h.errors import DataError, S2HError
from s2h.files import atomic_file

ROOT = Path(__file__).parents[1]
"""The folder of the project."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of work: what its environment is for, and which extras of the project it takes."""

    title: str
    extras: tuple[str, ...] = ()


KINDS = {
    "puzzles": Kind("Puzzles, mixtures, tables: no torch."),
    "training": Kind("Training: torch, transformers, DeepSpeed, Liger's kernels.", ("train", "kernels")),
    "scoring": Kind("Scoring: what training needs, and VLMEvalKit.", ("train", "kernels", "eval")),
}

_PYTHON = "3.11"
_CPYTHON = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": f"{_PYTHON}.14",
    "python_version": _PYTHON,
    "sys_platform": "linux",
}
_MACHINES = [_CPYTHON | {"platform_machine": machine} for machine in ("x86_64", "aarch64")]
"""Where the environments are used, as marker variables; named here so that the files do not depend on this machine."""

_FILE = """\
# {title}
# Written by `make lock` from requirements.lock; do not edit. See docs/environments.md.
channels: [conda-forge, nodefaults]
dependencies:
  - python={python}
  - pip
  - pip:
{pins}
"""


def locked(lock: str) -> dict[str, list[Requirement]]:
    """The pins of a lock file's text by package: several where the version depends on the machine or on Python."""
    pins: dict[str, list[Requirement]] = {}
    for line in lock.splitlines():
        if line and line[0] not in "# ":
            pin = Requirement(line.removesuffix("\\").rstrip())
            pins.setdefault(canonicalize_name(pin.name), []).append(pin)
    return pins


def project_requirements(extras: Iterable[str], root: Path = ROOT) -> list[Requirement]:
    """What ``pyproject.toml`` asks for: the project's dependencies and those of ``extras``."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    words = [*project["dependencies"], *(word for extra in extras for word in project["optional-dependencies"][extra])]
    return [Requirement(word) for word in words]


def closure(requirements: Iterable[Requirement]) -> set[str]:
    """Names of all packages that ``requirements`` lead to, directly or not, on the machines of the environments.

    Raises:
        DataError: a package is needed that is not installed here, so that nobody knows what it needs.
    """
    seen: set[tuple[str, str]] = set()
    waiting = [pair for requirement in requirements for pair in _with_extras(requirement)]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) not in seen:
            seen.add((name, extra))
            waiting += [pair for each in _needs(name, extra) for pair in _with_extras(each)]
    return {name for name, _ in seen}


def pins_of(kind: Kind, root: Path = ROOT) -> list[str]:
    """The lines of ``requirements.lock`` without their hashes that ``kind`` needs, sorted by name.

    Raises:
        DataError: a package is needed that the lock does not pin, or another version of it is installed here.
    """
    lock = locked((root / "requirements.lock").read_text(encoding="utf-8"))
    names = sorted(closure(project_requirements(kind.extras, root)))
    return [_line(pin) for name in names for pin in _pins_of_package(name, lock)]


def environment_file(kind: Kind, root: Path = ROOT) -> str:
    """The text of the environment file of ``kind``."""
    pins = "\n".join(f"      - {pin}" for pin in pins_of(kind, root))
    return _FILE.format(title=kind.title, python=_PYTHON, pins=pins)


def write_environments(root: Path = ROOT) -> None:
    """Write ``envs/<kind>.yaml`` for each kind."""
    for name, kind in KINDS.items():
        text = environment_file(kind, root)
        with atomic_file(root / "envs" / f"{name}.yaml") as temporary:
            temporary.write_text(text, encoding="utf-8")


def _with_extras(requirement: Requirement) -> Iterator[tuple[str, str]]:
    """The package itself (no extra) and each of its extras that is asked for."""
    name = canonicalize_name(requirement.name)
    return ((name, extra) for extra in ("", *sorted(requirement.extras)))


def _needs(name: str, extra: str) -> list[Requirement]:
    """What an installed package, or one of its extras, asks for on any of the machines."""
    try:
        words = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        raise DataError(f"{name} is needed but not installed, so what it needs is unknown; run: make setup") from None
    return [needed for needed in map(Requirement, words) if _applies(needed, extra)]


def _applies(requirement: Requirement, extra: str = "") -> bool:
    """Whether the requirement's marker holds on any of the machines."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate(machine | {"extra": extra}) for machine in _MACHINES)


def _pins_of_package(name: str, lock: dict[str, list[Requirement]]) -> list[Requirement]:
    """Those pins of a package that the environments use; the installed version must be one that the lock names."""
    pins = [pin for pin in lock.get(name, []) if _applies(pin)]
    if not pins:
        raise DataError(f"{name} is needed but requirements.lock does not pin it; run: make lock")
    if metadata.version(name) not in {str(pin.specifier).removeprefix("==") for pin in lock[name]}:
        wanted = " or ".join(map(_line, lock[name]))
        raise DataError(
            f"{name} {metadata.version(name)} is installed, but requirements.lock has {wanted}; run: make setup"
        )
    return pins


def _line(pin: Requirement) -> str:
    """A pin as one line, in the way of the lock."""
    marker = f" ; {pin.marker}" if pin.marker else ""
    return f"{pin.name}{pin.specifier}{marker}"


if __name__ == "__main__":
    try:
        write_environments()
    except S2HError as error:
        sys.exit(f"s2h: {error}")
