"""Defaults: the method."""

from __future__ import annotations

DEFAULT_METHOD = "designed"
