"""Attacks of ART and Foolbox by name, as attacks of bbquery: they keep what every attack promises."""

from __future__ import annotations

import gc
import json
import threading
import warnings
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from bbquery import load
from bbquery.cli import main
from bbquery.errors import MissingExtra, UnknownName, UsageError
from bbquery.interop import attack_of_library, seeded
from bbquery.jobs.attack.attack import attack_async
from bbquery.plan import Yielded, replay, step
from bbquery.specification import split_specifications
from bbquery.types import FLOAT, UINT8
from tests.conformance import test_attacks as conformance
from tests.support.counted import Counted
from tests.support.interop import oracle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bbquery.attacks import AttackResult
    from bbquery.interop.synchronous_code import Question
    from bbquery.ledger.ledger import Ledger

NAMES = (
    "art:HopSkipJump", "art:BoundaryAttack", "art:SignOPTAttack",
    "foolbox:HopSkipJumpAttack", "foolbox:BoundaryAttack",
)  # fmt: skip
EVERY = pytest.mark.parametrize("name", NAMES)
QUERIES = 150
THREAD = "bbquery-attack"


def run(name: str, sides: conformance.Sides, seed: int = 0, stop_after: int | None = None, **how: Any) -> AttackResult:
    domain, start = how.pop("domain", UINT8), how.pop("start", None)
    plan = load.attack(name, **({"queries": QUERIES} | how)).plan(domain.realise(sides.clean), domain, seed, start)
    return replay(plan, sides, stop_after=stop_after)


