"""A worker of a fleet refuses what it would ask otherwise than the machine that runs the audit, and says where."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import pytest

from bbquery.errors import UsageError
from bbquery.jobs.audit import fleet_worker
from bbquery.jobs.audit.budgets import Budgets
from bbquery.jobs.audit.content import content_of
from bbquery.jobs.audit.fleet_task import Task
from bbquery.report.audit_folder import AuditFolder
from bbquery.units import NOTHING
from tests.support.audits import photos_in, plan_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def task(tmp_path: Path) -> Task:
    """A photo that another model was to answer."""
    (photo,) = photos_in(tmp_path / "photos", 1)
    oracle = {"name": "own", "oracle": "function:call=tests.support.models.sides,classes=left|right"}
    return Task(
        run="r", plan=msgspec.json.encode(plan_of("own", oracles=[oracle])), photo=photo, identity="of another model",
        budgets=Budgets(0, {}, {}, NOTHING, NOTHING), ledger=str(tmp_path / "ledger.sqlite3"), keeper=AuditFolder,
        content=content_of(photo),
    )  # fmt: skip


def test_a_worker_with_another_model_asks_nothing(task: Task) -> None:
    """Another model behind the same words is an error of this host; there is no row."""
    answer = fleet_worker.asked(task)

    assert isinstance(answer.outcome.error, UsageError)
    assert answer.outcome.row is None
    assert f"on the worker {socket.gethostname()}: " in str(answer.outcome.error)
    assert "is another model here" in str(answer.outcome.error)


def test_a_worker_of_another_version_asks_nothing(task: Task) -> None:
    """Whoever runs the audit is told to install the same version."""
    answer = fleet_worker.asked(replace(task, version="0.0"))

    assert answer.outcome.row is None
    assert "0.0 where the audit runs: install the same" in str(answer.outcome.error)


def test_an_oracle_that_a_worker_lacks_is_said_with_its_host(task: Task) -> None:
    """A model's file that lies on the other machine alone is named, and so is the worker."""
    plan = plan_of("own", oracles=[{"name": "own", "oracle": "onnx:model=/models/not-here.onnx"}])

    answer = fleet_worker.asked(replace(task, plan=msgspec.json.encode(plan)))

    assert f"on the worker {socket.gethostname()}: " in str(answer.outcome.error)
    assert "not-here.onnx" in str(answer.outcome.error)
