"""How many BLAS threads each function of bbquery that multiplies matrices has while it works: a program of its own.

It asks a free model through every method, metric and attack, probes it, and scores texts, as a library's user would,
and prints as JSON which functions multiply (found in the syntax trees), and the most threads that each was seen with.
The process's own number of threads is set to two first, so that it runs alike on one core.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import importlib
import json
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import ThreadpoolController

import bbquery
from bbquery import load
from bbquery.attacks._controls import Control
from bbquery.cli import main
from bbquery.jobs.evaluate.evaluate import evaluate_async
from bbquery.jobs.explain.explain import explain_async
from bbquery.jobs.probe.probe import probe_async
from bbquery.plan import Ask, replay
from bbquery.report import scale
from bbquery.scoring.base import score_rows
from bbquery.scoring.text import BoundSimilarity
from bbquery.types import UINT8, Scores, Text
from oracles import function

if TYPE_CHECKING:
    from types import FrameType

    from numpy.typing import NDArray

    from bbquery.types import Image

ROOT = Path(bbquery.__file__).parent
PRODUCTS = ("matmul", "dot", "vdot", "inner")
QUERIES = 24  # of a method
DECIDED = 150  # of a method whose answers never change: more than its first rows, and some refined ones
ATTACKED = 240  # of an attack, which needs some to begin with


def multiplying() -> dict[tuple[str, int], str]:
    """Return the functions of bbquery in whose bodies matrices are multiplied, by file and first line."""
    found = {}
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and any(map(is_product, ast.walk(node))):
                first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                found[str(path), first] = f"{path.relative_to(ROOT).with_suffix('').as_posix()}:{node.name}"
    return found


def is_product(node: ast.AST) -> bool:
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.MatMult)
    if not isinstance(node, ast.Attribute):
        return False
    linear_algebra = ast.unparse(node.value) == "np.linalg" and node.attr != "norm"
    return linear_algebra or (ast.unparse(node.value) == "np" and node.attr in PRODUCTS)


class Watched:
    """Notes, at each call of a function that multiplies, how many threads BLAS would take."""

    def __init__(self) -> None:
        self.functions, self.most = multiplying(), dict[str, int]()
        self._modules, self._blas = 0, ThreadpoolController()

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        name = self.functions.get((frame.f_code.co_filename, frame.f_code.co_firstlineno))
        if event == "call" and name is not None:
            self.most[name] = max(self.most.get(name, 0), self.threads())

    def threads(self) -> int:
        if len(sys.modules) != self._modules:  # SciPy brings a BLAS of its own
            self._modules, self._blas = len(sys.modules), ThreadpoolController()
        return max(int(found["num_threads"]) for found in self._blas.info() if found["user_api"] == "blas")


def model(image: Any) -> list[float]:
    share = float(image[: len(image) // 2].mean()) / 255
    return [share, 1 - share]


def answered(ask: Ask) -> Scores:
    values = np.array([model(ask.images[row])[0] for row in range(len(ask.images))])
    return Scores((values > 0.8).astype(np.int8), values)


def decided(ask: Ask) -> Scores:
    """Return answers that never change: `designed` then follows where they would."""
    values = np.ones(len(ask.images))
    return Scores(values.astype(np.int8), values)


class Letters:
    """An embedder that needs no model."""

    identity = "letters"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = np.array([[text.count(letter) + 0.1 for letter in "abcdefgh"] for text in texts])
        return np.asarray(vectors / np.sqrt((vectors**2).sum(axis=1, keepdims=True)), dtype=np.float32)


def plans(x: Image) -> None:
    """Run every method and attack without a client."""
    for name in (*load.names("method"), "designed:cells=3"):
        replay(load.method(name, queries=QUERIES).plan(x, UINT8, 0), answered)
    replay(load.method("designed", queries=DECIDED).plan(x, UINT8, 0), decided)
    replay(load.method("orthogonal:queries=27").plan(x[:2, :2], UINT8, 0), answered)  # one whole basis of 12, and more
    for name in load.names("attack"):
        replay(load.attack(name, queries=ATTACKED, rmse=0.1).plan(x, UINT8, 0), answered)
    replay(Control(queries=QUERIES, kind="jpeg", distances=(0.05,)).plan(x, UINT8, 0), answered)


def scores() -> None:
    """Score, and show the steps of it."""
    score_rows(BoundSimilarity(target="a cab", away=None, threshold=0.5, embedder=Letters()), [[Text("a bee")]])
    main(["score", "dog 0.75, cat 0.25", "--score", "compose:of=soft|soft,weights=.5|.5"])


async def commands(photo: Image) -> None:
    """Explain, evaluate and probe, as the commands do: on a client's worker threads."""
    oracle = function.connect(model, answers="probabilities", classes="up|down", version="1")
    found = await explain_async(photo, oracle, max_queries=2 * QUERIES)
    await evaluate_async(found.maps[0].values, photo, oracle, steps=8, copies=8)
    await probe_async(photo, oracle, max_queries=150)
    scale.in_grey(photo)


def work() -> None:
    """Do everything."""
    photo = np.random.default_rng(0).integers(200, 256, (24, 32, 3), dtype=np.uint8)
    with contextlib.redirect_stdout(sys.stderr):
        plans(photo)
        scores()
        asyncio.run(commands(photo))


def report() -> dict[str, Any]:
    """Work with two threads to be had; return what was seen, and how many are to be had in the end."""
    importlib.import_module("sklearn.gaussian_process")  # it brings a BLAS, and takes long to import when watched
    ThreadpoolController().limit(limits=2, user_api="blas")
    watched = Watched()
    threading.setprofile(watched)
    sys.setprofile(watched)
    work()
    sys.setprofile(None)
    return {"multiplying": sorted(watched.functions.values()), "most": watched.most, "afterwards": watched.threads()}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(report()))
