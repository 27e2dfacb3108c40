"""What speaks against an attack is said before the search: a label hardly held, a class that may not exist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bbquery.errors import UsageError
from bbquery.jobs.attack.attack import attack
from bbquery.jobs.watch import Watch
from bbquery.report.cautions import of_votes
from oracles import function
from tests.support import models

if TYPE_CHECKING:
    from collections.abc import Callable

    from bbquery.client.client import Client
    from bbquery.jobs.attack.result import Stress
    from bbquery.ledger.ledger import Ledger
    from bbquery.types import Image

pytestmark = pytest.mark.slow

PHOTO = np.full((16, 16, 3), 100, np.uint8)
PHOTO[:, :8] += 12
BEFORE = 16  # queries: of the clean image


class Listening(Watch):
    """A person who reads warnings, and how much was sent by then."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.sent: list[int] = []

    def started(self, client: Client, queries: int, rows: int) -> None:
        self.client = client

    def beware(self, text: str) -> None:
        self.heard.append(text)
        self.sent.append(self.client.sent)


def run(call: Callable[..., Any], ledger: Ledger, *, answers: Any = "labels", **options: Any) -> tuple[Stress, str]:
    """Return the result, and all that was said before the search."""
    watch, given = Listening(), {"classes": options.pop("classes")} if "classes" in options else {}
    usual: dict[str, Any] = {"attack": "surfree", "max_queries": 60, "ledger": ledger, "watch": watch}
    stress = attack(PHOTO, function.connect(call, answers=answers, version="1", **given), **usual | options)
    assert max(watch.sent, default=0) <= BEFORE
    return stress, "\n".join(watch.heard)


def scored(first: float, second: float) -> Callable[[Image], Any]:
    return lambda _: [("tabby cat", first), ("golden retriever", second)]


def test_a_label_that_flips_by_itself_is_said_before_the_search(ledger: Ledger) -> None:
    """Of the answers to the clean image, so many lack its label; the record has it too."""
    clean = iter(["tabby cat", "dog", "tabby cat", "tabby cat", "tabby cat", "tabby cat"])

    stress, heard = run(lambda image: next(clean, "tabby cat"), ledger)

    assert heard == "of 16 answers to the clean image itself, 1 lack its label"
    assert [(each.kind, each.text) for each in of_votes(stress)] == [("UNSTABLE", heard)]


@pytest.mark.parametrize(("numbers", "close"), [((0.38, 0.36), True), ((0.38, 0.3), False)])
def test_a_label_that_leads_by_little_is_said_before_the_search(
    numbers: tuple[float, float], close: bool, ledger: Ledger
) -> None:
    """Where the second of two probabilities comes within a tenth of the first, both are named; else nothing is said."""
    stress, heard = run(
        lambda _: np.array([*numbers, 1 - sum(numbers) - 0.1, 0.1]),
        ledger,
        answers="probabilities",
        classes="cat|dog|car|van",
    )

    said = "the model gives 'cat' 0.38 and 'dog' 0.36: nearly any change loses the label"
    assert heard.startswith(said) == close == bool(heard)
    assert [each.kind for each in of_votes(stress)] == ["CLOSE"] * close


def test_a_lead_within_its_own_noise_is_said(ledger: Ledger) -> None:
    """Scores without a scale are close where the lead over the repeats differs by as much as it is."""
    noise = iter([0.0, 3.0, 0.5, 4.0, 0.2, 2.5])
    _, heard = run(
        lambda _: np.array([5.0 + next(noise, 0.0), 4.0, -20.0]), ledger, answers="scores", classes="cat|dog|car"
    )

    assert heard.startswith("the model gives 'cat' 5 and 'dog' 4: ")


def test_in_lists_the_second_label_matters_by_the_first_criterion_alone(ledger: Ledger) -> None:
    """By s2 the second label of the clean answer does not lose the label, so nothing is said."""
    _, second = run(scored(0.97, 0.96), ledger)
    _, first = run(scored(0.97, 0.96), ledger, criterion="s1")

    assert second == ""
    assert first.startswith("the model gives 'tabby cat' 0.97 and 'golden retriever' 0.96")


def test_objects_of_one_name_are_no_rivals(ledger: Ledger) -> None:
    """Two dogs of nearly one score may change places, and the label stays; the next other name is far behind."""

    def dogs(_: Image) -> Any:
        return [("dog", 0.5), ("dog", 0.49), ("cat", 0.1)]

    assert run(dogs, ledger, criterion="s1")[1] == ""


def test_a_class_that_wordnet_does_not_know_is_doubted_before_the_search(ledger: Ledger) -> None:
    """Where labels are open, a mistyped class is said with the nearest noun and the labels that were seen."""
    _, mistyped = run(models.brighter_half, ledger, target_class="goldfsh")
    _, right = run(models.brighter_half, ledger, target_class="goldfish")

    assert mistyped.startswith(
        "WordNet has no noun 'goldfsh' (the nearest is 'goldfish'); the first answer names 'tabby cat'"
    )
    assert right == ""


def test_without_wordnet_every_open_class_is_doubted(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can tell whether the model has such a label, so those that it used are named."""

    def none() -> None:
        raise UsageError("no WordNet")

    monkeypatch.setattr("bbquery.scoring.wordnet.data.find", none)
    _, heard = run(models.brighter_half, ledger, target_class="goldfish", score="label")

    assert heard.startswith("without WordNet nobody can say whether 'goldfish' may be a label of the model; the first")


def test_a_start_image_shows_that_the_class_exists(ledger: Ledger) -> None:
    """Where an image of the class is given, nothing is said of its name."""
    _, heard = run(lambda image: "qwxz" if image[0, 0, 0] < image[0, -1, 0] else "zxwq", ledger, target_class="qwxz",
                   start=PHOTO[:, ::-1].copy())  # fmt: skip

    assert heard == ""
