"""Which tests are quick is told from their files' text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.quick import ROOT, SLOW_IMPORTS, imports, is_quick

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "line",
    [
        "import torch",
        'QUANTUS = pytest.importorskip("quantus")',
        "import onnxruntime as ort",
        "from google.cloud import vision_v1",
        "from bbquery.cli import main",
        "from oracles import efficientnet, function",
        "from oracles.emulators.http import HttpEmulator",
        "from tests.support import onnx_models",
        "from tests.support import (\n    models,\n    onnx_models,\n)",
        "def test_it() -> None:\n    import captum",
        "PYTHON = sys.executable",
        "pytestmark = pytest.mark.slow",
    ],
)
def test_what_starts_or_imports_much_is_not_quick(tmp_path: Path, line: str) -> None:
    """Also where it is imported in a test's body or by what tests share."""
    file = tmp_path / "test_it.py"
    file.write_text(f"{line}\n")

    assert not is_quick(file)


@pytest.mark.parametrize(
    "line", ["import torchlike", "from oracles import function", "from tests.support import models"]
)
def test_all_else_is_quick(tmp_path: Path, line: str) -> None:
    """A file that imports no slow part."""
    file = tmp_path / "test_it.py"
    file.write_text(f'"""What torch and sockets do."""\n{line}\n')

    assert is_quick(file)


def test_half_of_all_files_are_quick() -> None:
    """Or the quick tests would say little; a slow import in a shared helper would take their files away."""
    files = list((ROOT / "tests").glob("**/test_*.py"))

    assert sum(map(is_quick, files)) > len(files) / 2


@pytest.mark.parametrize("name", sorted(SLOW_IMPORTS))
def test_every_slow_part_is_imported_somewhere(name: str) -> None:
    """A part that no test imports any more would be a misspelling or a leftover."""
    assert any(imports(file.read_text(), name) for file in (ROOT / "tests").glob("**/*.py"))
