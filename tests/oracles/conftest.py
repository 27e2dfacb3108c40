"""Keys in the environment, and the transports of OpenAI's client."""

from __future__ import annotations

import importlib.util

import pytest

from tests.support import openai_helpers


@pytest.fixture
def openai_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a key into the environment, and nothing else of the vendor's."""
    openai_helpers.prepare(monkeypatch)


@pytest.fixture
def hugging_face_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_marker")


@pytest.fixture(params=["aiohttp", "httpx2"])
def either_transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test over aiohttp, and as if it were not installed."""
    if request.param == "httpx2":
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
