r"""A model behind HTTP, on any machine and in any language: by a small protocol, or by a template for any other.

The server describes its model, and answers a list of images with a list of answers, in order:

GET {url}/v1/model
    {"name": "redness", "identity": {"version": 1}, "answers": "probabilities",
     "classes": {"names": ["red", "other"], "keys": ["r", "o"]},
     "size": [224, 224], "crop": 0.875, "largest_batch": 16, "concurrency": 4}

    name is for people. identity holds strings, numbers and nulls that must change whenever answers may (version,
    weights, prompt): answers are stored under it. answers is "probabilities", "scores", "labels" or "text". The rest
    may be left out or null: classes (what the numbers stand for; a name may be a list of names; keys do not repeat),
    size (height and width of the images to send; null: the photo's own), crop (the central share of the shorter side
    that is sent; null: the whole photo), largest_batch (images in a request; 1) and concurrency (requests at once; 8).

POST {url}/v1/answer  {"images": ["<base64 of an 8-bit RGB PNG>", ...]}
    {"answers": [{"probabilities": [0.25, 0.75]}, ...]}

    One object an image: {"probabilities": [...]} or {"scores": [...]}, finite numbers in the order of the classes, with
    enough digits to give the same float64 back; {"labels": [{"name": "red", "score": 0.9}, ...]}, score optional, or
    {"labels": {"red": 0.9, ...}}, or pairs of name and score; {"text": "..."}. In place of any: {"refused": "why"} for
    an image that was looked at and not answered, {"error": "why"} for one that failed alone. "served" beside an answer
    may name the model version that gave it.

    Status 429, with Retry-After in seconds or as a date where known, says that nothing was done yet: ask again later.
    {"error": "why", "code": "quota"} as its body says that waiting does not help: the quota is used up.
    Other 4xx, but 408, 409 and 499, say that nothing was done and never will be. Anything else but 2xx counts as
    perhaps billed, and so does {"error": "why"} in place of the answers. The reason is shown to the user.

    The headers x-ratelimit-{limit,remaining,reset}-requests may say how many requests are allowed in a minute, how many
    of them are left, and in what time ("1.5s") they are whole again.

With a key, each request carries "Authorization: Bearer KEY". A whole server, of standard library, NumPy and Pillow::

    import base64, io, json
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    import numpy as np
    from PIL import Image

    MODEL = {"name": "redness", "identity": {"version": 1}, "answers": "probabilities",
             "classes": {"names": ["red", "other"]}, "size": [32, 32], "largest_batch": 16}

    def answer(image):
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(image))))
        red = float(pixels[..., 0].mean() / 255)
        return {"probabilities": [red, 1 - red]}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.reply(MODEL)

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.reply({"answers": [answer(image) for image in body["images"]]})

        def reply(self, content):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

    if __name__ == "__main__":
        ThreadingHTTPServer(("127.0.0.1", 8000), Handler).serve_forever()

`oracles.emulators.http` serves any oracle of this package in the same way, with faults to rehearse.

A server that speaks another protocol is asked by a template, a file that says what is sent and where in the response
the answer stands: `docs/http.md`. Templates of vendors come with bbquery, by the name @NAME, with their prices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bbquery.errors import MalformedAnswer, Rejected, UnknownPrice, UsageError
from bbquery.oracle import ONE_QUERY, Capabilities, Limits, Oracle, Price
from bbquery.types import NoAnswer
from oracles._http.headers import Headers
from oracles._http.remote import CostOfQuery, Costs, RemoteOracle
from oracles._http.template.file import Given, Template, read_template
from oracles._http.template.form import CostOfTokens, TemplateForm
from oracles._http.template.listing import described
from oracles._http.template.shipped import names
from oracles._http.transport import ADVICE_ON_TEMPLATES, HttpEndpoint
from oracles._http.url import checked_url, names_this_machine
from oracles._http.wire import MODEL_PATH
from oracles._http.wire.fields import WireError
from oracles._http.wire.form import OwnForm
from oracles._http.wire.images import ENCODER
from oracles._http.wire.model import Identity, ServerModel, unpack_model
from oracles._shared.activation import activation_text
from oracles._shared.options import check_at_least_one, check_positive, class_names
from oracles._shared.price import STATED, cost_of_query
from oracles._shared.token_cost import stated

if TYPE_CHECKING:
    from bbquery.units import Units
    from oracles._http.template.request import Request

ADAPTER = 1  # part of every answer's key: raise it when the same server would be read differently
MOST_IN_FLIGHT = 32  # at a server that does not say how much it takes; found from below


def templates() -> dict[str, list[str]]:
    """Return the templates that come with bbquery: name to lines that say what it is."""
    return {name: described(name) for name in names()}


async def connect(
    *,
    url: str | None = None,
    template: str | Mapping[str, Any] | None = None,
    model: str | None = None,
    prompt: str | None = None,
    classes: str | Sequence[str] | None = None,
    max_tokens: int | None = None,
    effort: str | None = None,
    temperature: float | None = None,
    detail: str | None = None,
    size: int | None = None,
    image_tokens: int | None = None,
    input_usd: str | float | None = None,
    output_usd: str | float | None = None,
    key_env: str | None = None,
    largest_batch: int | None = None,
    concurrency: int | None = None,
    requests_per_minute: float | None = None,
    timeout: float = Limits.timeout,  # noqa: ASYNC109 - it bounds each later attempt too, not this call alone
    usd_per_query: str | float | None = None,
) -> Oracle:
    """Return the model of the server at `url`: as the server describes it, or as a template does.

    The options from model to size are a template's own: each has those that it declares, and names the others that it
    is given.

    Args:
        url: http or https, the root under which /v1/model lies, or to which the template's path is added; none takes
            the template's.
        template: a file as in `docs/http.md`, or one that comes with bbquery, such as @anthropic-messages; without one
            the server is asked what its model is.
        model: its name at the vendor.
        prompt: the question; one of our own if not given, or by name, as for the oracle `openai`.
        classes: names to choose from, separated by "|" in a string; they are listed under the question.
        max_tokens: of output, reasoning included; none takes what the template says; at least 1.
        effort: how much the model thinks before it answers.
        temperature: none takes what the template says, mostly 0; at least 0.
        detail: in how much detail the model looks.
        size: side in pixels of the square that photos are resized to; none takes what the template says; 0 leaves the
            photo's own size; at least 0.
        image_tokens: the most that one image takes, for a model whose rule is not known; at least 1.
        input_usd: dollars a million tokens that are sent, for a model whose price is not known; at least 0.
        output_usd: dollars a million tokens that are answered, for a model whose price is not known; at least 0.
        key_env: environment variable that holds the key, in place of the template's own; without a template, or with
            one that sends no secret, the key is sent as a bearer token.
        largest_batch: images in a request; none takes what the server or the template says; at least 1.
        concurrency: requests at once; likewise; at least 1.
        requests_per_minute: where they are limited; above 0.
        timeout: seconds for one attempt; above 0.
        usd_per_query: dollars for an image, in place of a price of tokens; 0 on this machine unless given, and needed
            of a server elsewhere that bills no tokens; at least 0.

    Raises:
        UsageError: an option or a template that cannot be used, or (without a template) a key that is unset.
        UnknownPrice: the server is elsewhere and no price is given.
        OracleError: without a template, the server cannot be reached, refuses, or (MalformedAnswer) does not describe
            its model.
    """
    check_at_least_one(max_tokens=max_tokens, image_tokens=image_tokens)
    own = {
        "model": model,
        "prompt": prompt,
        "max_tokens": max_tokens,
        "effort": effort,
        "temperature": temperature,
        "detail": detail,
        "size": size,
    }
    given = Given(
        options={name: value for name, value in own.items() if value is not None},
        classes=tuple(class_names(classes)),
        image_tokens=image_tokens,
        price=stated(input_usd, output_usd),
        usd_per_query=usd_per_query,
    )
    read = None if template is None else read_template(template, given)
    options = _Options(
        url=_url(url, read),
        template=template,
        given=given,
        key_env=key_env,
        largest_batch=largest_batch,
        concurrency=concurrency,
        requests_per_minute=requests_per_minute,
        timeout=timeout,
        usd_per_query=usd_per_query,
    )
    if read is not None:
        return _templated(options, read)
    if given != Given(usd_per_query=usd_per_query):
        raise UsageError("a server that describes itself takes none of a template's options: leave them out")
    return await _described(options)


def _url(url: str | None, template: Template | None) -> str:
    if url is None and (template is None or template.url is None):
        raise UsageError("say where the server is: url=https://host")
    return checked_url(url or (template and template.url) or "")


@dataclass(frozen=True, kw_only=True)
class _Options:
    """The options of `connect`, checked as far as they can be alone."""

    url: str
    template: str | Mapping[str, Any] | None
    given: Given
    key_env: str | None
    largest_batch: int | None
    concurrency: int | None
    requests_per_minute: float | None
    timeout: float
    usd_per_query: str | float | None

    def __post_init__(self) -> None:
        check_positive(requests_per_minute=self.requests_per_minute, timeout=self.timeout)
        check_at_least_one(largest_batch=self.largest_batch, concurrency=self.concurrency)

    def call(self) -> str:
        """Return the call that connects again."""
        shown = {name: value for name, value in vars(self).items() if value is not None and name != "given"}
        shown |= self.given.options
        if isinstance(self.template, Mapping):
            shown["template"] = ...  # long, and nobody knows what somebody wrote into it
        return f"oracles.http.connect({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    def priced(self, usd_per_query: str | float | None) -> tuple[Units, Price]:
        """Return what a query costs: what is stated, or nothing on this machine.

        Raises:
            UnknownPrice: nobody stated it, and the server is elsewhere.
        """
        if usd_per_query is not None:
            return cost_of_query(usd_per_query), STATED
        if names_this_machine(self.url):
            return ONE_QUERY, Price(source="this machine")
        raise UnknownPrice(
            "http", self.url, "state it in dollars as usd_per_query=0.002, or as usd_per_query=0 if nobody is paid"
        )

    def endpoint(self, request: Request | None = None) -> HttpEndpoint:
        """Return the server, asked with the key and as a template's request has it.

        Raises:
            UsageError: a header or the name of the key's variable cannot be used.
        """
        sent = Headers({} if request is None else request.headers, "request.headers")
        sent = sent if self.key_env is None else sent.with_key(self.key_env)
        if request is None:
            return HttpEndpoint(self.url, sent, self.timeout, name=f"http {self.url}")
        return HttpEndpoint(
            self.url,
            sent,
            self.timeout,
            name=f"http {self.url}",
            not_ready=request.not_ready,
            fields=request.body.field_names,
            advice=ADVICE_ON_TEMPLATES,
        )


async def _described(options: _Options) -> Oracle:
    """Ask the server what its model is, and return that model."""
    cost, price = options.priced(options.usd_per_query)
    endpoint = options.endpoint()
    async with endpoint.session(connections=1, total=endpoint.timeout) as session:
        body = await endpoint.attempt(session, "GET", MODEL_PATH)
    if isinstance(body, NoAnswer):
        raise endpoint.error(Rejected, body.reason)
    try:
        model = unpack_model(body)
    except WireError as fault:
        raise endpoint.error(MalformedAnswer, f"GET {MODEL_PATH}: {fault}") from None
    capabilities = Capabilities(
        name=endpoint.hide(model.name),
        answers=model.answers,
        identity=_identity(options.url) | _server_identity(endpoint, model),
        classes=model.classes,
        view=model.view,
        limits=Limits(
            largest_batch=options.largest_batch or model.largest_batch,
            concurrency=options.concurrency or model.concurrency,
            requests_per_minute=options.requests_per_minute,
            timeout=options.timeout,
        ),
        price=price,
        provider=endpoint.name,
        remote=True,
        boxes=model.answers == "labels",
    )
    return RemoteOracle(
        endpoint, OwnForm(model.answers, model.classes), capabilities, CostOfQuery(cost), options.call()
    )


def _server_identity(endpoint: HttpEndpoint, model: ServerModel) -> Identity:
    """Return the server's identity, under names that it cannot choose, and without the key."""
    return {
        endpoint.hide(f"server.{key}"): endpoint.hide(value) if isinstance(value, str) else value
        for key, value in model.identity.items()
    }


