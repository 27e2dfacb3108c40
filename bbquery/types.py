"""The records that cross the seam between algorithms and oracles: images, answers, scores."""

from __future__ import annotations

import enum
import itertools
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias

import numpy as np

from bbquery.errors import UnknownName, UsageError
from bbquery.reasoning import answer_spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from bbquery.images.boxes import Box
    from bbquery.units import Units

Image: TypeAlias = "NDArray[Any]"
"""(H, W, 3) RGB in grey levels 0 to 255: uint8 for anything that travels, floating for in-process functions."""


class Images(Protocol):
    """A sequence of images, rendered when indexed: an (n, H, W, 3) array, or a lazy one that holds no pixels.

    Indexing must be pure and safe from several threads: the same row gives the same pixels, whenever asked.
    """

    def __len__(self) -> int:
        """How many rows."""

    def __getitem__(self, row: int, /) -> Image:
        """Row `row`, exactly as it will be sent."""


@dataclass(frozen=True)
class Domain:
    """The pixels an oracle takes. Algorithms send `realise(x + z)` and use what was realised, not what they meant.

    dtype: "uint8" (rounded half to even, clipped to 0 to 255) or "float64" (neither rounded nor clipped).
    """

    dtype: Literal["uint8", "float64"]

    def realise(self, pixels: NDArray[Any]) -> Image:
        """Return the nearest pixels of this domain to `pixels`, any shape, in grey levels."""
        if self.dtype == "float64":
            return np.asarray(pixels, dtype=np.float64)
        if pixels.dtype == np.uint8:  # NumPy rounds whole numbers by way of slow half-precision ones
            return pixels
        nearest: Image = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
        return nearest


UINT8 = Domain("uint8")
"""Grey levels as they travel."""

FLOAT = Domain("float64")
"""Grey levels as functions in this process may take them, without rounding or clipping."""

AnswerKind: TypeAlias = Literal["probabilities", "scores", "labels", "text"]


@dataclass(frozen=True, eq=False)
class Vector:
    """One number per class, in the order of the oracle's classes: float64 (k,). Probabilities, or any real scores."""

    values: NDArray[np.float64]


@dataclass(frozen=True)
class Label:
    """A label with its score and its box on the image as it was sent, each where the oracle gives one."""

    name: str
    score: float | None = None
    box: Box | None = None


@dataclass(frozen=True)
class Labels:
    """A list of labels, best first; a hard-label oracle gives exactly one, one of objects a label for each object."""

    labels: tuple[Label, ...]


@dataclass(frozen=True)
class Token:
    """A token of a text with its log-probability, and the likeliest tokens in its place, best first, as pairs."""

    text: str
    logprob: float
    alternatives: tuple[tuple[str, float], ...] = ()


LONGEST_SPOKEN = 20_000  # characters of a text that scores read: no class is named later


@dataclass(frozen=True)
class Text:
    """Free text, and its tokens where the oracle gives their log-probabilities."""

    text: str
    tokens: tuple[Token, ...] = ()

    @property
    def spoken(self) -> Text:
        """The answer in it: without reasoning (see `bbquery.reasoning`), and cut where it is very long.

        This is what scores read and people are shown; the whole text is what is stored.
        """
        spans = answer_spans(self.text)
        if spans == [(0, len(self.text))] and len(self.text) <= LONGEST_SPOKEN:  # most texts
            return self
        spoken = "".join(self.text[start:end] for start, end in spans).strip()
        return Text(spoken[:LONGEST_SPOKEN], self._tokens_spoken() if self.tokens else ())

    @property
    def is_reasoning(self) -> bool:
        """Whether there is reasoning in it and no answer."""
        return bool(self.text.strip()) and not self.spoken.text.strip()

    def _tokens_spoken(self) -> tuple[Token, ...]:
        """Return the tokens that begin within the answer."""
        spans = answer_spans("".join(token.text for token in self.tokens))
        starts = itertools.accumulate((len(token.text) for token in self.tokens), initial=0)
        return tuple(
            token
            for token, at in zip(self.tokens, starts, strict=False)
            if any(start <= at < end for start, end in spans)
        )


@dataclass(frozen=True)
class NoAnswer:
    """The oracle answered, and was paid, but not the question.

    kind: it "refused", its answer was "filtered", it was cut off ("truncated"), there was nothing in it ("empty"), or
    it stayed "unreadable" however often it was asked; that alone is never stored, so a later run asks again.
    """

    reason: str
    kind: Literal["refused", "filtered", "truncated", "empty", "unreadable"] = "refused"


