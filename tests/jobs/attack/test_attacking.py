"""Stress tests from Python: what is asked, what is set aside, and what counts as a success."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bbquery.client.halt import Interrupted
from bbquery.drift import checks_for
from bbquery.errors import BudgetExhausted, OracleError, OutcomeUnknown, Rejected, UnknownName, UsageError
from bbquery.jobs.attack.attack import attack
from bbquery.jobs.attack.job import overhead
from bbquery.jobs.attack.votes import Votes
from bbquery.jobs.watch import Watch
from bbquery.ledger.ledger import Ledger
from bbquery.ledger.records import Cap
from bbquery.oracle import Price
from bbquery.types import Decision
from bbquery.units import Units
from oracles import function
from tests.support import models
from tests.support.clocks import FakeClock
from tests.support.counted import Counted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bbquery.client.client import Client
    from bbquery.oracle import Oracle

pytestmark = pytest.mark.slow

LEVELS = 12  # the left half is brighter by so many grey levels
PHOTO = np.full((16, 16, 3), 100, np.uint8)
PHOTO[:, :8] += LEVELS
BOUNDARY = LEVELS / 2 / 255  # the nearest equal halves: both move by half of it
FAST = "lr_mifgsm:cells=4"


def named(call: Callable[..., Any] = models.brighter_half, **options: Any) -> Oracle:
    return function.connect(call, **({"answers": "labels", "version": "1"} | options))


def test_the_boundary_is_found_and_verified(ledger: Ledger) -> None:
    """The result is near the true distance, never below it, asked five times more, and meets thresholds it lies in."""
    model = Counted(models.brighter_half)

    stress = attack(PHOTO, named(model), attack=FAST, max_queries=900, rmse=[0.03, 0.1, 0.001], ledger=ledger)

    assert stress.outcome == "adversarial"
    assert BOUNDARY <= stress.rmse < 1.25 * BOUNDARY
    assert stress.successes == {0.1: True, 0.03: True, 0.001: False}
    assert stress.verification == Votes(5, 0, 5)
    assert stress.votes == Votes(6, 6, 0)
    assert stress.bound.target == "tabby cat"
    assert "path similarity" in stress.bound.about.unit
    assert stress.found is not None
    assert stress.found.best is not None
    assert Counter(image.tobytes() for image in model.shown)[stress.found.best.tobytes()] == 6
    assert stress.queries.sent == model.calls <= 900
    assert stress.error is None


def test_the_same_run_twice_sends_nothing_and_finds_the_same_bytes(ledger: Ledger) -> None:
    """A second identical run is free, in the same budget, and identical to the bit."""
    first, second = (attack(PHOTO, named(), attack=FAST, max_queries=400, ledger=ledger) for _ in range(2))
    other = attack(PHOTO, named(), attack=FAST, max_queries=400, seed=1, ledger=ledger)

    assert second.queries.sent == 0
    assert (second.run, second.budget.id) == (first.run, first.budget.id)
    assert first.found is not None
    assert second.found is not None
    assert first.found.best is not None
    assert second.found.best is not None
    assert np.array_equal(second.found.best, first.found.best)
    assert second.found.trace == first.found.trace
    assert other.run != first.run


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let retries wait on a clock that needs no time."""
    monkeypatch.setattr("bbquery.client.client.SystemClock", FakeClock)


@given(cap=st.integers(1, 700), every=st.none() | st.integers(2, 40))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_cap_is_never_passed(tmp_path: Path, no_waiting: None, cap: int, every: int | None) -> None:
    """Whatever the cap, and however many answers are lost and asked for again: it is too small, or it holds."""
    calls = itertools.count(1)

    def lossy(image: np.ndarray) -> Any:
        return OutcomeUnknown("lost") if every and next(calls) % every == 0 else models.brighter_half(image)

    model = Counted(lossy)
    with Ledger(tmp_path / f"{cap}-{every}.sqlite3") as ledger:
        try:
            stress = attack(PHOTO, named(model, price=Price()), attack=FAST, max_queries=cap, ledger=ledger)
        except UsageError:
            assert not model.calls
            assert cap < 150
            return
        state = stress.budget
    assert model.calls <= state.posted.queries + state.held.queries <= cap
    assert stress.verification is None or stress.verification.asked == 5


