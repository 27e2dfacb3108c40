"""A template: what `docs/http.md` describes, read and checked before anything is sent."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bbquery import prompt_templates
from bbquery.errors import UsageError
from bbquery.system import user_file
from oracles._http.template import shipped
from oracles._http.template.cost import TokenCost, image_tokens, read_cost
from oracles._http.template.options import Declared, ModelEntry, filled, read_declared
from oracles._http.template.request import Request, read_pixels, read_request
from oracles._http.template.response import read_answer
from oracles._http.template.shipped import SHIPPED
from oracles._http.template.table import Table
from oracles._shared.digest import digest
from oracles._shared.labels import classes_of
from oracles._shared.token_cost import Prices

if TYPE_CHECKING:
    from bbquery.money import TokenPrice
    from bbquery.oracle import View
    from oracles._http.template.answers import Reader
    from oracles._http.wire.model import Identity


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a person gives a template. options: by name, None where one is not given. classes: names to choose from.

    image_tokens: the most that an image takes. price: of tokens. usd_per_query: in place of a price of tokens.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    classes: Sequence[str] = ()
    image_tokens: int | None = None
    price: TokenPrice | None = None
    usd_per_query: str | float | None = None


@dataclass(frozen=True, kw_only=True)
class Template:
    """How a server is asked and its answers are read.

    url: where it is, None where the template does not say. batches: whether a request can carry several images.
    usd_per_query: None where it is not stated. tokens: what a query costs where the vendor bills tokens. identity: what
    decides answers, but for the server's address. model: None where none is named.
    """

    name: str
    url: str | None
    view: View
    request: Request
    reader: Reader
    batches: bool
    usd_per_query: str | float | None
    tokens: TokenCost | None
    identity: Identity
    model: str | None


NOTHING = Given()


def read_template(source: str | Mapping[str, Any], given: Given = NOTHING) -> Template:
    """Return the template that bbquery brings under an @NAME, that is in a TOML or JSON file, or in such a mapping.

    Raises:
        UsageError: it cannot be read, or a value cannot be used. UnknownName: a name, a key or a choice that there is
            not. UnknownPrice: nobody stated the price of the vendor's tokens.
    """
    content, folder, called = _opened(source)
    declared = read_declared(Table(content))
    chosen = _chosen(declared, given)
    return _read(filled(content, chosen.values), folder, called, chosen)


@dataclass(frozen=True)
class _Chosen:
    """The values of a template's options, and what the template knows of the model; detail: in which it looks."""

    given: Given
    values: Mapping[str, Any]
    entry: ModelEntry | None
    detail: str | None


def _chosen(declared: Declared, given: Given) -> _Chosen:
    """Return the value of each option; the prompt is the whole question, with its list of classes."""
    stated = {name: value for name, value in given.options.items() if value is not None}
    declared.check_given(stated)
    if given.classes and "prompt" not in declared.options:
        raise UsageError("classes are listed under the question, and the template asks none: leave them out")
    entry = declared.of_model(stated.get("model"))
    options = {name: declared.option(name, entry) for name in declared.options}
    values = {name: option.sent(name, stated.get(name)) for name, option in options.items()}
    values |= {"size": None} if values.get("size") == 0 else {}  # the photo's own
    if "prompt" in values:
        values["prompt"] = prompt_templates.question(values["prompt"], given.classes)
    detail = stated.get("detail", options["detail"].default) if "detail" in options else None
    return _Chosen(given, values, entry, detail)


def _read(content: Mapping[str, Any], folder: Path, called: str, chosen: _Chosen) -> Template:
    table = Table(content)
    view, prepare = read_pixels(table.table("pixels"))
    request = read_request(table.table("request"), prepare)
    reader = read_answer(table.table("answer"), folder)
    if chosen.given.classes:
        reader = replace(reader, classes=classes_of([name.strip() for name in chosen.given.classes], "classes"))
    own = {f"template.{key}": value for key, value in table.plain("identity", str, int, float).items()}
    model = chosen.values.get("model")
    template = Template(
        name=table.take("name", str, default=called),
        url=table.take("url", str),
        view=view,
        request=request,
        reader=reader,
        batches=request.batches and (reader.items is not None or reader.values is not None),
        usd_per_query=table.take("usd_per_query", str, float),
        tokens=_tokens(table.table("cost"), request, chosen),
        identity={"template": _digest(content, reader), **({} if model is None else {"model": model}), **own},
        model=model,
    )
    for key in ("about", "options", "models"):  # for people, and read before
        table.take(key, str, dict, list)
    table.end()
    return template


def _tokens(table: Table, request: Request, chosen: _Chosen) -> TokenCost | None:
    """Return what a query costs in tokens; None where the vendor bills none, or the user states a price a query."""
    given = chosen.given
    if not table.content or given.usd_per_query is not None:
        if given.price is not None:
            raise UsageError("input_usd and output_usd are prices of tokens, and here queries are paid: leave them out")
        return None
    cost = read_cost(table)
    rule = None if chosen.entry is None else chosen.entry.tokens_at(chosen.detail)
    prices = Prices(cost.vendor, cost.model, given.price)
    prices.at("default")
    return TokenCost(
        usage=cost.usage,
        image=image_tokens(rule, given.image_tokens, cost.model),
        text=request.body.text_bytes,
        most_output=cost.most_output,
        likely_output=cost.likely_output,
        prices=prices,
    )


def _opened(source: str | Mapping[str, Any]) -> tuple[Mapping[str, Any], Path, str]:
    """Return a template's content, the folder that its files are looked for in, and what it is called."""
    if isinstance(source, Mapping):
        return source, Path(), "template"
    if source.startswith(SHIPPED):
        return shipped.content(source), Path(), source
    return _content(Path(source)), Path(source).parent, Path(source).stem


def _content(path: Path) -> Any:
    parsed = user_file.parsed_json if path.suffix == ".json" else user_file.parsed_toml
    return parsed(path, "the template")


def _digest(content: Mapping[str, Any], reader: Reader) -> str:
    """Return the hash of what decides answers: not of names, limits, and what secrets are called."""
    request, answer = dict(content["request"]), dict(content["answer"])
    headers = {name: re.sub(r"\$\{[^}]*\}", "${}", value) for name, value in request.pop("headers", {}).items()}
    for key in ("largest_batch", "not_ready"):
        request.pop(key, None)
    answer.pop("classes", None)
    order = reader.classes.names if reader.classes and reader.values is None else None
    decisive = [request, headers, content.get("pixels", {}), answer, order]
    return digest(json.dumps(decisive, sort_keys=True, default=str).encode())
