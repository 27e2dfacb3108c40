"""The league's parts on ceilings, sanity and intervals: what they compute is what they say."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from numpy.typing import NDArray

networks = importlib.import_module("networks")


def part(name: str) -> Any:
    """Import a module of the benchmark."""
    return importlib.import_module(f"benchmarks.league_parts.{name}")


ceilings, games, intervals = part("ceilings"), part("games"), part("intervals")
rows, sanity, setting = part("rows"), part("sanity"), part("setting")
PHOTO = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)


class Photo:
    """What the part knows of a photo, without a network."""

    name, x, target = "photo", PHOTO, 0
    model: Any = None


@pytest.mark.parametrize("method", ["designed", "RISE, centred", "LR, vanilla"])
def test_a_map_of_differences_is_flat_where_there_are_none(method: str, tmp_path: Any) -> None:
    """An oracle that always answers the same gives a map without relief, but for rounding."""
    run = setting.Setting(setting.TIERS["smoke"], rows.Results(tmp_path / "rows"), tmp_path, tmp_path)

    found = sanity.map_of(run, sanity.Constant(Photo), method, 64)

    assert np.ptp(found) < 1e-9


def test_a_map_of_means_shows_how_often_each_pixel_was_seen(tmp_path: Any) -> None:
    """RISE as published has relief where nothing is to be seen, which is what the measure is for."""
    run = setting.Setting(setting.TIERS["smoke"], rows.Results(tmp_path / "rows"), tmp_path, tmp_path)

    assert np.ptp(sanity.map_of(run, sanity.Constant(Photo), "RISE, published", 64)) > 0.05


def test_edges_are_where_brightness_changes() -> None:
    """Of a photo of two halves they are the two columns beside the border, and nothing at the rim."""
    x = np.zeros((6, 8, 3), dtype=np.uint8)
    x[:, 4:] = 100

    found = sanity.edges_of(x)

    np.testing.assert_allclose(found[:, 3:5], 400)
    assert not found[:, :3].any()
    assert not found[:, 5:].any()


def test_shuffled_weights_are_the_same_numbers_elsewhere() -> None:
    """Kernels and matrices keep their numbers, not their order; what normalises channels is as it was."""
    tensors = {"kernel": np.arange(24.0).reshape(2, 3, 2, 2), "bias": np.arange(5.0)}

    found = networks.shuffled(tensors)

    assert found["kernel"].shape == (2, 3, 2, 2)
    assert sorted(found["kernel"].ravel()) == list(range(24))
    assert (found["kernel"] != tensors["kernel"]).any()
    assert found["bias"] is tensors["bias"]


def test_the_width_is_that_of_the_others() -> None:
    """A game far from the others is held to their width, which its own distances have no part in."""
    away = {"a": np.linspace(0, 1, 100), "b": np.linspace(0, 1, 100), "far": np.linspace(0, 10, 100)}
    others = {name: [other for other in away if other != name] for name in away}

    found = intervals.left_out(away, others)

    assert found["far"] == pytest.approx(0.09, abs=0.011)  # within .9 of 10
    assert found["a"] == 1.0  # "far" widens it


def test_a_width_chosen_on_like_games_holds_what_it_promises() -> None:
    """Where distances of all games are drawn alike, 90 % of each lie within the width of the others."""
    draw = np.random.default_rng(0)
    away = {f"game {number}": np.abs(draw.normal(size=2000)) for number in range(10)}
    others = {name: [other for other in away if other != name] for name in away}

    found = np.array(list(intervals.left_out(away, others).values()))

    assert found.mean() == pytest.approx(0.9, abs=0.01)


def _distances(difference: NDArray[np.float64], error: NDArray[np.float64]) -> list[float]:
    return list(intervals._away(difference, error))


def test_no_error_holds_nothing_but_the_truth() -> None:
    """A difference of 0 is within any interval; another one is within none of no width."""
    assert _distances(np.array([0.0, 1.0, -2.0]), np.array([0.0, 0.0, 4.0])) == [0.0, np.finfo(np.float64).max, 0.5]


def test_the_page_has_a_line_for_each_model_and_budget() -> None:
    """Cells of a game's seeds are one game; photos have a table of their own."""
    distances = {f"errors {cell:02}": cell / 10 for cell in range(20)}
    kept = [
        rows.Row("intervals", f"{model}_0{game}", "designed", 32, seed, distances)
        for model in ("vit_b32_grid16", "resnet18_superpixel14")
        for game in range(5)
        for seed in range(2)
    ]
    kept += [rows.Row("intervals", f"photo {number}", "designed", 64, 0, {"held": 0.75}) for number in range(5)]
    results = rows.Results.__new__(rows.Results)
    results.rows = {row.key: row for row in kept}

    told = intervals.section(results)

    assert told.count("| 32 | 5 | 1.00 [1.00, 1.00] | 0.90 [0.90, 0.90] | 0.90 [0.90, 0.90] |") == 2
    assert told.endswith("| 64 | 5 | 0.75 [0.75, 0.75] |\n")


