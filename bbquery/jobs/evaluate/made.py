"""How a map was made, as its record says: what is asked because of it, what must fit, and what to beware of."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from bbquery.errors import UsageError
from bbquery.jobs.evaluate.choice import same_fill
from bbquery.jobs.request import DEFAULT_ORACLE
from bbquery.ledger import codec
from bbquery.oracle import is_unnamed
from bbquery.specification import constructor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bbquery.images.placement import Placement
    from bbquery.jobs.evaluate.choice import Choice
    from bbquery.jobs.request import AnyOracle
    from bbquery.metrics import Measurement
    from bbquery.metrics.srg import Curves
    from bbquery.oracle import Capabilities
    from bbquery.perturb.baselines import AnyFill
    from bbquery.scoring.base import Score
    from bbquery.types import Image

RECORD = "run.json"
FILL = re.compile(r"(?:fill|baseline)='?([^',)]+)'?")  # in a constructor call, whatever stands before the word


@dataclass(frozen=True, kw_only=True)
class Made:
    """How a map was made, as the record beside it says.

    path: the map's file. method, score: as constructor calls. oracle, fingerprint, identity: whom it explains. pixels:
    the photo's digest. seed: of the method. signed, unit: of the map's values. placement: where on the photo the pixels
    lie that were sent. asked, scored: the oracle and the score as they were typed; None where they were not.
    """

    path: Path
    target: str
    method: str
    oracle: str
    fingerprint: str
    pixels: str
    partial: bool
    score: str = ""
    seed: int = 0
    signed: bool = True
    unit: str = ""
    placement: Placement | None = None
    asked: str | None = None
    scored: str | None = None
    identity: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fills(self) -> list[AnyFill]:
        """What the method put where it hid pixels, or began its path; none where it hides nothing."""
        return [_fill(text) for text in FILL.findall(self.method)]

    def explains(self, identity: Mapping[str, Any]) -> bool:
        """Whether it explains this oracle; where nobody named the state of a function, as far as can be told."""
        if self.fingerprint == codec.fingerprint(identity)[0]:
            return True
        here, there = ({**each, "version": None} for each in (identity, self.identity))
        return here == there and is_unnamed(identity) and is_unnamed(self.identity)


class Judge(NamedTuple):
    """Who judges a map, by which score and for which target: what a person named, else what the map's record says.

    named: which of "oracle" and "score" a person named.
    """

    oracle: AnyOracle
    score: Score | str | None
    target: str | None
    named: frozenset[str]


def judge(made: Made | None, oracle: AnyOracle | None, score: Score | str | None, target: str | None) -> Judge:
    """Return who judges a map. made: how it was made, None where no record says. The others: None where not named."""
    named = frozenset(name for name, value in (("oracle", oracle), ("score", score)) if value is not None)
    if made is not None:
        oracle = made.asked if oracle is None else oracle
        score = made.scored if score is None else score
        target = made.target if target is None else target
    return Judge(DEFAULT_ORACLE if oracle is None else oracle, score, target, named)


def check_photo(made: Made, photo: Image) -> None:
    """See that a map is of this photo.

    Raises:
        UsageError: it is of another.
    """
    if made.pixels != codec.image_digest(photo).hex():
        raise UsageError(f"{made.path} is the map of another photo, as its {RECORD} says: give that photo")


def check_oracle(made: Made, oracle: Capabilities, asked: AnyOracle) -> None:
    """See that a map is of this oracle, which nobody named. asked: the specification that it was connected by.

    Raises:
        UsageError: it is of another.
    """
    if not made.explains(oracle.identity):
        raise UsageError(
            f"{made.path} is the map of another oracle ({made.oracle}, or another version of it), and this would ask "
            f"{asked}: say with --oracle which model to ask"
        )


def check_score(made: Made, score: Score, *, named: bool, again: bool) -> None:
    """See that a map is of this score, where nobody named one, or where the map is made again.

    Raises:
        UsageError: it is of another.
    """
    taken = constructor(score)
    if made.score == taken:
        return
    if not named:
        raise UsageError(
            f"{made.path} is the map of the score {made.score}, and this would take {taken}: say with --score which "
            "to take"
        )
    if again:
        message = f"{made.path} is the map of the score {made.score}, not of {taken}"
        raise UsageError(f"{message}, so that explaining again would compare scores: give its --score")


def of_another(made: Made | None, asked: Capabilities) -> list[str]:
    """Return that a map explains another oracle than the one that judges it, which is known before it is asked."""
    if made is None or made.explains(asked.identity):
        return []
    return [
        f"the map explains another oracle ({made.oracle}, or another version of it) than {asked.name}, which judges "
        "it: leave out --oracle to ask the map's own"
    ]


def warnings(
    made: Made | None,
    asked: Capabilities,
    choice: Choice,
    *,
    measurements: Sequence[Measurement],
    curves: Curves | None,
    partial: bool,
) -> list[str]:
    """Return what a person must know before they believe the numbers, each with what to do.

    asked: the oracle. partial: whether the evaluation is.
    """
    warned = [] if made is None else _of_making(made, asked, choice)
    if curves is not None and len({*curves.deletion, *curves.insertion}) == 1:
        warned.append("every answer scored the same, so no map could do better or worse: take a denser --score")
    missing = max((each.unanswered for each in measurements), default=0)
    if missing and not partial:
        warned.append(f"up to {missing} rows of a metric got no answer: curves are interpolated there, copies left out")
    return warned


def _of_making(made: Made, asked: Capabilities, choice: Choice) -> list[str]:
    warned = []
    if shared := [f"{fill}" for fill in choice.fills if any(same_fill(fill, other) for other in made.fills)]:
        warned.append(
            f"the map was made with the fill that judges it ({', '.join(sorted(shared))}), which flatters it: "
            "give another --fill or --insertion-fill"
        )
    warned += of_another(made, asked)
    if made.partial:
        warned.append("the map is partial: complete its run first, by the command that it printed")
    again = choice.made
    if again is not None and (method := constructor(again.method)) != made.method:
        warned.append(f"the map was made by {made.method}, but what explains again is {method}: leave out --method")
    return warned


def _fill(text: str) -> AnyFill:
    """Return a fill as it was written: a grey level, or a name."""
    try:
        return float(text)
    except ValueError:
        return text  # type: ignore[return-value] # a name of some method's own is a fill too, only no known one
