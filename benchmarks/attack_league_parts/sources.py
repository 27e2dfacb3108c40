"""A digest of an attack's source, by which rows of an older one are known.

It is of the syntax trees of the attack's module and of what that imports of the algorithms: without positions, comments
and docstrings, so that only code makes rows stale. Packages' `__init__.py` hold protocols, and are left out.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from bbquery import load
from bbquery.specification import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

ALGORITHMS = tuple(f"bbquery.{package}" for package in ("attacks", "estimators", "perturb", "saliency", "metrics"))


@functools.cache
def digest_of(specification: str) -> str:
    """Return the digest of an attack's source, 12 hexadecimal digits."""
    name = parse(specification)[0]
    found: dict[str, ast.Module] = {}
    _collect(load.names("attack").get(name, name.partition(":")[0]), found)
    text = "\n".join(f"{module} {_canonical(found[module])}" for module in sorted(found))
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def _collect(module: str, found: dict[str, ast.Module]) -> None:
    path = None if module in found else _file(module)
    if path is None:
        return
    found[module] = ast.parse(path.read_text(encoding="utf-8"))
    for imported in _imports(found[module]):
        if imported.startswith(ALGORITHMS):
            _collect(imported, found)


def _file(module: str) -> Path | None:
    """Return the source of a module; None for a package, and for a name that is no module but in one."""
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return None
    origin = Path(spec.origin or "") if spec else Path()
    return origin if origin.suffix == ".py" and origin.name != "__init__.py" else None


def _imports(tree: ast.AST) -> Iterator[str]:
    """Yield the modules that a module may import at run time, and names of modules that are none."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield from _imports(node)


def _canonical(node: object) -> str:
    """Return a syntax tree as text that is the same in every version of Python: fields that are empty left out."""
    if isinstance(node, list):
        return "[" + ",".join(map(_canonical, node)) + "]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = {name: _code(name, value) for name, value in ast.iter_fields(node)}
    told = [f"{name}={_canonical(value)}" for name, value in fields.items() if value not in (None, [])]
    return f"{type(node).__name__}({','.join(told)})"


def _code(name: str, value: object) -> object:
    """Return a field of a node, a body without its docstrings and other statements that are only a text."""
    if name != "body" or not isinstance(value, list):
        return value
    return [each for each in value if not _is_text(each)]


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