def _templated(options: _Options, template: Template) -> Oracle:
    """Return the model that a template describes; nothing is sent."""
    costs, price = _costs(options, template)
    request = template.request
    endpoint = options.endpoint(request)
    capabilities = Capabilities(
        name=template.name,
        answers=template.reader.kind,
        identity=_identity(options.url) | template.identity,
        classes=template.reader.classes,
        view=template.view,
        limits=Limits(
            largest_batch=_batch(options, template),
            concurrency=options.concurrency or MOST_IN_FLIGHT,
            adaptive=options.concurrency is None,
            requests_per_minute=options.requests_per_minute,
            timeout=options.timeout,
        ),
        price=price,
        provider=" ".join(filter(None, (f"{endpoint.name}{template.request.path}", template.model))),
        activation=activation_text("softmax", "the server's numbers") if template.reader.apply_softmax else "",
        remote=True,
        boxes=template.reader.kind == "labels",
    )
    return RemoteOracle(endpoint, TemplateForm(template), capabilities, costs, options.call())


def _costs(options: _Options, template: Template) -> tuple[Costs, Price]:
    """Return what a query costs, and whence that is known.

    Raises:
        UnknownPrice: nobody stated it.
    """
    if template.tokens is not None:
        known = template.tokens.prices.at("default")
        return CostOfTokens(template.tokens), Price(source=f"{known.source} {known.date}".strip())
    stated = template.usd_per_query if options.usd_per_query is None else options.usd_per_query
    cost, price = options.priced(stated)
    return CostOfQuery(cost), price


def _batch(options: _Options, template: Template) -> int:
    largest = options.largest_batch or template.request.largest_batch
    check_at_least_one(largest_batch=largest)
    if largest > 1 and not template.batches:
        raise UsageError(
            f"largest_batch is {largest}, and the template's request carries one image: "
            f'write "${{each}}" or "${{images_...}}" into its JSON, and say which of the answers is whose'
        )
    return largest


def _identity(url: str) -> Identity:
    return {"oracle": "http", "adapter": ADAPTER, "encoder": ENCODER, "url": url}
