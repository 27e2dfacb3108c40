"""Gates: met, failed, or not to be told, and the photos that broke them."""

from __future__ import annotations

from tests.support.audit_rows import attack_row, gate_of, map_row, plan_with, row, summed


def test_fidelity_is_met_by_the_lower_end_of_its_interval() -> None:
    """A mean that is large enough by a wide margin is met; one that chance could explain no photo has broken."""
    steady = [row(place, maps=(map_row(0.3 + 0.01 * (place % 2)),)) for place in range(10)]
    wild = [row(place, maps=(map_row(0.9 if place % 2 else 0.0),)) for place in range(4)]

    assert gate_of({"min_fidelity": 0.2}, steady).verdict == "met"
    told = gate_of({"min_fidelity": 0.2}, wild)
    assert (told.verdict, told.photos) == ("cannot be told", ())
    assert "ask more photos" in told.why


def test_a_mean_below_its_gate_has_failed_and_names_the_worst_photos_first() -> None:
    """Photos below the gate are named, the lowest first."""
    rows = [row(place, maps=(map_row(fidelity),)) for place, fidelity in enumerate([0.1, 0.3, 0.05, 0.1])]

    gate = gate_of({"min_fidelity": 0.2}, rows)

    assert (gate.verdict, gate.photos) == ("failed", ("p2", "p0", "p3"))


def test_what_nobody_asked_cannot_be_told_and_says_what_to_give() -> None:
    """A gate without a figure is never met by silence; what the plan asks for is not to be given once more."""
    rows = [row(0, repeats=0), row(1, repeats=0)]

    assert "metrics" in gate_of({"min_fidelity": 0.2}, rows, explain=None).why
    assert gate_of({"min_fidelity": 0.2}, rows).why == "no map was measured yet"
    assert "[repeat]" in gate_of({"max_label_flips": 0.1}, rows, repeat=None).why
    assert gate_of({"max_label_flips": 0.1}, rows).why == "no photo was asked again yet"
    assert "attacked" in gate_of({"min_robust_share": {"rmse": 0.01, "share": 0.9}}, rows).why
    assert gate_of({"max_label_flips": 0.1}, rows).verdict == "cannot be told"


def test_one_photo_has_no_interval() -> None:
    """A mean of one photo cannot be told, however high."""
    assert gate_of({"min_fidelity": 0.2}, [row(0, maps=(map_row(0.9),))]).verdict == "cannot be told"


def test_shares_count_as_they_are_of_these_photos() -> None:
    """At most so many photos flip or are refused; the photos that did are named, the worst first."""
    rows = [row(0), row(1, flips=1), row(2, flips=2), row(3, first="", nothing="refused: no", repeats=0)]

    assert gate_of({"max_label_flips": 0.7}, rows).verdict == "met"
    flips = gate_of({"max_label_flips": 0.5}, rows)
    assert (flips.verdict, flips.photos) == ("failed", ("p2", "p1"))
    assert gate_of({"max_refusals": 0.25}, rows).verdict == "met"
    assert gate_of({"max_refusals": 0.2}, rows).photos == ("p3",)


def test_photos_withstand_a_distance_unless_an_image_within_it_was_verified() -> None:
    """Only attacks that ended count; the photo with the nearest image is the worst."""
    rows = [
        row(0, attacks=(attack_row(0.009),)), row(1, attacks=(attack_row(0.002),)), row(2, attacks=(attack_row(0.05),)),
        row(3, attacks=(attack_row(None),)), row(4, attacks=(attack_row(None),), status="partial"),
    ]  # fmt: skip

    assert gate_of({"min_robust_share": {"rmse": 0.01, "share": 0.5}}, rows).verdict == "met"
    gate = gate_of({"min_robust_share": {"rmse": 0.01, "share": 0.6}}, rows)
    assert (gate.verdict, gate.found, gate.photos) == ("failed", "50 % of 4 photos", ("p1", "p0"))


def test_drift_is_seen_within_a_photo_and_between_photos() -> None:
    """A model that changed at one photo, or names two versions over all, fails; an unwatched one cannot be told."""
    same = [row(place, drifted=False, served=("v1",)) for place in range(3)]

    assert gate_of({"no_drift": True}, same).verdict == "met"
    assert gate_of({"no_drift": True}, [*same, row(3, drifted=True)]).photos == ("p3",)
    assert gate_of({"no_drift": True}, [*same, row(3, drifted=False, served=("v2",))]).found == "answers name v1, v2"
    assert gate_of({"no_drift": True}, [row(0)]).verdict == "met"  # in this process
    unwatched = [
        {"name": name, "oracle": "efficientnet", "drift_every": every} for name, every in (("one", 0), ("two", 9))
    ]
    one, _ = summed(plan_with({"no_drift": True}, oracles=unwatched), [row(0)]).gates
    assert one.verdict == "cannot be told"


def test_two_oracles_agree_on_labels_and_maps() -> None:
    """Labels count as a share, maps as a mean of rank correlations with its interval."""
    grids = [((0.0, 1.0), (2.0, place / 10)) for place in range(12)]
    one = [row(place, maps=(map_row(grid=grid),)) for place, grid in enumerate(grids)]
    two = [row(place, "two", maps=(map_row(grid=grid),)) for place, grid in enumerate(grids)]
    other = [row(place, "two", first="dog", maps=(map_row(grid=((1.0, 0.0), (-1.0, 9.0))),)) for place in range(12)]
    gate = {"agreement_between": {"oracles": ["one", "two"], "maps": 0.5}}
    labels = {"agreement_between": {"oracles": ["one", "two"], "labels": 0.8}}

    assert gate_of(gate, [*one, *two], "one", "two").verdict == "met"
    assert gate_of(gate, [*one, *other], "one", "two").verdict == "failed"
    assert gate_of(labels, [*one, *two], "one", "two").verdict == "met"
    assert len(gate_of(labels, [*one, *other], "one", "two").photos) == 12
    few = [*one[:3], *two[:3]]
    assert gate_of(gate, few, "one", "two").verdict == "cannot be told", "three maps that are equal are no certainty"
