"""Distances between nouns: NLTK's own on the real data, and what must hold of any."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery.scoring.wordnet import fetch
from bbquery.scoring.wordnet.data import Source, find
from bbquery.scoring.wordnet.senses import resolver
from bbquery.scoring.wordnet.tree import DEEPEST, ROOT, Tree

if TYPE_CHECKING:
    from collections.abc import Iterator

PAIRS = 10_000
SYNSETS = sorted(resolver().nouns.parents)
synsets = st.sampled_from(SYNSETS)


@pytest.fixture(scope="module")
def nltk_reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """NLTK's own reader, over a copy of the data with the line ends that it needs."""
    import nltk
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        patch.setenv("BBQUERY_HOME", str(home))
        place = find().place
        assert place.is_dir(), "the test set-up brings WordNet as a folder"
        (home / "new").mkdir()
        fetch.install({path.name: path.read_bytes() for path in place.iterdir()}, home / "new")
        root = home / "cache" / "wordnet"
        patch.setattr(nltk.data, "path", [str(root)])
        with pytest.warns(UserWarning, match="multilingual"):  # it needs data that distances do not
            reader = WordNetCorpusReader(nltk.data.find("corpora/wordnet"), None)
        yield reader


def test_distances_are_nltks(nltk_reader: Any) -> None:
    """On 10,000 random pairs of nouns the distance is that of NLTK's own search, and so is the path similarity."""
    pairs = np.random.default_rng(0).choice(SYNSETS, size=(PAIRS, 2)).tolist()
    tree = resolver().tree

    found = [tree.distance(a, b) for a, b in pairs]

    synset = nltk_reader.synset_from_pos_and_offset
    theirs = [(synset("n", a), synset("n", b)) for a, b in pairs]
    assert found == [a.shortest_path_distance(b) for a, b in theirs]
    assert [1 / (1 + distance) for distance in found[:100]] == [a.path_similarity(b) for a, b in theirs[:100]]


def test_the_data_with_other_line_ends_is_the_same(nltk_reader: Any) -> None:
    """Files with LF and with CRLF give the same nouns."""
    from bbquery.scoring.wordnet import nouns

    copy = Source(Path(str(nltk_reader._root)))

    assert vars(nouns.read(copy)) == vars(resolver().nouns)


def test_the_deepest_noun_is_as_deep_as_is_said() -> None:
    """No noun is further from the root than `DEEPEST`, which bounds every distance, and one is that far."""
    tree = resolver().tree

    assert max(map(tree.depth, SYNSETS)) == DEEPEST


def test_several_parents_give_the_shortest_way() -> None:
    """A synset with a short and a long way up has the short one's distance."""
    tree = Tree({ROOT: (), 1: (ROOT,), 2: (1,), 3: (2, ROOT), 4: (ROOT,)})

    assert (tree.distance(3, 4), tree.distance(3, 1), tree.depth(3)) == (2, 2, 1)


def test_the_nearest_candidate_is_found() -> None:
    """Of several candidates the nearest counts, of equally near ones the first."""
    tree = Tree({ROOT: (), 1: (ROOT,), 2: (1,), 3: (1,), 4: (ROOT,)})

    assert tree.nearest([4, 3, 2, 1], 2) == (2, 0)
    assert tree.nearest([4, ROOT], 1) == (ROOT, 1)
    assert tree.nearest([3, 4], ROOT) == (4, 1)


@given(synsets, synsets)
def test_distance_is_symmetric_and_zero_to_itself(a: int, b: int) -> None:
    """It is the same both ways, and 0 exactly between a synset and itself."""
    tree = resolver().tree

    assert tree.distance(a, b) == tree.distance(b, a)
    assert (tree.distance(a, b) == 0) == (a == b)


@given(synsets, synsets)
def test_the_path_is_as_long_as_the_distance(a: int, b: int) -> None:
    """The path shown climbs from parent to parent, goes down likewise, and has as many steps as the distance."""
    tree = resolver().tree

    up, down = tree.path(a, b)

    way = [*up, *down]
    assert (way[0], way[-1], len(way) - 1) == (a, b, tree.distance(a, b))
    assert all(above in tree.parents[below] for below, above in pairwise(up))
    assert all(above in tree.parents[below] for above, below in pairwise([up[-1], *down]))


def test_a_tabby_is_a_cat_and_no_dog() -> None:
    """Being a kind of something follows the hypernyms, to the synset itself and upwards only."""
    tree = resolver().tree
    tabby, cat, dog = 2123045, 2121620, 2084071

    assert tree.is_a(tabby, (cat,))
    assert tree.is_a(tabby, (dog, tabby))
    assert not tree.is_a(cat, (tabby, dog))