def test_what_verification_needs_is_left_whatever_the_attack_does(ledger: Ledger, no_waiting: None) -> None:
    """Lost answers use up the attack's own budget, never the five queries that verify what it found."""
    fate = np.random.default_rng(0)

    def lossy(image: np.ndarray) -> Any:
        return OutcomeUnknown("lost") if fate.random() < 0.15 else models.brighter_half(image)

    stress = attack(PHOTO, named(lossy, price=Price()), attack=FAST, max_queries=400, ledger=ledger)

    assert isinstance(stress.error, BudgetExhausted)
    assert stress.stopped is not None
    assert stress.verification is not None
    assert stress.verification.left >= 3
    assert stress.outcome == "adversarial"
    assert len(stress.unknown) > 30
    assert stress.budget.posted.queries + stress.budget.held.queries <= 400


def test_an_image_that_only_once_was_another_is_refuted(ledger: Ledger) -> None:
    """An answer that was a fluke does not survive being asked again, and is no success."""
    seen: set[bytes] = set()

    def fluke(image: np.ndarray) -> str:
        first = image.tobytes() not in seen
        seen.add(image.tobytes())
        return models.brighter_half(image) if first else "tabby cat"

    stress = attack(PHOTO, named(fluke), attack=FAST, max_queries=400, ledger=ledger)

    assert stress.outcome == "refuted"
    assert stress.verification == Votes(5, 5, 0)
    assert stress.rmse == math.inf
    assert not any(stress.successes.values())


def test_a_label_that_flips_by_itself_is_reported(ledger: Ledger) -> None:
    """Of six answers to the clean image two are another label: it is asked ten times more, and the attack goes on."""
    clean = iter(["tabby cat", "dog", "tabby cat", "dog", "tabby cat", "tabby cat"])

    def wavering(image: np.ndarray) -> str:
        return next(clean, "tabby cat") if np.array_equal(image, PHOTO) else models.brighter_half(image)

    stress = attack(PHOTO, named(wavering), attack=FAST, max_queries=400, ledger=ledger)

    assert stress.votes == Votes(16, 14, 2)
    assert stress.votes.flip_rate == pytest.approx(1 / 8)
    assert stress.verification == Votes(15, 0, 15)
    assert stress.outcome == "adversarial"


def test_a_misclassified_image_is_not_attacked(ledger: Ledger) -> None:
    """Where the oracle does not give the true label anyway, six queries are spent and nothing is claimed."""
    stress = attack(PHOTO, named(), attack=FAST, target="dog", max_queries=400, ledger=ledger)

    assert stress.outcome == "not attacked"
    assert stress.queries.sent == 6
    assert stress.found is None
    assert stress.votes == Votes(6, 0, 6)
    assert stress.rmse == math.inf
    assert not stress.unread


def test_a_model_that_never_changes_its_mind_is_not_fooled(ledger: Ledger) -> None:
    """Nothing found is a result, without a verification."""
    stress = attack(PHOTO, named(lambda _: "tabby cat"), attack=FAST, max_queries=300, ledger=ledger)

    assert stress.outcome == "not found"
    assert stress.verification is None
    assert stress.error is None


@pytest.mark.parametrize(
    ("oracle", "unit"),
    [
        (lambda: named(lambda image: "qwxz" if models.brighter_half(image) == "tabby cat" else "zxwq"), "same label"),
        (lambda: function.connect(models.sides, classes="qwxz|zxwq", version="1"), "same label"),
        (lambda: function.connect(models.sides, classes="cat|dog", version="1"), "path similarity"),
        (lambda: function.connect(models.sides, version="1"), "same label"),
    ],
)
def test_the_score_follows_from_the_labels(oracle: Callable[[], Oracle], unit: str, ledger: Ledger) -> None:
    """Labels that are nouns are scored by WordNet; others, and numbers without names, by being the same or not."""
    stress = attack(PHOTO, oracle(), attack=FAST, max_queries=300, ledger=ledger)

    assert unit in stress.bound.about.unit
    assert stress.outcome == "adversarial"


