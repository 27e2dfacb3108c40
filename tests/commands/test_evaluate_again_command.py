"""`bbquery evaluate` with the metrics that are only taken when they are named."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as Pillow
from scipy.stats import spearmanr

from bbquery import load
from bbquery.cli import main
from bbquery.jobs.evaluate.evaluate import evaluate_async
from bbquery.jobs.explain.explain import explain
from bbquery.metrics.max_sensitivity import MaxSensitivity
from bbquery.plan import Ask, replay
from bbquery.report.explanation import record
from bbquery.saliency.rise import Rise
from bbquery.types import UINT8, NoAnswer, Scores
from tests.support.models import sides
from tests.support.oracles import FakeOracle, brightness

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.ledger.ledger import Ledger
    from bbquery.types import Answer, Image

SIDES = "function:call=tests.support.models.sides,classes=left|right,version=1"
QUERIES = 40


@pytest.fixture
def pixels() -> Any:
    return np.random.default_rng(0).integers(90, 200, (24, 32, 3), dtype=np.uint8)


@pytest.fixture
def photo(tmp_path: Path, pixels: Any) -> str:
    return saved(tmp_path / "photo.png", pixels)


def saved(path: Path, image: Any) -> str:
    Pillow.fromarray(image).save(path)
    return str(path)


def explained(photo: str, out: Path, *, method: str = f"rise:queries={QUERIES},batch=16", seed: int = 0) -> str:
    """The folder of a map that was made, with its record, without the pictures that `bbquery explain` draws."""
    found = explain(photo, SIDES, method=method, target="left", seed=seed)
    out.mkdir()
    np.save(out / "left.npy", found.maps[0].values)
    (out / "run.json").write_bytes(record(found, command=[], source=photo, files={"left.npy": "map"}))
    return str(out)


def evaluate(map_path: str, photo: str, out: Path, metrics: str, *more: str) -> int:
    return main(["evaluate", map_path, photo, "--oracle", SIDES, "--out", str(out), "--metrics", metrics, *more])


def figures(out: Path) -> dict[str, dict[str, Any]]:
    plain = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))
    return {figure["metric"]: figure for figure in plain["metrics"]}


def left(ask: Ask) -> Scores:
    """The model itself, asked without an oracle."""
    values = np.array([sides(ask.images[row])[0] for row in range(len(ask.images))])
    return Scores((values > 0.5).astype(np.int8), values)


def test_repeatability_is_that_of_maps_of_other_seeds(photo: str, tmp_path: Path) -> None:
    """Three further seeds, explained one by one, correlate just so, by scipy."""
    folders = [explained(photo, tmp_path / f"{seed}", seed=seed) for seed in (5, 6, 7, 8)]
    maps = [np.load(f"{folder}/left.npy").ravel() for folder in folders]
    pairs = [spearmanr(one, other).statistic for one, other in itertools.combinations(maps, 2)]

    assert evaluate(folders[0], photo, tmp_path / "out", "repeatability") == 0

    found = figures(tmp_path / "out")
    assert found["repeatability"]["value"] == pytest.approx(np.mean(pairs), abs=1e-12)
    assert found["repeatability_spread"]["value"] == pytest.approx(np.std(pairs, ddof=1), abs=1e-12)
    assert found["repeatability"]["used"] == "seed 5 against 6, 7, 8; 40 queries a map"
    assert (found["repeatability"]["steps"], found["repeatability"]["queries"]) == (3, 120)
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["queries"]["sent"] == 0  # all were stored


def test_a_method_without_chance_repeats_itself(photo: str, tmp_path: Path) -> None:
    """Occlusion asks the same whatever the seed: its map comes out again, to the bit."""
    folder = explained(photo, tmp_path / "map", method="occlusion:window=8,stride=8,queries=20")

    evaluate(folder, photo, tmp_path / "out", "repeatability", "--repeats", "2")

    found = figures(tmp_path / "out")
    assert found["repeatability"]["value"] == pytest.approx(1.0, abs=1e-12)
    assert found["repeatability_spread"]["value"] == pytest.approx(0.0, abs=1e-12)


def test_max_sensitivity_is_how_far_maps_of_noisy_copies_are(photo: str, pixels: Any, tmp_path: Path) -> None:
    """The largest and the mean distance, as NumPy has them of maps that were made without the command."""
    folder = explained(photo, tmp_path / "map", seed=3)
    metric, method = MaxSensitivity(noisy_copies=2, radius=30.0), Rise(queries=QUERIES, batch=16)
    noisy = [metric.noisy(pixels, UINT8, copy, 3) for copy in range(2)]
    first, *others = (replay(method.plan(each, UINT8, 3), left).values for each in (pixels, *noisy))
    away = [np.linalg.norm(other - first) / np.linalg.norm(first) for other in others]

    evaluate(folder, photo, tmp_path / "out", "max_sensitivity", "--noisy-copies", "2", "--radius", "30")

    found = figures(tmp_path / "out")
    assert found["max_sensitivity"]["value"] == pytest.approx(max(away), rel=1e-9)
    assert found["mean_sensitivity"]["value"] == pytest.approx(np.mean(away), rel=1e-9)
    assert found["max_sensitivity"]["used"] == "radius 30 grey levels; 40 queries a map"
    assert (found["max_sensitivity"]["steps"], found["max_sensitivity"]["queries"]) == (2, 120)


def test_the_map_itself_is_not_paid_again(photo: str, tmp_path: Path) -> None:
    """Its questions are in the store: only the noisy copies' are sent."""
    folder = explained(photo, tmp_path / "map")

    evaluate(folder, photo, tmp_path / "out", "max_sensitivity", "--noisy-copies", "2")

    queries = json.loads((tmp_path / "out" / "evaluation.json").read_text())["queries"]
    assert (queries["sent"], queries["from_store"]) == (2 * QUERIES, QUERIES + 1)


