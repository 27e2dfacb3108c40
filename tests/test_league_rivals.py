"""Other people's methods that the league has afresh from their papers: each on a case whose answer is known."""

from __future__ import annotations

import importlib
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest


def part(name: str) -> Any:
    """Import a module of the benchmark."""
    return importlib.import_module(f"benchmarks.league_parts.{name}")


sensitivity, hiding, play = part("sensitivity"), part("hiding"), part("play")
shapiq_rivals = part("shapiq_rivals")
WEIGHTS = np.array([0.5, -0.25, 0.0, 0.125])
BRIGHT = np.full((32, 32, 3), 227, dtype=np.uint8)
BUDGETS = (64, 128, 512)


class Asked:
    """The mean of a photo's lower right quarter, 0 where hidden and 1 where seen, and how often that was asked."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, images: Any) -> Any:
        """Answer images."""
        rows = [images[row] for row in range(len(images))]
        self.count += len(rows)
        return np.array([(row[16:, 16:].mean() - hiding.GREY) / 100 for row in rows])


def test_sobol_indices_of_a_sum_are_its_shares_of_the_variance() -> None:
    """Where cells add up, the total index of one is its squared weight over that of all."""
    found = sensitivity.total_indices(lambda shown: shown @ WEIGHTS, 4, 4096, 0)

    np.testing.assert_allclose(found, WEIGHTS**2 / (WEIGHTS**2).sum(), atol=0.01)


def test_sobol_counts_what_only_two_cells_do_together() -> None:
    """A product of two cells about their means has no main effect, and each has all of the variance."""
    found = sensitivity.total_indices(lambda shown: (shown[:, 0] - 0.5) * (shown[:, 1] - 0.5), 3, 4096, 0)

    np.testing.assert_allclose(found, [1, 1, 0], atol=0.05)


def test_hsic_is_the_trace_of_its_definition() -> None:
    """The short form is the trace of the centred kernels' product, with the Dirac kernel written out."""
    rows = 32
    visible = sensitivity.halves(4, rows, np.random.default_rng(5))
    scores = np.abs(visible @ WEIGHTS)
    centring = np.eye(rows) - 1 / rows
    kernel = np.exp(-((scores[:, None] - scores) ** 2) / (2 * np.median(scores) ** 2))
    expected = [
        np.trace(centring @ (0.5 - (cell[:, None] - cell) ** 2) @ centring @ kernel) / rows for cell in visible.T
    ]

    found = sensitivity.dependence(lambda shown: np.abs(shown @ WEIGHTS), 4, rows, 5)

    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_hsic_of_a_cell_that_does_nothing_is_the_smallest() -> None:
    """Cells are ranked by how far the score depends on them, in either direction."""
    found = sensitivity.dependence(lambda shown: 1 + shown @ WEIGHTS, 4, 512, 0)

    assert np.argsort(-found).tolist() == [0, 1, 3, 2]


def test_a_cell_is_visible_in_half_of_the_rows() -> None:
    """A binary Latin hypercube shows each cell equally often."""
    assert (sensitivity.halves(9, 64, np.random.default_rng(0)).sum(axis=0) == 32).all()


def test_greedy_takes_the_cells_of_a_sum_by_weight() -> None:
    """Where cells add up, the order is that of their weights, whether or not the queries last to the end."""
    asked: list[int] = []

    def ask(visible: Any) -> Any:
        asked.append(len(visible))
        return visible @ WEIGHTS

    for queries in (20, 8):
        asked.clear()
        assert part("greedy").ranked(ask, 4, queries).tolist() == [4, 1, 2, 3]
        assert sum(asked) == queries


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("name", ["Sobol", "HSIC", "greedy subset", "AISE"])
def test_each_finds_the_only_quarter_that_counts_within_its_budget(name: str, budget: int) -> None:
    """The map of a score of the lower right quarter is highest there, within what it may ask, most of which it uses."""
    asked = Asked()

    found = part("superpixels").LIBRARIES[name](asked, BRIGHT, budget, 0)

    assert found.shape == (32, 32)
    inside = found[16:, 16:].mean()
    assert all(inside > found[rows, columns].mean() for rows, columns in _others())
    assert budget / 4 <= asked.count <= budget


