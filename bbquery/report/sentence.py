"""Sentences on a map: what its picture, its page, a notebook and the terminal say of it, in the same words.

A sentence states what was asked and answered, and nothing else: a number in it is in the data, or it is left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from bbquery.jobs.explain.findings import findings, rounded_down
from bbquery.jobs.explain.movement import how_little
from bbquery.jobs.percent import percent
from bbquery.money import dollars_up
from bbquery.scoring.base import PROBABILITIES, answered
from bbquery.shown import shown
from bbquery.types import Decision, Labels, NoAnswer, Text, Vector

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.jobs.explain.findings import Kind
    from bbquery.jobs.explain.result import Explanation, TargetMap
    from bbquery.scoring.base import About
    from bbquery.types import Answer, Label

LONGEST = 60
"""Characters of a label or a text in a sentence; records have all of it."""

QUOTED_ENDS = (".”", "!”", "?”", "…”")

STAMPS: dict[Kind, str] = {
    "NOT MOVED": "SAYS NOTHING",
    "HARDLY MOVED": "HARDLY MOVED",
    "COULD BE CHANCE": "COULD BE CHANCE",
}
"""Stamp on a map, by the finding that earns it."""


@dataclass(frozen=True)
class Quantity:
    """A score's value in a layman's words.

    noun: as in "how much the probability rises". form: how one value is written, as a percentage, as a number after
    `word`, or as whether the criterion is met: `word`, or "not" before it.
    """

    noun: str
    form: Literal["percent", "number", "decision"]
    word: str = ""


NEARNESS = Quantity("the nearness in meaning to it", "decision", "named")
QUANTITIES: dict[str, Quantity] = {
    "probability": Quantity("the probability", "percent"),
    "probability of the first token": Quantity("the probability of this word", "percent"),
    "probability of yes among yes and no": Quantity("the probability of a yes", "percent"),
    "probability among the classes": Quantity("the probability", "percent"),
    "score of the label": Quantity("the model's score", "number", "score"),
    "score of the object times overlap with its box": Quantity("the model's score of this object", "number", "score"),
    "score of the class": Quantity("the model's score", "number", "score"),
    "log-odds": Quantity("the probability, as log-odds,", "percent"),
    "cross-entropy": Quantity("the probability, on a logarithmic scale,", "percent"),
    "margin": Quantity("the lead over the best other answer", "number", "lead"),
    "same label": Quantity("the share of answers that name it", "decision", "named"),
    "mentioned": Quantity("the share of answers that mention it", "decision", "mentioned"),
    "1 where the class is the target, else 0": Quantity("the share of answers that name it", "decision", "named"),
    "path similarity in WordNet": NEARNESS,
    "steps in WordNet": NEARNESS,
    "sum of scores times path similarity in WordNet": NEARNESS,
    "words shared with the reference": Quantity("the share of words kept of the reference text", "percent"),
    "cosine to the reference": Quantity("the likeness to the reference text", "number", "likeness"),
    "cosine to the reference less cosine to the alternative": Quantity(
        "the likeness to the reference text rather than to the other one", "number", "likeness"
    ),
}
"""By the unit of a score (`About.unit`). All rise towards the target, also where the score itself falls."""

SHOWN = "how much {noun} rises when this place is shown"
OWN, BORDERS = "fine structure is the photo's own", "borders are the photo's own"
SHARED_OUT, OF_REGIONS = f", shared out by detail: {OWN}", f", in regions of like colour: {BORDERS}"
HIDDEN = "how much {noun} falls when a patch around this place is hidden"
EFFECTS: dict[str, str] = {
    "score gained by revealing a cell": SHOWN,
    f"score gained by revealing a cell{SHARED_OUT}": f"{SHOWN}; {OWN}",
    "score gained by revealing a place and its surroundings": SHOWN,
    f"score gained by revealing a place and its surroundings{SHARED_OUT}": f"{SHOWN}; {OWN}",
    f"score gained by revealing a cell{OF_REGIONS}": f"{SHOWN}; {BORDERS}",
    f"score gained by revealing a place and its surroundings{OF_REGIONS}": f"{SHOWN}; {BORDERS}",
    f"score gained by revealing a place and its surroundings{OF_REGIONS}{SHARED_OUT}": f"{SHOWN}; {BORDERS}; {OWN}",
    "mean score where the pixel is visible": "what {noun} is on average while this place is shown",
    "mean score lost by hiding a window over the pixel": HIDDEN,
    "expected score lost by hiding a window around the pixel": HIDDEN,
    "score": "how much this place adds to {noun}",
    "score times contrast": "how much {noun} rises when this place is sharp",
    "score per grey level": "how much {noun} changes when this place gets a little lighter or darker",
    "(score per grey level)²": "how much the effect of a small change of this place on {noun} varies",
}
"""By the unit of a map (`bbquery.types.SaliencyMap.unit`)."""


def caption(explanation: Explanation, m: TargetMap) -> str:
    """Return what is seen on a map, and what it took: "Red places speak for “cat” (38 %). 1,000 queries, $0.00."."""
    return f"{verdict(explanation, m)} {effort(explanation, m)}"


def verdict(explanation: Explanation, m: TargetMap) -> str:
    """Return in one sentence what is seen on a map, and whether it may be chance."""
    stamped = stamp(explanation, m)
    target = f"{named(m)} ({_on_photo(explanation, m)}{'' if stamped else _when_hidden(m)})"
    if not m.sent.answered:
        return f"No changed copy was answered, so this map says nothing of {target}."
    if stamped == STAMPS["NOT MOVED"]:
        return f"Nothing that was changed made a difference to {target}, so this map says nothing."
    if stamped == STAMPS["HARDLY MOVED"]:
        return f"For {target} {how_little(m)}, so this map says little."
    if stamped:
        return f"No place stands out for {target}, so all of this map could be chance."
    return f"{_seen(m, target)}{_sureness(m)}."


def stable(explanation: Explanation, m: TargetMap) -> str:
    """Return after how many queries a map was stable; nothing where it was not, or was not asked to be."""
    found = m.sent.stability
    if found is None or not found.stable:
        return ""
    after = f"{m.asked:,} of at most {explanation.method.queries:,} queries"
    agreement = f"it is expected to correlate {rounded_down(found.agreement):.2f} with that of unlimited queries"
    return f"The map of {named(m)} was stable after {after}: {agreement}."


def effort(explanation: Explanation, m: TargetMap) -> str:
    """Return what a map took, as a sentence: "1,000 queries, $0.00.". What is partial, or was not answered, is said."""
    maps = len(explanation.maps)
    queries = explanation.queries.answered if maps == 1 else m.asked
    together = {1: "", 2: " for both maps"}.get(maps, f" for all {maps} maps")
    said = [f"{queries:,} {'query' if queries == 1 else 'queries'}", f"{money(explanation)}{together}"]
    if m.stopped is not None:
        said.append(f"PARTIAL: {m.sent.answered:,} of {m.sent.rows:,} copies answered")
    elif lost := m.sent.rows - m.sent.answered:
        said.append(f"{lost:,} of {m.sent.rows:,} copies without an answer")
    return f"{', '.join(said)}."


def money(explanation: Explanation) -> str:
    """Return what an explanation's budget has paid, rounded up, and what it holds: "$0.12 ($0.01 held)"."""
    posted, held = explanation.budget.posted.picodollars, explanation.budget.held.picodollars
    return f"${dollars_up(posted)}" + (f" (${dollars_up(held)} held)" if held else "")


