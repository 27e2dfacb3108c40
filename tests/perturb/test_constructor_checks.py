from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bbquery.errors import UsageError
from bbquery.perturb.checks import at_least_one, grey_level, positive, proper_share

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (at_least_one, 0),
        (at_least_one, 1e3),
        (positive, 0.0),
        (positive, math.inf),
        (positive, math.nan),
        (proper_share, 0.0),
        (proper_share, 1.0),
        (proper_share, math.nan),
        (grey_level, -0.5),
        (grey_level, 255.5),
        (grey_level, math.nan),
    ],
)
def test_a_value_out_of_range_is_named_with_what_it_was(check: Callable[[str, Any], None], value: float) -> None:
    """A refused value is a UsageError that says which one it is and what was given."""
    with pytest.raises(UsageError, match=rf"^depth must be .*, not {value!r}$"):
        check("depth", value)


def refuses(check: Callable[[str, Any], None], value: float) -> bool:
    try:
        check("depth", value)
    except UsageError:
        return True
    return False


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (at_least_one, 1),
        (at_least_one, np.int64(7)),
        (positive, 1e-9),
        (proper_share, 0.999),
        (grey_level, 0),
        (grey_level, 255.0),
    ],
)
def test_a_value_at_the_edge_of_its_range_passes(check: Callable[[str, Any], None], value: float) -> None:
    """The ranges include what their messages say they include."""
    assert not refuses(check, value)
