"""The package's prices: every known model has one, and the script that writes them reads its source rightly."""

from __future__ import annotations

import datetime
import importlib
import json
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import bbquery
from bbquery.errors import UnknownPrice
from bbquery.money import token_price
from oracles._openai.cost import VENDOR
from oracles._openai.models import MODELS

if TYPE_CHECKING:
    from types import ModuleType


PACKAGED = Path(bbquery.__file__).parent / "prices.toml"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return importlib.import_module("benchmarks.prices")


def row(cost: str = "2e-06", **more: Any) -> dict[str, Any]:
    """Return a model as litellm lists it."""
    usual = {
        "litellm_provider": "openai", "mode": "chat", "supports_vision": True, "input_cost_per_token": Decimal(cost),
        "output_cost_per_token": Decimal("8e-06"),
    }  # fmt: skip
    return usual | more


@pytest.mark.parametrize("model", sorted(MODELS))
def test_every_known_model_has_a_price(model: str, home: Path) -> None:
    """Who asks a model whose images are counted here need not look up what it costs."""
    price = token_price(VENDOR, model)

    assert price.input > 0
    assert price.output > 0
    assert datetime.date.fromisoformat(price.date) >= datetime.date(2026, 11, 30)


def test_a_model_that_is_not_listed_is_refused_with_the_lines_to_write(home: Path) -> None:
    """An unknown price is never taken to be zero: file, heading and keys are in the message."""
    with pytest.raises(UnknownPrice) as refused:
        token_price(VENDOR, "gpt-9-vision")

    said = str(refused.value)
    assert said.index("prices.toml") < said.index('[openai."gpt-9-vision"]') < said.index('input = "')
    assert 'output = "' in said


def test_prices_are_in_dollars_a_million_tokens(script: ModuleType) -> None:
    """Amounts are exact, with two decimals at least; a tier's share is given where it is one for input and output."""
    listed = row(
        cache_read_input_token_cost=Decimal("1.25e-07"),
        cache_creation_input_token_cost=Decimal("2.5e-06"),
        input_cost_per_token_batches=Decimal("1e-06"),
        output_cost_per_token_batches=Decimal("4e-06"),
        input_cost_per_token_flex=Decimal("1e-06"),
        output_cost_per_token_flex=Decimal("5e-06"),
    )

    assert script.entry(listed) == {
        "input": "2.00", "cached_input": "0.125", "cache_write": "2.50", "output": "8.00", "batch": "0.5",
    }  # fmt: skip


def test_only_models_that_cost_tokens_alone_and_see_images_are_taken(script: ModuleType) -> None:
    """Others are left out, and so are retired ones and snapshots that cost what their model does."""
    table = {
        "gpt-7": row(),
        "gpt-7-2027-01-01": row(),
        "gpt-7-2026-01-01": row("3e-06"),
        "gpt-7-old": row(deprecation_date="2026-10-01"),
        "gpt-4o": row(deprecation_date="2026-10-01"),
        "gpt-7-text": row(supports_vision=False),
        "gpt-7-search-preview": row(),
        "gpt-7-chat-latest": row(),
        "ft:gpt-7": row(),
        "gpt-image-9": row(mode="image_generation"),
        "azure/gpt-7": row(litellm_provider="azure"),
    }

    assert list(script.entries(table, "openai", "2026-11-30")) == ["gpt-4o", "gpt-7", "gpt-7-2026-01-01"]


def test_of_azures_kinds_of_deployment_the_dearest_counts(script: ModuleType) -> None:
    """An address does not tell whether a deployment is global or of a zone, and no bill may pass its hold."""
    table = {
        "azure/gpt-7": row(litellm_provider="azure"),
        "azure/us/gpt-7": row("2.2e-06", litellm_provider="azure"),
        "azure/eu/gpt-7": row("2.1e-06", litellm_provider="azure"),
        "azure/gpt-8": row(litellm_provider="azure"),
        "azure/gpt-8-2026-08-08": row(litellm_provider="azure"),
        "azure/us/gpt-8-2026-08-08": row("2.3e-06", litellm_provider="azure"),
        "azure/gpt-8-2026-01-01": row("9e-06", litellm_provider="azure"),
        "gpt-9": row(),
    }

    found = script.entries(table, "azure", "2026-11-30")

    assert {name: row["input"] for name, row in found.items()} == {
        "gpt-7": "2.20", "gpt-8": "2.30", "gpt-8-2026-01-01": "9.00",
    }  # fmt: skip


def test_what_changed_is_shown_for_review(script: ModuleType) -> None:
    """New, gone and changed entries are a line each; a new source or date is no change."""
    before = {
        "a": {"input": "1.00", "date": "2026-01-01"}, "b": {"input": "1.00"}, "c": {"input": "1.00", "source": "page"},
    }  # fmt: skip

    lines = script.changes(before, {"b": {"input": "2.00"}, "c": {"input": "1.00"}, "d": {"input": "3.00"}})

    assert [line.split(":")[0].split() for line in lines] == [["GONE", "a"], ["changed", "b"], ["new", "d"]]


def test_the_part_below_the_mark_is_rewritten(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept by hand stays, and a second time changes nothing."""
    packages = tmp_path / "site-packages"
    (packages / "litellm").mkdir(parents=True)
    (packages / "litellm-1.2.3.dist-info").mkdir()
    plain = row() | {"input_cost_per_token": 2e-06, "output_cost_per_token": 8e-06}
    listed = {"gpt-7": plain, "gpt-8": plain}
    (packages / "litellm" / "model_prices_and_context_window_backup.json").write_text(json.dumps(listed))
    table = tmp_path / "prices.toml"
    table.write_text('# By hand.\n[openai."gpt-8"]\ninput = "9.00"\noutput = "9.00"\n')
    monkeypatch.setattr(script, "TABLE", table)
    monkeypatch.setattr("sys.argv", ["prices.py", str(tmp_path), "--date", "2026-11-30"])

    script.main()
    once = table.read_text()
    script.main()

    assert table.read_text() == once
    assert once.startswith('# By hand.\n[openai."gpt-8"]\ninput = "9.00"\noutput = "9.00"\n\n# --- below')
    assert tomllib.loads(once)["openai"] == {
        "gpt-8": {"input": "9.00", "output": "9.00"},
        "gpt-7": {"input": "2.00", "output": "8.00", "source": "litellm 1.2.3", "date": "2026-11-30"},
    }


def test_a_model_that_is_priced_by_hand_is_not_written(script: ModuleType) -> None:
    """What a person put above the mark holds: a promotion, say, is never taken for the price."""
    by_hand, _, generated = PACKAGED.read_text(encoding="utf-8").partition(script.MARK)

    assert set(tomllib.loads(generated)) == set(script.VENDORS)
    for vendor in script.VENDORS:
        assert not set(tomllib.loads(by_hand).get(vendor, {})) & set(tomllib.loads(generated)[vendor])
