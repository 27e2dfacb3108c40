"""`each`: a map for everything that the first answer names, from one set of queries."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import bbquery
from bbquery.errors import OracleError, UsageError
from bbquery.jobs.explain import each as each_module
from bbquery.scoring.overlap import WordOverlap
from oracles import function

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from bbquery.ledger.ledger import Ledger

pytestmark = pytest.mark.slow

NAMES = ("cat", "dog", "sofa", "lamp")
BOXES = ([0.0, 0.0, 0.5, 0.5], [0.5, 0.0, 1.0, 0.5], [0.0, 0.5, 0.5, 1.0], [0.5, 0.5, 1.0, 1.0])
PHOTO = np.random.default_rng(0).integers(150, 256, (24, 24, 3), dtype=np.uint8)
ASKED: dict[str, Any] = {"method": "rise:fill=0", "max_queries": 201, "verify": 0}


def shown(image: NDArray[np.uint8]) -> list[float]:
    """Return how bright each quarter of an image is, 0 to 1."""
    halves = [half for band in np.array_split(image, 2) for half in np.array_split(band, 2, axis=1)]
    return [float(half.mean()) / 255 for half in halves]


def numbers(image: NDArray[np.uint8]) -> list[float]:
    cat, dog, sofa, _ = shown(image)
    weights = [cat + 1e-6, dog, sofa / 2, 0.001]
    return [weight / sum(weights) for weight in weights]


def boxes(image: NDArray[np.uint8]) -> list[dict[str, Any]]:
    """Two cats at the top and a sofa below, each scored by how bright its quarter is."""
    found = zip(("cat", "cat", "sofa"), shown(image), BOXES, strict=False)
    return [{"name": name, "score": score, "box": box} for name, score, box in found]


def says(image: NDArray[np.uint8]) -> str:
    seen = [f"a {name}" for name, bright in zip(NAMES[:2], shown(image), strict=False) if bright > 0.4]
    return f"The photo shows {' and '.join(seen) or 'nothing'}."


def quarter(values: NDArray[np.float64]) -> int:
    """Return which quarter of a map is highest in the mean."""
    return int(
        np.argmax([half.mean() for band in np.array_split(values, 2) for half in np.array_split(band, 2, axis=1)])
    )


def explained(call: Any, ledger: Ledger, answers: Any, **changes: Any) -> bbquery.Explanation:
    classes = NAMES if answers == "probabilities" else None
    oracle = function.connect(call, answers=answers, classes=classes, version="1")
    return bbquery.explain(PHOTO, oracle, ledger=ledger, **{"target": "each", **ASKED, **changes})


def test_every_class_with_one_per_cent_has_a_map_and_one_set_of_queries_pays_for_all(ledger: Ledger) -> None:
    """A class below that has none; each map lies where its class is, and no query more is sent than for one target."""
    explanation = explained(numbers, ledger, "probabilities")

    assert sorted(explanation) == ["cat", "dog", "sofa"]
    assert explanation.queries.sent == 201
    assert {name: quarter(explanation[name]) for name in explanation} == {"cat": 0, "dog": 1, "sofa": 2}


def test_the_map_of_a_target_is_the_same_as_by_its_name(ledger: Ledger) -> None:
    """What is asked depends on no target, so naming one later is free and gives the same map."""
    together = explained(numbers, ledger, "probabilities")
    alone = explained(numbers, ledger, "probabilities", target="dog")

    assert alone.queries.sent == 0
    assert np.array_equal(together["dog"], alone["dog"])


def test_every_box_has_a_map(ledger: Ledger) -> None:
    """Objects of one name are told apart by their boxes, and each map lies in its box."""
    explanation = explained(boxes, ledger, "labels")

    found = [(m.score.about.object.box, quarter(m.values)) for m in explanation.maps if m.score.about.object]
    assert sorted(m.target for m in explanation.maps) == ["cat#1", "cat#2", "sofa#1"]
    assert sorted((BOXES.index(list(box)), place) for box, place in found) == [(0, 0), (1, 1), (2, 2)]
    assert explanation.queries.sent == 201


def test_every_noun_phrase_and_the_sentence_have_a_map(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Phrases are scored by mention and the sentence by its words, from the same answers."""
    monkeypatch.setattr(each_module, "packaged", lambda _: None)  # no embedding is here

    explanation = explained(says, ledger, "text")

    assert list(explanation) == ["cat", "dog", "The photo shows a cat and a dog."]
    assert (quarter(explanation["cat"]), quarter(explanation["dog"])) == (0, 1)
    assert [m.score.about.unit for m in explanation.maps[1:]] == ["mentioned", "words shared with the reference"]
    assert explanation.maps[2].scored_by == WordOverlap()
    assert explanation.queries.sent == 201


