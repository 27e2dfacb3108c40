"""Money: exact amounts, rounding that never understates, and prices that somebody stated."""

from __future__ import annotations

import decimal
import math
import tomllib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bbquery
from bbquery import money
from bbquery.errors import UnknownPrice, UsageError
from bbquery.money import dollars, in_unit, picodollars, query_price, token_price

LARGEST = 9 * 10**18  # picodollars
amounts = st.integers(0, LARGEST)
digits = st.text("0123456789", min_size=1, max_size=40)
prices = st.builds(lambda whole, part: f"{whole}.{part}", st.integers(0, 1000), digits)


@pytest.fixture
def prices_file(home: Path) -> Path:
    home.mkdir()
    return home / "prices.toml"


# --- amounts ---


@given(amounts)
def test_dollars_and_back_is_the_same_amount(amount: int) -> None:
    """An amount that is shown and typed again is the same, to the picodollar."""
    assert picodollars(dollars(amount)) == amount


@given(st.integers(-LARGEST, LARGEST))
def test_dollars_are_shown_exactly(amount: int) -> None:
    """What is shown is the amount itself, with two decimals at least and no zeros after them."""
    shown = dollars(amount)

    assert Fraction(shown) == Fraction(amount, 10**12)
    assert len(shown.partition(".")[2]) == 2 or (len(shown.partition(".")[2]) > 2 and not shown.endswith("0"))


@given(st.integers(0, 8_999_999), digits)
def test_an_amount_is_rounded_up(whole: int, part: str) -> None:
    """However many decimals are typed, an amount is never understated, nor overstated by a picodollar."""
    exact = Fraction(f"{whole}.{part}") * 10**12

    assert picodollars(f"{whole}.{part}") == math.ceil(exact)


@pytest.mark.parametrize(
    ("typed", "amount"),
    [
        *(("0", 0), ("-0", 0), ("12.50", 12_500_000_000_000), ("0.15", 150_000_000_000), (" 2 ", 2 * 10**12)),
        *(("1e-30", 1), ("1e-999999999", 1), (3, 3 * 10**12), ("9000000", LARGEST)),
    ],
)
def test_amounts_as_people_type_them(typed: str | int, amount: int) -> None:
    """Whole dollars, cents, tiny amounts and the largest one are what they say."""
    assert picodollars(typed) == amount


@pytest.mark.parametrize(
    "typed",
    [
        *("", "ten", "1,50", "$3", "-1", "-1e-30", "9000000.000000000000000001", "1e999999999"),
        *("1e99999999999999999999", "NaN", "sNaN", "Infinity"),
    ],
)
def test_what_is_no_amount_is_refused(typed: str) -> None:
    """Words, negative amounts and more than a ledger holds are usage errors that show what was typed."""
    with pytest.raises(UsageError, match=r"dollars") as refusal:
        picodollars(typed)

    assert typed in str(refusal.value)


@pytest.mark.parametrize("written", ["0.1", "1.5", "0.3", "1e-05", "123456.789", "0.000000000001"])
def test_a_float_is_the_amount_that_python_writes_for_it(written: str) -> None:
    """0.1 is a tenth of a dollar to the picodollar, not the binary number that is nearest to it, of NumPy too."""
    assert picodollars(float(written)) == picodollars(np.float64(written)) == picodollars(written)


@pytest.mark.parametrize("given", [None, True, [1], float("nan"), float("inf"), -0.5])
def test_what_is_no_amount_of_python_is_refused(given: object) -> None:
    """Neither a truth value nor a list nor infinity can be spent."""
    with pytest.raises(UsageError, match="dollars"):
        picodollars(given)  # type: ignore[arg-type] # the mistake under test


@pytest.mark.usefixtures("prices_file")
def test_a_programs_decimal_settings_do_not_matter() -> None:
    """A caller that computes with three digits gets the same money."""
    before = (
        picodollars("1234567.123456789012"),
        dollars(1234567890123456789),
        token_price("openai", "gpt-5.4", "flex"),
    )
    with decimal.localcontext(prec=3, rounding=decimal.ROUND_DOWN):
        after = (
            picodollars("1234567.123456789012"),
            dollars(1234567890123456789),
            token_price("openai", "gpt-5.4", "flex"),
        )

    assert after == before


# --- the package's prices ---


