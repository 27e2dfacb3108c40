"""From a name on the command line to an object, importing only what is chosen.

A specification is `NAME` or `NAME:key=value,key=value` (see `bbquery.specification`). A name is a module of the right
package ("rise"), listed without importing it, or `pkg.mod:attribute` for code of one's own. Values are read as the
option's annotation says (see `bbquery.options`).

`art:NAME` and `foolbox:NAME` are attacks of these libraries, where they are installed.

An estimator's name alone stands for its vanilla gradient: `lr:sigma=8` is `vanilla:estimator=lr,estimator.sigma=8`.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import importlib.util
import inspect
import os
import pkgutil
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bbquery.errors import UnknownName, UsageError
from bbquery.metrics import Metric
from bbquery.options import Maker, parameters_of, takes_estimator
from bbquery.specification import parse, parse_options
from bbquery.system.imports import imported

if TYPE_CHECKING:
    from bbquery.attacks import Attack
    from bbquery.oracle import Capabilities, Oracle
    from bbquery.saliency import Method
    from bbquery.scoring.base import Score

T = TypeVar("T")

DEFAULT_SCORE = "soft"
DEFAULT_SCORE_OF_TEXTS = "mention"

PACKAGES = {
    "oracle": ("oracles",),
    "method": ("bbquery.saliency", "bbquery.estimators"),
    "estimator": ("bbquery.estimators",),
    "attack": ("bbquery.attacks",),
    "score": ("bbquery.scoring",),
    "metric": ("bbquery.metrics",),
    "emulator": ("oracles.emulators",),
}
LIBRARIES = {"art": "bbquery.interop.art_attack", "foolbox": "bbquery.interop.foolbox_attack"}
"""Libraries whose attacks can be chosen, and who makes them, imported once one is."""
# Modules of those packages that others share, and that are not themselves to be chosen.
SHARED = frozenset({"base", "criteria"})
HAVE = {"oracle": "capabilities", "method": "plan", "attack": "plan", "score": "bind"}
"""What tells that an object is of a kind."""
NAMED_AS = {
    "oracle": "connect", "method": "METHOD", "estimator": "METHOD", "attack": "ATTACK", "score": "SCORE",
    "metric": "METRIC",
}  # fmt: skip
"""What a module calls the object that is made from options."""
ONNX = ".onnx"
"""How the path of an ONNX file ends, which is an oracle by itself: its input is grey levels, as they are."""
# What every emulator is served with, whatever its protocol.
SERVED_WITH = frozenset({"oracle", "port", "host", "faults", "ready"})


def names(kind: str) -> dict[str, str]:
    """Return what can be chosen: name to module path, sorted, nothing imported but the packages themselves."""
    found = {}
    for package in PACKAGES[kind]:
        home = importlib.import_module(package)
        for module in pkgutil.iter_modules(home.__path__):
            if not (module.ispkg or module.name.startswith("_") or module.name in SHARED):
                found[module.name] = f"{package}.{module.name}"
    return dict(sorted(found.items()))


def summaries(kind: str) -> dict[str, str]:
    """Return what can be chosen, libraries of attacks among it: name to the first line that says what it is."""
    found = names(kind)
    if kind == "attack":
        found |= {f"{library}:NAME": module for library, module in LIBRARIES.items()}
    return {name: _first_line(module) for name, module in found.items()}


def summary(kind: str, name: str) -> str:
    """Return the first line of a module's docstring, without importing it."""
    return _first_line(names(kind)[name])


