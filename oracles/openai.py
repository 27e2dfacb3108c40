"""A vision model of OpenAI, or of any server that speaks its protocol (vLLM, Ollama, gateways), answering in text.

A photo travels as a PNG in a data URL with a question, through the `openai` package: chat completions (api=chat) or the
responses API (api=responses). The answer is text, with the log-probabilities of its tokens where top_logprobs asks for
them; a refusal, a filter's veto, an answer cut off before its first word and an empty one are answers of their own kind
(`NoAnswer`), paid and kept. A text that the output cap cuts off later is taken as the text it is.

Where a model thinks aloud (`<think>…</think>` and its kin), all of it is kept and only what follows is scored; one that
the output cap cuts off before it answers gave no answer: raise max_tokens.

With `classes` the model chooses from a list. One such answer with top_logprobs is worth several without: the
probabilities of the classes stand in the alternatives to its first token.

Cost. An image's tokens follow the published rules of each model; for models that are not known, and so for other
servers, `image_tokens` states their number. The worst case held for a query adds the prompt at one token a byte, the
whole output cap, and the dearest kind of input, which is input written to a cache. The service tier is pinned in each
request; an answer served at another tier costs what that tier costs, and the run stops if nobody stated that.

Batches (`bbquery.batch_oracle`). The same questions, asked as a batch at the batch price of the table; prices that were
stated as options hold there too. A batch is a service tier of its own: its lines name none, whatever `tier` says, its
answers are charged at the batch price, and the tier that they name is not compared with anything. An answer's identity
holds no tier, for the same model answers at each: what a batch answered is not asked again at tier default or flex.

`oracles.emulators.openai` speaks the same protocol on this machine, with faults, a bill and real labels, to rehearse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bbquery import prompt_templates
from bbquery.errors import (
    MissingExtra,
    UsageError,
)
from bbquery.oracle import Capabilities, Limits, Oracle, Price, View
from bbquery.types import Classes
from oracles._openai.cost import AZURE, VENDOR, Cost
from oracles._openai.models import known
from oracles._openai.oracle import OpenAIOracle
from oracles._openai.request import (
    Api,
    CapName,
    Detail,
    Effort,
    ImageRequest,
    Temperature,
    Tier,
    cap,
    likely_output,
    sampling,
)
from oracles._shared.key import Key
from oracles._shared.options import check_at_least_one, check_positive, class_names, view_of
from oracles._shared.token_cost import Prices, stated

try:
    from oracles._http.url import azure_base, checked_url, is_azure
except MissingExtra as error:  # one extra brings all of it
    raise MissingExtra("openai", "asking a model of OpenAI", "openai") from error

if TYPE_CHECKING:
    from oracles._openai.endpoint import OpenAIEndpoint

ADAPTER = 1  # part of every answer's key: raise it when the same reply would be read differently
ENCODER = "png"
OPENAI = "https://api.openai.com/v1"
SIDE = 224  # pixels: small enough for thousands of queries, as large as most classifiers see
PATIENCE = {"default": 120.0, "flex": 900.0}  # seconds; flex waits for idle machines: the vendor advises 15 minutes


def connect(
    *,
    model: str,
    prompt: str | None = None,
    classes: str | Sequence[str] | None = None,
    api: Api = "chat",
    base_url: str = OPENAI,
    key_env: str | None = "OPENAI_API_KEY",
    detail: Detail | None = "low",
    height: int | None = SIDE,
    width: int | None = SIDE,
    crop: float | None = None,
    max_tokens: int | None = None,
    cap_name: CapName | None = "max_completion_tokens",
    tier: Tier | None = "default",
    top_logprobs: int = 0,
    temperature: Temperature = "usual",
    seed: int | None = None,
    reasoning_effort: Effort | None = None,
    store: bool | None = False,
    stream: bool | None = False,
    deployment_of: str | None = None,
    image_tokens: int | None = None,
    input_usd: str | float | None = None,
    output_usd: str | float | None = None,
    concurrency: int = 64,
    requests_per_minute: float | None = None,
    tokens_per_minute: float | None = None,
    timeout: float | None = None,
) -> Oracle:
    """Return a vision model behind OpenAI's API. Nothing is sent, and no key is read, before the first query.

    A server that does not know a field is asked without it: detail, cap_name, tier, temperature, store and stream
    are left out as None ("tier=none" in a command), reasoning_effort as "unset", the others by default. What the
    request then does not bound must be stated: image_tokens without detail, max_tokens without cap_name.

    Args:
        model: its name at the vendor; at Azure that of a deployment.
        prompt: the question; one of our own if not given, or by name: @belongs, the paper's "The input image
            belongs to [MASK]"; @yes-no, whether the image shows the one class given (see
            `bbquery.prompt_templates`).
        classes: names to choose from, separated by "|" in a string; they are listed under the question.
        api: chat completions or responses.
        base_url: where the API begins; it mostly ends in /v1, that of Azure in /openai/v1.
        key_env: environment variable with the key; none sends none.
        detail: in how much detail the model looks, which decides what an image costs.
        height: height that an image is resized to, in pixels; none leaves the photo's own; at least 1.
        width: width that an image is resized to, in pixels; none leaves the photo's own; at least 1.
        crop: central share of the photo's shorter side that is sent; none sends all; above 0, at most 1.
        max_tokens: of output, reasoning included; none takes 64, or 16 with classes, and 1,024 more for a model
            that reasons; at least 1.
        cap_name: what the request calls max_tokens; Ollama and older servers know only max_tokens.
        tier: service tier: flex is half price and slower, for the models that have it.
        top_logprobs: alternatives to each token; 0 asks for no log-probabilities; 0 to 20.
        temperature: usual is 0, where the model takes one; at least 0.
        seed: best effort, and chat only; any number.
        reasoning_effort: none asks for the least: no effort where the model takes that, and else low.
        store: whether the vendor may keep the images; responses only.
        stream: answers are asked in one piece, so it is never true.
        deployment_of: model that is asked under another name, as a deployment at Azure is; what is known of it holds,
            with its price.
        image_tokens: the most that one image takes, for a model whose rule is not known; at least 1.
        input_usd: dollars a million tokens that are sent, for a model whose price is not known, 0 for one of
            your own; at least 0.
        output_usd: dollars a million tokens that are answered, for a model whose price is not known, 0 for one
            of your own; at least 0.
        concurrency: requests at once, at most; at least 1.
        requests_per_minute: your account's limit; learned from the answers if not given; above 0.
        tokens_per_minute: likewise; above 0.
        timeout: seconds for an attempt; none takes 120, or 900 at tier flex; above 0.

    Raises:
        MissingExtra: the package `openai` is not installed. UnknownPrice: nobody stated the model's price at this tier.
        UsageError: an option that cannot be used.
    """
    url, key = _checked_base(base_url), None if key_env is None else Key(key_env)
    timeout = PATIENCE[tier or "default"] if timeout is None else timeout
    check_at_least_one(concurrency=concurrency, image_tokens=image_tokens)
    check_positive(requests_per_minute=requests_per_minute, tokens_per_minute=tokens_per_minute, timeout=timeout)
    listed = class_names(classes)
    called = deployment_of or model
    rule = known(called)
    if (rule is None or detail is None) and image_tokens is None:
        raise _unknown_rule(called, url)
    if cap_name is None and max_tokens is None:
        raise UsageError(
            "without a cap in the request (cap_name=none) an answer may be of any length, so its cost has no"
            " bound: state the most tokens that one takes, as max_tokens=500"
        )
    heat, effort = sampling(called, rule, temperature=temperature, top_logprobs=top_logprobs, effort=reasoning_effort)
    request = ImageRequest(
        api=api,
        model=model,
        prompt=prompt_templates.question(prompt, listed),
        detail=detail,
        max_tokens=cap(max_tokens, listed, effort),
        cap_name=cap_name,
        tier=tier,
        top_logprobs=top_logprobs,
        temperature=heat,
        seed=seed,
        reasoning_effort=effort,
        store=store,
        stream=stream,
    )
    cost = Cost(
        request,
        rule=None if image_tokens is not None else rule,
        image_tokens=image_tokens or 0,
        output=likely_output(request, listed),
        prices=Prices(AZURE if is_azure(url) else VENDOR, called, stated(input_usd, output_usd)),
    )
    limits = Limits(
        concurrency=concurrency,
        adaptive=True,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        timeout=timeout,
    )
    account = " ".join((url, key_env or "no key"))
    capabilities = _capabilities(url, account, cost, view_of(height, width, crop), limits)
    capabilities = replace(capabilities, classes=_closed(listed))
    return OpenAIOracle(_endpoint(url, key, capabilities, request), request, cost, capabilities)


def _closed(listed: Sequence[str]) -> Classes | None:
    """Return the closed set that the answer is chosen from; one class alone is what a yes or no is about."""
    return Classes(tuple((name.strip(),) for name in listed)) if len(listed) > 1 else None


def _capabilities(url: str, account: str, cost: Cost, view: View, limits: Limits) -> Capabilities:
    request = cost.request
    price = cost.prices.at(request.price_tier)
    return Capabilities(
        name=f"openai {request.model}",
        answers="text",
        identity={"oracle": "openai", "adapter": ADAPTER, "encoder": ENCODER, "url": url, **request.identity},
        view=view,
        limits=limits,
        price=Price(source=f"{price.source} {price.date}".strip()),
        provider=f"openai {account} {request.model}",
        remote=True,
    )


def _checked_base(base_url: str) -> str:
    """Return where the API begins, without trailing slashes; of Azure's many addresses only one is it.

    Raises:
        UsageError: it is no such URL.
    """
    url = checked_url(base_url)
    whole = azure_base(url)
    if whole is None or whole == url:
        return url
    raise UsageError(f"base_url {url!r} is a resource of Azure OpenAI, whose API begins at /openai/v1: give {whole}")


def _unknown_rule(model: str, url: str) -> UsageError:
    azure = ", or say which model it is a deployment of, as deployment_of=gpt-4.1-mini" if is_azure(url) else ""
    return UsageError(
        f"how many tokens an image takes is not known for the model {model!r}, so its cost has no bound:"
        f" state the most that one takes, as image_tokens=2000{azure}"
    )


def _endpoint(url: str, key: Key | None, capabilities: Capabilities, request: ImageRequest) -> OpenAIEndpoint:
    """Import the vendor's package, which takes a second, and only now."""
    try:
        from oracles._openai.endpoint import OpenAIEndpoint  # noqa: PLC0415 - listing oracles must not import it
    except ModuleNotFoundError as error:
        raise MissingExtra("openai", "asking a model of OpenAI", error.name or "openai") from error
    limits = capabilities.limits
    return OpenAIEndpoint(
        url, key, limits.timeout, limits.concurrency, capabilities.name, request.model, request.optional
    )
