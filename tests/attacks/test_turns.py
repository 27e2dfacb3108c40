"""CGBA, CGBA-H and TtBA: what they share, and the turn that is each one's own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bbquery import load
from bbquery.attacks._record import rms
from bbquery.attacks.cgba import Cgba
from bbquery.attacks.ttba import left_at
from bbquery.errors import UnknownName, UsageError
from bbquery.perturb.waves import Waves
from bbquery.plan import Ask, replay
from bbquery.types import FLOAT, UINT8, Decision, Domain, Scores

if TYPE_CHECKING:
    from bbquery.attacks import AttackResult

NAMES = ["cgba", "cgba_h", "ttba"]
SIDE, REDUCTION = 16, 4
MARGIN = 8.0  # grey levels RMS from the photo to the boundary
FIRST = 30  # probes of the first iteration


@dataclass
class Plane:
    """A boundary whose normal is a mixture of the lowest waves, and every image asked."""

    photo: Any = field(default_factory=lambda: np.random.default_rng(1).integers(100, 156, (SIDE, SIDE, 3)) * 1.0)
    images: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng, waves = np.random.default_rng(2), Waves((SIDE, SIDE), SIDE // REDUCTION, np.float64)
        normal, sideways = (waves.synthesis(rng.standard_normal(waves.shape)) for _ in range(2))
        self.normal = normal / rms(normal)
        self.start = self.photo + 60 * (0.3 * self.normal + sideways / rms(sideways))

    def is_adversarial(self, image: Any) -> bool:
        return bool(np.mean((image - self.photo) * self.normal) > MARGIN)

    def __call__(self, ask: Ask) -> Scores:
        asked = [ask.images[row].astype(np.float64) for row in range(len(ask.images))]
        self.images += asked
        beyond = np.array([self.is_adversarial(image) for image in asked])
        return Scores(np.where(beyond, Decision.NOT_MET, Decision.MET).astype(np.int8), 1.0 - beyond)


def run(specification: str, oracle: Plane, domain: Domain = FLOAT, queries: int = 1000) -> AttackResult:
    attack = load.attack(specification, queries=queries)
    start = domain.realise(oracle.start)
    return replay(attack.plan(domain.realise(oracle.photo), domain, 0, start), oracle)


@pytest.mark.parametrize("domain", [FLOAT, UINT8], ids=["float64", "uint8"])
@pytest.mark.parametrize("name", NAMES)
def test_a_plane_whose_normal_is_in_the_waves_is_reached(name: str, domain: Domain) -> None:
    """Nothing but the waves limits them: here 2,000 queries find the nearest adversarial image to within 3 %."""
    found = run(name, Plane(), domain, queries=2000)

    assert 0.99 * MARGIN <= 255 * found.rmse <= 1.03 * MARGIN


@pytest.mark.parametrize("name", NAMES)
def test_aware_of_rounding_probes_have_a_grey_level(name: str) -> None:
    """On whole grey levels probes differ from each other by √2 levels RMS; rounding leaves published ones alike."""
    apart = {}
    for eight_bit in (True, False):
        oracle = Plane()
        found = run(f"{name}:eight_bit={str(eight_bit).lower()}", oracle, UINT8, queries=200)
        end = found.steps[0].queries
        probes = oracle.images[end - FIRST : end]
        apart[eight_bit] = np.mean([rms(one - other) for one, other in pairwise(probes)])

    assert apart[True] == pytest.approx(math.sqrt(2), rel=0.15)
    assert apart[False] < 0.2


@pytest.mark.parametrize("name", NAMES)
def test_probes_are_in_the_lowest_waves_and_of_the_published_size(name: str) -> None:
    """Differences between probes of one iteration hold no higher wave; iteration t has 30 √t of them."""
    oracle = Plane()
    found = run(name, oracle, queries=250)
    ends = [step.queries for step in found.steps]
    first, second = oracle.images[ends[0] - FIRST : ends[0]], oracle.images[ends[1] - 42 : ends[1]]
    waves = Waves((SIDE, SIDE), SIDE // REDUCTION, np.float64)
    published = 255 * (0.0003 if name == "ttba" else 0.0002 * 0.225) / REDUCTION

    for probes in (first, second):
        for probe in probes[1:]:
            change: Any = probe - probes[0]
            np.testing.assert_allclose(waves.synthesis(waves.analysis(change)), change, atol=1e-4 * rms(change))
            assert rms(change) < 2 * published * 1.001
    assert np.mean([rms(probe - first[0]) for probe in first[1:]]) == pytest.approx(published * math.sqrt(2), rel=0.05)


@dataclass(frozen=True)
class FirstTurn:
    """The first turn of a run. asked: its points, in order. at: the boundary point; normal: what probes there found."""

    oracle: Plane
    asked: list[Any]
    at: Any
    normal: Any

    @property
    def distance(self) -> float:
        return rms(self.at - self.oracle.photo)

    def angle(self, point: Any) -> float:
        """Return the angle between a point and the boundary point, seen from the clean image."""
        return angle_between(point - self.oracle.photo, self.at - self.oracle.photo)


def angle_between(one: Any, other: Any) -> float:
    return math.acos(min(np.mean(one * other) / rms(one) / rms(other), 1.0))


def first_turn(name: str) -> FirstTurn:
    oracle = Plane()
    found = run(name, oracle, queries=250)
    first, second = (step.queries for step in found.steps[:2])
    probes = np.stack(oracle.images[first - FIRST : first])
    ends = [image for image in oracle.images[: first - FIRST] if oracle.is_adversarial(image)]
    at = min(ends, key=lambda image: rms(image - oracle.photo))
    signs = np.array([1 if oracle.is_adversarial(probe) else -1 for probe in probes])
    return FirstTurn(oracle, oracle.images[first : second - 42], at, np.tensordot(signs, probes - at, 1))


def test_cgba_asks_on_the_semicircle() -> None:
    """Each point that is asked sees clean image and boundary point at a right angle; it turns by 45° first."""
    turn = first_turn("cgba")

    for point in turn.asked:
        assert np.mean((point - turn.oracle.photo) * (point - turn.at)) == pytest.approx(0, abs=1e-6 * turn.distance**2)
    assert turn.angle(turn.asked[0]) == pytest.approx(math.pi / 4)


def test_cgba_h_bisects_the_line_from_the_semicircle() -> None:
    """The normal's angle is halved on the semicircle until adversarial; all else asked is on the line to that point."""
    turn = first_turn("cgba_h")
    photo, asked = turn.oracle.photo, turn.asked
    turned = next(i for i, point in enumerate(asked) if turn.oracle.is_adversarial(point))
    angle = angle_between(turn.normal, turn.at - photo)

    for halvings, point in enumerate(asked[: turned + 1], start=1):
        assert np.mean((point - photo) * (point - turn.at)) == pytest.approx(0, abs=1e-6 * turn.distance**2)
        assert turn.angle(point) == pytest.approx(angle / 2**halvings, rel=1e-3)
    for point in asked[turned + 1 :]:
        assert angle_between(point - photo, asked[turned] - photo) == pytest.approx(0, abs=1e-5)