def test_a_text_is_attacked_until_it_no_longer_mentions_the_target(ledger: Ledger) -> None:
    """Free text has no label of its own: a target is needed, and then its mention is what must be lost."""
    oracle = named(lambda image: f"I see a {models.brighter_half(image)}.", answers="text")

    with pytest.raises(UsageError, match="say with target"):
        attack(PHOTO, oracle, attack=FAST, max_queries=300, ledger=ledger)
    stress = attack(PHOTO, oracle, attack=FAST, target="tabby cat", max_queries=300, ledger=ledger)

    assert stress.outcome == "adversarial"
    assert "is a text, and no noun" in stress.judgements["s3"].unknown


def test_a_score_that_is_better_when_lower_is_descended_the_right_way(ledger: Ledger) -> None:
    """With the distance in place of the similarity it goes as well: a plan sees higher values nearer the label."""
    found = [
        attack(
            PHOTO, named(), attack=f"{FAST},value_weight=1", score=f"hard:form={form}", max_queries=600, ledger=ledger
        ).rmse
        for form in ("similarity", "distance")
    ]

    assert max(found) < 1.4 * BOUNDARY


class Interrupting(Watch):
    """A person who stops the run after so many answers."""

    def __init__(self, after: int) -> None:
        self.left = after

    def started(self, client: Client, queries: int, rows: int) -> None:
        self.client = client

    def measuring(self, client: Client, queries: int) -> None:
        self.client = client

    def progressed(self) -> None:
        self.left -= 1
        if not self.left:
            self.client.halt.set(Interrupted("enough"))


def test_an_interrupted_attack_keeps_its_best_and_goes_on_later(ledger: Ledger) -> None:
    """Stopped by a person it asks nothing more, so its best is unverified; the same again pays only for the rest."""
    model, undisturbed = Counted(models.brighter_half), Counted(models.brighter_half)
    run: dict[str, Any] = {"attack": FAST, "max_queries": 400, "ledger": ledger}

    stopped = attack(PHOTO, named(model), watch=Interrupting(250), **run)
    resumed = attack(PHOTO, named(model), **run)
    straight = attack(PHOTO, named(undisturbed, version="2"), **run)

    assert isinstance(stopped.error, Interrupted)
    assert stopped.outcome == "unverified"
    assert stopped.found is not None
    assert stopped.found.best is not None
    assert resumed.outcome == straight.outcome == "adversarial"
    assert resumed.rmse == straight.rmse
    assert model.calls == undisturbed.calls


def test_an_oracle_that_fails_for_good_leaves_the_best_unverified(ledger: Ledger) -> None:
    """When the account is closed in the middle, what was found is kept and not claimed."""
    calls = itertools.count()

    def closed(image: np.ndarray) -> Any:
        return Rejected("account closed") if next(calls) > 300 else models.brighter_half(image)

    stress = attack(PHOTO, named(closed), attack=FAST, max_queries=500, ledger=ledger)

    assert isinstance(stress.error, Rejected)
    assert stress.outcome == "unverified"
    assert stress.found is not None
    assert stress.found.best is not None


def test_a_clean_image_without_an_answer_is_an_error(ledger: Ledger) -> None:
    """A refusal, an empty list and a failure on the clean image end the run after one query."""
    for model, said in (
        (lambda _: None, "no answer to the clean image"),
        (lambda _: [], "names nothing"),
        (lambda _: Rejected("no"), "no"),
    ):
        counted = Counted(model)
        with pytest.raises(OracleError, match=said):
            attack(PHOTO, named(counted, version=said), attack=FAST, max_queries=300, ledger=ledger)
        assert counted.calls == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_queries": 5}, "of 5 queries the clean image, its checks and the verification take 11"),
        ({"attack": "lr_mifgsm", "max_queries": 100}, "which leaves 89.*needs at least"),
        ({"attack": "lr_mifgsm:queries=400", "max_queries": 400}, "raise max_queries"),
        ({"max_queries": 0}, "allows nothing"),
        ({"attack": "nothing"}, "^unknown attack 'nothing'.*lr_mifgsm"),
        ({"attack": "hsja:gamma=-1"}, "^gamma"),
        ({"attack": 3}, "^3 is no attack"),
        ({"rmse": ".1,.05"}, "rmse must be several in a list, not '.1,.05'"),
        ({"rmse": []}, "RMSE"),
        ({"rmse": [0.1, 0.0]}, "RMSE"),
        ({"rmse": [1.5]}, "RMSE"),
        ({"drift_every": -1}, "drift"),
        ({"score": "hard", "target": "qwxz"}, "qwxz"),
        ({"max_tokens": 0}, "allows nothing"),
    ],
)
def test_impossible_wishes_are_refused_before_a_query(options: dict[str, Any], said: str, ledger: Ledger) -> None:
    """Every usage error is found before anything is sent."""
    model = Counted(models.brighter_half)

    with pytest.raises((UsageError, UnknownName), match=said):
        attack(PHOTO, named(model), **{"max_queries": 400, "ledger": ledger, **options})

    assert not model.calls


