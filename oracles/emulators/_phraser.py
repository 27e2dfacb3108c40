"""The model behind emulated language models: an oracle's probabilities, put into words."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bbquery.errors import OracleError, UsageError
from bbquery.images.placement import fit
from bbquery.prompt_templates import MASKED
from bbquery.types import Vector
from oracles.emulators._phrases import (
    asked_for_yes_or_no,
    chosen,
    confirmation,
    listed,
    masked,
    name_alone,
    sentence,
    shares,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray

    from bbquery.oracle import Oracle
    from oracles.emulators._phrases import Piece


class Unusable(Exception):
    """The image cannot be used."""


class Broken(Exception):
    """The oracle failed."""


class Phraser:
    """Puts what `oracle` sees into words.

    Raises:
        UsageError: the oracle gives no probabilities of classes.
    """

    def __init__(self, oracle: Oracle) -> None:
        capabilities = oracle.capabilities
        if capabilities.answers != "probabilities" or capabilities.classes is None:
            raise UsageError(f"the emulator phrases probabilities of classes, which {capabilities.name} does not give")
        self._oracle, self._classes = oracle, capabilities.classes
        self._slots = asyncio.Semaphore(capabilities.limits.concurrency)

    async def probabilities(self, pixels: NDArray[Any]) -> list[float]:
        """Return the oracle's probabilities of its classes for pixels (H, W, 3).

        Raises:
            Unusable: the image cannot be used. Broken: the oracle failed.
        """
        try:
            payload = await asyncio.to_thread(self._encoded, pixels)
        except UsageError as fault:
            raise Unusable(str(fault)) from fault
        try:
            async with self._slots:
                (answered,) = await self._oracle.answer([payload])
        except (OracleError, UsageError) as failure:
            raise Broken(str(failure)) from failure
        if isinstance(answered, OracleError) or not isinstance(answered.answer, Vector):
            raise Broken(str(answered))
        return [float(probability) for probability in answered.answer.values]

    def _encoded(self, pixels: NDArray[Any]) -> Any:
        capabilities = self._oracle.capabilities
        if pixels.shape[:2] == capabilities.view.size:  # seen as it is: the model's own crop is for photos
            return self._oracle.encode(capabilities.domain.realise(pixels))
        return self._oracle.encode(fit(pixels, capabilities.view, capabilities.domain)[0])

    def scored(self, probabilities: Sequence[float]) -> list[tuple[str, float]]:
        """Return the names of all classes with their probabilities, likeliest first."""
        named = [(self._classes.show(index), float(p)) for index, p in enumerate(probabilities)]
        return sorted(named, key=lambda pair: -pair[1])

    def phrased(
        self, prompt: str, probabilities: Sequence[float], temperature: float, seed: tuple[int, ...]
    ) -> list[Piece]:
        """Return what is said to a prompt about an image with these probabilities."""
        confirmed = asked_for_yes_or_no(prompt)
        if confirmed is not None:
            names, among = confirmation(confirmed, self._classes, probabilities)
            return name_alone(names, among, chosen(among, temperature, seed))
        names = listed(prompt)
        if names:
            among = shares(names, self._classes, probabilities)
            return name_alone(names, among, chosen(among, temperature, seed))
        names = [self._classes.show(index) for index in range(len(self._classes))]
        choice = chosen(probabilities, temperature, seed)
        phrase = masked if MASKED in prompt else sentence
        return phrase(names, probabilities, choice)
