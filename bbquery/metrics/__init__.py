"""Metrics of saliency maps, one a file: each a frozen configuration that says what it needs and measures.

A metric asks nothing, or says by a `Question` what it asks of the oracle. Questions of one name are asked once, so that
metrics that rest on the same answers share them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bbquery.metrics._making import Making
    from bbquery.perturb.baselines import AnyFill
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image

__all__ = ["Box", "Case", "Given", "Measurement", "Metric", "Need", "Quantity", "Question"]

Better: TypeAlias = Literal["higher", "lower"]
Need: TypeAlias = Literal["boxes", "montage", "gradient", "made"]
"""What a metric may need beside a map and its photo: a field of `Given`."""


NEEDS: dict[Need, str] = {
    "boxes": "boxes around what the map should find",
    "montage": "photos of other things",
    "gradient": "the true gradient, computed elsewhere",
    "made": "the method and the seed that made the map",
}
"""What each need is, in words."""


class Box(NamedTuple):
    """The pixels of a photo from column x and row y on, `width` to the right and `height` down."""

    x: int
    y: int
    width: int
    height: int


class Photo(Protocol):
    """A photo of a montage. It is shown (`repr`) by its source and its pixels' digest."""

    @property
    def source(self) -> str:
        """Where it is from."""

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """(H, W, 3)."""


class Reference(Protocol):
    """The true gradient of a score at a photo; its scale does not count. It is shown by its source and its digest."""

    @property
    def source(self) -> str:
        """Where it is from."""

    @property
    def values(self) -> NDArray[np.float64]:
        """By pixel (H, W), or by value (H, W, 3); finite."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """What is given beside a map and its photo.

    boxes: around what the map should find, in pixels of the photo. montage: photos of other things. gradient: the true
    one, computed elsewhere. made: the method and the seed that made the map.
    """

    boxes: tuple[Box, ...] = ()
    montage: tuple[Photo, ...] = ()
    gradient: Reference | None = None
    made: Making | None = None

    def lacks(self, needs: Sequence[Need]) -> Need | None:
        """Return the first of several needs that is not given; None where all are."""
        return next((need for need in needs if not getattr(self, need)), None)

    @property
    def making(self) -> Making:
        """How the map was made, for a metric that needs it."""
        assert self.made is not None  # noqa: S101 - a metric is only asked where all that it needs is given
        return self.made


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """A map to be judged, its photo, and what is given beside them.

    x: (H, W, 3), the photo as the oracle is sent it. domain: the pixels that the oracle takes. values: float64 (H, W),
    the map of what is sent, or a gradient (H, W, 3). in_photo: float64 (height, width), the map in the coordinates of
    the whole photo, NaN where the oracle saw nothing; the same gradient where `values` is one. seed: of ties, random
    parts and fills. to_photo: brings a map (H, W) of what is sent to the photo's coordinates. cells: returns the photo
    and the others of the montage, in this order, each (h, w, 3) as large as its cell of a montage as large as x.
    """

    x: Image
    domain: Domain
    values: NDArray[np.float64]
    in_photo: NDArray[np.float64]
    seed: int
    given: Given
    to_photo: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    cells: Callable[[], Sequence[Image]]


@dataclass(frozen=True, eq=False)
class Question:
    """What a metric asks.

    name: stands in the identity of a run, so it says all that decides what is asked and never changes; what has the
    same name is asked once. queries: how many rows it asks, known beforehand. plan: asks them; raises UsageError before
    anything is asked where it cannot judge the case. asks_photo: whether one of the rows is the unperturbed photo,
    which all questions share.
    """

    name: str
    queries: int
    plan: Callable[[Case], Plan[Any]]
    asks_photo: bool = False


@dataclass(frozen=True)
class Measurement:
    """One number, and what it rests on.

    metric: the name of the quantity. value: NaN where there is none. better: which way. fill: what hid pixels, empty
    where the metric itself hid nothing. steps: in how many shares, copies or maps, 0 where nothing was asked; queries:
    how many rows that took, those that metrics share counted in each; unanswered: how many of them had no answer. used:
    what else it rests on, such as seeds, a radius, cells or a reference.
    """

    metric: str
    value: float
    better: Better
    fill: str = ""
    steps: int = 0
    queries: int = 0
    unanswered: int = 0
    used: str = ""


@dataclass(frozen=True)
class Quantity:
    """What a metric measures.

    name: of the number. better: which way. unit: of the number, such as "score" or "share". chance: what a map gets
    that says nothing, or what else tells how much the number means.
    """

    name: str
    better: Better
    unit: str
    chance: str

    def measured(
        self, value: float, *, fill: str = "", steps: int = 0, queries: int = 0, unanswered: int = 0, used: str = ""
    ) -> Measurement:
        """Return a measurement of it."""
        return Measurement(self.name, value, self.better, fill, steps, queries, unanswered, used)


@runtime_checkable
class Metric(Protocol):
    """A frozen, keyword-only dataclass that judges a saliency map; its module names it as METRIC.

    Subclass it, so that only what differs from the defaults here need be said. It needs a map, and:

    quantities: what it measures, in the order in which `measurements` returns them. needs: what must be given. wants:
    what else it takes where it is given. chosen: whether it is taken where nobody names metrics and all that it needs
    is given; it must then ask little. takes_gradient: whether the map may be a gradient (H, W, 3). lowered: the option
    that decides how much it asks, empty where none does. place: where it stands among the others, the lowest first;
    runs are named after their questions in this order, so it never changes.
    """

    quantities: ClassVar[tuple[Quantity, ...]]
    needs: ClassVar[tuple[Need, ...]] = ()
    wants: ClassVar[tuple[Need, ...]] = ()
    chosen: ClassVar[bool] = False
    takes_gradient: ClassVar[bool] = False
    lowered: ClassVar[str] = ""
    place: ClassVar[int] = 1000

    @property
    def fills(self) -> tuple[AnyFill, ...]:
        """What it hides pixels behind; a map that was made with the same is flattered."""
        return ()

    def question(self, _: Given, /) -> Question | None:
        """Return what it asks, where all that it needs is given; None where it asks nothing.

        Raises:
            UsageError: it cannot judge by what is given.
        """
        return None

    def measurements(self, case: Case, answer: Any, /) -> list[Measurement]:
        """Return what is measured, one for each of `quantities`; NaN where there is no number.

        answer: what the plan of its question returned, perhaps before its end; None where it asks nothing.

        Raises:
            UsageError: it cannot judge this case. Where it asks nothing this is found before anything is asked.
        """
