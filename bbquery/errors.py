"""Everything bbquery raises on purpose, split by whose fault it is.

BbqueryError
|-- UsageError              the caller's mistake, found before a query is paid for     (exit code 2)
|   |-- UnknownName             .kind, .name, .known
|   |-- UnknownPrice            .vendor, .name; an unknown price is refused, never taken to be zero
|   |-- BadImage                .source, .reason
|   |-- MissingExtra            .extra
|   `-- KeyMissing              an oracle's key is not set
|-- OracleError             the oracle's fault; .oracle, .outcome, .retryable, .retry_after  (exit code 3)
|   |-- NotBilled               provably not billed: its hold is released
|   |   |-- RateLimited             asked again later
|   |   |-- Unreachable             no connection was made; asked again later
|   |   |-- Rejected                refused for good: a bad request
|   |   |   `-- KeyRefused              a bad key: every request would be refused
|   |   `-- QuotaExceeded           the account's quota, credit or spend limit: waiting does not help
|   |-- OutcomeUnknown          perhaps billed: its hold stays; asked again as a new attempt
|   |-- MalformedAnswer         answered, so billed, but cannot be read; asked again as a new attempt, which is paid too
|   `-- CostAboveHold           billed more than its worst case: bbquery's estimate of cost is wrong
|-- BudgetExhausted         the next query would pass a cap; .budget, .unit, .remaining, .needed   (exit code 4)
|-- StorageFailed           the ledger's file or disk failed; nothing is sent unseen         (exit code 1)
`-- NotWritten              answered, and kept, but a file or output could not be written    (exit code 6)

`bbquery.client.halt` adds Interrupted: a person stopped the run                                   (exit code 130)
"""

from __future__ import annotations

import difflib
import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from bbquery.shown import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bbquery.units import Units

Outcome = Literal["posted", "voided", "unknown"]

NEAREST = 8  # names in a message
LONGEST_SHOWN = 200  # characters of a name in a message; a name may come from an answer


class BbqueryError(Exception):
    """The root: catching it catches everything bbquery raises on purpose. Every file can hold its message."""

    def __init__(self, message: str = "") -> None:
        super().__init__(encodable(message))

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process as it is: not every error is made of its message."""
        return _made_again, (type(self), self.args, self.__dict__)


def _made_again(kind: type[BbqueryError], arguments: tuple[object, ...], state: dict[str, object]) -> BbqueryError:
    error = kind.__new__(kind)
    error.args = arguments
    error.__dict__.update(state)
    return error


class UsageError(BbqueryError):
    """The caller's mistake, found before a query is paid for."""


class UnknownName(UsageError):
    """A name that is not among the known ones; says which are (the nearest of many), and which was meant.

    if_new: how such a name is made known.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], *, if_new: str = "") -> None:
        self.kind, self.name, self.known = kind, name, tuple(dict.fromkeys(known))
        spelled = _spelled_like(name, self.known, most=NEAREST)
        near = _near(name, self.known, spelled)
        if len(self.known) <= 20:
            hint = f"known: {', '.join(map(_listed, self.known)) or 'none'}"
        elif near:
            hint = f"nearest of {len(self.known)}: {', '.join(map(_listed, near))}"
        else:
            hint = f"none of the {len(self.known)} known names is near it"
        new = f"; if it is new, {if_new}" if if_new else ""
        super().__init__(f"unknown {kind} {_quoted(name)}; {hint}{new}{_meant(spelled)}")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'rise'?", or nothing where no known name is spelled like `name`."""
    return _meant(_spelled_like(name, list(known), most=1))


def _meant(spelled: Sequence[str]) -> str:
    return f"; did you mean {_quoted(spelled[0])}?" if spelled else ""


def _near(name: str, known: Sequence[str], spelled: Sequence[str]) -> list[str]:
    """Return the known names that have `name` as a word, then those spelled like it."""
    containing = [k for k in known if name.lower() in k.lower().split()]
    return list(dict.fromkeys([*containing, *spelled]))[:NEAREST]


def _spelled_like(name: str, known: Sequence[str], most: int) -> list[str]:
    """Return the known names spelled like `name`, the likest first; capitals and signs between words do not count."""
    if len(name) > LONGEST_SHOWN:  # no name is so long, and comparing takes time
        return []
    plain: dict[str, list[str]] = {}
    for each in known:
        plain.setdefault(_plain(each), []).append(each)
    found = difflib.get_close_matches(_plain(name), plain, n=most, cutoff=0.6)
    return [each for one in found for each in plain[one]][:most]


def _plain(name: str) -> str:
    return name.casefold().replace("-", "_").replace(" ", "_")


def _listed(name: str) -> str:
    return shown(name, LONGEST_SHOWN)


def _quoted(name: str) -> str:
    return repr(name if len(name) <= LONGEST_SHOWN else f"{name[:LONGEST_SHOWN]}…")


