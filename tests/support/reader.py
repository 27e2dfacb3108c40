"""A reader who follows a page: types its commands and runs its Python, among photos, and asks this machine alone.

What differs from what a reader does, and why:

- At most `QUERIES` are asked: `--max-queries` and `max_queries=` are lowered, but of `evaluate`, whose metrics say how
  many they ask.
- In place of the ImageNet network stands one of a few lines (`StandIn`) with the same classes.
- A paid oracle without an address is asked at an emulator of the vendor's protocol, with no key.
- What is asked before money is spent or an attack begins is answered with yes (`--yes`).
- A vendor's batches are looked at again at once.
- `bbquery serve` picks a free port, and the port on the page stands for it.
- Pictures are laid out but not drawn; `tests/report` looks at them.
"""

from __future__ import annotations

import asyncio
import dataclasses
import re
import runpy
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as Pillow

import oracles.efficientnet
from bbquery import cli
from bbquery.batches import transport
from bbquery.commands import evaluate, serve
from bbquery.images import samples
from bbquery.oracle import View
from bbquery.specification import parse, with_option
from bbquery.types import Vector
from oracles._local.efficientnet.labels import classes
from oracles._local.onnxruntime import OnnxOracle
from tests.support.documents import commands, language_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Iterator, Mapping

    import pytest
    from sybil import Example

    from bbquery.types import Image

QUERIES = 20
SIZE = (451, 300)  # width and height of the photos, as of sample:cat
NAMED = re.compile(r"(?:#|//) ([\w-]+\.\w+)\n")  # the first line of a block that is a file
PYTHON_BUDGET = re.compile(r"^(?!.*evaluate\()(.*max_queries=)([\d_]+)", re.MULTILINE)
ADDRESS = {"google_vision": "endpoint", "openai": "base_url"}  # options of paid oracles
CLASSES = classes()
SHARES = {
    "cat": {"tiger cat": 0.5, "Egyptian cat": 0.3, "tabby": 0.15, "lynx": 0.05},
    "cup": {"espresso": 0.9, "cup": 0.1},
    "goldfish": {"goldfish": 1.0},
}
"""What an image may be, and the share of each class then."""
CUP, GOLDFISH = 84, 150  # grey levels that one has more of red than of blue; `sample:cat` has 61, `sample:coffee` 107


class StandIn:
    """Probabilities of ImageNet's classes by how red an image is: a cat, a cup of coffee or a goldfish."""

    def __init__(self) -> None:
        self._shares = {name: np.full(len(CLASSES), 1e-6) for name in SHARES}
        for name, shares in SHARES.items():
            for each, share in shares.items():
                self._shares[name][CLASSES.find(each)] = share

    def __call__(self, image: Image) -> Vector:
        """Return the answer to an image (H, W, 3)."""
        red = image[..., 0].mean() - image[..., 2].mean()
        cup, goldfish = (1 / (1 + np.exp((least - red) / 10)) for least in (CUP, GOLDFISH))
        drink = cup * self._shares["cup"] + (1 - cup) * self._shares["cat"]
        numbers = goldfish * self._shares["goldfish"] + (1 - goldfish) * drink
        return Vector(numbers / numbers.sum())


def stand_in() -> OnnxOracle:
    """Connect the network that stands in for the ImageNet one."""
    capabilities = oracles.efficientnet._capabilities("stand-in", "1")
    return OnnxOracle(StandIn(), dataclasses.replace(capabilities, view=View(size=(32, 32))))


def small_photos(folder: Path) -> None:
    """Write the photos that pages name."""
    folder.joinpath("photos").mkdir()
    for sample, names in {
        "cat": ("photo.jpg", "cat.png", "two.png", "photos/cat.jpg"),
        "coffee": ("cup.jpg", "photos/coffee.jpg"),
        "rocket": ("ship.jpg", "owl.jpg"),
    }.items():
        with Pillow.open(samples.path(sample)) as opened:
            for name in names:
                opened.convert("RGB").resize(SIZE).save(folder / name)
    Pillow.new("RGB", SIZE, "orangered").save(folder / "goldfish.jpg")
    folder.joinpath("photos", "labels.csv").write_text("cat.jpg,tiger cat\ncoffee.jpg,espresso\n", encoding="utf-8")


def _expanded(word: str) -> list[str]:
    """Return the files that a word with an asterisk stands for, as a shell does; another word as it is."""
    return sorted(map(str, Path().glob(word))) or [word] if "*" in word else [word]


def _lowered(chosen: argparse.Namespace) -> list[str]:
    """Return what lowers the budget of a command: of each photo or attack if it says that, else of the run."""
    if chosen.run is evaluate._evaluate:
        return []
    each = [name for name in ("max_queries_per_image", "max_queries_per_attack") if getattr(chosen, name, None)]
    for name in each or ["max_queries"] * hasattr(chosen, "max_queries"):
        lower = min(getattr(chosen, name) or QUERIES, QUERIES)
        return [f"--{name.replace('_', '-')}", str(lower)]
    return []


