"""Several attacks on several images from Python: nested budgets, what is paid once, what goes on and what stops."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as Pillow

import bbquery
from bbquery.client.halt import Interrupted
from bbquery.errors import BadImage, BudgetExhausted, Rejected, UsageError
from bbquery.jobs.attack import series
from bbquery.jobs.attack.attack import attack_async
from bbquery.jobs.attack.many import attack_many_async
from bbquery.jobs.watch import Watch
from bbquery.ledger.records import Cap
from bbquery.oracle import Price
from oracles import function
from tests.support import models
from tests.support.counted import Counted

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.client.client import Client
    from bbquery.jobs.attack.series import Attacked
    from bbquery.jobs.parts import Part
    from bbquery.ledger.ledger import Ledger
    from bbquery.oracle import Oracle

pytestmark = pytest.mark.slow

FAST = "lr_mifgsm:cells=4"
TWO = f"{FAST},lr_mifgsm:cells=2,norm=linf"
CAP = 160


def photo(levels: int, seed: int = 0) -> np.ndarray:
    """Return a photo whose left half is brighter by so many grey levels."""
    pixels = np.random.default_rng(seed).integers(95, 106, (16, 16, 3)).astype(np.uint8)
    pixels[:, :8] += np.uint8(levels)
    return pixels


PHOTOS = [photo(levels, seed) for seed, levels in enumerate((8, 12, 16))]


def oracle_of(call: Callable[..., Any] = models.brighter_half, **options: Any) -> Oracle:
    chosen: dict[str, Any] = {"answers": "labels", "version": "1", "price": Price()}
    return function.connect(call, **(chosen | options))


async def results_of(images: Any, ledger: Ledger, oracle: Oracle | None = None, **options: Any) -> list[Attacked]:
    chosen: dict[str, Any] = {"attack": TWO, "ledger": ledger}
    return [each async for each in attack_many_async(images, oracle or oracle_of(), **(chosen | options))]


async def test_every_attack_on_every_image_has_a_budget_in_the_runs(ledger: Ledger) -> None:
    """Two attacks on three images share a run's cap evenly, below a project; results come in the order given."""
    project = ledger.open_budget("audit", Cap(queries=2000))

    results = await results_of(PHOTOS, ledger, max_queries=6 * CAP, project="audit")

    names = [f"{image}/{way}" for image in ("image", "image~2", "image~3") for way in ("lr_mifgsm", "lr_mifgsm~2")]
    budgets = [each.stress.budget for each in results if each.stress is not None]
    run = ledger.budget(ledger.find_budget(budgets[0].name.rpartition("/image/")[0]))
    assert [each.name for each in results] == names
    assert {each.status for each in results} == {"complete"}
    assert [budget.name.partition(f"{run.name}/")[2] for budget in budgets] == names
    assert {budget.cap.queries for budget in budgets} == {CAP}
    assert run.name.startswith("audit/attack-")
    assert (run.cap.queries, run.posted.queries) == (6 * CAP, sum(budget.posted.queries for budget in budgets))
    assert ledger.budget(project).posted.queries == run.posted.queries


async def test_among_others_an_attack_finds_what_it_finds_alone(ledger: Ledger) -> None:
    """Neighbours change nothing, and what was paid alone is not paid again."""
    alone = await attack_async(PHOTOS[1], oracle_of(), attack=FAST, max_queries=CAP, ledger=ledger)

    results = await results_of(PHOTOS, ledger, max_queries_per_attack=CAP)

    among = results[2].stress
    assert among is not None
    assert among.queries.sent == 0
    assert among.found is not None
    assert alone.found is not None
    assert among.found.trace == alone.found.trace


async def test_the_clean_image_is_paid_once(ledger: Ledger) -> None:
    """The second attack on an image finds its clean answers in the store."""
    model = Counted(models.brighter_half)

    results = await results_of(PHOTOS[:1], ledger, oracle_of(model), max_queries_per_attack=CAP)

    first, second = (each.stress for each in results)
    assert first is not None
    assert second is not None
    assert second.queries.from_store >= 6
    assert model.calls == first.queries.sent + second.queries.sent < first.queries.asked + second.queries.asked


async def test_images_are_attacked_side_by_side(ledger: Ledger) -> None:
    """Three images wait for their answers at the same time, each attack on one after another."""
    at_once, most = 0, 0

    async def slow(image: np.ndarray) -> str:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0)
        at_once -= 1
        return models.brighter_half(image)

    parts: list[Any] = []

    class Parts(Watch):
        def begins(self, part: Part) -> None:
            parts.append(part.name)

    await results_of(PHOTOS, ledger, oracle_of(slow, concurrency=8), max_queries_per_attack=CAP, watch=Parts())

    assert parts[:3] == ["image/lr_mifgsm", "image~2/lr_mifgsm", "image~3/lr_mifgsm"]
    assert most > 1


