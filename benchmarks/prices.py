"""Write what vendors' models cost into bbquery/prices.toml, from litellm's public table: `python benchmarks/prices.py`.

litellm keeps the prices of all vendors in a JSON file, which comes with its package; bbquery does not depend on it:

    python3 -m venv /tmp/litellm && /tmp/litellm/bin/pip install litellm
    python benchmarks/prices.py /tmp/litellm --date 2026-11-30

Rewritten is the part of prices.toml below its mark; what is above it is kept by hand, and a model that has an entry
there gets none below. Printed is every entry that is new, gone or changed: hold each against the vendor's own page
before it is committed, for a price that is too low lets a run pass its cap. So one that is reduced for a time is kept
by hand at the vendor's list price.

Taken are the models of OpenAI, Azure, Anthropic and Google that see images, answer in text and cost tokens alone. Left
out are those that bill searches too, that are trained for the few, that a name moves on to another model, and that are
retired, unless bbquery knows how they count an image. A dated snapshot of OpenAI has an entry where it costs something
else than its model. The share of a tier is given where it is the same for input and output; else that tier
stays unknown.
"""

from __future__ import annotations

import argparse
import json
import re
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

from bbquery.money import MILLION, undated
from oracles._openai.models import MODELS, known

TABLE = Path(__file__).parents[1] / "bbquery" / "prices.toml"
MARK = "# --- below: written by benchmarks/prices.py ---\n"
NAME = "model_prices_and_context_window*.json"
AMOUNTS = {
    "input": "input_cost_per_token",
    "cached_input": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
    "output": "output_cost_per_token",
}
SHARES = {"flex": "_flex", "batch": "_batches"}
LEFT_OUT = re.compile(
    r"^ft:|\b(search|research|computer|codex|latest|cyber|rosalind|law|exp|gemma|omni|image|live|tts|audio|customtools|robotics|learnlm)\b"
)
VENDORS = {
    "openai": ("",),
    "anthropic": ("",),
    "azure": ("azure/", "azure/us/", "azure/eu/"),
    "gemini": ("gemini/",),
}
"""As litellm and prices.toml call them, and what litellm's names of their models begin with.

At Azure a deployment within a zone costs more than a global one, and its address does not tell: the dearest is taken.
"""


def entries(table: dict[str, Any], vendor: str, date: str) -> dict[str, dict[str, str]]:
    """Return the prices of a vendor's models that see images, by name. table: litellm's, with decimals for numbers."""
    offers = {prefix: _offered(table, vendor, prefix, date) for prefix in VENDORS[vendor]}
    usual = next(iter(offers.values()))
    taken: dict[str, dict[str, Any]] = {}
    for name in {name for rows in offers.values() for name in rows}:
        same = [
            other for other in usual if undated(other) == name and _cost(usual[other]) == _cost(usual.get(name, {}))
        ]
        rows = [rows[alike] for rows in offers.values() for alike in (name, *same) if alike in rows]
        taken[name] = max(rows, key=_cost)
    found = {name: entry(row) for name, row in sorted(taken.items())}
    return {name: row for name, row in found.items() if undated(name) == name or found.get(undated(name)) != row}


def _offered(table: dict[str, Any], vendor: str, prefix: str, date: str) -> dict[str, dict[str, Any]]:
    """Return the rows of models whose names begin with a prefix, without it."""
    named = {whole.removeprefix(prefix): row for whole, row in table.items() if whole.startswith(prefix)}
    return {name: row for name, row in named.items() if "/" not in name and _is_taken(name, row, vendor, date)}


def _cost(row: dict[str, Any]) -> Decimal:
    return sum((Decimal(row.get(key, 0)) for key in AMOUNTS.values()), Decimal())


def _is_taken(name: str, row: dict[str, Any], vendor: str, date: str) -> bool:
    asked = row.get("litellm_provider") == vendor and row.get("mode") in ("chat", "responses")
    if not (asked and row.get("supports_vision")) or LEFT_OUT.search(name):
        return False
    return known(name) is not None or row.get("deprecation_date", date) >= date


