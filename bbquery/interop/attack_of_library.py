"""Attacks of other libraries as attacks of bbquery: `art:NAME` and `foolbox:NAME`, unchanged, within a hard budget.

Theory of operation.

1. The library's code is synchronous. It runs on a thread of its own (`bbquery.interop.synchronous_code`) and sees a
   model of two classes: the clean label stands, or it is lost; so it attacks untargeted, and the job turns decisions
   round for a target. A row without a decision is not adversarial.
2. All that it asks is asked and counted, its own questions about the clean image too. At the last query it is ended at
   its question; the result is the nearest adversarial image that was asked, whatever the library would have returned.
   So is it where the clean image itself turns out to be adversarial: nothing is nearer.
3. The same seed asks the same: all randomness that it draws from is seeded while it computes.
4. Where it raises, what was found is kept, and a warning says so; before its first query it is the caller's mistake.
"""

from __future__ import annotations

import abc
import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from bbquery.attacks import Norm  # noqa: TC001 - a field of a dataclass
from bbquery.attacks._record import GREY_LEVELS, Record
from bbquery.errors import UnknownName, UsageError, described
from bbquery.interop.synchronous_code import Failed, SynchronousCode

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bbquery.attacks import AttackResult
    from bbquery.interop.synchronous_code import Question
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image

QUERIES = 1000
"""Of an attack that is made without a number of them."""


@dataclass(frozen=True, kw_only=True, repr=False)
class LibraryAttack(abc.ABC):
    """An attack of another library.

    prefix: that it is chosen by, before its name. queries: rows that it asks at most. name: its class. version: of the
    library. options: of its constructor, by name. norm: by which distance the nearest image is kept.
    """

    prefix: ClassVar[str]

    queries: int
    name: str
    version: str
    options: tuple[tuple[str, Any], ...] = ()
    norm: Norm = "l2"

    def __repr__(self) -> str:
        """Return it as a call, such as art:HopSkipJump(queries=994, version='1.20.1', max_iter=10)."""
        shown = {"queries": self.queries, "version": self.version, **dict(self.options)}
        options = ", ".join(f"{key}={value!r}" for key, value in shown.items())
        return f"{self.prefix}:{self.name}({options})"

    def plan(self, x: Image, domain: Domain, seed: int, start: Image | None = None) -> Plan[AttackResult]:
        """Run the library's attack on x (H, W, 3) and return the nearest adversarial image that it asked.

        start: given to the attack to begin with.

        Raises:
            UsageError: the attack takes no start, or raises before it asks anything.
        """
        if start is not None and not self.takes_start:
            raise UsageError(f"{self.prefix}:{self.name} takes no start image")
        record = Record(x, domain, self.queries, self.norm)
        return (yield from record.run(self._search(record, seed, start)))

    def _search(self, record: Record, seed: int, start: Image | None) -> Plan[None]:
        photo, first = _unit(record.x), None if start is None else _unit(record.pixels(start))
        with SynchronousCode(lambda ask: self.run(ask, photo, first), seed) as code:
            try:
                images = code.advance()
                while images is not None and record.distance:
                    rows = record.pixels(images.transpose(0, 2, 3, 1).astype("float64") * GREY_LEVELS)
                    images = code.advance((yield from record.adversarial(rows)))
            except Failed as failure:
                self._failed(record, failure.__cause__)

    def _failed(self, record: Record, cause: BaseException | None) -> None:
        assert cause is not None  # noqa: S101 - it is raised from what the code raised
        what = f"{self.prefix}:{self.name} ended early by {described(cause)}"
        if not record.queries:
            raise UsageError(f"{what}, before it asked anything: it may need gradients or other options") from cause
        warnings.warn(f"{what}; the best so far is kept", UserWarning, stacklevel=2)

    @property
    @abc.abstractmethod
    def takes_start(self) -> bool:
        """Whether it can begin at an image that is given."""

    @abc.abstractmethod
    def run(self, ask: Question, photo: NDArray[np.float32], start: NDArray[np.float32] | None) -> None:
        """Run the library's attack to its end.

        ask: which of images (n, 3, H, W) are adversarial. photo, start: (1, 3, H, W). All are of 0 to 1.
        """


def _unit(image: Any) -> NDArray[np.float32]:
    """Return an image (H, W, 3) of grey levels as a batch of one, channels first, 0 to 1."""
    unit: NDArray[np.float32] = (image.transpose(2, 0, 1)[None] / GREY_LEVELS).astype("float32")
    return unit


def options_of(made: Callable[..., Any], without: frozenset[str]) -> Mapping[str, inspect.Parameter]:
    """Return the options of a library's class that text can give, by name. without: those that it must not."""
    plain = (bool, int, float, str, type(None))
    parameters = inspect.signature(made).parameters
    return {
        key: each
        for key, each in parameters.items()
        if key not in without and (each.default is each.empty or isinstance(each.default, plain))
    }


def read(options: Mapping[str, str], known: Mapping[str, object], name: str) -> dict[str, Any]:
    """Read texts as whole numbers, numbers, true, false or none, and else as they are.

    Raises:
        UnknownName: an option is not known.
    """
    for key in options:
        if key not in known:
            raise UnknownName(f"option of {name!r}", key, known)
    return {key: _value(text) for key, text in options.items()}


def _value(text: str) -> Any:
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def count(options: dict[str, str], defaults: Mapping[str, object]) -> int:
    """Take the number of queries out of the options, or of the defaults.

    Raises:
        UsageError: it is no whole number above 0.
    """
    given = options.pop("queries", str(defaults.get("queries", QUERIES)))
    if not given.isdecimal() or not int(given):
        raise UsageError(f"the option queries={given} must be a whole number of at least 1")
    return int(given)
