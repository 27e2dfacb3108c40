"""The league's parts that need no network: exact games, rows on disk, statistics and tables."""

from __future__ import annotations

import importlib
import itertools
import math
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bbquery.plan import Ask
from tests.support.counted import Counted

if TYPE_CHECKING:
    from pathlib import Path


def part(name: str) -> Any:
    """Import a module of the benchmark."""
    return importlib.import_module(f"benchmarks.league_parts.{name}")


games, rows, statistics, words = part("games"), part("rows"), part("statistics"), part("words")
WEIGHTS = np.array([0.5, -0.2, 0.0, 0.1] + [0.01 * i for i in range(10)])


def game(values: Any = None) -> Any:
    """Return a game of 14 cells; by default each visible cell adds its weight."""
    if values is None:
        visible = np.arange(2**14)[:, None] >> np.arange(14) & 1
        values = visible @ WEIGHTS
    return games.Game("resnet18_superpixel14_00", np.asarray(values, dtype=np.float64))


def row(**changes: Any) -> Any:
    """Return a row; only what is given differs from the others."""
    usual = {"part": "photos", "subject": "a", "method": "rise", "budget": 64, "seed": 0, "measures": {"SRG": 0.5}}
    return rows.Row(**(usual | changes))


def test_main_effects_of_an_additive_game_are_its_weights() -> None:
    """The Banzhaf value of a cell that always adds the same is what it adds."""
    np.testing.assert_allclose(game().main_effects(), WEIGHTS, atol=1e-12)


def test_main_effects_are_means_over_all_other_cells() -> None:
    """On any game the Banzhaf value is the mean of value(with) - value(without), set by set."""
    values = np.random.default_rng(0).random(2**14)

    found = game(values).main_effects()

    for cell in (0, 5, 13):
        without = [index for index in range(2**14) if not index >> cell & 1]
        assert found[cell] == pytest.approx(np.mean([values[i | 1 << cell] - values[i] for i in without]))


def test_shapley_values_are_means_over_orders_of_appearance() -> None:
    """On any game a cell's value is what it adds, averaged over all orders in which the cells may appear."""
    values = np.random.default_rng(0).random(2**5)
    added = np.zeros(5)
    for order in itertools.permutations(range(5)):
        shown = 0
        for cell in order:
            added[cell] += values[shown | 1 << cell] - values[shown]
            shown |= 1 << cell

    np.testing.assert_allclose(games.Game("five", values).shapley_values(), added / math.factorial(5))


def test_srg_of_an_additive_game_is_its_closed_form() -> None:
    """Taken by falling weight, both curves are cumulative sums, and SRG the difference of their areas."""
    falling = np.sort(WEIGHTS)[::-1]
    inserted = np.concatenate([[0.0], np.cumsum(falling)])
    inserted_area = (inserted[1:] + inserted[:-1]).mean() / 2
    expected = 2 * inserted_area - WEIGHTS.sum()  # deleted is what is not inserted

    assert game().srg(WEIGHTS, 0) == pytest.approx(expected)


def test_equal_effects_are_taken_in_an_order_of_the_seed() -> None:
    """A map without preference is ranked by chance, repeatably, and not from the first cell to the last."""
    found = [game().srg(np.zeros(14), seed) for seed in (1, 1, 2, 3)]

    assert found[0] == found[1]
    assert len(set(found)) == 3


def test_a_pixel_above_half_of_white_is_a_visible_cell() -> None:
    """The picture of a game is read cell by cell, bit i for the i-th pixel in rows."""
    image = np.full((2, 7, 3), 127, dtype=np.uint8)
    image[0, 1] = image[1, 0] = 128  # cells 1 and 7
    played = game(np.arange(2**14))

    scores = played.answer(Ask(image[None]))

    assert scores.value.tolist() == [2.0**1 + 2.0**7]
    assert played.answer(Ask(played.image[None])).value.tolist() == [2**14 - 1]


def test_correlation_of_a_flat_map_is_nothing() -> None:
    """A map that does not vary tells nothing about the truth, and its correlation is 0 rather than undefined."""
    assert games.correlation(np.ones(14), WEIGHTS) == 0
    assert games.correlation(-2 * WEIGHTS, WEIGHTS) == pytest.approx(-1)


