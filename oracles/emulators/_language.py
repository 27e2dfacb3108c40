"""Base of emulators of language models' vendors: a question about an image, an answer in words, and its tokens."""

from __future__ import annotations

import base64
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PIL import Image as Pillow

from oracles.emulators._language_faults import NO_FAULTS, LanguageFaults
from oracles.emulators._phraser import Broken, Phraser, Unusable
from oracles.emulators._phrases import pieces
from oracles.emulators._pictures import TooLarge, decoded
from oracles.emulators._vendor import LARGEST_BODY, Answered, Refusal, VendorEmulator

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bbquery.oracle import Oracle
    from oracles.emulators._language_faults import Ending

REFUSAL = "I can't help with that image."
A_MESSAGE = 7  # tokens around a question
FORMATS = ("PNG", "JPEG", "WEBP", "GIF")


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """A model, in picodollars a token: $0.15 for a million is 150,000. thinks: tokens of thought, where it may."""

    input: int
    output: int
    cached: int = 0
    written: int = 0
    thinks: int = 0


@dataclass(frozen=True, kw_only=True)
class Question:
    """A request that can be answered. cap: output tokens at most. thought: tokens that the model would think for."""

    name: str
    served: ServedModel
    prompt: str
    pixels: NDArray[np.uint8]
    image_tokens: int
    cap: int
    temperature: float
    thought: int = 0


@dataclass(frozen=True, kw_only=True)
class Said:
    """What is said to a question, and what it took. input: all tokens of it, of which some were cached or written."""

    question: Question
    number: int
    text: str
    ending: Ending
    input: int
    cached: int
    written: int
    thought: int
    spoken: int

    @property
    def picodollars(self) -> int:
        """What it costs."""
        served, plain = self.question.served, self.input - self.cached - self.written
        read, write = self.cached * served.cached, self.written * served.written
        return plain * served.input + read + write + (self.thought + self.spoken) * served.output


class LanguageEmulator(VendorEmulator):
    """Serves what `oracle` sees in words; closing the oracle stays with its owner.

    Raises:
        UsageError: the oracle gives no probabilities of classes.
    """

    def __init__(
        self,
        oracle: Oracle,
        faults: LanguageFaults = NO_FAULTS,
        *,
        key: str | None = None,
        largest_body: int = LARGEST_BODY,
    ) -> None:
        super().__init__(faults, key=key, largest_body=largest_body)
        self.faults, self._phraser = faults, Phraser(oracle)

    @abstractmethod
    def reply(self, said: Said) -> Any:
        """Return the JSON of a success."""

    async def answered(self, asked: Question, number: int, /) -> Answered:
        """Return the answer to a question."""
        try:
            probabilities = await self._phraser.probabilities(asked.pixels)
        except Unusable as fault:
            raise Refusal("invalid", f"the image cannot be used: {fault}") from fault
        except Broken as failure:
            raise Refusal("broken", f"the model failed: {failure}") from failure
        said = self._said(asked, number, probabilities)
        return Answered(self.reply(said), said.input + said.thought + said.spoken, said.picodollars)

    def _said(self, asked: Question, number: int, probabilities: list[float]) -> Said:
        thought = min(asked.thought, asked.cap)
        room, ending = asked.cap - thought, self.faults.ending(number)
        seed = (self.faults.seed, number)
        words = [piece.text for piece in self._phraser.phrased(asked.prompt, probabilities, asked.temperature, seed)]
        if ending != "stop":
            words = []
        elif len(words) > room:
            words, ending = words[:room], "length"
        taken = len(pieces(asked.prompt)) + asked.image_tokens + A_MESSAGE
        cached = int(taken * self.faults.cached)
        return Said(
            question=asked,
            number=number,
            text="".join(words),
            ending=ending,
            input=taken,
            cached=cached,
            written=int((taken - cached) * self.faults.cache_written),
            thought=thought,
            spoken=len(words),
        )


def pixels_of(data: object) -> NDArray[np.uint8]:
    """Return the uint8 (H, W, 3) pixels of an image in base64.

    Raises:
        Refusal: it is none that can be read.
    """
    if not isinstance(data, str):
        raise Refusal("invalid", "the image must be base64 in a string")
    try:
        return decoded(base64.b64decode(data, validate=True), FORMATS)
    except (TooLarge, Pillow.DecompressionBombError) as error:
        raise Refusal("too large", f"the image is too large: {error}") from error
    except Exception as error:  # hostile bytes make a decoder raise nearly anything
        raise Refusal("invalid", "the image cannot be read") from error


def cap_of(value: object, name: str) -> int:
    """Return a cap of output tokens.

    Raises:
        Refusal: it is none.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Refusal("invalid", f"{name}: must be a whole number of at least 1")
    return value


def number_of(value: object, name: str, least: float, most: float, default: float) -> float:
    """Return a number between two bounds, or `default` where there is none.

    Raises:
        Refusal: it is no such number.
    """
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise Refusal("invalid", f"{name}: must be a number from {least:g} to {most:g}")
    return float(value)


def check_members(content: dict[str, Any], known: set[str]) -> None:
    """Check that an object has no member that the vendor does not know.

    Raises:
        Refusal: it has one.
    """
    unknown = sorted(set(content) - known)
    if unknown:
        raise Refusal("invalid", f"{unknown[0]}: extra inputs are not permitted")