@pytest.mark.parametrize("rounds", [2, 5, 20])
def test_an_additive_game_is_put_in_its_own_order(rounds: int) -> None:
    """Where each cell gains what it gains, whatever else is taken, few rounds find the order that many find."""
    worth = np.random.default_rng(0).permutation(20).astype(np.float64)
    asked = 0

    def gain(taken: NDArray[np.bool_]) -> NDArray[np.float64]:
        nonlocal asked
        asked += 2 * len(taken)
        found: NDArray[np.float64] = taken @ worth
        return found

    found = ceilings.order(gain, 20, 20 * (rounds + 1))

    assert np.argsort(-found).tolist() == np.argsort(-worth).tolist()
    assert asked <= 20 * (rounds + 1)


def test_cells_that_count_only_together_are_taken_together() -> None:
    """What a cell gains is asked anew in each round, beside those that are taken."""
    found = ceilings.order(lambda taken: taken[:, 3] + 2.0 * (taken[:, 3] & taken[:, 1]) + 0.5 * taken[:, 0], 4, 100)

    assert np.argsort(-found)[:3].tolist() == [3, 1, 0]


def bright_photo() -> Photo:
    """Return a photo of which a network says how bright it is."""
    subject = Photo()
    subject.model = type("Model", (), {"network": staticmethod(lambda image: np.array([image.mean() / 255]))})
    return subject


def test_a_game_is_what_the_judge_asks() -> None:
    """The gain of some cells is the score with them revealed from the blur less that with them hidden by black."""
    subject = bright_photo()
    left = ceilings.grid(PHOTO.shape, 2) % 2 == 0
    curves_blur = ceilings.filled(ceilings.METRIC.insertion_fill, PHOTO, 0)

    found = ceilings.Game(subject, ceilings.grid(PHOTO.shape, 2))(np.array([[True, False, True, False]]))

    revealed, hidden = np.where(left[..., None], PHOTO, np.rint(curves_blur)), np.where(left[..., None], 0, PHOTO)
    np.testing.assert_allclose(found, (revealed.mean() - hidden.mean()) / 255, atol=1e-9)


def test_an_order_may_be_sought_with_another_filling_than_the_judges() -> None:
    """The mean stands for what is hidden in both games, and a mean of pixels does not see what it hides."""
    subject = bright_photo()
    every = np.ones((1, 4), dtype=np.bool_)

    found = ceilings.Game(subject, ceilings.grid(PHOTO.shape, 2), ceilings.BY_MEAN)

    assert found(every)[0] == pytest.approx(0, abs=1 / 255)
    assert ceilings.ORDERS[ceilings.ORDER_BY_MEAN].judge is ceilings.BY_MEAN


@pytest.mark.parametrize(
    ("name", "judged"), [(ceilings.ORDER, list(ceilings.JUDGES)), ("order of 28 × 28 cells", [ceilings.PART])]
)
def test_noise_judges_the_orders_that_it_is_to_tell_apart(name: str, judged: list[str], tmp_path: Any) -> None:
    """Orders of 14 × 14 cells lack a row by either judge, others by one; a row that is there is not made anew."""
    run = setting.Setting(setting.TIERS["smoke"], rows.Results(tmp_path / "rows"), tmp_path, tmp_path)

    assert ceilings._lacking(run, "photo", name, 8000, "lite0") == judged
    run.keep(ceilings.PART, "photo", name, 8000, {"SRG": 0.5})
    assert ceilings._lacking(run, "photo", name, 8000, "lite0") == judged[1:]


def test_orders_are_told_beside_the_map_by_either_judge() -> None:
    """A gain by the judge whose questions were asked stands beside a loss by the one that nothing has seen."""
    by_judge = {(ceilings.PART, ceilings.ORDER): 0.9, (ceilings.THIRD, ceilings.ORDER): 0.2}
    kept = [
        rows.Row(part, f"photo {number}", name, queries, 0, {"SRG": by_judge.get((part, name), 0.5), "deletion": 0.1})
        for part in ceilings.JUDGES
        for name, queries in ((ceilings.ORDER, ceilings.QUERIES), ceilings.REFERENCE)
        for number in range(5)
    ]
    results = rows.Results.__new__(rows.Results)
    results.rows = {row.key: row for row in kept}

    told = ceilings.section(results)

    assert f"| {ceilings.ORDER} | **+0.400 [+0.400, +0.400]** | **-0.300 [-0.300, -0.300]** |" in told
    assert f"| {ceilings.ORDER_BY_MEAN} | – | – |" in told
