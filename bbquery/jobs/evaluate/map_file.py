"""A saliency map from a file or a folder that `bbquery explain` wrote, with what its record says of it."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bbquery.errors import UsageError
from bbquery.images.placement import Placement
from bbquery.jobs import record_file
from bbquery.jobs.evaluate import npy_file
from bbquery.jobs.evaluate.made import RECORD, Made

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class MapFile:
    """A map (H, W), or a gradient (H, W, 3), from a file, and how it was made; None where no record says so."""

    path: Path
    values: NDArray[np.float64]
    made: Made | None


def read(path: Path, *, target: str | None = None, or_gradient: bool = False) -> MapFile:
    """Read a map: a .npy file, or the folder of a run of `bbquery explain`, or the run.json in it.

    target: which map of a run of several. or_gradient: also take (H, W, 3).

    Raises:
        UsageError: there is none, several, or it is no map.
    """
    if path.name == RECORD:
        path = path.parent
    folder = path if path.is_dir() else path.parent
    made = _made(folder / RECORD)
    if path.is_dir():
        path = path / _only(made, path, target)
    return MapFile(path, npy_file.read_map(path, or_gradient=or_gradient), made.get(path.name))


def _only(made: dict[str, Made], folder: Path, target: str | None) -> str:
    """Return the file of the run's one map, or of its map of the target."""
    if not made:
        raise UsageError(f"{folder} holds no run of 'bbquery explain': give its folder, or the .npy file of a map")
    if len(made) == 1:
        return next(iter(made))
    wanted = [name for name, each in made.items() if each.target == target]
    if len(wanted) != 1:
        first, one = next(iter(made.items()))
        raise UsageError(
            f"{folder} holds several maps: give one, such as {str(folder / first)!r}, or say with --target whose, such "
            f"as {one.target!r}"
        )
    return wanted[0]


def _made(record: Path) -> dict[str, Made]:
    """Return what a record says of each map, by file name; nothing where there is no record."""
    if not record.is_file():
        return {}
    plain = record_file.read(record)
    try:
        names = [name for name in plain["files"] if name.endswith(".npy") and not name.endswith("-error.npy")]
        targets = zip(names, plain["targets"], strict=True)
        return {name: _one(record.parent / name, plain, target) for name, target in targets}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UsageError(f"cannot read {record}: it is no record of 'bbquery explain' ({error})") from error


def _one(path: Path, plain: dict[str, Any], target: dict[str, Any]) -> Made:
    sent = plain["image"].get("sent")  # earlier versions did not say
    return Made(
        path=path, target=target["target"], method=plain["method"], oracle=plain["oracle"]["name"],
        fingerprint=plain["oracle"]["fingerprint"], identity=dict(plain["oracle"].get("identity", {})),
        pixels=plain["image"]["pixels"],
        partial=target["stopped"] is not None, score=target.get("score", plain["score"]), seed=plain["seed"],
        signed=target["signed"], unit=target["unit"], placement=None if sent is None else Placement.of(sent),
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
