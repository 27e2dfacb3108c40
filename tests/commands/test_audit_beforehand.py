"""Bad input of an audit is said before the first query of any oracle, however many others are in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bbquery.cli import main
from tests.support import drawing
from tests.support.audits import photos_in
from tests.support.counted import watched

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

FREE = "function:call=tests.support.counted.sides,classes=left|right,version=1"
KEYED = "openai:model=gpt-4o-mini,classes=left|right,base_url=http://127.0.0.1:9/v1,key_env={}"
CAP = "[caps]\nmax_usd = 9\n"


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    drawing.make_blank(monkeypatch)
    for variable in ("ONE_KEY", "OTHER_KEY"):
        monkeypatch.delenv(variable, raising=False)
    watched.begin()


def plan_of(folder: Path, *oracles: str, more: str = "", photos: str = "photos/") -> Path:
    photos_in(folder / "photos", 3, side=16)
    own = "".join(f'[[oracles]]\nname = "o{place}"\noracle = "{each}"\n' for place, each in enumerate(oracles))
    path = folder / "plan.toml"
    path.write_text(f'name = "shop"\n[photos]\nfrom = ["{photos}"]\n{own}{more}')
    return path


def test_a_missing_key_is_said_before_any_oracle_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each variable is named, with its oracle; the one that has no key to lack is not asked either."""
    plan = plan_of(tmp_path, FREE, KEYED.format("ONE_KEY"), KEYED.format("OTHER_KEY"), more=CAP)

    assert main(["audit", str(plan)]) == 2

    said = capsys.readouterr().err
    assert "oracle 'o1' of the plan: the environment variable 'ONE_KEY' (key_env) is unset or empty" in said
    assert "oracle 'o2' of the plan: the environment variable 'OTHER_KEY'" in said
    assert watched.calls == 0


def test_a_dry_run_needs_no_key(tmp_path: Path) -> None:
    """What it would cost is known without an account."""
    assert main(["audit", str(plan_of(tmp_path, KEYED.format("ONE_KEY"))), "--dry-run"]) == 0


def test_an_audit_that_is_whole_needs_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left to ask, so its report is written again."""
    monkeypatch.setattr("oracles.function.FunctionOracle.check_key", lambda _: 1 / 0, raising=False)
    plan = plan_of(tmp_path, FREE)
    with pytest.raises(ZeroDivisionError):
        main(["audit", str(plan)])
    monkeypatch.undo()
    drawing.make_blank(monkeypatch)
    assert main(["audit", str(plan)]) == 0
    monkeypatch.setattr("oracles.function.FunctionOracle.check_key", lambda _: 1 / 0, raising=False)

    assert main(["audit", str(plan)]) == 0
