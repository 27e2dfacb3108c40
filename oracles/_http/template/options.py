"""The tables `options` and `models` of a template: what a person gives, by name, and where it stands in the template.

`${model}`, with `model` in the table `options`, is replaced by the option's value wherever it stands but in headers,
where `${NAME}` is a secret. A member whose value is an option without one is left out, with what holds nothing else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bbquery.errors import UnknownName, UsageError
from oracles._http.template.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable

_PLACE = re.compile(r"\$\{(\w+)\}")
LEFT_OUT = object()
_IN_PATH = "-._~:@"  # what a value may bring into a path besides letters and digits


@dataclass(frozen=True)
class Option:
    """What a template says of an option.

    default: None where there is none. needed: whether it must be given then. values: what is sent for each value that
    it may have, empty where any will do.
    """

    default: Any
    needed: bool
    values: Mapping[str, Any]

    def sent(self, name: str, given: Any) -> Any:
        """Return what stands for the option in a request; None for nothing.

        Raises:
            UnknownName: it may not have this value. UsageError: it must be given.
        """
        value = self.default if given is None else given
        if value is None and self.needed:
            raise UsageError(f"the template needs the option {name}: give {name}=…")
        if value is None or not self.values:
            return value
        if str(value) not in self.values:
            raise UnknownName(f"value of {name}", str(value), self.values)
        return self.values[str(value)]


@dataclass(frozen=True)
class ModelEntry:
    """What a template knows of some models. like: a pattern of their names. own: tables of it, by name."""

    like: str
    options: Mapping[str, Mapping[str, Any]]
    image_tokens: Any

    def tokens_at(self, detail: str | None) -> Any:
        """Return the rule by which an image is counted that is looked at in this detail."""
        rule = self.image_tokens
        return rule.get(detail, rule) if isinstance(rule, dict) and detail is not None else rule


@dataclass(frozen=True)
class Declared:
    """The options of a template, and what it knows of models."""

    options: Mapping[str, Mapping[str, Any]]
    models: tuple[ModelEntry, ...]

    def of_model(self, model: str | None) -> ModelEntry | None:
        """Return what is known of a model, None where nothing is."""
        return next((entry for entry in self.models if model is not None and re.fullmatch(entry.like, model)), None)

    def option(self, name: str, entry: ModelEntry | None) -> Option:
        """Return an option as it holds for a model: what its entry says goes before what the template says.

        Raises:
            UsageError: the template says of it what cannot be said.
        """
        own = {} if entry is None else entry.options.get(name, {})
        table = Table({**self.options[name], **own}, f"options.{name}")
        option = Option(
            default=table.take("default", str, int, float),
            needed=table.take("needed", bool, default=False),
            values=table.table("values").content,
        )
        table.end()
        return option

    def check_given(self, given: Iterable[str]) -> None:
        """Check that the template has a place for each option that is given.

        Raises:
            UnknownName: it has none.
        """
        for name in given:
            if name not in self.options:
                raise UnknownName("option of this template", name, self.options)


def read_declared(table: Table) -> Declared:
    """Return the tables `options` and `models` of a template.

    Raises:
        UsageError: a value cannot be used.
    """
    names = table.table("options")
    options = {name: names.need(name, dict) for name in names.content}
    entries = [Table(entry, "models") for entry in table.take("models", list, default=[])]
    return Declared(options, tuple(_entry(entry, options) for entry in entries))


def _entry(table: Table, options: Mapping[str, Any]) -> ModelEntry:
    like, own = table.need("like", str), table.table("options")
    try:
        re.compile(like)
    except re.error as error:
        raise UsageError(f"models.like is no pattern: {error}") from error
    for name in own.content:
        if name not in options:
            raise UnknownName("option in models.options", name, options)
    entry = ModelEntry(
        like, {name: own.need(name, dict) for name in own.content}, table.take("image_tokens", int, dict)
    )
    table.end()
    return entry


def filled(content: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a template with these values of its options in their places; None leaves a member out.

    One without options is left as it is written.
    """
    if not values or not isinstance(content.get("request", {}), Mapping):  # the latter is said where it is read
        return dict(content)
    request = dict(content.get("request", {}))
    headers, path, document = request.pop("headers", None), request.pop("path", None), request.pop("json", None)
    plain = _with({**content, "request": request}, values)
    made = plain["request"]
    if headers is not None:
        made["headers"] = headers
    if path is not None:
        quoted = {name: quote(str(value), safe=_IN_PATH) for name, value in values.items() if value is not None}
        made["path"] = _with(path, quoted)
    if document is not None:
        literal = {name: _literal(value) for name, value in values.items()}
        made["json"] = _with(json.loads(document) if _holds_json(document) else document, literal)
    return plain if "request" in content else {k: v for k, v in plain.items() if k != "request"}


def _holds_json(document: Any) -> bool:
    try:
        return isinstance(document, str) and bool(json.loads(document))
    except ValueError:
        return False  # which is said where the request is read


def _literal(value: Any) -> Any:
    """Return a value of which nothing is taken for a place of an image."""
    return value.replace("${", "$${") if isinstance(value, str) else value


def _with(content: Any, values: Mapping[str, Any]) -> Any:
    """Return content with values in their places, LEFT_OUT for what only holds an option that has none."""
    match content:
        case str():
            alone = _PLACE.fullmatch(content)
            if alone is not None and alone[1] in values:
                return LEFT_OUT if values[alone[1]] is None else values[alone[1]]
            return _PLACE.sub(lambda found: _text(values.get(found[1], found[0])), content)
        case Mapping():
            parts = {name: _with(part, values) for name, part in content.items()}
            kept = {name: part for name, part in parts.items() if part is not LEFT_OUT}
            return kept if kept or not content else LEFT_OUT
        case list():
            return [part for part in (_with(part, values) for part in content) if part is not LEFT_OUT]
    return content


def _text(value: Any) -> str:
    return "" if value is None else str(value)
