r"""From a name on the command line to an object, importing only what is chosen.

A specification is `NAME` or `NAME:key=value,key=value`. A name is a module of the right package ("rise"), listed
without importing it, or `pkg.mod:attribute` for code of one's own. Values are read as the option's annotation says.

A comma within a value is written `\,`: `openai:model=gpt-4o-mini,prompt=A cat\, or a dog?`. A backslash stands for
itself everywhere but before a comma, where two stand for one: `key=ends with a backslash\\,next=1`.

An option that takes an estimator of gradients is given its name, and that one's options after a dot:
`smoothgrad:estimator=lr,estimator.sigma=8,points=20`. An estimator's name alone stands for its vanilla gradient:
`lr:sigma=8` is `vanilla:estimator=lr,estimator.sigma=8`. An option that takes a picture is given `image:PATH`.

Where an option takes several values, or several scores, `|` separates them: `compose:of=hard|text,weights=.7|.3`.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import importlib.util
import inspect
import pkgutil
import re
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from bbquery.errors import UnknownName, UsageError
from bbquery.estimators import GradientEstimator
from bbquery.images import reading
from bbquery.saliency._picture import Picture
from bbquery.scoring.base import Score
from bbquery.system.imports import imported

if TYPE_CHECKING:
    from bbquery.attacks import Attack
    from bbquery.oracle import Capabilities, Oracle
    from bbquery.saliency import Method

T = TypeVar("T")

BEFORE_COMMA = re.compile(r"(\\*),")
PACKAGES = {
    "oracle": ("oracles",),
    "method": ("bbquery.saliency", "bbquery.estimators"),
    "estimator": ("bbquery.estimators",),
    "attack": ("bbquery.attacks",),
    "score": ("bbquery.scoring",),
    "emulator": ("oracles.emulators",),
}
# Modules of those packages that others share, and that are not themselves to be chosen.
SHARED = frozenset({"base"})
NAMED_AS = {"oracle": "connect", "method": "METHOD", "estimator": "METHOD", "attack": "ATTACK", "score": "SCORE"}
"""What a module calls the object that is made from options."""
PICTURE = "image:"
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


def summary(kind: str, name: str) -> str:
    """Return the first line of a module's docstring, without importing it."""
    spec = importlib.util.find_spec(names(kind)[name])
    origin = Path(spec.origin or "") if spec else Path()
    docstring = ast.get_docstring(ast.parse(origin.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]


def described(kind: str, name: str) -> str:
    """Return what something that can be chosen is, and its options with their defaults, a line each.

    Raises:
        UnknownName: there is none of this name. MissingExtra: an optional part is absent.
    """
    made = _attribute(kind, name)
    options = [f"  {key}" if p.default is p.empty else f"  {key}={p.default!r}" for key, p in _parameters(made).items()]
    lines = [summary(kind, name), "", inspect.getdoc(made) or "", "", "options:" if options else "no options", *options]
    return "\n".join(lines)


async def oracle(specification: str) -> Oracle:
    """Connect the oracle named by a specification.

    Raises:
        UnknownName: no such oracle or option. UsageError: a bad option. MissingExtra: an optional part is absent.
    """
    name, options = parse(specification)
    connected = _call(_attribute("oracle", name), options, specification)
    return typing.cast("Oracle", await connected if inspect.isawaitable(connected) else connected)


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
    made = _attribute("method", name)
    takes_queries = _option_of_queries(made)
    if takes_queries and "queries" in options:
        options[takes_queries] = options.pop("queries")
    if takes_queries and queries is not None:
        options = {takes_queries: str(queries)} | options
    return typing.cast("Method", _call(made, options, specification))


def _option_of_queries(made: Callable[..., Any]) -> str | None:
    """Return the option that says how many queries are asked, of a method or of its estimator."""
    parameters = _parameters(made)
    if "queries" in parameters:
        return "queries"
    try:
        takes_estimator = _hint(made, parameters["estimator"]) is GradientEstimator
    except (KeyError, UsageError):  # it has no such option, or one that takes another object
        return None
    return "estimator.queries" if takes_estimator else None


def attack(specification: str, **defaults: float) -> Attack:
    """Make the attack named by a specification; `defaults` are options of it, by name, unless it says otherwise.

    Raises:
        UnknownName: no such attack or option. UsageError: a bad option.
    """
    name, options = parse(specification)
    made = _attribute("attack", name)
    usual = {key: str(value) for key, value in defaults.items() if key in _parameters(made)}
    return typing.cast("Attack", _call(made, usual | options, specification))


def score(specification: str) -> Score:
    """Make the score named by a specification.

    Raises:
        UnknownName: no such score or option. UsageError: a bad option.
    """
    name, options = parse(specification)
    return typing.cast("Score", _call(_attribute("score", name), options, specification))


def score_for(capabilities: Capabilities, wanted: Score | str | None = None) -> Score:
    """Return the score that is wanted, an object or a specification; None: the usual one of such answers.

    Raises:
        UnknownName: no such score or option. UsageError: a bad option.
    """
    if wanted is None:
        return score("mention" if capabilities.answers == "text" else "soft")
    return score(wanted) if isinstance(wanted, str) else wanted


def configured(made: Callable[..., T], text: str, name: str) -> T:
    """Make an object from options `key=value,key=value` given under `name`.

    Raises:
        UsageError: an unknown or bad option.
    """
    return typing.cast("T", _call(made, _options(text, f"{name} {text}"), name))


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
    own = {key: p for key, p in _parameters(module.serve).items() if key not in SERVED_WITH}
    return module, _values(module.serve, own, options, specification)


def parse(specification: str) -> tuple[str, dict[str, str]]:
    """Split `NAME:key=value,…` into the name and its options.

    A colon after which no `=` comes belongs to the name (`pkg.mod:attribute`).

    Raises:
        UsageError: an option without `=`, an empty name, or an option given twice.
    """
    name, colon, rest = specification.partition(":")
    if colon and "=" not in rest.split(",")[0].split(":")[0]:
        attribute, colon, rest = rest.partition(":")
        name = f"{name}:{attribute}"
    if not name or name.startswith((":", ".")) or name.endswith(":"):
        raise UsageError(f"{specification!r} names nothing: write NAME or NAME:key=value")
    return name, _options(rest, specification)


def _options(text: str, whole: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for pair in split(text) if text else ():
        key, equals, value = pair.partition("=")
        if not equals or not key or key in options:
            raise UsageError(
                f"cannot read the option {pair!r} of {whole!r}: give each once, as key=value,key=value, "
                "and write a comma within a value as \\,"
            )
        options[key] = value
    return options


def split(text: str) -> list[str]:
    """Split at commas, but not at those after an odd number of backslashes; half the backslashes there are kept."""
    pieces, end = [""], 0
    for found in BEFORE_COMMA.finditer(text):
        kept, within = divmod(len(found[1]), 2)
        pieces[-1] += text[end : found.start()] + "\\" * kept
        if within:
            pieces[-1] += ","
        else:
            pieces.append("")
        end = found.end()
    pieces[-1] += text[end:]
    return pieces


def with_option(specification: str, key: str, value: object) -> str:
    """Return a specification with this option, unless it has one of that name."""
    options = parse(specification)[1]
    if key in options:
        return specification
    last = specification[len(specification.rstrip("\\")) :]  # backslashes that no comma followed so far
    written = BEFORE_COMMA.sub(r"\1\1\\,", str(value))
    return f"{specification}{f'{last},' if options else ':'}{key}={written}"


def _attribute(kind: str, name: str) -> Callable[..., Any]:
    module, colon, own = name.partition(":")
    if colon:
        return typing.cast("Callable[..., Any]", imported(module, own))
    known = names(kind)
    if name not in known:
        raise UnknownName(kind, name, known)
    return typing.cast("Callable[..., Any]", getattr(importlib.import_module(known[name]), NAMED_AS[kind]))


def _parameters(made: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Return what can be given by name."""
    try:
        parameters = inspect.signature(made).parameters
    except (TypeError, ValueError) as error:
        raise UsageError(f"{made!r} cannot be made from options: {error}") from error
    return {n: p for n, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}


def _call(made: Callable[..., Any], options: Mapping[str, str], specification: str) -> Any:
    parameters = _parameters(made)
    values = _values(made, parameters, options, specification)
    required = {n for n, p in parameters.items() if p.default is p.empty}
    if required - set(values):
        raise UsageError(f"{specification!r} needs the option {', '.join(sorted(required - set(values)))}")
    return made(**values)


def _values(
    made: Callable[..., Any],
    parameters: Mapping[str, inspect.Parameter],
    options: Mapping[str, str],
    specification: str,
) -> dict[str, Any]:
    """Read options as the parameters of what is made from them say."""
    values = {}
    for key in dict.fromkeys(key.partition(".")[0] for key in options):
        if key not in parameters:
            raise UnknownName(f"option of {specification.partition(':')[0]!r}", key, parameters)
        hint = _hint(made, parameters[key])
        nested = {name.removeprefix(f"{key}."): text for name, text in options.items() if name.startswith(f"{key}.")}
        if hint is GradientEstimator:
            _refuse_second_count(key, nested, parameters)
            values[key] = _estimator(made, key, options.get(key), nested)
        elif nested:
            raise UsageError(f"the option {key} has no options of its own, such as {key}.{next(iter(nested))}")
        else:
            values[key] = _read(key, options[key], hint)
    return values


def _refuse_second_count(key: str, nested: Mapping[str, str], parameters: Mapping[str, inspect.Parameter]) -> None:
    """Refuse to be told the queries of an estimator whose method decides them."""
    if "queries" in nested and "queries" in parameters:
        raise UsageError(f"{key}.queries follows from the method's own: give queries={nested['queries']} instead")


def _estimator(made: Callable[..., Any], key: str, name: str | None, options: Mapping[str, str]) -> Any:
    """Make the estimator of this name, or the one that is the default of what is made, with its options."""
    if name is not None:
        return _call(_attribute("estimator", name), options, name)
    fields = dataclasses.fields(made) if inspect.isclass(made) and dataclasses.is_dataclass(made) else ()
    factory = next((field.default_factory for field in fields if field.name == key), dataclasses.MISSING)
    if factory is dataclasses.MISSING:
        raise UsageError(f"which {key} are the options {key}.{next(iter(options))} and so on for? Give {key}=NAME too")
    return _call(factory, options, key)


def _hint(made: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """Evaluate one parameter's annotation; others may name what is imported for type checkers only."""
    function = made.__init__ if inspect.isclass(made) else made
    alone = types.SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
    try:
        return typing.get_type_hints(alone, getattr(function, "__globals__", {}))[parameter.name]
    except NameError:
        raise _takes_an_object(parameter.name) from None


def _takes_an_object(key: str) -> UsageError:
    return UsageError(f"the option {key} takes an object: it can be given from Python only")


def _read(key: str, text: str, hint: Any) -> Any:
    """Read one option's text as its annotation says."""
    origin, choices = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return _chosen(key, text, choices)
    if origin in (typing.Union, types.UnionType):
        return _one_of(key, text, choices)
    if origin is tuple:
        return tuple(_read(key, part, choices[0]) for part in text.split("|"))
    if hint is Score:
        return score(text)
    if dataclasses.is_dataclass(hint):
        raise _takes_an_object(key)
    return _plain(key, text, hint)


def _one_of(key: str, text: str, choices: tuple[Any, ...]) -> Any:
    """Read text as one of several types: None and pictures are told by how they are written."""
    if text.lower() == "none" and type(None) in choices:
        return None
    if Picture in choices:
        return _filling_or_picture(key, text, choices)
    return _read(key, text, next(choice for choice in choices if choice is not type(None)))


def _filling_or_picture(key: str, text: str, choices: tuple[Any, ...]) -> Any:
    if text.startswith(PICTURE):
        return Picture(reading.load(text.removeprefix(PICTURE)))
    fills = next(typing.get_args(choice) for choice in choices if typing.get_origin(choice) is Literal)
    if text not in fills:
        raise UnknownName(f"value of {key}", text, (*fills, f"{PICTURE}PATH"))
    return text


def _chosen(key: str, text: str, choices: tuple[Any, ...]) -> Any:
    named = {str(choice): choice for choice in choices}
    if text not in named:
        raise UnknownName(f"value of {key}", text, named)
    return named[text]


def _plain(key: str, text: str, hint: Any) -> Any:
    if hint is bool:
        return _chosen(key, text.lower(), ("true", "false")) == "true"
    try:
        return hint(text) if hint in (int, float) else text
    except ValueError:
        kind = "a whole number" if hint is int else "a number"
        raise UsageError(f"the option {key}={text} must be {kind}") from None


def constructor(configured: object) -> str:
    """Return a configured algorithm as its constructor call."""
    return repr(configured) if dataclasses.is_dataclass(configured) else type(configured).__name__