def test_grid_pointing_is_the_share_in_the_photos_cell(photo: str, pixels: Any, tmp_path: Path) -> None:
    """The montage's map, made without the command of cells that Pillow shrank, has as much in its top left quarter."""
    others = [np.random.default_rng(k).integers(0, 60 * k, (30, 44, 3), dtype=np.uint8) for k in (1, 2, 3)]
    names = [saved(tmp_path / f"{k}.png", other) for k, other in enumerate(others)]
    cells = [np.array(Pillow.fromarray(each).resize((16, 12), Pillow.Resampling.BICUBIC)) for each in (pixels, *others)]
    whole = np.block([[[cells[0]], [cells[1]]], [[cells[2]], [cells[3]]]])
    values = replay(Rise(queries=QUERIES, batch=16).plan(whole, UINT8, 0), left).values.clip(0)

    assert evaluate(explained(photo, tmp_path / "map"), photo, tmp_path / "out", "grid_pointing",
                    "--montage", ",".join(names)) == 0  # fmt: skip

    found = figures(tmp_path / "out")["grid_pointing"]
    assert found["value"] == pytest.approx(values[:12, :16].sum() / values.sum(), rel=1e-9)
    assert (found["used"], found["queries"]) == ("cell 1 of 4; 0.25 by chance", QUERIES)


def true_gradient(pixels: Any) -> Any:
    """The gradient of the left half's share of the brightness, by hand."""
    one, other = pixels[:, :16].mean(), pixels[:, 16:].mean()
    count, total = pixels[:, :16].size, one + other
    out = np.empty(pixels.shape)
    out[:, :16], out[:, 16:] = other / total**2 / count, -one / total**2 / count
    return out


def test_the_gradient_of_an_estimators_map_is_had_again(photo: str, pixels: Any, tmp_path: Path) -> None:
    """The map holds magnitudes, but the store knows the answers: no query is sent, and the angle is NumPy's."""
    folder = explained(photo, tmp_path / "map", method="lr:queries=500,sigma=20")
    true = true_gradient(pixels)
    np.save(tmp_path / "true.npy", true)
    estimated = replay(load.method("lr:queries=500,sigma=20").estimator.plan(pixels, UINT8, 0), left).values  # type: ignore[attr-defined]
    expected = (true * estimated).sum() / np.linalg.norm(true) / np.linalg.norm(estimated)

    evaluate(folder, photo, tmp_path / "out", "gradient_cosine", "--gradient", str(tmp_path / "true.npy"))

    found = figures(tmp_path / "out")["gradient_cosine"]
    assert found["value"] == pytest.approx(expected, rel=1e-9)
    assert expected > 0.3  # sqrt(500 / (500 + 2304)) is expected of a linear score
    assert found["used"] == f"against {tmp_path / 'true.npy'}; 0 ± 0.021 by chance"
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["queries"]["sent"] == 0


@pytest.mark.parametrize("channels", [3, 1])
def test_a_file_may_itself_hold_a_gradient(photo: str, pixels: Any, tmp_path: Path, channels: int) -> None:
    """By value or by pixel: with its signs it is compared as it is, and only the photo is asked."""
    true = true_gradient(pixels) if channels == 3 else true_gradient(pixels)[..., 0]
    estimated = true + np.random.default_rng(0).normal(scale=true.std(), size=true.shape)
    np.save(tmp_path / "true.npy", true)
    np.save(tmp_path / "map.npy", estimated)

    evaluate(
        str(tmp_path / "map.npy"), photo, tmp_path / "out", "gradient_cosine", "--gradient", str(tmp_path / "true.npy")
    )

    expected = (true * estimated).sum() / np.linalg.norm(true) / np.linalg.norm(estimated)
    assert figures(tmp_path / "out")["gradient_cosine"]["value"] == pytest.approx(expected, rel=1e-9)
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["queries"]["asked"] == 1


