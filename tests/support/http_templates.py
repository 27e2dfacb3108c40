"""The templates that are printed in docs/http.md, and changes of them."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

import oracles.http
from tests.support.http_helpers import serving
from tests.support.paths import ROOT
from tests.support.replies import bare

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from numpy.typing import NDArray

    from bbquery.oracle import Oracle
    from tests.support.template_servers import (
        Server,
    )


PAGE = (ROOT / "docs" / "http.md").read_text(encoding="utf-8")
SNIPPETS = dict(re.findall(r"```toml\n# (\S+)\n(.*?)```", PAGE, re.DOTALL))


SIDE = 224


def photos(count: int) -> list[NDArray[np.uint8]]:
    return list(np.random.default_rng(2).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8))


def snippet(tmp_path: Path, name: str) -> str:
    """Write a snippet of the page to a file of its name, and return its path."""
    (tmp_path / name).write_text(SNIPPETS[name], encoding="utf-8")
    return str(tmp_path / name)


@asynccontextmanager
async def connected(server: Server, tmp_path: Path, name: str, **options: Any) -> AsyncIterator[Oracle]:
    """Serve, and connect with a snippet."""
    async with serving(server.handle) as url:
        oracle = await oracles.http.connect(url=url, template=snippet(tmp_path, name), **options)
        try:
            yield oracle
        finally:
            await oracle.aclose()


async def ask(oracle: Oracle, count: int = 1) -> list[Any]:
    """Return what one attempt gives, bare of costs, or raises."""
    return bare(await oracle.answer([oracle.encode(image) for image in photos(count)]))


MINIMAL: dict[str, Any] = {"request": {"body": "raw"}, "answer": {"kind": "text", "text": "$.caption"}}


def changed(**tables: Any) -> dict[str, Any]:
    """Return the smallest template with these tables or keys in place of its own."""
    return MINIMAL | tables


def request(**keys: Any) -> dict[str, Any]:
    return changed(request=MINIMAL["request"] | keys)


def answer(**keys: Any) -> dict[str, Any]:
    return changed(answer=keys)
