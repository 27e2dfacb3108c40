"""A page of each kind, made of given numbers, with what is hostile in names and labels."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image

import bbquery
from bbquery.client.halt import Interrupted
from bbquery.jobs.attack.run import AttackedImage, AttackRun
from bbquery.jobs.attack.series import Attacked
from bbquery.jobs.attack.whole import Tally
from bbquery.jobs.explain.series import ImageResult
from bbquery.jobs.explain.verified import Part, Verified
from bbquery.report import attack, attacks, comparison, evaluation, folder, probe
from bbquery.report.pages import audit, index
from bbquery.report.pages.attacks import thumbnail
from bbquery.types import Vector
from oracles import function
from tests.support import audit_summaries as audits
from tests.support import models
from tests.support.explanations import NAMES, explanation_of, map_of

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.jobs.explain.result import Explanation, TargetMap
    from bbquery.ledger.ledger import Ledger
    from bbquery.oracle import Oracle
    from bbquery.types import Image

HOSTILE = "<img src=x onerror=document.title='broken'>"
COMMAND = ["bbquery", "explain", f"{HOSTILE}.png", "--max-queries", "100"]
SIDE = 32
PHOTO = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
LEFT = np.where(np.arange(SIDE) < SIDE // 2, 1.0, -0.2) * np.ones((SIDE, SIDE))
LEFT[:4] = np.nan
BRIGHT = np.full((SIDE, SIDE, 3), 120, dtype=np.uint8)
BRIGHT[:, : SIDE // 2] = 160
CERTAIN = np.full((SIDE, SIDE), 0.1)
FLAT = np.zeros((SIDE, SIDE))
LABELS = (HOSTILE, *NAMES[1:])


def map_with_facts(**changes: object) -> TargetMap:
    """Return a good map of a hostile label, of which two facts were verified."""
    kept = np.broadcast_to(np.arange(SIDE) < SIDE // 4, (SIDE, SIDE))
    image = np.where(kept[:, :, None], PHOTO, 128).astype(np.uint8)
    answers = (Vector(np.array([0.5, 0.3, 0.2])), Vector(np.array([0.52, 0.28, 0.2])))
    part = Part(0.25, image, kept, answers, "25 % of the photo is enough", 0.5)
    verified = Verified(enough=part, breaks=None, queries=24, filling="grey", why="nothing that was hidden changed it")
    return map_of(LEFT, error=CERTAIN, target=HOSTILE, names=LABELS, verified=verified, **changes)  # type: ignore[arg-type]  # any of its options


def good() -> Explanation:
    return explanation_of(map_with_facts(), photo=PHOTO, names=LABELS, posted=2 * 10**9, held=10**9)


def empty() -> Explanation:
    """Return an explanation by a map that says nothing."""
    return explanation_of(map_of(FLAT, error=CERTAIN), photo=PHOTO)


def partial() -> Explanation:
    stopped = map_of(LEFT, error=CERTAIN, rows=200, stopped="interrupted")
    return replace(explanation_of(stopped, photo=PHOTO), error=Interrupted("interrupted by Ctrl-C"))


def two_targets() -> Explanation:
    return explanation_of(map_of(LEFT, error=CERTAIN), map_of(-LEFT, target=NAMES[1]), photo=PHOTO)


def write_explanation(made: Callable[[], Explanation], place: Path) -> None:
    place.parent.mkdir(exist_ok=True)
    folder.write(made(), place.parent, command=COMMAND, source=f"{HOSTILE}.png", resume="bbquery explain …")


def write_index(place: Path) -> None:
    place.parent.mkdir(exist_ok=True)
    results = [
        result("a-good", good()), result("b-empty", empty()), result("c-partial", partial()),
        result("d-failed", None), result("e-not-begun", None, ended=True),
    ]  # fmt: skip
    entries = [index.entry(each, f"{HOSTILE}.png") for each in results]
    index.write(place.parent, entries, budget=good().budget, command=COMMAND, resume="bbquery explain …")


def result(name: str, explanation: Explanation | None, *, ended: bool = False) -> ImageResult:
    error = Interrupted(f"stopped by {HOSTILE}") if explanation is None else explanation.error
    return ImageResult(
        name, "photo.png", explanation, error, ended_run=ended, rest=good().rest, run="series", budget=good().budget
    )


def brighter_half(image: Image) -> str:
    """Give a hostile label where the left half is brighter."""
    return HOSTILE if models.brighter_half(image) == "tabby cat" else "dog"


def stubborn(_: Image) -> str:
    return HOSTILE


@contextlib.contextmanager
def opened(place: Path, model: Callable[[Image], str] = brighter_half) -> Iterator[tuple[Oracle, Ledger]]:
    """Give a model as an oracle, and a ledger beside a page."""
    place.parent.mkdir(exist_ok=True)
    with bbquery.Ledger(place.parent / "ledger.sqlite3") as ledger:
        yield function.connect(model, answers="labels", version="1"), ledger


def write_attack(model: Callable[[Image], str], place: Path) -> None:
    with opened(place, model) as (oracle, ledger):
        found = bbquery.attack(BRIGHT, oracle, max_queries=60, score="label", ledger=ledger)
    attack.write(found, place.parent, command=["bbquery", "attack", f"{HOSTILE}.png"], source=f"{HOSTILE}.png")


def write_attacks(place: Path) -> None:
    """Write what one attack on two photos came to, one of which failed."""
    with opened(place) as (oracle, ledger):
        stress = bbquery.attack(BRIGHT, oracle, max_queries=60, score="label", ledger=ledger)
    run = AttackRun(
        run="0" * 16, images=tuple(AttackedImage(name, name, "0" * 64, None) for name in (HOSTILE, "dog")),
        thresholds=stress.thresholds, linf_thresholds=(), oracle=oracle.capabilities, seed=0, budget=stress.budget,
        seconds={},
    )  # fmt: skip
    done = Attacked(
        image=HOSTILE, attack="hsja", source="cat.png", given="hsja", control=False, stress=stress, error=None,
        ended_run=False, rest=stress.rest, part_of=run,
    )  # fmt: skip
    failed = replace(done, image="dog", stress=None, error=Interrupted("interrupted by Ctrl-C"))
    tally = Tally()
    for each in (done, failed):
        tally.take(each)
    whole = tally.whole(run)
    thumbnails = {(done.image, done.attack): thumbnail(stress)}
    attacks.write(whole, place.parent, command=["bbquery", "attack"], thumbnails=thumbnails)


def write_comparison(place: Path) -> None:
    with opened(place) as (oracle, ledger):
        found = bbquery.compare(BRIGHT, oracle, methods="rise,occlusion", max_queries=30, evaluate=True, ledger=ledger)
    comparison.write(found, place.parent, command=["bbquery", "compare", f"{HOSTILE}.png"], source=f"{HOSTILE}.png")


def write_evaluation(place: Path) -> None:
    with opened(place) as (oracle, ledger):
        found = bbquery.evaluate(np.nan_to_num(LEFT), BRIGHT, oracle, steps=4, copies=8, max_queries=200, ledger=ledger)
    evaluation.write(found, place.parent, command=["bbquery", "evaluate"], source=f"{HOSTILE}.png", of="map.npy")


def write_probe(place: Path) -> None:
    with opened(place) as (oracle, ledger):
        found = bbquery.probe(BRIGHT, oracle, max_queries=60, score="label", ledger=ledger)
    following = ["bbquery", "explain", f"{HOSTILE}.png"]
    probe.write(found, place.parent, command=["bbquery", "probe"], source=f"{HOSTILE}.png", following=following)


def write_audit(place: Path) -> None:
    """Write the page on an audit of two models, in which something of each kind happened."""
    place.parent.mkdir(exist_ok=True)
    PIL.Image.fromarray(PHOTO).resize((320, 240)).save(place.parent / "photo.png")
    seen = {"thumbnail": "photo.png", "maps": (audits.map_row(picture="photo.png", fidelity=0.4, enough=0.12),)}
    found = audits.attack_row(0.012, became=HOSTILE, image="photo.png", verdict=f"Becomes {HOSTILE}.")
    rows = [
        audits.row(HOSTILE, "own", first=HOSTILE, attacks=(found,), **seen), audits.row("cat", "own", **seen),
        audits.row("dog", "own", status="failed", why=HOSTILE, first=""),
        audits.row(HOSTILE, "other", label="dog", right=False, flips=1, repeats=3, drifted=True, **seen),
        audits.row("cat", "other", nothing="refused", first=""), audits.row("dog", "other", status="partial", **seen),
    ]  # fmt: skip
    gates = (
        audits.gate("min_fidelity", HOSTILE), audits.gate("no_drift", oracle="other"),
        audits.gate("agreement", oracle="own and other", verdict="cannot be told", found="", why="n = 1"),
    )  # fmt: skip
    made = audits.summary(
        place.parent, rows, name=HOSTILE, gates=gates, agreements=(audits.agreement(HOSTILE),), baseline="last week",
        changes=(audits.change(HOSTILE),), rests=(f"other: {HOSTILE}: its worst case does not fit",),
        resume="bbquery audit shop.toml", ended="the cap",
    )  # fmt: skip
    audit.write(place.parent, made)


def write_long_audit(place: Path) -> None:
    """Write the page on an audit of 250 photos, photo-0 to photo-249."""
    place.parent.mkdir(exist_ok=True)
    PIL.Image.fromarray(PHOTO).resize((320, 240)).save(place.parent / "photo.png")
    rows = [audits.row(f"photo-{number}", status="partial" if number % 2 else "complete") for number in range(250)]
    rows[1] = replace(rows[1], thumbnail="photo.png")  # the first on the page
    audit.write(place.parent, audits.summary(place.parent, rows))


SITE: Mapping[str, Callable[[Path], None]] = {
    **{
        f"{made.__name__}/report.html": functools.partial(write_explanation, made)
        for made in (good, empty, partial, two_targets)
    },
    "many/index.html": write_index,
    "attack/report.html": functools.partial(write_attack, brighter_half),
    "not-found/report.html": functools.partial(write_attack, stubborn),
    "attacks/index.html": write_attacks,
    "compare/report.html": write_comparison,
    "evaluate/report.html": write_evaluation,
    "probe/report.html": write_probe,
    "audit/report.html": write_audit,
    "long/report.html": write_long_audit,
}
"""How each page is written, by its path below a folder."""
