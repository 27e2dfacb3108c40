"""Tokens and money of the OpenAI oracle: the vendor's worked examples, and a hold that no bill exceeds."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery.errors import UnknownPrice, UsageError
from bbquery.money import picodollars, token_price
from oracles._openai import models, tokens
from oracles._openai.models import ModelRules, Patches
from oracles._shared import token_cost
from oracles._shared.token_cost import TokenCounts
from oracles.emulators import _openai_models, _openai_usage, _phrases
from tests.support.openai_helpers import VARIABLE, connect, image

if TYPE_CHECKING:
    from bbquery.oracle import Quote

Detail = Literal["low", "high"]
sides = st.integers(1, 10_000)
details: st.SearchStrategy[Detail] = st.sampled_from(["low", "high"])

# (model, height, width, detail, tokens): developers.openai.com, "Images and vision", "Calculating costs"
EXAMPLES: list[tuple[str, int, int, Detail, int]] = [
    ("gpt-5.2", 224, 224, "high", 59),
    ("gpt-4.1-mini", 224, 224, "high", 80),
    ("gpt-4o", 224, 224, "high", 255),
    ("gpt-4o", 224, 224, "low", 85),
    ("gpt-4o-mini", 224, 224, "high", 8_500),
    ("gpt-4o-mini", 224, 224, "low", 2_833),
    ("gpt-4o", 1024, 1024, "high", 765),
    ("gpt-4o", 4096, 2048, "high", 1_105),
    ("gpt-4.1", 4096, 8192, "low", 85),
    ("gpt-4o", 900, 1205, "high", 1_105),  # 768 × 1028 pixels, so 2 × 3 tiles
    ("gpt-5.1", 1024, 1024, "high", 630),
    ("gpt-4.1-mini", 1024, 1024, "high", 1_659),  # 1,024 patches × 1.62
    ("gpt-4.1-nano", 1024, 1024, "high", 2_520),
    ("o4-mini", 1024, 1024, "high", 1_762),
]


def known(name: str) -> ModelRules:
    model = models.known(name)
    assert model is not None
    return model


# --- images ---


@pytest.mark.parametrize(("name", "height", "width", "detail", "count"), EXAMPLES)
def test_the_oracle_counts_the_vendors_examples(name: str, height: int, width: int, detail: Detail, count: int) -> None:
    """What an image likely takes is what the vendor's guide says it takes."""
    assert tokens.likely_image(known(name), height, width, detail) == count


@pytest.mark.parametrize(("name", "height", "width", "detail", "count"), EXAMPLES)
def test_the_emulator_counts_the_vendors_examples(
    name: str, height: int, width: int, detail: Detail, count: int
) -> None:
    """The emulator, with code of its own, comes to the same numbers."""
    assert _openai_usage.image_tokens(_openai_models.SERVED[name], width, height, detail) == count


@pytest.mark.parametrize(("longest", "budget", "count"), [(10_000, 1536, 1452), (2048, 1536, 1452), (2048, 6144, 3072)])
def test_an_image_above_the_budget_of_patches_is_shrunk(longest: int, budget: int, count: int) -> None:
    """1800 × 2400 pixels in a budget of 1,536 patches are 1,452: the guide's second example."""
    assert _openai_usage.patches(1800, 2400, budget, longest) == count


@given(name=st.sampled_from(sorted(_openai_models.SERVED)), height=sides, width=sides, detail=details)
def test_no_image_takes_more_than_is_held(name: str, height: int, width: int, detail: Detail) -> None:
    """The most is at least what the emulator bills, for any size, and at least what is likely."""
    most = tokens.most_image(known(name), height, width, detail)

    assert most >= _openai_usage.image_tokens(_openai_models.SERVED[name], width, height, detail)
    assert most >= tokens.likely_image(known(name), height, width, detail)


@given(
    name=st.sampled_from(sorted(models.MODELS)),
    height=sides,
    width=sides,
    budget=st.sampled_from([1536, 2500, 6144, 10_000]),
)
def test_no_budget_of_patches_costs_more_than_is_held(name: str, height: int, width: int, budget: int) -> None:
    """The vendor has changed its budgets of patches; the bound rests on none of them."""
    rule = known(name).image
    if not isinstance(rule, Patches):
        return
    patches = _openai_usage.patches(width, height, budget, rule.longest or 10**9)

    assert tokens.most_image(known(name), height, width, "high") >= patches * rule.hundredths / 100