def _others() -> list[tuple[slice, slice]]:
    first, last = slice(0, 16), slice(16, 32)
    return [(first, first), (first, last), (last, first)]


def test_half_of_a_cell_is_halfway_to_grey() -> None:
    """Copies show each cell by its share, and a map of cells lies on the photo as they do."""
    cells = hiding.grid((4, 4), 2)
    copies = hiding.Copies(np.full((4, 4, 3), 227, dtype=np.uint8), cells, np.array([[0, 0.5, 1, 0.25]]))

    assert copies[0][::2, ::2, 0].tolist() == [[127, 177], [227, 152]]
    assert np.argmax(hiding.enlarged(np.array([0.0, 1, 0, 0]), (4, 4)).ravel()) in {2, 3, 6, 7}


class Approximator:
    """Stands for one of shapiq's, which is not installed here: it asks each cell alone, and names pairs as well."""

    def __init__(self, cells: int) -> None:
        self.cells = cells

    def approximate(self, _budget: int, game: Any) -> Any:
        """Return values by tuples of cells, in no order."""
        single = game(np.eye(self.cells, dtype=bool))
        found = {(cell,): single[cell] for cell in reversed(range(self.cells))}
        return SimpleNamespace(get_n_order=lambda order: found if order == 1 else {(0, 1): 7.0})


def test_the_values_of_single_cells_are_taken_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever order and interactions shapiq names, a map has one value a cell, from the first to the last."""
    module = SimpleNamespace(KernelSHAPIQ=lambda n, **_: Approximator(n))
    monkeypatch.setitem(sys.modules, "shapiq", SimpleNamespace(approximator=module))
    monkeypatch.setitem(sys.modules, "shapiq.approximator", module)

    found = shapiq_rivals.RIVALS["KernelSHAP-IQ"](lambda shown: shown @ WEIGHTS, (2, 2), 64, 0)

    np.testing.assert_allclose(found, WEIGHTS)


@pytest.mark.parametrize(("budget", "seed", "beyond"), [(16, 0, True), (32, 0, False), (128, 0, True), (32, 1, True)])
def test_a_slow_rival_plays_with_few_queries_and_one_seed(budget: int, seed: int, beyond: bool) -> None:
    """ShaplEIG, which takes seconds a query, is left out where it would take hours; nobody else is."""
    assert play._beyond("ShaplEIG", budget, seed) is beyond
    assert not play._beyond("designed", budget, seed)


def test_who_is_after_shapley_values_is_held_against_these_as_well(tmp_path: Any) -> None:
    """`designed` has a row by main effects and one by Shapley values; RISE, which is after the former, has one."""
    (tmp_path / "games").mkdir()
    values = np.random.default_rng(0).random(2**14)
    np.savez(tmp_path / "games" / "resnet18_superpixel14_00.npz", values=values)
    results = part("rows").Results(tmp_path / "rows")
    setting = part("setting")
    methods = ("designed", "rise, centred")

    play.run(setting.Setting(setting.TIERS["smoke"], results, tmp_path, tmp_path, methods, budgets=frozenset({64})))

    kept = {(row.part, row.method): row.measures["correlation"] for row in results.rows.values()}
    by_shapley = kept.pop((play.BY_SHAPLEY, "designed"))
    assert sorted(kept) == [(play.PART, "RISE, centred"), (play.PART, "designed")]
    assert by_shapley != kept[play.PART, "designed"]


def test_correlations_with_shapley_values_have_a_table_of_their_own(tmp_path: Any) -> None:
    """Rows of one truth do not count in the table of the other."""
    rows = part("rows")
    results = rows.Results(tmp_path / "rows")
    for name, correlation in ((play.PART, 0.25), (play.BY_SHAPLEY, 0.75)):
        measures = {"correlation": correlation, "SRG": 0.5}
        results.add(rows.Row(name, "vit_b32_grid16_00", "designed", 32, 0, measures))

    told = part("report").league(results)

    main, shapley = (
        told.split(f"correlation with the exact {truth}\n")[1] for truth in ("main effects", "Shapley values")
    )
    assert "| designed | 1 | 0.250 |" in main.split("###")[0]
    assert "| designed | 1 | 0.750 |" in shapley.split("###")[0]
