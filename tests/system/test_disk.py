"""Why a disk refuses, in words."""

from __future__ import annotations

import errno
import resource
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from bbquery.system.disk import FULL, NEXT_WRITE, REMEDIES, remedy


@pytest.mark.parametrize("code", REMEDIES)
def test_what_the_system_says_is_said_with_a_remedy(code: int) -> None:
    """Each number that it gives has one, behind a colon, to follow what the system itself says."""
    assert remedy(code) == f": {REMEDIES[code]}"


@pytest.mark.parametrize("code", [None, 0, errno.ENOENT])
def test_nothing_is_guessed(code: int | None) -> None:
    """Of any other error nothing is said."""
    assert remedy(code) == ""


@pytest.mark.parametrize(
    ("free", "limit", "found"),
    [
        (FULL, None, errno.EIO),
        (FULL - 1, None, errno.ENOSPC),
        (FULL, NEXT_WRITE + 100, errno.EIO),
        (FULL, NEXT_WRITE + 99, errno.EFBIG),
        (FULL, 100, errno.EFBIG),
    ],
)
def test_a_write_that_failed_is_told_from_a_full_disk_and_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, limit: int | None, found: int
) -> None:
    """A database says no more than that writing failed: the disk's free space and the file's size say why."""
    (tmp_path / "file").write_bytes(b"x" * 100)
    soft = resource.RLIM_INFINITY if limit is None else limit
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, resource.RLIM_INFINITY))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))

    assert remedy(errno.EIO, [tmp_path / "file", tmp_path / "absent"]) == f": {REMEDIES[found]}"