def stamp(explanation: Explanation, m: TargetMap) -> str:
    """Return what is written across a map that is no evidence; nothing across another.

    "SAYS NOTHING": every answer scored the same, or there was none. "HARDLY MOVED" and "COULD BE CHANCE": see
    `bbquery.jobs.explain.findings`.
    """
    if not m.sent.answered:
        return STAMPS["NOT MOVED"]
    own = (each.kind for each in findings(explanation) if each.target == m.target)
    return next((STAMPS[kind] for kind in own if kind in STAMPS), "")


def value_on_photo(explanation: Explanation, m: TargetMap) -> str:
    """Return what the whole photo scored: "38 %", "score 0.93", "named", or "not known"."""
    decision, value = _scored(m, explanation.clean)
    return in_words(m.score.about, decision, value)


def first_answer(explanation: Explanation) -> str:
    """Return what the model said first of the whole photo: "“tabby” (45 %)"."""
    match explanation.clean:
        case Vector(values):
            ((name, value),) = explanation.top(1)
            known = explanation.oracle.classes is not None
            number = percent(value) if explanation.oracle.answers == "probabilities" else f"score {_number(value)}"
            return f"{quoted(name) if known else f'class {name}'} ({number})" if values.size else "nothing"
        case Labels(labels):
            return _label(labels[0]) if labels else "no label"
        case Text():
            return quoted(explanation.clean.spoken.text)
        case NoAnswer(_, kind):
            return f"none ({kind})"


def plain_unit(m: TargetMap) -> str:
    """Return what a map's value is, in a layman's words; the exact unit where there are none for it."""
    effect = EFFECTS.get(m.sent.unit)
    return m.sent.unit if effect is None else effect.format(noun=quantity(m.score.about).noun)


