"""Metrics of `bbquery evaluate`: their options, and the chosen metrics."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from bbquery import load
from bbquery.errors import UsageError
from bbquery.jobs.evaluate import montage, provenance, reference
from bbquery.jobs.evaluate.choice import Choice
from bbquery.metrics import Box
from bbquery.metrics._making import Making
from bbquery.perturb.baselines import Fill
from bbquery.specification import split, split_specifications

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bbquery.commands.map_file import Made, MapFile
    from bbquery.metrics import Metric, Need
    from bbquery.perturb.baselines import AnyFill

ABOUT = "Metrics: {}. 'bbquery list metrics' says what each is, 'bbquery help NAME' what it needs and its options."
FILLS = f"{', '.join(get_args(Fill))}, or a grey level from 0 to 255"
WHICH = """which, and how (default: all that ask little; those of boxes need a --box, and those that explain again or
need what only a person has must be named); key=value,… are options of one metric, before those below"""
AGAIN = """Some metrics (repeatability, max_sensitivity, grid_pointing) explain again, by the method, queries and seed
that the map's run.json says, so each costs whole maps: of the photo with other seeds, of the photo and its noisy
copies, or of one montage. gradient_cosine asks nothing of a map that is itself a gradient with signs; of one that an
estimator of gradients made, such as lr, it asks the estimator's questions again, which the answer store knows."""
METHOD = "how the map was made, with its queries (rise:queries=500), where no run.json says so"
MONTAGE = r"for grid_pointing: 3 or 8 photos of other things, beside this one; a comma in a name is written \,"
GRADIENT = """for gradient_cosine: the true gradient of the score, (H, W, 3) or (H, W) like the map, such as torch gets
by backpropagation; a matter for development, since whom bbquery explains has no gradient to give"""
GRADIENT_UNIT = "score per grey level"
ONLY_IF_NEEDED: tuple[Need, ...] = ("montage", "gradient")
"""What is not to be given where no chosen metric takes it."""


def about() -> str:
    """Return what the command's help says of metrics."""
    return ABOUT.format(", ".join(load.names("metric")))


def add(evaluate: argparse.ArgumentParser) -> None:
    """Declare the options."""
    how = evaluate.add_argument_group("metrics")
    how.add_argument("--metrics", metavar="NAME[:key=value,…][,NAME…]", help=WHICH)
    boxed = "a box of what the map should find, in pixels of the photo from the top left; can be repeated"
    how.add_argument("--box", action="append", type=_box, default=[], metavar="X,Y,WIDTH,HEIGHT", help=boxed)
    shares = "equal shares in which the curves take pixels (default: %(default)s)"
    how.add_argument("--steps", type=int, default=Choice.steps, metavar="N", help=shares)
    copies = "copies with a part hidden, of each of the two fidelities (default: %(default)s)"
    how.add_argument("--copies", type=int, default=Choice.copies, metavar="N", help=copies)
    hides = f"what hides pixels: {FILLS} (default: %(default)s)"
    how.add_argument("--fill", type=_fill, default=Choice.fill, metavar="FILL", help=hides)
    begins = "what insertion begins with, likewise (default: %(default)s)"
    how.add_argument("--insertion-fill", type=_fill, default=Choice.insertion_fill, metavar="FILL", help=begins)
    _add_again(evaluate)


def _add_again(evaluate: argparse.ArgumentParser) -> None:
    how = evaluate.add_argument_group("metrics that are only taken when they are named", description=AGAIN)
    how.add_argument("--method", metavar="NAME[:key=value,…]", help=METHOD)
    repeats = "maps of other seeds, for repeatability (default: %(default)s)"
    how.add_argument("--repeats", type=int, default=Choice.repeats, metavar="N", help=repeats)
    noisy = "noisy copies of the photo, each with a map, for max_sensitivity (default: %(default)s)"
    how.add_argument("--noisy-copies", type=int, default=Choice.noisy_copies, metavar="N", help=noisy)
    radius = "the most that a value of a noisy copy moves, in grey levels of 0 to 255 (default: %(default)s, 2 %%)"
    how.add_argument("--radius", type=float, default=Choice.radius, metavar="LEVELS", help=radius)
    how.add_argument("--montage", metavar="IMAGE,IMAGE,IMAGE", help=MONTAGE)
    how.add_argument("--gradient", type=Path, metavar="FILE.npy", help=GRADIENT)