def test_a_map_without_a_record_is_repeated_by_the_method_given(photo: str, tmp_path: Path) -> None:
    """Method, queries and seed on the command line stand in for those of a record."""
    folder = explained(photo, tmp_path / "map", seed=4)
    bare = tmp_path / "bare.npy"
    bare.write_bytes((tmp_path / "map" / "left.npy").read_bytes())
    evaluate(folder, photo, tmp_path / "one", "repeatability")

    said = ("--method", f"rise:queries={QUERIES},batch=16", "--seed", "4", "--target", "left")
    evaluate(str(bare), photo, tmp_path / "two", "repeatability", *said)

    assert figures(tmp_path / "one") == figures(tmp_path / "two")


def test_another_method_than_the_maps_is_told(photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A person may choose it, but must know that it is not the map's repeatability."""
    folder = explained(photo, tmp_path / "map")

    evaluate(folder, photo, tmp_path / "out", "repeatability", "--method", "rise:queries=20", "--repeats", "1")

    assert "leave out --method" in capsys.readouterr().err


def test_explaining_again_hides_nothing_of_its_own(
    photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The filling of a metric that was not taken is no reason to beware."""
    evaluate(explained(photo, tmp_path / "map"), photo, tmp_path / "out", "repeatability", "--repeats", "1")

    said = capsys.readouterr()
    assert "BEWARE" not in said.err
    assert "seed 0 against 1; 40 queries a map" in said.out
    assert "unknown" in said.out  # the spread of one pair


def test_what_it_would_cost_is_said_before(photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run counts whole maps: 5 of other seeds, and of the photo with 2 noisy copies; nothing is asked."""
    folder = explained(photo, tmp_path / "map")
    capsys.readouterr()

    named = ("repeatability,max_sensitivity", "--repeats", "5", "--noisy-copies", "2", "--dry-run")
    code = evaluate(folder, photo, tmp_path / "out", *named)

    said = capsys.readouterr().out
    assert code == 0
    assert f"{1 + 5 * QUERIES + 3 * QUERIES} at most" in said
    assert "nothing was asked" in said
    assert not (tmp_path / "out").exists()


def test_a_budget_that_ends_leaves_figures(photo: str, tmp_path: Path) -> None:
    """Maps that are cut short are compared as they are, and their missing rows counted."""
    folder = explained(photo, tmp_path / "map")
    paid = ("--oracle", f"{SIDES},usd_per_query=0.001", "--max-usd", "0.1")

    code = evaluate(folder, photo, tmp_path / "out", "repeatability", *paid)

    plain = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert code == 4
    assert plain["queries"]["sent"] == 100
    assert figures(tmp_path / "out")["repeatability"]["unanswered"] == 20
    assert figures(tmp_path / "out")["repeatability"]["value"] is not None


@pytest.mark.parametrize(
    ("metrics", "arguments", "told"),
    [
        ("repeatability", ["--repeats", "0"], "repeats"),
        ("repeatability", ["--repeats", "30"], "repeatability ask 1201 queries, but at most 1000 are allowed: raise "
         "--max-queries, lower --repeats, or choose fewer --metrics"),
        ("max_sensitivity", ["--noisy-copies", "0"], "copies"),
        ("max_sensitivity", ["--radius", "0"], "radius"),
        ("max_sensitivity", ["--noisy-copies", "30"], "lower --noisy-copies"),
        ("max_sensitivity", ["--score", "soft:form=margin"], "give its --score"),
        ("repeatability", ["--method", "rise"], "how many queries"),
        ("repeatability", ["--method", "rice:queries=9"], "unknown method"),
        ("grid_pointing", [], "give --montage"),
        ("grid_pointing", ["--montage", "PHOTO,PHOTO"], "3 others or 8"),
        ("grid_pointing", ["--montage", "PHOTO,PHOTO,nobody.jpg"], "nobody.jpg"),
        ("grid_pointing", ["--montage", "PHOTO,PHOTO,PHOTO", "--max-queries", "9"], "raise --max-queries, or choose"),
        ("srg", ["--montage", "PHOTO,PHOTO,PHOTO"], "--metrics grid_pointing"),
        ("srg", ["--gradient", "nobody.npy"], "--metrics gradient_cosine"),
        ("gradient_cosine", [], "give --gradient"),
        ("gradient_cosine", ["--gradient", "nobody.npy"], "nobody.npy"),
        ("gradient_cosine", ["--gradient", "GRADIENT"], "a map of score gained by revealing a cell: give the map of"),
    ],
)  # fmt: skip
def test_bad_usage_is_explained_and_costs_nothing(
    photo: str, pixels: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], metrics: str, arguments: list[str],
    told: str,
) -> None:  # fmt: skip
    """Each mistake gives exit code 2 and says what to do, and nothing is asked or written."""
    folder = explained(photo, tmp_path / "map")
    np.save(tmp_path / "true.npy", true_gradient(pixels))
    given = [each.replace("PHOTO", photo).replace("GRADIENT", str(tmp_path / "true.npy")) for each in arguments]
    capsys.readouterr()

    code = evaluate(folder, photo, tmp_path / "out", metrics, *given)

    said = capsys.readouterr()
    assert code == 2
    assert told in said.err
    assert "sees" not in said.out
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize(
    ("values", "true", "told"),
    [
        (np.eye(24, 32), -np.ones((24, 32)), "magnitudes"),
        (np.eye(24, 32), np.ones((32, 24)), r"(32, 24), but the estimated one (24, 32)"),
        (np.ones((24, 31, 3)), np.ones((24, 32, 3)), "(24, 31, 3)"),
    ],
)
def test_a_map_that_is_no_gradient_is_refused(
    photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], values: Any, true: Any, told: str
) -> None:
    """Without a record the values tell: other pixels, or no signs."""
    np.save(tmp_path / "map.npy", values)
    np.save(tmp_path / "true.npy", true)

    code = evaluate(
        str(tmp_path / "map.npy"), photo, tmp_path / "out", "gradient_cosine", "--gradient", str(tmp_path / "true.npy")
    )

    assert (code, told in capsys.readouterr().err) == (2, True)


