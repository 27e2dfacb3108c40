"""What counts as found: a class to be reached, the criteria of lists, where the search begins, and the norms."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bbquery.attacks._record import Record
from bbquery.errors import UnknownName, UsageError
from bbquery.jobs.attack.attack import attack
from bbquery.jobs.attack.goal import Goal
from bbquery.jobs.attack.votes import Votes
from bbquery.types import Decision
from oracles import function
from tests.support import models
from tests.support.counted import Counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from bbquery.attacks import AttackResult
    from bbquery.ledger.ledger import Ledger
    from bbquery.oracle import Oracle
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image

pytestmark = pytest.mark.slow

PHOTO = np.full((16, 16, 3), 100, np.uint8)
PHOTO[:, :8] += 12
MIRRORED = PHOTO[:, ::-1].copy()
BLACK = np.zeros((16, 16, 3), np.uint8)
FAST = "lr_mifgsm:cells=4"


def named(call: Callable[..., Any], **options: Any) -> Oracle:
    return function.connect(call, **({"answers": "labels", "version": "1"} | options))


def three(image: Image) -> str:
    """Name a car where it is dark, else the brighter half."""
    return "car" if image.mean() < 60 else models.brighter_half(image)


def listing(image: Image) -> list[tuple[str, float]]:
    """List two cats and a dog, in an order that follows the halves; far enough on the right a car comes first."""
    half = image.shape[1] // 2
    lean = float(image[:, :half].mean()) - float(image[:, half:].mean())
    order = ["tabby cat", "Siamese cat", "golden retriever"] if lean > 4 else ["Siamese cat", "tabby cat"]
    names = order if lean > -4 else ["car", *order] if lean > -12 else ["car", "wheel"]
    return [(name, 0.9 - 0.1 * place) for place, name in enumerate(names)]


def run(call: Callable[..., Any], ledger: Ledger, photo: Image = PHOTO, **options: Any) -> Any:
    usual: dict[str, Any] = {"attack": FAST, "max_queries": 300, "ledger": ledger}
    return attack(photo, named(call), **usual | options)


@dataclass(frozen=True)
class Mirror:
    """An attack of one's own that knows nothing of starts: it asks for the mirrored photo, and records by L∞."""

    queries: int = 1

    def plan(self, x: Image, domain: Domain, seed: int) -> Plan[AttackResult]:
        record = Record(x, domain, self.queries, "linf")

        def search() -> Plan[None]:
            yield from record.is_adversarial(x[:, ::-1].astype(np.float64))

        return record.run(search())


# --- a class to be reached ---


def test_a_targeted_attack_reaches_its_class_from_a_photo_of_it(ledger: Ledger) -> None:
    """The image that is found has the target class, lies nearer than the start, and both are reported."""
    stress = run(three, ledger, target_class="golden retriever", start=MIRRORED)

    assert stress.outcome == "adversarial"
    assert three(stress.found.best) == "golden retriever"
    assert stress.rmse < 12 / 255
    assert (stress.bound.target, stress.reached.target) == ("tabby cat", "golden retriever")
    assert stress.votes == Votes(6, 6, 0)
    assert stress.verification == Votes(5, 0, 5)
    assert {name: each.verdict for name, each in stress.judgements.items()} == {
        "s1": "adversarial", "s2": "adversarial", "s3": "adversarial",
    }  # fmt: skip


def test_another_label_than_the_target_class_is_no_success(ledger: Ledger) -> None:
    """What changes the label, but not to the target class, does not count."""
    stress = run(lambda image: "car" if image.std() > 8 else "tabby cat", ledger, target_class="dog")

    assert (stress.outcome, stress.rmse) == ("not found", math.inf)


def test_a_start_is_asked_once_and_counts(ledger: Ledger) -> None:
    """The start image is one of the queries: it is asked once, within the cap, though the attack begins at it too."""
    model = Counted(three)
    stress = run(model, ledger, target_class="golden retriever", start=MIRRORED, max_queries=200)

    assert sum(np.array_equal(image, MIRRORED) for image in model.shown) == 1
    assert stress.found.trace[0].queries == 1
    assert stress.queries.sent == model.calls <= 200


