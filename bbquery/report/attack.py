"""An attack as a folder of files: the pixels that were asked, pictures of them, and the full record."""

from __future__ import annotations

import datetime
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bbquery.errors import MissingExtra
from bbquery.images.png import png
from bbquery.jobs.attack.votes import MOST_CHANCE, TEST
from bbquery.ledger import codec
from bbquery.money import dollars
from bbquery.report.files import write_bytes
from bbquery.report.oracle import described
from bbquery.report.record import versions
from bbquery.report.spent import spent
from bbquery.shown import as_json
from bbquery.specification import constructor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bbquery.jobs.attack.result import Stress
    from bbquery.jobs.attack.votes import Votes

PIXELS = "adversarial.png"


def write(stress: Stress, folder: Path, *, command: Sequence[str], source: str) -> list[Path]:
    """Write the pixels and the pictures, where an image was found, and, last, `attack.json`; return the paths.

    Files of an earlier attack that this one has not made are removed, so that a folder is of one run.

    Raises:
        UsageError: the folder cannot be written. MissingExtra: no matplotlib.
    """
    made = _pictures(stress)
    for name in (PIXELS, "clean.png", "difference.png", "attack.png"):
        if name in made:
            write_bytes(folder / name, made[name])
        else:
            (folder / name).unlink(missing_ok=True)
    write_bytes(folder / "attack.json", record(stress, command, source))
    return [folder / name for name in (*made, "attack.json")]


def _pictures(stress: Stress) -> dict[str, bytes]:
    if stress.found is None or stress.found.best is None:
        return {}
    try:
        from bbquery.report import attack_figure  # noqa: PLC0415 - matplotlib is optional
    except ImportError as error:
        raise MissingExtra("report", "drawing an attack", "matplotlib") from error
    return {
        PIXELS: png(stress.found.best),
        "clean.png": png(stress.x),
        "difference.png": attack_figure.difference(stress.x, stress.found.best),
        "attack.png": attack_figure.overview(stress),
    }


def record(stress: Stress, command: Sequence[str], source: str) -> bytes:
    """Return attack.json. command: as typed. source: where the photo is from. Numbers that are not known are null."""
    about = stress.bound.about
    plain = {
        "run": stress.run,
        "outcome": stress.outcome,
        "rmse": _number(stress.rmse),
        "success": {f"{threshold:g}": reached for threshold, reached in stress.successes.items()},
        "status": "complete" if stress.error is None else "partial",
        "stopped": None if stress.error is None else str(stress.error),
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": list(command),
        "versions": versions(),
        "image": {
            "source": source,
            "height": stress.photo.shape[0],
            "width": stress.photo.shape[1],
            "pixels": codec.image_digest(stress.photo).hex(),
            "sent": {
                "height": stress.x.shape[0],
                "width": stress.x.shape[1],
                "pixels": codec.image_digest(stress.x).hex(),
            },
        },
        "oracle": described(stress.oracle),
        "attack": constructor(stress.attack),
        "score": constructor(stress.score),
        "clean_label": stress.bound.target,
        "label_stands_while": about.criterion,
        "value": {"unit": about.unit, "nearer_is": about.direction},
        "seed": stress.seed,
        "clean": _votes(stress.votes),
        "found": _found(stress),
        "verification": None if stress.verification is None else _verification(stress.verification, stress.chance),
        "not_read": dict(stress.unread.most_common()),
        "drift": {
            "drifted": stress.drift.drifted,
            "reasons": list(stress.drift.reasons),
            "served": list(stress.drift.served),
        },
        **_spent(stress),
    }
    return f"{as_json(plain)}\n".encode()


def _spent(stress: Stress) -> dict[str, Any]:
    """Return what was asked and paid, and how long it took."""
    return {
        "queries": asdict(stress.queries),
        "spent": spent(stress.budget, stress.queries.from_store, stress.queries.sent),
        "budget": {
            "name": stress.budget.name,
            "cap": asdict(stress.budget.cap),
            "posted": asdict(stress.budget.posted),
            "held": asdict(stress.budget.held),
        },
        "unknown": [{"attempt": u.attempt, "opened": u.opened, "reason": u.reason} for u in stress.unknown],
        "cost": {
            "usd": dollars(stress.budget.posted.picodollars),
            "usd_held": dollars(stress.budget.held.picodollars),
            "prices": "this oracle is free" if stress.oracle.price.free else stress.oracle.price.source,
        },
        "seconds": {stage: round(seconds, 3) for stage, seconds in stress.seconds.items()},
    }


def _votes(votes: Votes) -> dict[str, Any]:
    return {**asdict(votes), "undecided": votes.asked - votes.kept - votes.left, "flip_rate": _number(votes.flip_rate)}


def _verification(again: Votes, chance: float) -> dict[str, Any]:
    return {**_votes(again), "test": TEST, "probability_of_chance": chance, "most_probability_of_chance": MOST_CHANCE}


def _found(stress: Stress) -> dict[str, Any] | None:
    """Return what the attack itself did; its best may be unverified or refuted."""
    found = stress.found
    if found is None:
        return None
    return {
        "best_rmse": _number(found.rmse),
        "pixels": None if found.best is None else codec.image_digest(found.best).hex(),
        "queries": found.queries,
        "undecided": found.undecided,
        "stopped": stress.stopped,
        "trace": [asdict(point) for point in found.trace],
        "steps": [{**asdict(step), "changed": _number(step.changed)} for step in found.steps],
    }


def _number(value: float) -> float | None:
    """Return a number that JSON has: None for NaN and infinity."""
    return value if math.isfinite(value) else None
