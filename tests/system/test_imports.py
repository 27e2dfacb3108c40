"""Code of a person's own is found by its name, and what is not found is said with what was meant."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from bbquery.errors import UsageError
from bbquery.system.imports import imported

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty current folder that Python does not look through by itself, as under the command `bbquery`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place])
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return tmp_path


def test_a_module_in_the_current_folder_is_found(here: Path) -> None:
    """A model of one's own needs no package and no PYTHONPATH, nor does what it imports from beside it."""
    (here / "beside_it.py").write_text("NUMBER = 7\n")
    (here / "my_own_model.py").write_text("def f(image):\n    import beside_it\n    return beside_it.NUMBER\n")

    assert imported("my_own_model", "f")(None) == 7


def test_an_installed_module_goes_before_one_in_the_current_folder(here: Path) -> None:
    """A file that happens to be called like an installed package does not take its place."""
    (here / "installed").mkdir()
    sys.path.append(str(here / "installed"))
    for folder in (here, here / "installed"):
        (folder / "twice_there.py").write_text(f"f = {folder.name!r}\n")

    assert imported("twice_there", "f") == "installed"


@pytest.mark.parametrize(
    ("module", "name", "said"),
    [
        ("my_own_modle", "f", "a module 'my_own_modle'; did you mean 'my_own_model'?"),
        ("my_own_model.inner", "f", "a module 'my_own_model.inner'"),
        ("my_own_model", "classfy", "it has no such name; did you mean 'classify'?"),
        ("broken", "f", "importing it raised SyntaxError"),
        ("raising", "f", "importing it raised ZeroDivisionError: division by zero"),
        ("ending", "f", "importing it raised SystemExit: 3"),
        ("lacking", "f", "which imports 'no_such_package'"),
    ],
)
def test_what_cannot_be_imported_says_why_and_what_was_meant(here: Path, module: str, name: str, said: str) -> None:
    """A wrong module, a wrong name, and a module that fails are told apart, each as a usage error."""
    (here / "my_own_model.py").write_text("def classify(image):\n    return 'cat'\n")
    (here / "broken.py").write_text("def f(:\n")
    (here / "raising.py").write_text("1 / 0\n")
    (here / "ending.py").write_text("raise SystemExit(3)\n")
    (here / "lacking.py").write_text("import no_such_package\n")

    with pytest.raises(UsageError) as caught:
        imported(module, name)

    assert f"cannot import {name!r} from {module!r}" in str(caught.value)
    assert said in str(caught.value)