@given(name=st.sampled_from(sorted(models.MODELS)), height=sides, width=sides)
def test_turning_an_image_costs_nothing(name: str, height: int, width: int) -> None:
    """Height and width count alike."""
    model = known(name)

    assert tokens.most_image(model, height, width, "high") == tokens.most_image(model, width, height, "high")


def test_a_number_of_patches_is_rounded_against_us() -> None:
    """150 patches at 1.62 are 243 tokens, and 244 to a vendor who counts in floating point."""
    assert tokens.most_image(known("gpt-4.1-mini"), 480, 320, "high") == 244


def test_a_side_is_rounded_against_us() -> None:
    """2047 × 4096 is 1023.5 × 2048: rounded down, the longer side of 1537 pixels takes a fourth tile."""
    assert tokens.most_image(known("gpt-4o"), 2047, 4096, "high") == 85 + 170 * 2 * 4


def test_a_small_image_may_be_made_larger_for_low_detail() -> None:
    """The model is given 512 × 512 pixels, of which the guide does not say that they are at most so many."""
    assert tokens.most_image(known("gpt-5.2"), 224, 224, "low") == 308
    assert tokens.likely_image(known("gpt-5.2"), 224, 224, "low") == 59


@pytest.mark.parametrize("name", ["gpt-4o-2024-08-06", "o4-mini-2025-04-16", "gpt-5.2-2025-12-11"])
def test_a_snapshot_counts_as_its_family(name: str) -> None:
    """A dated name is the same model."""
    assert models.known(name) is models.MODELS[name.partition("-20")[0]]


@pytest.mark.parametrize("name", ["llava", "gpt-4o-search-preview", "gpt-4o-20b", "openai/gpt-4o", ""])
def test_another_model_is_not_taken_for_a_known_one(name: str) -> None:
    """Whose images are counted otherwise is not known."""
    assert models.known(name) is None


# --- text ---


@given(st.text(max_size=300).filter(lambda text: text.isprintable()))
def test_no_text_takes_more_than_is_held(text: str) -> None:
    """No token stands for less than a byte, in any language."""
    assert tokens.most_text(text) >= _openai_usage.text_tokens([text])


@given(st.text(max_size=300))
def test_pieces_of_text_are_the_text(text: str) -> None:
    """Nothing of a text is lost between the emulator's tokens."""
    assert "".join(_phrases.pieces(text)) == text


# --- money ---


def test_both_sides_know_the_same_prices() -> None:
    """The emulator's own prices are the table's, at both tiers."""
    for name, served in _openai_models.SERVED.items():
        for tier in ("default", "flex") if served.flex else ("default",):
            table = token_price("openai", name, tier)
            kinds = {"plain": table.input, "cached": table.cached_input, "written": table.cache_write}
            for kind, expected in (kinds | {"output": table.output}).items():
                none = dict.fromkeys(("plain", "cached", "written", "output"), 0)
                assert _openai_models.price(served, tier, **(none | {kind: 1000})) == expected * 1000


def test_what_is_cached_is_paid_once() -> None:
    """Cached and written tokens are part of the input, and image tokens are not added to it."""
    used = TokenCounts(input=1000, output=10, cached=300, written=200)

    units = token_cost.bill(used, token_price("openai", "gpt-4o"))

    assert units.tokens == 1010
    assert units.picodollars == picodollars(Decimal("0.0025") * 500 / 1000) + picodollars(
        Decimal("0.00125") * 300 / 1000
    ) + picodollars(Decimal("0.003125") * 200 / 1000) + picodollars(Decimal("0.01") * 10 / 1000)


usages = st.tuples(st.integers(0, 20_000), st.integers(0, 5_000), st.floats(0, 1), st.floats(0, 1))


@given(name=st.sampled_from(sorted(_openai_models.SERVED)), usage=usages, flex=st.booleans())
def test_both_sides_come_to_the_same_bill(name: str, usage: tuple[int, int, float, float], flex: bool) -> None:
    """From the same usage, in the same picodollars, whatever is cached or written to a cache."""
    prompt, output, cached, written = usage
    served = _openai_models.SERVED[name]
    tier = "flex" if flex and served.flex else "default"
    read = int(prompt * cached)
    write = int((prompt - read) * written)

    ours = token_cost.bill(TokenCounts(prompt, output, read, write), token_price("openai", name, tier))
    theirs = _openai_models.price(served, tier, plain=prompt - read - write, cached=read, written=write, output=output)

    assert ours.picodollars == theirs


