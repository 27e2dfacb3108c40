"""The attack league's parts that need no network: its judge, its rows, which runs are missing, and its tables."""

from __future__ import annotations

import ast
import importlib
import math
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bbquery import load
from bbquery.jobs.intervals import Estimate
from bbquery.plan import Ask
from bbquery.scoring import criteria
from bbquery.types import Decision

if TYPE_CHECKING:
    from pathlib import Path


def part(name: str) -> Any:
    """Import a module of the benchmark."""
    return importlib.import_module(f"benchmarks.attack_league_parts.{name}")


judges, photos, players = part("judge"), part("photos"), part("players")
networks = importlib.import_module("networks")
rows, sources, tables, tiers = part("rows"), part("sources"), part("tables"), part("tiers")
aims, report, transfer, work = part("aims"), part("report"), part("transfer"), part("work")
GREY = np.full((8, 8, 3), 100, dtype=np.uint8)


def box(*logits_by_change: tuple[int, list[float]]) -> Any:
    """Return a network of breeds: the logits of the first of its classes, by the image's first value from 100 up."""

    def run(outputs: None, inputs: Any) -> Any:
        change = int(inputs["pixels"][0, 0, 0, 0]) - 100
        reached = [logits for least, logits in logits_by_change if change >= least]
        given = reached[-1] if reached else logits_by_change[0][1]
        return [np.array([given + [-9.0] * (len(networks.BREEDS) - len(given))], dtype=np.float32)]

    return networks.Box("dogs", len(GREY), networks.BREEDS, "weights", SimpleNamespace(run=run))


def changed(*levels: int) -> Any:
    """Return copies of the photo with their first row (24 of 192 values) brighter by so many grey levels."""
    images = np.repeat(GREY[None], len(levels), axis=0)
    images[:, 0] += np.array(levels, dtype=np.uint8)[:, None, None]
    return images


def row(**changes: Any) -> Any:
    """Return a row; only what is given differs from the others."""
    usual = {
        "network": "lite0", "answers": "labels", "photo": "a", "attack": "lr_mifgsm", "budget": 1000, "seed": 0,
        "queries": 1000, "marks": {"1000": {"S1": 0.02, "linf": 0.1}}, "thinking": 1.0,
        "source": sources.digest_of("lr_mifgsm"), "versions": {},
    }  # fmt: skip
    return rows.Row(**(usual | changes))


def _softmax(logits: Any) -> Any:
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def at(attack: str, photo: str, value: float | None, mark: int = 1000) -> Any:
    """Return a row of an attack that stands at a distance."""
    digest = sources.digest_of(attack)
    return row(attack=attack, photo=photo, source=digest, budget=mark, marks={str(mark): {"S1": value, "linf": value}})


# --- photos ---


def test_photos_for_development_never_judge(tmp_path: Path) -> None:
    """Every fourth photo in sorted order is left out, and the others come in one order, drawn once and for all."""
    for place in range(20):
        (tmp_path / f"n{place:02}_x.jpg").touch()

    taken = [path.name for path in photos.held_out(tmp_path)]

    assert len(taken) == 15
    assert not {f"n{place:02}_x.jpg" for place in range(0, 20, 4)} & set(taken)
    assert taken == [path.name for path in photos.held_out(tmp_path)] != sorted(taken)


# --- the judge ---


def test_distances_are_of_what_was_asked() -> None:
    """At each mark stands the nearest image asked until then whose label had changed, whatever the attack says."""
    judge = judges.Judge(box((0, [1.0]), (10, [0.0, 1.0])), GREY, "labels", 120)

    scores = judge(Ask(changed(*[0] * 98, 40, 5, 20, 80)))

    assert scores.decision.tolist() == [Decision.MET] * 98 + [Decision.NOT_MET, Decision.MET] + [Decision.NOT_MET] * 2
    found = judge.marks()
    assert found["100"] == pytest.approx({"S1": 40 / 255 * math.sqrt(24 / 192), "linf": 40 / 255}, rel=1e-5)
    assert found["120"] == pytest.approx({"S1": 20 / 255 * math.sqrt(24 / 192), "linf": 20 / 255}, rel=1e-5)