@pytest.mark.parametrize("form", ["rise_centred", "ridge"])
def test_masks_drawn_by_cell_find_additive_weights(form: str) -> None:
    """On an additive game both come back to the weights as queries grow, within their chance errors."""
    queries = 20_000
    # Var of a covariance over 1/4 with Bernoulli(1/2): at most 4 E[(f - mean)²] / n + shrinkage of 4 / n
    deviation = math.sqrt(4 * (WEIGHTS**2).sum() / 4 / queries)

    found = getattr(part("players"), form)(game().ask, (2, 7), queries, 0)

    np.testing.assert_allclose(found, WEIGHTS, atol=5 * deviation)


def test_rise_as_published_adds_what_the_others_are_worth() -> None:
    """S is the mean score where a cell is visible: half of all weights, and half of its own."""
    queries = 20_000
    mean = (WEIGHTS.sum() + WEIGHTS) / 2
    deviation = math.sqrt(2 * ((WEIGHTS.sum() / 2) ** 2 + (WEIGHTS**2).sum() / 4) / queries)

    found = part("players").rise_published(game().ask, (2, 7), queries, 0)

    np.testing.assert_allclose(found, mean, atol=5 * deviation)


@pytest.mark.filterwarnings("ignore")  # the libraries' own
def test_the_libraries_explain_an_additive_game() -> None:
    """KernelSHAP gives back the weights, LIME's shrunk coefficients are in line with them, each within its budget."""
    asked = []

    def ask(visible: Any) -> Any:
        asked.append(len(visible))
        return game().ask(visible)

    shapley = part("players").kernel_shap(ask, (2, 7), 200, 0)
    spent = sum(asked)
    lime = part("players").lime(ask, (2, 7), 200, 0)

    np.testing.assert_allclose(shapley, WEIGHTS, atol=1e-6)
    assert np.corrcoef(lime, WEIGHTS)[0, 1] > 0.99
    assert spent <= 200 and sum(asked) - spent <= 200  # noqa: PT018 - one promise


def test_a_line_cut_off_by_a_kill_is_forgotten(tmp_path: Path) -> None:
    """What was measured before a kill stays, half a line goes, and the next row stands on a line of its own."""
    path = tmp_path / "rows.jsonl"
    rows.Results(path).add(row())
    with path.open("a") as file:
        file.write('{"part": "photos", "sub')

    rows.Results(path).add(row(subject="b"))

    assert [r.subject for r in rows.Results(path).of("photos")] == ["a", "b"]


def test_forgotten_methods_are_measured_anew(tmp_path: Path) -> None:
    """Rows of a forgotten method, whatever it was answered with, are gone from the file, those of others are not."""
    path = tmp_path / "rows.jsonl"
    found = rows.Results(path)
    for made in (row(), row(method="lime"), row(method="lime; first label")):
        found.add(made)

    found.forget(["lime"])

    assert found.has(rows.Key("photos", "a", "rise", 64, 0))
    assert not found.has(rows.Key("photos", "a", "lime", 64, 0))
    assert [r.method for r in rows.Results(path).of("photos")] == ["rise"]


def test_the_csv_has_every_measure_on_a_line(tmp_path: Path) -> None:
    """Every number that was measured is in the file, in full."""
    found = rows.Results(tmp_path / "rows.jsonl")
    found.add(row(measures={"SRG": 0.1 + 0.2, "AOPC": 1.0}))

    found.write_csv(tmp_path / "league.csv")

    assert (tmp_path / "league.csv").read_text().splitlines() == [
        "part,subject,method,budget,seed,network,measure,value",
        "photos,a,rise,64,0,lite0,AOPC,1.0",
        "photos,a,rise,64,0,lite0,SRG,0.30000000000000004",
    ]


def test_seeds_of_a_subject_count_as_one() -> None:
    """A photo measured with several seeds weighs no more than another."""
    measured = [row(), row(seed=1, measures={"SRG": 0.7}), row(subject="b")]

    assert rows.table(measured, "SRG") == {("rise", 64): {"a": pytest.approx(0.6), "b": 0.5}}
    assert rows.table(measured, "AOPC") == {}