@given(name=st.sampled_from(sorted(_openai_models.SERVED)), usage=usages)
def test_the_dearest_input_bounds_any_usage(name: str, usage: tuple[int, int, float, float]) -> None:
    """What is held for so many tokens covers them however they are cached."""
    prompt, output, cached, written = usage
    read = int(prompt * cached)
    price = token_price("openai", name)

    bill = token_cost.bill(TokenCounts(prompt, output, read, int((prompt - read) * written)), price)

    assert bill.within(token_cost.most(prompt, output, price))


# --- quotes ---


def quote(side: int = 224, **options: Any) -> Quote:
    oracle = connect(height=side, width=side, **options)
    return oracle.quote(oracle.encode(image(side)))


def test_a_quote_is_known_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dry run needs neither key nor connection."""
    monkeypatch.delenv(VARIABLE, raising=False)

    assert quote().worst.picodollars > 0


def test_the_worst_case_is_the_sum_of_its_parts() -> None:
    """Image, prompt at a token a byte with its frame, whole output cap; input at the price of a cache write."""
    worst = quote(model="gpt-4o", detail="low", prompt="naïve?", max_tokens=50).worst

    assert worst.tokens == 85 + (7 + 32) + 50
    assert worst.picodollars == (85 + 39) * 3_125_000 + 50 * 10_000_000


def test_the_likely_case_is_below_the_worst() -> None:
    """An answer is mostly shorter than its cap."""
    for name in sorted(_openai_models.SERVED):
        both = quote(model=name)
        assert both.expected.within(both.worst)
        assert both.expected.picodollars < both.worst.picodollars


def test_flex_is_half_price() -> None:
    """The pinned tier decides the price, not the tokens."""
    default, flex = quote(model="o4-mini"), quote(model="o4-mini", tier="flex")

    assert flex.worst.picodollars * 2 == default.worst.picodollars
    assert flex.worst.tokens == default.worst.tokens


def test_a_tier_that_a_model_lacks_is_refused() -> None:
    """Nobody states a flex price of gpt-4o."""
    with pytest.raises(UnknownPrice, match="flex"):
        connect(model="gpt-4o", tier="flex")


def test_an_unknown_price_is_refused() -> None:
    """Even where the number of tokens is known; the message says how to state one."""
    with pytest.raises(UnknownPrice, match=r"prices\.toml"):
        connect(model="gpt-9-vision", image_tokens=1000)


def test_a_stated_price_is_used() -> None:
    """In dollars a million tokens; a cache write costs a quarter more."""
    worst = quote(model="llava", image_tokens=1000, prompt="?", max_tokens=10, input_usd="0.4", output_usd=2).worst

    assert worst.tokens == 1000 + 33 + 10
    assert worst.picodollars == 1033 * 500_000 + 10 * 2_000_000


def test_a_model_of_ones_own_costs_nothing_but_queries_and_tokens() -> None:
    """Zero is a price when it is stated."""
    oracle = connect(model="llava", image_tokens=1000, input_usd="0", output_usd="0")

    worst = oracle.quote(oracle.encode(image())).worst

    assert worst.picodollars == 0
    assert worst.tokens > 1000
    assert not oracle.capabilities.price.free  # an attempt without an outcome is still a query


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"input_usd": "1"}, "both"),
        ({"output_usd": "1"}, "both"),
        ({"input_usd": "-1", "output_usd": "1"}, "-1"),
        ({"input_usd": "cheap", "output_usd": "1"}, "cheap"),
    ],
)
def test_a_price_that_is_none_is_refused(stated: dict[str, str], said: str) -> None:
    """Half a price, a negative one or a word."""
    with pytest.raises(UsageError, match=said):
        connect(**stated)


def test_where_the_price_is_from_is_on_record() -> None:
    """With its date, or as the user's own."""
    assert connect(model="gpt-4o").capabilities.price.source == "litellm 1.110.2 2026-11-30"
    assert "input_usd" in connect(input_usd="1", output_usd="1").capabilities.price.source
