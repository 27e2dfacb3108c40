"""Who plays: every attack that there is, and how each is measured at several budgets."""

from __future__ import annotations

import importlib
from dataclasses import fields
from typing import Literal, TypeAlias

from bbquery import load
from bbquery.specification import parse

Group: TypeAlias = Literal["ours", "aware", "published"]
OURS = ("lr_boundary", "lr_mifgsm", "lr_mifgsm_paper")
SCHEDULED = frozenset({"lr_mifgsm", "lr_mifgsm_paper", "mig"})
"""Attacks whose steps are planned for a budget: each mark is a run of its own, and a longer one does not tell it."""
AWARE, PUBLISHED = "eight_bit=true", "eight_bit=false"


def players(groups: tuple[Group, ...]) -> list[str]:
    """Return the specifications of the attacks of some groups.

    ours: those of this project, and of the paper that it is after. aware, published: the others, 8-bit aware and as
    published. What has no such option is in the group `aware`, since it rounds by itself or cannot be told to.
    """
    found: list[str] = []
    for name, module in load.names("attack").items():
        if name in OURS:
            found += [name] if "ours" in groups else []
        elif "eight_bit" in {field.name for field in fields(importlib.import_module(module).ATTACK)}:
            chosen = (("aware", AWARE), ("published", PUBLISHED))
            found += [f"{name}:{option}" for group, option in chosen if group in groups]
        else:
            found += [name] if "aware" in groups else []
    return found


def as_published(specification: str) -> str | None:
    """Return the published form of an 8-bit aware attack's specification; None for another's."""
    found = specification.replace(AWARE, PUBLISHED)
    return None if found == specification else found


def is_scheduled(specification: str) -> bool:
    """Whether an attack is planned for its budget."""
    return parse(specification)[0] in SCHEDULED


def is_wanted(specification: str, only: tuple[str, ...]) -> bool:
    """Whether a person named it, or its name; all are where none is named."""
    return not only or specification in only or parse(specification)[0] in only