def test_repeats_count() -> None:
    """A row that is asked three times is three queries, and has one decision."""
    judge = judges.Judge(box((0, [1.0])), GREY, "labels", 10)

    scores = judge(Ask(changed(1, 2), (3, 1)))

    assert (judge.asked, len(scores)) == (4, 2)
    assert judge.marks() == {"10": {"S1": None, "linf": None}}


def test_a_list_is_lost_when_its_first_label_is_none_of_the_clean_ones() -> None:
    """S1: another label comes first. S2, by which attacks are driven: one that the clean answer lacks. S3: all gone."""
    clean, swapped, outside = [5.0, 4.0, 3.0, 2.0, 1.0], [4.0, 5.0, 3.0, 2.0, 1.0], [4.0, 3.0, 2.0, 1.0, 0.0, 5.0]
    gone = [-5.0, 3.0, 2.0, 1.0, 0.0, 5.0]
    judge = judges.Judge(box((0, clean), (10, swapped), (20, outside), (30, gone)), GREY, "lists", 50)

    scores = judge(Ask(changed(1, 10, 20, 30)))

    assert scores.decision.tolist() == [Decision.MET, Decision.MET, Decision.NOT_MET, Decision.NOT_MET]
    assert (np.diff(scores.value) < 0).all()
    distances = {name: round(value * 255 / math.sqrt(24 / 192), 3) for name, value in judge.marks()["50"].items()}
    assert distances == {"S1": 10, "S2": 20, "S3": 30, "linf": round(20 / math.sqrt(24 / 192), 3)}


def test_criteria_are_those_of_the_command() -> None:
    """The league's S1, S2 and S3 decide as those of `bbquery attack` do, on any list."""
    rng = np.random.default_rng(0)
    clean, *others = rng.normal(0, 2, (41, len(networks.BREEDS))).tolist()
    asked = box((0, clean), *((1 + place, logits) for place, logits in enumerate(others)))
    judge = judges.Judge(asked, GREY, "lists", 50)
    label = load.score("hard").bind(judge._listed(asked(GREY)), None, networks.BREEDS)
    answers = [judge._listed(asked(image)) for image in changed(*range(1, 41))]
    bound = {
        "S1": criteria.first_label(label),
        "S2": criteria.clean_labels(label, judge._listed(asked(GREY))),
        "S3": criteria.subtree(label, judge._listed(asked(GREY)), None, networks.BREEDS, 0.0),
    }

    lost = [judge._lost(asked(image)) for image in changed(*range(1, 41))]

    for name, score in bound.items():
        assert [each[name] for each in lost] == (score(answers)[0] == Decision.NOT_MET).tolist()
        assert 0 < sum(each[name] for each in lost) < 40


# --- sources ---


def test_only_code_makes_rows_stale() -> None:
    """Comments, docstrings and the places of lines do not change the digest of a source; a number does."""
    plain, commented, other = (
        sources._canonical(ast.parse(text))
        for text in (
            "def f():\n    return 1",
            '"""M."""\n# c\ndef f():\n    """D."""\n    return 1',
            "def f(): return 2",
        )
    )

    assert plain == commented != other


def test_what_an_attack_imports_is_part_of_its_source() -> None:
    """The digest covers the modules that an attack shares with others, and not those of type checkers."""
    found: dict[str, Any] = {}

    sources._collect("bbquery.attacks.lr_mifgsm", found)

    assert {"bbquery.attacks._record", "bbquery.attacks._rays", "bbquery.perturb.lowfrequency"} <= set(found)
    assert "bbquery.plan" not in found


# --- rows ---


def test_a_row_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    """What was measured before a kill stays, half a line goes, and the next row stands on a line of its own."""
    path = tmp_path / "rows.jsonl"
    rows.Results(path).add(row())
    with path.open("a") as file:
        file.write('{"network": "li')

    rows.Results(path).add(row(photo="b"))

    assert [key.photo for key in rows.Results(path).rows] == ["a", "b"]


