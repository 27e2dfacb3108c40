"""The model behind the OpenAI emulator: an oracle's probabilities, put into words, with usage and price."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

from bbquery.errors import OracleError, UsageError
from bbquery.images.placement import fit
from bbquery.prompt_templates import MASKED
from bbquery.types import Vector
from oracles.emulators._openai_answers import (
    asked_for_yes_or_no,
    chosen,
    confirmation,
    listed,
    masked,
    name_alone,
    sentence,
    shares,
)
from oracles.emulators._openai_reply import REASONING, REFUSAL, Outcome, used
from oracles.emulators._openai_request import BATCH, Refused
from oracles.emulators._openai_usage import pieces

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray

    from bbquery.oracle import Oracle
    from oracles.emulators._openai_answers import Piece
    from oracles.emulators._openai_faults import Faults
    from oracles.emulators._openai_reply import Ending
    from oracles.emulators._openai_request import Asked


class ChatModel:
    """Answers with what `oracle` sees.

    Raises:
        UsageError: the oracle gives no probabilities of classes.
    """

    def __init__(self, oracle: Oracle, faults: Faults) -> None:
        capabilities = oracle.capabilities
        if capabilities.answers != "probabilities" or capabilities.classes is None:
            raise UsageError(f"the emulator phrases probabilities of classes, which {capabilities.name} does not give")
        self._oracle, self._faults, self._classes = oracle, faults, capabilities.classes
        self._slots = asyncio.Semaphore(capabilities.limits.concurrency)
        self._digest = hashlib.sha256(repr(sorted(capabilities.identity.items())).encode()).hexdigest()

    async def answer(self, asked: Asked, number: int) -> Outcome:
        """Return the answer to request number `number`.

        Raises:
            Refused: the image cannot be used (400), or the oracle failed (500).
        """
        probabilities = await self.probabilities(asked.images[0])
        room = asked.cap - min(REASONING[asked.effort], asked.cap)
        said, ending = self._ended(self._phrased(asked, number, probabilities), room, number)
        spoken = min(len(pieces(REFUSAL)), room) if ending == "refusal" else len(said)
        changed = asked.tier != BATCH and self._faults.changes_tier(number)
        tier = "default" if changed else asked.tier
        cached, written = self._faults.cached, self._faults.cache_written
        return Outcome(
            asked=asked,
            number=number,
            said=said,
            ending=ending,
            usage=used(asked, spoken, reasoning=asked.cap - room, cached=cached, written=written, tier=tier),
            tier=tier,
            fingerprint=self._fingerprint(number),
        )

    async def probabilities(self, pixels: NDArray[Any]) -> list[float]:
        """Return the oracle's probabilities of its classes for pixels (H, W, 3).

        Raises:
            Refused: the image cannot be used (400), or the oracle failed (500).
        """
        try:
            payload = await asyncio.to_thread(self._encoded, pixels)
        except UsageError as fault:
            raise Refused(400, f"The image cannot be used: {fault}", code="invalid_image") from fault
        try:
            async with self._slots:
                (answered,) = await self._oracle.answer([payload])
        except (OracleError, UsageError) as failure:
            raise Refused(500, f"The model failed: {failure}", kind="server_error") from failure
        if isinstance(answered, OracleError) or not isinstance(answered.answer, Vector):
            raise Refused(500, f"The model failed: {answered}", kind="server_error")
        return [float(probability) for probability in answered.answer.values]

    def _encoded(self, pixels: NDArray[Any]) -> Any:
        capabilities = self._oracle.capabilities
        if pixels.shape[:2] == capabilities.view.size:  # seen as it is: the model's own crop is for photos
            return self._oracle.encode(capabilities.domain.realise(pixels))
        return self._oracle.encode(fit(pixels, capabilities.view, capabilities.domain)[0])

    def _phrased(self, asked: Asked, number: int, probabilities: Sequence[float]) -> list[Piece]:
        seed = (self._faults.seed, number) if asked.seed is None else (abs(asked.seed),)
        confirmed = asked_for_yes_or_no(asked.messages[-1])
        if confirmed is not None:
            names, among = confirmation(confirmed, self._classes, probabilities)
            return name_alone(names, among, chosen(among, asked.temperature, seed))
        names = listed(asked.messages[-1])
        if names:
            among = shares(names, self._classes, probabilities)
            return name_alone(names, among, chosen(among, asked.temperature, seed))
        names = [self._classes.show(index) for index in range(len(self._classes))]
        choice = chosen(probabilities, asked.temperature, seed)
        phrase = masked if MASKED in asked.messages[-1] else sentence
        return phrase(names, probabilities, choice)

    def _ended(self, said: list[Piece], room: int, number: int) -> tuple[list[Piece], Ending]:
        """Return what is said of it in the end, in so many tokens, and how it ends."""
        ending = self._faults.ending(number)
        if ending != "stop":
            return [], ending
        return said[:room], "length" if len(said) > room else "stop"

    def _fingerprint(self, number: int) -> str:
        drifted = 0 < self._faults.drift_after <= number
        return f"fp_{self._digest[10:20] if drifted else self._digest[:10]}"