def package_table() -> dict[str, dict[str, dict[str, str]]]:
    return tomllib.loads((Path(bbquery.__file__).parent / "prices.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("vendor", "name"), [(vendor, name) for vendor, table in package_table().items() for name in table]
)
def test_every_price_of_the_package_is_text_with_source_and_date(vendor: str, name: str) -> None:
    """No entry holds a float, and each says where and when it was read."""
    row = package_table()[vendor][name]

    assert all(isinstance(value, str) for value in row.values())
    assert row["source"]
    assert len(row["date"].split("-")) == 3


@pytest.mark.parametrize("model", list(package_table()["openai"]))
def test_a_million_tokens_cost_what_the_table_says(model: str) -> None:
    """Prices per token, times a million, are the table's, rounded up by less than a picodollar a token."""
    row = package_table()["openai"][model]
    stated = {"cached_input": row["input"], "cache_write": str(Fraction(row["input"]) * Fraction("1.25"))} | row

    price = token_price("openai", model)

    for kind in ("input", "cached_input", "cache_write", "output"):
        assert getattr(price, kind) == math.ceil(Fraction(stated[kind]) * 10**6)
    assert (price.source, price.date) == (row["source"], row["date"])


@pytest.mark.parametrize(
    ("model", "input_price", "output_price"),
    [
        ("gpt-4o-mini", 150_000, 600_000),
        ("gpt-4o-mini-2024-07-18", 150_000, 600_000),
        ("gpt-4o", 2_500_000, 10_000_000),
        ("gpt-4o-2024-08-06", 2_500_000, 10_000_000),
        ("gpt-4o-2024-05-13", 5_000_000, 15_000_000),  # the first one was dearer, so it has an entry of its own
        ("gpt-4.1-nano-2025-04-14", 100_000, 400_000),
    ],
)
def test_a_dated_snapshot_costs_what_its_own_model_costs(model: str, input_price: int, output_price: int) -> None:
    """A snapshot of gpt-4o-mini is never priced as gpt-4o, nor the other way round."""
    price = token_price("openai", model)

    assert (price.input, price.output) == (input_price, output_price)


@pytest.mark.parametrize("model", ["gpt-4o-2024", "gpt-4o-20240806", "gpt-4o-2024-08-06-eu", "gpt-4o-audio-2024-08-06"])
def test_what_only_looks_like_a_snapshot_has_no_price(model: str) -> None:
    """Only a full date at the end is taken off."""
    with pytest.raises(UnknownPrice, match=model):
        token_price("openai", model)


def test_flex_is_half_the_price() -> None:
    """Every kind of token costs the tier's share."""
    full, flex = token_price("openai", "gpt-5.4"), token_price("openai", "gpt-5.4", "flex")

    assert (flex.input, flex.cached_input, flex.cache_write, flex.output) == (1_250_000, 125_000, 1_562_500, 7_500_000)
    assert (full.input, full.output) == (2 * flex.input, 2 * flex.output)


@pytest.mark.parametrize(
    ("feature", "price"),
    [("LABEL_DETECTION", 1_500_000_000), ("OBJECT_LOCALIZATION", 2_250_000_000), ("WEB_DETECTION", 3_500_000_000)],
)
def test_a_thousand_queries_cost_what_the_vendor_says(feature: str, price: int) -> None:
    """The published price of a thousand, divided by a thousand."""
    assert query_price("google_vision", feature).query == price


# --- the user's prices ---


def test_the_users_entry_replaces_the_packages_and_no_other(prices_file: Path) -> None:
    """An entry is taken whole: nothing of the package's is mixed in, and other models stay as they were."""
    prices_file.write_text('[openai."gpt-4o"]\ninput = "1"\noutput = "2"\n')

    ours, theirs = token_price("openai", "gpt-4o-2024-08-06"), token_price("openai", "gpt-4o-mini")

    assert (ours.input, ours.cached_input, ours.cache_write, ours.output) == (10**6, 10**6, 1_250_000, 2 * 10**6)
    assert (ours.source, theirs.input) == ("your file", 150_000)


def test_the_users_snapshot_comes_before_the_packages_family(prices_file: Path) -> None:
    """A price that is stated for this very snapshot holds."""
    prices_file.write_text('[openai."gpt-4o-2024-08-06"]\ninput = "7"\noutput = "8"\nsource = "contract"\n')

    price = token_price("openai", "gpt-4o-2024-08-06")

    assert (price.input, price.source) == (7 * 10**6, "contract")


def test_a_vendor_of_ones_own(prices_file: Path) -> None:
    """Prices a query and a token of any vendor can be stated, and a price of zero when it is stated."""
    prices_file.write_text(
        '[lab.labels]\nthousand = 0.75\ndate = 2026-01-02\n[lab."llama:8b"]\ninput = 0\noutput = 0\n'
    )

    assert query_price("lab", "labels") == money.QueryPrice(query=750_000_000, source="your file", date="2026-01-02")
    assert token_price("lab", "llama:8b").output == 0


@given(prices)
def test_a_number_in_the_file_is_read_from_its_text(tmp_path_factory: pytest.TempPathFactory, price: str) -> None:
    """A TOML number is exact, as if it stood in quotes: no binary float comes between."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "prices.toml").write_text(f'[lab.m]\ninput = {price}\noutput = "{price}"\n')

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BBQUERY_HOME", str(folder))
        read = token_price("lab", "m")

    assert read.input == read.output == math.ceil(Fraction(price) * 10**6)


@given(prices, st.builds("0.{}".format, digits))
def test_a_share_of_a_price_is_rounded_up(tmp_path_factory: pytest.TempPathFactory, price: str, share: str) -> None:
    """A tier's price is never below the exact share, nor a picodollar above."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "prices.toml").write_text(f'[lab.m]\ninput = "1"\noutput = "{price}"\nnight = "{share}"\n')

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BBQUERY_HOME", str(folder))
        read = token_price("lab", "m", "night")

    assert read.output == math.ceil(Fraction(price) * Fraction(share) * 10**6)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[lab.m\n", "cannot read your prices"),
        ("lab = 3\n", "'lab' is no vendor"),
        ("[lab]\nm = 3\n", 'lab.m is no entry: write [lab."m"]'),
        ("[lab.gpt-4.1]\ninput = 1\n", 'put the name in quotes, as it has a dot: [lab."gpt-4.1"]'),
        ('[lab.m]\noutput = "1"\n', '[lab."m"], input is missing'),
        ('[lab.m]\ninput = "1"\n', '[lab."m"], output is missing'),
        ('[lab.m]\ninput = "a lot"\noutput = "1"\n', '[lab."m"], input is a lot'),
        ("[lab.m]\ninput = -1\noutput = 1\n", '[lab."m"], input is -1'),
        ("[lab.m]\ninput = nan\noutput = 1\n", '[lab."m"], input is NaN'),
        ("[lab.m]\ninput = inf\noutput = 1\n", '[lab."m"], input is Infinity'),
        ("[lab.m]\ninput = true\noutput = 1\n", '[lab."m"], input is True'),
        ("[lab.m]\ninput = [1]\noutput = 1\n", '[lab."m"], input is [1]'),
        ("[lab.m]\ninput = 1\noutput = 1\ncached_input = 'x'\n", '[lab."m"], cached_input is x'),
        ("[lab.m]\n", '[lab."m"], input is missing'),
    ],
)
def test_a_malformed_file_names_itself_and_the_entry(prices_file: Path, text: str, said: str) -> None:
    """Whoever wrote the file learns which line of it to mend."""
    prices_file.write_text(text)

    with pytest.raises(UsageError) as refusal:
        token_price("lab", "m")

    assert str(prices_file) in str(refusal.value)
    assert said in str(refusal.value)