class UnknownPrice(UsageError):
    """A price that nobody stated. how: what the user can do to state it."""

    def __init__(self, vendor: str, name: str, how: str) -> None:
        self.vendor, self.name = vendor, name
        super().__init__(
            f"the price of {name!r} at {vendor} is not known, and an unknown price is never taken to be zero: {how}"
        )


class BadImage(UsageError):
    """An image that cannot be used, and why."""

    def __init__(self, source: str, reason: str) -> None:
        self.source, self.reason = source, reason
        super().__init__(f"cannot use image {source!r}: {reason}")


class MissingExtra(UsageError):
    """An optional part that is not installed; names the extra that brings it."""

    def __init__(self, extra: str, purpose: str, missing: str) -> None:
        self.extra = extra
        super().__init__(f"{purpose} needs the package {missing!r}: install it with pip install 'bbquery[{extra}]'")


class KeyMissing(UsageError):
    """An oracle's key or credentials are not set, so nothing can be asked of it."""


class OracleError(BbqueryError):
    """The oracle failed. `outcome` says what becomes of the hold, `retryable` whether to ask again.

    retry_after: seconds that the oracle asks to be left alone, None where it does not say.
    """

    outcome: ClassVar[Outcome] = "unknown"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, oracle: str = "oracle", retry_after: float | None = None) -> None:
        self.oracle = oracle
        self.retry_after = retry_after if retry_after is not None and 0 <= retry_after < math.inf else None
        super().__init__(shown(f"{oracle}: {message}"))  # a server's or a model's words, on one line


class NotBilled(OracleError):
    """Provably not billed: the hold is released."""

    outcome = "voided"


class RateLimited(NotBilled):
    """Asked too fast."""

    retryable = True


class Unreachable(NotBilled):
    """No connection was made, so nothing was sent."""

    retryable = True


class Rejected(NotBilled):
    """Refused for good: asking again would be refused again."""


class KeyRefused(Rejected):
    """The oracle does not accept the key: whatever else is asked with it would be refused too."""


class QuotaExceeded(NotBilled):
    """The account's quota, credit or spend limit is used up: waiting does not help, so the run stops."""


class OutcomeUnknown(OracleError):
    """Sent, and perhaps billed, without an answer: a time-out, a dropped connection, a server's failure."""

    outcome = "unknown"
    retryable = True


class MalformedAnswer(OracleError):
    """Answered, so billed, but not what the oracle promised. cost: what it says it cost, None where it does not."""

    outcome = "posted"
    retryable = True

    def __init__(self, message: str, *, oracle: str = "oracle", cost: Units | None = None) -> None:
        self.cost = cost
        super().__init__(message, oracle=oracle)


class CostAboveHold(OracleError):
    """Billed more than its worst case: the bill is recorded as it is, and the run stops, since no cap is safe."""

    outcome = "posted"


class BudgetExhausted(BbqueryError):
    """The next query would pass a cap.

    in_ledger: whether the cap is set in the ledger, by `bbquery budget set`; else what set it says so again each time.
    """

    in_ledger: ClassVar[bool] = True

    def __init__(self, budget: str, unit: str, *, remaining: int, needed: int, cap: int) -> None:
        self.budget, self.unit, self.remaining, self.needed, self.cap = budget, unit, remaining, needed, cap
        word = "" if unit == "picodollars" else f" {unit}"
        super().__init__(
            f"budget {budget!r} has {_amount(remaining, unit)} of {_amount(cap, unit)}{word} left"
            f" and the next query needs {_amount(needed, unit)}: "
            f"raise the cap or use the partial result"
        )


def _amount(amount: int, unit: str) -> str:
    """Return an amount for people: dollars, not picodollars."""
    return f"${Decimal(amount).scaleb(-12).normalize():f}" if unit == "picodollars" else str(amount)


class StorageFailed(BbqueryError):
    """The ledger's file or disk failed. Nothing is sent without a committed hold, so nothing is spent unseen."""


class NotWritten(BbqueryError):
    """A result could not be written. What was paid for is in the store, so writing it again asks nothing."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is nearest to `name`; None where none is near."""
    distinct = list(dict.fromkeys(known))
    near = _near(name, distinct, _spelled_like(name, distinct, most=NEAREST))
    return max(near, key=lambda each: difflib.SequenceMatcher(None, _plain(each), _plain(name)).ratio(), default=None)


def encodable(text: str) -> str:
    """Return a text that UTF-8 can hold: half a surrogate pair, as servers and models send, is written out."""
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()


def described(error: BaseException) -> str:
    """Return an exception of any kind as `Type: message`; one whose message cannot be read as `Type`."""
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - the message is code of whoever raised it
        message = ""
    return encodable(f"{type(error).__name__}: {message}" if message else type(error).__name__)


def unforeseen(error: BaseException, oracle: str) -> BbqueryError:
    """Return an error that may end a run: itself where it was raised on purpose, else one that names it."""
    if isinstance(error, BbqueryError):
        return error
    failure = OracleError(f"asking failed unexpectedly: {described(error)}", oracle=oracle)
    failure.__cause__ = error
    return failure
