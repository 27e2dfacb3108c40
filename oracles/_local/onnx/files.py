"""The files of a model: the graph, and the weights that lie beside it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bbquery.system import user_file
from oracles._shared.digest import digest

if TYPE_CHECKING:
    from pathlib import Path

# In ONNX's protocol buffers a tensor whose numbers lie outside has entries of a key and a value, each a tag, a length
# and a text. Exporters put weights into a file of their own above 2 GB, and the newest ones always.
_LOCATION = re.compile(rb"\x0a\x08location\x12([\x01-\x7f])", re.DOTALL)


def identity(model: Path) -> str:
    """Return the hash of a model's file and of the files that its weights lie in, in hexadecimal digits.

    Raises:
        UsageError: one of them cannot be read.
    """
    graph = user_file.contents(model, "the model in")
    what = f"the weights of {model.name} in"
    weights = (user_file.contents(model.parent / name, what) for name in sorted(_external(graph)))
    return digest(graph, *weights)


def _external(graph: bytes) -> set[str]:
    """Return the names of the files, relative to the graph's folder, that its weights lie in."""
    found = (graph[match.end() : match.end() + match[1][0]] for match in _LOCATION.finditer(graph))
    return {name.decode(errors="replace") for name in found}
