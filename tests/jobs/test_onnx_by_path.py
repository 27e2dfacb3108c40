"""The path of an ONNX file in place of an oracle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import bbquery
from tests.support.onnx_models import classifier

if TYPE_CHECKING:
    from bbquery.ledger.ledger import Ledger


@pytest.mark.parametrize("kind", [str, Path])
def test_the_path_of_a_file_is_an_oracle(kind: Any, tmp_path: Path, ledger: Ledger) -> None:
    """A path in place of a specification is that file with its options left alone, and the same run."""
    path = classifier(tmp_path / "model.onnx", shape=(1, 3, 16, 16), softmax=True)
    photo = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    options: dict[str, Any] = {"method": "rise:cells=3", "max_queries": 10, "ledger": ledger}

    of_path = bbquery.explain(photo, kind(path), **options)

    assert of_path.run == bbquery.explain(photo, f"onnx:model={path}", **options).run
