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
FORMS = {"cgba": ("arc=halved",)}
"""Forms of an attack that are attacks of their own, beside its default: CGBA-H."""


def players(groups: tuple[Group, ...]) -> list[str]:
    """Return the specifications of the attacks of some groups.

    ours: those of this project, and of the paper that it is after. aware, published: the others, 8-bit aware and as
    published. What has no such option is in the group `aware`, since it rounds by itself or cannot be told to.
    """
    found = []
    for name, module in load.names("attack").items():
        if name in OURS:
            found += [name] if "ours" in groups else []
            continue
        for form in ("", *FORMS.get(name, ())):
            found += _variants(name, form, module, groups)
    return found


def _variants(name: str, form: str, module: str, groups: tuple[Group, ...]) -> list[str]:
    options = {field.name for field in fields(importlib.import_module(module).ATTACK)}
    if "eight_bit" not in options:
        return [_specification(name, form)] if "aware" in groups else []
    chosen = [("aware", AWARE), ("published", PUBLISHED)]
    return [_specification(name, form, option) for group, option in chosen if group in groups]


def _specification(name: str, *options: str) -> str:
    given = ",".join(option for option in options if option)
    return f"{name}:{given}" if given else name


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
