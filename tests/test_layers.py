"""Who may import whom, and what an algorithm may reach: read from the syntax trees, nothing is run.

The tables below are the architecture. Imports for type checkers count like any other. Each rule is a function from a
module to its faults, and is itself shown to find a fault in a made-up source.
"""

from __future__ import annotations

import ast
import functools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import pytest

from tests.support.paths import ROOT

# From top to bottom. A module imports from lower layers and from its own package only, never sideways.
LAYERS: tuple[tuple[str, ...], ...] = (
    # Layer 4: what people and programs call.
    ("bbquery.__main__",),
    ("bbquery",),  # the public names
    ("bbquery.cli",),
    ("bbquery.commands",),  # the command line, one command a file
    ("bbquery.report",),  # records, pictures and pages
    ("bbquery.interop",),  # an oracle as a plain function for other libraries
    ("bbquery.jobs",),  # explain, compare, evaluate, probe, attack
    ("bbquery.run", "bbquery.load"),  # plans meet the client; names become objects
    ("bbquery.option_docs",),
    ("bbquery.options",),
    # Layer 1: queries that are paid for, paced and stored.
    ("bbquery.drift", "bbquery.recording", "bbquery.batches"),
    ("bbquery.client",),
    ("bbquery.ledger",),  # budgets and the answer store
    # Layer 3: algorithms, which reach nothing but numbers.
    ("bbquery.attacks",),
    ("bbquery.metrics",),
    ("bbquery.saliency",),
    ("bbquery.estimators",),
    ("bbquery.perturb",),
    ("bbquery.plan",),
    # Layer 2: answers become scores; and what an oracle is made with.
    ("bbquery.scoring", "bbquery.images", "bbquery.money", "bbquery.prompt_templates"),
    # The seam, which every layer knows.
    ("bbquery.batch_oracle",),
    ("bbquery.oracle", "bbquery.telemetry"),
    ("bbquery.types",),
    ("bbquery.system",),  # this process and this machine
    ("bbquery.specification", "bbquery.option_types"),
    ("bbquery.errors", "bbquery.reasoning", "bbquery.interpolation"),
    ("bbquery.units", "bbquery.images.boxes", "bbquery.shown", "bbquery.version"),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}

# Algorithms are functions of their arguments, seed and scores: these, and nothing else, are what they may import.
ALGORITHMS = (
    "bbquery.plan", "bbquery.perturb", "bbquery.estimators", "bbquery.saliency", "bbquery.metrics", "bbquery.attacks",
    "bbquery.interpolation",
)  # fmt: skip
# Algorithms that leave their linear algebra or image processing to a library, an extra, or must know of threads.
ALGORITHMS_MAY_ALSO_IMPORT: dict[str, tuple[str, ...]] = {
    "bbquery.saliency._superpixels": ("skimage",),
    # Each thread has arrays of its own to write over; what they hold never passes from one row to another.
    "bbquery.perturb.rendering": ("threading",),
    "bbquery.saliency._gaussian_process": ("sklearn",),
}
ALGORITHMS_MAY_IMPORT = (
    *ALGORITHMS, "bbquery.types", "bbquery.units", "bbquery.errors", "bbquery.specification.constructor",
    "bbquery.system.blas_threads", "numpy", "__future__", "abc", "collections", "contextlib.suppress", "dataclasses",
    "enum", "functools", "itertools", "math", "operator", "typing",
)  # fmt: skip
OUTSIDE_WORLD = frozenset({"open", "print", "input", "eval", "exec", "__import__", "breakpoint"})

# What an oracle may know of bbquery. An emulator's bill is an independent second opinion, so it may not know prices.
ORACLES_MAY_IMPORT = (
    "bbquery.oracle", "bbquery.batch_oracle", "bbquery.types", "bbquery.units", "bbquery.errors",
    "bbquery.images", "bbquery.money", "bbquery.prompt_templates", "bbquery.system",
)  # fmt: skip
EMULATORS_MAY_IMPORT = tuple(name for name in ORACLES_MAY_IMPORT if name != "bbquery.money")
# Nor may it know how an oracle reckons: of oracles it has the form in which they speak, and no cost.
OF_ORACLES_EMULATORS_MAY_IMPORT = (
    "oracles.emulators", "oracles._http.wire", "oracles._google_vision.vendor", "oracles._shared.loopback",
)  # fmt: skip

