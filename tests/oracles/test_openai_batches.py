"""Batches of the OpenAI oracle through the vendor's own package, against the emulator: asked, found, read, paid."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bbquery import money
from bbquery.errors import MalformedAnswer, OutcomeUnknown, Rejected, UnknownPrice
from bbquery.ledger import codec
from bbquery.types import NoAnswer, Reply, Text
from bbquery.units import Units
from oracles._http import bodies
from oracles._openai import batches
from oracles._shared.token_cost import TokenCounts, bill
from oracles.emulators.openai import NO_FAULTS
from tests.support.openai_batch_helpers import answered, at, collected, ended, names, rehearsed, written
from tests.support.openai_helpers import KEY, MODELS, connect, image

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.batch_oracle import BatchOracle

NOWHERE = "http://127.0.0.1:9/v1"
APIS = ("chat", "responses")


pytestmark = pytest.mark.usefixtures("openai_key")


def replies(results: dict[str, Any]) -> dict[str, Reply]:
    assert all(isinstance(result, Reply) for result in results.values()), results
    return results


# --- what is asked ---


@pytest.mark.parametrize("tier", ["default", "flex"])
@pytest.mark.parametrize("api", APIS)
async def test_a_line_asks_what_a_request_asks_but_for_the_tier(api: str, tier: str) -> None:
    """A batch is a service tier of its own, and never streamed, so its lines say neither; nothing else differs."""
    async with at(
        NOWHERE, model="gpt-5.4", api=api, tier=tier, prompt='data:image/png;base64,"\n', top_logprobs=3
    ) as oracle:
        payload = oracle.encode(image())
        line = oracle.batch_line(payload, "attempt-7")

    asked, body = json.loads(line), json.loads(payload.body)
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    assert (body.pop("service_tier"), body.pop("stream")) == (tier, False)
    assert asked == {
        "custom_id": "attempt-7",
        "method": "POST",
        "url": "/v1/chat/completions" if api == "chat" else "/v1/responses",
        "body": body,
    }


async def test_the_limits_are_the_vendors() -> None:
    """50,000 lines and 200 MB a file."""
    async with at(NOWHERE) as oracle:
        limits = oracle.batch_limits

    assert (limits.lines, limits.bytes) == (50_000, 200_000_000)


async def test_an_answer_has_one_identity_at_every_tier() -> None:
    """What a batch answered is replayed to a run that asks at tier default or flex, since the model is the same."""
    identities = [
        codec.fingerprint(connect(model="gpt-5.4", tier=tier).capabilities.identity) for tier in ("default", "flex")
    ]

    assert identities[0] == identities[1]


# --- what it costs ---


def test_the_vendors_batch_prices_hold() -> None:
    """The vendor's page lists a million tokens of gpt-4o in a batch at $1.25, of output at $5.00, and gpt-4.1-mini's.

    Its guide counts 1,024 by 1,024 pixels as 1,024 patches for gpt-4.1-mini, times 1.62 are 1,659 tokens: $0.0003318
    at the $0.20 of a batch.
    """
    gpt_4o, mini = money.token_price("openai", "gpt-4o", "batch"), money.token_price("openai", "gpt-4.1-mini", "batch")

    assert bill(TokenCounts(10**6, 10**6), gpt_4o).picodollars == money.picodollars("6.25")
    assert bill(TokenCounts(10**6, 10**6), mini).picodollars == money.picodollars("1.00")
    assert bill(TokenCounts(1659, 0), mini).picodollars == money.picodollars("0.0003318")


@pytest.mark.parametrize("tier", ["default", "flex"])
@pytest.mark.parametrize("name", MODELS)
async def test_a_quote_in_a_batch_is_half(name: str, tier: str) -> None:
    """Half of what the query may cost at the default tier, whatever tier is pinned; the tokens are the same."""
    flexible = tier == "default" or name in ("gpt-5.1", "gpt-5.2", "gpt-5.4", "o4-mini")
    async with (
        at(NOWHERE, model=name) as plain,
        at(NOWHERE, model=name, tier=tier if flexible else "default") as oracle,
    ):
        payload = oracle.encode(image())
        whole, half = plain.quote(payload), oracle.batch_quote(payload)

    for full, share in ((whole.worst, half.worst), (whole.expected, half.expected)):
        assert share.picodollars * 2 == full.picodollars
        assert (share.queries, share.tokens) == (full.queries, full.tokens)


async def test_a_model_without_a_batch_price_is_refused() -> None:
    """Its price a request is not taken to hold in batches, at full or at half; the message has the line to add."""
    file = money.user_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('[openai."gpt-4o"]\ninput = "2.50"\noutput = "10.00"\n')
    async with at(NOWHERE, model="gpt-4o") as oracle:
        with pytest.raises(UnknownPrice, match=r'(?s)at the service tier batch.*batch = "0\.5"'):
            oracle.batch_quote(oracle.encode(image()))


async def test_stated_prices_hold_in_batches() -> None:
    """A server of one's own charges the same, which is never below a discount that it may give."""
    stated = {"model": "llava", "image_tokens": 100, "input_usd": "1", "output_usd": "2"}
    async with at(NOWHERE, **stated) as oracle:
        payload = oracle.encode(image())

        assert oracle.batch_quote(payload) == oracle.quote(payload)


