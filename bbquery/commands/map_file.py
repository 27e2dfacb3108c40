"""A saliency map from a file or a folder that `bbquery explain` wrote, with what its record says of it."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bbquery.errors import UsageError
from bbquery.images.placement import Placement
from bbquery.jobs.evaluate import npy_file
from bbquery.ledger import codec
from bbquery.oracle import is_unnamed
from bbquery.report.record import read as read_record

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from bbquery.perturb.baselines import AnyFill

RECORD = "run.json"
FILL = re.compile(r"(?:fill|baseline)='?([^',)]+)'?")  # in a constructor call, whatever stands before the word


@dataclass(frozen=True)
class Made:
    """How a map was made, as the record beside it says.

    method, score: as constructor calls. oracle, fingerprint, identity: whom it explains. pixels: the photo's digest.
    seed: of the method. signed, unit: of the map's values. placement: where on the photo the pixels lie that were
    sent. asked, scored: the oracle and the score as they were typed; None where they were not.
    """

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


@dataclass(frozen=True, eq=False)
class MapFile:
    """A map (H, W), or a gradient (H, W, 3), from a file, and how it was made; None where no record says so."""

    path: Path
    values: NDArray[np.float64]
    made: Made | None


def read(path: Path, *, or_gradient: bool = False) -> MapFile:
    """Read a map: a .npy file, or the folder of a run that made one map. or_gradient: also take (H, W, 3).

    Raises:
        UsageError: there is none, several, or it is no map.
    """
    folder = path if path.is_dir() else path.parent
    made = _made(folder / RECORD)
    if path.is_dir():
        path = path / _only(made, path)
    return MapFile(path, npy_file.read_map(path, or_gradient=or_gradient), made.get(path.name))


def _only(made: dict[str, Made], folder: Path) -> str:
    if not made:
        raise UsageError(f"{folder} holds no run of 'bbquery explain': give its folder, or the .npy file of a map")
    if len(made) > 1:
        raise UsageError(f"{folder} holds several maps: give one, such as {str(folder / next(iter(made)))!r}")
    return next(iter(made))


def _made(record: Path) -> dict[str, Made]:
    """Return what a record says of each map, by file name; nothing where there is no record."""
    if not record.is_file():
        return {}
    plain = read_record(record)
    try:
        names = [name for name in plain["files"] if name.endswith(".npy") and not name.endswith("-error.npy")]
        return {name: _one(plain, target) for name, target in zip(names, plain["targets"], strict=True)}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UsageError(f"cannot read {record}: it is no record of 'bbquery explain' ({error})") from error


def _one(plain: dict[str, Any], target: dict[str, Any]) -> Made:
    sent = plain["image"].get("sent")  # earlier versions did not say
    return Made(
        target=target["target"], method=plain["method"], oracle=plain["oracle"]["name"],
        fingerprint=plain["oracle"]["fingerprint"], identity=dict(plain["oracle"].get("identity", {})),
        pixels=plain["image"]["pixels"],
        partial=target["stopped"] is not None, score=plain["score"], seed=plain["seed"], signed=target["signed"],
        unit=target["unit"], placement=None if sent is None else Placement.of(sent),
        asked=_typed(plain["command"], "--oracle"), scored=_typed(plain["command"], "--score"),
    )  # fmt: skip


def _typed(command: list[str], option: str) -> str | None:
    """Return the value of an option of a command line, the last where there are several; None where there is none."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument(option, dest="value")
    try:
        value: str | None = parser.parse_known_args(command)[0].value
    except argparse.ArgumentError:  # an option without a value: such a command never ran
        return None
    return value


def _fill(text: str) -> AnyFill:
    """Return a fill as it was written: a grey level, or a name."""
    try:
        return float(text)
    except ValueError:
        return text  # type: ignore[return-value] # a name of some method's own is a fill too, only no known one