def bright(by: int = 60) -> Any:
    """Return the photo with the left half brighter: adversarial, and far away."""
    changed = conformance.photo().copy()
    changed[:, : conformance.SIDE // 2] += np.uint8(by)
    return changed


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """However an attack ends, the thread of its code is gone."""
    yield
    assert THREAD not in [thread.name for thread in threading.enumerate()]


# --- what every attack promises ---


@EVERY
@pytest.mark.parametrize("domain", [UINT8, FLOAT])
def test_it_asks_all_its_queries_and_no_more(name: str, domain: Any) -> None:
    """The result is the nearest adversarial image that was asked, of the domain, and counts all that was asked."""
    sides = conformance.Sides()

    found = run(name, sides, domain=domain)

    assert len(sides.images) == QUERIES
    conformance.assert_sound(found, sides)
    assert found.best is not None
    assert all(np.array_equal(domain.realise(image), image) for image in sides.images)


@EVERY
@pytest.mark.parametrize("stop_after", [0, 1, 2, 70, QUERIES - 1])
def test_stopped_anywhere_it_returns_its_best_so_far(name: str, stop_after: int) -> None:
    """After no answer, one, or all but one, the result is the nearest of what was answered."""
    sides = conformance.Sides()

    found = run(name, sides, stop_after=stop_after)

    assert len(sides.images) == found.queries == stop_after
    conformance.assert_sound(found, sides)


@EVERY
def test_the_same_seed_asks_the_same(name: str) -> None:
    """Two runs with a seed ask the same pixels; another seed asks others; global randomness is left as it was."""
    one, again, other = conformance.Sides(), conformance.Sides(), conformance.Sides()
    with seeded(9):
        expected = np.random.normal()  # noqa: NPY002 - this is what must not be disturbed

    with seeded(9):
        run(name, one, 1)
        after = np.random.normal()  # noqa: NPY002 - likewise
    run(name, again, 1)
    run(name, other, 2)

    assert np.array_equal(one.images, again.images)
    assert not np.array_equal(one.images, other.images)
    assert after == expected


def test_runs_side_by_side_do_not_disturb_each_other() -> None:
    """Three attacks that take turns ask what each asks alone."""
    names, oracles = NAMES[:3], [conformance.Sides() for _ in NAMES[:3]]
    plans = [load.attack(name, queries=60).plan(conformance.photo(), UINT8, seed) for seed, name in enumerate(names)]
    states = [step(plan, None) for plan in plans]
    while any(isinstance(state, Yielded) for state in states):
        states = [
            step(plan, sides(state.ask)) if isinstance(state, Yielded) else state
            for plan, state, sides in zip(plans, states, oracles, strict=True)
        ]

    for seed, (name, sides) in enumerate(zip(names, oracles, strict=True)):
        alone = conformance.Sides()
        run(name, alone, seed, queries=60)
        assert np.array_equal(sides.images, alone.images)


@EVERY
def test_a_row_without_a_decision_is_no_success(name: str) -> None:
    """Refused rows count as asked and undecided, and the library takes them for not adversarial."""
    sides, silent = conformance.Sides(refused=3), conformance.Sides(refused=1)

    found, nothing = kept_quiet(lambda: (run(name, sides), run(name, silent)))

    assert found.undecided > len(sides.images) // 4
    conformance.assert_sound(found, sides)
    assert nothing.best is None
    assert nothing.undecided == nothing.queries == len(silent.images)


def kept_quiet(work: Callable[[], Any]) -> Any:
    """Do work of which a library may complain: Foolbox does where it finds nothing to begin at."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return work()


@EVERY
@pytest.mark.parametrize("margin", [-1.0, 1000.0])
def test_degenerate_oracles_are_borne(name: str, margin: float) -> None:
    """Where the clean image is adversarial itself it is the result, and the end; where none is, there is none."""
    sides = conformance.Sides(margin)

    found = kept_quiet(lambda: run(name, sides))

    conformance.assert_sound(found, sides)
    assert found.rmse == (0 if margin < 0 else np.inf)
    assert margin > 0 or np.array_equal(sides.images[-1], sides.clean)


@pytest.mark.parametrize(("shape", "level"), [((1, 8, 3), 0), ((2, 2, 3), 255)])
@EVERY
def test_small_photos_of_one_colour_are_borne(name: str, shape: Any, level: int) -> None:
    """Whatever the photo, what is returned is what was asked."""
    sides = conformance.Sides(clean=np.full(shape, level, np.uint8))

    conformance.assert_sound(kept_quiet(lambda: run(name, sides, queries=40)), sides)


# --- a start ---


@EVERY
def test_it_begins_at_the_start(name: str) -> None:
    """Nothing farther than the start is asked before it, and what is found is nearer."""
    sides = conformance.Sides()

    found = run(name, sides, start=bright())

    assert any(np.array_equal(image, bright()) for image in sides.images[:3])
    conformance.assert_sound(found, sides)
    assert found.rmse <= conformance.distance(bright(), sides.clean)
    if "SignOPT" not in name:  # its search with a target moves away from the photo
        assert found.rmse < 0.95 * conformance.distance(bright(), sides.clean)


@EVERY
def test_a_start_that_is_not_adversarial_is_only_asked(name: str) -> None:
    """The attack begins as it does without one."""
    sides = conformance.Sides()

    found = kept_quiet(lambda: run(name, sides, start=bright(2)))

    conformance.assert_sound(found, sides)
    assert (found.best is not None) == ("SignOPT" not in name)  # which begins nowhere else when it is given one


@pytest.mark.parametrize("name", ["art:SquareAttack", "foolbox:GaussianBlurAttack"])
def test_an_attack_that_takes_no_start_says_so(name: str) -> None:
    """It is refused before anything is asked."""
    sides = conformance.Sides()

    with pytest.raises(UsageError, match="takes no start image"):
        run(name, sides, start=bright())

    assert sides.images == []


async def test_a_start_is_refused_before_the_clean_image_is_asked(ledger: Ledger) -> None:
    """`bbquery.attack` with a start and an attack that takes none costs nothing."""
    shown = Counted(lambda image: "cat")
    model = oracle(shown, answers="labels", height=conformance.SIDE, width=conformance.SIDE)

    with pytest.raises(UsageError, match=r"SquareAttack.* takes no start image: leave out start"):
        await attack_async(
            conformance.photo(), model, max_queries=100, attack="art:SquareAttack", start=bright(), ledger=ledger
        )

    assert shown.calls == 0


# --- beside the library itself ---


def asked_directly(attack: Callable[[Callable[[Any], Any]], None]) -> list[Any]:
    """Return the images that a library asks by itself, with a model of floats that rounds."""
    sides, asked = conformance.Sides(), []

    def lost(images: Any) -> Any:
        rows = np.rint(images.transpose(0, 2, 3, 1).astype(np.float64) * 255).astype(np.uint8)
        asked.extend(rows)
        return np.array([sides.lean(row) - sides.lean(sides.clean) >= sides.margin for row in rows])

    with seeded(0):
        attack(lambda images: np.eye(3, dtype=np.float32)[lost(np.asarray(images)).astype(int)])
    return asked


PHOTO = (conformance.photo().transpose(2, 0, 1)[None] / 255).astype(np.float32)


@pytest.mark.parametrize(("name", "options"), [("HopSkipJump", {"max_iter": 2}), ("BoundaryAttack", {"max_iter": 3})])
def test_art_asks_what_it_asks_by_itself(name: str, options: dict[str, int]) -> None:
    """Image for image, ART's attack is the one that ART runs on a plain function, with that seed."""

    def alone(columns: Any) -> None:
        from art.attacks import evasion
        from art.estimators.classification import BlackBoxClassifierNeuralNetwork

        model = BlackBoxClassifierNeuralNetwork(columns, PHOTO.shape[1:], 3, clip_values=(0, 1))
        kind = getattr(evasion, name)
        kind(model, verbose=False, targeted=False, **options).generate(PHOTO)

    sides = conformance.Sides()

    run(f"art:{name}:" + ",".join(f"{key}={value}" for key, value in options.items()), sides, queries=5000)

    of_its_own, *expected = asked_directly(alone)  # afterwards, since importing it draws random numbers too
    assert np.array_equal(of_its_own, conformance.photo())  # for a label, which bbquery knows
    assert np.array_equal(sides.images, expected)
    assert len(expected) > 100


@pytest.mark.parametrize(("name", "steps"), [("HopSkipJumpAttack", 1), ("BoundaryAttack", 60)])
def test_foolbox_asks_what_it_asks_by_itself(name: str, steps: int) -> None:
    """Image for image, Foolbox's attack is the one that Foolbox runs on a plain function, with that seed."""

    def alone(columns: Any) -> None:
        import foolbox

        class Plain(foolbox.models.Model):  # type: ignore[misc] # seen as untyped
            bounds = foolbox.types.Bounds(0, 1)

            def __call__(self, inputs: Any) -> Any:
                return type(inputs)(columns(inputs.raw))

        getattr(foolbox.attacks, name)(steps=steps).run(Plain(), PHOTO, np.zeros(1, int))

    sides = conformance.Sides()

    run(f"foolbox:{name}:steps={steps}", sides, queries=5000)

    expected = asked_directly(alone)
    assert np.array_equal(sides.images, expected)
    assert len(expected) > 60


# --- its end ---


def test_a_plan_that_is_closed_ends_its_thread() -> None:
    """Left halfway, closed or thrown away, it leaves no thread behind; never begun, it starts none."""
    attack = load.attack("art:HopSkipJump", queries=50)
    closed, dropped = (attack.plan(conformance.photo(), UINT8, 0) for _ in range(2))
    attack.plan(conformance.photo(), UINT8, 0)
    for plan in (closed, dropped):
        step(plan, None)
    assert [thread.name for thread in threading.enumerate()].count(THREAD) == 2

    closed.close()
    del dropped, plan
    gc.collect()

    assert THREAD not in [thread.name for thread in threading.enumerate()]


class Misbehaving(attack_of_library.LibraryAttack):
    """Code that does not want to end, or fails."""

    prefix = "test"
    takes_start = False
    swallowed: ClassVar[list[bool]] = []

    def run(self, ask: Question, photo: Any, start: Any) -> None:
        if self.name == "fails at once":
            raise ValueError("no gradients")
        while True:
            try:
                lost = ask(photo + np.float32(len(self.name) / 255) if self.name != "nan" else photo * np.nan)
            except Exception:  # noqa: BLE001 - as a library might
                lost = np.zeros(1, bool)
            except BaseException:
                if self.name != "swallows all" or self.swallowed:
                    raise
                self.swallowed.append(True)
                lost = np.zeros(1, bool)
            if self.name == "fails later" and lost.any():
                raise ValueError("out of ideas")
            if self.name == "nan":
                raise RuntimeError("divided by nothing")


def misbehaving(name: str) -> Any:
    return Misbehaving(queries=30, name=name, version="1").plan(conformance.photo(), UINT8, 0)


@pytest.mark.parametrize("name", ["goes on", "swallows all"])
def test_code_that_catches_every_exception_is_ended(name: str) -> None:
    """Its loop has no end, and its queries do; also where it catches its end once and asks again."""
    sides = conformance.Sides()

    found = replay(misbehaving(name), sides)

    assert found.queries == len(sides.images) == 30


def test_code_that_fails_before_it_asks_is_refused() -> None:
    """The error names the attack and what it raised."""
    for name in ("fails at once", "nan"):
        with pytest.raises(UsageError, match=f"test:{name} ended early by .*, before it asked anything"):
            replay(misbehaving(name), conformance.Sides())


def test_code_that_fails_later_keeps_what_it_found() -> None:
    """A warning says how it ended, and the best so far is the result."""
    sides = conformance.Sides(margin=-1.0)

    with pytest.warns(UserWarning, match="test:fails later ended early by ValueError: out of ideas; the best so far"):
        found = replay(misbehaving("fails later"), sides)

    conformance.assert_sound(found, sides)
    assert found.queries == 1
    assert found.best is not None


# --- names and options ---


def test_a_specification_names_library_attack_and_options() -> None:
    """It is shown as it is written, with the library's version, and lists of several are taken apart."""
    made = load.attack("art:HopSkipJump:max_iter=3,norm=inf,queries=77", queries=500, rmse=0.1)

    assert repr(made) == f"art:HopSkipJump(queries=77, version={made.version!r}, max_iter=3, norm=inf)"  # type: ignore[attr-defined] # of libraries
    assert made.queries == 77
    assert load.attack("foolbox:HopSkipJumpAttack:constraint=linf", queries=5) != load.attack(
        "foolbox:HopSkipJumpAttack", queries=5
    )
    listed = ["lr_mifgsm:steps=3", "art:HopSkipJump:max_iter=3,batch_size=8", "foolbox:BoundaryAttack"]
    assert split_specifications(",".join(listed)) == listed


@pytest.mark.parametrize("name", ["art:HopSkipJump:norm=inf", "foolbox:HopSkipJumpAttack:constraint=linf"])
def test_the_nearest_is_by_the_distance_of_the_attack(name: str) -> None:
    """An attack on the largest change keeps the image with the least of that."""
    sides = conformance.Sides()

    found = run(name, sides)

    largest = [np.abs(image.astype(int) - sides.clean).max() / 255 for image in sides.adversarial]
    assert found.norm == "linf"
    assert found.linf == pytest.approx(min(largest))


def test_a_size_that_is_fixed_is_an_option() -> None:
    """Attacks of a fixed size say that they need it, and take it."""
    name = "foolbox:L2RepeatedAdditiveGaussianNoiseAttack"
    with pytest.raises(UsageError, match="needs the option epsilon"):
        load.attack(name)

    assert run(f"{name}:epsilon=12,repeats=20", conformance.Sides(margin=3.0)).best is not None


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("art:HopSkipJmp", UnknownName, "HopSkipJump"),
        ("art:FastGradientMethod", UnknownName, "attack of ART that needs no gradients"),
        ("foolbox:HopSkipJump", UnknownName, "HopSkipJumpAttack"),
        ("art:HopSkipJump:steps=3", UnknownName, "max_iter"),
        ("foolbox:BoundaryAttack:max_iter=3", UnknownName, "steps"),
        ("art:HopSkipJump:max_iter=-3", UsageError, "art:HopSkipJump cannot be made: ValueError"),
        ("art:HopSkipJump:targeted=true", UnknownName, "option"),
        ("foolbox:BoundaryAttack:init_attack=me", UsageError, "cannot be made"),
        ("art:HopSkipJump:queries=0", UsageError, "at least 1"),
        ("foolbox:BoundaryAttack:queries=some", UsageError, "whole number"),
    ],
)
def test_what_is_not_known_is_named(name: str, error: type[Exception], words: str) -> None:
    """A wrong name or option is found before anything is asked, and the right ones are said."""
    with pytest.raises(error, match=words):
        load.attack(name)