LONGEST_INDEX = 9  # digits

Answer: TypeAlias = Vector | Labels | Text | NoAnswer
"""What an oracle made of one image."""


@dataclass(frozen=True, eq=False)
class Reply:
    """One query, answered.

    cost: what the oracle says it cost; None where it says nothing, which counts as the whole hold. served: the model
    version or fingerprint that answered, as the vendor names it; None where it does not.
    """

    answer: Answer
    cost: Units | None = None
    served: str | None = None


def composed(text: str) -> str:
    """Return a text with each accent composed with its letter: systems write the same word in either way."""
    return unicodedata.normalize("NFC", text)


def folded(name: str) -> str:
    """Return a name as names are compared: case, surrounding spaces and the way that accents are composed set apart."""
    return composed(name.strip()).lower()


@dataclass(frozen=True)
class Classes:
    """The closed set of classes of an oracle, in the order of its vectors.

    names: for each class its names, the first of which is shown; names repeat across classes.
    keys: for each class a key that does not repeat (a WordNet ID, say), case apart; empty where there is none.

    Raises:
        UsageError: a key repeats, or there are not as many keys as classes.
    """

    names: tuple[tuple[str, ...], ...]
    keys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.keys and len(self.keys) != len(self.names):
            raise UsageError(f"{len(self.keys)} keys for {len(self.names)} classes: give each class one, or give none")
        repeated = [key for key, count in Counter(map(folded, self.keys)).items() if count > 1]
        if repeated:
            raise UsageError(f"several classes have the key {repeated[0]!r}: keys tell classes apart, so none repeats")

    def __len__(self) -> int:
        """How many classes."""
        return len(self.names)

    def show(self, index: int) -> str:
        """Return the name of class `index` for people."""
        return self.names[index][0]

    def unique(self, index: int) -> str:
        """Return what `find` takes for exactly this class: its key, or its index as "#3" where there are no keys."""
        if self.keys:
            return self.keys[index]
        written = f"#{index}"
        while written in self._by_name:
            written = f"#{written}"
        return written

    def find(self, label: str) -> int:
        """Return the index of the class with this key, else this name, else this index, also written "#3".

        Case and the way that accents are composed do not matter; all names of a class, joined by ", ", are a name too.

        Raises:
            UnknownName: no class has it, or several have the name and none has a better claim.
        """
        wanted = folded(label)
        if wanted in self._by_key:
            return self._by_key[wanted]
        found = self._by_name.get(wanted) or self._by_all_names.get(wanted, ())
        if len(found) == 1:
            return found[0]
        if found:
            raise UnknownName("label (several classes have this name)", label, [self.unique(i) for i in found])
        index = _index(wanted)
        if index is None or index >= len(self):
            raise UnknownName("label", label, self._by_name)
        return index

    def collision(self, label: str) -> str | None:
        """Return which class a number is taken for, where it names one class and is the index of another; else None.

        Raises:
            UnknownName: as `find` does.
        """
        found, index = self.find(label), _index(folded(label))
        if index is None or index == found or index >= len(self):
            return None
        return (
            f"{label.strip()!r} is taken for the class of that name, number {found}, and not for class number {index}, "
            f"which is {self.show(index)!r}: write {self.unique(index)} to mean that one"
        )

    @cached_property
    def _by_key(self) -> dict[str, int]:
        return {folded(key): i for i, key in enumerate(self.keys)}

    @cached_property
    def _by_name(self) -> dict[str, tuple[int, ...]]:
        return _indexed(self.names)

    @cached_property
    def _by_all_names(self) -> dict[str, tuple[int, ...]]:
        return _indexed([", ".join(names)] for names in self.names)


def _indexed(names: Iterable[Iterable[str]]) -> dict[str, tuple[int, ...]]:
    """Return the places of each name."""
    found: dict[str, tuple[int, ...]] = {}
    for place, own in enumerate(names):
        for name in dict.fromkeys(map(folded, own)):
            found[name] = (*found.get(name, ()), place)
    return found


def _index(wanted: str) -> int | None:
    """Return the index that a label is, perhaps after "#"; None where it is none that any set of classes reaches."""
    digits = wanted.lstrip("#")
    return int(digits) if digits.isdecimal() and len(digits) <= LONGEST_INDEX else None


