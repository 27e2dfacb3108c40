"""How targets are typed on the command line."""

from __future__ import annotations

import pytest

from bbquery.commands.targets import target, targets
from bbquery.errors import UsageError


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("cat", ["cat"]),
        ("cat, dog", ["cat", "dog"]),
        (r"tabby\, tabby cat,dog", ["tabby, tabby cat", "dog"]),
        ("bicycle[0.1,0.2,0.5,.9],dog", ["bicycle[0.1,0.2,0.5,.9]", "dog"]),
        (r"bicycle[0.1\,0.2\,0.5\,.9]", ["bicycle[0.1,0.2,0.5,.9]"]),
        ("bicycle#2,bicycle@left", ["bicycle#2", "bicycle@left"]),
        ("[cat,dog]", ["[cat", "dog]"]),  # no numbers
    ],
)
def test_commas_separate_targets_but_for_those_of_a_box(text: str, found: list[str]) -> None:
    """A box is typed as messages show it; a comma within a name has a backslash before it."""
    assert targets(text) == found


def test_an_empty_target_is_refused() -> None:
    """Two commas in a row are a mistake; no option at all is none."""
    with pytest.raises(UsageError, match="names an empty label"):
        targets("cat,,dog")
    assert targets(None) is None


def test_one_target_keeps_its_commas() -> None:
    """Of a command that takes no more, every comma is part of the name."""
    assert target("bicycle[0.1,0.2,0.5,.9]") == "bicycle[0.1,0.2,0.5,.9]"
    assert target(r"tabby\, tabby cat") == target("tabby, tabby cat") == "tabby, tabby cat"
