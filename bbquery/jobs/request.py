"""Request of a verb, in the user's words, checked as far as that needs neither the image nor the oracle."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeGuard

import numpy as np
import PIL.Image

from bbquery.client import waiting
from bbquery.drift import DEFAULT_EVERY
from bbquery.errors import UsageError
from bbquery.jobs.each_target import most_maps
from bbquery.jobs.watch import Watch
from bbquery.ledger.ledger import Ledger
from bbquery.ledger.records import Cap
from bbquery.option_types import instance, items, texts, whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bbquery.images.reading import Source
    from bbquery.oracle import Capabilities, Oracle
    from bbquery.scoring.base import Score

Named: TypeAlias = "str | os.PathLike[str] | Callable[..., Any]"
"""An oracle that is connected for a run: a specification, the path of an ONNX file, or a plain function."""

AnyOracle: TypeAlias = "Oracle | Named"
"""An oracle: an object, which stays open, a specification, the path of an ONNX file, or a plain function.

A function takes an image (H, W, 3) of grey levels 0 to 255, uint8, and returns a probability for each class; the option
`classes` names these. For all else that a function may take and answer there is `oracles.function.connect`.
"""

DEFAULT_ORACLE = "efficientnet"


def is_named(oracle: AnyOracle) -> TypeGuard[Named]:
    """Whether an oracle is to be connected, and is no object yet."""
    if isinstance(oracle, str | os.PathLike):
        return True
    return callable(oracle) and not isinstance(oracle, type) and not hasattr(oracle, "capabilities")


def several(images: Iterable[Source], one: str) -> tuple[Source, ...]:
    """Return images that are given as several; a path has letters, and an image rows, but neither are images.

    one: the call that takes one image.

    Raises:
        UsageError: it is one image.
    """
    if isinstance(images, str | bytes | os.PathLike | PIL.Image.Image) or (
        isinstance(images, np.ndarray) and images.ndim in (2, 3)
    ):
        message = f"images must be several in a list: give one to {one}, or as [image]"
        raise UsageError(f"{message}; and name the photos of a folder, each by itself")
    return items("images", images)


@dataclass(frozen=True, kw_only=True, eq=False)
class Request:
    """What all verbs take; each adds what only it takes. `bbquery.explain_async` says what each option means.

    cap: of the run, as it was stated. began: when it was made, on the clock of `time.perf_counter`.

    Raises:
        UsageError: an option that cannot be used.
    """

    DEFAULT_QUERIES: ClassVar[int] = 1000
    """The cap of queries where none is stated."""
    TAKES_EACH: ClassVar[bool] = False
    """Whether the target may be `each`: everything that the answer names."""

    image: Source
    oracle: AnyOracle = DEFAULT_ORACLE
    classes: str | Sequence[str] | None = None
    target: str | Sequence[str] | None = None
    score: Score | str | None = None
    cap: Cap = field(default_factory=Cap)
    project: str | None = None
    spare: int | None = None
    drift_every: int = DEFAULT_EVERY
    seed: int = 0
    ledger: Ledger | None = None
    watch: Watch | None = None
    longest_wait: float | None = None
    began: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        waiting.longest(self.longest_wait)
        self._check_types()
        if most_maps(self.targets) is not None and not self.TAKES_EACH:
            raise UsageError(f"{self.targets[0]!r} is for a map of every target, with explain: name one target here")
        if self.drift_every < 0:
            raise UsageError(f"drift checks every {self.drift_every} queries make no sense: give 0 for none, or more")

    def _check_types(self) -> None:
        """See that what comes from Python is of the types that are promised; make Python's integers of NumPy's."""
        object.__setattr__(self, "seed", whole("seed", self.seed, 0))  # numbers go into the identity, as JSON
        object.__setattr__(self, "drift_every", whole("drift_every", self.drift_every))
        if self.spare is not None:
            object.__setattr__(self, "spare", whole("spare", self.spare))
        texts("target", self.target)
        texts("classes", self.classes)
        if self.project is not None:
            instance("project", self.project, str)
        if self.ledger is not None:
            instance("ledger", self.ledger, Ledger)
        if self.watch is not None:
            instance("watch", self.watch, Watch)

    @property
    def targets(self) -> tuple[str, ...]:
        """The targets that are named, in their order; none means the top class."""
        return texts("target", self.target)

    @property
    def one_target(self) -> str | None:
        """The target of a verb that takes but one; None means the top class."""
        return next(iter(self.targets), None)

    @property
    def caps(self) -> Cap:
        """The caps of the run, with the default queries where no number of them is stated."""
        return Cap(queries=self.queries, tokens=self.cap.tokens, picodollars=self.cap.picodollars)

    @property
    def queries(self) -> int:
        """How many queries are allowed."""
        return self.DEFAULT_QUERIES if self.cap.queries is None else self.cap.queries

    def every(self, capabilities: Capabilities) -> int:
        """Return after how many queries to look for drift, 0 for never: what runs in this process stays the same."""
        return self.drift_every if capabilities.remote else 0
