"""Caps of a run of several parts, shared among them: a cap of the run, and a cap of each part within it."""

from __future__ import annotations

from bbquery.errors import UsageError
from bbquery.ledger.records import LARGEST_AMOUNT, Cap
from bbquery.money import dollars

OPTIONS = {"queries": "--max-queries", "tokens": "--max-tokens", "picodollars": "--max-usd"}


def share(parts: int, run: Cap, each: Cap, part: str = "image") -> tuple[Cap, Cap]:
    """Return the cap of a run of so many parts and the cap of each, where None stands for "not said".

    Unit by unit: if only the run's is said, the parts share it evenly, rounded down. If only each part's is said,
    the run's is so many times as much. If both are said, both hold. If neither is, there is none.

    part: what one is called, in the options too.

    Raises:
        UsageError: the shares would be nothing, or a part might spend more than the run.
    """
    pairs = {unit: _shared(unit, parts, part, getattr(run, unit), getattr(each, unit)) for unit in OPTIONS}
    whole, own = ({unit: pair[side] for unit, pair in pairs.items()} for side in (0, 1))
    return Cap(**whole), Cap(**own)


def _shared(unit: str, parts: int, part: str, run: int | None, each: int | None) -> tuple[int | None, int | None]:
    if each is None:
        return run, _even(unit, parts, part, run)
    if run is None:
        return min(parts * each, LARGEST_AMOUNT), each
    if each > run:
        option = OPTIONS[unit]
        raise UsageError(
            f"each {part} may take {_said(unit, each)} ({option}-per-{part}), all together only {_said(unit, run)}"
            f" ({option}): raise the one or lower the other"
        )
    return run, each


def _even(unit: str, parts: int, part: str, run: int | None) -> int | None:
    if run is None or run // parts:
        return None if run is None else run // parts
    raise UsageError(
        f"{_said(unit, run)} ({OPTIONS[unit]}) shared by {parts} {part}s leave nothing for each: raise it, or say with"
        f" {OPTIONS[unit]}-per-{part} how much one may take"
    )


def _said(unit: str, amount: int) -> str:
    return f"${dollars(amount)}" if unit == "picodollars" else f"{amount} {unit}"
