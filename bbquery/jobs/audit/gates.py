"""Gates: conditions of the plan, each met, failed, or not to be told, with the photos that broke it.

1. A gate on a share (flips, refusals, robustness, labels) is about the photos of the audit, so the share itself counts.
2. A gate on a mean (fidelity, agreement of maps) is about what photos like these would show, so the lower end of its
   90 % interval counts. A mean that is large enough, with an end that is not, cannot be told: ask more photos.
3. What cannot be told does not pass, and no photo has broken it. A gate for which nothing was asked cannot be told.
4. Drift is looked for while a photo is asked. Stored answers cannot tell whether the model is still the one that gave
   them, so where nothing was asked anew of a photo, drift cannot be told.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from bbquery.jobs.audit.summary import ANEW, Gate, Verdict
from bbquery.jobs.intervals import Z_90, Estimate
from bbquery.jobs.percent import percent

if TYPE_CHECKING:
    from bbquery.jobs.audit.agreement import Pair
    from bbquery.jobs.audit.figures import Figures
    from bbquery.jobs.audit.plan import Gates, Plan


def gates(plan: Plan, figures: Mapping[str, Figures], pairs: Sequence[Pair]) -> tuple[Gate, ...]:
    """Return what came of every gate of a plan, on each oracle or pair. figures: by oracle."""
    own = [gate for found in figures.values() for gate in _of_oracle(plan, found)]
    return (*own, *_of_pairs(plan.gates, pairs))


def _of_oracle(plan: Plan, found: Figures) -> Iterator[Gate]:
    wanted = plan.gates
    if wanted.min_fidelity is not None:
        measures = plan.explain is not None and plan.explain.metrics
        nothing = _unasked("no map was measured", measures, "give [explain] metrics = ['srg']")
        yield _fidelity(wanted.min_fidelity, found, nothing)
    if wanted.max_label_flips is not None:
        most, shares = wanted.max_label_flips, found.flipped
        yield _share(
            "max_label_flips", found.name, f"at most {percent(most)} of photos change their first label",
            shares.estimate, met=shares.estimate.value <= most, photos=shares.worst,
            nothing=_unasked("no photo was asked again", plan.repeat, "give [repeat] times"),
        )  # fmt: skip
    if wanted.min_robust_share is not None:
        least, rmse = wanted.min_robust_share.share, wanted.min_robust_share.rmse
        share = found.robustness(rmse)
        yield _share(
            "min_robust_share", found.name, f"at least {percent(least)} of photos withstand RMSE {rmse:g}", share,
            met=share.value >= least, photos=found.found[rmse].worst if rmse in found.found else (),
            nothing="no photo was attacked to the end",
        )  # fmt: skip
    if wanted.max_refusals is not None:
        most, shares = wanted.max_refusals, found.refused
        yield _share(
            "max_refusals", found.name, f"at most {percent(most)} of photos get no answer", shares.estimate,
            met=shares.estimate.value <= most, photos=shares.worst, nothing="no photo was asked",
        )  # fmt: skip
    if wanted.no_drift:
        yield _drift(plan, found)


def _share(
    name: str, oracle: str, wanted: str, share: Estimate, *, met: bool, photos: tuple[str, ...], nothing: str
) -> Gate:
    """Return a gate on a share. met: whether the share keeps to it. nothing: why there is none."""
    if not share.n:
        return Gate(name=name, oracle=oracle, verdict="cannot be told", wanted=wanted, found="nothing", why=nothing)
    return Gate(
        name=name, oracle=oracle, verdict="met" if met else "failed", wanted=wanted,
        found=f"{percent(share.value)} of {share.n} photos", photos=() if met else photos,
    )  # fmt: skip


def _unasked(nothing: str, planned: object, remedy: str) -> str:
    """Return why there is nothing to judge: the plan does not ask for it, or no photo has come to it."""
    return f"{nothing} yet" if planned else f"{nothing}: {remedy}"


def _fidelity(least: float, found: Figures, nothing: str) -> Gate:
    estimate = found.mean_fidelity(Z_90)
    below = sorted(each for each in found.fidelity if each[0] < least)
    return _mean(
        "min_fidelity", found.name, f"a mean fidelity of {least:g} or more", estimate, least,
        photos=tuple(photo for _, photo in below), nothing=nothing,
    )  # fmt: skip


def _mean(
    name: str, oracle: str, wanted: str, found: Estimate, least: float, *, photos: tuple[str, ...], nothing: str
) -> Gate:
    """Return a gate on a mean, by the lower end of its interval."""
    if not found.n:
        return Gate(name=name, oracle=oracle, verdict="cannot be told", wanted=wanted, found="nothing", why=nothing)
    verdict, why = _judged(found, least)
    return Gate(
        name=name, oracle=oracle, verdict=verdict, wanted=wanted, found=_in_words(found), why=why,
        photos=photos if verdict == "failed" else (),
    )  # fmt: skip


def _judged(found: Estimate, least: float) -> tuple[Verdict, str]:
    """Return what a mean comes to, and why it cannot be told."""
    if found.value < least:
        return "failed", ""
    if found.n < 2:
        return "cannot be told", "one photo has no interval: ask more photos"
    if found.low < least:
        return "cannot be told", f"the mean is large enough, but by chance it could be {found.low:.3f}: ask more photos"
    return "met", ""


def _in_words(found: Estimate) -> str:
    if found.n < 2:
        return f"{found.value:.3f}, of one photo"
    return f"{found.value:.3f} (90 % interval {found.low:.3f} to {found.high:.3f}, {found.n} photos)"


def _drift(plan: Plan, found: Figures) -> Gate:
    """Return whether the model stayed the same: in each photo, and by the versions that it named."""
    wanted = "the model stays the same"
    own = next(each for each in plan.oracles if each.name == found.name)
    said = functools.partial(Gate, name="no_drift", oracle=found.name, wanted=wanted)
    if found.drifted.so:
        photos = found.drifted.worst
        return said(verdict="failed", found=f"it changed at {len(photos)} photos", photos=photos)
    if len(found.served) > 1:
        return said(verdict="failed", found=f"answers name {', '.join(found.served)}")
    if found.drifted.known or found.unwatched or found.half_watched:
        seen = f"no change at {found.drifted.known} photos while each was asked" if found.drifted.known else "nothing"
        why = _unwatched(found)
        return said(verdict="cannot be told" if why else "met", found=seen, why=why)
    if not (plan.explain or plan.attack) or not own.drift_every:
        why = "it was not looked for: give drift_every, and [explain] or [attack]"
        return said(verdict="cannot be told", found="nothing", why=why)
    if not found.statuses["complete"]:
        return said(verdict="cannot be told", found="nothing", why="no photo is complete")
    return said(verdict="met", found="it runs in this process, where nothing changes it")


def _unwatched(found: Figures) -> str:
    """Return why drift cannot be told, empty where it can: the model may have changed since it gave what is stored."""
    photos = found.drifted.known + found.unwatched + found.half_watched
    said = {
        "nothing was asked anew, all answers are from the store": found.unwatched,
        "some answers are from the store, or no check came after the last of them": found.half_watched,
    }
    why = "; ".join(f"of {count} of {photos} photos {what}" for what, count in said.items() if count)
    return f"{why}: {ANEW}" if why else ""


def _of_pairs(wanted: Gates, pairs: Sequence[Pair]) -> Iterator[Gate]:
    agreement = wanted.agreement_between
    if agreement is None:
        return
    for pair in pairs:
        if not {pair.one, pair.other} <= set(agreement.oracles):
            continue
        both = f"{pair.one} and {pair.other}"
        if agreement.labels is not None:
            share = pair.labels()
            yield _share(
                "agreement_between labels", both, f"both name {percent(agreement.labels)} of photos alike", share,
                met=share.value >= agreement.labels, photos=pair.apart.worst, nothing="no photo was named by both",
            )  # fmt: skip
        if agreement.maps is not None:
            below = sorted(each for each in pair.maps if each[0] < agreement.maps)
            yield _mean(
                "agreement_between maps", both, f"a mean correlation of maps of {agreement.maps:g} or more",
                pair.correlation(Z_90), agreement.maps, photos=tuple(photo for _, photo in below),
                nothing="no photo has maps of both by one method",
            )  # fmt: skip
