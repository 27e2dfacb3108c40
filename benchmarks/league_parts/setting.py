"""Setting of every part: the tier, where things lie, what is done already, and which methods are wanted."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from networks import NETWORKS

from bbquery import load
from bbquery.errors import BbqueryError

from .rows import LITE0, Key, Results, Row

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bbquery.saliency import Method


@dataclass(frozen=True)
class Tier:
    """How much is measured.

    game_seeds, photos, montages, label_photos, cosine_photos, digits: how many of each. budgets: queries a map on
    photos, of other people's libraries and of our methods that come near them; other_budgets: of every other method;
    long_budgets: further ones of a few methods, on the first long_photos. long_rise: queries of the RISE beside poorer
    answers. exhaustive: queries of exhaustive occlusion. copies: of likelihood ratios beside backpropagation. networks:
    that the part photos explains; core_budgets: of the few methods that are measured on each; network_photos: on those
    beside EfficientNet-Lite0. sanity_photos, interval_photos, ceiling_photos: of the parts of these
    names.
    """

    game_seeds: int
    photos: int
    budgets: tuple[int, ...]
    other_budgets: tuple[int, ...]
    long_budgets: tuple[int, ...]
    long_photos: int
    label_photos: int
    long_rise: int
    montages: int
    exhaustive: int
    cosine_photos: int
    copies: tuple[int, ...]
    digits: int
    gradient_digits: int
    digit_copies: tuple[int, ...]
    timed_sides: tuple[int, ...]
    timed: int
    lights: int
    gallery: int
    networks: tuple[str, ...] = (LITE0,)
    core_budgets: tuple[int, ...] = ()
    network_photos: int = 0
    sanity_photos: int = 1
    interval_photos: int = 0
    ceiling_photos: int = 0


GAME_BUDGETS = (32, 64, 128, 256, 512, 1024)
TIERS = {
    "quick": Tier(
        game_seeds=1,
        photos=20,
        budgets=(64, 256),
        other_budgets=(),
        long_budgets=(8000,),
        long_photos=2,
        label_photos=1,
        long_rise=8000,
        montages=2,
        exhaustive=784,
        cosine_photos=1,
        copies=(10, 100),
        digits=5,
        gradient_digits=3,
        digit_copies=(10, 100, 1000),
        timed_sides=(28,),
        timed=2,
        lights=2,
        gallery=0,
    ),
    "full": Tier(
        game_seeds=3,
        photos=100,
        budgets=(64, 256, 1000),
        other_budgets=(64, 256, 1000),
        long_budgets=(2000, 8000),
        long_photos=100,
        label_photos=40,
        long_rise=8000,
        montages=16,
        exhaustive=784,
        cosine_photos=4,
        copies=(10, 100, 1000),
        digits=15,
        gradient_digits=10,
        digit_copies=(10, 100, 1000, 10_000, 100_000),
        timed_sides=(28, 56),
        timed=10,
        lights=10,
        gallery=6,
        networks=tuple(NETWORKS),
        core_budgets=(64, 128, 256, 512),
        network_photos=60,
        sanity_photos=15,
        interval_photos=15,
        ceiling_photos=10,
    ),
    "smoke": Tier(
        game_seeds=1,
        photos=2,
        budgets=(64, 128),
        other_budgets=(64,),
        long_budgets=(),
        long_photos=0,
        label_photos=1,
        long_rise=256,
        montages=1,
        exhaustive=256,
        cosine_photos=1,
        copies=(10, 100),
        digits=3,
        gradient_digits=3,
        digit_copies=(10, 100),
        timed_sides=(28,),
        timed=1,
        lights=1,
        gallery=0,
    ),
}


def seed_of(subject: str, seed: int) -> int:
    """Return a seed of this subject's own: equal masks on all of them would be equally lucky on all of them."""
    return zlib.crc32(f"{subject} {seed}".encode())


@dataclass(eq=False)
class Setting:
    """A run of the league.

    shared: the folder with `games` and `images`. data: where answers are kept. methods: parts of the names of the
    methods that are wanted, in small letters; none: all. threads: networks side by side. places: which of the photos,
    by number, where several runs share them out. only: networks that are wanted, budgets: of the tier's;
    none: all.
    """

    tier: Tier
    results: Results
    shared: Path
    data: Path
    methods: tuple[str, ...] = ()
    threads: int = 1
    places: range = range(1_000_000)
    only: tuple[str, ...] = ()
    budgets: frozenset[int] = frozenset()
    pictures: Path = Path("docs/images")
    _told: set[str] = field(default_factory=set)

    def wants(self, method: str) -> bool:
        """Whether a method is to be measured."""
        return not self.methods or any(part in method.lower() for part in self.methods)

    @property
    def networks(self) -> tuple[str, ...]:
        """The networks that the part photos explains."""
        return tuple(name for name in self.tier.networks if not self.only or name in self.only)

    def missing(
        self, part: str, subject: str, method: str, budget: int, *, seed: int = 0, network: str = LITE0
    ) -> bool:
        """Whether this is wanted and not measured yet."""
        wanted = self.wants(method) and (not self.budgets or budget in self.budgets)
        return wanted and not self.results.has(Key(part, subject, method, budget, seed, network))

    def keep(
        self,
        part: str,
        subject: str,
        method: str,
        budget: int,
        measures: Mapping[str, float],
        *,
        seed: int = 0,
        network: str = LITE0,
    ) -> None:
        """Write down what was measured."""
        self.results.add(Row(part, subject, method, budget, seed, measures, network))

    def note(self, text: str) -> None:
        """Say something once."""
        if text not in self._told:
            print(text, flush=True)
        self._told.add(text)

    def made(self, specification: str, queries: int) -> Method | None:
        """Return one of our methods at a budget; None, with a note, where it does not exist or cannot be so."""
        try:
            method = load.method(specification, queries=queries)
        except BbqueryError as error:
            self.note(f"left out: {specification}: {error}")
            return None
        if method.queries > queries:
            self.note(f"left out: {specification} at {queries}: it asks {method.queries}")
            return None
        return method
