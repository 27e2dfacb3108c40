"""Where things are kept."""

from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

from bbquery.errors import UsageError
from bbquery.system.home import cache_dir, data_dir


def test_one_variable_moves_everything(home: Path) -> None:
    """With BBQUERY_HOME what must be kept lies there, and caches in a folder of their own within."""
    assert data_dir() == home
    assert cache_dir("efficientnet") == home / "cache" / "efficientnet"
    assert cache_dir("efficientnet").is_dir()


def test_folders_are_made_once_and_found_again(home: Path) -> None:
    """A second look at a folder changes nothing in it."""
    (cache_dir("x") / "kept").write_text("kept")

    assert (cache_dir("x") / "kept").read_text() == "kept"


@pytest.mark.parametrize("unset", [None, ""])
def test_without_the_variable_the_platforms_folders_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unset: str | None
) -> None:
    """Data and caches go where the platform keeps such things for a user; an empty variable is none."""
    monkeypatch.delenv("BBQUERY_HOME")
    if unset is not None:
        monkeypatch.setenv("BBQUERY_HOME", unset)
    monkeypatch.setattr(platformdirs, "user_data_dir", lambda app, appauthor: str(tmp_path / "data" / app))
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda app, appauthor: str(tmp_path / "cache" / app))

    assert data_dir() == tmp_path / "data" / "bbquery"
    assert cache_dir("x") == tmp_path / "cache" / "bbquery" / "x"


@pytest.mark.parametrize("where", [data_dir, lambda: cache_dir("x")])
def test_a_folder_that_cannot_be_made_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: object
) -> None:
    """The folder, the reason and the variable to set are named."""
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("BBQUERY_HOME", str(tmp_path / "file" / "home"))
    assert callable(where)

    with pytest.raises(UsageError, match=r"cannot make the folder .*file.home.* \(Not a directory\): set BBQUERY_HOME"):
        where()
