"""The public names: all there, all documented, and nothing else."""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
from pathlib import Path
from typing import Any

import pytest

import bbquery

SOURCE = ast.parse(Path(bbquery.__file__).read_text(encoding="utf-8"))
LAZY = [name for name in bbquery.__all__ if name != "__version__"]


def shown_to_type_checkers() -> dict[str, str]:
    """Return the names that the module imports for type checkers, and from where."""
    (guard,) = [node for node in SOURCE.body if isinstance(node, ast.If)]
    imports = [node for node in guard.body if isinstance(node, ast.ImportFrom)]
    assert len(imports) == len(guard.body)
    return {alias.name: str(node.module) for node in imports for alias in node.names}


def conventional(name: str) -> tuple[int, str]:
    """Sort constants before classes before everything else, each by name."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


def docstring(name: str) -> str | None:
    """Return what a public name says of itself: its own docstring, or the one below its assignment."""
    thing = getattr(bbquery, name)
    if inspect.isclass(thing) or inspect.isfunction(thing):
        generated = inspect.isclass(thing) and (thing.__doc__ or "").startswith(f"{name}(")
        return None if generated else vars(thing).get("__doc__", thing.__doc__)
    home: Any = importlib.import_module(shown_to_type_checkers()[name])
    body = ast.parse(inspect.getsource(home)).body
    for assignment, below in itertools.pairwise(body):
        targets = assignment.targets if isinstance(assignment, ast.Assign) else [getattr(assignment, "target", None)]
        if name in [target.id for target in targets if isinstance(target, ast.Name)]:
            return str(ast.literal_eval(below.value)) if isinstance(below, ast.Expr) else None
    return None


def test_names_are_sorted_and_listed_once() -> None:
    """`__all__` can be read: constants, classes, the rest, each in the order of the alphabet."""
    assert bbquery.__all__ == sorted(set(bbquery.__all__), key=conventional)


def test_what_is_imported_when_used_is_what_type_checkers_see() -> None:
    """The table of homes, the imports for type checkers and `__all__` name the same things in the same places."""
    homes = {name: module for module, names in bbquery._HOMES.items() for name in names}

    assert homes == shown_to_type_checkers()
    assert sorted(homes) == sorted(LAZY)
    assert sum(map(len, bbquery._HOMES.values())) == len(homes)


@pytest.mark.parametrize("name", LAZY)
def test_a_public_name_is_what_its_home_defines(name: str) -> None:
    """Using a name imports it from where it is defined, not from somebody who imported it."""
    home = importlib.import_module(shown_to_type_checkers()[name])

    thing = getattr(bbquery, name)
    assert thing is getattr(home, name)
    assert not inspect.isroutine(thing) or thing.__module__ == home.__name__
    assert not inspect.isclass(thing) or thing.__module__ == home.__name__


@pytest.mark.parametrize("name", LAZY)
def test_a_public_name_is_documented(name: str) -> None:
    """Every class, function, constant and alias says in a sentence of its own what it is."""
    said = docstring(name)

    assert said is not None
    assert said.strip().endswith(".")


@pytest.mark.parametrize("name", [name for name in LAZY if inspect.isclass(getattr(bbquery, name))])
def test_the_public_members_of_a_public_class_are_documented(name: str) -> None:
    """What a class defines and does not hide says what it does."""
    members = vars(getattr(bbquery, name)).items()
    own = [(member, found.fget if isinstance(found, property) else found) for member, found in members]
    silent = [member for member, found in own if inspect.isfunction(found) and member[0] != "_" and not found.__doc__]

    assert silent == []


def test_nothing_else_is_shown() -> None:
    """`dir` and a star import give the public names; none of them is private."""
    namespace: dict[str, object] = {}

    exec("from bbquery import *", namespace)

    assert dir(bbquery) == sorted(bbquery.__all__)
    assert set(namespace) - {"__builtins__"} == set(bbquery.__all__)
    assert [name for name in bbquery.__all__ if name.startswith("_")] == ["__version__"]


@pytest.mark.parametrize("name", ["no_such", "_HOME", "client2"])
def test_what_does_not_exist_is_an_attribute_error(name: str) -> None:
    """A misspelt name fails as in any other module."""
    with pytest.raises(AttributeError, match=f"module 'bbquery' has no attribute '{name}'"):
        getattr(bbquery, name)


def test_the_version_is_a_release_number() -> None:
    """The version is three numbers, which installers can compare."""
    assert all(part.isdecimal() for part in bbquery.__version__.split(".", maxsplit=2))
