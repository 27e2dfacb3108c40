"""What the record of every command says of the oracle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bbquery.ledger import codec

if TYPE_CHECKING:
    from bbquery.oracle import Capabilities


def described(oracle: Capabilities) -> dict[str, Any]:
    """Return an oracle as JSON: what decides its answers, of which kind they are, and what was made of its numbers."""
    return {
        "name": oracle.name,
        "identity": dict(oracle.identity),
        "fingerprint": codec.fingerprint(oracle.identity)[0],
        "answers": oracle.answers,
        "activation": oracle.activation,
    }
