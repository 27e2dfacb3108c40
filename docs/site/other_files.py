"""Pages of the site that are made of files outside `docs/`, and the links to them."""

from __future__ import annotations

import posixpath
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
LINK = re.compile(r"\]\(([^)#:]+)(?=[)#])")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each file, and the notebooks as they are."""
    root = Path(config.config_file_path).parent
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=(root / source).read_text(encoding="utf-8")))
    for notebook in sorted((root / "examples").glob("*.ipynb")):
        files.append(File.generated(config, f"examples/{notebook.name}", abs_src_path=str(notebook)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - as called
    """Point links to files outside `docs/`, and links of such files, to pages of the site; add the scripts."""
    here = page.file.src_uri
    source = next((file for file, shown in PAGES.items() if shown == here), f"docs/{here}")
    text = LINK.sub(lambda found: f"]({_moved(found[1], source, here)}", markdown)
    root = Path(config.config_file_path).parent
    return "\n\n".join([text, *_examples(root / "examples")]) if here == EXAMPLES else text


def _moved(link: str, source: str, here: str) -> str:
    """Return a link of the file `source`, which is the page `here`, as one between pages of the site."""
    file = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
    target = EXAMPLES if file.startswith("examples/") and file.endswith((".py", ".toml")) else PAGES.get(file, file)
    return posixpath.relpath(target.removeprefix("docs/"), posixpath.dirname(here) or ".")


def _examples(folder: Path) -> list[str]:
    scripts = [(each.name, each.read_text(encoding="utf-8")) for each in sorted(folder.glob("*.py"))]
    plans = [(each.name, each.read_text(encoding="utf-8")) for each in sorted(folder.glob("*.toml"))]
    return [
        *(f"## {name}\n\n```python\n{source}```" for name, source in scripts),
        "## Plans of audits {#plans-of-audits}",
        *(f"### {name}\n\n```toml\n{source}```" for name, source in plans),
    ]