def test_the_interval_of_a_mean_is_that_of_theory() -> None:
    """The bootstrap's 95 % interval of a normal sample is 1.96 standard errors to each side, within a tenth."""
    drawn = np.random.default_rng(0).standard_normal(400)

    found = statistics.mean({str(i): v for i, v in enumerate(drawn)})

    half = 1.96 * drawn.std() / 20
    assert found.mean == pytest.approx(drawn.mean())
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.1)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.floats(-1, 1), min_size=5, max_size=9), st.floats(-10, 10))
def test_differences_are_paired(values: list[float], shift: float) -> None:
    """Where one is the other plus a constant there is no doubt about it, however much subjects differ."""
    one = {str(i): value + shift for i, value in enumerate(values)} | {"alone": 100.0}
    other = {str(i): value for i, value in enumerate(values)} | {"lone": -100.0}

    found = statistics.difference(one, other)

    assert found.n == len(values)
    np.testing.assert_allclose([found.mean, found.low, found.high], shift, atol=1e-9)


@pytest.mark.parametrize("n", range(5))
def test_few_subjects_have_no_interval(n: int) -> None:
    """Below five subjects a mean stands alone; without one there is none."""
    found = statistics.mean({str(i): 2.0 for i in range(n)} | {"unknown": math.nan})

    assert found.n == n
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert found.told(1) == ("2.0" if n else "nan")


def test_a_difference_is_bold_only_when_zero_is_outside() -> None:
    """Bold says that the 95 % interval of the paired difference excludes 0."""
    subjects = "abcdefgh"
    table = {
        ("designed", 64): dict.fromkeys(subjects, 0.5),
        ("worse", 64): dict.fromkeys(subjects, 0.4),
        ("alike", 64): dict(zip(subjects, itertools.cycle([0.4, 0.6]), strict=False)),
        ("asks nothing", 0): dict.fromkeys(subjects, 0.6),
    }

    lines = {line.split(" | ")[0].strip("| "): line for line in words.against(table, "designed").splitlines()}

    assert "**+0.100 [+0.100, +0.100]**, n=8" in lines["worse"]
    assert "**" not in lines["alike"]
    assert "**-0.100" in lines["asks nothing"]
    assert "designed" not in lines
    assert words.against(table, "unknown") == ""


def test_methods_are_listed_from_the_best() -> None:
    """A table begins with the method that is best at its own largest budget, and says where subjects are fewer."""
    table = {("a", 64): {"x": 0.9}, ("a", 128): {"x": 0.1, "y": 0.3}, ("b", 128): {"x": 0.5}}

    lines = words.by_budget(table, digits=1).splitlines()

    assert lines[0] == "| method | n | 64 | 128 |"
    assert lines[2:] == ["| b | 1 | – | 0.5 |", "| a | 2 | 0.9, n=1 | 0.2 |"]
    lowest_first = words.by_budget(table, digits=1, lowest=True).splitlines()
    assert lowest_first[2:] == lines[:1:-1]


def brightness(image: Any) -> Any:
    """Answer as a network of many classes, of which one sees how bright an image is."""
    return np.concatenate([[image.mean() / 255], np.linspace(0.02, 0.01, 20)])