async def test_the_same_again_pays_nothing(ledger: Ledger) -> None:
    """A second identical run resumes the same budgets, sends nothing, and finds the same."""
    first = await results_of(PHOTOS, ledger, max_queries_per_attack=CAP, controls=["gaussian"], rmse=[0.02])
    second = await results_of(PHOTOS, ledger, max_queries_per_attack=CAP, controls=["gaussian"], rmse=[0.02])

    pairs = [(a.stress, b.stress) for a, b in zip(first, second, strict=True)]
    assert all(a and b and b.budget == a.budget and b.queries.sent == 0 and b.rmse == a.rmse for a, b in pairs)


async def test_a_stopped_run_pays_only_for_what_is_missing(ledger: Ledger) -> None:
    """Stopped in the middle, no attack goes on and none is begun; the same again asks the rest and no more."""
    whole = Counted(models.brighter_half)
    expected = await results_of(PHOTOS, ledger, oracle_of(whole, version="whole"), max_queries_per_attack=CAP)
    model = Counted(models.brighter_half)

    class Stops(Watch):
        clients: list[Client] = []  # noqa: RUF012 - of this test alone

        def started(self, client: Client, queries: int, rows: int) -> None:
            self.clients.append(client)
            if model.calls > 200:
                client.halt.set(Interrupted("by a person"))

        def progressed(self) -> None:
            if model.calls > 200:
                for client in self.clients:
                    client.halt.set(Interrupted("by a person"))

    stopped = await results_of(PHOTOS, ledger, oracle_of(model), max_queries_per_attack=CAP, watch=Stops())
    resumed = await results_of(PHOTOS, ledger, oracle_of(model), max_queries_per_attack=CAP)

    assert {"partial", "not begun"} <= {each.status for each in stopped}
    assert all(isinstance(each.error, Interrupted) for each in stopped if each.status != "complete")
    assert {each.status for each in resumed} == {"complete"}
    assert model.calls == whole.calls
    assert [each.stress and each.stress.rmse for each in resumed] == [
        each.stress and each.stress.rmse for each in expected
    ]


async def test_the_runs_cap_ends_all(ledger: Ledger) -> None:
    """Where the run's cap is used up, what was found is kept, and nothing more is begun."""
    results = await results_of(PHOTOS, ledger, max_queries=300, max_queries_per_attack=CAP)

    states = [each.status for each in results]
    assert set(states) <= {"complete", "partial", "not begun"}
    assert states.count("not begun") >= 1
    assert {type(each.error) for each in results if each.status != "complete"} == {BudgetExhausted}
    assert sum(each.stress.queries.sent for each in results if each.stress) == 300


async def test_an_image_of_its_own_fault_does_not_stop_the_others(ledger: Ledger) -> None:
    """An image that the oracle will not answer has failed; the others are attacked."""

    def shy(image: np.ndarray) -> str | None:
        return None if np.array_equal(image, PHOTOS[1]) else models.brighter_half(image)

    results = await results_of(PHOTOS, ledger, oracle_of(shy), attack=FAST, max_queries_per_attack=CAP)

    assert [each.status for each in results] == ["complete", "failed", "complete"]


async def test_an_oracle_that_fails_ends_the_run(ledger: Ledger) -> None:
    """A rejected key would reject the next image too: no more is begun."""

    def closed(image: np.ndarray) -> Any:
        return Rejected("the key is not valid")

    results = await results_of([photo(n) for n in range(1, 12)], ledger, oracle_of(closed), max_queries_per_attack=CAP)

    assert {each.status for each in results} == {"not begun"}
    assert all(isinstance(each.error, Rejected) for each in results)


async def test_a_misclassified_image_is_no_success(ledger: Ledger) -> None:
    """An image that the oracle gives another label than it has is not attacked, and costs its clean answers alone."""
    labels = ["tabby cat", "golden retriever", None]

    results = await results_of(PHOTOS, ledger, attack=FAST, labels=labels, max_queries_per_attack=CAP)

    stresses = [each.stress for each in results if each.stress is not None]
    assert [stress.outcome for stress in stresses] == ["adversarial", "not attacked", "adversarial"]
    assert stresses[1].queries.sent == 6
    assert stresses[1].rmse == math.inf


