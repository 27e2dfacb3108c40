"""Attacks of ART (the Adversarial Robustness Toolbox) by name: `art:HopSkipJump`, `art:BoundaryAttack:delta=0.02`."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bbquery.errors import UnknownName, UsageError
from bbquery.errors import described as shown
from bbquery.interop.attack_of_library import LibraryAttack, count, options_of, read
from bbquery.interop.importing import importing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.interop.synchronous_code import Question

CLASSES = 3  # the clean label stands, is lost, and one that never is: SignOPT does not take two
STANDS, LOST = np.eye(CLASSES)[:2]
OURS = frozenset({"classifier", "estimator", "targeted", "summary_writer", "verbose"})  # options that are not a user's
START = {
    "HopSkipJump": "x_adv_init", "BoundaryAttack": "x_adv_init", "BrendelBethgeAttack": "starting_points",
    "SignOPTAttack": "x_init",
}  # fmt: skip
"""How an attack takes an image to begin with."""
ONLY_TARGETED = frozenset({"SignOPTAttack"})
"""Attacks that take one only with a target: that the label is lost."""


@dataclass(frozen=True, kw_only=True, repr=False)
class ArtAttack(LibraryAttack):
    """An attack of ART that needs no gradients, run on one image until it ends or the queries do."""

    prefix: ClassVar[str] = "art"

    def run(self, ask: Question, photo: NDArray[np.float32], start: NDArray[np.float32] | None) -> None:
        """Run it; a start is given to it as it takes one."""
        begin = {} if start is None else {START[self.name]: start}
        targeted = start is not None and self.name in ONLY_TARGETED
        attack = _made(self.name, dict(self.options), ask, photo.shape[1:], targeted=targeted)
        attack.generate(photo, (LOST if targeted else STANDS)[None], **begin)

    @property
    def takes_start(self) -> bool:
        """Whether it can begin at an image that is given: ART tells it of each attack only in words."""
        return self.name in START


def attack(name: str, options: Mapping[str, str], defaults: Mapping[str, object]) -> ArtAttack:
    """Make the attack of this name.

    Raises:
        MissingExtra: ART is not installed. UnknownName: no such attack that needs no gradients, or no such option.
        UsageError: ART refuses the options.
    """
    kind, given = _kind(name), dict(options)
    queries = count(given, defaults)
    values = read(given, {"queries": None, **options_of(kind, OURS)}, f"art:{name}")
    try:
        _made(name, values, lambda images: np.zeros(len(images), bool), (3, 8, 8), targeted=False)
    except Exception as error:
        raise UsageError(f"art:{name} cannot be made: {shown(error)}") from error
    linf = values.get("norm", inspect.signature(kind).parameters.get("norm", inspect.Parameter).default)
    return ArtAttack(
        queries=queries, name=name, version=_version(), options=tuple(values.items()),
        norm="linf" if linf in ("inf", math.inf) else "l2",
    )  # fmt: skip


def described(name: str) -> tuple[str, Mapping[str, inspect.Parameter]]:
    """Return what an attack is, and its options.

    Raises:
        MissingExtra: ART is not installed. UnknownName: there is no such attack that needs no gradients.
    """
    kind = _kind(name)
    return inspect.getdoc(kind) or name, options_of(kind, OURS)


def _made(name: str, options: dict[str, Any], ask: Question, shape: tuple[int, ...], *, targeted: bool) -> Any:
    from bbquery.interop import _art  # noqa: PLC0415 - imports ART, which takes seconds

    def columns(images: Any) -> Any:
        return np.eye(CLASSES, dtype=np.float32)[ask(images).astype(np.int64)]

    kind = _kind(name)
    takes = inspect.signature(kind).parameters
    ours = {"targeted": targeted, "verbose": False}
    return kind(
        _art.classifier(columns, shape, CLASSES), **({key: ours[key] for key in ours if key in takes} | options)
    )


def _kind(name: str) -> Any:
    """Return the class of an attack that a black box can be attacked with."""
    known = _kinds()
    if name not in known:
        raise UnknownName("attack of ART that needs no gradients", name, known)
    return known[name]


def _kinds() -> dict[str, Any]:
    with importing("art", "an attack of ART"):
        from art.attacks import evasion  # noqa: PLC0415 - takes seconds
        from art.attacks.attack import EvasionAttack  # noqa: PLC0415 - likewise

        from bbquery.interop import _art  # noqa: PLC0415 - likewise

    black_box = _art.classifier(lambda images: images, (3, 8, 8), CLASSES)
    kinds: dict[str, Any] = {name: kind for name, kind in vars(evasion).items() if inspect.isclass(kind)}
    return {
        name: kind
        for name, kind in sorted(kinds.items())
        if issubclass(kind, EvasionAttack) and kind.is_estimator_valid(black_box, kind._estimator_requirements)  # noqa: SLF001 - ART has no other way
    }


def _version() -> str:
    import art  # noqa: PLC0415 - takes seconds

    return str(art.__version__)