def test_a_score_that_is_named_scores_every_target(ledger: Ledger) -> None:
    """Mention alone has no map of the sentence as a whole: hardly any other answer repeats it."""
    assert list(explained(says, ledger, "text", score="mention")) == ["cat", "dog"]


def test_what_has_no_map_is_said(ledger: Ledger) -> None:
    """A limit leaves out the lowest, by name, before the budget goes."""
    heard: list[str] = []

    class Heard(bbquery.Watch):
        def beware(self, text: str) -> None:
            heard.append(text)

    explanation = explained(numbers, ledger, "probabilities", target="each:2", watch=Heard())

    assert len(explanation.maps) == 2
    assert heard == ["the first 2 of 3 targets get a map, and not 'sofa': --target each:N takes up to 32"]


def test_two_classes_of_one_name_are_two_targets(ledger: Ledger) -> None:
    """Findings and files go by the name of a target, so no two maps have the same."""
    oracle = function.connect(numbers, classes=("crane", "crane", "sofa", "lamp"), version="1")

    assert sorted(bbquery.explain(PHOTO, oracle, target="each", ledger=ledger, **ASKED)) != ["crane", "crane", "sofa"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"target": ["each", "cat"]}, "no other is named beside it"),
        ({"target": "each:0"}, "give 1 to 32 maps"),
        ({"method": "bayes"}, "asks by the answers for one target"),
        ({"method": "designed:until=stable"}, "asks by the answers for one target"),
        ({"score": "prompts:read=yes-no"}, "reads texts"),
    ],
)
def test_what_cannot_be_is_refused_before_a_query(ledger: Ledger, changes: dict[str, Any], said: str) -> None:
    """Nothing is asked where targets contradict each other, or no one set of queries can serve all."""

    def never(_: NDArray[np.uint8]) -> list[float]:
        raise AssertionError

    with pytest.raises(UsageError, match=said):
        explained(never, ledger, "probabilities", **changes)


@pytest.mark.parametrize(("verb", "more"), [("probe", {}), ("attack", {"attack": "hsja", "max_queries": 9})])
def test_other_verbs_want_one_target(ledger: Ledger, verb: str, more: dict[str, Any]) -> None:
    """Only explain makes a map of each."""
    oracle = function.connect(numbers, classes=NAMES, version="1")

    with pytest.raises(UsageError, match="name one target here"):
        getattr(bbquery, verb)(PHOTO, oracle, target="each", ledger=ledger, **more)


def test_an_answer_without_a_target_has_nothing_to_explain(ledger: Ledger) -> None:
    """It is said after the one query that showed it."""
    with pytest.raises(OracleError, match="names nothing in the unperturbed image"):
        explained(lambda _: [], ledger, "labels")


def test_the_folder_has_one_picture_of_all_maps_and_a_record_of_each(ledger: Ledger, tmp_path: Path) -> None:
    """The record says how each target was scored, and the page leads to each map."""
    explained(boxes, ledger, "labels").save(tmp_path / "out")

    record = json.loads((tmp_path / "out/run.json").read_text())
    page = (tmp_path / "out/report.html").read_text()
    assert (tmp_path / "out/maps.png").is_file()
    assert "maps.png" in record["files"]
    assert [target["score"] for target in record["targets"]] == ["SameObject(overlap=0.5)"] * 3
    assert [f'href="#map-{place}"' in page for place in (1, 2, 3, 4)] == [True, True, True, False]


def test_a_map_of_one_target_leaves_no_picture_of_several(ledger: Ledger, tmp_path: Path) -> None:
    """What an earlier run of the folder had and this one has not is removed."""
    explained(boxes, ledger, "labels").save(tmp_path / "out")
    explained(boxes, ledger, "labels", target="each:1").save(tmp_path / "out", force=True)

    assert not (tmp_path / "out/maps.png").exists()