def test_an_anytime_attack_is_not_run_again_with_fewer_queries(tmp_path: Path) -> None:
    """A longer run tells the shorter one's marks, but for attacks that are planned for their budget."""
    results = rows.Results(tmp_path / "rows.jsonl")
    results.add(row(budget=5000))

    assert results.has(row().key, anytime=True)
    assert not results.has(row().key, anytime=False)
    assert not results.has(row(budget=10_000).key, anytime=True)


def test_a_changed_attack_is_measured_anew(tmp_path: Path) -> None:
    """A row of an older source does not count as measured; the newer one takes its place."""
    results = rows.Results(tmp_path / "rows.jsonl")
    results.add(row(source="older"))
    before = results.has(row().key, anytime=False)

    results.add(row())

    assert not before
    assert rows.Results(tmp_path / "rows.jsonl").has(row().key, anytime=False)
    assert len(rows.Results(tmp_path / "rows.jsonl").rows) == 1


# --- who plays ---


def test_every_attack_plays() -> None:
    """The groups together hold each attack that there is; those with `eight_bit` twice."""
    every = players.players(("ours", "aware", "published"))

    assert {name.partition(":")[0] for name in every} == set(players.load.names("attack"))
    assert len(every) == len(set(every))


def test_the_published_form_of_an_attack_is_found() -> None:
    """An 8-bit aware specification names its published one, whatever other options it has."""
    assert players.as_published("cgba_h:eight_bit=true") == "cgba_h:eight_bit=false"
    assert players.as_published("lr_mifgsm") is None


def test_what_is_planned_for_a_budget_runs_at_each() -> None:
    """An attack whose schedule depends on its budget runs at every mark, an anytime one at the largest alone."""
    chosen = tiers.Part("lite0", "labels", 1, (250, 1000), attacks=("lr_mifgsm", "geoda"))

    assert chosen.runs(()) == [("lr_mifgsm", 250), ("lr_mifgsm", 1000), ("geoda", 1000)]
    assert chosen.runs(("geoda",)) == [("geoda", 1000)]


def test_a_person_may_name_a_specification() -> None:
    """`--only` with options runs just these, beside attacks that are named plainly."""
    only = ("lr_mifgsm:cells=28", "lr_mifgsm_paper")

    parts = tiers.chosen("full", networks=("lite0",), answers=("labels",), photos=3, marks=(500,), only=only)

    assert sorted({run for each in parts for run in each.runs(only)}) == [
        ("lr_mifgsm:cells=28", 500),
        ("lr_mifgsm_paper", 500),
    ]
    assert {each.photos for each in parts} == {3}


def test_a_run_gives_the_same_row_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row depends on the attack, the photo and the network, within its budget; only its time differs."""
    monkeypatch.setattr(work, "_box", lambda network: box((0, [1.0]), (10, [0.0, 1.0])))
    run = tiers.Run(tiers.TIERS["quick"][0], photos.Photo("a", GREY, known=True), "lr_mifgsm", 250)

    first, second = work.attacked(run), work.attacked(run)

    assert replace(first, thinking=0.0) == replace(second, thinking=0.0)
    assert 200 < first.queries <= 250
    assert first.marks["250"]["S1"] is not None
    assert first.thinking > 0


def test_the_time_is_told_before_it_is_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The estimate is of all queries, at what one takes of the network and of an attack, shared by the processes."""
    monkeypatch.setattr(work, "seconds", lambda network: 0.005)
    runs = [tiers.Run(tiers.TIERS["quick"][0], None, "lr_mifgsm", 10_000)] * 4

    assert work.estimate(runs, 2) == "4 runs, 40,000 queries: about 2 minutes on 2 cores that are free"


# --- transfer ---