class Reader:
    """Follows one page, block by block; `done` lists the commands that were run."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, servers: ExitStack) -> None:
        small_photos(folder)
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        patch.setattr(oracles.efficientnet, "connect", stand_in)
        patch.setattr(transport, "FIRST_WAIT", 0.1)
        patch.setenv("REHEARSAL_KEY", "any")
        self.patch, self.servers = patch, servers
        self.ports: dict[str, str] = {}
        self.rehearsals: dict[str, str] = {}
        self.done: list[list[str]] = []

    def follow(self, example: Example) -> None:
        """Do what a block says."""
        block = str(example.parsed)
        if found := NAMED.match(block):
            Path(found[1]).write_text(self._here(block), encoding="utf-8")
        elif language_of(example) == "sh":
            for words, codes in commands(block):
                self.type([name for word in words for name in _expanded(self._here(word))], codes)
        elif language_of(example) == "python":
            lowered = PYTHON_BUDGET.sub(lambda found: f"{found[1]}{min(int(found[2]), QUERIES)}", self._here(block))
            exec(compile("\n" * example.line + lowered, example.path, "exec"), example.namespace)

    def type(self, words: list[str], codes: Collection[int]) -> None:
        """Run a command, which must end with one of these exit codes."""
        with self.patch.context() as patch:
            while "=" in words[0]:
                patch.setenv(*words.pop(0).split("=", 1))
            self.done.append(words)
            match words:
                case ["bbquery", "serve", *rest]:
                    self._serve(rest)
                case ["bbquery", *rest]:
                    assert cli.main(self._within_means(rest)) in codes, words
                case ["python", script]:
                    runpy.run_path(script, run_name="__main__")
                case ["export", setting]:
                    self.patch.setenv(*setting.split("=", 1))
                case _:
                    raise AssertionError(f"the tests know no way to run {words}: say in a comment why it is not run")

    def _here(self, text: str) -> str:
        """Return a text with the ports that servers have in place of those on the page."""
        return re.sub(r"(?<=127\.0\.0\.1:)\d+", lambda found: self.ports.get(found[0], found[0]), text)

    def _serve(self, words: list[str]) -> None:
        chosen = cli._parser().parse_args(["serve", *words])
        port, chosen.port = str(chosen.port), 0
        url = self.servers.enter_context(serving(chosen))
        self.ports[port] = url.rpartition(":")[2].partition("/")[0]

    def _within_means(self, words: list[str]) -> list[str]:
        """Return a command that asks few queries, on this machine."""
        if words[:1] in (["help"], ["--help"]) or "--help" in words:
            return words
        chosen = cli._parser().parse_args(words)
        if getattr(chosen, "dry_run", False):
            return words
        words = [*words, *_lowered(chosen)]
        if hasattr(chosen, "yes"):
            words = [*words, "--yes"]
        if hasattr(chosen, "dry_run") and isinstance(getattr(chosen, "oracle", None), str):
            words = [*words, "--oracle", self._rehearsed(chosen.oracle)]
        return words

    def _rehearsed(self, oracle: str) -> str:
        """Return the oracle, at an emulator if it is a vendor's."""
        name, options = parse(oracle)
        if name not in ADDRESS or ADDRESS[name] in options:
            return oracle
        if name not in self.rehearsals:
            server = cli._parser().parse_args(["serve", "--protocol", name, "--port", "0"])
            self.rehearsals[name] = self.servers.enter_context(serving(server))
        if name == "openai":
            oracle = with_option(oracle, "key_env", "REHEARSAL_KEY")
        return with_option(oracle, ADDRESS[name], self.rehearsals[name])


@contextmanager
def serving(chosen: argparse.Namespace) -> Iterator[str]:
    """Run `bbquery serve` on a free port in a thread of its own, and give the address."""
    ready = threading.Event()
    found: dict[str, Any] = {}

    async def serve_until_cancelled() -> None:
        found["task"], found["loop"] = asyncio.current_task(), asyncio.get_running_loop()
        await serve._served(chosen)

    def run() -> None:
        try:
            asyncio.run(serve_until_cancelled())
        except asyncio.CancelledError:
            pass
        finally:
            ready.set()

    def told(protocol: str, options: Mapping[str, object], url: str) -> None:
        found["url"] = url
        ready.set()

    before, serve._ready = serve._ready, told
    thread = threading.Thread(target=run)
    thread.start()
    ready.wait()
    serve._ready = before
    try:
        yield found["url"].removeprefix("http://") if "google" in chosen.protocol else found["url"]
    finally:
        found["loop"].call_soon_threadsafe(found["task"].cancel)
        thread.join()
