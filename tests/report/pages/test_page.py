"""How a page is made: what it needs, and what its policy allows."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import re
from typing import ClassVar

import jinja2
import pytest

from bbquery.errors import MissingExtra
from bbquery.report.pages import index, page
from tests.report.browser import site


@pytest.mark.parametrize("missing", ["matplotlib", "jinja2"])
def test_what_lacks_is_named_before_anything_is_asked(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a package of the extra a command ends first, and says what to install."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else find(name))

    with pytest.raises(MissingExtra, match=rf"'{missing}'.*bbquery\[report\]"):
        page.check_extra()


class Untitled:
    """An index page without a title."""

    TEMPLATE: ClassVar[str] = "index.html"
    spent = "nothing"


def test_a_context_that_lacks_something_makes_no_page() -> None:
    """What a template asks for and nobody gave is an error, not an empty place."""
    with pytest.raises(jinja2.UndefinedError, match="title"):
        page.rendered(Untitled())


def test_the_policy_names_the_only_style_and_script() -> None:
    """Their hashes are in the policy, so that no other style or script could run, not even one that got in."""
    text = page.rendered(index.page([], budget=site.good().budget, command=[], resume="")).decode()

    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    for tag in ("style", "script"):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src &#39;sha256-{digest}&#39;" in policy[1]
    assert "unsafe" not in policy[1]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("n02085782_Japanese_spaniel, cock", ["n02085782_", "Japanese_", "spaniel, cock"]),
        ("tree-frog/one.png", ["tree-", "frog/", "one.png"]),
        ("0.41 [-0.30, 0.52]", ["0.41 [-0.30, 0.52]"]),
        ("x" * 25, ["x" * 24, "x"]),
    ],
)
def test_a_name_may_be_broken_where_its_words_end(text: str, parts: list[str]) -> None:
    """A line ends after "_", "-" or "/" within a name, never before a number, and in mid-word beyond 24."""
    assert page.pieces(text) == parts
