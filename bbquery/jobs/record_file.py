"""Reading of a run's record: of this version or of an older one, but none of a newer one.

Records are written by `bbquery.report`, which lies above and takes their version from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bbquery.errors import UsageError
from bbquery.system import user_file
from bbquery.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = 1
"""The version of the records that are written. Those before the first say none."""


def read(path: Path) -> dict[str, Any]:
    """Return a record of this version or of an older one, as it was written.

    Raises:
        UsageError: it cannot be read, is no record, or was made by a newer bbquery.
    """
    plain = user_file.parsed_json(path, "the record")
    if not isinstance(plain, dict) or not isinstance(schema := plain.get("schema", 0), int):
        raise UsageError(f"cannot read {path}: it is no record of bbquery")
    if schema > SCHEMA:
        raise UsageError(
            f"{path} was made by a newer bbquery: its record is of version {schema}, and bbquery {__version__} reads "
            f"versions up to {SCHEMA}; update bbquery, or make it again with this one"
        )
    return plain
