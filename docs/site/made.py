"""Make the pictures and outputs of pages anew, by the commands that stand beside them.

    python -m docs.site.made docs/reading.md docs/tutorials/*.md

The commands of a page run as they stand, in a new folder with a ledger of its own. What they print replaces the block
below a comment `<!-- output -->`; the file that a comment `<!-- from FILE -->` names replaces the picture above it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SKIP = r"(?P<skip><!-- skip: next[^\n]*-->\n)?"
BLOCK = re.compile(rf"^{SKIP}```(?P<language>\w+)\n(?P<source>.*?)^```$", re.DOTALL | re.MULTILINE)
NAMED = re.compile(r"# ([\w-]+\.\w+)\n")
OUTPUT = re.compile(r"(?P<before>^<!-- output -->\n```text\n).*?(?P<after>^```$)", re.DOTALL | re.MULTILINE)
PICTURE = re.compile(r"!\[[^\]]*\]\(([^)]+)\)\n?<!-- from (\S+) -->")
PROGRESS = re.compile(r"^.*\d% – .*queries.*\n", re.MULTILINE)


def main(pages: list[str]) -> None:
    """Make what is in each page."""
    for page in map(Path, pages):
        with tempfile.TemporaryDirectory() as folder:
            _make(page, Path(folder))


def _make(page: Path, folder: Path) -> None:
    text = page.read_text(encoding="utf-8")
    servers: list[subprocess.Popen[bytes]] = []
    said: list[tuple[int, str]] = []
    try:
        for block in BLOCK.finditer(text):
            if found := NAMED.match(block["source"]):
                (folder / found[1]).write_text(block["source"], encoding="utf-8")
            elif block["language"] == "sh" and not block["skip"]:
                said.append((block.end(), _run(block["source"], folder, servers)))
    finally:
        for server in servers:
            server.terminate()
            server.wait()

    def printed(output: re.Match[str]) -> str:
        return output["before"] + [each for end, each in said if end < output.start()][-1] + output["after"]

    text = OUTPUT.sub(printed, text)
    page.write_text(text, encoding="utf-8")
    for picture, source in PICTURE.findall(text):
        shutil.copy(folder / source, page.parent / picture)


def _run(source: str, folder: Path, servers: list[subprocess.Popen[bytes]]) -> str:
    """Run a block in a shell and return what it prints, without its progress; leave a server running."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": programs, "BBQUERY_HOME": str(folder / "home"), "COLUMNS": "100"}
    if source.startswith("bbquery serve"):
        servers.append(subprocess.Popen(source.split(), cwd=folder, env=environment, stdout=subprocess.DEVNULL))
        time.sleep(5)  # until it listens
        return ""
    ran = subprocess.run(
        ["bash", "-c", source],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return PROGRESS.sub("", ran.stdout.decode().replace("\r", "\n"))


if __name__ == "__main__":
    main(sys.argv[1:])
