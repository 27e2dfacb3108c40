"""What every attack promises, whatever it must reach and whomever it asks.

As a plan each attack meets every goal at every kind of answer. As a job it meets every goal and every kind of oracle
once, in pairs that are dealt by its name, so that a new attack leaves the others' cases as they are. A run is stopped
in the middle and goes on; what it finds is held against the plan alone, which is played against the model itself
without client, store or budget.
"""

from __future__ import annotations

import zlib
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bbquery import load
from bbquery.attacks import Point
from bbquery.client.halt import Interrupted
from bbquery.errors import BudgetExhausted, UsageError
from bbquery.jobs.attack.attack import attack, attack_async
from bbquery.jobs.attack.goal import Goal
from bbquery.jobs.attack.job import overhead
from bbquery.jobs.watch import Watch
from bbquery.plan import Ask, replay
from bbquery.scoring.base import nearer_is_higher, score_rows
from bbquery.types import UINT8, Answer, Classes, Decision, Label, Labels, Reply, Scores, Text, Vector
from oracles import function, google_vision, http, onnx, openai
from oracles.emulators.google_vision import Faults as GoogleFaults
from oracles.emulators.google_vision import GoogleVisionEmulator
from oracles.emulators.http import Faults, HttpEmulator
from oracles.emulators.openai import Faults as OpenAIFaults
from oracles.emulators.openai import OpenAIEmulator
from tests.support import onnx_models
from tests.support.chance import Chance
from tests.support.clocks import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from bbquery.attacks import Attack, AttackResult
    from bbquery.client.client import Client
    from bbquery.jobs.attack.result import Stress
    from bbquery.ledger.ledger import Ledger
    from bbquery.oracle import Oracle
    from bbquery.scoring.base import BoundScore
    from bbquery.types import Image

pytestmark = pytest.mark.slow

SIDE = 12
FEWEST = 40  # queries of a search that is stopped
FEW, MORE = 90, 150  # queries; an attack may refuse the fewer
PHOTO = np.full((SIDE, SIDE, 3), 100, np.uint8)
PHOTO[..., 0] += 12
TURNED = np.ascontiguousarray(PHOTO[..., [1, 0, 2]])
CAT, DOG, CAR = CLASSES = ("tabby cat", "golden retriever", "sports car")
GOALS: dict[str, dict[str, Any]] = {
    "untargeted": {"score": "label"},
    "targeted": {"target_class": DOG, "start": TURNED},
    "s1": {"criterion": "s1"},
    "s2": {"criterion": "s2"},
    "s3": {"criterion": "s3"},
}


# --- models: red is a cat, green a dog ---


def lean(image: Image) -> float:
    return float(image[..., 0].mean()) - float(image[..., 1].mean())


def label(image: Image) -> Labels:
    return Labels((Label(CAT if lean(image) > 0 else DOG),))


def labels(image: Image) -> Labels:
    """List cats by their order, then a dog before them, then no cat, as it gets greener."""
    red = lean(image)
    cats = (CAT, "Siamese cat") if red > 6 else ("Siamese cat", CAT)
    names = cats if red > 0 else (DOG, CAT) if red > -6 else (DOG, "wheel")
    return Labels(tuple(Label(name, 0.9 - place / 10) for place, name in enumerate(names)))


def probabilities(image: Image) -> Vector:
    logits = image.reshape(-1, 3).mean(axis=0) / 10
    shares = np.exp(logits - logits.max())
    return Vector(shares / shares.sum())


def text(image: Image) -> Text:
    return Text(CLASSES[int(np.argmax(probabilities(image).values))])


@dataclass
class Asked:
    """A model that keeps what it was shown; every twentieth answer is chance where that is wanted."""

    answer: Callable[[Image], Answer]
    by_chance: bool = False
    shown: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._chance = Chance(3)

    def __call__(self, image: Image) -> Reply:
        self.shown.append(image.tobytes())
        rng = self._chance(image)
        if self.by_chance and rng.random() < 0.05:
            return Reply(Labels((Label(CLASSES[int(rng.integers(3))]),)))
        return Reply(self.answer(image))


ORACLES: dict[str, Callable[[], Asked]] = {
    "labels": lambda: Asked(label),
    "lists": lambda: Asked(labels),
    "probabilities": lambda: Asked(probabilities),
    "onnx": lambda: Asked(probabilities),
    "5 % chance": lambda: Asked(label, by_chance=True),
}


def connected(name: str, model: Asked, folder: Path) -> Oracle:
    if name == "onnx":
        path = onnx_models.classifier(
            folder / "model.onnx", shape=(1, 3, SIDE, SIDE), softmax=True, weights=np.eye(3, dtype=np.float32) / 10
        )
        (folder / "labels.txt").write_text("\n".join(CLASSES))
        return onnx.connect(model=path, labels=str(folder / "labels.txt"))
    answers: Any = {"probabilities": {"answers": "probabilities", "classes": CLASSES}}.get(name, {"answers": "labels"})
    return function.connect(model, version="1", **answers)


