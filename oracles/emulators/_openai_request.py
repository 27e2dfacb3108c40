"""A request to OpenAI, read and checked as the vendor does: what is asked, or the vendor's error for what is wrong."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from PIL import Image as Pillow

from oracles.emulators._openai_models import BY_NAME, Served
from oracles.emulators._pictures import TooLarge, decoded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Api: TypeAlias = Literal["chat", "responses"]

FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
DATA_URL = re.compile(r"data:image/(?:png|jpeg|jpg|webp|gif);base64,(?P<data>[A-Za-z0-9+/=]+)")
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
BATCH = "batch"  # the tier of what is asked as a batch; no request can ask for it
DEFAULT_CAP = 4096  # tokens, where a request sets none
LEAST_CAP = {"chat": 1, "responses": 16}
COMMON = {"model", "service_tier", "temperature", "top_logprobs", "store", "stream", "metadata", "user", "top_p"}
TAKEN: Mapping[Api, frozenset[str]] = {
    "chat": frozenset(
        COMMON
        | {"messages", "seed", "reasoning_effort", "max_completion_tokens", "max_tokens", "logprobs", "n", "stop"}
    ),
    "responses": frozenset(COMMON | {"input", "instructions", "reasoning", "max_output_tokens", "include", "text"}),
}


class Refused(Exception):
    """The vendor's error: its HTTP status, message, and where it gives them type, param and code."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        self.status, self.kind, self.param, self.code = status, kind, param, code
        super().__init__(message)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request that can be answered. messages: the text of each. details: of each image, as asked for.

    cap: output tokens at most. alternatives: to each token; None where no log-probabilities are asked for.
    """

    api: Api
    name: str
    served: Served
    messages: list[str]
    images: list[NDArray[np.uint8]]
    details: list[str]
    cap: int
    alternatives: int | None
    temperature: float
    seed: int | None
    effort: str
    tier: str


def read(api: Api, content: Mapping[str, Any]) -> Asked:
    """Return what is asked by the JSON of a request's body.

    Raises:
        Refused: the vendor would answer it with an error.
    """
    unknown = sorted(set(content) - TAKEN[api])
    if unknown:
        raise Refused(400, f"Unknown parameter: '{unknown[0]}'.", param=unknown[0], code="unknown_parameter")
    name = needed(content, "model", str)
    if name not in BY_NAME:
        raise Refused(
            404, f"The model `{name}` does not exist or you do not have access to it.", code="model_not_found"
        )
    served, effort = BY_NAME[name], _effort(api, content, BY_NAME[name])
    messages, images, details = _said(api, content)
    return Asked(
        api=api,
        name=name,
        served=served,
        messages=messages,
        images=images,
        details=details,
        cap=_cap(api, content, served),
        alternatives=_alternatives(api, content, effort),
        temperature=_temperature(content, effort),
        seed=_optional(content, "seed", int),
        effort=effort,
        tier=_tier(content, served),
    )


def needed(content: Mapping[str, Any], param: str, kind: type) -> Any:
    """Return the value of a parameter that must be there.

    Raises:
        Refused: it is not, or is of another kind.
    """
    if param not in content:
        raise Refused(400, f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")
    return _kind(content[param], param, kind)


def _optional(content: Mapping[str, Any], param: str, kind: type) -> Any:
    return None if content.get(param) is None else _kind(content[param], param, kind)


def _kind(value: object, param: str, kind: type) -> Any:
    number = kind is float and type(value) is int
    if not number and (not isinstance(value, kind) or (kind is not bool and isinstance(value, bool))):
        raise Refused(
            400,
            f"Invalid type for '{param}': expected {kind.__name__}, but got {type(value).__name__} instead.",
            param=param,
            code="invalid_type",
        )
    return value


def _within(value: float, param: str, least: float, most: float) -> None:
    if not least <= value <= most:
        raise Refused(400, f"Invalid '{param}': {value} is not between {least} and {most}.", param=param)


def _unsupported(param: str, model: str) -> Refused:
    return Refused(
        400,
        f"Unsupported parameter: '{param}' is not supported with {model} while it reasons.",
        param=param,
        code="unsupported_parameter",
    )


# --- what is said ---


def _said(api: Api, content: Mapping[str, Any]) -> tuple[list[str], list[NDArray[np.uint8]], list[str]]:
    if content.get("stream"):
        raise Refused(400, "This emulator does not stream.", param="stream", code="unsupported_value")
    param = "messages" if api == "chat" else "input"
    messages = needed(content, param, list)
    if not messages:
        raise Refused(400, f"Invalid '{param}': empty array.", param=param, code="empty_array")
    texts, images, details = [], [], []
    if isinstance(content.get("instructions"), str):
        texts.append(content["instructions"])
    for message in messages:
        parts = _parts(message, param)
        texts.append("\n".join(text for text in (_text(part) for part in parts) if text))
        for url, detail in filter(None, (_image(api, part) for part in parts)):
            images.append(pixels_of(url, param))
            details.append(detail)
    if not images:
        raise Refused(400, "This emulator answers about images: send one.", param=param)
    return texts, images, details


def _parts(message: object, param: str) -> list[dict[str, Any]]:
    match message:
        case {"role": "system" | "developer" | "user" | "assistant", "content": str(text)}:
            return [{"type": "text", "text": text}]
        case {"role": "system" | "developer" | "user" | "assistant", "content": list(parts)}:
            return [_kind(part, f"{param}.content", dict) for part in parts]
    raise Refused(400, f"Invalid '{param}': each needs a role and content.", param=param, code="invalid_value")


def _text(part: Mapping[str, Any]) -> str | None:
    match part:
        case {"type": "text" | "input_text", "text": str(text)}:
            return text
    return None


def _image(api: Api, part: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return an image's URL and detail, None for a part that is text."""
    match (api, part):
        case (_, {"type": "text" | "input_text", "text": str()}):
            return None
        case ("chat", {"type": "image_url", "image_url": {"url": str(url), **rest}}):
            return url, _detail(rest.get("detail", "auto"))
        case ("responses", {"type": "input_image", "image_url": str(url), **rest}):
            return url, _detail(rest.get("detail", "auto"))
    raise Refused(400, f"Invalid value: {part.get('type')!r} is no part that can be answered.", code="invalid_value")


