"""Command-line parser: argparse, with examples, real defaults and suggestions for misspelt names.

Help begins with examples, which are not wrapped, so that they can be copied. The usage line names what must be typed
alone; every option is listed below it, with its default.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from bbquery.errors import did_you_mean
from bbquery.shown import shown

REQUIRED = "the following arguments are required"  # as argparse begins it
OPTION = re.compile(r"--?[A-Za-z][^=]*")  # its name; "-1" is a number
WIDEST = 100  # columns of help; longer lines are hard to read


class Formatter(argparse.HelpFormatter):
    """Writes help: a short usage line, and the default of every option that takes a value."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=min(shutil.get_terminal_size().columns, WIDEST) - 2)

    def _format_usage(self, usage: str | None, actions: Any, _: Any, prefix: str | None) -> str:
        """Return the usage line: what must be typed, and that there are options."""
        needed = [action for action in actions if action.required or not action.option_strings]
        line = super()._format_usage(usage, needed, [], prefix)
        inner = any(isinstance(action, argparse._SubParsersAction) for action in actions)  # noqa: SLF001 - has no other name
        further = not inner and any(action.option_strings and not action.required for action in actions)
        return f"{line.rstrip()} [options]\n\n" if further else line

    def _split_lines(self, text: str, width: int) -> list[str]:
        """Return an option's help in lines; a path or an option's name is not split at its hyphens."""
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)

    def _get_help_string(self, action: argparse.Action) -> str:
        """Return an option's help, with its default unless that is said in it."""
        text = action.help or ""
        if action.nargs == 0 or action.required or not action.option_strings or "(default:" in text:
            return text
        nothing = action.default in (None, argparse.SUPPRESS, "", [])
        return f"{text} (default: {'none' if nothing else '%(default)s'})"


class UnwrappedFormatter(Formatter, argparse.RawDescriptionHelpFormatter):
    """Likewise, with description and epilog as they are written, for tables."""


class Commands(argparse._SubParsersAction):  # type: ignore[type-arg] # noqa: SLF001 - of parsers of the class below; it has no other name
    """The subcommands of a parser; what its list says of one also begins that one's own help."""

    def add_parser(self, name: str, **options: Any) -> Any:
        """Declare a subcommand. help: what it does; description: the same at more length, if need be."""
        about = options["help"]
        return super().add_parser(name, **{"description": f"{about[0].upper()}{about[1:]}."} | options)


class Parser(argparse.ArgumentParser):
    """A parser of one command; those of its subcommands are of this class too.

    examples: command lines that work as they stand, the first of which is what most people need. implied: the
    subcommand that is meant where what is typed first is none; None where one must be named.
    """

    _typed: Sequence[str] = ()

    def __init__(
        self,
        *,
        examples: Sequence[str],
        implied: str | None = None,
        formatter_class: Any = Formatter,
        **options: Any,
    ) -> None:
        super().__init__(formatter_class=formatter_class, allow_abbrev=False, **options)
        self._implied = implied
        self.register("action", "parsers", Commands)
        self.examples = examples

    def format_help(self) -> str:
        """Return the examples and, below them, how to use the command."""
        return "\n".join(["examples:", *(f"  {example}" for example in self.examples), "", super().format_help()])

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, and refuse unknown options here, where the options that may have been meant are known."""
        self._typed = [] if args is None else list(args)
        if self._implied and self._typed and not self._is_of_a_subcommand(self._typed[0]):
            self._typed.insert(0, self._implied)
        chosen, unknown = super().parse_known_args(self._typed, namespace)
        if unknown:
            self.error("" if self._unknown_options() else f"unrecognized arguments: {' '.join(unknown)}")
        return chosen, unknown

    def _is_of_a_subcommand(self, word: str) -> bool:
        """Whether a word is a subcommand, or a misspelt one and no file."""
        choices = self._choices()
        misspelt = bool(did_you_mean(word, choices)) and not os.path.exists(word)  # noqa: PTH110 - any text may be typed
        return word in (*choices, "-h", "--help") or misspelt

    def error(self, message: str) -> NoReturn:
        """Print which options do not exist, which were probably meant, and other errors; exit with code 2."""
        if message.startswith(REQUIRED) and (choices := self._choices()):
            message += f"; choose one of: {', '.join(choices)}"
        elif message.startswith(REQUIRED):
            message += f"; for example: {self.examples[0]}"
        known = self._option_string_actions
        unknown = [f"unknown option {option!r}{did_you_mean(option, known)}" for option in self._unknown_options()]
        super().error("\n".join(map(shown, [*unknown, *([message] if message else [])])))

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse a value that is no choice, such as an unknown subcommand."""
        if action.choices is None or value in action.choices:
            return
        known = [str(choice) for choice in action.choices]
        meant = _with_file(str(value)) if isinstance(action, Commands) else ""
        what = f"unknown {value!r}; known: {', '.join(known)}{meant or did_you_mean(str(value), known)}"
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


def _with_file(value: str) -> str:
    """Return what may be done with a file that stands where a command does; nothing of another word."""
    ending = Path(value).suffix
    if ending == ".html":
        return "; a page is opened in a browser"
    command = f"bbquery explain {shlex.quote(value)}"
    return f"; did you mean {command!r}?" if ending else ""
