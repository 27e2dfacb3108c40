"""The model behind the OpenAI emulator: an oracle's probabilities, put into words, with usage and price."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from oracles.emulators._openai_reply import REASONING, REFUSAL, Outcome, used
from oracles.emulators._openai_request import BATCH, Refused
from oracles.emulators._phraser import Broken, Phraser, Unusable
from oracles.emulators._phrases import pieces

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray

    from bbquery.oracle import Oracle
    from oracles.emulators._language_faults import Ending
    from oracles.emulators._openai_faults import Faults
    from oracles.emulators._openai_request import Asked
    from oracles.emulators._phrases import Piece


class ChatModel:
    """Answers with what `oracle` sees.

    Raises:
        UsageError: the oracle gives no probabilities of classes.
    """

    def __init__(self, oracle: Oracle, faults: Faults) -> None:
        self._phraser, self._faults = Phraser(oracle), faults
        self._digest = hashlib.sha256(repr(sorted(oracle.capabilities.identity.items())).encode()).hexdigest()

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
            return await self._phraser.probabilities(pixels)
        except Unusable as fault:
            raise Refused(400, f"The image cannot be used: {fault}", code="invalid_image") from fault
        except Broken as failure:
            raise Refused(500, f"The model failed: {failure}", kind="server_error") from failure

    def _phrased(self, asked: Asked, number: int, probabilities: Sequence[float]) -> list[Piece]:
        seed = (self._faults.seed, number) if asked.seed is None else (abs(asked.seed),)
        return self._phraser.phrased(asked.messages[-1], probabilities, asked.temperature, seed)

    def _ended(self, said: list[Piece], room: int, number: int) -> tuple[list[Piece], Ending]:
        """Return what is said of it in the end, in so many tokens, and how it ends."""
        ending = self._faults.ending(number)
        if ending != "stop":
            return [], ending
        return said[:room], "length" if len(said) > room else "stop"

    def _fingerprint(self, number: int) -> str:
        drifted = 0 < self._faults.drift_after <= number
        return f"fp_{self._digest[10:20] if drifted else self._digest[:10]}"
