"""The Python call that does what a command did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery.jobs.call_text import program
from bbquery.specification import split

if TYPE_CHECKING:
    from collections.abc import Sequence

FLAGS = frozenset({"--yes", "--force", "--dry-run", "--progress", "--full-size", "--evaluate", "--batch"})
"""Options of the five commands that take no value."""

NO_MATTER = frozenset({"--yes", "--force", "--progress", "--full-size", "--out", "--log"})
"""Options that change nothing that is asked or found."""

SWITCHES = ("--evaluate", "--batch")
TEXTS = (
    "--oracle", "--method", "--methods", "--target-class", "--start", "--criterion", "--attack", "--max-usd",
    "--project", "--fill", "--insertion-fill", "--metrics",
)  # fmt: skip
NUMBERS = (
    "--max-queries", "--max-tokens", "--seed", "--spare", "--drift-every", "--steps", "--copies", "--tau",
    "--check-preprocessing", "--radius", "--noisy-copies", "--repeats", "--verify",
)  # fmt: skip
LISTS = ("--rmse", "--linf")
POSITIONAL = {"explain": 1, "compare": 1, "probe": 1, "attack": 1, "evaluate": 2}


def python_call(command: Sequence[str]) -> str:
    """Return the call; nothing where an option has none, or several images are named. command: as it was typed."""
    if len(command) < 2 or command[1] not in POSITIONAL:
        return ""
    named, options = _parsed(command[2:])
    if len(named) != POSITIONAL[command[1]]:
        return ""
    said = [repr(each) for each in named]
    for option, value in options:
        if option in NO_MATTER:
            continue
        argument = _argument(option, value)
        if argument is None:
            return ""
        said.append(argument)
    return program(command[1], said)


def _parsed(arguments: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Return what is named, and the options with their values."""
    named: list[str] = []
    options: list[tuple[str, str]] = []
    left = iter(arguments)
    for argument in left:
        option, equals, value = argument.partition("=")
        if not argument.startswith("--"):
            named.append(argument)
        elif argument == "--":
            named += left
        else:
            options.append((option, value if equals or option in FLAGS else next(left, "")))
    return named, options


def _argument(option: str, value: str) -> str | None:
    """Return an option as an argument of the call; None where it has no such argument."""
    name = option.removeprefix("--").replace("-", "_")
    if option in SWITCHES:
        return f"{name}=True"
    if option in NUMBERS:
        return f"{name}={value}"
    if option in LISTS:
        return f"{name}=[{', '.join(value.split(','))}]"
    if option in TEXTS:
        return f"{name}={value!r}"
    if option in ("--target", "--score"):  # several targets, which commas separate; several scores, one an option
        several = [each.strip() for each in split(value)] if option == "--target" else [value]
        return f"{name}={several[0]!r}" if len(several) == 1 else f"{name}={several!r}"
    return None
