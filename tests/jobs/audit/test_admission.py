"""Admission: caps that hold, an order that speed does not change, and no halves, whatever ends first."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from bbquery.jobs.audit.admission import Admission, Item, Room
from bbquery.ledger.records import Cap
from bbquery.units import NOTHING, Units

WORST = st.integers(1, 9)
LANES = ("slow", "fast")


@dataclass
class Run:
    """A made-up audit of two oracles: who ends next is drawn, and so is what each really takes."""

    whole: int | None
    own: int | None
    promises: dict[str, list[int]]
    takes: dict[str, list[int]]
    draw: st.DataObject
    begun: list[tuple[str, int]] = field(default_factory=list)
    finished: list[tuple[str, int]] = field(default_factory=list)
    ended: dict[str, int] = field(default_factory=dict)
    most: int = 0

    def go(self) -> Run:
        """Run it to its end."""
        self.admission = Admission(Room(Cap(queries=self.whole)), {lane: Room(Cap(queries=self.own)) for lane in LANES})
        at_work: list[tuple[str, int]] = []
        self.next = dict.fromkeys(LANES, 0)
        while True:
            self._begin(at_work)
            if not at_work:
                return self
            self._end(at_work)

    def _begin(self, at_work: list[tuple[str, int]]) -> None:
        """Begin what may, lane after lane in a drawn order, until nothing changes."""
        changed = True
        while changed:
            changed = False
            for lane in self.draw.draw(st.permutations(LANES)):
                place = self.next[lane]
                if lane in self.ended or place == len(self.promises[lane]):
                    continue
                decision = self.admission.decide(self.item(lane, place), self._earlier(lane, place))
                if decision == "begin":
                    self.admission.begin(self.item(lane, place))
                    at_work.append((lane, place))
                    self.begun.append((lane, place))
                    self.next[lane] += 1
                if decision == "cap":
                    self.ended[lane] = place
                changed = changed or decision != "wait"

    def item(self, lane: str, place: int) -> Item:
        return Item(lane, Units(queries=self.promises[lane][place]))

    def _earlier(self, lane: str, place: int) -> list[Units]:
        key = (place, LANES.index(lane))
        return [
            Units(queries=self.promises[other][before])
            for other in LANES
            if other != lane and other not in self.ended
            for before in range(self.next[other], len(self.promises[other]))
            if (before, LANES.index(other)) < key
        ]

    def _end(self, at_work: list[tuple[str, int]]) -> None:
        promised = sum(self.promises[lane][place] for lane, place in at_work)
        self.most = max(self.most, promised + sum(self.taken(*each) for each in self.finished))
        lane, place = at_work.pop(self.draw.draw(st.integers(0, len(at_work) - 1)))
        self.admission.end(self.item(lane, place), Units(queries=self.taken(lane, place)))
        self.finished.append((lane, place))

    def taken(self, lane: str, place: int) -> int:
        return min(self.takes[lane][place], self.promises[lane][place])


def _lists(data: st.DataObject) -> dict[str, list[int]]:
    return {lane: data.draw(st.lists(WORST, min_size=8, max_size=8)) for lane in LANES}


@settings(max_examples=40)
@given(st.data(), st.integers(1, 60))
def test_no_cap_is_passed_whatever_ends_first(data: st.DataObject, whole: int) -> None:
    """What is at work, at its worst, and what has ended, as it was, never exceed the caps together."""
    run = Run(whole, None, _lists(data), _lists(data), data).go()

    assert run.most <= whole
    assert sum(run.taken(*each) for each in run.finished) <= whole


@settings(max_examples=40)
@given(st.data(), st.integers(1, 60))
def test_whatever_has_begun_is_finished(data: st.DataObject, whole: int) -> None:
    """A spent cap leaves finished photos, the first ones of each oracle, and no halves."""
    run = Run(whole, None, _lists(data), _lists(data), data).go()

    assert sorted(run.begun) == sorted(run.finished)
    for lane in LANES:
        assert [place for own, place in run.begun if own == lane] == list(range(run.next[lane]))


@settings(max_examples=40)
@given(st.data(), st.integers(1, 60))
def test_which_photos_are_finished_does_not_depend_on_speed(data: st.DataObject, whole: int) -> None:
    """Two runs of the same plan, in which other photos end first, finish the same photos."""
    promises, takes = _lists(data), _lists(data)

    one, other = (Run(whole, None, promises, takes, data).go() for _ in range(2))

    assert sorted(one.finished) == sorted(other.finished)


@settings(max_examples=40)
@given(st.data(), st.integers(1, 20))
def test_an_oracles_own_cap_ends_its_lane_alone(data: st.DataObject, own: int) -> None:
    """A lane ends at its own cap once the next photo does not fit in it; the other one goes on."""
    run = Run(None, own, _lists(data), _lists(data), data).go()

    for lane in LANES:
        spent = sum(run.taken(lane, place) for place in range(run.next[lane]))
        whole = run.next[lane] == len(run.promises[lane])
        assert whole or spent + run.promises[lane][run.next[lane]] > own


def test_a_photo_that_is_begun_again_counts_once() -> None:
    """What an earlier run has posted and holds is in the photo's promise, and is not counted beside it."""
    item = Item("one", Units(queries=10), Units(queries=8))
    admission = Admission(Room(Cap(queries=10), Units(queries=8)), {"one": Room(Cap(), Units(queries=8))})

    assert admission.decide(item) == "begin"
    admission.begin(item)

    assert admission.whole.spent.plus(admission.whole.promised) == Units(queries=10)


def test_money_and_tokens_are_kept_like_queries() -> None:
    """A photo waits or ends its lane for want of any unit."""
    admission = Admission(Room(Cap(picodollars=5)), {"one": Room(Cap(tokens=7))})

    assert admission.decide(Item("one", Units(1, 8, 5))) == "cap"
    assert admission.decide(Item("one", Units(1, 7, 6))) == "cap"
    assert admission.lacks(Item("one", Units(1, 7, 6))) == ("the audit", "picodollars")
    assert admission.lacks(Item("one", Units(1, 8, 6))) == ("the oracle", "tokens")
    assert admission.decide(Item("one", Units(1, 7, 5))) == "begin"


def test_a_fast_oracle_leaves_a_slow_one_its_share() -> None:
    """A later photo of one oracle begins only where an earlier one of another would fit beside it."""
    admission = Admission(Room(Cap(queries=10)), {"slow": Room(Cap()), "fast": Room(Cap())})
    earlier = [Units(queries=6)]

    assert admission.decide(Item("fast", Units(queries=4)), earlier) == "begin"
    assert admission.decide(Item("fast", Units(queries=5)), earlier) == "wait"
    assert admission.decide(Item("fast", Units(queries=5)), [NOTHING]) == "begin"
