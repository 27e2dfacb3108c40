"""The protocol of `oracles.http` as the form in which a server is asked and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oracles._wire import ANSWER_PATH
from oracles._wire.answers import failure, served, split_answers, unpack_answer
from oracles._wire.images import join_images, pack_image

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bbquery.types import Answer, AnswerKind, Classes, Image


class OwnForm:
    """What `oracles._remote.Form` asks for, as our own protocol has it. kind, classes: what the server promises."""

    method, path = "POST", ANSWER_PATH

    def __init__(self, kind: AnswerKind, classes: Classes | None) -> None:
        self._kind, self._classes = kind, classes

    def encode(self, image: Image) -> bytes:
        """Return an image as it will stand in the request: a quoted base64 PNG."""
        return pack_image(image)

    def join(self, payloads: Sequence[bytes]) -> tuple[bytes, Mapping[str, str]]:
        """Return a request's body and the headers that belong to it."""
        return join_images(payloads), {"Content-Type": "application/json"}

    def split(self, body: bytes, expected: int) -> list[Any]:
        """Return one item an image of the request."""
        return split_answers(body, expected)

    def failure(self, item: Any) -> str | None:
        """Return why an image failed alone, None where it did not."""
        return failure(item)

    def answer(self, item: Any) -> Answer:
        """Return the answer in an item."""
        return unpack_answer(item, self._kind, self._classes)

    def served(self, item: Any) -> str | None:
        """Return which model answered, None where it is not said."""
        return served(item)
