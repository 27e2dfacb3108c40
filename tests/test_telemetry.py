"""What a run tells the outside: log records a machine can read, and OpenTelemetry where the program uses it."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image as Pillow

from bbquery.cli import main
from bbquery.client.client import Client
from bbquery.errors import OracleError, OutcomeUnknown
from bbquery.ledger.records import Cap
from bbquery.plan import Ask
from bbquery.telemetry import LOGGER, JsonLines, OpenTelemetry, Requests
from bbquery.types import Reply
from bbquery.units import Units
from tests.support.clocks import FakeClock
from tests.support.images import tiny_images
from tests.support.oracles import FakeOracle, brightness

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.ledger.ledger import Ledger


def test_a_log_tells_a_run_line_by_line(tmp_path: Path) -> None:
    """`--log` appends one JSON object for each request, and the logger is left as it was."""
    photo = tmp_path / "photo.png"
    Pillow.fromarray(np.full((24, 24, 3), 99, np.uint8)).save(photo)
    before = (LOGGER.level, list(LOGGER.handlers))
    oracle = "function:call=tests.support.models.sides,version=1"
    command = [
        "explain",
        str(photo),
        "--oracle",
        oracle,
        "--max-queries",
        "6",
        "--method",
        "rise",
        "--out",
        str(tmp_path / "out"),
    ]

    main([*command, "--log", str(tmp_path / "run.log")])

    lines = [json.loads(line) for line in (tmp_path / "run.log").read_text().splitlines()]
    assert [(line["event"], line["queries"], line["posted"]) for line in lines] == [("request", 1, 1)] * 6
    assert all(line["time"].endswith("Z") and line["seconds"] >= 0 for line in lines)
    assert (LOGGER.level, list(LOGGER.handlers)) == before


def test_a_log_that_cannot_be_written_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder in the log's place is found before anything is asked."""
    photo = tmp_path / "photo.png"
    Pillow.fromarray(np.full((24, 24, 3), 99, np.uint8)).save(photo)

    code = main(["explain", str(photo), "--log", str(tmp_path), "--out", str(tmp_path / "out")])

    assert code == 2
    assert "cannot write the log" in capsys.readouterr().err


async def test_failures_and_halts_are_warnings(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    """What failed and the cause that ends a run are logged with their reasons; what came again, with its number."""
    oracle = FakeOracle(script=lambda _: OutcomeUnknown("gone"), largest_batch=4)
    with caplog.at_level(logging.INFO, "bbquery"):
        async with Client(oracle, ledger, ledger.open_budget("run", Cap(queries=9)), clock=FakeClock()) as client:
            await client.ask(Ask(tiny_images(2)))

    events = [(record.__dict__["event"], record.levelname) for record in caplog.records]
    assert (events.count(("failure", "WARNING")), events.count(("failure came again", "WARNING"))) == (1, 1)
    assert events.count(("halt", "WARNING")) == 1


def test_other_records_are_written_too(tmp_path: Path) -> None:
    """A record of another library's making has its message."""
    handler = JsonLines(tmp_path / "x.log")
    line = handler.format(logging.LogRecord("x", logging.INFO, "f", 1, "hello %s", ("you",), None))
    handler.close()

    assert json.loads(line)["message"] == "hello you"


def test_open_telemetry_gets_spans_and_counters(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that uses OpenTelemetry sees each request as a span, and its queries, tokens and dollars counted."""
    metrics_sdk = pytest.importorskip("opentelemetry.sdk.metrics")
    from opentelemetry import metrics, trace
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracing, measuring = TracerProvider(), metrics_sdk.MeterProvider([reader])
    tracing.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(trace, "get_tracer", tracing.get_tracer)
    monkeypatch.setattr(metrics, "get_meter", measuring.get_meter)
    requests = Requests("fake", "acme")

    async def outcome() -> list[Reply | OracleError]:
        return [Reply(brightness(tiny_images(1)[0]), Units(1, 30, 4 * 10**9)), OutcomeUnknown("gone")]

    asyncio.run(requests.request(2, outcome()))
    measuring.force_flush()

    (span,) = spans.get_finished_spans()
    data = reader.get_metrics_data()
    assert data is not None
    found = {
        (metric.name, (point.attributes or {}).get("outcome")): getattr(point, "value", getattr(point, "count", None))
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    }
    measuring.shutdown()
    tracing.shutdown()
    assert requests.listening
    assert span.name == "bbquery.request"
    assert dict(span.attributes or {}) == {"oracle": "fake", "provider": "acme", "queries": 2}
    assert found["bbquery.queries", "posted"] == found["bbquery.queries", "unknown"] == 1
    assert found["bbquery.tokens", None] == 30
    assert found["bbquery.cost", None] == pytest.approx(0.004)
    assert found["bbquery.request.duration", None] == 1


@pytest.mark.parametrize(("level", "listens"), [(logging.DEBUG, True), (logging.INFO, False)])
def test_it_listens_to_every_request_where_the_log_tells_of_them(
    level: int, listens: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without OpenTelemetry, only a log of level DEBUG has a record for each request, so others cost nothing."""
    monkeypatch.delitem(sys.modules, "opentelemetry", raising=False)
    with caplog.at_level(level, "bbquery"):
        listening = Requests("fake", "acme").listening

    assert listening is listens


def test_without_open_telemetry_nothing_is_imported() -> None:
    """A program that does not use OpenTelemetry does not pay for it."""
    import subprocess
    import sys

    code = "import sys, bbquery.telemetry as t; t.Requests('a', 'b'); assert 'opentelemetry' not in sys.modules"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert OpenTelemetry.__doc__
