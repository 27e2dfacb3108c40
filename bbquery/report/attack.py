"""An attack as a folder of files: the pixels that were asked, pictures of them, and the full record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bbquery.errors import MissingExtra
from bbquery.images.png import png
from bbquery.jobs.attack.votes import MOST_CHANCE, TEST
from bbquery.ledger import codec
from bbquery.report import cautions, record_parts
from bbquery.report.files import write_bytes
from bbquery.report.pages import attack as pages
from bbquery.report.pages import parts
from bbquery.report.pages.page import rendered
from bbquery.report.record import record_of
from bbquery.specification import constructor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import ModuleType

    from bbquery.jobs.attack.judgement import Judgement
    from bbquery.jobs.attack.preprocessing import Treated
    from bbquery.jobs.attack.result import Stress
    from bbquery.jobs.attack.votes import Votes

PIXELS = "adversarial.png"
FILES = {
    PIXELS: "the adversarial image that was found, exactly as it was asked",
    "clean.png": "the clean image, as it is sent",
    "difference.png": "by how much they differ",
    "attack.png": "all three, and the way to them",
}


def write(stress: Stress, folder: Path, *, command: Sequence[str], source: str, resume: str = "") -> list[Path]:
    """Write the pixels and the pictures, where an image was found; return the paths, last the page to open.

    `report.html` has all on one page; resume: the command that completes the run, for it. `attack.json` is written
    last. Files of an earlier attack that this one has not made are removed, so that a folder is of one run.

    Raises:
        UsageError: the folder cannot be written. MissingExtra: no matplotlib, or no Jinja.
    """
    made = _pictures(stress)
    for name in FILES:
        if name in made:
            write_bytes(folder / name, made[name])
        else:
            (folder / name).unlink(missing_ok=True)
    files = {name: FILES[name] for name in made}
    said = record(stress, command=command, source=source, files=files | parts.SAID)
    page = pages.page(stress, said, command=command, source=source, resume=resume)
    write_bytes(folder / parts.REPORT, rendered(page))
    write_bytes(folder / "attack.json", said)
    return [folder / name for name in (*made, "attack.json", parts.REPORT)]


def _pictures(stress: Stress) -> dict[str, bytes]:
    if stress.found is None or stress.found.best is None:
        return {}
    attack_figure = _figure()
    return {
        PIXELS: png(stress.found.best),
        "clean.png": png(stress.x),
        "difference.png": attack_figure.difference(stress.x, stress.found.best),
        "attack.png": attack_figure.overview(stress),
    }


def overview(stress: Stress) -> bytes:
    """Return a PNG of the clean image, what was found and the way to it; `stress` has found an image.

    Raises:
        MissingExtra: no matplotlib.
    """
    png: bytes = _figure().overview(stress)
    return png


def _figure() -> ModuleType:
    try:
        from bbquery.report import attack_figure  # noqa: PLC0415 - matplotlib is optional
    except ImportError as error:
        raise MissingExtra("report", "drawing an attack", "matplotlib") from error
    return attack_figure


def record(stress: Stress, *, command: Sequence[str], source: str, files: Mapping[str, str]) -> bytes:
    """Return attack.json. command: as typed. source: where the photo is from. files: what each written file is."""
    return record_of(
        "attack",
        stress,
        own_part(stress),
        command=command,
        source=source,
        targets=[record_parts.target(stress.bound)],
        score=stress.score,
        warnings=cautions.of_votes(stress),
        files=files,
    )


def own_part(stress: Stress) -> dict[str, Any]:
    """Return what only this command knows."""
    return {
        "outcome": stress.outcome,
        "rmse": stress.rmse,
        "success": _by_threshold(stress.successes),
        "linf": stress.linf,
        "linf_success": _by_threshold(stress.linf_successes),
        "attack": constructor(stress.attack),
        "goal": _goal(stress),
        "clean": _votes(stress.votes),
        "found": _found(stress),
        "verification": None if stress.verification is None else _verification(stress, stress.verification),
        "refuted": [{**vars(each), "votes": _votes(each.votes)} for each in stress.refuted],
        "criteria": {name: _judgement(judgement) for name, judgement in stress.judgements.items()},
        "preprocessing": None if stress.treated is None else [_treated(each) for each in stress.treated],
        "unread": record_parts.unread(stress.unread),
        "drift": record_parts.drift(stress.drift),
    }


def _by_threshold(successes: Mapping[float, bool]) -> dict[str, bool]:
    return {f"{threshold:g}": reached for threshold, reached in successes.items()}


def _goal(stress: Stress) -> dict[str, Any]:
    return {
        "target_class": None if stress.goal.target_class is None else stress.reached.target,
        "criterion": stress.goal.criterion,
        "tau": stress.goal.tau,
        "not_reached_while": stress.reached.about.criterion,
        "start": None if stress.start is None else codec.image_digest(stress.start).hex(),
    }


def _judgement(judgement: Judgement) -> dict[str, Any]:
    return {
        "stands_while": judgement.stands or None,
        "verdict": judgement.verdict,
        "clean": None if judgement.clean is None else _votes(judgement.clean),
        "found": None if judgement.found is None else _votes(judgement.found),
        "unknown": judgement.unknown or None,
    }


def _treated(treated: Treated) -> dict[str, Any]:
    return {"treatment": treated.treatment, "found": _votes(treated.found), "clean": _votes(treated.clean)}


def _votes(votes: Votes) -> dict[str, Any]:
    return {**vars(votes), "undecided": votes.asked - votes.kept - votes.left, "flip_rate": votes.flip_rate}


def _verification(stress: Stress, again: Votes) -> dict[str, Any]:
    return {
        **_votes(again),
        "labels": stress.labels,
        "test": TEST,
        "probability_of_chance": stress.chance,
        "most_probability_of_chance": MOST_CHANCE,
    }


def _found(stress: Stress) -> dict[str, Any] | None:
    """Return what the attack itself did; its best may be unverified or refuted."""
    found = stress.found
    if found is None:
        return None
    return {
        "best_rmse": found.rmse,
        "best_linf": found.linf,
        "norm": found.norm,
        "pixels": None if found.best is None else codec.image_digest(found.best).hex(),
        "queries": found.queries,
        "undecided": found.undecided,
        "stopped": stress.stopped,
        "trace": found.trace,
        "steps": found.steps,
    }