def _detail(detail: object) -> str:
    if detail not in ("auto", "low", "high"):
        raise Refused(400, f"Invalid value: {detail!r}. Supported values are: 'low', 'high', and 'auto'.")
    return str(detail)


def pixels_of(url: str, param: str) -> NDArray[np.uint8]:
    """Return the uint8 (H, W, 3) pixels of a data URL.

    Raises:
        Refused: it is none, or holds no image that can be read.
    """
    match = DATA_URL.fullmatch(url)
    if match is None:
        raise Refused(400, "Invalid image: this emulator reads data URLs only.", param=param, code="invalid_image_url")
    try:
        return decoded(base64.b64decode(match["data"], validate=True), FORMATS)
    except (TooLarge, Pillow.DecompressionBombError) as error:
        raise Refused(413, f"The image is too large: {error}.", param=param, code="image_too_large") from error
    except Exception as error:  # hostile bytes make a decoder raise nearly anything
        raise Refused(
            400, "The image data you provided does not represent a valid image.", param=param, code="invalid_image"
        ) from error


# --- how it is said ---


def _effort(api: Api, content: Mapping[str, Any], served: Served) -> str:
    """Return how much the model reasons: "none" where it does not."""
    asked = (
        _optional(content, "reasoning_effort", str)
        if api == "chat"
        else (_optional(content, "reasoning", dict) or {}).get("effort")
    )
    if asked is None:
        return {"never": "none", "if asked": "none", "always": "medium"}[served.reasons]
    if asked not in EFFORTS or (served.reasons == "always" and asked == "none") or served.reasons == "never":
        raise Refused(
            400,
            f"Unsupported value: reasoning effort {asked!r} is not supported with this model.",
            param="reasoning_effort" if api == "chat" else "reasoning.effort",
            code="unsupported_value",
        )
    return str(asked)


def _cap(api: Api, content: Mapping[str, Any], served: Served) -> int:
    params = ("max_completion_tokens", "max_tokens") if api == "chat" else ("max_output_tokens",)
    given = [param for param in params if content.get(param) is not None]
    if len(given) > 1:
        raise Refused(400, "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.")
    if not given:
        return DEFAULT_CAP
    if given[0] == "max_tokens" and served.reasons != "never":
        raise Refused(
            400,
            "Unsupported parameter: 'max_tokens' is not supported with this model."
            " Use 'max_completion_tokens' instead.",
            param="max_tokens",
            code="unsupported_parameter",
        )
    cap = int(_kind(content[given[0]], given[0], int))
    if cap < LEAST_CAP[api]:
        raise Refused(
            400,
            f"Invalid '{given[0]}': integer below minimum value. Expected a value >= {LEAST_CAP[api]}, but got {cap}.",
            param=given[0],
            code="integer_below_min_value",
        )
    return cap


def _alternatives(api: Api, content: Mapping[str, Any], effort: str) -> int | None:
    count = _optional(content, "top_logprobs", int)
    if api == "chat":
        wanted = bool(_optional(content, "logprobs", bool))
        if count is not None and not wanted:
            raise Refused(400, "'top_logprobs' is only allowed if 'logprobs' is set to true.", param="top_logprobs")
    else:
        wanted = "message.output_text.logprobs" in (_optional(content, "include", list) or ())
    if (wanted or count) and effort != "none":
        raise _unsupported("logprobs" if api == "chat" else "top_logprobs", content["model"])
    _within(count or 0, "top_logprobs", 0, 20)
    return (count or 0) if wanted else None


def _temperature(content: Mapping[str, Any], effort: str) -> float:
    temperature = _optional(content, "temperature", float)
    if temperature is None:
        return 1.0
    if effort != "none" and temperature != 1:
        raise _unsupported("temperature", content["model"])
    _within(temperature, "temperature", 0, 2)
    return float(temperature)


def _tier(content: Mapping[str, Any], served: Served) -> str:
    tier = _optional(content, "service_tier", str) or "auto"
    if tier not in ("auto", "default", "flex"):
        raise Refused(400, f"Invalid service_tier argument: {tier!r}.", param="service_tier", code="invalid_value")
    if tier == "flex" and not served.flex:
        raise Refused(400, "Flex is not available for this model.", param="service_tier", code="unsupported_value")
    return "default" if tier == "auto" else tier