class Decision(enum.IntEnum):
    """Whether an answer meets a score's criterion. No answer is UNDECIDED: neither met nor failed."""

    NOT_MET = 0
    MET = 1
    UNDECIDED = -1


@dataclass(frozen=True, eq=False)
class Scores:
    """One decision and one value a row, as an algorithm receives them. All arrays are (n,).

    decision: int8 codes of `Decision`; over repeats the majority of those decided, a tie is UNDECIDED.
    value: float64, over repeats their mean; NaN where there is no answer.
    spread: float64, standard deviation of the value over repeats; NaN below two answers.
    answers: int64, how many repeats were answered.

    Raises:
        UsageError: decision and value, or spread and answers where they are given, have not as many rows.
    """

    decision: NDArray[np.int8]
    value: NDArray[np.float64]
    spread: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    answers: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def __post_init__(self) -> None:
        n = len(self.value)
        if not len(self.spread):  # not given
            object.__setattr__(self, "spread", np.full(n, np.nan))
        if not len(self.answers):
            object.__setattr__(self, "answers", (~np.isnan(self.value)).astype(np.int64))
        rows = {name: len(getattr(self, name)) for name in ("decision", "value", "spread", "answers")}
        if len(set(rows.values())) > 1:
            counts = ", ".join(f"{name} has {count}" for name, count in rows.items())
            raise UsageError(f"scores need as many rows in each array: {counts}")

    @classmethod
    def blank(cls, n: int) -> Scores:
        """Return n rows without an answer."""
        return cls(np.full(n, Decision.UNDECIDED, dtype=np.int8), np.full(n, np.nan))

    def __len__(self) -> int:
        """How many rows."""
        return len(self.value)

    def rows(self, start: int, stop: int) -> Scores:
        """Return rows start to stop."""
        part = slice(start, stop)
        return Scores(self.decision[part], self.value[part], self.spread[part], self.answers[part])

    @property
    def met(self) -> NDArray[np.bool_]:
        """Where the criterion is met."""
        return np.equal(self.decision, Decision.MET)

    @property
    def undecided(self) -> NDArray[np.bool_]:
        """Where there is no decision: refused, filtered, tied or never asked."""
        return np.equal(self.decision, Decision.UNDECIDED)


class Visibility(NamedTuple):
    """How often copies of which about this share was visible were asked, and left unanswered (refused, filtered).

    visible: the middle of a range of shares, 0 (all hidden) to 1.
    """

    visible: float
    asked: int
    unanswered: int


@dataclass(frozen=True)
class Stability:
    """Whether a map is stable, of a method that was told to ask until it is.

    agreement: the correlation, 0 to 1, that is expected of the map, by its own errors, with that of unlimited queries.
    wanted: the one from which on a map counts as stable.
    """

    agreement: float
    wanted: float

    @property
    def stable(self) -> bool:
        """Whether it is."""
        return self.agreement >= self.wanted


@dataclass(frozen=True, eq=False)
class SaliencyMap:
    """What an algorithm found, in the coordinates of the pixels that were sent.

    values: float64 (H, W). signed: whether its negative side is evidence against the target; an unsigned map ranks
    evidence for and against alike. unit: what a value means. rows: how many rows the algorithm asked for;
    answered: how many of them were answered. standard_error: float64 (H, W), in the unit of values, how far a value
    may be off by chance and by what the algorithm's model of the score leaves out; None where it has no estimate of it.
    interval: the half width of its 90 % interval in standard errors. visibility: refusals against what could be seen,
    empty where nothing is hidden. notes: sentences that a person who reads the map must know, each with what to do.
    stability: None where the method was not told to ask until the map is stable.
    """

    values: NDArray[np.float64]
    signed: bool
    unit: str
    rows: int
    answered: int
    standard_error: NDArray[np.float64] | None = None
    interval: float = 1.645  # of a normal distribution
    visibility: tuple[Visibility, ...] = ()
    notes: tuple[str, ...] = ()
    stability: Stability | None = None

    @property
    def partial(self) -> bool:
        """Whether it rests on fewer answers than its algorithm asked for."""
        return self.answered < self.rows


def batches(total: int, size: int) -> Sequence[int]:
    """Split `total` rows into batches of `size`, the last one smaller."""
    whole, rest = divmod(total, size)
    return [size] * whole + ([rest] if rest else [])
