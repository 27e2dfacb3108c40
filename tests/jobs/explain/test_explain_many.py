"""Several images from Python: nested budgets, what goes on and what stops, and one image in memory at a time."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as Pillow

import bbquery
from bbquery.errors import BadImage, BudgetExhausted, Rejected, UnknownName, UsageError
from bbquery.images import reading
from bbquery.jobs.explain.explain import explain_many_async
from bbquery.jobs.job import NothingToExplain
from bbquery.jobs.names import names_of_images
from bbquery.jobs.watch import Watch
from bbquery.ledger.records import Cap
from bbquery.oracle import Price
from oracles import function
from tests.support import models

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.jobs.explain.series import ImageResult
    from bbquery.jobs.parts import Part
    from bbquery.ledger.ledger import Ledger
    from bbquery.oracle import Oracle

pytestmark = pytest.mark.slow

METHOD = "designed:cells=4"  # the default with fewer cells, which takes a small part of its time
PHOTOS = [np.random.default_rng(n).integers(100, 200, (16, 24, 3), dtype=np.uint8) for n in range(3)]


def oracle_of(call: Callable[..., Any] = models.sides, **options: Any) -> Oracle:
    chosen: dict[str, Any] = {"classes": "left|right", "version": "1", "price": Price()}
    return function.connect(call, **(chosen | options))


async def results_of(images: Any, ledger: Ledger, oracle: Oracle | None = None, **options: Any) -> list[ImageResult]:
    chosen: dict[str, Any] = {"method": METHOD, "verify": 0, "ledger": ledger}
    return [result async for result in explain_many_async(images, oracle or oracle_of(), **(chosen | options))]


def states(results: list[ImageResult]) -> list[str]:
    return [result.status for result in results]


async def test_each_image_has_a_budget_in_the_runs(ledger: Ledger) -> None:
    """Three images of 20 queries each are 60 of the run's, and of the project's above it."""
    project = ledger.open_budget("audit", Cap(queries=100))

    results = await results_of(PHOTOS, ledger, max_queries=60, project="audit")

    budgets = [result.explanation.budget for result in results if result.explanation]
    run = ledger.find_budget(budgets[0].name.rpartition("/")[0])
    assert states(results) == ["complete"] * 3
    assert [b.name.rpartition("/")[2] for b in budgets] == ["image", "image~2", "image~3"]
    assert [(b.cap.queries, b.posted.queries) for b in budgets] == [(20, 20)] * 3
    assert (ledger.budget(run).cap.queries, ledger.budget(run).posted.queries) == (60, 60)
    assert ledger.budget(run).name.startswith("audit/explain-")
    assert ledger.budget(project).posted.queries == 60


async def test_an_image_among_others_has_the_map_it_has_alone(ledger: Ledger) -> None:
    """Neither its neighbours nor the shared budget change a map, and what was paid alone is not paid again."""
    alone = await bbquery.explain_async(PHOTOS[1], oracle_of(), method=METHOD, max_queries=20, verify=0, ledger=ledger)

    results = await results_of(PHOTOS, ledger, max_queries_per_image=20)

    among = results[1].explanation
    assert among is not None
    assert among.queries.sent == 0
    assert np.array_equal(among.maps[0].values, alone.maps[0].values)


async def test_the_same_again_resumes_the_same_budgets(ledger: Ledger) -> None:
    """A second identical run sends nothing and posts nothing."""
    first = await results_of(PHOTOS, ledger, max_queries=60)
    second = await results_of(PHOTOS, ledger, max_queries=60)

    pairs = [(a.explanation, b.explanation) for a, b in zip(first, second, strict=True)]
    assert all(a and b and b.budget == a.budget and b.queries.sent == 0 for a, b in pairs)


async def test_other_images_of_the_same_names_are_another_run(ledger: Ledger) -> None:
    """A run's budget is of its images, not of what they are called: other ones start with nothing spent."""
    await results_of(PHOTOS, ledger, max_queries=60)

    results = await results_of([photo // 2 for photo in PHOTOS], ledger, max_queries=60)

    budgets = [result.explanation.budget for result in results if result.explanation]
    assert [budget.posted.queries for budget in budgets] == [20, 20, 20]
    assert ledger.budget(ledger.find_budget(budgets[0].name.rpartition("/")[0])).posted.queries == 60


async def test_an_image_of_its_own_fault_does_not_stop_the_others(ledger: Ledger) -> None:
    """An image that the oracle will not answer has failed, with the reason; the others are explained."""

    def shy(image: np.ndarray) -> list[float] | None:
        return None if np.array_equal(image, PHOTOS[1]) else models.sides(image)

    results = await results_of(PHOTOS, ledger, oracle_of(shy), max_queries=30)

    assert states(results) == ["complete", "failed", "complete"]
    assert isinstance(results[1].error, NothingToExplain)
    assert results[1].explanation is None


async def test_an_image_in_which_nothing_is_named_has_failed(ledger: Ledger) -> None:
    """An empty list of labels leaves nothing to explain, unless somebody says what."""
    labels = oracle_of(lambda image: [] if image.mean() < 20 else [("bright", 0.5)], answers="labels", classes=None)

    results = await results_of([PHOTOS[0] // 20, PHOTOS[1]], ledger, labels, max_queries=20)

    assert states(results) == ["failed", "complete"]
    assert "say with target" in str(results[0].error)


async def test_a_fault_of_the_oracle_stops_the_run(ledger: Ledger) -> None:
    """A closed account would refuse every image: no more is begun, and none is asked."""
    calls: list[int] = []

    def closes(image: np.ndarray) -> list[float]:
        calls.append(1)
        if len(calls) == 15:
            raise Rejected("account closed")
        return models.sides(image)

    results = await results_of(PHOTOS, ledger, oracle_of(closes, concurrency=1), max_queries=30)

    assert states(results) == ["complete", "partial", "not begun"]
    assert all(isinstance(result.error, Rejected) for result in results[1:])
    assert len(calls) == 15


async def test_a_budget_that_is_not_there_is_found_first(ledger: Ledger) -> None:
    """A project without a budget is a usage error, as for one image."""
    with pytest.raises(UnknownName, match="bbquery budget set nobody"):
        await results_of(PHOTOS, ledger, project="nobody")


@pytest.mark.parametrize(
    ("images", "options", "said"),
    [
        ([], {}, "no image to explain"),
        (PHOTOS, {"max_queries": 2}, "shared by 3 images"),
        (PHOTOS, {"max_usd": "1", "max_usd_per_image": "2"}, r"only \$1.00"),
        (PHOTOS, {"max_queries": 60, "method": "rise:queries=30"}, "at most 20 are allowed for each of 3 images"),
    ],
)
async def test_impossible_wishes_are_found_first(ledger: Ledger, images: Any, options: Any, said: str) -> None:
    """No image, no share, a contradiction, a method that does not fit: usage errors before a query."""
    with pytest.raises(UsageError, match=said):
        await results_of(images, ledger, **options)


async def test_a_damaged_image_is_found_before_the_first_is_asked(ledger: Ledger, tmp_path: Path) -> None:
    """The third of three is damaged: the error names it, and no query was sent for the others."""
    calls: list[int] = []
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")

    with pytest.raises(BadImage, match=r"torn\.png"):
        await results_of([*PHOTOS[:2], tmp_path / "torn.png"], ledger, oracle_of(lambda _: calls.append(1)))

    assert calls == []


async def test_an_image_that_the_method_does_not_take_is_found_before_the_first_is_asked(ledger: Ledger) -> None:
    """The last of the images is too large for the grid of this stride: no query was sent for the others."""
    calls: list[int] = []
    large = np.zeros((64, 64, 3), dtype=np.uint8)

    with pytest.raises(UsageError, match="64 × 64 pixels"):
        await results_of(
            [*PHOTOS, large], ledger, oracle_of(lambda _: calls.append(1)), method="occlusion:stride=8,queries=20",
            max_queries_per_image=50,
        )  # fmt: skip

    assert calls == []


async def test_an_image_that_changes_meanwhile_has_failed(ledger: Ledger, tmp_path: Path) -> None:
    """What is explained is what was checked: a file that was replaced or removed since is not asked about."""
    paths = [tmp_path / f"{n}.png" for n in range(4)]
    for path, pixels in zip(paths, [*PHOTOS, PHOTOS[0] // 2], strict=True):
        Pillow.fromarray(pixels).save(path)

    class Meddler(Watch):
        def begins(self, part: Part) -> None:
            if part.place == 0:
                Pillow.fromarray(PHOTOS[0]).save(paths[1])
                paths[2].unlink()

    results = await results_of(paths, ledger, max_queries=40, watch=Meddler())

    assert states(results) == ["complete", "failed", "failed", "complete"]
    assert "changed since the run began" in str(results[1].error)
    assert "no such file" in str(results[2].error)


async def test_fifty_images_are_held_one_at_a_time(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever an image is decoded, to be checked or to be explained, none that was decoded before is still held."""
    paths = [tmp_path / f"{n}.png" for n in range(50)]
    for n, path in enumerate(paths):
        Pillow.fromarray(np.full((8, 8, 3), n, dtype=np.uint8)).save(path)
    load, held = reading.load, []
    decoded: list[weakref.ref[Any]] = []
    gc.collect()
    gc.freeze()  # what earlier tests of this process loaded: a hundred collections would go through all of it

    def counting(source: Any) -> Any:
        gc.collect()
        held.append(sum(reference() is not None for reference in decoded))
        photo = load(source)
        decoded.append(weakref.ref(photo))
        return photo

    monkeypatch.setattr(reading, "load", counting)
    answered = 0
    async for result in explain_many_async(paths, oracle_of(), max_queries=150, ledger=ledger):
        answered += result.status == "complete"
        del result

    assert answered == 50
    assert len(decoded) == 100
    assert set(held) == {0}


async def test_the_images_own_cap_stops_it_alone(ledger: Ledger) -> None:
    """Attempts that were lost use up the first image's share, and the second has its own."""
    lost = iter([bbquery.errors.OutcomeUnknown("lost")] * 3)

    def lossy(image: np.ndarray) -> object:
        return next(lost, models.sides(image))

    results = await results_of(PHOTOS[:2], ledger, oracle_of(lossy), method="rise:queries=19", max_queries=40)

    assert states(results) == ["partial", "complete"]
    assert isinstance(results[0].error, BudgetExhausted)
    assert results[0].explanation is not None
    assert len(results[0].explanation.unknown) == 3


@pytest.mark.parametrize(
    ("images", "names"),
    [
        (["a/cat.jpg", "b/cat.png", "sample:cat"], ["cat", "cat~2", "cat~3"]),
        (["Cat.jpg", "cat.jpg", "CAT.jpg"], ["Cat", "cat~2", "CAT~3"]),
        (["cat~2.jpg", "cat.jpg", "cat.png"], ["cat~2", "cat", "cat~3"]),
        (["index.html.png", PHOTOS[0], "a\nb.png", "..", ".png"], ["index.html~2", "image", "a_b", "image~2", ".png"]),
        (["caf\udce9.jpg"], ["caf_"]),
    ],
)
def test_every_image_has_a_name_of_its_own(images: list[Any], names: list[str]) -> None:
    """Equal names are numbered in the order given, whatever their case; names can be read, and are no other file's."""
    assert names_of_images(images) == names
