"""Every example runs as a person would run it: a process of its own, against servers on this machine."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import pytest

from bbquery.images import reading
from bbquery.images.placement import fit
from bbquery.oracle import View
from bbquery.types import UINT8
from oracles import function
from oracles.emulators.google_vision import GoogleVisionEmulator
from oracles.emulators.openai import OpenAIEmulator
from tests.support.models import corner
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

EXAMPLES = ROOT / "examples"
TESTED = {"explain_a_function", "explain_a_google_vision_label", "explain_an_openai_answer", "inside_shap"}
CAT = (300, 451)  # pixels of sample:cat
CORNER = "function:call=tests.support.models.corner,classes=corner|rest,version=1,height=32,width=32"


async def run(name: str, *arguments: str, warnings: str = "error", **environment: str) -> str:
    """Run an example to its end, which must be a good one and in silence; return what it printed."""
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", warnings, str(EXAMPLES / f"{name}.py"), *arguments),
        env=os.environ | {"PYTHONPATH": str(EXAMPLES.parent)} | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        said, complained = await asyncio.wait_for(running.communicate(), 120)
    finally:
        if running.returncode is None:
            running.kill()
    assert running.returncode == 0, complained.decode()
    assert complained == b""
    return said.decode()


def written(folder: Path, name: str, shape: tuple[int, int]) -> np.ndarray:
    """Return the map of this name, beside which there is a picture."""
    with PIL.Image.open(folder / f"{name}.png") as picture:
        assert min(picture.size) > 100
    values: np.ndarray = np.load(folder / f"{name}.npy")
    assert values.shape == shape
    return values


def points_left(values: np.ndarray) -> bool:
    """Whether the left half of a map is the stronger one."""
    half = values.shape[1] // 2
    return bool(np.nanmean(values[:, :half]) > np.nanmean(values[:, half:]))


def number(pattern: str, said: str) -> float:
    """Return the number that stands for the group in a pattern."""
    (found,) = re.findall(pattern, said)
    return float(found)


def test_no_example_is_without_a_test() -> None:
    """Each script in the folder is run below."""
    assert {path.stem for path in EXAMPLES.glob("*.py")} == TESTED


async def test_a_function_is_explained() -> None:
    """Explaining a function that likes red points at the red square, and spends no more than it was allowed."""
    said = await run("explain_a_function")

    row, column, queries = map(int, re.findall(r"row (\d+), column (\d+), from (\d+) queries", said)[0])
    assert 32 <= row < 64
    assert 80 <= column < 112
    assert 276 < queries <= 300  # the map's; its facts need some of the others


def looks_left(image: np.ndarray) -> list[float]:
    """Return how much detail there is in the left half, which hiding any of it lowers, and the rest to 1."""
    detail = float(image[:, : image.shape[1] // 2].std()) / 255
    return [0.4 + detail, 0.6 - detail]


@asynccontextmanager
async def google() -> AsyncIterator[tuple[GoogleVisionEmulator, str]]:
    """A server that speaks Google Cloud Vision's protocol, of a model that looks at the left."""
    emulator = GoogleVisionEmulator(function.connect(looks_left, classes=["Cat", "Dog"], version="1"))
    async with emulator.running() as url:
        yield emulator, url.removeprefix("http://")


async def test_a_google_vision_label_is_explained(tmp_path: Path) -> None:
    """The script explains the label with queries that the server billed, to the cent, and writes map and picture."""
    async with google() as (emulator, endpoint):
        arguments = ("--endpoint", endpoint, "--target", "Cat", "--max-queries", "40", "--out", str(tmp_path))
        said = await run("explain_a_google_vision_label", *arguments)

    assert "explained 'Cat'" in said
    assert number(r"(\d+) queries sent", said) == emulator.bill.images_answered <= 40
    assert number(r"\$([\d.]+) spent", said) == emulator.bill.picodollars / 1e12 > 0
    assert points_left(written(tmp_path, "cat", CAT))


async def test_an_openai_answer_is_explained(tmp_path: Path) -> None:
    """The script reads probabilities from log-probabilities, names what it spent, and writes map and picture."""
    model = function.connect(
        lambda image: [*looks_left(image), 0, 0], classes=["tabby", "tiger cat", "Egyptian cat", "lynx"], version="1"
    )
    emulator = OpenAIEmulator(model)
    async with emulator.running() as url:
        arguments = ("--base-url", url, "--key-env", "REHEARSAL_KEY", "--target", "tabby", "--max-queries", "40")
        said = await run("explain_an_openai_answer", *arguments, "--out", str(tmp_path), REHEARSAL_KEY="any")

    assert "explained 'tabby'" in said
    assert 30 < number(r"(\d+) queries sent", said) <= 40
    assert number(r"\$([\d.]+) spent", said) == emulator.bill.picodollars / 1e12 > 0
    assert points_left(written(tmp_path, "tabby", CAT))


async def test_shap_explains_within_a_budget(tmp_path: Path) -> None:
    """SHAP's partition explainer asks through the budget, never beyond it, and shares out all of the difference."""
    arguments = ("--oracle", CORNER, "--target", "corner", "--max-queries", "120", "--out", str(tmp_path))
    # SHAP compiles for a quarter of a minute what it then runs for less than a second
    said = await run("inside_shap", *arguments, warnings="ignore", NUMBA_DISABLE_JIT="1")

    photo = fit(reading.load("sample:cat"), View(size=(32, 32)), UINT8)[0]
    values = written(tmp_path, "shap", (32, 32))
    assert "explained 'corner'" in said
    assert 60 < number(r"(\d+) sent", said) <= number(r"(\d+) asked", said) <= 120
    assert values.sum() == pytest.approx(corner(photo)[0] - 128 / 255, abs=1e-6)  # efficiency
    assert np.abs(values[16:]).max() == np.abs(values[:, 16:]).max() == pytest.approx(0, abs=1e-9)  # dummy