def test_a_map_of_unknown_making_cannot_be_made_again(
    photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither a bare map nor one of a method of one's own can be repeated without being told how."""
    np.save(tmp_path / "bare.npy", np.eye(24, 32))
    own = explained(photo, tmp_path / "own", method="tests.support.cells_method:Cells")

    codes = [evaluate(each, photo, tmp_path / "out", "repeatability") for each in (str(tmp_path / "bare.npy"), own)]

    said = capsys.readouterr().err
    assert codes == [2, 2]
    assert "no record says how the map was made: give the method and its queries: --method NAME:queries=N" in said
    assert "cannot be made again from its record: give the method" in said


def test_estimates_without_signs_need_the_shape_of_what_is_sent(
    photo: str, pixels: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What an estimator gives has three channels; a reference by pixel is refused before anything is asked."""
    folder = explained(photo, tmp_path / "map", method="lr:queries=30")
    np.save(tmp_path / "true.npy", true_gradient(pixels)[..., 0])

    code = evaluate(folder, photo, tmp_path / "out", "gradient_cosine", "--gradient", str(tmp_path / "true.npy"))

    assert (code, "(24, 32), but the estimated one (24, 32, 3)" in capsys.readouterr().err) == (2, True)


# --- what no command line reaches ---


async def test_python_takes_objects(ledger: Ledger) -> None:
    """All that explains again at once, of an oracle that refuses some copies: they are counted in each figure."""

    def picky(image: Image) -> Answer:
        return NoAnswer("no") if image.sum() % 5 == (x.sum() + 1) % 5 else brightness(image)

    x = np.random.default_rng(5).integers(90, 200, (12, 12, 3), dtype=np.uint8)
    photos = [np.full((12, 12, 3), k, dtype=np.uint8) for k in (0, 100, 255)]

    found = await evaluate_async(
        np.eye(12), x, FakeOracle(reply=picky), metrics="repeatability,max_sensitivity,grid_pointing",
        method=Rise(queries=32, fill=0.0), montage=photos, repeats=2, noisy_copies=1, ledger=ledger,
    )  # fmt: skip

    assert found.queries.asked == found.choice.asked == found.choice.queries == 1 + 2 * 32 + 2 * 32 + 32
    assert [figure.metric for figure in found.measurements] == [
        "repeatability", "repeatability_spread", "max_sensitivity", "mean_sensitivity", "grid_pointing",
    ]  # fmt: skip
    assert all(0 < figure.unanswered < figure.queries for figure in found.measurements)
    assert not found.partial


async def test_another_making_is_another_run(ledger: Ledger) -> None:
    """Method, seed and repeats decide what is asked, so a budget is never resumed for other questions."""
    how: dict[str, Any] = {"metrics": "repeatability", "method": Rise(queries=4), "repeats": 1, "ledger": ledger}
    x = np.full((12, 12, 3), 90, dtype=np.uint8)
    others: list[dict[str, Any]] = [{}, {"seed": 1}, {"method": Rise(queries=5)}, {"repeats": 2}]

    runs = [(await evaluate_async(np.eye(12), x, FakeOracle(), **how | other)).run for other in others]

    assert len(set(runs)) == 4
