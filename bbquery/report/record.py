"""The record of a run: all that is needed to repeat and audit it, as JSON.

1. Every record has the same head (which run it was, how it ended, of what photo and which oracle) and the same tail
   (what was asked, paid and written). Between them stands the command's own part, which only that command knows.
2. `record.schema.json`, beside this file, describes every key. A number that is not known is null: JSON has no NaN.
3. `SCHEMA` rises when a key goes, or means something else. A new key leaves it as it is.
4. Records are read by `bbquery.jobs.record_file`: those of older versions too, but none of a newer one.
"""

from __future__ import annotations

import dataclasses
import datetime
import importlib.metadata
import math
import platform
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from bbquery.images.placement import placed
from bbquery.jobs.record_file import SCHEMA
from bbquery.ledger import codec
from bbquery.money import dollars
from bbquery.report.record_parts import in_words_of
from bbquery.report.spent import spent
from bbquery.shown import as_json
from bbquery.specification import constructor
from bbquery.version import __version__

if TYPE_CHECKING:
    from bbquery.jobs.attack.result import Stress
    from bbquery.jobs.attack.whole import Attacks
    from bbquery.jobs.compare.result import Comparison
    from bbquery.jobs.evaluate.result import Evaluation
    from bbquery.jobs.explain.findings import Finding
    from bbquery.jobs.explain.result import Explanation
    from bbquery.jobs.probe.result import Probe
    from bbquery.ledger.records import BudgetState
    from bbquery.oracle import Capabilities
    from bbquery.report.record_parts import Warned

    OfOneImage: TypeAlias = Explanation | Comparison | Evaluation | Probe | Stress
    Result: TypeAlias = OfOneImage | Attacks

Verb: TypeAlias = Literal["explain", "compare", "evaluate", "probe", "attack"]

PACKAGES = ("numpy", "pillow", "onnxruntime", "aiohttp")  # what decides pixels, answers and bytes


def record_of(
    verb: Verb,
    result: OfOneImage,
    own: Mapping[str, Any],
    *,
    command: Sequence[str],
    source: str,
    targets: Sequence[Mapping[str, Any]],
    score: object | None,
    warnings: Sequence[Warned | Finding],
    files: Mapping[str, str],
) -> bytes:
    """Return the record of a run on one image: head, own part, tail. Numbers in it need not be finite.

    own: what only this command knows. command: as typed. source: where the photo is from. targets: each with what a
    value of its score means. score: how answers became numbers; None where that was no one score. warnings: what a
    person must know before they believe the result. files: what each further file is, by name.
    """
    said = {"image": _image(result, source), "targets": targets, "score": None if score is None else constructor(score)}
    return _record(verb, result, said, own, command=command, warnings=warnings, files=files)


def record_of_several(
    verb: Verb,
    result: Attacks,
    own: Mapping[str, Any],
    *,
    command: Sequence[str],
    warnings: Sequence[Warned | Finding],
    files: Mapping[str, str],
) -> bytes:
    """Return the record of a run on several images, likewise: image, targets and score are in the records of each."""
    said: dict[str, Any] = {"image": None, "targets": [], "score": None}
    return _record(verb, result, said, own, command=command, warnings=warnings, files=files)


def _record(
    verb: Verb,
    result: Result,
    said: Mapping[str, Any],
    own: Mapping[str, Any],
    *,
    command: Sequence[str],
    warnings: Sequence[Warned | Finding],
    files: Mapping[str, str],
) -> bytes:
    """Return head, own part and tail together. said: image, targets and score, in their places of the head."""
    head = {
        "schema": SCHEMA,
        "verb": verb,
        "run": result.run,
        "status": "partial" if result.partial else "complete",
        "stopped": None if result.error is None else str(result.error),
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": command,
        "versions": versions(),
        "image": said["image"],
        "oracle": _oracle(result.oracle),
        "targets": said["targets"],
        "score": said["score"],
        "seed": result.seed,
    }
    tail = {
        "queries": result.queries,
        "spent": spent(result.budget, result.queries.from_store, result.queries.sent),
        "budget": _budget(result.budget),
        "unknown": [{"attempt": u.attempt, "opened": u.opened, "reason": u.reason} for u in result.unknown],
        "cost": _cost(result.budget, result.oracle),
        "seconds": {stage: round(seconds, 3) for stage, seconds in result.seconds.items()},
        "files": files,
        "warnings": [dataclasses.replace(each, text=in_words_of(result, each.text)) for each in warnings],
    }
    return encoded({**head, **own, **tail})


def encoded(plain: Mapping[str, Any]) -> bytes:
    """Return a record as the bytes of its file."""
    return f"{as_json(_plain(plain))}\n".encode()


def versions() -> dict[str, str]:
    """Return the versions of what took part, by name."""
    found = {"bbquery": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _image(result: OfOneImage, source: str) -> dict[str, Any]:
    """Return the photo and what the oracle is sent of it: digests of the pixels, and where those lie."""
    return {
        "source": source,
        "height": result.photo.shape[0],
        "width": result.photo.shape[1],
        "pixels": codec.image_digest(result.photo).hex(),
        "sent": {**vars(placed(result.photo, result.oracle.view)), "pixels": codec.image_digest(result.x).hex()},
    }


def _oracle(oracle: Capabilities) -> dict[str, Any]:
    """Return what decides an oracle's answers, of which kind they are, and what was made of its numbers."""
    return {
        "name": oracle.name,
        "identity": oracle.identity,
        "fingerprint": codec.fingerprint(oracle.identity)[0],
        "answers": oracle.answers,
        "activation": oracle.activation,
    }


def _budget(budget: BudgetState) -> dict[str, Any]:
    return {"name": budget.name, "cap": budget.cap, "posted": budget.posted, "held": budget.held}


def _cost(budget: BudgetState, oracle: Capabilities) -> dict[str, Any]:
    """Return what a budget has posted and still holds, in exact dollars, and where the prices are from."""
    each = budget.picodollars_a_query
    return {
        "usd": dollars(budget.posted.picodollars),
        "usd_held": dollars(budget.held.picodollars),
        "usd_a_query": None if each is None else dollars(each),
        "prices": "this oracle is free" if oracle.price.free else oracle.price.source,
    }


def _plain(value: Any) -> Any:
    """Return what JSON has: objects for mappings and dataclasses, lists for arrays, null for what is not finite."""
    match value:
        case Mapping():
            return {str(key): _plain(each) for key, each in value.items()}
        case np.ndarray() | np.generic():
            return _plain(value.tolist())
        case float():
            return value if math.isfinite(value) else None
        case str() | int() | None:
            return value
        case Sequence():
            return [_plain(each) for each in value]
    return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
