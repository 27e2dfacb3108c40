"""Caps of a run of several images, shared among them: a cap of the run, and a cap of each image within it."""

from __future__ import annotations

from bbquery.errors import UsageError
from bbquery.ledger.records import LARGEST_AMOUNT, Cap
from bbquery.money import dollars

OPTIONS = {"queries": "--max-queries", "tokens": "--max-tokens", "picodollars": "--max-usd"}


def share(images: int, run: Cap, each: Cap) -> tuple[Cap, Cap]:
    """Return the cap of a run of so many images and the cap of each, where None stands for "not said".

    Unit by unit: if only the run's is said, the images share it evenly, rounded down. If only each image's is said,
    the run's is so many times as much. If both are said, both hold. If neither is, there is none.

    Raises:
        UsageError: the shares would be nothing, or an image might spend more than the run.
    """
    pairs = {unit: _shared(unit, images, getattr(run, unit), getattr(each, unit)) for unit in OPTIONS}
    whole, part = ({unit: pair[side] for unit, pair in pairs.items()} for side in (0, 1))
    return Cap(**whole), Cap(**part)


def _shared(unit: str, images: int, run: int | None, each: int | None) -> tuple[int | None, int | None]:
    if each is None:
        return run, _even(unit, images, run)
    if run is None:
        return min(images * each, LARGEST_AMOUNT), each
    if each > run:
        option = OPTIONS[unit]
        raise UsageError(
            f"each image may take {_said(unit, each)} ({option}-per-image), all together only {_said(unit, run)}"
            f" ({option}): raise the one or lower the other"
        )
    return run, each


def _even(unit: str, images: int, run: int | None) -> int | None:
    if run is None or run // images:
        return None if run is None else run // images
    raise UsageError(
        f"{_said(unit, run)} ({OPTIONS[unit]}) shared by {images} images leave nothing for each: raise it, or say with"
        f" {OPTIONS[unit]}-per-image how much one may take"
    )


def _said(unit: str, amount: int) -> str:
    return f"${dollars(amount)}" if unit == "picodollars" else f"{amount} {unit}"