def quantity(about: About) -> Quantity:
    """Return what a score's value is, in a layman's words."""
    if about.unit in QUANTITIES:
        return QUANTITIES[about.unit]
    turned = ", turned round," if about.direction == "lower" else ""  # since maps are of what rises towards the target
    noun = "combined score" if " × " in about.unit else f"score ({shown(about.unit, LONGEST)})"
    return Quantity(f"the {noun}{turned}", "number", "score")


def in_words(about: About, decision: int, value: float) -> str:
    """Return one value of a score: "38 %", "score 0.93", "not named", or "not known"."""
    what = quantity(about)
    if what.form == "decision":
        return {Decision.MET: what.word, Decision.NOT_MET: f"not {what.word}"}.get(Decision(decision), "not known")
    if math.isnan(value):
        return "not known"
    if what.form == "number":
        return f"{what.word} {_number(value)}"
    return percent(float(PROBABILITIES[about.unit](np.array(value))) if about.unit in PROBABILITIES else value)


def quoted(label: str) -> str:
    """Return a label or a text in quotation marks, on one line, safe to show, and cut where it is long."""
    return f"“{shown(' '.join(label.split()), LONGEST)}”"


def named(m: TargetMap) -> str:
    """Return what a map is of: "“cat”", or of one object of several "the “cat” in the box [0.10,0.20,0.50,0.90]"."""
    found = m.score.about.object
    return quoted(m.target) if found is None else f"the {quoted(found.name)} in the box {found.box}"


def ended(said: str) -> str:
    """Return words with one full stop at their end: a quotation that ends a sentence of its own has one already."""
    return said if said.endswith((".", *QUOTED_ENDS)) else f"{said}."


def decided(m: TargetMap) -> NDArray[np.bool_] | None:
    """Return where on the photo, (H, W), a map's 90 % interval excludes 0; None where the method has no interval."""
    return None if m.half_width is None else np.abs(m.values) > m.half_width


def _on_photo(explanation: Explanation, m: TargetMap) -> str:
    """Return what the whole photo scored; of a yes or no also how many changed copies kept it."""
    value = value_on_photo(explanation, m)
    if quantity(m.score.about).form != "decision":
        return value
    decisions = m.recorded.decisions
    known = decisions != Decision.UNDECIDED
    if not known.any():
        return f"{value} on the whole photo"
    kept = percent(float((decisions[known] == Decision.MET).mean()))
    read = "" if known.all() else " that could be judged"
    return f"{value} on the whole photo, and on {kept} of its changed copies{read}"


def _when_hidden(m: TargetMap) -> str:
    """Return what the part scores whose hiding changed the answer, asked exactly; nothing where none was found."""
    part = m.verified.breaks if m.verified is not None else None
    if part is None or math.isnan(part.value) or quantity(m.score.about).form == "decision":
        return ""
    hidden = in_words(m.score.about, Decision.UNDECIDED, part.value)
    return f" → {hidden} when the {_strongest(m, part.share)} {percent(part.share)} is hidden"


def _strongest(m: TargetMap, share: float) -> str:
    """Return what a share of the sent pixels is, the first in the map's order: more than is red is not all red."""
    if not m.sent.signed:
        return "brightest"
    return "reddest" if (m.sent.values > 0).mean() >= share else "highest-ranked"


def _seen(m: TargetMap, target: str) -> str:
    """Return which colours are seen, and what they say of the target."""
    sure = decided(m)
    counted = m.values[np.isfinite(m.values) if sure is None else sure]
    favour, against = bool((counted > 0).any()), bool((counted < 0).any())
    if not m.sent.signed:
        return f"Bright places matter for {target}, for or against it"
    if not favour:
        return f"Blue places speak against {target}" if against else f"No place speaks for {target}"
    return f"Red places speak for {target}" + (", blue ones against it" if against else "")


def _sureness(m: TargetMap) -> str:
    sure = decided(m)
    if sure is None:
        return "; this method does not say how sure that is"
    pale = np.isfinite(m.values) & (m.values != 0) & ~sure
    return "; pale ones could be chance" if pale.any() else ""


def _scored(m: TargetMap, answer: Answer) -> tuple[int, float]:
    known = answered([answer])
    if not known:
        return Decision.UNDECIDED, math.nan
    decisions, values = m.score(known)
    return int(decisions[0]), float(values[0])


def _label(label: Label) -> str:
    return quoted(label.name) + ("" if label.score is None else f" (score {_number(label.score)})")


def _number(value: float) -> str:
    return f"{value:z.3g}".replace("-", "−")
