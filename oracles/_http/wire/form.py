"""The protocol of `oracles.http` as the form in which a server is asked and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oracles._http.transport import JSON_HEADERS
from oracles._http.wire import ANSWER_PATH
from oracles._http.wire.answers import failure, served, split_answers, unpack_answer
from oracles._http.wire.images import join_images, pack_image

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bbquery.types import Answer, AnswerKind, Classes


class OwnForm:
    """What `oracles._http.remote.Form` asks for, as our own protocol has it.

    kind, classes: what the server promises.
    """

    method, path = "POST", ANSWER_PATH

    def __init__(self, kind: AnswerKind, classes: Classes | None) -> None:
        self._kind, self._classes = kind, classes

    encode = staticmethod(pack_image)  # each function as it is: it is called for every image
    failure = staticmethod(failure)
    served = staticmethod(served)

    def join(self, payloads: Sequence[bytes]) -> tuple[bytes, Mapping[str, str]]:
        """Return a request's body and the headers that belong to it."""
        return join_images(payloads), JSON_HEADERS

    def split(self, body: bytes, payloads: Sequence[bytes]) -> list[Any]:
        """Return one item for each image of the request, not yet read."""
        return split_answers(body, len(payloads))

    def answer(self, item: Any) -> Answer:
        """Return the answer in an item."""
        return unpack_answer(item, self._kind, self._classes)