# Who may import a module by a name that the syntax tree does not show.
MAY_IMPORT_BY_NAME = {
    "bbquery": "its public names, when they are first used",
    "bbquery.jobs.audit.audit": "what writes an audit's folder, once one runs",
    "bbquery.jobs.presented": "pictures and records of a result, once they are asked for",
    "bbquery.load": "what a person names",
    "bbquery.system.imports": "code of a person's own",
}

# Who may touch global randomness: it is seeded for another library's code, and put back.
MAY_SEED_ALL = frozenset({"bbquery.interop.randomness"})
SEEDED = frozenset({"default_rng", "Generator", "SeedSequence", "BitGenerator", "PCG64", "Philox"})


@dataclass(frozen=True)
class Module:
    """A module's name and source."""

    name: str
    source: str

    @functools.cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    def __str__(self) -> str:
        return self.name

    @functools.cached_property
    def imports(self) -> list[tuple[int, str]]:
        """Every import, wherever it stands: line, and full dotted name of what is imported."""
        return sorted(_imports(self.tree))

    @functools.cached_property
    def calls(self) -> list[tuple[ast.Call, str]]:
        """Every call of a name or an attribute, with the last part of what is called."""
        calls = [node for node in ast.walk(self.tree) if isinstance(node, ast.Call)]
        return [(call, ast.unparse(call.func).rpartition(".")[2]) for call in calls]


Rule = Callable[[Module], Iterator[str]]


def _imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{origin}.{alias.name}") for alias in node.names)


def lies_in(name: str, *places: str) -> bool:
    """Whether a dotted name is one of these modules, or something within."""
    return any(name == place or name.startswith(f"{place}.") for place in places)


def layer(name: str) -> str | None:
    """Return the entry of the table of layers that a dotted name belongs to."""
    found = [entry for entry in RANK if lies_in(name, entry)]
    return max(found, key=len, default=None)


def upward(module: Module) -> list[tuple[int, str]]:
    """Return the imports of a module of bbquery that are neither from a lower layer nor from its own package."""
    own = layer(module.name) or ""
    found = [(line, target, layer(target)) for line, target in module.imports]
    return [(line, target) for line, target, other in found if other not in (None, own) and RANK[other] <= RANK[own]]


# --- the rules ---


def imports_point_down(module: Module) -> Iterator[str]:
    """A module of bbquery imports from lower layers or its own package."""
    if not lies_in(module.name, "bbquery"):
        return
    for line, target in upward(module):
        yield f"{module}:{line} imports {target}, which does not lie below {layer(module.name)}"


def every_module_has_a_layer(module: Module) -> Iterator[str]:
    """A new module or package of bbquery is put into the table."""
    if lies_in(module.name, "bbquery") and layer(module.name) == "bbquery" and module.name != "bbquery":
        yield f"{module} is in no layer: put it into LAYERS above all that it imports"


def imports_are_absolute(module: Module) -> Iterator[str]:
    """An import says in full what it means."""
    for line, target in module.imports:
        if target.startswith("."):
            yield f"{module}:{line} imports {target}: write the full name"


def algorithms_are_pure(module: Module) -> Iterator[str]:
    """An algorithm reaches no clock, loop, thread, file, terminal, oracle or ledger."""
    if not lies_in(module.name, *ALGORITHMS):
        return
    allowed = (*ALGORITHMS_MAY_IMPORT, *ALGORITHMS_MAY_ALSO_IMPORT.get(module.name, ()))
    for line, target in module.imports:
        if not lies_in(target, *allowed):
            yield f"{module}:{line} imports {target}, which an algorithm must not reach"
    for call, name in module.calls:
        if isinstance(call.func, ast.Name) and name in OUTSIDE_WORLD:
            yield f"{module}:{call.lineno} calls {name}, which an algorithm must not reach"


def randomness_is_seeded(module: Module) -> Iterator[str]:
    """Random numbers come from a generator that was made from a seed, never from NumPy's global state."""
    if module.name in MAY_SEED_ALL:
        return
    for line, target in module.imports:
        if lies_in(target, "numpy.random") and target.removeprefix("numpy.random.") not in SEEDED:
            yield f"{module}:{line} imports {target}: pass a numpy.random.Generator"
    for node in ast.walk(module.tree):
        used = ast.unparse(node).split(".") if isinstance(node, ast.Attribute) else []
        if used[:2] in (["np", "random"], ["numpy", "random"]) and len(used) == 3 and used[2] not in SEEDED:
            yield f"{module} uses {'.'.join(used)}: pass a numpy.random.Generator"
    for call, name in module.calls:
        if name == "default_rng" and not (call.args or call.keywords):
            yield f"{module}:{call.lineno} makes a generator without a seed"


