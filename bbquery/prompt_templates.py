"""Questions for models that answer in text about an image, and the rules in them.

`belongs` is the construction of Zhang et al., "Forward Learning for Gradient-based Black-box Saliency Map Generation",
section 3.4: the model fills the mask of "The input image belongs to [MASK]" with one category of WordNet. `choose` is
its closed form, a list to choose exactly one from, and `yes_no` asks for one token, whose log-probability is the score.

`bbquery.scoring.prompts` reads the answers. An oracle offers the questions by the names in `NAMED`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bbquery.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

OPEN_QUESTION = "What is the main subject of this image? Answer in one short sentence."
CLASS_QUESTION = "Which of these does the image show?"
CLASS_RULE = "Answer with one of the following, as it is written, and with nothing else:"
MASKED = "The input image belongs to [MASK]"
BULLET = "- "
NAME = re.compile(r"@([\w-]+)")  # stands for a question of ours


def belongs(classes: Sequence[str] = ()) -> str:
    """Return the paper's prompt; with classes the mask is filled with one of them.

    Raises:
        UsageError: the classes cannot be told apart.
    """
    form = f'Which category does the input image belong to? Respond in the format "{MASKED}", where [MASK] is'
    if not classes:
        return f"{form} one noun of WordNet, as specific as you can, and with nothing else."
    return "\n".join((f"{form} one of the following, as it is written, and with nothing else:", *_bullets(classes)))


def choose(classes: Sequence[str], question: str = CLASS_QUESTION) -> str:
    """Return the question with its list of classes, exactly one of which is to be answered.

    Raises:
        UsageError: the classes cannot be told apart.
    """
    return "\n".join((question, CLASS_RULE, *_bullets(classes)))


def yes_no(classes: Sequence[str]) -> str:
    """Return the question whether the image shows the one class, to be answered with one word.

    Raises:
        UsageError: not exactly one class is given.
    """
    if len(classes) != 1 or not classes[0].strip():
        raise UsageError(f"a question for yes or no is about one class, not {len(classes)}: classes=tabby cat")
    return f"Does the image show this: {classes[0].strip()}? Answer Yes or No, with one word and with nothing else."


NAMED: Mapping[str, Callable[[Sequence[str]], str]] = {"belongs": belongs, "choose": choose, "yes-no": yes_no}
"""The questions that an oracle's option can name, as `prompt=@belongs`."""


def question(prompt: str | None, classes: Sequence[str]) -> str:
    """Return what is asked: `prompt`, one of ours by its name (`@belongs`), or one of ours; with the list of classes.

    Raises:
        UnknownName: no question has this name. UsageError: the classes cannot be used.
    """
    name = None if prompt is None else NAME.fullmatch(prompt)
    if name is not None:
        if name[1] not in NAMED:
            raise UnknownName("prompt", name[0], [f"@{known}" for known in NAMED])
        return NAMED[name[1]](classes)
    if classes:
        return choose(classes, prompt or CLASS_QUESTION)
    return OPEN_QUESTION if prompt is None else prompt


def _bullets(classes: Sequence[str]) -> list[str]:
    names = [name.strip() for name in classes]
    if len(names) < 2 or not all(name.isprintable() and name for name in names):
        raise UsageError("classes must be at least two names, each on one line: classes=cat|dog")
    if len({name.casefold() for name in names}) < len(names):
        raise UsageError(f"classes must differ by more than case: {'|'.join(names)}")
    return [BULLET + name for name in names]