def test_a_start_is_sent_in_the_size_of_the_clean_image(ledger: Ledger) -> None:
    """A larger photo of the target class is fitted to the same view."""
    large = np.repeat(np.repeat(MIRRORED, 3, axis=0), 2, axis=1)

    stress = run(three, ledger, target_class="golden retriever", start=large)

    assert stress.start.shape == PHOTO.shape
    assert stress.outcome == "adversarial"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"target_class": "golden retriever", "start": PHOTO}, "must be 'golden retriever', and .* 'tabby cat'"),
        ({"target_class": "golden retriever", "start": BLACK}, "must be 'golden retriever', and .* 'car'"),
        ({"start": PHOTO}, "must not be 'tabby cat', and .* 'tabby cat'"),
    ],
)
def test_a_start_that_is_not_there_yet_is_refused_before_the_budget_goes(
    options: dict[str, Any], said: str, ledger: Ledger
) -> None:
    """Seven queries show that it is no such photo, and no more are asked."""
    model = Counted(three)

    with pytest.raises(UsageError, match=said):
        run(model, ledger, **options)

    assert model.calls <= 7


def test_an_image_that_has_the_class_already_is_not_attacked(ledger: Ledger) -> None:
    """There is nothing to reach: six queries, and nothing is claimed."""
    stress = run(three, ledger, target_class="tabby cat", start=MIRRORED)

    assert (stress.outcome, stress.found, stress.queries.sent) == ("not attacked", None, 6)
    assert stress.votes.majority == Decision.NOT_MET


def test_a_misclassified_image_is_not_attacked_for_another_class_either(ledger: Ledger) -> None:
    """Where the true label is not the model's, reaching another one would prove nothing."""
    stress = run(three, ledger, target="car", target_class="golden retriever")

    assert (stress.outcome, stress.queries.sent) == ("not attacked", 6)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"target_class": "golden retreiver"}, "did you mean 'golden retriever'"),
        ({"target_class": "wolf", "score": "hard"}, "unknown label 'wolf'"),  # a noun that no class is a kind of
        ({"target_class": "tabby cat", "target": "tabby cat"}, "name another"),
        ({"target_class": "car", "criterion": "s1"}, "leave it out with target_class"),
        ({"criterion": "s4"}, "s1, s2, s3"),
        ({"tau": -0.1}, "^tau is a score"),
        ({"tau": "much"}, "^tau is a score"),
        ({"target_class": 3}, "target_class must be text"),
        ({"linf": [0.0]}, "L∞"),
        ({"linf": 0.1}, "several in a list"),
        ({"check_preprocessing": 3}, "at least so many"),
        ({"check_preprocessing": -1}, "at least 0"),
        ({"check_preprocessing": 160}, "which leaves"),
        ({"start": "nowhere.png"}, "no such file"),
        ({"criterion": "s3", "target": "qwxz"}, "qwxz"),
    ],
)
def test_impossible_goals_are_refused_before_a_query(options: dict[str, Any], said: str, ledger: Ledger) -> None:
    """What cannot be reached, judged or afforded is said before anything is asked."""
    model = Counted(three)
    oracle = named(model, classes="tabby cat|golden retriever|car|qwxz")

    with pytest.raises((UsageError, UnknownName), match=said):
        attack(PHOTO, oracle, attack=FAST, ledger=ledger, max_queries=300, **options)

    assert not model.calls


def test_in_an_open_vocabulary_any_label_may_be_reached(ledger: Ledger) -> None:
    """Where nobody knows the classes, a word that WordNet lacks is a label like any other."""
    stress = run(lambda image: "qwxz" if models.brighter_half(image) != "tabby cat" else "zxwq", ledger,
                 target_class="qwxz", start=MIRRORED)  # fmt: skip

    assert stress.outcome == "adversarial"
    assert "WordNet does not know 'zxwq'" in stress.judgements["s3"].unknown
    assert stress.judgements["s3"].verdict is None


