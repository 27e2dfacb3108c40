"""ART's and Foolbox's own attacks, unchanged, on an oracle: budget, store, ledger, and the nearest image."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bbquery.errors import BudgetExhausted, MissingExtra, Rejected, UnknownName, UsageError
from bbquery.interop import Unanswered, art_classifier, foolbox_model, seeded
from tests.support.bookkeeping import guard_caps
from tests.support.counted import Counted
from tests.support.interop import oracle
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from bbquery.ledger.ledger import Ledger
    from bbquery.types import Image

SIDE = 8
MARGIN = 12.0  # grey levels of difference between the halves; so 6 are the least RMS change
PHOTO = np.random.default_rng(4).integers(100, 150, (SIDE, SIDE, 3)).astype(np.uint8)
QUERIES = 120
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "interop.md").read_text(encoding="utf-8"), re.DOTALL)


def lean(image: Any) -> float:
    halves = np.asarray(image, np.float64)
    return float(halves[:, : SIDE // 2].mean() - halves[:, SIDE // 2 :].mean())


def label(image: Image) -> str:
    """A half-space: another label where the left half got brighter than the right by the margin."""
    return "cat" if lean(image) - lean(PHOTO) < MARGIN else "dog"


def numbers(image: Image) -> list[float]:
    """The same half-space by numbers of three classes."""
    return [0.1, 0.6, 0.3] if label(image) == "cat" else [0.1, 0.2, 0.7]


def labels(call: Any = label, **options: Any) -> Any:
    return oracle(call, answers="labels", height=SIDE, width=SIDE, **options)


def rms(image: Any) -> float:
    return float(np.sqrt(np.mean((image.astype(np.float64) - PHOTO) ** 2)))


# --- their attacks ---


def art(name: str, **options: Any) -> Callable[[Any], None]:
    """Return what runs an attack of ART as its documentation does."""

    def run(classifier: Any) -> None:
        import art.attacks.evasion

        getattr(art.attacks.evasion, name)(classifier, **options).generate(classifier.x)

    return run


def foolbox(name: str, tensor: Callable[[Any], Any] = np.asarray, **options: Any) -> Callable[[Any], None]:
    """Return what runs an attack of Foolbox as its documentation does."""

    def run(model: Any) -> None:
        import foolbox

        label = tensor(np.array([model.label]))
        getattr(foolbox.attacks, name)(**options)(model, tensor(model.x), label, epsilons=None)

    return run


def torch_tensor(array: Any) -> Any:
    import torch

    return torch.tensor(array)


OPENED: dict[str, Any] = {"art": art_classifier, "foolbox": foolbox_model}
ATTACKS: dict[str, tuple[str, Callable[[Any], None]]] = {
    "art HopSkipJump": ("art", art("HopSkipJump", verbose=False)),
    "art Boundary": ("art", art("BoundaryAttack", targeted=False, verbose=False)),
    "art SignOPT": ("art", art("SignOPTAttack", targeted=False)),
    "foolbox HopSkipJump": ("foolbox", foolbox("HopSkipJumpAttack")),
    "foolbox HopSkipJump, torch": ("foolbox", foolbox("HopSkipJumpAttack", torch_tensor)),
    "foolbox Boundary": ("foolbox", foolbox("BoundaryAttack")),
    "foolbox Boundary, torch": ("foolbox", foolbox("BoundaryAttack", torch_tensor)),
}
EVERY = pytest.mark.parametrize("name", list(ATTACKS))
BOTH = pytest.mark.parametrize("library", list(OPENED))


@dataclass
class Ran:
    """A run: what was found and spent, and why it ended."""

    found: Any
    tally: Any
    nearest: Any
    error: BudgetExhausted | None = None
    shown: list[Any] = field(default_factory=list)


def run(name: str, ledger: Ledger, *, seed: int = 0, queries: int = QUERIES, model: Any = labels) -> Ran:
    library, attack = ATTACKS[name]
    shown = Counted(numbers if model is oracle else label)
    asked = oracle(shown, classes="bird|cat|dog", height=SIDE, width=SIDE) if model is oracle else model(shown)
    error = None
    with seeded(seed), OPENED[library](asked, PHOTO, max_queries=queries, ledger=ledger) as opened:
        try:
            attack(opened)
        except BudgetExhausted as raised:
            error = raised
        return Ran(opened.found, opened.tally, opened.nearest, error, shown.shown)


@pytest.mark.parametrize(
    ("name", "model"),
    [*((name, labels) for name in ATTACKS), ("art HopSkipJump", oracle), ("foolbox HopSkipJump", oracle)],
)
def test_an_attack_of_theirs_ends_at_the_cap(name: str, model: Any, ledger: Ledger) -> None:
    """Unchanged, it is interrupted at the cap, the books agree, and the nearest image that was asked is there."""
    guard_caps(ledger)

    ran = run(name, ledger, model=model)

    assert ran.error is not None
    assert (ran.error.unit, ran.error.cap) == ("queries", QUERIES)
    assert ran.tally.asked == ran.found.queries + 1 == QUERIES
    distinct = {image.tobytes() for image in ran.shown}
    assert len(distinct) == len(ran.shown) == ran.tally.sent == ran.tally.posted.queries <= QUERIES
    adversarial = [image for image in ran.shown if label(image) == "dog"]
    nearest = min(adversarial, key=rms)
    assert np.array_equal(ran.nearest, nearest)
    assert ran.found.rmse * 255 == pytest.approx(rms(nearest))
    assert rms(nearest) >= MARGIN / 2 * (1 - 1e-9)


@pytest.mark.parametrize("name", ["art HopSkipJump", "foolbox HopSkipJump"])
def test_a_good_attack_comes_near_the_boundary(name: str, ledger: Ledger) -> None:
    """HopSkipJump finds the half-space within three times its exact distance."""
    ran = run(name, ledger, queries=400)

    assert ran.found.rmse * 255 < 3 * MARGIN / 2


@EVERY
def test_a_second_run_is_served_from_the_store(name: str, ledger: Ledger) -> None:
    """With the same seed it asks the same images, so nothing is sent, and finds the same."""
    first = run(name, ledger, seed=3)
    second = run(name, ledger, seed=3)

    assert second.tally.sent == second.tally.posted.queries == len(second.shown) == 0
    assert second.tally.asked == first.tally.asked
    assert second.found.trace == first.found.trace
    assert np.array_equal(second.nearest, first.nearest)


@pytest.mark.parametrize("queries", [1, 2, 3, 37])
@pytest.mark.parametrize("name", ["art Boundary", "foolbox Boundary"])
def test_a_small_budget_is_used_to_the_last_query(name: str, queries: int, ledger: Ledger) -> None:
    """Also where the cap falls within a batch of theirs, what fits of it is asked and counted."""
    guard_caps(ledger)

    ran = run(name, ledger, queries=queries)

    assert ran.error is not None
    assert ran.tally.asked == queries
    assert ran.found.queries == queries - 1


@pytest.mark.filterwarnings("ignore:Please import `gaussian_filter`")  # Foolbox has it from where SciPy had it
@BOTH
def test_the_snippet_of_the_page_runs(library: str, ledger: Ledger, capsys: Any) -> None:
    """It ends at its cap, and prints the distance and what was spent."""
    (block,) = [block for block in BLOCKS if re.search(rf"^(from|import) {library}\b", block, re.MULTILINE)]
    source = block.replace('"sample:cat"', "PHOTO, ledger=ledger").replace('"efficientnet"', "model")
    names = {"model": labels(), "PHOTO": PHOTO, "ledger": ledger}

    exec(compile(source.replace("1000", "80"), f"docs/interop.md ({library})", "exec"), names)

    assert re.match(r"0\.\d+ 80 asked: \d+ sent, \d+ from the store", capsys.readouterr().out)


# --- what they are told ---


@contextlib.contextmanager
def opened(library: str, model: Any, ledger: Ledger, **options: Any) -> Iterator[Any]:
    with OPENED[library](model, PHOTO, **({"max_queries": 50, "ledger": ledger} | options)) as found:
        yield found


def told(model: Any, batch: Any) -> Any:
    """Return what a library is told of images of 0 to 1."""
    return model.predict(batch) if hasattr(model, "predict") else model(batch)


def bright(by: float) -> Any:
    """Return the photo with the left half brighter, (1, 3, H, W) of 0 to 1."""
    changed = PHOTO.astype(np.float32)
    changed[:, : SIDE // 2] += by
    return changed.transpose(2, 0, 1)[None] / 255


@BOTH
def test_labels_are_one_hot(library: str, ledger: Ledger) -> None:
    """The first class is the photo's label, the second any other; ART has a third that never is."""
    with opened(library, labels(), ledger) as model:
        columns = told(model, np.concatenate([bright(0), bright(20)]))

        assert columns.dtype == np.float32
        assert columns.tolist() == ([[1, 0, 0], [0, 1, 0]] if library == "art" else [[1, 0], [0, 1]])
        assert (model.label, model.columns[:2]) == (0, ("cat", "other"))
        assert columns.shape[1] == len(model.columns)


