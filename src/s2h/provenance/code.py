"""Code as an explicit input: a digest of the modules that a stage uses.

Snakemake does not notice when a module changes that a script imports, and repeats a stage for a comment in the script.
A rule that makes data therefore carries this digest among its params, in place of Snakemake's own: a change in one
task's generator re-makes that task alone, and a comment nothing.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from functools import lru_cache
from pathlib import Path

from s2h.errors import DataError

_PACKAGE = "s2h"


@lru_cache(maxsize=1024)  # a plan asks for each many times
def code_digest(*modules: str, script: Path | None = None) -> str:
    """A digest of ``modules`` and of all modules of this package that they import, directly or not.

    Comments, docstrings and layout do not count: what they change is not what the code makes.

    Args:
        modules: dotted names, e.g. ``s2h.puzzles.shards``.
        script: a file that counts too, without what it imports.

    Returns:
        16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name in sorted(imported_modules(*modules)):
        digest.update(f"{name}\n{_read(_path(name))[0]}\n".encode())
    if script:
        digest.update(f"{script.name}\n{_read(script)[0]}\n".encode())
    return digest.hexdigest()[:16]


def imported_modules(*modules: str) -> set[str]:
    """The given modules and all modules of this package that they import at any depth, wherever the import stands."""
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(_read(_path(name))[1])
    return found


@lru_cache(maxsize=256)
def _path(name: str) -> Path:
    path = _find(name)
    if path is None:
        raise DataError(f"there is no module {name} whose code could be digested.")
    return path


@lru_cache(maxsize=1024)
def _find(name: str) -> Path | None:
    """The file of a module; it is looked for by its path, for ``find_spec`` imports the packages that hold it."""
    package, *inner = name.split(".")
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None or not inner:
        return None if spec is None or spec.origin is None else Path(spec.origin)
    bases = [Path(folder, *inner) for folder in spec.submodule_search_locations or ()]
    found = (path for base in bases for path in (base / "__init__.py", base.parent / f"{base.name}.py"))
    return next((path for path in found if path.is_file()), None)


@lru_cache(maxsize=256)
def _read(path: Path) -> tuple[str, frozenset[str]]:
    """What a file does, as text without comments, docstrings and layout; and what it imports of this package."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imports = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            if ast.get_docstring(node, clean=False):
                node.body = node.body[1:] or [ast.Pass()]
        elif isinstance(node, ast.Import):
            imports |= {alias.name for alias in node.names if alias.name.split(".")[0] == _PACKAGE}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == _PACKAGE:
            imports |= {_module_of(str(node.module), alias.name) for alias in node.names}
    return ast.unparse(tree), frozenset(imports - {_PACKAGE})


def _module_of(module: str, attribute: str) -> str:
    """``from module import attribute`` imports a module of that name where there is one, else ``module``."""
    return f"{module}.{attribute}" if _find(f"{module}.{attribute}") else module
