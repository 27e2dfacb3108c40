"""A template as the form in which a server is asked and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from oracles._http.template.boxes import Size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bbquery.oracle import Quote
    from bbquery.types import Answer, Image
    from bbquery.units import Units
    from oracles._http.template.answers import Item
    from oracles._http.template.bodies import Pieces
    from oracles._http.template.cost import TokenCost
    from oracles._http.template.file import Template


class Encoded(NamedTuple):
    """An image as it travels. height, width: in pixels, which decide what a vendor of tokens bills for it."""

    pieces: Pieces
    height: int
    width: int


class CostOfTokens:
    """A price of tokens, as `oracles._http.remote.Costs`."""

    def __init__(self, cost: TokenCost) -> None:
        self._cost = cost

    def quote(self, payload: Encoded) -> Quote:
        """Return what one query about an image may cost."""
        return self._cost.quote(payload.height, payload.width)

    def bill(self, item: Item) -> Units | None:
        """Return what a response says it used; None where it does not."""
        return self._cost.bill(item.document)


class TemplateForm:
    """What `oracles._http.remote.Form` asks for, as a template says it."""

    def __init__(self, template: Template) -> None:
        self.method, self.path = template.request.method, template.request.path
        self._body, self._reader = template.request.body, template.reader

    def encode(self, image: Image) -> Encoded:
        """Return what an image gives to a request."""
        return Encoded(self._body.encode(image), *image.shape[:2])

    def join(self, payloads: Sequence[Encoded]) -> tuple[bytes, Mapping[str, str]]:
        """Return a request's body and the headers that belong to it."""
        return self._body.join([payload.pieces for payload in payloads])

    def split(self, body: bytes, payloads: Sequence[Encoded]) -> list[Item]:
        """Return one item an image of the request."""
        return self._reader.split(body, [Size(payload.height, payload.width) for payload in payloads])

    def failure(self, item: Item) -> str | None:
        """Return why an image failed alone, None where it did not."""
        return self._reader.failure(item)

    def answer(self, item: Item) -> Answer:
        """Return the answer in an item."""
        return self._reader.answer(item)

    def served(self, item: Item) -> str | None:
        """Return which model answered, None where it is not said."""
        return self._reader.served(item)
