"""What may be given from Python: every kind of image and of oracle, and money as a float; checked before a query."""

from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pytest

import bbquery
from bbquery.ledger.records import Cap
from oracles import function
from tests.support.models import sides

if TYPE_CHECKING:
    from collections.abc import Callable

    from bbquery.ledger.ledger import Ledger
    from bbquery.oracle import Oracle
    from bbquery.types import Image

PHOTO = np.random.default_rng(0).integers(0, 256, (16, 20, 3), dtype=np.uint8)


def png() -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(PHOTO).save(buffer, "PNG")
    return buffer.getvalue()


def path_of(folder: Path) -> Path:
    (folder / "photo.png").write_bytes(png())
    return folder / "photo.png"


KINDS: dict[str, Callable[[Path], Any]] = {
    "text": lambda folder: str(path_of(folder)),
    "path": path_of,
    "bytes": lambda _: png(),
    "made": lambda _: PIL.Image.fromarray(PHOTO),
    "opened": lambda folder: PIL.Image.open(path_of(folder)),
    "shares": lambda _: PHOTO / 255,
    "short shares": lambda _: np.float32(PHOTO) / np.float32(255),
}


def never() -> Oracle:
    return function.connect(lambda _: pytest.fail("it was asked"), classes="left|right", version="1")


@pytest.mark.parametrize("kind", KINDS)
def test_equal_pixels_are_one_run_however_they_are_given(kind: str, ledger: Ledger, tmp_path: Path) -> None:
    """A path, bytes, a picture of Pillow and arrays of either scale resume the run of the uint8 array, for nothing."""
    oracle = function.connect(sides, classes="left|right", version="1")
    of_array = bbquery.explain(PHOTO, oracle, max_queries=10, ledger=ledger)

    found = bbquery.explain(KINDS[kind](tmp_path), oracle, max_queries=10, ledger=ledger)

    assert found.run == of_array.run
    assert found.queries.sent == 0


@pytest.mark.parametrize("kind", ["bytes", "made"])
def test_one_image_is_not_several(kind: str, ledger: Ledger, tmp_path: Path) -> None:
    """Neither bytes nor a picture of Pillow, given as several, are taken apart."""
    with pytest.raises(bbquery.UsageError, match=r"give one to bbquery\.explain"):
        list(bbquery.explain_many(KINDS[kind](tmp_path), never(), ledger=ledger))


def test_an_array_on_the_wrong_scale_is_refused_before_a_query(ledger: Ledger) -> None:
    """Floating-point grey levels are no shares of white: the message has the range that was found and the one meant."""
    with pytest.raises(bbquery.UsageError, match=r"from 0 to 255, and floating-point pixels from 0 to 1"):
        bbquery.explain(PHOTO.astype(float), never(), max_queries=10, ledger=ledger)


def test_a_plain_function_is_an_oracle(ledger: Ledger) -> None:
    """A function from pixels to probabilities is asked as it is; its classes are named in the call."""
    seen: list[Any] = []

    def model(image: Image) -> list[float]:
        seen.append((image.shape, image.dtype))
        return sides(image)

    found = bbquery.explain(PHOTO, model, classes=["left", "right"], target="right", max_queries=10, ledger=ledger)

    assert set(seen) == {((16, 20, 3), np.dtype("uint8"))}
    assert [label for label, _ in found.top()] == ["left", "right"] or found.top()[0][0] == "right"
    assert found.maps[0].target == "right"


async def test_an_object_that_can_be_called_is_a_function(ledger: Ledger) -> None:
    """A callable object with no capabilities of an oracle, such as a network, is asked likewise, awaited or not."""

    class Network:
        def __call__(self, image: Image) -> list[float]:
            return sides(image)

    found = await bbquery.explain_async(PHOTO, Network(), classes="left|right", max_queries=10, ledger=ledger)

    assert not found.partial


@pytest.mark.parametrize(
    ("oracle", "said"),
    [
        (never(), "classes names what a plain function answers"),
        ("efficientnet", "classes names what a plain function answers"),
        (Path("model.onnx"), "classes names what a plain function answers"),
    ],
)
def test_classes_are_of_functions_alone(oracle: Any, said: str, ledger: Ledger) -> None:
    """Whoever names classes of another oracle is told which option has them there, and nothing is asked."""
    with pytest.raises(bbquery.UsageError, match=said):
        bbquery.explain(PHOTO, oracle, classes=["a", "b"], max_queries=10, ledger=ledger)


@pytest.mark.parametrize(
    ("oracle", "said"),
    [
        (Path("model.pt"), "is no ONNX file"),
        (Path("absent.onnx"), "absent"),
        ("absent.onnx", "absent"),
        (3, "is no oracle"),
        (dict, "is no oracle"),
    ],
)
def test_what_is_no_oracle_is_refused(oracle: Any, said: str, ledger: Ledger) -> None:
    """A file of another kind, one that is not there, a number and a class: each is refused by name."""
    with pytest.raises(bbquery.UsageError, match=said):
        bbquery.explain(PHOTO, oracle, max_queries=10, ledger=ledger)


@pytest.mark.parametrize("usd", [0.1, "0.1", Decimal("0.1"), np.float64(0.1)])
def test_money_may_be_a_float(usd: float, ledger: Ledger) -> None:
    """0.1 dollars are a tenth of a dollar, to the picodollar, however they are written."""
    oracle = function.connect(sides, classes="left|right", version="1", usd_per_query=0.001)

    found = bbquery.explain(PHOTO, oracle, max_queries=10, max_usd=usd, ledger=ledger)

    assert found.budget.cap == Cap(queries=10, picodollars=10**11)
