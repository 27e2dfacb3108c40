"""Proof from a vendor's usage report of which unknowns were billed, window by window.

The report counts what was billed, and says of no attempt whether it was. So it settles the unknowns of a window in two
cases:

1. It counts no query beyond those that were certainly billed: none of them was. All are voided.
2. It counts as many more as they hold, and in every other unit no more than they hold: all were. All are posted.

An answer that could not be read was billed, at a cost that could not be read either: it is posted at its worst case,
and the report corrects that. Where all that was billed so lies in one budget, each gets an even share of the
difference, as far as it held so much (the vendor does not say who cost what, and the budget's sum is right); where it
does not, only a difference of exactly what they hold is unambiguous.

*By the sum*, which a person must ask for, it is settled too where some were billed and others were not, or at other
costs in several budgets. Then as many are posted as were billed, those that hold most first: the sum is right in every
budget that holds all of them. In one that holds only some it may not be.

A report that leaves any window of a model unexplained settles nothing of that model: a query sent just before midnight
may be billed after it, and the error of one day hides in the next. So does anything still in flight, a report without
counts of queries, a window that ended so recently that the report may lag, and an attempt in it that was recorded while
this machine's clock was moved, so that it may belong to another day. The account's other users make
differences larger, never smaller: they may keep unknowns from being voided, or have them posted, but never the reverse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from bbquery.ledger.reconcile import Verdict
from bbquery.ledger.reports import PATH_SEPARATOR
from bbquery.units import total

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterator, Sequence

    from bbquery.ledger.reports import Attempt
    from bbquery.ledger.usage import Window

Proof: TypeAlias = tuple[list[Verdict] | None, str]
"""Verdicts, and what they mean; None instead of them where a window is not explained."""

SAID = {True: "agrees if every unknown was billed", False: "agrees if no unknown was billed"}
BY_SUM = "--by-sum settles it so that the sum is right"


def conclude(windows: Sequence[Window], now: datetime.datetime, *, by_sum: bool) -> None:
    """Decide for the windows of one model: all, or nothing."""
    proved = [_proved(window, now, by_sum=by_sum) for window in windows]
    explained = all(verdicts is not None for verdicts, _ in proved)
    for window, (verdicts, conclusion) in zip(windows, proved, strict=True):
        window.conclusion = conclusion
        if verdicts and explained:
            window.verdicts = verdicts
        elif verdicts:
            window.conclusion += "; left unsettled, since another window of this model is not explained"


def _proved(window: Window, now: datetime.datetime, *, by_sum: bool) -> Proof:
    agrees = not any(getattr(window.difference, unit) for unit in window.usage.units)
    unsure = _unsure(window)
    if unsure:
        return None, unsure
    if agrees and not window.unknowns:
        return [], "agrees"
    if not window.unknowns and not window.assumed:
        return None, "differs, and no unknown explains it"
    if "queries" not in window.usage.units:
        return None, "not conclusive: the report counts no queries"
    if now < window.usage.complete_from:
        return None, "not conclusive: the window ended less than a day ago, and reports lag"
    return _explained(window, by_sum=by_sum)


def _unsure(window: Window) -> str:
    """Return why it is not known what was sent in a window; "" where it is."""
    if window.in_flight:
        return f"not yet comparable: {window.in_flight} still in flight"
    if window.doubtful:
        return f"not conclusive: the clock was moved, so {window.doubtful} of its attempts may be of another time"
    return ""


def _explained(window: Window, *, by_sum: bool) -> Proof:
    """Say which attempts were billed, and at what, if that follows."""
    count = window.due.queries - total(each.hold for each in window.assumed).queries
    some = 0 < count < window.held.queries
    if some and not by_sum:
        return None, f"{count} of {len(window.unknowns)} unknowns were billed, the report does not say which: {BY_SUM}"
    unknowns = _largest(window.unknowns, count) if some else window.unknowns if count else []
    billed = [*window.assumed, *unknowns]
    if not _possible(window, billed):
        return None, "differs"
    said = f"{count} of {len(window.unknowns)} unknowns were billed" if some else SAID[bool(unknowns)]
    if by_sum or len({each.budget for each in billed}) == 1:
        costs = list(_shared(window, billed))
    elif _as_held(window, billed):
        costs, said = [Verdict(each.id, "posted") for each in unknowns], said + " as held" * bool(unknowns)
    else:
        return None, f"{said}, but not at how much in which budget: {BY_SUM}"
    voided = [Verdict(each.id, "voided") for each in window.unknowns if each not in unknowns]
    return [*costs, *voided], said + (_where([*billed, *window.unknowns]) if by_sum else "")


def _largest(unknowns: Sequence[Attempt], count: int) -> Sequence[Attempt]:
    """Return so many unknowns that hold most, for which any sum is possible that is possible for others."""
    return sorted(unknowns, key=lambda each: (-each.hold.picodollars, -each.hold.tokens, each.id))[:count]


def _possible(window: Window, billed: Sequence[Attempt]) -> bool:
    """Whether these attempts can have cost what is due: as many queries as they are, and no more than they held."""
    held = total(each.hold for each in billed)
    due = ((getattr(window.due, unit), getattr(held, unit)) for unit in window.usage.units)
    return window.due.queries == held.queries and all(0 <= more <= most for more, most in due)


def _as_held(window: Window, billed: Sequence[Attempt]) -> bool:
    held = total(each.hold for each in billed)
    return all(getattr(window.due, unit) == getattr(held, unit) for unit in window.usage.units)


def _shared(window: Window, billed: Sequence[Attempt]) -> Iterator[Verdict]:
    """Yield verdicts that share what is due."""
    costs = {
        unit: _shares(getattr(window.due, unit), [getattr(each.hold, unit) for each in billed])
        for unit in window.usage.units
    }
    for place, attempt in enumerate(billed):
        yield Verdict(attempt.id, "posted", **{unit: costs[unit][place] for unit in costs})


def _shares(amount: int, most: Sequence[int]) -> list[int]:
    """Return even shares of an amount, none above its most; the first ones take what does not divide."""
    shares = [0] * len(most)
    for taken, place in enumerate(sorted(range(len(most)), key=most.__getitem__)):
        shares[place] = min(most[place], -(-amount // (len(most) - taken)))
        amount -= shares[place]
    return shares


def _where(attempts: Sequence[Attempt]) -> str:
    """Say in which budget the sum is right: the nearest that holds all of the attempts."""
    paths = [attempt.budget.split(PATH_SEPARATOR) for attempt in attempts]
    common = [names[0] for names in zip(*paths, strict=False) if len(set(names)) == 1]
    return f"; the sum of {common[-1] if common else 'the whole ledger'} is as billed"