def dealt(name: str) -> list[tuple[str, str, str]]:
    """Return attack, goal and oracle of each case of an attack: every goal and every oracle once."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return [(name, goal, list(ORACLES)[at]) for goal, at in zip(GOALS, rng.permutation(len(ORACLES)), strict=True)]


def made(specification: str) -> Attack:
    with suppress(UsageError):
        return load.attack(specification, queries=FEW)
    return load.attack(specification, queries=MORE)


# --- as a plan: every attack, every goal, every kind of answer ---

KINDS: dict[str, Callable[[], Asked]] = {
    **{name: answers for name, answers in ORACLES.items() if name != "onnx"},
    "text": lambda: Asked(text),
}


def by_both_norms(name: str) -> list[str]:
    """Return an attack as it is, and by the largest change where it can be told to go by that."""
    has_norm = any(option.name == "norm" for option in fields(made(name)))  # type: ignore[arg-type] # all are dataclasses
    return [name, f"{name}:norm=linf"] if has_norm else [name]


def bound(goal: str, clean: Answer) -> BoundScore:
    """Return a goal as a score, bound to the answer to the clean image, whose label is a cat's."""
    wanted = {name: value for name, value in GOALS[goal].items() if name in ("target_class", "criterion")}
    return nearer_is_higher(
        Goal(**wanted).bind(load.score("label"), clean, CAT, Classes(((CAT,), (DOG,), (CAR,)))).goal
    )


def searched(specification: str, goal: str, kind: str) -> tuple[AttackResult, list[Image], list[int]]:
    """Return what a plan finds within a few queries, all that it asked, and each decision."""
    model, score = KINDS[kind](), bound(goal, KINDS[kind]().answer(PHOTO))
    images: list[Image] = []
    decisions: list[int] = []

    def answered(ask: Ask) -> Scores:
        rows = [ask.images[row] for row in range(len(ask.images))]
        scores = score_rows(score, [[model(row).answer] for row in rows])
        images.extend(rows)
        decisions.extend(scores.decision.tolist())
        return scores

    start = [GOALS[goal]["start"]] if "start" in GOALS[goal] else []
    return replay(made(specification).plan(PHOTO, UINT8, 5, *start), answered, stop_after=FEWEST), images, decisions


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("goal", GOALS)
@pytest.mark.parametrize("specification", [each for name in load.names("attack") for each in by_both_norms(name)])
def test_every_attack_meets_every_goal_at_every_kind_of_answer(specification: str, goal: str, kind: str) -> None:
    """Stopped after forty queries it has asked no more, and returns the nearest of those that reached the goal."""
    found, images, decisions = searched(specification, goal, kind)

    assert len(images) <= FEWEST
    reached = [image for image, met in zip(images, decisions, strict=True) if met == Decision.NOT_MET]
    changes = [np.subtract(image, PHOTO, dtype=np.float64) for image in reached]
    distances = [np.sqrt(np.mean(each**2)) if found.norm == "l2" else np.abs(each).max() for each in changes]
    nearest = min(distances, default=np.inf) / 255
    assert (found.rmse if found.norm == "l2" else found.linf) == pytest.approx(nearest, rel=1e-9)
    assert (found.best is None) == (not reached)
    assert found.best is None or any(np.array_equal(found.best, image) for image in reached)


# --- as a job ---


class Interrupting(Watch):
    """A person who stops the run after so many answers."""

    def __init__(self, after: int) -> None:
        self.left = after

    def started(self, client: Client, queries: int, rows: int) -> None:
        self.client = client

    def progressed(self) -> None:
        self.left -= 1
        if not self.left:
            self.client.halt.set(Interrupted("enough"))


def played(stress: Stress, model: Asked) -> AttackResult:
    """Return what the plan finds against the model alone; an image that is asked twice has one answer."""
    known: dict[bytes, Answer] = {}
    score = nearer_is_higher(stress.reached)

    def answered(ask: Ask) -> Scores:
        images = [ask.images[row] for row in range(len(ask.images))]
        for image in images:
            if image.tobytes() not in known:
                known[image.tobytes()] = model(image).answer
        return score_rows(score, [[known[image.tobytes()]] for image in images])

    plan = stress.attack.plan(PHOTO, UINT8, stress.seed, *([] if stress.start is None else [stress.start]))
    assert stress.found is not None
    return replay(plan, answered, stop_after=stress.found.queries)


def assert_same(stress: Stress, alone: AttackResult) -> None:
    """The plan's best is what is found, or what was refuted first; then what is found lies farther."""
    found = stress.found
    assert found is not None
    if stress.refuted:
        assert (stress.refuted[0].rmse, stress.refuted[0].linf) == (alone.rmse, alone.linf)
        assert stress.outcome == "refuted" or found.trace[-1] == Point(found.trace[-1].queries, found.rmse, found.linf)
        return
    assert (found.rmse, found.linf, found.trace) == (alone.rmse, alone.linf, alone.trace)
    assert (found.best is None) == (alone.best is None)
    if found.best is not None and alone.best is not None:
        assert found.best.tobytes() == alone.best.tobytes()


