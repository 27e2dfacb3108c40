"""Inputs of named metrics beside the map: what a person gives for them, and how the map was made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery import load
from bbquery.errors import UsageError
from bbquery.jobs.evaluate import provenance
from bbquery.metrics import Metric
from bbquery.metrics._making import Making
from bbquery.specification import constructor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bbquery.jobs.evaluate.made import Made
    from bbquery.metrics import Need
    from bbquery.saliency import Method

GRADIENT_UNIT = "score per grey level"


def named(names: Sequence[str | Metric]) -> dict[str, Metric]:
    """Return the metrics that are named, by specification; none where those are taken that need no naming.

    Raises:
        UnknownName: no such metric or option. UsageError: a bad option.
    """
    for name in names:
        if not isinstance(name, str | Metric):
            raise UsageError(f"{name!r} is no metric: give a name of 'bbquery list metrics', or such an object")
    return {
        name if isinstance(name, str) else constructor(name): load.metric(name) if isinstance(name, str) else name
        for name in names
    }


def takes_gradient(metrics: Mapping[str, Metric]) -> bool:
    """Return whether the map that these named metrics judge may be a gradient (H, W, 3)."""
    return bool(metrics) and all(metric.takes_gradient for metric in metrics.values())


def check_taken(metrics: Mapping[str, Metric], *, montage: bool, gradient: bool) -> None:
    """See that what is given is taken by a metric that is named. montage, gradient: whether there is one.

    Raises:
        UsageError: it is not.
    """
    given: dict[Need, bool] = {"montage": montage, "gradient": gradient}
    for need, is_given in given.items():
        if is_given and not any(need in metric.needs for metric in metrics.values()):
            takers = [name for name in load.names("metric") if need in load.metric(name).needs]
            raise UsageError(
                f"--{need} is for {' and '.join(takers)}, which is only taken when it is named: "
                f"--metrics {','.join(takers)}"
            )


def making(
    metrics: Mapping[str, Metric], made: Made | None, method: Method | str | None, seed: int, *, gradient: bool
) -> Making | None:
    """Return how the map was made, where a named metric needs it or takes it, and it is known.

    made: what the map's record says. method: what a person says. seed: of the method where no record says it.
    gradient: whether one is given, to be compared.

    Raises:
        UsageError: the method cannot be made again, or the map is no gradient.
    """
    needed = any("made" in metric.needs for metric in metrics.values())
    if not needed and not any("made" in metric.wants for metric in metrics.values()):
        return None
    if method is not None:
        again = provenance.from_specification(method) if isinstance(method, str) else method
        return Making(again, seed if made is None else made.seed)
    if made is None:
        return None
    if gradient:
        _check_gradient(made, next(name for name, metric in metrics.items() if "gradient" in metric.needs))
    return Making(provenance.from_record(made.method), made.seed) if needed or not made.signed else None


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
