"""`score=` and `--score`: other numbers from the same answers, for nothing where they were asked before."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from blake3 import blake3
from PIL import Image as Pillow

import bbquery
from bbquery.cli import main
from bbquery.errors import UnknownName, UsageError
from bbquery.images.placement import fit
from bbquery.jobs.explain.setting import ExplainRequest, prepared
from bbquery.ledger import codec
from bbquery.oracle import Price
from bbquery.saliency.rise import Rise
from bbquery.scoring.soft import Soft
from oracles import function
from tests.support import models
from tests.support.scores import LeftShare

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.ledger.ledger import Ledger
    from bbquery.oracle import Oracle

SIDES = "function:call=tests.support.models.sides,classes=left|right,version=1"
PHOTO = np.random.default_rng(0).integers(150, 256, (24, 32, 3), dtype=np.uint8)


def oracle() -> Oracle:
    return function.connect(models.sides, classes="left|right", version="1", price=Price())


def explained(ledger: Ledger, score: Any = None, **options: Any) -> bbquery.Explanation:
    own: dict[str, Any] = {"method": "rise", "verify": 0} | options
    return bbquery.explain(PHOTO, oracle(), score=score, ledger=ledger, max_queries=60, **own)


def values(explanation: bbquery.Explanation) -> np.ndarray:
    return explanation.maps[0].values


def test_another_score_of_the_same_image_is_free(ledger: Ledger) -> None:
    """The answers are the same, so nothing is sent; a margin of two classes is 2p - 1, so its map is twice p's."""
    first = explained(ledger, target="left")

    second = explained(ledger, "soft:form=margin", target="left")

    assert (first.queries.sent, second.queries.sent, second.queries.from_store) == (59, 0, 59)  # of 60, one is kept
    assert np.allclose(values(second), 2 * values(first), rtol=1e-9)
    assert second.score == Soft(form="margin")


def test_another_method_of_scoring_is_another_run(ledger: Ledger) -> None:
    """A method that adapts would ask other questions, so each score has a budget of its own, but the usual one none."""
    plain, named, other = (explained(ledger, score) for score in (None, "soft", Soft(form="margin")))

    assert plain.run == named.run
    assert other.run != plain.run
    assert other.budget.name != plain.budget.name


async def test_a_run_with_the_usual_score_is_called_what_it_always_was() -> None:
    """Ledgers of before are resumed: the name is the hash of image, oracle, method, targets and seed, and no more."""
    own = oracle()
    async with prepared(
        ExplainRequest(image=PHOTO, oracle=own, method="rise:queries=20", target="left", verify=0, seed=3)
    ) as job:
        found = job.identity()

    x, _ = fit(PHOTO, own.capabilities.view, own.capabilities.domain)
    what = {
        "image": [codec.image_digest(PHOTO).hex(), codec.image_digest(x).hex()],
        "oracle": codec.fingerprint(own.capabilities.identity)[0],
        "method": repr(Rise(queries=20)),
        "targets": ["left"],
        "seed": 3,
    }
    assert found == blake3(json.dumps(what).encode()).hexdigest(length=8)


def test_a_map_of_what_is_better_when_lower_still_shows_what_speaks_for_the_target(ledger: Ledger) -> None:
    """A cross-entropy falls where the target is seen, and its map is that of its negative: red stays for the target."""
    map_of_p = explained(ledger, "soft", target="left").maps[0]

    of_entropy = explained(ledger, "soft:form=cross_entropy", target="left").maps[0]

    assert of_entropy.score.about.direction == "lower"
    assert np.corrcoef(of_entropy.values.ravel(), map_of_p.values.ravel())[0, 1] > 0.9


def test_a_set_of_classes_is_one_target(ledger: Ledger) -> None:
    """With a third class beside, "left+right" is the negative of that class."""

    def three(image: np.ndarray) -> list[float]:
        return [*(share * 0.5 for share in models.sides(image)), 0.5]

    own = function.connect(three, classes="left|right|none", version="1")
    found = bbquery.explain(PHOTO, own, target=["left+right", "left"], max_queries=40, ledger=ledger)

    assert [m.target for m in found.maps] == ["left+right", "left"]
    assert np.allclose(found.maps[0].values, 0, atol=1e-12)
    assert not np.allclose(found.maps[1].values, 0, atol=1e-6)


def test_labels_are_usually_scored_by_their_scores(ledger: Ledger) -> None:
    """Without a score an oracle of labels is explained by the score of the label."""
    own = function.connect(lambda image: [("left", models.sides(image)[0])], answers="labels", version="1")
    found = bbquery.explain(PHOTO, own, max_queries=20, ledger=ledger)

    assert (found.maps[0].target, found.maps[0].score.about.unit) == ("left", "score of the label")


