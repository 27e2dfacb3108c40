"""Which tests are quick: told from the text of their files, so that no list is kept and slow files need no import.

A file is slow where it, or what it imports from `tests`, starts processes or servers, runs whole commands, or imports a
part that takes long to import. A single test or a whole file that only computes for long says so: `pytest.mark.slow`.
All others are quick.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SLOW_IMPORTS = frozenset({
    "aiohttp", "anthropic", "art", "bbquery.cli", "captum", "foolbox", "google", "http.server", "lime", "nltk", "onnx",
    "onnxruntime", "openai", "oracles.efficientnet", "oracles.emulators", "playwright", "quantus",
    "sentence_transformers", "skimage", "sklearn", "socket", "ssl", "subprocess", "torch",
})  # fmt: skip
_SLOW_LINES = re.compile(
    r"\bsys\.executable\b|\bos\.fork\(|\bcreate_subprocess_|^pytestmark = pytest\.mark\.slow$", re.MULTILINE
)
_IMPORTS = re.compile(r"^\s*import ([\w.]+)|\bimport(?:orskip|_module)\(\"([\w.]+)\"", re.MULTILINE)
_TAKEN = re.compile(r"^\s*from ([\w.]+) import (?:\(([^)]*)\)|([^(\n#]*))", re.MULTILINE)


def is_quick(file: Path) -> bool:
    """Whether the tests of a file are quick, but for those marked slow."""
    return not any(_is_slow(text) for text in _with_imported_tests(file))


def _is_slow(text: str) -> bool:
    return _SLOW_LINES.search(text) is not None or any(imports(text, slow) for slow in SLOW_IMPORTS)


def imports(text: str, module: str) -> bool:
    """Whether the text of a file imports a module or a part of it."""
    return any(f"{name}.".startswith(f"{module}.") for name in _imported(text))


@functools.cache
def _imported(text: str) -> frozenset[str]:
    """Return the dotted names that a text imports, with the names taken from each module."""
    modules = {plain or called for plain, called in _IMPORTS.findall(text)}
    for module, several, one_line in _TAKEN.findall(text):
        modules |= {module, *(f"{module}.{name}" for name in re.findall(r"\w+", several or one_line))}
    return frozenset(modules)


def _with_imported_tests(file: Path) -> list[str]:
    """Return the texts of a file and of all that it imports from `tests`."""
    found: dict[Path, str] = {}
    waiting = [file]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found[path] = text = _text(path)
            waiting += [ROOT / f"{name.replace('.', '/')}.py" for name in _imported(text) if name.startswith("tests.")]
    return list(found.values())


@functools.cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