# --- criteria ---


def test_the_search_goes_by_the_criterion_and_all_three_are_judged(ledger: Ledger) -> None:
    """S1 stops at another order, S2 at a new label, S3 once no cat is listed: each farther than the one before."""
    found = {name: run(listing, ledger, criterion=name, max_queries=400) for name in ("s1", "s2", "s3")}

    assert [stress.outcome for stress in found.values()] == ["adversarial"] * 3
    distances = [stress.rmse for stress in found.values()]
    assert distances == sorted(set(distances))
    assert listing(found["s1"].found.best)[0][0] == "Siamese cat"
    assert "cat" in " ".join(name for name, _ in listing(found["s2"].found.best))
    verdicts = {name: [each.verdict for each in stress.judgements.values()] for name, stress in found.items()}
    assert verdicts == {
        "s1": ["adversarial", "refuted", "refuted"],
        "s2": ["adversarial", "adversarial", "refuted"],
        "s3": ["adversarial"] * 3,
    }  # fmt: skip
    assert len({stress.run for stress in found.values()}) == 3


def test_lists_are_attacked_by_the_second_criterion_unless_it_is_said(ledger: Ledger) -> None:
    """The default is S2, and naming it is the same run."""
    usual, second = run(listing, ledger), run(listing, ledger, criterion="s2")

    assert (usual.run, usual.goal.criterion, second.queries.sent) == (second.run, "s2", 0)


def test_tau_is_of_the_run_only_where_the_search_uses_it(ledger: Ledger) -> None:
    """Above which score a label counts changes what S3 asks, and what is reported of the others."""
    plain, reported, by_s3 = (
        run(listing, ledger, **options) for options in ({}, {"tau": 0.75}, {"tau": 0.75, "criterion": "s3"})
    )

    assert plain.run == reported.run != by_s3.run
    assert plain.judgements["s3"].verdict == "refuted"
    assert by_s3.outcome == "adversarial"


def test_an_empty_list_is_an_outcome_of_its_own(ledger: Ledger) -> None:
    """An image of which the model names nothing is not found, and one that names nothing when asked again is empty."""
    silent = run(lambda image: [] if image.std() > 8 else ["tabby cat"], ledger)
    seen: set[bytes] = set()

    def once(image: Image) -> list[str]:
        first = image.tobytes() not in seen or np.array_equal(image, PHOTO)
        seen.add(image.tobytes())
        return [models.brighter_half(image)] if first else []

    found = run(once, ledger)

    assert silent.outcome == "not found"
    assert silent.unread["an empty list"] > 100
    assert found.outcome == "empty"
    assert found.verification == Votes(5, 0, 0, 5)
    assert [each.verdict for each in found.judgements.values()] == ["empty"] * 3


# --- distances, and what the model's own preprocessing does ---


def test_both_distances_are_reported_and_judged(ledger: Ledger) -> None:
    """RMSE and L∞ are those of the pixels that were found; each has thresholds of its own."""
    stress = run(three, ledger, attack=Mirror(), rmse=[0.1, 0.001], linf=[0.001, 0.2])

    assert stress.found.norm == "linf"
    assert stress.linf == 12 / 255
    assert stress.rmse == pytest.approx(12 / 255)
    assert stress.linf_successes == {0.2: True, 0.001: False}
    assert stress.successes == {0.1: True, 0.001: False}


def test_preprocessing_is_asked_from_the_cap_and_tells_what_survives(ledger: Ledger) -> None:
    """A change of one bit is lost when one bit is; the clean image keeps its label, and nothing passes the cap."""
    model = Counted(lambda image: "golden retriever" if (image % 2).mean() > 0.3 else "tabby cat")

    stress = run(model, ledger, np.full((16, 16, 3), 100, np.uint8), check_preprocessing=40)

    assert stress.outcome == "adversarial"
    treated = {each.treatment: each for each in stress.treated}
    assert treated["one bit less"].found == treated["one bit less"].clean == Votes(2, 2, 0)
    assert len(treated) == 8
    assert all(each.clean.kept == 2 for each in treated.values())
    assert model.calls <= 300


