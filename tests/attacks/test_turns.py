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

    def __call__(self, ask: Ask) -> Scores:
        asked = [ask.images[row].astype(np.float64) for row in range(len(ask.images))]
        self.images += asked
        beyond = np.array([np.mean((image - self.photo) * self.normal) > MARGIN for image in asked])
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


def turn_of(name: str) -> tuple[Plane, list[Any], Any]:
    """Return an oracle, what was asked in the first turn, in order, and the boundary point before it."""
    oracle = Plane()
    found = run(name, oracle, queries=250)
    first, second = (step.queries for step in found.steps[:2])
    at = np.mean(oracle.images[first - FIRST : first], axis=0)  # probes lie around it
    return oracle, oracle.images[first : second - 42], at


def test_cgba_asks_on_the_semicircle() -> None:
    """Each point that is asked sees clean image and boundary point at a right angle; it turns by 45° first."""
    oracle, asked, at = turn_of("cgba")
    distance = rms(at - oracle.photo)

    for point in asked:
        assert np.mean((point - oracle.photo) * (point - at)) == pytest.approx(0, abs=1e-4 * distance**2)
    assert rms(asked[0] - oracle.photo) == pytest.approx(distance * math.cos(math.pi / 4), rel=1e-4)


def test_cgba_h_bisects_the_line_from_the_semicircle() -> None:
    """The angle is halved on the semicircle until adversarial; all else that is asked is on the line to that point."""
    oracle, asked, at = turn_of("cgba_h")
    photo = oracle.photo
    turned = next(i for i, point in enumerate(asked) if np.mean((point - photo) * oracle.normal) > MARGIN)
    direction = (asked[turned] - photo) / rms(asked[turned] - photo)

    for point in asked[: turned + 1]:
        assert np.mean((point - photo) * (point - at)) == pytest.approx(0, abs=1e-4 * rms(at - photo) ** 2)
    for point in asked[turned + 1 :]:
        np.testing.assert_allclose(point, photo + rms(point - photo) * direction, atol=1e-6)
    angles = [
        math.acos(np.mean((p - photo) * (at - photo)) / rms(p - photo) / rms(at - photo)) for p in asked[: turned + 1]
    ]
    np.testing.assert_allclose(angles, angles[0] / 2.0 ** np.arange(turned + 1), rtol=1e-2)


def test_ttba_bisects_the_bridge_and_then_the_line_below_it() -> None:
    """Ten points are asked at the boundary point's distance, and the others on one line to the clean image."""
    oracle, asked, at = turn_of("ttba")
    distances = np.array([rms(point - oracle.photo) for point in asked])

    np.testing.assert_allclose(distances[:10], rms(at - oracle.photo), rtol=1e-4)
    direction = (asked[10] - oracle.photo) / distances[10]
    for point, distance in zip(asked[10:], distances[10:], strict=True):
        np.testing.assert_allclose(point, oracle.photo + distance * direction, atol=1e-6)


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