def test_floating_point_oracles_are_refused(ledger: Ledger) -> None:
    """What was asked must be bytes that can be kept; an oracle without them is named."""
    with pytest.raises(UsageError, match="8-bit"):
        attack(PHOTO, function.connect(models.sides, pixels="float64"), max_queries=400, ledger=ledger)


def test_a_cap_in_dollars_that_the_verification_would_use_up_is_refused(ledger: Ledger) -> None:
    """Four queries' worth of dollars cannot hold five for the verification."""
    model = Counted(models.brighter_half)

    with pytest.raises(UsageError, match="verification alone"):
        attack(PHOTO, named(model, usd_per_query="1"), max_queries=400, max_usd="4", ledger=ledger)

    assert not model.calls


def test_dollars_are_set_aside_too(ledger: Ledger) -> None:
    """A cap in dollars ends the attack six queries early: five verify what was found, one is kept for a lost one."""
    stress = attack(PHOTO, named(usd_per_query="0.01"), attack=FAST, max_queries=900, max_usd="3", ledger=ledger)

    assert isinstance(stress.error, BudgetExhausted)
    assert stress.verification is not None
    assert stress.verification.asked == 5
    assert stress.budget.posted == Units(299, 0, 299 * 10**10)


def test_a_project_caps_an_attack(ledger: Ledger) -> None:
    """Inside a project of 200 queries no more is asked, and what was found stays unverified."""
    project = ledger.open_budget("audit", Cap(queries=200))

    stress = attack(PHOTO, named(), attack=FAST, max_queries=400, project="audit", ledger=ledger)

    assert ledger.budget(project).posted.queries == 200
    assert stress.budget.name.startswith("audit/attack-")
    assert stress.outcome == "unverified"


def test_a_remote_model_that_changes_is_reported(ledger: Ledger) -> None:
    """Checks for drift are asked beside the rest, within the cap, and say when another version answers."""
    calls = itertools.count()

    def replaced(image: np.ndarray) -> Any:
        from bbquery.types import Label, Labels, Reply

        name = models.brighter_half(image)
        return Reply(Labels((Label(name),)), served="v1" if next(calls) < 200 else "v2")

    oracle = named(replaced, price=Price())
    object.__setattr__(oracle.capabilities, "remote", True)
    stress = attack(PHOTO, oracle, attack=FAST, max_queries=500, drift_every=100, ledger=ledger)

    assert stress.drift.drifted
    assert stress.drift.served == ("v1", "v2")
    assert stress.queries.asked <= 500
    assert len(stress.drift.checks) > 3


def test_the_overhead_is_what_is_not_the_attacks() -> None:
    """One clean answer, five repeats, five verifications, and the drift checks where there are any."""
    assert overhead(1000, 0) == 11
    assert overhead(1000, 200) == 11 + checks_for(1000, 200)


@pytest.mark.parametrize(
    ("votes", "majority", "rate"),
    [
        (Votes(5, 5, 0), Decision.MET, 0.0),
        (Votes(5, 1, 3), Decision.NOT_MET, 0.25),
        (Votes(4, 2, 2), Decision.UNDECIDED, 0.5),
        (Votes(5, 0, 0), Decision.UNDECIDED, math.nan),
    ],
)
def test_votes_are_counted(votes: Votes, majority: Decision, rate: float) -> None:
    """Most answers decide, a tie does not, and the minority is the flip rate."""
    assert votes.majority == majority
    assert votes.flip_rate == pytest.approx(rate, nan_ok=True)