@pytest.mark.parametrize("options", [{}, {"tier": "flex", "model": "gpt-5.4"}], ids=["default", "flex"])
@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("faults", [{}, {"cached": 0.5, "cache_written": 0.3, "tier_change": 1.0}], ids=["", "cached"])
async def test_the_books_agree_with_the_bill(
    api: str, options: dict[str, Any], faults: dict[str, Any], tmp_path: Path
) -> None:
    """Oracle and emulator price 24 answers of a batch alike, each below its hold, whatever tier the answers name."""
    async with rehearsed(options={"api": api} | options, **faults) as (emulator, oracle):
        found = replies(await answered(oracle, tmp_path, 24))
        most = oracle.batch_quote(oracle.encode(image())).worst

    costs = [reply.cost for reply in found.values() if reply.cost is not None]
    assert len(costs) == 24
    assert all(cost.picodollars <= most.picodollars for cost in costs)
    assert sum(cost.tokens for cost in costs) == emulator.bill.tokens
    assert sum(cost.picodollars for cost in costs) == emulator.bill.picodollars
    assert emulator.bill.picodollars > 0


# --- what is answered ---


@pytest.mark.parametrize("api", APIS)
async def test_a_batch_answers_as_requests_do(api: str, tmp_path: Path) -> None:
    """Each line's answer is that of the same request, at half its price, and names the model but no other tier."""
    async with rehearsed(options={"api": api, "top_logprobs": 2, "classes": "red|green|blue"}) as (_, oracle):
        found = replies(await answered(oracle, tmp_path, 6))
        (alone,) = await oracle.answer([oracle.encode(image(seed=3))])

    assert isinstance(alone, Reply)
    assert alone.cost is not None
    in_batch = found["attempt-3"]
    assert isinstance(in_batch.answer, Text)
    assert in_batch.answer == alone.answer
    assert in_batch.served == alone.served
    assert in_batch.cost == Units(1, alone.cost.tokens, alone.cost.picodollars // 2)
    assert sorted(found) == names(6)


async def test_refusals_and_filters_are_answers(tmp_path: Path) -> None:
    """Paid and kept, as outside a batch."""
    async with rehearsed(refusal=0.5, content_filter=0.5) as (_, oracle):
        found = replies(await answered(oracle, tmp_path, 12))

    kinds = {reply.answer.kind for reply in found.values() if isinstance(reply.answer, NoAnswer)}
    assert kinds == {"refused", "filtered"}


async def test_a_batch_gets_on_from_state_to_state(tmp_path: Path) -> None:
    """The vendor's words, with the lines as it counts them; only the last has ended."""
    async with rehearsed(batch_lines=4) as (_, oracle):
        vendor = await oracle.submit(written(oracle, tmp_path, names(7)), "ours")
        states = [await oracle.batch_state(vendor) for _ in range(5)]

    seen = [(state.status, state.total, state.answered, state.failed, state.ended) for state in states]
    assert seen == [
        ("in_progress", 7, 0, 0, False),
        ("in_progress", 7, 4, 0, False),
        ("finalizing", 7, 7, 0, False),
        ("completed", 7, 7, 0, True),
        ("completed", 7, 7, 0, True),
    ]
    assert not any(state.reason for state in states)


async def test_results_are_not_there_before_the_end(tmp_path: Path) -> None:
    """To ask too early is told, and tells nothing about any line."""
    async with rehearsed() as (_, oracle):
        vendor = await oracle.submit(written(oracle, tmp_path, names(1)), "ours")
        with pytest.raises(OutcomeUnknown, match=r"is in_progress: there are no results yet"):
            await collected(oracle, vendor)


# --- which batch it is ---


async def test_a_batch_is_found_by_our_name_across_pages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A process that never heard of its batch finds it, however many came later; a name that is not there is none."""
    monkeypatch.setattr(batches, "PAGE", 2)
    async with rehearsed() as (_, oracle):
        file = written(oracle, tmp_path, names(1))
        vendors = [await oracle.submit(file, f"ours-{number}") for number in range(5)]
        found = [await oracle.submitted(f"ours-{number}") for number in range(5)]
        missing = await oracle.submitted("ours")

    assert found == vendors
    assert missing is None


async def test_the_newest_batch_of_a_name_is_found(tmp_path: Path) -> None:
    """A batch that failed leaves its name to the one that came after it."""
    async with rehearsed() as (_, oracle):
        file = written(oracle, tmp_path, names(1))
        vendors = [await oracle.submit(file, "ours") for _ in range(2)]

        assert await oracle.submitted("ours") == vendors[-1]


async def test_an_unknown_batch_is_told() -> None:
    """Its state, its results and its cancelling all say so."""
    async with rehearsed() as (_, oracle):
        for asked in (oracle.batch_state("batch_9"), collected(oracle, "batch_9"), oracle.cancel_batch("batch_9")):
            with pytest.raises(Rejected, match="No batch found with id 'batch_9'"):
                await asked


async def test_a_name_in_no_ascii_is_kept(tmp_path: Path) -> None:
    """Names are ours to give."""
    async with rehearsed() as (_, oracle):
        vendor = await oracle.submit(written(oracle, tmp_path, names(1)), 'Läufe "7"')

        assert await oracle.submitted('Läufe "7"') == vendor


# --- the end before its time ---


async def test_a_cancelled_batch_keeps_and_charges_what_was_done(tmp_path: Path) -> None:
    """The rest comes back as never worked on, free of charge."""
    async with rehearsed(batch_lines=3) as (emulator, oracle):
        vendor = await oracle.submit(written(oracle, tmp_path, names(8)), "ours")
        await oracle.batch_state(vendor)
        await oracle.batch_state(vendor)
        await oracle.cancel_batch(vendor)
        state = await ended(oracle, vendor)
        found = await collected(oracle, vendor)

    kept = {name for name, result in found.items() if isinstance(result, Reply)}
    assert state.status == "cancelled"
    assert kept == set(names(3)) == set(emulator.batches.charged)
    assert {result.outcome for result in found.values() if not isinstance(result, Reply)} == {"voided"}
    assert sorted(found) == names(8)


@pytest.mark.parametrize("looks", [0, 6])
async def test_cancelling_twice_or_too_late_changes_nothing(looks: int, tmp_path: Path) -> None:
    """What is asked for is already so."""
    async with rehearsed() as (_, oracle):
        vendor = await oracle.submit(written(oracle, tmp_path, names(1)), "ours")
        for _ in range(looks):
            await oracle.batch_state(vendor)
        await oracle.cancel_batch(vendor)
        await oracle.cancel_batch(vendor)
        state = await ended(oracle, vendor)

    assert state.status == ("completed" if looks else "cancelled")


async def test_a_batch_that_fails_as_a_whole_says_why(tmp_path: Path) -> None:
    """The first reasons with their lines; nothing is charged, and there are no results."""
    async with rehearsed() as (emulator, oracle):
        file = tmp_path / "lines"
        file.write_bytes(b"{\n" * 5)
        vendor = await oracle.submit(file, "ours")
        state = await ended(oracle, vendor)
        found = await collected(oracle, vendor)

    assert state.status == "failed"
    assert state.reason.startswith("line 1: This line is not parseable as valid JSON. (invalid_json_line); line 2:")
    assert state.reason.endswith("; and 2 more")
    assert not found
    assert emulator.bill.picodollars == 0


async def test_results_have_a_limit_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of results may be longer than an answer, since it is read line by line; but it does not go on for ever."""
    async with rehearsed() as (_, oracle):
        vendor = await oracle.submit(written(oracle, tmp_path, names(30)), "ours")
        await ended(oracle, vendor)
        monkeypatch.setattr(bodies, "LARGEST", 5_000)

        assert len(await collected(oracle, vendor)) == 30

        monkeypatch.setattr(bodies, "LARGEST_FILE", 5_000)
        with pytest.raises(MalformedAnswer, match=r"longer than 0\.00476837 MiB"):
            await collected(oracle, vendor)


async def test_results_cut_off_are_fetched_again(tmp_path: Path) -> None:
    """A download that breaks off is an error with no outcome of its own; the next one has everything."""
    async with rehearsed(batch_truncated=1.0) as (emulator, oracle):
        vendor = await oracle.submit(written(oracle, tmp_path, names(20)), "ours")
        await ended(oracle, vendor)
        with pytest.raises(OutcomeUnknown, match="broke off"):
            await collected(oracle, vendor)
        emulator.batches.faults = NO_FAULTS
        found = replies(await collected(oracle, vendor))

    assert set(found) == set(names(20))
    assert set(emulator.batches.charged.values()) == {1}


async def test_a_key_is_in_nothing_that_comes_back(tmp_path: Path) -> None:
    """Neither in a result nor in what the oracle shows of itself."""
    async with rehearsed(options={"prompt": f"Is {KEY} a key?"}) as (_, oracle):
        found = await answered(oracle, tmp_path, 2)

        assert KEY not in repr(found) + repr(oracle) + repr(await oracle.batch_state("batch_0"))


def test_an_oracle_takes_batches() -> None:
    """So the core knows it without asking the vendor, a key or a connection."""
    oracle: BatchOracle = connect()  # type: ignore[assignment]  # `connect` promises an Oracle; this one is both

    assert oracle.batch_limits.lines
