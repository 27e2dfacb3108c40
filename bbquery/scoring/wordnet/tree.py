"""Distances between nouns: the shortest path up to a common ancestor and down again.

A synset's ancestors with the steps to each are worked out once and kept, so that a distance is a look at what two
small tables share: about 10 entries. Nouns have one root, "entity", so every two have something in common.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ROOT: Final = 1740  # entity
FAR: Final = 1 << 20  # more than any path is long
DEEPEST: Final = 18  # steps from the deepest noun, the leather carp, up to the root


class Tree:
    """The nouns by what they are kinds of; some have several parents, so it is a tree in name only."""

    def __init__(self, parents: Mapping[int, tuple[int, ...]]) -> None:
        self.parents = parents
        self._ancestors: dict[int, dict[int, int]] = {}

    def ancestors(self, synset: int) -> Mapping[int, int]:
        """Return what a synset is a kind of, itself included, with the least number of steps up to each."""
        found = self._ancestors.get(synset)
        if found is None:
            found = {synset: 0}
            for parent in self.parents[synset]:
                for above, steps in self.ancestors(parent).items():
                    found[above] = min(steps + 1, found.get(above, FAR))
            self._ancestors[synset] = found
        return found

    def depth(self, synset: int) -> int:
        """Return the least number of steps up to the root."""
        return self.ancestors(synset)[ROOT]

    def is_a(self, synset: int, others: Iterable[int]) -> bool:
        """Whether a synset is one of the others, or a kind of one."""
        return not self.ancestors(synset).keys().isdisjoint(others)

    def distance(self, a: int, b: int) -> int:
        """Return the least number of steps from `a` up to something that both are, and down to `b`."""
        down = self.ancestors(b)
        return min([up + down.get(common, FAR) for common, up in self.ancestors(a).items()])

    def nearest(self, candidates: Sequence[int], target: int) -> tuple[int, int]:
        """Return the candidate that is nearest to the target, the first of several, and its distance."""
        distances = [self.distance(candidate, target) for candidate in candidates]
        least = min(distances)
        return candidates[distances.index(least)], least

    def path(self, a: int, b: int) -> tuple[list[int], list[int]]:
        """Return a shortest path: from `a` up to what both are, and from there, without it, down to `b`."""
        up, down = self.ancestors(a), self.ancestors(b)
        top = min(up.keys() & down.keys(), key=lambda common: (up[common] + down[common], up[common], common))
        return self._climb(a, top), self._climb(b, top)[-2::-1]

    def _climb(self, synset: int, top: int) -> list[int]:
        """Return a shortest way up, both ends included."""
        way = [synset]
        while way[-1] != top:
            nearer = (parent for parent in self.parents[way[-1]] if top in self.ancestors(parent))
            way.append(min(nearer, key=lambda parent: self.ancestors(parent)[top]))
        return way
