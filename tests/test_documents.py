"""The documents for newcomers do not rot: what `docs/architecture.md` and `CONTRIBUTING.md` name is there."""

from __future__ import annotations

import ast
import importlib
import itertools
import os
import re
import shlex
import tomllib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

FENCED = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
CODE = re.findall(r"`([^`\n]+)`", FENCED.sub("", ARCHITECTURE + CONTRIBUTING))
PATHS = sorted({code for code in CODE if re.fullmatch(r"[\w.-]*(/[\w.-]*)+(:[\w.]+)?", code)})
LINES = [line for kind, block in FENCED.findall(CONTRIBUTING) if kind == "sh" for line in block.splitlines()]
COMMANDS = [command for line in LINES for command in line.split(" && ")]


def defined(tree: ast.AST) -> dict[str, ast.AST]:
    """Return the functions, classes and variables that a module or a class defines, by name."""
    found: dict[str, ast.AST] = {}
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found.update({target.id: node for target in targets if isinstance(target, ast.Name)})
    return found


@pytest.mark.parametrize("path", PATHS)
def test_every_path_exists(path: str) -> None:
    """A file or folder that is named is there, and defines what is named of it (`file.py:Class.method`)."""
    file, _, name = path.partition(":")

    assert (ROOT / file).exists()
    here: ast.AST = ast.parse((ROOT / file).read_text(encoding="utf-8")) if name else ast.Module([], [])
    for part in name.split(".") if name else ():
        assert part in defined(here)
        here = defined(here)[part]


def test_a_querys_way_has_ten_steps_with_names_in_each() -> None:
    """Each of the ten steps through the client says in which file and function it is taken."""
    way = ARCHITECTURE.split("## A query's way")[1].split("\n## ")[0]
    steps = re.split(r"^\d+\. ", way, flags=re.MULTILINE)[1:]

    assert len(steps) == 10
    assert all(re.search(r"`bbquery/[\w/]+\.py:\w+", step) for step in steps)


def test_everything_of_bbquery_is_on_the_map() -> None:
    """A newcomer finds every module and package of bbquery in the picture, and every package in the table below it."""
    picture = ARCHITECTURE.split("```text")[1].split("```")[0]
    packages = {path.parent.name for path in (ROOT / "bbquery").glob("*/__init__.py")}
    modules = {path.stem for path in (ROOT / "bbquery").glob("*.py") if not path.stem.startswith("__")}

    assert packages | modules <= set(re.findall(r"\w+", picture))
    assert [name for name in packages if f"| `bbquery/{name}/` |" not in ARCHITECTURE] == []


def test_the_example_of_a_plan_runs() -> None:
    """The plan that is shown runs as it stands, and returns its best so far when it is stopped."""
    shown: dict[str, Any] = {}
    for kind, block in FENCED.findall(ARCHITECTURE):
        if kind == "python":
            exec(block, shown)
    photo = np.full((8, 8, 3), 200)

    assert shown["replay"](shown["darkest"](photo), shown["bright"]) == pytest.approx(0.31, abs=0.01)
    assert shown["replay"](shown["darkest"](photo), shown["bright"], stop_after=2) == 0.5


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_import_that_is_shown_works(page: Path) -> None:
    """What a page imports from bbquery and oracles is public or defined there."""
    shown = [block for kind, block in FENCED.findall(page.read_text(encoding="utf-8")) if kind == "python"]
    imports = [node for block in shown for node in ast.walk(ast.parse(block)) if isinstance(node, ast.ImportFrom)]
    ours = [node for node in imports if str(node.module).partition(".")[0] in ("bbquery", "oracles")]

    for node in ours:
        home = importlib.import_module(str(node.module))
        for name in (alias.name for alias in node.names):
            if name not in getattr(home, "__all__", ()):
                found = getattr(home, name, None) or importlib.import_module(f"{node.module}.{name}")
                assert getattr(found, "__module__", node.module) == node.module


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_known(command: str) -> None:
    """A developer's command runs a program that is here, on files, markers and extras that are here."""
    program, *words = shlex.split(command, comments=True)

    match [program.rpartition("bin/")[2], *words]:
        case ["python", "-m", "pytest", *options]:
            assert all((ROOT / word).exists() for word in options if "/" in word)
            known = [line.partition(":")[0] for line in PROJECT["tool"]["pytest"]["ini_options"]["markers"]]
            assert {marker for flag, marker in itertools.pairwise(options) if flag == "-m"} <= set(known)
        case [".ci/run"]:
            assert os.access(ROOT / ".ci" / "run", os.X_OK)
        case ["pip", "install", *_]:
            extras = {extra for found in re.findall(r"\[([\w,-]+)\]", command) for extra in found.split(",")}
            assert extras <= set(PROJECT["project"]["optional-dependencies"])
        case ["bbquery", "explain", "sample:cat", "--out", _]:
            pass  # as the README's first line, which the checks run
        case ["python", "-m", module, page]:
            assert (ROOT / f"{module.replace('.', '/')}.py").is_file()
            assert (ROOT / page).is_file()
        case ["export", _] | ["mkdocs", "build", "--strict"] | ["mkdocs", "serve"]:
            pass
        case ["python3", "-m", "venv", _] | ["python", "-m", "build"] | ["git", "tag", _]:
            pass
        case other:
            pytest.fail(f"unknown command: {other}")


def anchors(page: str) -> set[str]:
    """Return what a link to a heading of a page is called on GitHub."""
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    """Files that a page points to are there, and the headings in them too."""
    links = re.findall(r"\]\(([^):]+)\)", FENCED.sub("", page.read_text(encoding="utf-8")))
    broken = []
    for link in links:
        file, _, heading = link.partition("#")
        target = page.parent / file if file else page
        if not target.exists() or (heading and heading not in anchors(target.read_text(encoding="utf-8"))):
            broken.append(link)

    assert broken == []
