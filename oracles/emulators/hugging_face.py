"""An inference endpoint of Hugging Face on this machine: image classification.

It takes the bytes of an image, or JSON with them in base64, and gives the likeliest labels of the oracle it wraps, any
that gives probabilities of classes, with their scores. While the model is being loaded it answers 503 and how long that
will take. Written from huggingface.co/docs, 2026-11.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oracles.emulators import _faults
from oracles.emulators._language import pixels_of
from oracles.emulators._phraser import Broken, Phraser, Unusable
from oracles.emulators._pictures import TooLarge, decoded
from oracles.emulators._vendor import LARGEST_BODY, Answered, Refusal, VendorEmulator, json_of, serving

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bbquery.oracle import Oracle
    from oracles.emulators._server import web

__all__ = ["NO_FAULTS", "Faults", "HuggingFaceEmulator", "serve"]

TOP = 5  # labels, unless more or fewer are asked for
STATUSES = {"invalid": 400, "key": 401, "unknown": 404, "too large": 413, "rate": 429, "quota": 402, "broken": 500}


@dataclass(frozen=True, kw_only=True)
class Faults(_faults.Faults):
    """The faults of every emulator, and loading: how many requests come before the model is loaded.

    loading_seconds: how long that is said to take.
    """

    loading: int = 0
    loading_seconds: float = 1.0


NO_FAULTS = Faults()


class HuggingFaceEmulator(VendorEmulator):
    """Serves `oracle`, which gives probabilities of classes; closing it stays with its owner.

    Raises:
        UsageError: the oracle gives no probabilities of classes.
    """

    paths = ("/", "/models/{name:.+}", "/hf-inference/models/{name:.+}")

    def __init__(
        self,
        oracle: Oracle,
        faults: Faults = NO_FAULTS,
        *,
        key: str | None = None,
        largest_body: int = LARGEST_BODY,
    ) -> None:
        super().__init__(faults, key=key, largest_body=largest_body)
        self._faults, self._phraser = faults, Phraser(oracle)

    def sent_key(self, request: web.Request) -> str:
        """Return the token."""
        return request.headers.get("Authorization", "").removeprefix("Bearer ")

    def read(self, request: web.Request, body: bytes) -> tuple[NDArray[np.uint8], int]:
        """Return the pixels of the image, and how many labels are asked for."""
        if self.bill.requests <= self._faults.loading:
            raise Refusal("overloaded", "Model is currently loading", wait=self._faults.loading_seconds)
        if request.content_type.startswith("image/"):
            return _pixels(body), TOP
        content = json_of(request, body)
        top = (content.get("parameters") or {}).get("top_k", TOP)
        if not isinstance(top, int) or top < 1:
            raise Refusal("invalid", "top_k must be a whole number of at least 1")
        return pixels_of(content.get("inputs")), top

    async def answered(self, asked: tuple[NDArray[np.uint8], int], _: int, /) -> Answered:
        """Return the likeliest labels; nothing is billed by the query."""
        pixels, top = asked
        try:
            scored = self._phraser.scored(await self._phraser.probabilities(pixels))
        except Unusable as fault:
            raise Refusal("invalid", f"the image cannot be used: {fault}") from fault
        except Broken as failure:
            raise Refusal("broken", f"the model failed: {failure}") from failure
        return Answered([{"label": name, "score": score} for name, score in scored[:top]])

    def refused(self, refusal: Refusal) -> tuple[int, dict[str, Any]]:
        """Return an error; one that waits for the model says for how long."""
        if refusal.why == "overloaded":
            return 503, {"error": str(refusal), "estimated_time": refusal.wait}
        return STATUSES.get(refusal.why, 500), {"error": str(refusal)}

    def waiting(self, refusal: Refusal, /) -> dict[str, str]:
        """Return how long to wait, but for the model, which the body says."""
        return {} if refusal.why == "overloaded" else refusal.retry_after


def _pixels(body: bytes) -> NDArray[np.uint8]:
    try:
        return decoded(body)
    except TooLarge as error:
        raise Refusal("too large", str(error)) from error
    except Exception as error:  # hostile bytes make a decoder raise nearly anything
        raise Refusal("invalid", "cannot identify image file") from error


serve = serving(HuggingFaceEmulator, NO_FAULTS)
