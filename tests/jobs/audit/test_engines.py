"""Which engine asks an audit's photos, and what it refuses before anything is asked."""

from __future__ import annotations

import pickle
import sys
from typing import TYPE_CHECKING

import pytest

from bbquery.errors import BudgetExhausted, MissingExtra, UsageError
from bbquery.jobs.audit.engines import executor_of
from bbquery.jobs.audit.executor import Local
from bbquery.jobs.audit.fleet_task import files_in
from bbquery.jobs.audit.on_dask import check, connected
from bbquery.jobs.audit.row import Row
from bbquery.report.audit_folder import AuditFolder
from tests.support.audits import plan_of

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.ledger.ledger import Ledger

SHARED = "postgresql://me@db.example.org/audits"


async def test_this_process_asks_where_nothing_else_is_said(ledger: Ledger) -> None:
    """The engine "local" needs no cluster, and any ledger will do."""
    async with executor_of("local", plan_of("one"), ledger, AuditFolder) as executor:
        assert isinstance(executor, Local)


async def test_a_ledger_in_a_file_is_no_ledger_of_a_fleet(ledger: Ledger) -> None:
    """Each machine would have its own, and pay again: it is refused before the cluster is looked for."""
    with pytest.raises(UsageError, match="file, which other machines do not share"):
        async with executor_of("dask:tcp://127.0.0.1:1", plan_of("one"), ledger, AuditFolder):
            pass


def test_a_function_is_no_oracle_of_a_fleet() -> None:
    """What lives in this process alone is refused, with its name in the plan."""
    plan = plan_of("own", oracles=[{"name": "own", "oracle": "function:call=a.b"}])
    with pytest.raises(UsageError, match="'own' of the plan is a function"):
        check(plan, SHARED)


@pytest.mark.parametrize("engine", ["dask", "dask:8786", "spark:tcp://a:1", "dask:http://a:1"])
async def test_an_engine_that_there_is_not_is_named(
    engine: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A misspelt engine is an error that says what engines there are."""
    monkeypatch.setattr(ledger, "place", SHARED)
    with pytest.raises(UsageError, match="say local, or dask:tcp://HOST:PORT"):
        async with executor_of(engine, plan_of("one"), ledger, AuditFolder):
            pass


async def test_the_extra_is_named_where_dask_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Dask, what to install is said."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtra, match=r"bbquery\[dask\]"):
        async with connected("tcp://127.0.0.1:1", AuditFolder):
            pass


def test_an_error_is_the_same_in_another_process() -> None:
    """What a worker met is told here with its numbers, whatever arguments it is made of."""
    error = BudgetExhausted("audit", "queries", remaining=1, needed=2, cap=9)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (BudgetExhausted, str(error), vars(error))


def test_files_of_a_worker_come_into_the_photos_folder_alone(tmp_path: Path) -> None:
    """Files arrive as they were, with their row; a path that leads elsewhere is refused."""
    there, here = AuditFolder(tmp_path / "there"), AuditFolder(tmp_path / "here")
    row = Row(photo="p", source="p.png", oracle="one", identity="1", status="complete")
    inner = tmp_path / "there/one/p/rise"
    inner.mkdir(parents=True)
    (inner / "map.npy").write_bytes(b"\x00\x01")
    there.keep(row)

    here.receive(row, files_in(tmp_path / "there/one/p"))

    assert here.row("one", "p") == row
    assert (tmp_path / "here/one/p/rise/map.npy").read_bytes() == b"\x00\x01"
    for name in ("../q/map.npy", "/etc/map.npy", "a/../../b"):
        with pytest.raises(UsageError, match="outside the photo's folder"):
            here.receive(row, {name: b""})