async def test_controls_ask_as_much_at_each_distance(ledger: Ledger) -> None:
    """A control has an attack's caps for each distance, and asks the attack's queries there until one succeeds."""
    results = await results_of(
        PHOTOS[:1], ledger, attack=FAST, controls=["gaussian", "blur"], rmse=[0.01, 0.04], max_queries=5 * CAP
    )

    attack, gaussian, blur = (each.stress for each in results)
    assert attack is not None
    assert gaussian is not None
    assert blur is not None
    assert [each.control for each in results] == [False, True, True]
    assert [each.name for each in results] == ["image/lr_mifgsm", "image/control-gaussian", "image/control-blur"]
    assert (attack.budget.cap.queries, gaussian.budget.cap.queries, blur.budget.cap.queries) == (CAP, 2 * CAP, 2 * CAP)
    assert gaussian.attack.queries == 2 * attack.attack.queries
    assert gaussian.found is not None
    assert {round(step.sigma / 255, 6) for step in gaussian.found.steps} <= {0.01, 0.04}
    assert gaussian.queries.from_store >= 6


async def test_a_file_that_changed_meanwhile_is_not_attacked(ledger: Ledger, tmp_path: Path) -> None:
    """Pixels are read again in their turn; other ones than were agreed to are refused, and the others go on."""
    paths = [tmp_path / f"{n}.png" for n in range(2)]
    for path, pixels in zip(paths, PHOTOS, strict=False):
        Pillow.fromarray(pixels).save(path)

    class Changes(Watch):
        def begins(self, part: Part) -> None:
            Pillow.fromarray(PHOTOS[2]).save(paths[1])

    results = await results_of(paths, ledger, attack=FAST, max_queries_per_attack=CAP, watch=Changes())

    assert [each.status for each in results] == ["complete", "failed"]
    assert isinstance(results[1].error, BadImage)


@pytest.mark.parametrize(
    ("images", "options", "said"),
    [
        ([], {}, "nothing to attack"),
        (PHOTOS, {"attack": []}, "nothing to attack"),
        (PHOTOS, {"attack": [FAST, FAST]}, "given twice"),
        ([PHOTOS[0], PHOTOS[0].copy()], {}, "the same photo"),
        ([PHOTOS[0], "no-such-file.png"], {}, "no such file"),
        (PHOTOS, {"max_queries_per_attack": None}, "how much may be asked"),
        (PHOTOS, {"max_queries": 4}, "max_queries_per_attack"),
        (PHOTOS, {"max_queries": 4, "max_queries_per_attack": None}, "leave nothing for each"),
        (PHOTOS, {"max_queries_per_attack": 20}, "needs at least"),
        (PHOTOS, {"labels": ["tabby cat"]}, "one for each of 3"),
        (PHOTOS, {"labels": ["a", "b", "c"], "target": "a"}, "give one of them"),
        (PHOTOS, {"controls": ["gaussian", "gaussian"]}, "given twice"),
    ],
)
async def test_what_cannot_be_is_refused_before_anything_is_asked(
    images: Any, options: dict[str, Any], said: str, ledger: Ledger
) -> None:
    """Bad input in any image or attack, or caps that are too small, are found before a query."""
    oracle = oracle_of(lambda _: pytest.fail("it was asked"))

    with pytest.raises(UsageError, match=said):
        await results_of(images, ledger, oracle, **({"max_queries_per_attack": CAP} | options))


def test_the_synchronous_form_can_be_left_in_the_middle(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaving the loop ends what is in flight in order, and what was paid is kept."""
    monkeypatch.setattr(series, "SIDE_BY_SIDE", 1)  # so that the others are not begun before the first is done
    model = Counted(models.brighter_half)
    for first in bbquery.attack_many(PHOTOS, oracle_of(model), attack=TWO, max_queries_per_attack=CAP, ledger=ledger):
        assert first.status == "complete"
        break

    left = model.calls
    list(bbquery.attack_many(PHOTOS, oracle_of(model), attack=TWO, max_queries_per_attack=CAP, ledger=ledger))
    assert left < model.calls < 6 * CAP


async def test_a_result_is_shown_in_a_line(ledger: Ledger) -> None:
    """What is printed of a result names its attack, outcome, label and distance, and holds no pixels."""
    (result,) = await results_of(PHOTOS[:1], ledger, attack=FAST, max_queries_per_attack=CAP)

    assert result.stress is not None
    assert (
        repr(result) == f"<Attacked: image/lr_mifgsm, complete, {result.stress.outcome}, rmse={result.stress.rmse:.4f}>"
    )
    assert len(repr(result)) < 200