def test_what_a_score_cannot_read_is_told_once(ledger: Ledger) -> None:
    """Two maps rest on the same answers, so what could not be read in them is counted once."""
    found = explained(ledger, LeftShare(from_=0.5), target=["left", "the left"])

    unread = found.unread["murky"]
    assert 5 < unread < 58
    assert [m.unread["murky"] for m in found.maps] == [unread, unread]
    assert [m.sent.answered for m in found.maps] == [58 - unread] * 2


@pytest.mark.parametrize(
    ("score", "error", "said"),
    [
        ("sift", UnknownName, "unknown score 'sift'; known: "),
        ("soft:form=odds", UnknownName, "known: probability, log_odds"),
        ("mention", UsageError, "needs text"),
        (LeftShare(), UsageError, "say what is to be explained"),
    ],
)
def test_a_score_that_does_not_fit_is_found_before_anything_is_sent(
    ledger: Ledger, score: Any, error: type[UsageError], said: str
) -> None:
    """A name, an option, a kind of answer: nothing is asked."""
    asked: list[int] = []
    with pytest.raises(error, match=said):
        bbquery.explain(PHOTO, function.connect(lambda _: asked.append(1)), score=score, ledger=ledger)

    assert asked == []


async def test_several_images_are_scored_alike(ledger: Ledger) -> None:
    """What one image's explanation takes, that of several does."""
    results = bbquery.explain_many_async(
        [PHOTO, PHOTO // 2], oracle(), score="soft:form=log_odds", max_queries=40, ledger=ledger
    )

    units = [r.explanation.maps[0].score.about.unit async for r in results if r.explanation]
    assert units == ["log-odds", "log-odds"]


def explain(*arguments: str) -> int:
    return main(["explain", *arguments, "--oracle", SIDES, "--method", "designed:cells=4", "--max-queries", "60"])


def test_the_command_takes_a_score_and_the_record_keeps_it(photo: str, tmp_path: Path) -> None:
    """run.json says how answers became numbers, and what the numbers mean."""
    code = explain(photo, "--score", "soft:form=cross_entropy", "--target", "left", "--out", str(tmp_path / "out"))

    record = json.loads((tmp_path / "out" / "run.json").read_text())
    value = record["targets"][0]["value"]
    assert code == 0
    assert record["score"] == "Soft(form='cross_entropy', softmax=False)"
    assert (value["unit"], value["nearer"], value["low"]) == ("cross-entropy", "lower", 0)
    assert value["no_information"] == pytest.approx(np.log(2))
    assert record["unread"] == {"times": 0, "different": 0, "most_frequent": []}


def test_the_command_warns_of_what_could_not_be_read(
    photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the terminal the most frequent, in the record the numbers."""
    code = explain(
        photo, "--score", "tests.support.scores:LeftShare:from_=0.5", "--target", "left", "--out", str(tmp_path / "out")
    )

    unread = json.loads((tmp_path / "out" / "run.json").read_text())["unread"]
    assert code == 0
    assert unread["different"] == 1
    assert unread["most_frequent"] == [{"what": "murky", "times": unread["times"]}]
    assert f"NOT READ: 'murky' {unread['times']} times: the score made nothing of that" in capsys.readouterr().err


def test_several_images_warn_of_what_could_not_be_read(
    photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each image says for itself."""
    options = ("--score", "tests.support.scores:LeftShare:from_=0.5", "--target", "left")
    Pillow.fromarray(PHOTO[:, ::-1]).save(tmp_path / "other.png")

    assert explain(photo, str(tmp_path / "other.png"), *options, "--out", str(tmp_path / "out")) == 0

    said = capsys.readouterr().err
    assert "NOT READ: photo: 'murky'" in said
    assert "NOT READ: other: 'murky'" in said


@pytest.mark.parametrize("images", [1, 2])
def test_a_dry_run_checks_the_score(photo: str, capsys: pytest.CaptureFixture[str], images: int) -> None:
    """What would not fit is found there too, and what fits shows its cost."""
    assert explain(*[photo] * images, "--dry-run", "--score", "mention", "--target", "left") == 2
    assert "needs text" in capsys.readouterr().err

    assert explain(*[photo] * images, "--dry-run", "--score", "soft:form=margin") == 0
    assert "nothing was asked" in capsys.readouterr().out


def test_a_comma_within_a_target_is_written_with_a_backslash(
    photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A reference sentence may have one."""
    own = "function:call=tests.support.models.sides,classes=on the left\\, mostly|right,version=1"

    code = main(["explain", photo, "--oracle", own, "--target", "on the left\\, mostly,right",
                 "--max-queries", "20", "--out", str(tmp_path / "out")])  # fmt: skip

    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert code == 0, capsys.readouterr().err
    assert [target["target"] for target in record["targets"]] == ["on the left, mostly", "right"]
