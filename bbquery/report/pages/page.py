"""A page as the bytes of one HTML file: a template filled with a context.

1. Whatever comes from outside (labels, file names, answers) is escaped, and shown as `bbquery.shown` shows it.
2. A page loads nothing: the policy in its head forbids all but the pictures inside it, and the style and script whose
   hashes it names.
3. Equal contexts give equal bytes. Without JavaScript everything is there.
4. A page is well-formed XML too, so that a test can read it without a browser.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.util
import re
from importlib import resources
from typing import TYPE_CHECKING, ClassVar, Protocol

from bbquery.errors import MissingExtra
from bbquery.shown import shown

if TYPE_CHECKING:
    import jinja2

BREAK = re.compile(r"(?<=\w[_/-])(?=\w)|(?<=[^\s_/-]{24})(?=[^\s_/-])")
NEEDED = {"matplotlib": "drawing a map", "jinja2": "writing a report"}
"""Packages of the extra that pictures and pages take, and what for."""


def check_extra() -> None:
    """See, before anything is asked, that pictures can be drawn and pages written.

    Raises:
        MissingExtra: a package of the extra "report" is not installed.
    """
    for package, purpose in NEEDED.items():
        if importlib.util.find_spec(package) is None:
            raise MissingExtra("report", purpose, package)


class Page(Protocol):
    """All that a page shows, which its template calls `page`. TEMPLATE: its file in this folder."""

    TEMPLATE: ClassVar[str]


def rendered(page: Page) -> bytes:
    """Return a page as the bytes of its file.

    Raises:
        MissingExtra: no Jinja.
    """
    return _environment().get_template(page.TEMPLATE).render(page=page).encode()


@functools.cache
def _environment() -> jinja2.Environment:
    try:
        import jinja2  # noqa: PLC0415 - optional
        from markupsafe import Markup  # noqa: PLC0415 - comes with Jinja
    except ImportError as error:
        raise MissingExtra("report", NEEDED["jinja2"], "jinja2") from error
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bbquery.report", "pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: shown(value) if type(value) is str else value,  # Markup is our own
    )
    environment.filters["unbroken"] = unbroken
    environment.filters["breakable"] = lambda text: Markup("<wbr/>").join(pieces(shown(text)))
    style, script = _file("style.css"), _file("script.js")
    environment.globals.update(
        style=Markup(style),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - likewise
        policy=f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}",
    )
    return environment


def unbroken(text: str) -> str:
    """Return text whose numbers stay on one line with their per cent sign."""
    return re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", text)


def pieces(text: str) -> list[str]:
    """Return text divided where a line may end within a word: after "_", "-" or "/", and beyond 24 characters."""
    return BREAK.split(text)


def _file(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return what a content security policy calls an inline style or script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
