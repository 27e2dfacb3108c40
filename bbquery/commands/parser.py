"""Command-line parser: argparse, with suggestions for misspelt names."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from bbquery.errors import did_you_mean
from bbquery.shown import shown

REQUIRED = "the following arguments are required"  # as argparse begins it
OPTION = re.compile(r"--?[A-Za-z][^=]*")  # its name; "-1" is a number


class Parser(argparse.ArgumentParser):
    """A parser of one command; those of its subcommands are of this class too."""

    _typed: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, and refuse unknown options here, where the options that may have been meant are known."""
        self._typed = [] if args is None else list(args)
        chosen, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error("" if self._unknown_options() else f"unrecognized arguments: {' '.join(unknown)}")
        return chosen, unknown

    def error(self, message: str) -> NoReturn:
        """Print which options do not exist, which were probably meant, and other errors; exit with code 2."""
        if message.startswith(REQUIRED) and (choices := self._choices()):
            message += f"; choose one of: {', '.join(choices)}"
        known = self._option_string_actions
        unknown = [f"unknown option {option!r}{did_you_mean(option, known)}" for option in self._unknown_options()]
        super().error("\n".join(map(shown, [*unknown, *([message] if message else [])])))

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse a value that is no choice, such as an unknown subcommand."""
        if action.choices is None or value in action.choices:
            return
        known = [str(choice) for choice in action.choices]
        what = f"unknown {value!r}; known: {', '.join(known)}{did_you_mean(str(value), known)}"
        raise argparse.ArgumentError(action, what)

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        """Read a value, with a plain message for one that is no whole number."""
        try:
            return super()._get_value(action, arg_string)
        except argparse.ArgumentError as error:
            if action.type is not int:
                raise
            raise argparse.ArgumentError(action, f"{arg_string!r} is not a whole number") from error

    def _choices(self) -> list[str]:
        """Return the choices of a subcommand or of another positional argument."""
        positional = (action.choices for action in self._actions if not action.option_strings)
        return [str(choice) for choices in positional for choice in choices or ()]

    def _unknown_options(self) -> list[str]:
        own = list(self._typed)
        if self._subparsers is not None:
            own = own[:1]  # what comes after a subcommand's name is the subcommand's
        if "--" in own:
            own = own[: own.index("--")]
        options = [found[0] for found in map(OPTION.match, own) if found]
        return [option for option in dict.fromkeys(options) if option not in self._option_string_actions]
