"""The name of a run: a hash of all that decides what is asked, so that the same again resumes the same budget.

These hashes name budgets in ledgers that exist: what goes into one, and in which order, never changes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from bbquery.ledger import codec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bbquery.oracle import Capabilities
    from bbquery.types import Image


def identity(what: object) -> str:
    """Return the hash of what decides a run, 16 hexadecimal digits. what: any JSON; the order of keys counts."""
    return blake3(json.dumps(what).encode()).hexdigest(length=8)


def subject(photo: NDArray[np.uint8], x: Image, oracle: Capabilities) -> dict[str, Any]:
    """Return what identifies an image and an oracle. x: the pixels that are sent of the photo."""
    return {
        "image": [codec.image_digest(photo).hex(), codec.image_digest(x).hex()],
        "oracle": codec.fingerprint(oracle.identity)[0],
    }