def _named(chosen: argparse.Namespace) -> dict[str, Metric]:
    """Return the metrics that are named, by specification; none where those are taken that need no naming."""
    return {name: load.metric(name) for name in _names(chosen)}


def _names(chosen: argparse.Namespace) -> tuple[str, ...]:
    return () if chosen.metrics is None else tuple(split_specifications(chosen.metrics))


def takes_gradient(chosen: argparse.Namespace) -> bool:
    """Return whether the map may be a gradient (H, W, 3).

    Raises:
        UnknownName: no such metric or option. UsageError: a bad option.
    """
    metrics = _named(chosen).values()
    return bool(metrics) and all(metric.takes_gradient for metric in metrics)


def choice(chosen: argparse.Namespace, found: MapFile) -> Choice:
    """Return what is chosen, once all that it needs is read.

    Raises:
        UsageError: something is missing, cannot be read, or is given for a metric that is not named.
    """
    metrics = _named(chosen)
    for need in ONLY_IF_NEEDED:
        if getattr(chosen, need) is not None and not any(need in metric.needs for metric in metrics.values()):
            raise UsageError(_for_another(need))
    return Choice(
        names=_names(chosen), steps=chosen.steps, copies=chosen.copies, fill=chosen.fill,
        insertion_fill=chosen.insertion_fill, boxes=tuple(chosen.box), repeats=chosen.repeats,
        noisy_copies=chosen.noisy_copies, radius=chosen.radius,
        montage=tuple(montage.load(source) for source in split(chosen.montage or "") if source),
        gradient=None if chosen.gradient is None else reference.read(chosen.gradient),
        made=_made(chosen, found, metrics),
    )  # fmt: skip


def _for_another(need: Need) -> str:
    takers = [name for name in load.names("metric") if need in load.metric(name).needs]
    which = " and ".join(takers)
    return f"--{need} is for {which}, which is only taken when it is named: --metrics {','.join(takers)}"


def _made(chosen: argparse.Namespace, found: MapFile, metrics: Mapping[str, Metric]) -> Making | None:
    """Return how the map was made, where a metric needs it or takes it, and it is known."""
    needed = any("made" in metric.needs for metric in metrics.values())
    if not needed and not any("made" in metric.wants for metric in metrics.values()):
        return None
    seed = chosen.seed if found.made is None else found.made.seed
    if chosen.method is not None:
        return Making(provenance.from_specification(chosen.method), seed)
    if found.made is None:
        return None
    if chosen.gradient is not None:
        _check_gradient(found.made, next(name for name, metric in metrics.items() if "gradient" in metric.needs))
    return Making(provenance.from_record(found.made.method), seed) if needed or not found.made.signed else None


def _check_gradient(made: Made, metric: str) -> None:
    """See that a map is a gradient with signs, or that its estimator can be asked for one again."""
    if made.unit == GRADIENT_UNIT and (
        made.signed or Making(provenance.from_record(made.method)).estimator is not None
    ):
        return
    raise UsageError(
        f"{metric} needs a gradient with signs, but {made.method} made a map of {made.unit}"
        f"{'' if made.signed else ', without signs'}: give the map of an estimator of gradients, such as that of "
        "'bbquery explain --method lr'"
    )


def _box(text: str) -> Box:
    try:
        return Box(*(int(part) for part in text.split(",")))
    except (ValueError, TypeError):
        raise argparse.ArgumentTypeError(f"{text!r} is not four whole numbers X,Y,WIDTH,HEIGHT") from None


def _fill(text: str) -> AnyFill:
    """Read a fill; what is no number is a name, which `Choice` knows or refuses."""
    try:
        return float(text)
    except ValueError:
        return text  # type: ignore[return-value] # checked where all fills are
