"""Options of a specification: texts read as annotations say, and objects made from them.

An option that takes an estimator of gradients, or a saliency method, is given its name, and that one's options after a
dot: `smoothgrad:estimator=lr,estimator.sigma=8,points=20`, `mig:method=rise,method.cells=9`. An option that takes a
picture is given `image:PATH`, and one that takes a function of your own `package.module:name`.

Where an option takes several values, or several scores, `|` separates them: `compose:of=hard|text,weights=.7|.3`.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal

from bbquery.errors import UnknownName, UsageError
from bbquery.estimators import GradientEstimator
from bbquery.images import reading
from bbquery.saliency import Method
from bbquery.saliency._picture import Picture
from bbquery.scoring.base import Score
from bbquery.specification import parse

PICTURE = "image:"
NESTED: dict[Any, str] = {GradientEstimator: "estimator", Method: "method"}
"""Annotations of options that take an object with options of its own, and of which kind that is."""


def parameters_of(made: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Return the parameters that can be given by name.

    Raises:
        UsageError: Python knows no signature of it.
    """
    try:
        parameters = inspect.signature(made).parameters
    except (TypeError, ValueError) as error:
        raise UsageError(f"{made!r} cannot be made from options: {error}") from error
    return {n: p for n, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}


def takes_estimator(made: Callable[..., Any], option: str) -> bool:
    """Return whether an option takes an estimator of gradients, which has options of its own."""
    try:
        return annotation_of(made, parameters_of(made)[option]) is GradientEstimator
    except (KeyError, UsageError):  # it has no such option, or one that takes another object
        return False


@dataclasses.dataclass(frozen=True)
class OwnFunction:
    """A function of a person's own, `package.module:name`; its name stands for it where a run is named."""

    name: str
    call: Callable[..., Any] = dataclasses.field(repr=False, compare=False)

    def __call__(self, *arguments: Any) -> Any:
        """Call it."""
        return self.call(*arguments)


