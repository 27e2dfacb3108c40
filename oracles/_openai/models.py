"""Published facts about OpenAI's models: tokens of an image, and which sampling options they take.

Source: developers.openai.com/api/docs/guides/images-vision ("Model sizing behavior", "Calculating costs"), 2026-10.
A model that is not listed is no error of the user's: whoever asks it states how many tokens an image takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Sampling: TypeAlias = Literal["always", "without reasoning", "never"]
"""When a model takes a temperature and gives log-probabilities. Those for which it is "never" always reason."""


@dataclass(frozen=True)
class Patches:
    """An image costs hundredths / 100 tokens for each square of 32 pixels that it takes to cover it.

    longest: pixels to which a longer side is shrunk first; None where sides may be of any length.
    """

    hundredths: int
    longest: int | None = 2048


@dataclass(frozen=True)
class Tiles:
    """An image costs `base` tokens and, in high detail, `tile` for each square of 512 pixels."""

    base: int
    tile: int


@dataclass(frozen=True)
class ModelRules:
    """How a model counts an image, and when it takes sampling options."""

    image: Patches | Tiles
    sampling: Sampling


MODELS = {
    "gpt-4-turbo": ModelRules(Tiles(85, 170), "always"),
    "gpt-4o": ModelRules(Tiles(85, 170), "always"),
    "gpt-4o-mini": ModelRules(Tiles(2833, 5667), "always"),
    "gpt-4.1": ModelRules(Tiles(85, 170), "always"),
    "gpt-4.1-mini": ModelRules(Patches(162), "always"),
    "gpt-4.1-nano": ModelRules(Patches(246), "always"),
    "o1": ModelRules(Tiles(75, 150), "never"),
    "o3": ModelRules(Tiles(75, 150), "never"),
    "o4-mini": ModelRules(Patches(172), "never"),
    "gpt-5": ModelRules(Tiles(70, 140), "never"),
    "gpt-5-mini": ModelRules(Patches(162), "never"),
    "gpt-5-nano": ModelRules(Patches(246), "never"),
    "gpt-5.1": ModelRules(Tiles(70, 140), "without reasoning"),
    "gpt-5.2": ModelRules(Patches(120), "without reasoning"),
    "gpt-5.4": ModelRules(Patches(120), "without reasoning"),
    "gpt-5.4-mini": ModelRules(Patches(162), "without reasoning"),
    "gpt-5.4-nano": ModelRules(Patches(246), "without reasoning"),
    "gpt-5.5": ModelRules(Patches(120), "never"),
    "gpt-5.6-sol": ModelRules(Patches(120, longest=None), "never"),
    "gpt-5.6-terra": ModelRules(Patches(120, longest=None), "never"),
    "gpt-5.6-luna": ModelRules(Patches(120, longest=None), "never"),
}


def known(name: str) -> ModelRules | None:
    """Return what is known of a model or of the family that it is a dated snapshot of; None where nothing is."""
    stem, _, date = name.partition("-20")
    return MODELS.get(name) or (MODELS.get(stem) if date[:2].isdecimal() else None)
