"""Make the sample report of an audit anew: 12 photos on two emulated vendors, as docs/audit_sample/plan.toml says.

    python -m docs.site.audit_sample

The photos lie inside scikit-image's package, whose documentation says of each that it is CC0, in the public domain or
of no known copyright. Takes some minutes, and is paid by nobody.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[1] / "audit_sample"
PHOTOS = (
    "astronaut.png", "brick.png", "camera.png", "chelsea.png", "clock_motion.png", "coffee.png", "coins.png",
    "grass.png", "gravel.png", "hubble_deep_field.jpg", "retina.jpg", "rocket.jpg",
)  # fmt: skip
VENDORS = {"openai": 8702, "google_vision": 8703}  # protocols, and the ports that the plan names
KEPT = ("report.html", "audit.json", "rows.csv", "rows.jsonl")


def main() -> None:
    """Run the plan in a new folder with a ledger of its own, and keep the report and its rows."""
    with tempfile.TemporaryDirectory() as made, ExitStack() as servers:
        folder = Path(made)
        _copy_photos(folder / "photos")
        shutil.copy(FOLDER / "plan.toml", folder)
        for protocol, port in VENDORS.items():
            servers.enter_context(_served(protocol, port))
        _bbquery(folder, "audit", "plan.toml", "--yes", "--out", "sample")
        for page in (folder / "sample").glob("*/*/**/report.html"):
            page.unlink()  # of one photo: not kept, so nothing may link to it
        _bbquery(folder, "audit", "report", "sample")
        for name in KEPT:
            shutil.copy(folder / "sample" / name, FOLDER)


def _copy_photos(folder: Path) -> None:
    spec = find_spec("skimage")
    assert spec is not None, "install bbquery[samples]"
    assert spec.submodule_search_locations
    folder.mkdir()
    for name in PHOTOS:
        shutil.copy(Path(spec.submodule_search_locations[0]) / "data" / name, folder)


@contextmanager
def _served(protocol: str, port: int) -> Iterator[None]:
    """Serve a vendor on this machine."""
    assert not _listens(port), f"port {port} is taken"
    command = [sys.executable, "-m", "bbquery", "serve", "--protocol", protocol, "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        while not _listens(port):
            assert server.poll() is None, f"{protocol} is not served"
            time.sleep(0.2)
        yield
    finally:
        server.terminate()
        server.wait()


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _bbquery(folder: Path, *words: str) -> None:
    environment = os.environ | {"REHEARSAL_KEY": "any", "BBQUERY_HOME": str(folder / "home")}
    ran = subprocess.run([sys.executable, "-m", "bbquery", *words], cwd=folder, env=environment, check=False)
    assert ran.returncode in (0, 5), f"it ended with exit code {ran.returncode}"  # 5: a gate of the sample fails


if __name__ == "__main__":
    main()
