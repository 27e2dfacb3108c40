"""Where things are: the repository, and the images and games that lie beside it on some machines."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"