def test_an_answer_is_asked_for_once_in_all_runs(tmp_path: Path) -> None:
    """Equal images are answered from memory, also after a restart, by the bytes of their pixels."""
    network, x = Counted(brightness), np.full((4, 4, 3), 200, dtype=np.uint8)
    model = SimpleNamespace(network=network, pool=ThreadPoolExecutor(1))
    subject = part("network").Subject(model, "photo", x, tmp_path)
    first = subject.said(np.array([x, x, x // 2]))
    subject.save()
    asked = network.calls

    again = part("network").Subject(model, "photo", x, tmp_path).said(np.array([x // 2, x]))

    assert asked == 3  # of them one by its constructor, which needs all probabilities
    assert network.calls == asked + 1
    np.testing.assert_array_equal(again.target, first.target[[2, 0]])
    np.testing.assert_array_equal(again.labels, first.labels[[2, 0]])
    assert first.target == pytest.approx([200 / 255, 200 / 255, 100 / 255])
    assert first.labels[0].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_more_photos_begin_with_those_of_fewer(tmp_path: Path) -> None:
    """A larger tier goes on where a smaller one stopped."""
    for number in range(20):
        (tmp_path / f"{number}.jpg").touch()
    chosen = part("network").chosen

    assert chosen(tmp_path, 12)[:5] == chosen(tmp_path, 5)
    assert sorted(chosen(tmp_path, 99)) == sorted(tmp_path.glob("*.jpg"))


def test_runs_side_by_side_share_the_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each measures its own part of them, and together all."""
    photos, setting = part("photos"), part("setting")
    images = tmp_path / "images"
    images.mkdir()
    for number in range(setting.TIERS["smoke"].photos):
        (images / f"{number}.jpg").touch()
    measured: list[set[str]] = []
    monkeypatch.setattr(photos, "Model", lambda *_: SimpleNamespace(sent=lambda photo: photo))
    monkeypatch.setattr(photos, "Subject", lambda _, name, *__: SimpleNamespace(name=name, save=lambda: None))
    monkeypatch.setattr(photos, "_measure", lambda _, subject, *__: measured[-1].add(subject.name))

    for places in (range(1), range(1, 100)):
        measured.append(set())
        results = rows.Results(tmp_path / "rows.jsonl")
        photos.run(setting.Setting(setting.TIERS["smoke"], results, tmp_path, tmp_path, places=places))

    assert [len(names) for names in measured] == [1, 1]
    assert set.union(*measured) == {"0", "1"}


def test_a_row_that_names_no_network_is_of_the_first_one(tmp_path: Path) -> None:
    """Rows that are older than the other networks stay EfficientNet-Lite0's, and no other network has them."""
    path = tmp_path / "rows.jsonl"
    path.write_text(
        '{"part": "photos", "subject": "a", "method": "m", "budget": 1, "seed": 0, "measures": {"SRG": 1}}\n'
    )
    found = rows.Results(path)
    found.add(row(method="m", budget=1, network="dogs"))

    assert found.has(rows.Key("photos", "a", "m", 1, 0))
    assert not found.has(rows.Key("photos", "a", "m", 1, 0, "lite1"))
    assert [r.measures["SRG"] for r in found.of("photos")] == [1]
    assert [r.measures["SRG"] for r in rows.Results(path).of("photos", "dogs")] == [0.5]


def test_other_networks_are_judged_on_photos_that_were_not_looked_at(tmp_path: Path) -> None:
    """None of them is among the first of the order; the network of dogs begins with dogs."""
    photos, setting = part("photos"), part("setting")
    (tmp_path / "images").mkdir()
    for number in range(90):
        (tmp_path / "images" / f"{'n02099601' if number % 9 == 0 else 'n01484850'}_{number}.jpg").touch()
    made = setting.Setting(setting.TIERS["full"], rows.Results(tmp_path / "rows.jsonl"), tmp_path, tmp_path)

    first = photos.photos_of("lite0", made)[: photos.SKIPPED]
    found = {network: photos.photos_of(network, made) for network in ("lite1", "dogs")}

    assert not set(first) & set(found["lite1"])
    assert len(found["lite1"]) == setting.TIERS["full"].network_photos
    assert sorted(found["dogs"]) == sorted(found["lite1"])
    dogs = ["n02099601" in photo.name for photo in found["dogs"]]
    assert any(dogs)
    assert dogs == sorted(dogs, reverse=True)


def test_half_a_photo_has_means_of_four_pixels() -> None:
    """A montage's cell shows all of a photo."""
    x = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3)

    found = part("montages").halved(x)

    assert found.shape == (2, 2, 3)
    assert found[0, 0, 0] == round((0 + 3 + 12 + 15) / 4)


def test_the_pages_say_what_was_measured_and_nothing_else(tmp_path: Path) -> None:
    """Means stand in the page to the last digit shown; a part without rows is left out."""
    results = rows.Results(tmp_path / "rows.jsonl")
    measures = {"SRG": 0.25, "deletion": 0.1, "insertion": 0.35, "AOPC": 0.8}
    for subject in "abcde":
        results.add(row(subject=subject, method="RISE, centred", measures=measures))
        results.add(row(subject=subject, method="RISE, published", measures=measures | {"SRG": 0.125}))

    part("report").write(results, tmp_path)

    page = (tmp_path / "league.md").read_text(encoding="utf-8")
    assert "| RISE, centred | 5 | 0.250 [0.250, 0.250] |" in page
    assert "| RISE, published | **+0.125 [+0.125, +0.125]**, n=5 |" in page
    assert page.index("### Deletion") < page.index("| RISE, published | 5 | 0.100 [0.100, 0.100] |")
    assert page.index("### Insertion") < page.index("| RISE, published | 5 | 0.350 [0.350, 0.350] |")
    assert "## Montages" not in page
    assert "| 64 | 0.100 [0.100, 0.100] | 0.350" in (tmp_path / "reproduction.md").read_text(encoding="utf-8")
    for picture in ("league.png", "league_peers.png"):
        assert (tmp_path / "images" / picture).read_bytes().startswith(b"\x89PNG")


def test_papers_are_compared_on_the_same_photos(tmp_path: Path) -> None:
    """Where a method was measured on fewer photos, a table beside a paper's has no more of the others'."""
    results = rows.Results(tmp_path / "rows.jsonl")
    for place, subject in enumerate("abcdef"):
        measures = {"deletion": 0.1 * (place + 1), "insertion": 0.5, "AOPC": 0.5}
        results.add(row(subject=subject, method="vanilla gradient, white-box", budget=0, measures=measures))
    results.add(row(subject="b", method="LR, vanilla", measures={"deletion": 0.3, "insertion": 0.4}))

    page = part("reproduction").page(results)

    assert "| vanilla gradient, white-box | 15.7 | 58.2 | 20.0 | 50.0 | 1 |" in page
    assert "| LR, vanilla | 15.4 | 58.7 | 30.0 | 40.0 | 1 |" in page


def test_papers_are_compared_where_most_photos_have_all_methods(tmp_path: Path) -> None:
    """A budget at which only one method was given all photos has fewer in common than a smaller one."""
    results = rows.Results(tmp_path / "rows.jsonl")
    measures = {"deletion": 0.25, "insertion": 0.5, "AOPC": 0.5}
    for subject in "abcdef":
        for budget in (1000, 256, 64):
            results.add(row(subject=subject, method="LR, vanilla", budget=budget, measures=measures))
            if budget != 1000 or subject == "a":
                results.add(row(subject=subject, method="LR, blockwise", budget=budget, measures=measures))

    page = part("reproduction").page(results)

    assert "256 queries in all" in page
    assert "| 25.0 [25.0, 25.0] | 50.0 [50.0, 50.0] | 6 |" in page


def test_estimated_gradients_stand_beside_the_paper_s(tmp_path: Path) -> None:
    """Cosines are shown in % by copies, the paper's number of the same copies above them."""
    results = rows.Results(tmp_path / "rows.jsonl")
    for copies in (10, 1000):
        results.add(row(part="cosines", method="LR, 4 grey levels", budget=copies, measures={"cosine": copies / 1e4}))

    page = part("reproduction").page(results)

    assert "| paper | – | 2.6 | 7.8 |" in page
    assert "| LR, 4 grey levels | 1 | 0.10 | 10.00 |" in page


def test_methods_are_held_against_one_at_its_own_budget() -> None:
    """The difference is paired over the photos that both have; the ratio is of the means over these."""
    table = {
        ("designed", 64): {"a": 0.75, "b": 0.25, "c": 9.0},
        ("RISE", 8000): {"a": 0.25, "b": 0.25},
    }

    told = part("words").against_one(table, ("RISE", 8000)).splitlines()

    assert told[2:] == ["| designed | 64 | +0.250 | 2 | 2.00 |"]
