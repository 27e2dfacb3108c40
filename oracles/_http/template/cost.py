"""The table `cost` of a template: what a query costs where the vendor bills tokens.

The worst case is certain without knowing the vendor's tokens: no token stands for less than a byte of UTF-8, so the
request's own bytes bound its text; an image takes what the vendor publishes or the user states; and the answer is as
long as the request lets it be. All input is held at the price of its dearest kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bbquery.errors import UsageError
from bbquery.oracle import Quote
from oracles._http.template.paths import read_path
from oracles._shared.numbers import whole
from oracles._shared.token_cost import MOST_TOKENS, TokenCounts, bill, likely, most

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.units import Units
    from oracles._http.template.paths import Path
    from oracles._http.template.table import Table
    from oracles._shared.token_cost import Prices

MOST_FRAMING = 64
"""Tokens that a vendor may add around a message, an image and its reply; measured are 8 to 12 (Claude, 2026)."""
BYTES_A_TOKEN = 4  # of English, by the vendors' rules of thumb


@dataclass(frozen=True)
class ImageTokens:
    """How many tokens an image takes: one for each square of `patch` pixels that covers it, `most` at most.

    patch: None where every image takes `most`. most: None where there is no limit.
    """

    most: int | None
    patch: int | None = None

    def of(self, height: int, width: int) -> int:
        """Return the most tokens of an image of these sides, in pixels."""
        if self.patch is None:
            return self.most or 0
        covered = -(-height // self.patch) * -(-width // self.patch)
        return covered if self.most is None else min(covered, self.most)


@dataclass(frozen=True)
class Usage:
    """Where a response says what it used: paths whose numbers are added up; one that is absent counts as 0.

    input: all of it, what was read from a cache and written to one too. output: all that is billed as such.
    """

    input: Sequence[Path]
    output: Sequence[Path]
    cached: Sequence[Path]
    written: Sequence[Path]

    def of(self, document: Any) -> TokenCounts | None:
        """Return the tokens that a response used; None where it does not say, or says what cannot be."""
        found = [_sum(paths, document) for paths in (self.input, self.output, self.cached, self.written)]
        all_of_it, output, cached, written = found
        if all_of_it is None or output is None:
            return None
        used = TokenCounts(all_of_it, output, cached or 0, written or 0)
        return used if used.cached + used.written <= used.input else None


@dataclass(frozen=True)
class TokenCost:
    """What a query costs, before and after.

    text: bytes of the request without its image. most_output, likely_output: tokens of an answer.
    """

    usage: Usage
    image: ImageTokens
    text: int
    most_output: int
    likely_output: int
    prices: Prices

    def quote(self, height: int, width: int) -> Quote:
        """Return what one query about an image of these sides may cost; the worst is never below the bill.

        Raises:
            UnknownPrice: nobody stated the price.
        """
        price, image = self.prices.at("default"), self.image.of(height, width)
        return Quote(
            worst=most(image + self.text + MOST_FRAMING, self.most_output, price),
            expected=likely(image + self.text // BYTES_A_TOKEN, self.likely_output, price),
        )

    def bill(self, document: Any) -> Units | None:
        """Return what a response says it used; None where it does not, which counts as the whole hold."""
        used = self.usage.of(document)
        return None if used is None else bill(used, self.prices.at("default"))


@dataclass(frozen=True)
class CostTable:
    """The table as it is written. vendor, model: in tables of prices."""

    vendor: str
    model: str
    usage: Usage
    most_output: int
    likely_output: int


def read_cost(table: Table) -> CostTable:
    """Return the table `cost`.

    Raises:
        UsageError: a value cannot be used.
    """
    most_output = table.need("most_output", int)
    if most_output < 1:
        raise UsageError(f"max_tokens must be at least 1, not {most_output}")
    cost = CostTable(
        vendor=table.need("vendor", str),
        model=table.need("model", str),
        usage=Usage(**{part: _paths(table, part) for part in ("input", "output", "cached", "written")}),
        most_output=most_output,
        likely_output=min(table.take("likely_output", int, default=most_output), most_output),
    )
    table.end()
    if not cost.usage.input or not cost.usage.output:
        raise UsageError("cost.input and cost.output say where a response tells the tokens that it used: give both")
    return cost


def image_tokens(rule: Any, stated: int | None, model: str) -> ImageTokens:
    """Return how a model counts an image. rule: as the template has it; stated: by the user, which goes before it.

    Raises:
        UsageError: neither says it, or the rule is none.
    """
    if stated is not None:
        return ImageTokens(stated)
    if isinstance(rule, int):
        return ImageTokens(rule)
    if not isinstance(rule, dict):
        raise UsageError(
            f"how many tokens an image takes is not known for the model {model!r}, so its cost has no bound: state "
            "the most that one takes, as image_tokens=2000"
        )
    most_of_all, patch = rule.get("most"), rule.get("patch")
    if set(rule) - {"most", "patch"} or not all(type(n) is int and n >= 1 for n in rule.values()) or patch is None:
        raise UsageError(f"models.image_tokens must be a number, or {{patch = 28, most = 1568}}, not {rule!r:.60}")
    return ImageTokens(most_of_all, patch)


def _paths(table: Table, key: str) -> list[Path]:
    texts = table.take(key, list, str, default=[])
    return [read_path(text, table.called(key)) for text in ([texts] if isinstance(texts, str) else texts)]


def _sum(paths: Sequence[Path], document: Any) -> int | None:
    """Return the sum of what the paths find; None where they find nothing, or what is no count."""
    said = [path.first(document) for path in paths]
    counts = [whole(value, MOST_TOKENS) for value in said if value is not None]
    known = [count for count in counts if count is not None]
    return sum(known) if known and len(known) == len(counts) else None
