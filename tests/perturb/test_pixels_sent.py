from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery.perturb.rendering import as_sent
from bbquery.types import FLOAT, UINT8

VALUES = st.lists(st.floats(-1e4, 1e4, width=32) | st.sampled_from([-0.5, 0.5, 1.5, 254.5, 255.5]), max_size=9)


@pytest.mark.parametrize("domain", [UINT8, FLOAT], ids=lambda d: d.dtype)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(values=VALUES)
def test_what_is_sent_is_what_the_domain_realises(domain, dtype, values) -> None:  # type: ignore[no-untyped-def] # given
    """Halves, values beyond the grey levels and all others: the same bits and type as `Domain.realise` gives."""
    pixels = np.array(values, dtype=dtype)
    expected = domain.realise(pixels.copy())

    found = as_sent(pixels, domain)

    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
