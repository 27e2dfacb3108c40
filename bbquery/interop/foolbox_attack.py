"""Attacks of Foolbox by name: `foolbox:HopSkipJumpAttack`, `foolbox:BoundaryAttack:steps=5000`."""

from __future__ import annotations

import inspect
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

EPSILON = "epsilon"
"""Option of attacks of a fixed size, as Foolbox measures it, of values 0 to 1; they need it where others minimise."""
OURS = frozenset({"tensorboard"})  # an option that writes files


@dataclass(frozen=True, kw_only=True, repr=False)
class FoolboxAttack(LibraryAttack):
    """A decision-based attack of Foolbox, run on one image until it ends or the queries do."""

    prefix: ClassVar[str] = "foolbox"

    @property
    def takes_start(self) -> bool:
        """Whether it can begin at an image that is given."""
        return "starting_points" in inspect.signature(_kind(self.name).run).parameters

    def run(self, ask: Question, photo: NDArray[np.float32], start: NDArray[np.float32] | None) -> None:
        """Run it; a start that is adversarial is its starting point."""
        from bbquery.interop import _foolbox  # noqa: PLC0415 - imports Foolbox, and SciPy with it

        options = dict(self.options)
        how = {EPSILON: options.pop(EPSILON)} if EPSILON in options else {}
        attack = _kinds()[self.name](**options)
        if start is not None:
            how |= {"starting_points": start} if ask(start)[0] else {}  # Foolbox refuses one that is not adversarial
        model = _foolbox.CalledModel(lambda images: np.eye(2, dtype=np.float32)[ask(images).astype(np.int64)])
        attack.run(model, photo, np.zeros(1, np.int64), **how)


def attack(name: str, options: Mapping[str, str], defaults: Mapping[str, object]) -> FoolboxAttack:
    """Make the attack of this name.

    Raises:
        MissingExtra: Foolbox is not installed. UnknownName: no such attack or option.
        UsageError: Foolbox refuses the options.
    """
    kind, given = _kind(name), dict(options)
    queries = count(given, defaults)
    values = read(given, {"queries": None, **_options(kind)}, f"foolbox:{name}")
    if _needs_epsilon(kind) and EPSILON not in values:
        raise UsageError(f"foolbox:{name} needs the option {EPSILON}, the size of its changes, of values 0 to 1")
    try:
        made = kind(**{key: value for key, value in values.items() if key != EPSILON})
    except Exception as error:
        raise UsageError(f"foolbox:{name} cannot be made: {shown(error)}") from error
    return FoolboxAttack(
        queries=queries, name=name, version=_version(), options=tuple(values.items()),
        norm="linf" if _is_linf(made) else "l2",
    )  # fmt: skip


def described(name: str) -> tuple[str, Mapping[str, inspect.Parameter]]:
    """Return what an attack is, and its options.

    Raises:
        MissingExtra: Foolbox is not installed. UnknownName: there is no such attack.
    """
    kind = _kind(name)
    return inspect.getdoc(kind) or name, _options(kind)


def _options(kind: Any) -> dict[str, inspect.Parameter]:
    epsilon = inspect.signature(kind.run).parameters.get(EPSILON)
    return {**options_of(kind, OURS), **({EPSILON: epsilon} if epsilon is not None else {})}


def _needs_epsilon(kind: Any) -> bool:
    return EPSILON in _options(kind)


def _is_linf(made: Any) -> bool:
    """Whether an attack minimises the largest change; some have no distance until they are told one."""
    import foolbox  # noqa: PLC0415 - imports SciPy

    try:
        return bool(made.distance == foolbox.distances.linf)
    except (AttributeError, ValueError):
        return False


def _kind(name: str) -> Any:
    known = _kinds()
    if name not in known:
        raise UnknownName("attack of Foolbox", name, known)
    return known[name]


def _kinds() -> dict[str, Any]:
    with importing("foolbox", "an attack of Foolbox"):
        import foolbox  # noqa: PLC0415 - imports SciPy
    kinds = {name: kind for name, kind in vars(foolbox.attacks).items() if inspect.isclass(kind)}
    return {name: kind for name, kind in sorted(kinds.items()) if hasattr(kind, "run")}


def _version() -> str:
    import foolbox  # noqa: PLC0415 - imports SciPy

    return str(foolbox.__version__)
