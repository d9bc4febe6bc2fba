"""Code as an explicit input: a digest of the modules that a stage uses.

Snakemake does not notice when a module changes that a script imports, and repeats a stage for a comment in the script.
A rule that makes data therefore carries this digest among its params, in place of Snakemake's own: a change in one
task's generator re-makes that task alone, and a comment nothing.
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import sysconfig
from collections.abc import Iterator
from functools import lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec, resolve_name
from pathlib import Path

from s2h.errors import DataError

_PACKAGE = "s2h"
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@lru_cache(maxsize=1024)  # a plan asks for each many times
def code_digest(*modules: str, script: Path | None = None) -> str:
    """A digest of ``modules`` and of all that they import, directly or not (``imported_modules``).

    Comments, docstrings and layout do not count: what they change is not what the code makes.

    Args:
        modules: dotted names, e.g. ``s2h.puzzles.shards``.
        script: a file that counts too, without what it imports.

    Returns:
        16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name in sorted(imported_modules(*modules)):
        digest.update(f"{name}\n{_source(_path(name)).text}\n".encode())
    if script:
        digest.update(f"{script.name}\n{_source(script).text}\n".encode())
    return digest.hexdigest()[:16]


def imported_modules(*modules: str) -> set[str]:
    """The given modules and all that they import, of this package and of plugins, at any depth and wherever it stands.

    The modules of a plugin are those of its own package, and, unless it is installed, those that lie beside it.
    """
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(_imports(name))
    return found


@lru_cache(maxsize=4096)
def _find_spec(name: str) -> ModuleSpec | None:
    """The spec of a module, found without importing its parent packages (``importlib.util.find_spec`` does)."""
    package, *inner = name.split(".")
    spec = find_spec(package)
    for part in inner:
        if spec is None or spec.submodule_search_locations is None:
            return None
        package = f"{package}.{part}"
        spec = PathFinder.find_spec(package, spec.submodule_search_locations)
    return spec


@lru_cache(maxsize=1024)
def _path(name: str) -> Path:
    spec = _find_spec(name)
    if spec is None or spec.origin is None:
        raise DataError(f"there is no module {name} whose code could be digested.")
    return Path(spec.origin)


@dataclasses.dataclass(frozen=True, slots=True)
class _Source:
    """A file of code, read once.

    Attributes:
        text: its content for the digest: its code without comments, docstrings and layout.
        imports: its import statements, wherever they stand.
    """

    text: str
    imports: tuple[ast.Import | ast.ImportFrom, ...]


@lru_cache(maxsize=1024)
def _source(path: Path) -> _Source:
    tree, imports = ast.parse(path.read_text(encoding="utf-8")), []
    for node in _statements(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False):
            node.body = node.body[1:] or [ast.Pass()]
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            imports.append(node)
    return _Source(ast.unparse(tree), tuple(imports))


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """The module and the statements in it at any depth, without what they are made of: walking all would take long."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for block in ("body", "orelse", "finalbody", "handlers", "cases"):
            inner = getattr(node, block, ())
            waiting.extend(inner if isinstance(inner, list) else ())


@lru_cache(maxsize=1024)
def _imports(name: str) -> frozenset[str]:
    """The modules that a module imports and whose code counts with it."""
    path, modules = _path(name), set()
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in _source(path).imports:
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names if _counts(alias.name, name)}
        else:
            module = resolve_name("." * node.level + (node.module or ""), package)
            if _counts(module, name):
                modules |= {_module_of(module, alias.name) for alias in node.names}
    return frozenset(each for each in modules - {_PACKAGE} if not _is_namespace(each))


def _counts(module: str, importer: str) -> bool:
    """Whether the code of an imported module counts with that of the importer."""
    top, own = module.partition(".")[0], importer.partition(".")[0]
    if top in (_PACKAGE, own):
        return True
    beside = own != _PACKAGE and _folder(top) == _folder(own)
    return beside and _folder(own) not in {Path(sysconfig.get_path(kind)) for kind in ("purelib", "platlib")}


@lru_cache(maxsize=1024)
def _folder(package: str) -> Path | None:
    """Where a package or a module of the top level lies; None for one that is not there or part of Python itself."""
    spec = _find_spec(package)
    if spec is None or not (spec.has_location or spec.submodule_search_locations):
        return None
    return Path((spec.submodule_search_locations or [str(spec.origin)])[0]).parent


def _is_namespace(name: str) -> bool:
    """Whether a package has no code of its own."""
    spec = _find_spec(name)
    return spec is not None and spec.origin is None


@lru_cache(maxsize=1024)
def _module_of(module: str, attribute: str) -> str:
    """``from module import attribute`` imports a module of that name where there is one, else ``module``."""
    inner = f"{module}.{attribute}"
    package = _find_spec(module)
    is_package = package is not None and package.submodule_search_locations is not None
    return inner if is_package and _find_spec(inner) is not None else module