@pytest.mark.parametrize(("name", "goal", "oracle"), [case for name in load.names("attack") for case in dealt(name)])
def test_a_run_that_is_stopped_and_goes_on_finds_what_the_plan_finds(
    name: str, goal: str, oracle: str, ledger: Ledger, tmp_path: Path
) -> None:
    """Within its cap, to the bit, asking nothing twice; what it returns was asked, and its seed decides it."""
    model, chosen = ORACLES[oracle](), made(name)
    cap = chosen.queries + overhead(chosen.queries, 0) + 1
    options: dict[str, Any] = {"attack": chosen, "max_queries": cap, "seed": 5, "ledger": ledger} | GOALS[goal]
    asked = connected(oracle, model, tmp_path)

    stopped = attack(PHOTO, asked, watch=Interrupting(chosen.queries // 2), **options)
    stress = attack(PHOTO, asked, **options)

    assert isinstance(stopped.error, Interrupted)
    assert stress.error is None
    assert stress.budget.posted.queries <= cap
    assert stopped.queries.sent + stress.queries.sent == stress.budget.posted.queries
    assert_same(stress, played(stress, ORACLES[oracle]()))
    assert stress.found is not None
    if oracle == "onnx":
        return
    times = Counter(model.shown)
    again = {image for image, count in times.items() if count > 1} - {PHOTO.tobytes()}
    assert times.total() == stress.budget.posted.queries
    assert len(again) <= max(1, len(stress.refuted) + (stress.outcome != "refuted"))
    assert stress.found.best is None or stress.found.best.tobytes() in again


# --- over the wire, with faults ---
# Faults are the client's to deal with, and what travels does not show which attack asks. So three attacks stand for
# all: one that asks an image at a time and one that asks many at once, by criteria; one that begins at a start image.

SHARES: dict[str, Any] = {
    "seed": 7,
    "rate_limited": 0.08,
    "server_error": 0.05,
    "dropped": 0.04,
    "junk": 0.03,
    "retry_after": 0.0,
}


@asynccontextmanager
async def over_http(model: Asked) -> AsyncIterator[Oracle]:
    inner = function.connect(model, answers="labels", version="1")
    async with HttpEmulator(inner, Faults(**SHARES), usd_per_image="0.002").running() as url:
        yield await http.connect(url=url, usd_per_query="0.002")


@asynccontextmanager
async def over_google(model: Asked) -> AsyncIterator[Oracle]:
    inner = function.connect(model, answers="labels", version="1")
    async with GoogleVisionEmulator(inner, GoogleFaults(**SHARES)).running() as url:
        yield google_vision.connect(endpoint=url.removeprefix("http://"), largest_batch=4)


@asynccontextmanager
async def over_openai(model: Asked) -> AsyncIterator[Oracle]:
    inner = function.connect(model, classes=CLASSES, version="1")
    async with OpenAIEmulator(inner, OpenAIFaults(**SHARES)).running() as url:
        yield openai.connect(model="gpt-4o-mini", base_url=url, key_env=None, classes=CLASSES, height=SIDE, width=SIDE)


WIRES: dict[str, tuple[Any, Callable[[Image], Answer], Callable[[Image], Answer], dict[str, Any]]] = {
    "http": (over_http, labels, labels, GOALS["s3"]),
    "google_vision": (over_google, labels, labels, GOALS["s2"]),
    "openai": (over_openai, probabilities, text, GOALS["targeted"] | {"target": CAT}),
}
"""How it is served; what the model answers, and what comes of it; what must be reached."""


@pytest.mark.parametrize(("wire", "name"), [("http", "hsja"), ("google_vision", "lr_mifgsm"), ("openai", "surfree")])
async def test_faults_of_a_service_change_the_bill_and_not_the_result(
    wire: str, name: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fifth of the requests fails: the cap holds, and what is found is to the bit what the plan finds.

    The service decodes exactly the pixels whose distance is reported.
    """
    monkeypatch.setattr("bbquery.client.client.SystemClock", FakeClock)
    served, says, heard, goal = WIRES[wire]
    model = Asked(says)
    async with AsyncExitStack() as stack:
        oracle = await stack.enter_async_context(served(model))
        limits = replace(oracle.capabilities.limits, requests_per_minute=None, tokens_per_minute=None)
        object.__setattr__(oracle, "capabilities", replace(oracle.capabilities, limits=limits, provider=""))
        stress = await attack_async(
            PHOTO, oracle, attack=made(name), max_queries=2 * MORE, drift_every=0, ledger=ledger, **goal,
        )  # fmt: skip
        await oracle.aclose()

    assert not isinstance(stress.error, BudgetExhausted)
    assert stress.error is None
    assert stress.budget.posted.queries + stress.budget.held.queries <= 2 * MORE
    assert stress.queries.sent > stress.queries.asked  # there were faults
    assert_same(stress, played(stress, Asked(heard)))
    assert stress.outcome == "adversarial"
    assert stress.found is not None
    assert stress.found.best is not None
    assert stress.found.best.tobytes() in model.shown
