"""Pages of the site that are made of files outside `docs/`, and the links to them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

PAGES = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
"""What page of the site a file of the repository is."""
EXAMPLES = "examples.md"
LINK = re.compile(r"\]\(([^)#:]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each file, one for all example scripts, and the notebooks as files."""
    root = Path(config.config_file_path).parent
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=(root / source).read_text(encoding="utf-8")))
    files.append(File.generated(config, EXAMPLES, content=_examples(root / "examples")))
    for notebook in sorted((root / "examples").glob("*.ipynb")):
        files.append(File.generated(config, f"examples/{notebook.name}", abs_src_path=str(notebook)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - as called
    """Point links that leave `docs/`, and those of files that lie above it, to the page of the site."""
    above = page.file.src_uri in PAGES.values()
    return LINK.sub(lambda found: f"]({_moved(found[1], above=above)}", markdown)


def _moved(link: str, *, above: bool) -> str:
    target = link if above else link.removeprefix("../")
    if above and target.startswith("docs/"):
        return target.removeprefix("docs/")
    if not above and target == link:
        return link
    if re.fullmatch(r"examples/\w+\.py", target):
        return EXAMPLES
    return PAGES.get(target, target if target.endswith(".ipynb") else link)


def _examples(folder: Path) -> str:
    scripts = [(each.name, each.read_text(encoding="utf-8")) for each in sorted(folder.glob("*.py"))]
    blocks = [f"## {name}\n\n```python\n{source}```" for name, source in scripts]
    return "\n\n".join(["# Example scripts", "Each is run by the tests, against servers on this machine.", *blocks])
