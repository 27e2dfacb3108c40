"""The garbage collector's threshold: raised while somebody asks, and nobody else's setting lost."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

from bbquery.client.client import Client
from bbquery.client.gc_threshold import YOUNGEST, raised
from bbquery.ledger.records import Cap
from bbquery.plan import Ask
from tests.support.images import tiny_images
from tests.support.oracles import FakeOracle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bbquery.ledger.ledger import Ledger
    from bbquery.types import Image

SET = (650, 11, 12)


@pytest.fixture(autouse=True)
def threshold() -> Iterator[None]:
    """Start from a threshold that nobody else sets, and leave the one that was there."""
    before = gc.get_threshold()
    gc.set_threshold(*SET)
    yield
    gc.set_threshold(*before)


async def test_it_waits_longer_while_queries_are_asked(ledger: Ledger) -> None:
    """During an ask the youngest generation is larger; after it, all is as it was."""
    seen = []

    class Seeing(FakeOracle):
        def encode(self, image: Image) -> Image:
            seen.append(gc.get_threshold())
            return super().encode(image)

    async with Client(Seeing(), ledger, ledger.open_budget("run", Cap(queries=9))) as client:
        await client.ask(Ask(tiny_images(2)))

    assert (set(seen), gc.get_threshold()) == ({(YOUNGEST, *SET[1:])}, SET)


def test_the_last_who_asks_restores_it() -> None:
    """Of several who ask at once, the first to end changes nothing."""
    with raised():
        with raised():
            pass
        between = gc.get_threshold()

    assert (between[0], gc.get_threshold()) == (YOUNGEST, SET)


@pytest.mark.parametrize("chosen", [0, YOUNGEST + 1])
def test_what_somebody_has_chosen_stays(chosen: int) -> None:
    """A collector that is off stays off, and a larger threshold is not lowered."""
    gc.set_threshold(chosen, 5, 5)
    with raised():
        during = gc.get_threshold()

    assert during == gc.get_threshold() == (chosen, 5, 5)


def test_what_somebody_chooses_meanwhile_stays() -> None:
    """Who sets the threshold while queries are asked finds it as set."""
    with raised():
        gc.set_threshold(800, 3, 3)

    assert gc.get_threshold() == (800, 3, 3)


def test_it_is_restored_after_a_failure() -> None:
    """However asking ends, the threshold is as before."""
    with pytest.raises(ZeroDivisionError), raised():
        raise ZeroDivisionError

    assert gc.get_threshold() == SET