def entry(row: dict[str, Any]) -> dict[str, str]:
    """Return one model's prices, in dollars a million tokens, and the shares of them that tiers take."""
    prices = {kind: text(Decimal(row[key]) * MILLION) for kind, key in AMOUNTS.items() if key in row}
    for tier, ending in SHARES.items():
        shares = {share(row, AMOUNTS[kind], ending) for kind in ("input", "output")}
        if len(shares) == 1 and (only := shares.pop()) is not None:
            prices[tier] = only
    return prices


def share(row: dict[str, Any], key: str, ending: str) -> str | None:
    """Return which share of a price is paid at a tier, None where that is not said."""
    if key + ending not in row:
        return None
    return f"{(Decimal(row[key + ending]) / Decimal(row[key])).normalize():f}"


def text(amount: Decimal) -> str:
    """Return an amount with two decimals at least."""
    whole, _, part = f"{amount.normalize():f}".partition(".")
    return f"{whole}.{part:0<2}"


def written(found: dict[str, dict[str, dict[str, str]]], source: str, date: str) -> str:
    """Return the part of prices.toml below the mark. found: entries by vendor."""
    parts = []
    for vendor, rows in found.items():
        for name, row in rows.items():
            lines = [f'{key} = "{value}"' for key, value in (row | {"source": source, "date": date}).items()]
            parts.append("\n".join((f'[{vendor}."{name}"]', *lines)))
    return "\n\n".join(parts) + "\n"


def changes(before: dict[str, Any], after: dict[str, dict[str, str]]) -> list[str]:
    """Return what is to be looked at, a line each; sources and dates do not count."""
    lines = []
    for name in sorted({*before, *after}):
        old = {key: value for key, value in before.get(name, {}).items() if key not in ("source", "date")}
        new = after.get(name, {})
        if old != new:
            lines.append(
                f"{'new' if not old else 'GONE' if not new else 'changed':8}{name}: {old or ''} -> {new or ''}"
            )
    return lines


def read(place: Path) -> tuple[dict[str, Any], str]:
    """Return litellm's table and the version of its package. place: the file, or a folder that it is somewhere in."""
    file = place if place.is_file() else min(place.rglob(NAME), default=None)
    if file is None:
        raise SystemExit(f"no {NAME} in {place}: install litellm there")
    version = next((p.name.split("-")[1] for p in file.parent.parent.glob("litellm-*.dist-info")), "of unknown version")
    table = json.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)
    return table, version.removesuffix(".dist")


def main() -> None:
    """Rewrite the table, and say what changed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("litellm", type=Path, help="its JSON file, or the folder that its package is installed in")
    parser.add_argument("--date", required=True, help="of the day that the entries are reviewed, as 2026-11-30")
    chosen = parser.parse_args()
    table, version = read(chosen.litellm)
    by_hand, _, below = TABLE.read_text(encoding="utf-8").partition(MARK)
    found = {}
    for vendor in VENDORS:
        kept = tomllib.loads(by_hand).get(vendor, {})
        found[vendor] = {name: row for name, row in entries(table, vendor, chosen.date).items() if name not in kept}
        print(*changes(tomllib.loads(below).get(vendor, {}), found[vendor]), sep="\n")
        print(f"{vendor}, kept by hand, so look at them too: {', '.join(kept) or 'none'}")
    if missing := sorted(set(MODELS) - {*found["openai"], *tomllib.loads(by_hand).get("openai", {})}):
        print(f"known models without a price: {', '.join(missing)}")
    generated = written(found, f"litellm {version}", chosen.date)
    TABLE.write_text("\n".join((by_hand.rstrip("\n"), "", MARK, generated)), encoding="utf-8")


if __name__ == "__main__":
    main()