@pytest.mark.parametrize("specification", [name for name in transfer.TRANSFERS if "queries" in name])
def test_each_map_of_the_paper_changes_a_photo(specification: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """MIG runs over each of the five maps through the surrogate's answers, and ends within its ball."""
    rng = np.random.default_rng(0)
    weights = rng.normal(0, 1, (len(networks.BREEDS), GREY.size))
    monkeypatch.setattr(transfer, "_surrogate", lambda: lambda image: _softmax(weights @ image.ravel() / 1000))

    image = transfer.last_step(specification, GREY, 1000, 0)

    assert 0 < np.abs(image.astype(int) - GREY).max() <= 10


def test_a_photo_that_fools_nobody_has_no_distance() -> None:
    """A photo transfers where the other network's label has changed; else there is no distance."""
    asked = box((0, [1.0]), (10, [0.0, 1.0]))

    near, far = (transfer.outcome(asked, GREY, image) for image in changed(5, 20))

    assert near == {"S1": None, "linf": None}
    assert far == pytest.approx({"S1": 20 / 255 * math.sqrt(24 / 192), "linf": 20 / 255})


# --- tables ---


def test_a_run_of_the_same_budget_counts_before_a_longer_one() -> None:
    """Of several runs of an attack on a photo the shortest that reaches the mark is read."""
    longer = replace(at("geoda", "a", 0.5), budget=5000)
    game = tables.Game((longer, at("geoda", "a", 0.1)))

    assert game.distances("geoda", 1000, "S1") == {"a": 0.1}


def test_a_longer_run_tells_nothing_of_an_attack_planned_for_its_budget() -> None:
    """The mark of 1,000 in a run of `lr_mifgsm` for 5,000 queries is not what it reaches with 1,000."""
    game = tables.Game((replace(at("lr_mifgsm", "a", 0.5), budget=5000),))

    assert game.distances("lr_mifgsm", 1000, "S1") == {}


def test_failures_are_left_out_of_ratios_and_told() -> None:
    """Where either found nothing there is no ratio; how many such photos there are is said."""
    one = {"a": 0.01, "b": 0.02, "c": math.inf, "d": 0.1}
    other = {"a": 0.02, "b": 0.04, "c": 0.01}

    assert tables.ratio_text(one, other) == "0.50, n=2, 1 failed"


def test_failures_are_infinite_in_medians() -> None:
    """A median over more failures than successes is infinite."""
    assert tables.median_text({"a": 0.01, "b": math.inf, "c": math.inf}, 3) == "∞"
    assert tables.median_text({"a": 0.01, "b": 0.02, "c": math.inf}, 5) == ".0200, n=3"


def test_mcnemar_looks_only_at_photos_on_which_one_alone_succeeds() -> None:
    """Six photos on which one alone comes within the threshold, none the other way: 2 / 2^6."""
    one = {str(place): 0.001 for place in range(10)}
    other = one | {str(place): 0.5 for place in range(6)}

    assert tables.mcnemar(one, other, 0.01) == pytest.approx(2 / 2**6)


def test_the_best_is_that_on_enough_photos() -> None:
    """An attack on a few photos is not called the best of all."""
    everywhere = [at("geoda", str(place), 0.1) for place in range(12)]
    lucky = [at("hsja", str(place), 0.001) for place in range(3)]

    assert tables.best(tables.Game((*everywhere, *lucky)), 1000, "S1", ["geoda", "hsja"]) == "geoda"


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.2, 0.4, "met"), (0.41, 0.6, "missed"), (0.3, 0.5, "cannot be told"), (math.nan, math.nan, "cannot be told")],
)
def test_an_aim_is_met_where_the_whole_interval_keeps_it(low: float, high: float, expected: str) -> None:
    """What the interval leaves open, and what has none, cannot be told."""
    assert aims.verdict(Estimate(0.4, low, high, 10), 0.40) == expected


def test_the_page_is_made_of_rows(tmp_path: Path) -> None:
    """Without a row there are the aims, open; with rows their medians, and a mark on what an older source measured."""
    results = rows.Results(tmp_path / "rows.jsonl")
    empty = report.page(results)
    for place in range(6):
        results.add(replace(at("lr_mifgsm", str(place), 0.0123), source="older"))

    page = report.page(results)

    assert "cannot be told" in empty
    assert ".0123" not in empty
    assert "| `lr_mifgsm` † | 6 | .0123 [.0123, .0123] |" in page