def _first_line(module: str) -> str:
    spec = importlib.util.find_spec(module)
    origin = Path(spec.origin or "") if spec else Path()
    docstring = ast.get_docstring(ast.parse(origin.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]


def templates(kind: str, name: str) -> dict[str, list[str]]:
    """Return the templates that come with bbquery for one that can be chosen: name to lines that say what it is.

    Raises:
        UnknownName: there is none of this name. MissingExtra: an optional part is absent.
    """
    module = importlib.import_module(_named(kind, name).__module__)
    return typing.cast("dict[str, list[str]]", getattr(module, "templates", dict)())


def made(kind: str, name: str) -> Callable[..., Any]:
    """Return the class or function that makes what has this name.

    Raises:
        UnknownName: there is none of this name. MissingExtra: an optional part is absent.
    """
    return _named(kind, name)


def described_by_library(name: str) -> tuple[str, Mapping[str, inspect.Parameter]]:
    """Return what an attack of another library is, such as "art:HopSkipJump", and its options.

    Raises:
        UnknownName: there is none of this name. MissingExtra: the library is not installed.
    """
    library, _, own = name.partition(":")
    about, parameters = importlib.import_module(LIBRARIES[library]).described(own)
    return about, parameters


def specification_of(configured: Any) -> str:
    """Return how an object is named on the command line, with the options that differ from its defaults.

    configured: a dataclass's object, whose module has the name.
    """
    usual = {field.name: _usual(field) for field in dataclasses.fields(configured)}
    changed = {name: getattr(configured, name) for name in usual if getattr(configured, name) != usual[name]}
    options = [
        f"{name}={specification_of(value).replace(':', f',{name}.', 1)}"
        if dataclasses.is_dataclass(value)
        else f"{name}={value}"
        for name, value in changed.items()
    ]
    own = type(configured).__module__.rpartition(".")[2]
    return f"{own}:{','.join(options)}" if options else own


def _usual(field: dataclasses.Field[Any]) -> object:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def is_of_library(name: str) -> bool:
    """Whether it names an attack of another library, such as "art:HopSkipJump"."""
    library, _, own = name.partition(":")
    return library in LIBRARIES and bool(own)


async def oracle(
    named: str | os.PathLike[str] | Callable[..., Any], classes: str | Sequence[str] | None = None
) -> Oracle:
    """Connect an oracle: one named by a specification, an ONNX file by its path, or a plain function.

    classes: names in the order of a function's probabilities, which is all that it answers (see `oracles.function`).

    Raises:
        UnknownName: no such oracle or option. UsageError: a bad option, or classes of what is no function.
        MissingExtra: an optional part is absent.
    """
    connected = _connected(named, classes)
    return typing.cast("Oracle", await connected if inspect.isawaitable(connected) else connected)


def check_oracle(specification: str) -> None:
    """See that a specification names an oracle, and that its options are known and can be read; nothing is connected.

    Raises:
        UnknownName: no such oracle or option. UsageError: a bad or missing option. MissingExtra: an optional part is
            absent.
    """
    if "=" in specification or not specification.endswith(ONNX):
        name, options = parse(specification)
        _MAKER.read(_named("oracle", name), options, specification)


def _connected(named: str | os.PathLike[str] | Callable[..., Any], classes: str | Sequence[str] | None) -> Any:
    if not isinstance(named, str | os.PathLike):
        return _named("oracle", "function")(named, classes=classes)
    check_no_classes(classes)
    if isinstance(named, str) and ("=" in named or not named.endswith(ONNX)):
        return _made("oracle", named)
    if not os.fspath(named).endswith(ONNX):
        raise UsageError(f"{os.fspath(named)!r} is no ONNX file: give a path that ends in {ONNX}, or a specification")
    return _named("oracle", "onnx")(model=os.fspath(named))


def check_no_classes(classes: str | Sequence[str] | None) -> None:
    """See that no names of classes are given beside an oracle that has its own.

    Raises:
        UsageError: there are some.
    """
    if classes is not None:
        others = "other oracles have options for them, such as labels in 'onnx:model=resnet50.onnx,labels=imagenet'"
        raise UsageError(f"classes names what a plain function answers: {others}")


def method(specification: str, *, queries: int | None = None) -> Method:
    """Make the saliency method named by a specification; `queries` is its number of rows unless the options say.

    An estimator's name ("lr") stands for the map of its gradient ("vanilla:estimator=lr"), its options for those after
    a dot. A method without the option `queries` asks what its estimator asks, so they are the estimator's.

    Raises:
        UnknownName: no such method or option. UsageError: a bad option.
    """
    name, options = parse(specification)
    if name in names("estimator"):
        name, options = "vanilla", {"estimator": name} | {f"estimator.{key}": text for key, text in options.items()}
    made = _named("method", name)
    takes_queries = _option_of_queries(made)
    if takes_queries and "queries" in options:
        options[takes_queries] = options.pop("queries")
    if takes_queries and queries is not None:
        options = {takes_queries: str(queries)} | options
    return typing.cast("Method", _MAKER.make(made, options, specification))


def _option_of_queries(made: Callable[..., Any]) -> str | None:
    """Return the option that says how many queries are asked, of a method or of its estimator."""
    if "queries" in parameters_of(made):
        return "queries"
    return "estimator.queries" if takes_estimator(made, "estimator") else None


def attack(specification: str, **defaults: float) -> Attack:
    """Make the attack named by a specification; `defaults` are options of it, by name, unless it says otherwise.

    Raises:
        UnknownName: no such attack or option. UsageError: a bad option. MissingExtra: its library is not installed.
    """
    name, options = parse(specification)
    if is_of_library(name):
        library, _, own = name.partition(":")
        made = importlib.import_module(LIBRARIES[library]).attack(own, options, defaults)
        return typing.cast("Attack", made)
    made = _named("attack", name)
    taken = {key: str(value) for key, value in defaults.items() if key in parameters_of(made)}
    return typing.cast("Attack", _MAKER.make(made, taken | options, specification))


def metric(specification: str, **defaults: object) -> Metric:
    """Make the metric named by a specification; `defaults` are options of it, by name, unless it says otherwise.

    Raises:
        UnknownName: no such metric or option. UsageError: a bad option, or what is named is no metric.
    """
    name, options = parse(specification)
    found = _MAKER.make(_named("metric", name), options, specification, defaults)
    if not isinstance(found, Metric):
        raise UsageError(f"{name} is no metric: a metric is a subclass of bbquery.metrics.Metric")
    return found


def score(specification: str) -> Score:
    """Make the score named by a specification.

    Raises:
        UnknownName: no such score or option. UsageError: a bad option.
    """
    return typing.cast("Score", _made("score", specification))


def score_for(capabilities: Capabilities, wanted: Score | str | None = None) -> Score:
    """Return the score that is wanted, an object or a specification; None: the default for such answers.

    Raises:
        UnknownName: no such score or option. UsageError: a bad option.
    """
    if wanted is None:
        return score(DEFAULT_SCORE_OF_TEXTS if capabilities.answers == "text" else DEFAULT_SCORE)
    return score(wanted) if isinstance(wanted, str) else given("score", wanted)


def given(kind: str, thing: T) -> T:
    """Return an object that is given in place of a specification.

    Raises:
        UsageError: it is not of this kind.
    """
    if isinstance(thing, type) or not hasattr(thing, HAVE[kind]):
        function = ", or a function" if kind == "oracle" else ""
        raise UsageError(f"{thing!r} is no {kind}: give a name of 'bbquery list {kind}s', or such an object{function}")
    return thing


def configured(made: Callable[..., T], text: str, name: str) -> T:
    """Make an object from options `key=value,key=value` given under `name`.

    Raises:
        UsageError: an unknown or bad option.
    """
    return typing.cast("T", _MAKER.make(made, parse_options(text, f"{name} {text}"), name))


def emulator(specification: str) -> tuple[types.ModuleType, dict[str, Any]]:
    """Return the module of the emulator that speaks a protocol, and the options of its `serve` that are given.

    Raises:
        UnknownName: no such protocol or option. UsageError: a bad option.
    """
    name, options = parse(specification)
    known = names("emulator")
    if name not in known:
        raise UnknownName("protocol", name, known)
    module = importlib.import_module(known[name])
    own = {key: p for key, p in parameters_of(module.serve).items() if key not in SERVED_WITH}
    return module, _MAKER.values(module.serve, own, options, specification)


def _made(kind: str, specification: str) -> Any:
    name, options = parse(specification)
    return _MAKER.make(_named(kind, name), options, specification)


def _named(kind: str, name: str) -> Callable[..., Any]:
    """Return what makes the object of this kind and name."""
    module, colon, own = name.partition(":")
    if colon:
        return typing.cast("Callable[..., Any]", imported(module, own))
    known = names(kind)
    if name not in known:
        raise UnknownName(kind, name, known)
    return typing.cast("Callable[..., Any]", getattr(importlib.import_module(known[name]), NAMED_AS[kind]))


_MAKER = Maker(_named)
