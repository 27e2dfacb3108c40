"""Why a text ended, and what its answer is then: the text, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast, get_args

from bbquery.errors import UnknownName
from bbquery.types import NoAnswer, Text
from oracles._http.template.paths import read_path
from oracles._http.wire.answers import said_of
from oracles._http.wire.fields import WireError
from oracles._shared.blank import spoken_or_none

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from oracles._http.template.paths import Path
    from oracles._http.template.table import Table

Kind: TypeAlias = Literal["refused", "filtered", "truncated"]


@dataclass(frozen=True)
class Ending:
    """Where a response says why its text ended. kinds: what its words mean. why: where a reason for people stands."""

    path: Path
    kinds: Mapping[str, Kind]
    why: Path | None

    def answer(self, document: Any, text: Callable[[], Text]) -> Text | NoAnswer:
        """Return the text, or that the model would not answer, was filtered, cut off before it did, or said nothing.

        Raises:
            WireError: there is no text, and the end does not say why.
        """
        ended = self.path.first(document)
        kind = self.kinds.get(str(ended))
        if kind in ("refused", "filtered"):
            why = None if self.why is None else said_of(self.why.first(document))
            return NoAnswer(why or f"the vendor withheld the answer ({ended})", kind)
        try:
            said = text()
        except WireError:
            if kind != "truncated":
                raise
            said = Text("")  # cut off before there was a part to hold it
        return spoken_or_none(said, ended=ended, is_cut_off=kind == "truncated")


def read_ending(table: Table) -> Ending | None:
    """Return what the keys `ended`, `endings` and `why` of the table `answer` say; None where they say nothing.

    Raises:
        UsageError: a value cannot be used.
    """
    path, kinds, why = table.take("ended", str), table.plain("endings", str), table.take("why", str)
    for word, kind in kinds.items():
        if kind not in get_args(Kind):
            raise UnknownName(f"meaning of answer.endings.{word}", kind, get_args(Kind))
    if path is None:
        return None
    reason = None if why is None else read_path(why, table.called("why"))
    return Ending(read_path(path, table.called("ended")), cast("Mapping[str, Kind]", kinds), reason)