@pytest.mark.parametrize("content", [b"\xff\xfe", None])
def test_a_file_that_cannot_be_read_is_named(prices_file: Path, content: bytes | None) -> None:
    """Something else than text in its place is a usage error, never a price."""
    if content is None:
        prices_file.mkdir()
    else:
        prices_file.write_bytes(content)

    with pytest.raises(UsageError, match=r"cannot read your prices '.*prices\.toml'"):
        token_price("openai", "gpt-4o")


def test_a_malformed_price_a_query_is_named(prices_file: Path) -> None:
    """Prices a query are checked like those a token."""
    prices_file.write_text("[lab.labels]\nhundred = 1\n")

    with pytest.raises(UsageError, match="thousand is missing"):
        query_price("lab", "labels")


# --- unknown prices ---


def advised(error: UnknownPrice) -> str:
    """Return the lines that the message says to put into the file."""
    return "\n".join(line.strip() for line in str(error).splitlines()[1:])


@pytest.mark.parametrize(
    ("ask", "price"),
    [
        (lambda: token_price("openai", "gpt-9").input, 150_000),
        (lambda: token_price("my lab", "llama.cpp").input, 150_000),
        (lambda: query_price("lab", "FACES").query, 1_500_000_000),
        (lambda: token_price("openai", "gpt-4o", "flex").output, 5_000_000),
        (lambda: token_price("openai", "gpt-4o-2024-08-06", "flex").cached_input, 625_000),
        (lambda: token_price("openai", "gpt-4o", "source").output, None),
    ],
)
def test_an_unknown_price_is_refused_and_its_advice_works(prices_file: Path, ask: object, price: int | None) -> None:
    """The message names the file and the lines to put there; with them, the price is known."""
    assert callable(ask)
    with pytest.raises(UnknownPrice, match="never taken to be zero") as refusal:
        ask()
    assert str(prices_file) in str(refusal.value)
    if price is None:  # no tier is called so
        return

    prices_file.write_text(advised(refusal.value))

    assert ask() == price


@pytest.mark.parametrize(
    ("amount", "unit", "said"),
    [(3, "queries", "3 queries"), (0, "tokens", "0 tokens"), (2_100_000_000, "picodollars", "$0.0021")],
)
def test_people_are_told_dollars(amount: int, unit: str, said: str) -> None:
    """Amounts are said with their unit; picodollars are for machines."""
    assert in_unit(amount, unit) == said
