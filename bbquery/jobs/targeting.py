"""Warnings about targets before the budget goes: their names, and the first answer to them.

A target that the model does not name, or gives next to nothing, makes a map of noise. The first answer shows it, so it
is said then, by every command: what is asked afterwards may still be worth its price, which the person decides.

Whether an answer names a target is the score's to say, so it is asked: of each label alone, or of each class alone. So
a kind of the target counts where the score knows kinds (a "tabby" is a "cat" to WordNet), and a set where it is one.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from typing import TYPE_CHECKING

import numpy as np

from bbquery.errors import UnknownName, UsageError, nearest
from bbquery.scoring.wordnet.senses import resolver
from bbquery.scoring.wordnet.vocabulary import vocabulary
from bbquery.types import Decision, Label, Labels, Text, Vector

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bbquery.oracle import Capabilities
    from bbquery.scoring.base import BoundScore
    from bbquery.types import Answer, Classes

LEAST = 0.01  # of 1: a target that gets less hardly moves
SHOWN = 5  # labels of the first answer
LETTERS = 160  # of a text
SENTENCES = "cosine"  # how near sentences are: their target is no name
GRADED = "probability"  # of what might have been said instead
WORD = re.compile(r"[^\W_]+")
ASK = "is that the target you mean?"


def beware(
    targets: Sequence[str], scores: Sequence[BoundScore], clean: Answer, capabilities: Capabilities
) -> list[str]:
    """Return what must be known, a sentence each; nothing of targets that the answer named by itself.

    targets: as typed, none where the answer's own was taken. scores: bound to them. clean: the answer to the
    unperturbed image, which is none that was refused.
    """
    if not targets:
        return []
    classes = capabilities.classes
    lines = [] if classes is None else [*_collisions(targets, classes), *_one_class_twice(targets, classes)]
    lines += [line for score in scores if (line := _unnamed(score, clean, capabilities)) is not None]
    return list(dict.fromkeys(lines))


def beware_of_class(target: str, clean: Answer, capabilities: Capabilities) -> list[str]:
    """Return what must be known of a class that is to be reached, where nobody knows which labels a model has.

    A mistyped label would be looked for in vain. Nothing is said of a noun of WordNet; without one every label is in
    doubt. clean: the answer to the unperturbed image.
    """
    if capabilities.classes is not None:
        return []
    doubt = _no_noun(target)
    if not doubt:
        return []
    names = [label.name for label in clean.labels] if isinstance(clean, Labels) else []
    said = [clean.spoken.text] if isinstance(clean, Text) else names
    listed = ", ".join(repr(_brief(each)) for each in said[:SHOWN]) or "nothing"
    return [f"{doubt}; the first answer names {listed}: without such a label the whole budget is spent in vain"]


def _no_noun(name: str) -> str:
    """Return that WordNet has no such noun, and the nearest that it has; nothing where it has one."""
    try:
        words = vocabulary(resolver(), None)
    except UsageError:
        return f"without WordNet nobody can say whether {name!r} may be a label of the model"
    if words.known(name) is not None:
        return ""
    near = nearest(name, (lemma.replace("_", " ") for lemma in words.resolver.nouns.senses))
    return f"WordNet has no noun {name!r}" + ("" if near is None else f" (the nearest is {near!r})")


def check_commas(targets: Sequence[str], classes: Classes | None) -> None:
    """Refuse targets that are the parts of one name which has a comma in it, and mean nothing else.

    Raises:
        UsageError: they are; says how to write it.
    """
    if classes is None:
        return
    for start, stop in itertools.combinations(range(len(targets) + 1), 2):
        parts, joined = targets[start:stop], ", ".join(targets[start:stop])
        if len(parts) > 1 and _found(classes, joined) and not all(_found(classes, part) for part in parts):
            raise UsageError(f"{joined!r} is one name with a comma in it: write --target '{_escaped(parts)}'")


def _found(classes: Classes, name: str) -> bool:
    try:
        classes.find(name)
    except UnknownName:
        return False
    return True


def _escaped(parts: Sequence[str]) -> str:
    return r"\, ".join(parts)


def _one_class_twice(targets: Sequence[str], classes: Classes) -> Iterator[str]:
    for first, second in itertools.combinations([target for target in targets if _found(classes, target)], 2):
        index = classes.find(first)
        if classes.find(second) == index:
            message = f"{first!r} and {second!r} are one class, {classes.show(index)!r}, so their maps are the same"
            yield f"{message}: name it once; a comma within a name is written \\,, as in '{_escaped((first, second))}'"


def _collisions(targets: Sequence[str], classes: Classes) -> Iterator[str]:
    for target in targets:
        with contextlib.suppress(UnknownName):  # a set of classes, or words that are none
            if (collision := classes.collision(target)) is not None:
                yield collision


def _unnamed(score: BoundScore, clean: Answer, capabilities: Capabilities) -> str | None:
    """Return how a target fares badly in an answer; None where it does not, or nobody can say."""
    if score.about.unit.startswith(SENTENCES):
        return None
    match clean:
        case Vector(values) if capabilities.answers == "probabilities":
            return _of_vector(score, values, capabilities.classes)
        case Labels(labels):
            return _of_labels(score, labels)
        case Text():
            return _of_text(score, clean, clean.spoken.text)
    return None


def _of_vector(score: BoundScore, values: np.ndarray, classes: Classes | None) -> str | None:
    given, left = 0.0, float(values.sum())
    best, *_ = order = np.argsort(-values, kind="stable")
    for index in order:  # the likeliest first: few are looked at
        if given >= LEAST:
            return None
        if given + left < LEAST:
            break
        left -= float(values[index])
        given += float(values[index]) if _met(score, _only(index, len(values))) else 0.0
    if given >= LEAST:
        return None
    name = f"class {best}" if classes is None else classes.show(int(best))
    return f"the model gives {score.target!r} under {LEAST:.0%}, and {name!r} {values[best]:.1%}: {ASK}"


def _only(index: int, count: int) -> Vector:
    return Vector((np.arange(count) == index).astype(np.float64))


def _of_labels(score: BoundScore, labels: Sequence[Label]) -> str | None:
    own = [label for label in labels if _met(score, Labels((label,)))]
    if not own:
        return _not_named(score.target, [label.name for label in labels])
    best = max(1.0 if label.score is None else label.score for label in own)
    if best >= LEAST:
        return None
    return f"the first answer gives {score.target!r} a score of {best:.2g}, under {LEAST:.0%}: {ASK}"


def _not_named(target: str, names: Sequence[str]) -> str:
    near = nearest(target, names)
    if near is not None:
        return f"the first answer does not name {target!r}; the nearest that it names is {near!r}: {ASK}"
    listed = ", ".join(repr(name) for name in names[:SHOWN]) or "nothing"
    return f"the first answer does not name {target!r}; it names {listed}: {ASK}"


def _of_text(score: BoundScore, clean: Text, text: str) -> str | None:
    """Judge a text by whether it meets the score's criterion; a probability of words counts as one of classes does."""
    (decision,), (value,) = score([clean])
    if decision == Decision.MET or (score.about.unit.startswith(GRADED) and value >= LEAST):
        return None
    near = nearest(score.target, WORD.findall(text))
    nearer = "" if near is None else f", where {near!r} is nearest"
    return f"the first answer does not name {score.target!r}: it says {_brief(text)!r}{nearer}: {ASK}"


def _brief(text: str) -> str:
    said = " ".join(text.split())
    return said if len(said) <= LETTERS else f"{said[:LETTERS]}…"


def _met(score: BoundScore, answer: Answer) -> bool:
    (decision,), _ = score([answer])
    return bool(decision == Decision.MET)