def test_a_large_change_of_large_areas_survives_all_preprocessing(ledger: Ledger) -> None:
    """The mirrored halves stay the other way round under JPEG, resizing, a crop and rounding; so do the clean ones."""
    stress = run(three, ledger, attack=Mirror(), check_preprocessing=16)

    assert [(each.found, each.clean) for each in stress.treated] == [(Votes(1, 0, 1), Votes(1, 1, 0))] * 8


# --- degenerate cases ---


@pytest.mark.parametrize("goal", [{}, {"criterion": "s1"}, {"criterion": "s3"}, {"target_class": "golden retriever"}])
@pytest.mark.parametrize(
    ("model", "outcome"),
    [
        (lambda _: "tabby cat", "not found"),
        (lambda image: "tabby cat" if np.array_equal(image, PHOTO) else None, "not found"),
        (lambda image: "tabby cat" if np.array_equal(image, PHOTO) else "golden retriever", "adversarial"),
    ],
    ids=["constant", "refuses", "all but one"],
)
def test_models_without_a_boundary_are_sane(
    goal: dict[str, Any], model: Callable[..., Any], outcome: str, ledger: Ledger
) -> None:
    """A label that never changes, refusals of all but the clean image, or a model that knows that one photo alone."""
    assert run(model, ledger, max_queries=160, **goal).outcome == outcome


@pytest.mark.parametrize(
    "photo", [np.full((16, 16, 3), 127, np.uint8), np.zeros((8, 8, 3), np.uint8)], ids=["grey", "8"]
)
def test_photos_of_one_colour_and_of_eight_pixels_are_attacked(photo: Image, ledger: Ledger) -> None:
    """There is something to find in either, and it is found and verified."""
    stress = run(
        lambda image: "golden retriever" if float(image.std()) > 6 else "tabby cat", ledger, photo,
        attack="lr_mifgsm:cells=2", check_preprocessing=16,
    )  # fmt: skip

    assert stress.outcome == "adversarial"
    assert stress.treated is not None


def test_the_smallest_budget_is_attacked_with_one_query(ledger: Ledger) -> None:
    """Eleven queries are the protocol's own; one more is the attack's, if it can work with one."""
    model = Counted(models.brighter_half)

    stress = run(model, ledger, attack=Mirror(), max_queries=12)

    assert stress.outcome == "adversarial"
    assert model.calls == stress.queries.sent == 12


def test_a_goal_is_resumed_like_any_run(ledger: Ledger) -> None:
    """The same goal again asks nothing; another start is another run."""
    options: dict[str, Any] = {"target_class": "golden retriever", "check_preprocessing": 16}
    first, second = (run(three, ledger, start=MIRRORED, **options) for _ in range(2))
    other = run(three, ledger, start=np.roll(MIRRORED, 1, axis=0) // 2 + 40, **options)

    assert second.queries.sent == 0
    assert (first.run, first.treated, first.rmse) == (second.run, second.treated, second.rmse)
    assert other.run != first.run


@pytest.mark.parametrize(
    ("options", "identity"),
    [
        ({}, {}),
        ({"tau": 0.5}, {}),
        ({"criterion": "s2"}, {}),
        ({"criterion": "s1"}, {"criterion": "s1"}),
        ({"criterion": "s3", "tau": 0.5}, {"criterion": "s3", "tau": 0.5}),
        ({"target_class": "dog", "tau": 0.5}, {"target_class": "dog"}),
    ],
)
def test_only_what_decides_the_questions_names_a_run(options: dict[str, Any], identity: dict[str, Any]) -> None:
    """The defaults name nothing, as before they were options; τ counts where the search goes by it."""
    assert Goal(**options).identity == identity