def saliency_knows_no_attacks(module: Module) -> Iterator[str]:
    """Attacks may use maps to guide them; maps never use attacks."""
    for line, target in module.imports:
        if lies_in(module.name, "bbquery.saliency") and lies_in(target, "bbquery.attacks"):
            yield f"{module}:{line} imports {target}: maps never use attacks"


def bbquery_knows_no_oracle(module: Module) -> Iterator[str]:
    """Oracles are found by name, so that a new one is one new file and none is imported unasked."""
    if not lies_in(module.name, "bbquery"):
        return
    for line, target in module.imports:
        if lies_in(target, "oracles"):
            yield f"{module}:{line} imports {target}: only bbquery.load may, by name"
    for call, name in module.calls:
        if name in ("import_module", "__import__") and module.name not in MAY_IMPORT_BY_NAME:
            yield f"{module}:{call.lineno} imports by name: only {' and '.join(MAY_IMPORT_BY_NAME)} may"


def oracles_know_little_of_bbquery(module: Module) -> Iterator[str]:
    """An oracle knows the seam, not the machinery; an emulator does not even know prices."""
    if not lies_in(module.name, "oracles"):
        return
    allowed = EMULATORS_MAY_IMPORT if lies_in(module.name, "oracles.emulators") else ORACLES_MAY_IMPORT
    for line, target in module.imports:
        if lies_in(target, "bbquery") and not lies_in(target, *allowed):
            yield f"{module}:{line} imports {target}: of bbquery it may know {', '.join(allowed)}"
        elif (
            allowed is EMULATORS_MAY_IMPORT
            and lies_in(target, "oracles")
            and not lies_in(target, *OF_ORACLES_EMULATORS_MAY_IMPORT)
        ):
            yield f"{module}:{line} imports {target}: an emulator keeps a bill of its own"


