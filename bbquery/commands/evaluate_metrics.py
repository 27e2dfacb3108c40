"""The metrics of `bbquery evaluate`: their options, and what is chosen by them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from bbquery.errors import UsageError
from bbquery.jobs.evaluate import montage, provenance, reference
from bbquery.jobs.evaluate.choice import METRICS, Choice
from bbquery.jobs.evaluate.names import OF_METHOD, ONLY_WHEN_NAMED
from bbquery.jobs.evaluate.provenance import Making
from bbquery.metrics._boxes import Box
from bbquery.perturb.baselines import Fill
from bbquery.specification import split

if TYPE_CHECKING:
    from bbquery.commands.map_file import Made, MapFile
    from bbquery.perturb.baselines import AnyFill

ABOUT = "Metrics: " + "; ".join(f"{name}, {what}" for name, what in METRICS.items()) + "."
FILLS = f"{', '.join(get_args(Fill))}, or a grey level from 0 to 255"
NAMED = ", ".join(ONLY_WHEN_NAMED)
WHICH = f"which (default: all; those of boxes need a --box, and {NAMED} must be named)"
AGAIN = f"""{", ".join(OF_METHOD)} explain again, by the method, queries and seed that the map's run.json says, so each
costs whole maps: of the photo with other seeds, of the photo and its noisy copies, or of one montage. gradient_cosine
asks nothing of a map that is itself a gradient with signs; of one that an estimator of gradients made, such as lr, it
asks the estimator's questions again, which the answer store knows."""
METHOD = "how the map was made, with its queries (rise:queries=500), where no run.json says so"
MONTAGE = r"for grid_pointing: 3 or 8 photos of other things, beside this one; a comma in a name is written \,"
GRADIENT = """for gradient_cosine: the true gradient of the score, (H, W, 3) or (H, W) like the map, such as torch gets
by backpropagation; a matter for development, since whom bbquery explains has no gradient to give"""
GRADIENT_UNIT = "score per grey level"


def add(evaluate: argparse.ArgumentParser) -> None:
    """Declare the options."""
    usual = Choice()
    how = evaluate.add_argument_group("metrics")
    how.add_argument("--metrics", metavar="NAME[,NAME…]", help=WHICH)
    boxed = "a box of what the map should find, in pixels of the photo from the top left; can be repeated"
    how.add_argument("--box", action="append", type=_box, default=[], metavar="X,Y,WIDTH,HEIGHT", help=boxed)
    shares = "equal shares in which the curves take pixels (default: %(default)s)"
    how.add_argument("--steps", type=int, default=usual.steps, metavar="N", help=shares)
    copies = "copies with a part hidden, of each of the two fidelities (default: %(default)s)"
    how.add_argument("--copies", type=int, default=usual.copies, metavar="N", help=copies)
    hides = f"what hides pixels: {FILLS} (default: %(default)s)"
    how.add_argument("--fill", type=_fill, default=usual.fill, metavar="FILL", help=hides)
    begins = "what insertion begins with, likewise (default: %(default)s)"
    how.add_argument("--insertion-fill", type=_fill, default=usual.insertion_fill, metavar="FILL", help=begins)
    _add_again(evaluate, usual)


def _add_again(evaluate: argparse.ArgumentParser, usual: Choice) -> None:
    how = evaluate.add_argument_group("metrics that are only taken when they are named", description=AGAIN)
    how.add_argument("--method", metavar="NAME[:key=value,…]", help=METHOD)
    repeats = "maps of other seeds, for repeatability (default: %(default)s)"
    how.add_argument("--repeats", type=int, default=usual.repeats, metavar="N", help=repeats)
    noisy = "noisy copies of the photo, each with a map, for max_sensitivity (default: %(default)s)"
    how.add_argument("--noisy-copies", type=int, default=usual.noisy_copies, metavar="N", help=noisy)
    radius = "the most that a value of a noisy copy moves, in grey levels of 0 to 255 (default: %(default)s, 2 %%)"
    how.add_argument("--radius", type=float, default=usual.radius, metavar="LEVELS", help=radius)
    how.add_argument("--montage", metavar="IMAGE,IMAGE,IMAGE", help=MONTAGE)
    how.add_argument("--gradient", type=Path, metavar="FILE.npy", help=GRADIENT)


def choice(chosen: argparse.Namespace, found: MapFile) -> Choice:
    """Return what is chosen, once all that it needs is read.

    Raises:
        UsageError: something is missing, cannot be read, or is given for a metric that is not named.
    """
    names = () if chosen.metrics is None else tuple(name.strip() for name in chosen.metrics.split(","))
    for option, metric in (("montage", "grid_pointing"), ("gradient", "gradient_cosine")):
        if getattr(chosen, option) is not None and metric not in names:
            raise UsageError(f"--{option} is for {metric}, which is only taken when it is named: --metrics {metric}")
    return Choice(
        names=names, steps=chosen.steps, copies=chosen.copies, fill=chosen.fill,
        insertion_fill=chosen.insertion_fill, boxes=tuple(chosen.box), repeats=chosen.repeats,
        noisy_copies=chosen.noisy_copies, radius=chosen.radius,
        montage=tuple(montage.load(source) for source in split(chosen.montage or "") if source),
        gradient=None if chosen.gradient is None else reference.read(chosen.gradient),
        made=_made(chosen, found, names),
    )  # fmt: skip


def _made(chosen: argparse.Namespace, found: MapFile, names: tuple[str, ...]) -> Making | None:
    """Return how the map was made, where a metric needs it and it is known."""
    again = any(name in OF_METHOD for name in names)
    if not again and "gradient_cosine" not in names:
        return None
    seed = chosen.seed if found.made is None else found.made.seed
    if chosen.method is not None:
        return Making(provenance.from_specification(chosen.method), seed)
    if found.made is None:
        return None
    if chosen.gradient is not None:
        _check_gradient(found.made)
    return Making(provenance.from_record(found.made.method), seed) if again or not found.made.signed else None


def _check_gradient(made: Made) -> None:
    """See that a map is a gradient with signs, or that its estimator can be asked for one again."""
    if made.unit == GRADIENT_UNIT and (
        made.signed or Making(provenance.from_record(made.method)).estimator is not None
    ):
        return
    raise UsageError(
        f"gradient_cosine needs a gradient with signs, but {made.method} made a map of {made.unit}"
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