@BOTH
def test_numbers_are_passed_on(library: str, ledger: Ledger) -> None:
    """An oracle of probabilities gives its own; the photo's class is the highest, and adversarial is another."""
    model = oracle(numbers, classes="bird|cat|dog", height=SIDE, width=SIDE)
    with opened(library, model, ledger) as opened_:
        columns = told(opened_, np.concatenate([bright(0), bright(20)]))

        assert np.allclose(columns, [numbers(PHOTO), numbers(PHOTO + lean_of(20))], atol=1e-6)
        assert (opened_.label, opened_.columns) == (1, ("bird", "cat", "dog"))
        assert opened_.found.rmse * 255 == pytest.approx(20 / np.sqrt(2))


def lean_of(by: int) -> Any:
    """Return what makes the left half brighter."""
    change = np.zeros_like(PHOTO)
    change[:, : SIDE // 2] = by
    return change


@BOTH
def test_a_target_and_a_score_decide(library: str, ledger: Ledger) -> None:
    """With a target the classes are the target and the rest, whatever numbers the oracle has."""
    model = oracle(numbers, classes="bird|cat|dog", height=SIDE, width=SIDE)
    with opened(library, model, ledger, target="cat", score="soft:form=margin") as opened_:
        columns = told(opened_, np.concatenate([bright(0), bright(20)]))

        assert opened_.columns[:2] == ("cat", "other")
        assert columns[:, 1].tolist() == [0, 1]


@BOTH
def test_a_refusal_is_not_adversarial(library: str, ledger: Ledger) -> None:
    """A refused image is told to be like the photo, counts, and is never the nearest."""
    refused = labels(lambda image: "cat" if np.array_equal(image, PHOTO) else None)
    silent = oracle(
        lambda image: numbers(image) if np.array_equal(image, PHOTO) else None,
        classes="bird|cat|dog", height=SIDE, width=SIDE,
    )  # fmt: skip
    for model in (refused, silent):
        with opened(library, model, ledger) as opened_:
            columns = told(opened_, np.concatenate([bright(0), bright(20)]))

            assert np.array_equal(columns[0], columns[1])
            assert (opened_.found.undecided, opened_.nearest) == (1, None)


@BOTH
def test_images_are_rounded_before_they_are_asked(library: str, ledger: Ledger) -> None:
    """A change of less than half a grey level is the photo itself, which was paid when it opened."""
    with opened(library, labels(), ledger) as model:
        told(model, bright(0.49))
        assert model.tally.sent == 1
        told(model, bright(0.51))
        assert model.tally.sent == 2


@BOTH
def test_channels_may_be_last(library: str, ledger: Ledger) -> None:
    """The photo comes, and images are taken, in the order of channels that was chosen."""
    with opened(library, labels(), ledger, channels_first=False) as model:
        assert model.x.shape == (1, SIDE, SIDE, 3)
        assert np.array_equal(np.rint(model.x[0] * 255), PHOTO)
        assert told(model, bright(20).transpose(0, 2, 3, 1))[0, 1] == 1


# --- what goes wrong ---


@BOTH
def test_a_library_that_is_not_installed_is_named(library: str, monkeypatch: Any, ledger: Ledger) -> None:
    """The error says which extra brings it."""
    for module in (library, f"bbquery.interop._{library}"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    monkeypatch.delattr(__import__("bbquery.interop").interop, f"_{library}", raising=False)

    with pytest.raises(MissingExtra, match=rf"pip install 'bbquery\[{library}\]'"):
        OPENED[library](labels(), PHOTO, max_queries=5, ledger=ledger)


@BOTH
def test_what_is_wrong_is_said_before_a_query(library: str, ledger: Ledger) -> None:
    """A photo, a target or a text without one that cannot be used costs nothing."""
    shown = Counted(label)
    texts = oracle(shown, answers="text", height=SIDE, width=SIDE)
    with pytest.raises(UsageError), opened(library, texts, ledger):
        pass
    with pytest.raises(UnknownName), opened(library, oracle(shown), ledger, target="whale"):
        pass
    with pytest.raises(UsageError), opened(library, labels(shown), ledger, max_queries=0):
        pass

    assert shown.calls == 0


@BOTH
def test_a_photo_that_is_refused_cannot_be_attacked(library: str, ledger: Ledger) -> None:
    """It raises, and the query is in the books."""
    with pytest.raises(Unanswered, match="gave no answer"), opened(library, labels(lambda _: None), ledger):
        pass


@BOTH
def test_an_oracle_that_fails_ends_the_attack(library: str, ledger: Ledger) -> None:
    """What was found stays; every later image raises the same error, and nothing more is sent."""
    model = Counted(label)

    def fails() -> None:
        if model.calls > 2:
            raise Rejected("no such key")

    model.before.append(fails)
    with opened(library, labels(model), ledger) as opened_:
        told(opened_, bright(20))
        for by in (25, 30):
            with pytest.raises(Rejected, match="no such key"):
                told(opened_, bright(by))

        assert model.calls == 3
        assert opened_.found.rmse * 255 == pytest.approx(20 / np.sqrt(2))
