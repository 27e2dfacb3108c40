"""Every example runs as a person would run it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(script: Path) -> None:
    """An example ends without an error or a warning."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)], capture_output=True, text=True, check=False, timeout=120
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_first_example_finds_the_red_square() -> None:
    """Explaining a function that likes red points at the red square."""
    script = next(path for path in EXAMPLES if path.stem == "explain_a_function")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True, timeout=120)

    found = re.search(r"row (\d+), column (\d+), from (\d+) queries", done.stdout)
    assert found is not None
    row, column, queries = map(int, found.groups())
    assert 32 <= row < 64
    assert 80 <= column < 112
    assert queries == 300
