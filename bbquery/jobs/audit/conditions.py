"""Conditions between the values of a plan: what one needs of another, so that nothing is paid for in vain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from bbquery import load
from bbquery.errors import UsageError, did_you_mean
from bbquery.jobs.each_target import most_maps
from bbquery.jobs.explain.bisection import FEWEST
from bbquery.metrics.srg import Srg

if TYPE_CHECKING:
    from bbquery.jobs.audit.faults import Faults
    from bbquery.jobs.audit.locate import KeyPath
    from bbquery.jobs.audit.plan import Plan
    from bbquery.ledger.records import Cap

Found: TypeAlias = "Iterator[tuple[KeyPath, str]]"
"""Faults: where, and what is wrong."""


FILES = ("plan.toml", "audit.json", "report.html", "rows.csv", "rows.jsonl")
"""Names in an audit's folder beside a folder for each oracle."""


def check(plan: Plan, faults: Faults) -> None:
    """See that a plan asks for what its gates judge, and names nothing twice.

    Raises:
        UsageError: it does not; says every fault.
    """
    for condition in (_names, _caps, _twice, _each, _facts, _fidelity, _flips, _robustness, _drift, _agreement):
        for path, message in condition(plan):
            faults.add(path, message)
    faults.check()


def _names(plan: Plan) -> Found:
    """An oracle's name is that of its budget and its folder, where capitals may not count."""
    taken: dict[str, int] = {}
    for place, oracle in enumerate(plan.oracles):
        if oracle.name.casefold() in FILES:
            yield ("oracles", place, "name"), f"the audit writes a file {oracle.name}: give the oracle another name"
        first = taken.setdefault(oracle.name.casefold(), place)
        if first != place:
            yield ("oracles", place, "name"), f"oracles[{first}] is called {oracle.name!r} too: give each its own name"


def _caps(plan: Plan) -> Found:
    caps: list[tuple[KeyPath, Callable[[], Cap]]] = [
        (("caps",), lambda: plan.caps.cap),
        (("caps", "photo"), lambda: plan.caps.photo.cap),
        *((("oracles", place), lambda oracle=oracle: oracle.cap) for place, oracle in enumerate(plan.oracles)),
    ]
    for path, cap in caps:
        try:
            cap()
        except UsageError as error:
            yield (*path, "max_usd"), str(error)


def _twice(plan: Plan) -> Found:
    """Two equal ones would be one question."""
    several: list[tuple[KeyPath, Sequence[str]]] = [
        (("oracles", place, "target"), oracle.targets) for place, oracle in enumerate(plan.oracles)
    ]
    if plan.explain is not None:
        several += [(("explain", "methods"), plan.explain.methods), (("explain", "metrics"), plan.explain.metrics)]
    if plan.attack is not None:
        several += [(("attack", "attacks"), plan.attack.attacks)]
    for path, names in several:
        for place, name in enumerate(names):
            if name in names[:place]:
                yield (*path, place), f"{name!r} is given twice"


def _each(plan: Plan) -> Found:
    """The targets of `each` are known once a photo was answered, too late for what is promised to cost."""
    for place, oracle in enumerate(plan.oracles):
        path = ("oracles", place, "target")
        try:
            most = most_maps(oracle.targets)
        except UsageError as error:
            yield path, str(error)
            continue
        if most is not None and plan.attack is not None:
            yield path, f"{oracle.targets[0]!r} is for maps, and an attack takes one target: name it"
        if most is not None and plan.explain is not None and plan.explain.metrics:
            yield path, f"maps of {oracle.targets[0]!r} cannot be measured: leave out metrics, or name targets"


def _facts(plan: Plan) -> Found:
    if plan.explain is not None and 0 < (plan.explain.verify or 0) < FEWEST:
        yield ("explain", "verify"), f"too few for a fact: give {FEWEST} or more, or 0 for none"


def _fidelity(plan: Plan) -> Found:
    metrics = () if plan.explain is None else plan.explain.metrics
    if plan.gates.min_fidelity is not None and not any(isinstance(load.metric(each), Srg) for each in metrics):
        needs = 'the metric srg: put metrics = ["srg"] into [explain]'
        yield ("gates", "min_fidelity"), f"nothing measures fidelity: it needs {needs}"


def _flips(plan: Plan) -> Found:
    if plan.gates.max_label_flips is not None and plan.repeat is None:
        yield ("gates", "max_label_flips"), "no photo is asked again: it needs [repeat] with times = 2 or more"


def _robustness(plan: Plan) -> Found:
    gate = plan.gates.min_robust_share
    if gate is None:
        return
    if plan.attack is None:
        yield ("gates", "min_robust_share"), "nothing is attacked: it needs [attack]"
    elif gate.rmse not in plan.attack.rmse:
        known = ", ".join(map(str, plan.attack.rmse))
        yield ("gates", "min_robust_share", "rmse"), f"{gate.rmse} is none of [attack] rmse: {known}; add it there"


def _drift(plan: Plan) -> Found:
    if plan.gates.no_drift and not any(oracle.drift_every for oracle in plan.oracles):
        yield ("gates", "no_drift"), "nothing looks for drift: drift_every is 0 for every oracle"
    if plan.gates.no_drift and plan.explain is None and plan.attack is None:
        yield ("gates", "no_drift"), "nothing looks for drift: it needs [explain] or [attack]"


def _agreement(plan: Plan) -> Found:
    gate, path = plan.gates.agreement_between, ("gates", "agreement_between")
    if gate is None:
        return
    known = [oracle.name for oracle in plan.oracles]
    for place, name in enumerate(gate.oracles):
        if name not in known:
            near = did_you_mean(name, known) or f"; known: {', '.join(known)}"
            yield (*path, "oracles", place), f"no oracle is called {name!r}{near}"
        elif name in gate.oracles[:place]:
            yield (*path, "oracles", place), f"{name!r} is given twice: a model agrees with itself"
    if gate.labels is None and gate.maps is None:
        yield path, "nothing is to agree: give labels, maps or both"
    if gate.maps is not None and plan.explain is None:
        yield (*path, "maps"), "there are no maps to agree: it needs [explain]"
