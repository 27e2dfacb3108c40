"""Overlap: the words that an answer shares with a reference sentence."""

from __future__ import annotations

import numpy as np
import pytest

from bbquery.errors import UsageError
from bbquery.scoring.overlap import WordOverlap
from bbquery.types import Label, Labels, Text

CLEAN = Text("A cat on a sofa.")


def test_the_value_is_the_harmonic_mean_of_recall_and_precision() -> None:
    """Words count as often as they occur, whatever their case: 3 in common of 5 and 4."""
    said = [CLEAN, Text("a CAT on it"), Text("dog"), Text("...")]

    decisions, values = WordOverlap().bind(CLEAN, None, None)(said)

    assert np.allclose(values, [1, 2 * 3 / 9, 0, np.nan], equal_nan=True)
    assert decisions.tolist() == [1, 1, 0, -1]


def test_labels_are_read_as_a_sentence() -> None:
    """A list of labels has words too."""
    _, values = WordOverlap().bind(Labels((Label("cat"), Label("dog"))), None, None)([Labels((Label("cat"),))])

    assert values.tolist() == pytest.approx([2 / 3])


def test_a_reference_without_words_is_refused() -> None:
    """Nothing could be near to it."""
    with pytest.raises(UsageError, match="has no words"):
        WordOverlap().bind(CLEAN, "...", None)
