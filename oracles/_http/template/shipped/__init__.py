"""Templates that come with bbquery, one a file, by the name `@NAME`."""

from __future__ import annotations

import importlib.resources
import tomllib
from typing import TYPE_CHECKING, Any

from bbquery.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

SHIPPED = "@"
"""How the name of such a template begins."""

ENDING = ".toml"
ELSEWHERE = {
    "@azure-openai": "openai:model=DEPLOYMENT,base_url=https://RESOURCE.openai.azure.com/openai/v1",
    "@openai": "openai:model=gpt-4.1-mini",
    "@vllm": "openai:model=NAME,base_url=http://127.0.0.1:8000/v1",
}
"""Names that are looked for here, of servers that another oracle asks: through the vendor's own package."""


def names() -> list[str]:
    """Return the names of all of them."""
    files = importlib.resources.files(__package__).iterdir()
    return sorted(f"{SHIPPED}{file.name.removesuffix(ENDING)}" for file in files if file.name.endswith(ENDING))


def content(name: str) -> Mapping[str, Any]:
    """Return the template of this name, as it is written.

    Raises:
        UnknownName: there is none. UsageError: there is none, and another oracle asks such servers.
    """
    if name in ELSEWHERE:
        raise UsageError(f"the template {name!r} is not needed: such servers are asked by --oracle {ELSEWHERE[name]}")
    if name not in names():
        raise UnknownName("template", name, names())
    file = importlib.resources.files(__package__) / f"{name.removeprefix(SHIPPED)}{ENDING}"
    return tomllib.loads(file.read_text(encoding="utf-8"))
