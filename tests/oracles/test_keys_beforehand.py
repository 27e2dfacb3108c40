"""Keys that are missing are found without a request, by every oracle that is asked with one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bbquery import load
from bbquery.errors import KeyMissing, UsageError
from bbquery.oracle import KeyedOracle

if TYPE_CHECKING:
    from pathlib import Path

NOWHERE = "base_url=http://127.0.0.1:9/v1"
KEYED = {
    "openai": f"openai:model=gpt-4o-mini,key_env=THE_KEY,{NOWHERE}",
    "moderation": f"openai_moderation:key_env=THE_KEY,{NOWHERE}",
    "template": "http:template=@anthropic-messages,model=claude-haiku-4-5,key_env=THE_KEY,url=http://127.0.0.1:9",
}


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THE_KEY", raising=False)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)


async def keyed(specification: str) -> KeyedOracle:
    oracle = await load.oracle(specification)
    assert isinstance(oracle, KeyedOracle)
    return oracle


@pytest.mark.parametrize("name", KEYED)
async def test_a_key_that_is_not_set_is_named_without_a_request(name: str) -> None:
    """Nobody listens at the address; connecting and quoting need no key."""
    oracle = await keyed(KEYED[name])

    with pytest.raises(KeyMissing, match=r"'THE_KEY'.* is unset or empty"):
        oracle.check_key()


@pytest.mark.parametrize("name", KEYED)
async def test_a_key_that_is_set_is_enough(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is right is for the vendor to say; one that no header can carry is refused here."""
    oracle = await keyed(KEYED[name])
    monkeypatch.setenv("THE_KEY", "two\nlines")
    with pytest.raises(UsageError, match="characters that no key has"):
        oracle.check_key()
    monkeypatch.setenv("THE_KEY", "any")

    oracle.check_key()


@pytest.mark.parametrize(
    "specification",
    [f"openai:model=gpt-4o-mini,key_env=none,{NOWHERE}", "google_vision:endpoint=127.0.0.1:9"],
)
async def test_what_is_asked_without_a_key_lacks_none(specification: str) -> None:
    """A server of one's own and an emulator want none."""
    oracle = await keyed(specification)

    oracle.check_key()


async def test_the_credentials_of_google_are_looked_for_without_google(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable must name a file that holds a JSON object; what is in it is not judged."""
    oracle, path = await keyed("google_vision"), tmp_path / "credentials.json"
    with pytest.raises(KeyMissing, match="GOOGLE_APPLICATION_CREDENTIALS is unset"):
        oracle.check_key()
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    with pytest.raises(UsageError, match="cannot be read as JSON"):
        oracle.check_key()
    path.write_text("{}")

    oracle.check_key()