def test_ttba_bisects_the_bridge_and_then_the_line_below_it() -> None:
    """Ten points are asked on the bridge, halfway to the normal first, the others on one line to the clean image."""
    turn = first_turn("ttba")
    photo, asked = turn.oracle.photo, turn.asked
    halfway = turn.normal / rms(turn.normal) + (turn.at - photo) / turn.distance

    for point in asked[:10]:
        assert rms(point - photo) == pytest.approx(turn.distance)
    assert angle_between(asked[0] - photo, halfway) == pytest.approx(0, abs=1e-3)
    for point in asked[11:]:
        assert angle_between(point - photo, asked[10] - photo) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(("farthest", "share"), [(0.05, 0.9), (0.1, 0.9), (0.2, 2 / 3), (0.7, 2 / 3)])
def test_two_thirds_of_the_bridge_are_gone(farthest: float, share: float) -> None:
    """Two thirds of a wide bridge, nine tenths of a narrow one, and a straight line between."""
    assert left_at(farthest) == pytest.approx(share * farthest)
    assert left_at(0.15) == pytest.approx((left_at(0.1) + left_at(0.2)) / 2)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"queries": 0}, UsageError),
        ({"probes": 0}, UsageError),
        ({"reduction": 0.5}, UsageError),
        ({"reduction": math.inf}, UsageError),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_options_out_of_range_are_refused(name: str, wrong: dict[str, Any], error: type[Exception]) -> None:
    """Before anything is asked, by the option's name."""
    kind: Callable[..., Any] = type(load.attack(name))

    with pytest.raises(error, match=next(iter(wrong))):
        kind(**wrong)


def test_an_unknown_search_is_refused() -> None:
    """The message lists the searches there are."""
    with pytest.raises(UnknownName, match="semicircle"):
        Cgba(search="spiral")  # type: ignore[arg-type] # on purpose
