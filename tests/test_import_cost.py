"""`import bbquery` costs nothing worth mentioning."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from tests.support.paths import ROOT

MOST_SECONDS = 0.3
HEAVY = {
    "torch", "openai", "google", "nltk", "onnxruntime", "onnx", "aiohttp", "matplotlib", "skimage", "transformers",
    "sentence_transformers", "tokenizers", "safetensors", "sklearn", "scipy",
}  # fmt: skip
MEASURED = """
import sys, time
before = set(sys.modules)
began = time.perf_counter()
{statement}
seconds = time.perf_counter() - began
print((seconds, sorted(set(sys.modules) - before)))
"""


def imported(statement: str) -> tuple[float, set[str]]:
    """Run an import in a fresh interpreter; return its seconds and the top-level packages that came with it."""
    code = MEASURED.format(statement=statement)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    seconds, modules = ast.literal_eval(done.stdout)
    return seconds, {module.partition(".")[0] for module in modules}


def test_importing_takes_no_time() -> None:
    """The best of five fresh interpreters imports bbquery within 0.3 seconds."""
    assert min(imported("import bbquery")[0] for _ in range(5)) < MOST_SECONDS


def test_importing_brings_nothing_along() -> None:
    """Not even NumPy is imported before something of bbquery is used."""
    _, packages = imported("import bbquery")

    assert packages.isdisjoint(HEAVY | {"numpy", "PIL"})


@pytest.mark.parametrize("statement", ["from bbquery import *", "import bbquery.cli", "from bbquery import load"])
def test_the_core_needs_no_optional_package(statement: str) -> None:
    """Whatever of the core is used, optional packages wait until an oracle or a report wants them."""
    _, packages = imported(statement)

    assert "numpy" in packages
    assert packages.isdisjoint(HEAVY)


def test_what_is_imported_is_measured() -> None:
    """The measurement sees a package that an import brings along, also when it is the first of many."""
    _, packages = imported("import numpy.linalg")

    assert "numpy" in packages