@dataclasses.dataclass(frozen=True)
class Maker:
    """Makes objects from options.

    find: returns what makes the object of a kind ("estimator", "score") that has a name.
    """

    find: Callable[[str, str], Callable[..., Any]]

    def make(
        self,
        made: Callable[..., Any],
        options: Mapping[str, str],
        specification: str,
        defaults: Mapping[str, object] = MappingProxyType({}),
    ) -> Any:
        """Call `made` with options, each read as the annotation of its parameter says.

        defaults: values for options that are not given, by name; those that `made` does not take are left out.

        Raises:
            UnknownName: an unknown option or value. UsageError: a bad or missing option.
        """
        return made(**self.read(made, options, specification, defaults))

    def read(
        self,
        made: Callable[..., Any],
        options: Mapping[str, str],
        specification: str,
        defaults: Mapping[str, object] = MappingProxyType({}),
    ) -> dict[str, Any]:
        """Return the values that `make` calls `made` with.

        Raises:
            UnknownName: an unknown option or value. UsageError: a bad or missing option.
        """
        parameters = parameters_of(made)
        values = {key: value for key, value in defaults.items() if key in parameters}
        values |= self.values(made, parameters, options, specification)
        required = {n for n, p in parameters.items() if p.default is p.empty}
        if required - set(values):
            raise UsageError(f"{specification!r} needs the option {', '.join(sorted(required - set(values)))}")
        return values

    def values(
        self,
        made: Callable[..., Any],
        parameters: Mapping[str, inspect.Parameter],
        options: Mapping[str, str],
        specification: str,
    ) -> dict[str, Any]:
        """Read options as these parameters of `made` say.

        Raises:
            UnknownName: an unknown option or value. UsageError: a bad option.
        """
        values = {}
        for key in dict.fromkeys(key.partition(".")[0] for key in options):
            if key not in parameters:
                raise UnknownName(f"option of {specification.partition(':')[0]!r}", key, parameters)
            hint = annotation_of(made, parameters[key])
            nested = {n.removeprefix(f"{key}."): text for n, text in options.items() if n.startswith(f"{key}.")}
            if hint in NESTED:
                _refuse_second_count(key, nested, parameters)
                values[key] = self._nested(made, NESTED[hint], key, options.get(key), nested)
            elif nested:
                raise UsageError(f"the option {key} has no options of its own, such as {key}.{next(iter(nested))}")
            else:
                values[key] = self._read(key, options[key], hint)
        return values

    def _nested(
        self, made: Callable[..., Any], kind: str, key: str, name: str | None, options: Mapping[str, str]
    ) -> Any:
        """Make the object of this kind and name, or the one that is the default of what is made, with its options."""
        if name is not None:
            return self.make(self.find(kind, name), options, name)
        fields = dataclasses.fields(made) if inspect.isclass(made) and dataclasses.is_dataclass(made) else ()
        factory = next((field.default_factory for field in fields if field.name == key), dataclasses.MISSING)
        if factory is dataclasses.MISSING:
            first = next(iter(options))
            raise UsageError(f"which {key} are the options {key}.{first} and so on for? Give {key}=NAME too")
        return self.make(factory, options, key)

    def _read(self, key: str, text: str, hint: Any) -> Any:
        """Read one option's text as its annotation says."""
        origin, choices = typing.get_origin(hint), typing.get_args(hint)
        if origin is Literal:
            return _chosen(key, text, choices)
        if origin in (typing.Union, types.UnionType):
            return self._one_of(key, text, choices)
        if origin is tuple:
            return tuple(self._read(key, part, choices[0]) for part in text.split("|"))
        if origin is Callable:
            return self._own_function(key, text)
        if hint is Score:
            name, options = parse(text)
            return self.make(self.find("score", name), options, text)
        if dataclasses.is_dataclass(hint):
            raise _takes_an_object(key)
        return _plain(key, text, hint)

    def _own_function(self, key: str, text: str) -> OwnFunction:
        if ":" not in text:
            raise UsageError(f"the option {key} takes a function of your own: give {key}=package.module:name")
        return OwnFunction(text, self.find("function", text))

    def _one_of(self, key: str, text: str, choices: tuple[Any, ...]) -> Any:
        """Read text as one of several types: None and pictures are known by how they are written.

        Whoever takes text beside an object makes that of it: the oracle `function` imports `call` by its own rule.
        """
        if text.lower() == "none" and type(None) in choices:
            return None
        if Picture in choices:
            return _filling_or_picture(key, text, choices)
        kinds = [choice for choice in choices if choice is not type(None)]
        if float in kinds and typing.get_origin(kinds[0]) is Literal:
            return _name_or_number(key, text, typing.get_args(kinds[0]))
        return text if str in kinds else self._read(key, text, kinds[0])


def _refuse_second_count(key: str, nested: Mapping[str, str], parameters: Mapping[str, inspect.Parameter]) -> None:
    """Refuse a number of queries for an object whose owner decides it."""
    if "queries" in nested and "queries" in parameters:
        raise UsageError(f"{key}.queries follows from the method's own: give queries={nested['queries']} instead")


def annotation_of(made: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """Return one parameter's annotation, evaluated; others may name what is imported for type checkers only.

    Raises:
        UsageError: it names what is imported for type checkers only: an object that cannot be typed.
    """
    function = made.__init__ if inspect.isclass(made) else made
    alone = types.SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
    try:
        return typing.get_type_hints(alone, getattr(function, "__globals__", {}))[parameter.name]
    except NameError:
        raise _takes_an_object(parameter.name) from None


def _takes_an_object(key: str) -> UsageError:
    return UsageError(f"the option {key} takes an object: it can be given from Python only")


def _name_or_number(key: str, text: str, names: tuple[Any, ...]) -> Any:
    if text in names:
        return text
    try:
        return float(text)
    except ValueError:
        raise UnknownName(f"value of {key}", text, (*names, "a number")) from None


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