@pytest.mark.parametrize("name", NAMES[::3])
def test_a_library_that_is_not_installed_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says which extra brings it."""
    library = name.partition(":")[0]
    for module in (library, f"{library}.attacks"):
        monkeypatch.setitem(__import__("sys").modules, module, None)

    with pytest.raises(MissingExtra, match=rf"pip install 'bbquery\[{library}\]'"):
        load.attack(name)


@pytest.mark.parametrize("name", NAMES)
def test_help_says_what_it_is_and_its_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In the library's words, without the options that bbquery sets."""
    assert main(["help", name]) == 0

    said = capsys.readouterr().out
    assert f"{name}, an attack:" in said
    assert f"\n  {'max_iter' if name.startswith('art') else 'steps'} " in said
    assert not any(f"\n  {option} " in said for option in ("targeted", "verbose", "tensorboard"))


# --- with budget and store ---


async def test_a_second_run_is_served_from_the_store(ledger: Ledger) -> None:
    """Within `bbquery.attack` the cap holds, and the same again sends only what is never stored."""
    shown = Counted(lambda image: "cat" if conformance.Sides().lean(image) < 12 else "dog")
    model = oracle(shown, answers="labels", height=conformance.SIDE, width=conformance.SIDE)

    async def once() -> Any:
        return await attack_async(
            conformance.photo(), model, max_queries=100, attack="art:HopSkipJump", seed=4, ledger=ledger
        )

    first, calls = await once(), shown.calls
    second = await once()

    assert first.outcome == "adversarial"
    assert calls == first.queries.sent == first.budget.posted.queries <= 100
    assert second.queries.sent == shown.calls - calls == 0
    assert np.array_equal(first.found.best, second.found.best)
    assert any(np.array_equal(first.found.best, image) for image in shown.shown)


def test_the_command_takes_it_by_name(tmp_path: Path) -> None:
    """The record names library, attack, version and options."""
    image, out = tmp_path / "photo.png", tmp_path / "out"
    Image.fromarray(conformance.photo()).save(image)
    model = "function:call=tests.support.models.brighter_half,answers=labels,version=1"
    typed = ["attack", str(image), "--oracle", model, "--attack", "foolbox:BoundaryAttack:steps=50"]

    assert main([*typed, "--max-queries", "60", "--yes", "--out", str(out)]) == 0

    written = json.loads((out / "attack.json").read_text())
    assert written["attack"].startswith("foolbox:BoundaryAttack(queries=")
    assert written["attack"].endswith("steps=50)")
