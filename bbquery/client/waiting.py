"""Waiting for a provider: how long a run waits, the lines it shows, and when it gives up.

A provider that refuses says when to ask again, now and then: in a second, or tomorrow. A wait that a person would
notice is said, once, with its end and its reason. One that would end later than the longest wait after the last answer
ends the run like a quota that is used up: what was answered is kept, and the same run again asks only for the rest.
"""

from __future__ import annotations

import datetime
import logging
import math
import re
from typing import TYPE_CHECKING

from bbquery.errors import QuotaExceeded, UsageError
from bbquery.option_types import is_number
from bbquery.telemetry import note

if TYPE_CHECKING:
    from collections.abc import Callable

    from bbquery.client.halt import Halt
    from bbquery.system.clock import Clock

LONGEST_WAIT = 15 * 60.0  # seconds; a rate limit is over within a few minutes, a quota within hours or days
WORTH_A_LINE = 5.0  # seconds
REFUSALS_WORTH_A_LINE = 10  # one after another without an answer; then ten times as many, and so on
LONGEST_SHOWN = 10 * 365 * 86_400.0  # seconds; what lies beyond is no date
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def longest(seconds: float | None) -> float:
    """Return the longest wait of a run, in seconds: the one given, or `LONGEST_WAIT`.

    Raises:
        UsageError: that is no time.
    """
    if seconds is None:
        return LONGEST_WAIT
    if not is_number(seconds) or not seconds >= 0:
        raise UsageError(f"a longest wait of {seconds!r} seconds is no time: give 0 or more")
    return float(seconds)


def read(text: str) -> float:
    """Return what a person writes: seconds, or a number with s, m, h or d, such as 90, 15m or 6h.

    Raises:
        UsageError: that is no time.
    """
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smhd]?)", text.strip())
    if found is None:
        raise UsageError(f"{text!r} is no time to wait: write seconds, or such as 15m, 6h or 1d")
    return float(found[1]) * _UNITS[found[2]]


def in_words(seconds: float) -> str:
    """Return a time as people say it."""
    for size, unit in ((86_400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f}".removesuffix(".0") + f" {unit}"
    whole = math.ceil(seconds)
    return f"{whole} second{'s' * (whole != 1)}"


def moment(seconds: float) -> str:
    """Return when so many seconds from now will be, on the clock of whoever reads it."""
    now = datetime.datetime.now(datetime.UTC).astimezone()
    then = now + datetime.timedelta(seconds=min(seconds, LONGEST_SHOWN))
    return f"{then:%H:%M:%S}" if then.date() == now.date() else f"{then:%Y-%m-%d %H:%M}"


class Waits:
    """The waits of one run. tell: called with a line for people. longest: seconds."""

    def __init__(self, oracle: str, halt: Halt, clock: Clock, tell: Callable[[str], None], longest: float) -> None:
        self._oracle, self._halt, self._clock, self._tell, self._longest = oracle, halt, clock, tell, longest
        self._why = "the limit that it states is used up until then"
        self._waited, self._counted = 0.0, math.inf  # seconds since the last answer, and up to which moment
        self._until = -math.inf  # the latest moment until which something was to wait
        self._refusals, self._said_until = 0, -math.inf

    def answered(self) -> None:
        """Something was answered: waiting is over."""
        self._waited, self._counted, self._refusals = 0.0, math.inf, 0

    def refused(self, why: str, seconds: float) -> None:
        """The provider refused, and lets nothing through for so many seconds."""
        self._why = why
        self._refusals += 1
        self.waits(seconds)
        if seconds < WORTH_A_LINE and self._refusals >= REFUSALS_WORTH_A_LINE and _is_round(self._refusals):
            self._say(f"refused {self._refusals:,} times without an answer between, and asks again: {self._why}")

    def waits(self, seconds: float) -> None:
        """Something must wait for so many seconds before it may leave: say so, or end the run.

        Only what the provider asked for counts as waiting, not an hour in which this machine was asleep.
        """
        now = self._clock.now()
        self._waited += max(min(now, self._until) - self._counted, 0.0)
        until = now + seconds
        self._counted, self._until = now, max(self._until, until)
        if self._waited + seconds > self._longest:
            self._halt.set(self._too_long(seconds, self._waited + seconds))
        elif seconds >= WORTH_A_LINE and until > self._said_until + WORTH_A_LINE:
            self._said_until = until
            until_when = f"{moment(seconds)} ({in_words(seconds)})"
            self._say(f"is not asked until {until_when}: {self._why}; Ctrl-C keeps what is answered")

    def _say(self, what: str) -> None:
        note("waiting", logging.WARNING, oracle=self._oracle, reason=what)
        self._tell(f"{self._oracle} {what}")

    def _too_long(self, seconds: float, together: float) -> QuotaExceeded:
        after = f", {in_words(together)} after its last answer" if together > seconds + 1 else ""
        message = (
            f"can be asked again at {moment(seconds)} (in {in_words(seconds)}{after}), and a run waits for at most"
            f" {in_words(self._longest)} (--longest-wait): what is answered is kept, and the same again then asks"
            f" only for the rest; {self._why}"
        )
        return QuotaExceeded(message, oracle=self._oracle)


def _is_round(count: int) -> bool:
    return str(count).strip("0") == "1"
