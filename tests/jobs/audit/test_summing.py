"""Summaries of audits: figures with intervals and n, what is missing, agreement, and what changed."""

from __future__ import annotations

import pytest

from bbquery.units import Units
from tests.support.audit_rows import attack_row, map_row, plan_with, row, summed


def test_every_figure_says_of_how_many_photos_it_is() -> None:
    """Shares and means count only photos that have them; what has not begun is counted apart."""
    rows = [
        row(0, right=True, maps=(map_row(0.4, stamp="COULD BE CHANCE", enough=0.2),), posted=Units(10, 0, 6)),
        row(1, right=False, maps=(map_row(0.2, enough=0.4),), posted=Units(20, 0, 8)),
        row(2, first="", nothing="refused: no", repeats=0, kinds={"refused": 1}),
        row(3, status="failed", first="", repeats=0),
    ]

    (one,) = summed(plan_with({}), rows, n=6).oracles

    assert (one.photos, one.complete, one.failed, one.not_begun) == (6, 3, 1, 2)
    assert (one.right.value, one.right.n) == (0.5, 2)
    assert (one.fidelity.n, one.refused.n, one.chance.value) == (2, 3, 0.5)
    assert [one.fidelity.value, one.enough.value, one.refused.value] == pytest.approx([0.3, 0.3, 1 / 3])
    assert one.right.low < 0.5 < one.right.high
    assert one.of_a_photo == Units(10, 0, 5)
    assert (one.unanswered, one.kinds) == (1, {"refused": 1})


def test_what_is_missing_is_said_with_the_command_that_completes_it() -> None:
    """A whole audit has no rest, and so no command."""
    part, whole = summed(plan_with({}), [row(0)], n=3), summed(plan_with({}), [row(0)])

    assert (part.rests, part.resume) == (("one: 2 not begun of 3 photos",), "bbquery audit plan.toml")
    assert (whole.rests, whole.resume) == ((), "")


def test_rows_are_given_oracle_by_oracle_in_the_plans_order() -> None:
    """They are read one by one, each time anew."""
    plan = plan_with({}, "one", "two")
    found = summed(plan, [row(1, "two"), row(0, "two"), row(1), row(0)], n=2)

    assert [(each.oracle, each.photo) for each in found.rows()] == [
        ("one", "p0"), ("one", "p1"), ("two", "p0"), ("two", "p1")
    ]  # fmt: skip
    assert len(list(found.rows())) == 4


def test_agreement_is_of_photos_that_both_were_asked() -> None:
    """Photos that they name differently are listed; maps of other methods are no pair."""
    grid = ((0.0, 1.0), (2.0, 3.0))
    rows = [
        row(0, maps=(map_row(grid=grid),)), row(1, maps=(map_row(grid=grid),)), row(2),
        row(0, "two", first="Cat", maps=(map_row(grid=grid),)),
        row(1, "two", first="dog", maps=(map_row(grid=grid, method="x"),)),
    ]  # fmt: skip

    (pair,) = summed(plan_with({}, "one", "two"), rows, n=3).agreements

    assert (pair.oracles, pair.labels.value, pair.labels.n, pair.apart) == (("one", "two"), 0.5, 2, ("p1",))
    assert pair.maps.value == pytest.approx(1)
    assert pair.maps.n == 1


def test_maps_of_one_method_agree_whatever_budget_each_has() -> None:
    """Drift checks leave a model fewer queries for the same method; its maps are compared all the same."""
    grid = ((0.0, 1.0), (2.0, 3.0))
    rows = [
        row(0, maps=(map_row(grid=grid, method="Designed(queries=75, cells=14)"),)),
        row(0, "two", maps=(map_row(grid=grid, method="Designed(queries=70, cells=14)"),)),
    ]

    (pair,) = summed(plan_with({}, "one", "two"), rows).agreements

    assert pair.maps.value == pytest.approx(1)
    assert pair.maps.n == 1


def test_shares_of_a_photo_before_and_after_stay_shares() -> None:
    """Intervals of few, unlike photos leave neither 0 to 1, nor differences -1 to 1."""
    before = [row(p, maps=(map_row(enough=share),)) for p, share in enumerate((0.0, 0.9))]
    after = [row(p, maps=(map_row(enough=share),)) for p, share in enumerate((1.0, 0.1))]

    changes = {each.figure: each for each in summed(plan_with({}), after, before).changes}

    found = changes["share of the photo that is enough"]
    for each, least in ((found.before, 0), (found.after, 0), (found.difference, -1)):
        assert least <= each.low < each.value < each.high <= 1


def test_figures_of_few_photos_stay_what_they_can_be() -> None:
    """A probability stays within 0 to 1, a fidelity within -1 to 1, before, now and the difference."""
    numbers = ((0.9, 0.98), (0.2, 0.1), (0.5, 0.97))
    rows = [
        row(place, maps=(map_row(fidelity, bounds=(-1.0, 1.0)),), first_value=value, first_bounds=(0.0, 1.0))
        for place, (fidelity, value) in enumerate(numbers)
    ]

    found = summed(plan_with({}), rows, rows)

    changes = {each.figure: each for each in found.changes}
    (one,) = found.oracles
    assert -1 <= one.fidelity.low < 0 < one.fidelity.high <= 1
    assert changes["mean fidelity"].before == one.fidelity
    score = changes["score of the first answer"]
    assert 0 <= score.before.low < score.before.high <= 1
    assert -1 < score.difference.low <= 0 <= score.difference.high < 1


def test_changes_since_a_baseline_are_paired_by_photo() -> None:
    """Means by their differences, shares by Newcombe's interval, labels by how many are others."""
    before = [row(p, maps=(map_row(0.2),), attacks=(attack_row(None),), right=True) for p in range(8)]
    after = [
        row(p, maps=(map_row(0.3 + 0.01 * p),), attacks=(attack_row(0.005 if p < 4 else None),), right=True,
            first="dog" if p == 5 else "cat") for p in range(9)
    ]  # fmt: skip

    changes = {each.figure: each for each in summed(plan_with({}), after, before).changes}

    fidelity = changes["mean fidelity"]
    assert fidelity.difference.n == 8
    assert fidelity.difference.value == pytest.approx(0.135)
    assert fidelity.difference.low > 0
    assert fidelity.photos[0] == "p7"
    withstand = changes["photos that withstand RMSE 0.01"].difference
    assert [withstand.low, withstand.value] == pytest.approx([-0.785, -0.5], abs=0.01)
    assert withstand.high < 0
    right = changes["photos named right"].difference
    assert right.value == 0
    assert right.low < 0 < right.high
    another = changes["photos with another first label than before"]
    assert (another.difference.value, another.photos) == (1 / 8, ("p5",))


def test_a_figure_changed_where_its_interval_leaves_out_0() -> None:
    """Fidelity rose in all photos; labels are counted apart, since another label is a change."""
    before = [row(p, maps=(map_row(0.2),), right=True) for p in range(8)]
    after = [row(p, maps=(map_row(0.3 + 0.01 * p),), right=True, first="dog" if p == 5 else "cat") for p in range(8)]

    found = summed(plan_with({}), after, before)

    assert [each.figure for each in found.changes if each.excludes_none] == ["mean fidelity"]
    assert "1 of 8 first labels changed, and 1 of 4 figures beyond chance" in found.changed


def test_without_a_baseline_nothing_changed() -> None:
    """No figure is compared with nothing."""
    found = summed(plan_with({}), [row(0)])

    assert found.changes == ()
    assert found.changed == ""
