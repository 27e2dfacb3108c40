"""Metrics of `bbquery evaluate`: their options, and the chosen metrics."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from bbquery import load
from bbquery.jobs.evaluate import making, montage, reference
from bbquery.jobs.evaluate.choice import Choice
from bbquery.metrics import Box
from bbquery.perturb.baselines import Fill
from bbquery.specification import split, split_specifications

if TYPE_CHECKING:
    from bbquery.jobs.evaluate.made import Made
    from bbquery.perturb.baselines import AnyFill

ABOUT = """Ask a map's own model how good the map is. Metrics: {}. 'bbquery list metrics NAME' says what one is,
what it needs and its options."""
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
by backpropagation; for development, since a model that can only be asked has no gradient to give"""


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


def names(chosen: argparse.Namespace) -> tuple[str, ...]:
    """Return the metrics that are named."""
    return () if chosen.metrics is None else tuple(split_specifications(chosen.metrics))


def choice(chosen: argparse.Namespace, made: Made | None) -> Choice:
    """Return what is chosen, once all that it needs is read. made: how the map was made.

    Raises:
        UsageError: something is missing, cannot be read, or is given for a metric that is not named.
    """
    metrics = making.named(names(chosen))
    making.check_taken(metrics, montage=chosen.montage is not None, gradient=chosen.gradient is not None)
    return Choice(
        names=names(chosen), steps=chosen.steps, copies=chosen.copies, fill=chosen.fill,
        insertion_fill=chosen.insertion_fill, boxes=tuple(chosen.box), repeats=chosen.repeats,
        noisy_copies=chosen.noisy_copies, radius=chosen.radius,
        montage=tuple(montage.load(source) for source in split(chosen.montage or "") if source),
        gradient=None if chosen.gradient is None else reference.read(chosen.gradient),
        made=making.making(metrics, made, chosen.method, chosen.seed, gradient=chosen.gradient is not None),
    )  # fmt: skip


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
