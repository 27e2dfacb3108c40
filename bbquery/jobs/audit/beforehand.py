"""Checks of an audit before its first query: what is wrong with one oracle is found before another one is paid."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from bbquery.errors import BadImage, KeyMissing, UnknownName, UsageError
from bbquery.images import reading
from bbquery.images.placement import fit
from bbquery.jobs.attack.preparation import check_mentioned
from bbquery.jobs.audit.asking import asking_of
from bbquery.jobs.audit.photos import LABEL
from bbquery.ledger import codec
from bbquery.oracle import KeyedOracle
from bbquery.specification import parse

if TYPE_CHECKING:
    from bbquery.jobs.audit.photos import Photo
    from bbquery.jobs.audit.plan import OraclePlan, Plan
    from bbquery.ledger.ledger import Ledger
    from bbquery.oracle import Oracle

BLANK = np.zeros((64, 64, 3), np.uint8)
"""Stands for any photo where what is asked depends on its label alone."""
MOST_NAMED = 10  # photos that cannot be read
Size: TypeAlias = "tuple[int, int]"
"""(height, width), in pixels."""


def check_keys(oracles: Iterable[tuple[str, Oracle, Callable[[], bool]]]) -> None:
    """See that the keys of oracles are set, as far as these can say; nothing is sent.

    oracles: each with its name in the plan before it, and after it whether stored answers may do, for which no key is
    needed; asked only where one is missing.

    Raises:
        KeyMissing: one or more are not, or cannot be sent; says all, with their variables.
    """
    faults = [f"oracle {name!r} of the plan: {fault}" for name, fault in _without_key(oracles)]
    if faults:
        raise KeyMissing("; ".join((*faults, "nothing was asked of any oracle")))


def _without_key(oracles: Iterable[tuple[str, Oracle, Callable[[], bool]]]) -> Iterator[tuple[str, UsageError]]:
    for name, oracle, is_replayed in oracles:
        if isinstance(oracle, KeyedOracle):
            try:
                oracle.check_key()
            except UsageError as error:
                if not is_replayed():
                    yield name, error


def is_stored(oracle: Oracle, photos: Iterable[Photo], ledger: Ledger) -> bool:
    """Whether the store has an answer to each photo as it is, of those that can be read. One photo is in memory."""
    capabilities = oracle.capabilities
    fingerprint, _ = codec.fingerprint(capabilities.identity)
    for photo in photos:
        try:
            x, _ = fit(reading.load(photo.source), capabilities.view, capabilities.domain)
        except BadImage:
            continue
        digest = codec.image_digest(x)
        if not ledger.find([codec.answer_key(fingerprint, digest, 0)]):
            return False
    return True


def unknown_labels(plan: Plan, own: OraclePlan, oracle: Oracle, photos: Iterable[Photo]) -> list[str]:
    """Return what is wrong with labels that an oracle is to explain and does not know: a line for each such photo.

    Each says in which line of which CSV file the label stands, and what to do. Empty where no label is a target.
    """
    unknown: dict[str | None, str] = {}
    found = []
    for photo in photos if LABEL in own.targets else ():
        if photo.label not in unknown:
            unknown[photo.label] = _unknown(plan, own, oracle, photo)
        if unknown[photo.label]:
            found.append(f"{photo.line}: {unknown[photo.label]}")
    return found


def _unknown(plan: Plan, own: OraclePlan, oracle: Oracle, photo: Photo) -> str:
    """Return what is wrong with a photo's label, empty where nothing is; what else the plan lacks is not looked for."""
    try:
        asking_of(plan, own, photo, oracle, BLANK)
        if own.score is None:  # whose default looks for the label in what a text names
            check_mentioned(oracle.capabilities, photo.targets(own))
    except UnknownName as error:
        ours = "=" in own.oracle and "classes" in parse(own.oracle)[1]
        advice = f"correct it, or add it to classes= of oracle {own.name!r}" if ours else "correct it"
        return f"oracle {own.name!r}: {error}; {advice}"
    except UsageError:
        return ""
    return ""


def looked_through(photos: Sequence[Photo]) -> dict[str, Size | BadImage]:
    """Return the size of each photo by name, or why it cannot be read, wherever it is damaged; on a worker thread."""
    found = reading.sizes(photo.source for photo in photos)
    return {photo.name: found[photo.source] for photo in photos}


def unreadable(found: Mapping[str, str]) -> list[str]:
    """Return lines that say which photos cannot be read, and why. found: reasons, by name."""
    lines = [f"{name}: {why}" for name, why in itertools.islice(found.items(), MOST_NAMED)]
    return lines + ([f"and {len(found) - MOST_NAMED:,} more"] if len(found) > MOST_NAMED else [])