def promises_are_stated(module: Module) -> Iterator[str]:
    """A test's docstring says in words what its body shows."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            promise = ast.get_docstring(node) or ""
            if not promise.endswith((".", "?", "!", ":")):
                yield f"{module}:{node.lineno} {node.name} states no promise"


def import_graph(found: Iterable[Module]) -> dict[str, set[str]]:
    """Return which of these modules each imports, wherever the import stands."""
    known = {module.name: module for module in found}
    return {
        name: {target for _, imported in module.imports if (target := _home(imported, known)) not in (None, name)}
        for name, module in known.items()
    }


def _home(imported: str, known: Mapping[str, Module]) -> str | None:
    """Return the module that a dotted name lies in: itself, or what it is an attribute of."""
    while imported and imported not in known:
        imported = imported.rpartition(".")[0]
    return imported or None


def cycles(graph: Mapping[str, set[str]]) -> Iterator[str]:
    """Give for each module that imports itself through others its shortest way round, each way once."""
    seen: set[frozenset[str]] = set()
    for start in sorted(graph):
        way = _way_round(graph, start)
        if way and frozenset(way) not in seen:
            seen.add(frozenset(way))
            yield " imports ".join((*way, start))


def _way_round(graph: Mapping[str, set[str]], start: str) -> tuple[str, ...] | None:
    reached = {start}
    ways: deque[tuple[str, ...]] = deque([(start,)])
    while ways:
        way = ways.popleft()
        for following in sorted(graph[way[-1]]):
            if following == start:
                return way
            if following not in reached:
                reached.add(following)
                ways.append((*way, following))
    return None


@functools.cache
def modules(folder: str) -> list[Module]:
    """Return all modules below a folder of the repository."""
    found = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found.append(Module(name, path.read_text(encoding="utf-8")))
    return found


@pytest.mark.parametrize(
    "rule",
    [
        imports_point_down,
        every_module_has_a_layer,
        imports_are_absolute,
        algorithms_are_pure,
        randomness_is_seeded,
        saliency_knows_no_attacks,
        bbquery_knows_no_oracle,
        oracles_know_little_of_bbquery,
    ],
)
def test_every_module_keeps_the_rule(rule: Rule) -> None:
    """No module of bbquery or oracles breaks it."""
    assert [fault for folder in ("bbquery", "oracles") for module in modules(folder) for fault in rule(module)] == []


def test_no_import_comes_back() -> None:
    """No module imports itself through others, not even in a function or for type checkers."""
    assert list(cycles(import_graph((*modules("bbquery"), *modules("oracles"))))) == []


@pytest.mark.parametrize("statement", ["from bbquery import c", "import bbquery.c", "from bbquery.c import f"])
@pytest.mark.parametrize("where", ["", "def f():\n    ", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    "])
def test_a_cycle_is_found_and_named(statement: str, where: str) -> None:
    """A way round through three modules is told once, as short as it is; who only leads into it is not blamed."""
    sources = {
        "bbquery.a": "import bbquery.b, os",
        "bbquery.b": where + statement,
        "bbquery.c": "from bbquery.a import x",
        "bbquery.into": "import bbquery.a",
        "bbquery.out": "import numpy",
    }

    found = list(cycles(import_graph(Module(*each) for each in sources.items())))

    assert found == ["bbquery.a imports bbquery.b imports bbquery.c imports bbquery.a"]


def test_every_test_states_its_promise() -> None:
    """Each test function has a docstring that is a sentence."""
    assert [fault for module in modules("tests") for fault in promises_are_stated(module)] == []


def test_every_layer_exists() -> None:
    """The table names no module that is gone."""
    known = {module.name for module in modules("bbquery")}

    assert [name for name in RANK if name not in known] == []


def test_every_import_is_seen() -> None:
    """Imports count wherever they stand: at the top, in a function, for type checkers, of a name or of a module."""
    module = Module(
        "bbquery.x",
        "import os.path as p, sys\n"
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from bbquery.cli import main\n"
        "def f():\n    from bbquery import run\n    from . import y\n",
    )

    assert module.imports == [
        (1, "os.path"),
        (1, "sys"),
        (2, "typing.TYPE_CHECKING"),
        (4, "bbquery.cli.main"),
        (6, "bbquery.run"),
        (7, "..y"),
    ]


FOR_TYPES = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    "


@pytest.mark.parametrize(
    ("rule", "name", "source"),
    [
        (imports_point_down, "bbquery.run", "from bbquery.jobs.explain.explain import explain"),
        (imports_point_down, "bbquery.run", "from bbquery import cli"),
        (imports_point_down, "bbquery.run", "import bbquery.cli"),
        (imports_point_down, "bbquery.run", "from bbquery import load"),
        (imports_point_down, "bbquery.run", "from bbquery import Client"),
        (imports_point_down, "bbquery.run", FOR_TYPES + "from bbquery.jobs.explain.explain import Explanation"),
        (imports_point_down, "bbquery.errors", FOR_TYPES + "from bbquery.types import Answer"),
        (imports_point_down, "bbquery.types", "def f():\n    from bbquery.oracle import Limits"),
        (imports_point_down, "bbquery.perturb.noise", "from bbquery.estimators.lr import LikelihoodRatio"),
        (imports_point_down, "bbquery.ledger.store", "from bbquery.client.client import Client"),
        (every_module_has_a_layer, "bbquery.news", ""),
        (every_module_has_a_layer, "bbquery.news.today", ""),
        (imports_are_absolute, "bbquery.ledger.ledger", "from . import records"),
        (imports_are_absolute, "bbquery.ledger.ledger", "from .records import Cap"),
        *((algorithms_are_pure, algorithm, f"import {module}") for algorithm in ALGORITHMS for module in (
            "asyncio", "time", "random", "threading", "os", "datetime", "pathlib", "socket", "concurrent.futures",
            "bbquery.client.client", "bbquery.client.dispatch", "bbquery.oracle", "bbquery.ledger.ledger",
            "bbquery.ledger.store", "bbquery.run", "bbquery.system.clock", "oracles.function", "torch",
        )),
        (algorithms_are_pure, "bbquery.attacks.square", FOR_TYPES + "from bbquery.oracle import Oracle"),
        (algorithms_are_pure, "bbquery.saliency.new", "x = open('f').read()"),
        (algorithms_are_pure, "bbquery.saliency.new", "print(1)"),
        (randomness_is_seeded, "bbquery.perturb.noise", "import numpy as np\nx = np.random.normal(size=3)"),
        (randomness_is_seeded, "bbquery.perturb.noise", "import numpy as np\nnp.random.seed(0)"),
        (randomness_is_seeded, "bbquery.perturb.noise", "from numpy.random import randn"),
        (randomness_is_seeded, "bbquery.perturb.noise", "from numpy import random"),
        (randomness_is_seeded, "bbquery.perturb.noise", "import numpy.random as r"),
        (randomness_is_seeded, "bbquery.perturb.noise", "import numpy as np\nrng = np.random.default_rng()"),
        (saliency_knows_no_attacks, "bbquery.saliency.new", "from bbquery.attacks.square import Square"),
        (saliency_knows_no_attacks, "bbquery.saliency.new", "from bbquery import attacks"),
        (bbquery_knows_no_oracle, "bbquery.cli", "from oracles import function"),
        (bbquery_knows_no_oracle, "bbquery.load", "import oracles.http"),
        (bbquery_knows_no_oracle, "bbquery.cli", FOR_TYPES + "from oracles.emulators.http import Faults"),
        (bbquery_knows_no_oracle, "bbquery.cli", "import importlib\nimportlib.import_module('oracles.http')"),
        (bbquery_knows_no_oracle, "bbquery.cli", "__import__('oracles.http')"),
        (oracles_know_little_of_bbquery, "oracles.http", "from bbquery.client.client import Client"),
        (oracles_know_little_of_bbquery, "oracles.http", "import bbquery"),
        (oracles_know_little_of_bbquery, "oracles.http", "from bbquery import Oracle"),
        (oracles_know_little_of_bbquery, "oracles.emulators.http", "from bbquery.money import Table"),
        (oracles_know_little_of_bbquery, "oracles.emulators.http", "from bbquery import money"),
        (oracles_know_little_of_bbquery, "oracles.emulators._openai_bill", "from oracles._openai.cost import bill"),
        (oracles_know_little_of_bbquery, "oracles.emulators.http", "from bbquery.ledger.ledger import Ledger"),
        (oracles_know_little_of_bbquery, "oracles.emulators._bill", FOR_TYPES + "import bbquery.client.client"),
        (promises_are_stated, "tests.test_x", "def test_x():\n    assert True"),
        (promises_are_stated, "tests.test_x", "class A:\n    async def test_x(self):\n        '''x'''"),
    ],
)  # fmt: skip
def test_a_breach_is_found(rule: Rule, name: str, source: str) -> None:
    """The rule finds exactly one fault in a source that breaks it, and says in which module."""
    (fault,) = rule(Module(name, source))

    assert fault.startswith(name)


@pytest.mark.parametrize(
    ("rule", "name", "source"),
    [
        (imports_point_down, "bbquery.run", "from bbquery.plan import step\nimport numpy\nimport bbqueryish"),
        (imports_point_down, "bbquery.ledger.ledger", "from bbquery.ledger import records, owners"),
        (imports_point_down, "bbquery.errors", FOR_TYPES + "from bbquery.units import Units"),
        (imports_point_down, "oracles.http", "from bbquery.oracle import Oracle"),
        (every_module_has_a_layer, "bbquery.saliency.new", ""),
        (every_module_has_a_layer, "oracles.new", ""),
        (algorithms_are_pure, "bbquery.saliency.new", "import numpy as np\nfrom collections.abc import Sequence"),
        (algorithms_are_pure, "bbquery.attacks.new", "from bbquery.saliency.rise import Rise\nx.open()"),
        (algorithms_are_pure, "bbquery.client.client", "import asyncio, time"),
        (randomness_is_seeded, "bbquery.perturb.noise", "import numpy as np\nnp.random.default_rng((1, 2)).normal()"),
        (randomness_is_seeded, "bbquery.perturb.noise", "from numpy.random import Generator, default_rng"),
        (randomness_is_seeded, "bbquery.perturb.noise", "rng.random(3)\nself.random.normal()"),
        (saliency_knows_no_attacks, "bbquery.attacks.new", "from bbquery.attacks.square import Square"),
        (bbquery_knows_no_oracle, "bbquery.load", "import importlib\nimportlib.import_module('oracles.http')"),
        (bbquery_knows_no_oracle, "bbquery.cli", "from bbquery.oracle import Oracle"),
        (oracles_know_little_of_bbquery, "oracles.new", "from bbquery.money import Table\nimport openai"),
        (promises_are_stated, "tests.test_x", "def test_x():\n    '''It holds.'''\ndef helper(): ..."),
    ],
)  # fmt: skip
def test_what_is_allowed_is_no_breach(rule: Rule, name: str, source: str) -> None:
    """The rules do not cry wolf."""
    assert list(rule(Module(name, source))) == []
