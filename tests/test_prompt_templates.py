"""The questions that models are asked, and the names that stand for them."""

from __future__ import annotations

import pytest

from bbquery import prompt_templates
from bbquery.errors import UnknownName, UsageError


def test_the_paper_s_construction_is_asked_for_word_by_word() -> None:
    """The mask's sentence stands in the prompt as the paper has it, with any noun of WordNet or one of a list."""
    assert prompt_templates.MASKED == "The input image belongs to [MASK]"
    assert f'"{prompt_templates.MASKED}"' in prompt_templates.belongs()
    assert "WordNet" in prompt_templates.belongs()
    assert prompt_templates.belongs(["cat", " dog"]).splitlines()[1:] == ["- cat", "- dog"]


def test_a_closed_set_is_asked_for_by_the_rule_and_the_list() -> None:
    """One of the classes, as it is written, and nothing else."""
    assert (
        prompt_templates.choose(["cat", "dog"], "What is it?")
        == f"What is it?\n{prompt_templates.CLASS_RULE}\n- cat\n- dog"
    )


def test_yes_or_no_is_asked_about_one_class() -> None:
    """The class stands in the question, which wants one word."""
    assert "tabby cat" in prompt_templates.yes_no([" tabby cat "])
    assert "one word" in prompt_templates.yes_no(["tabby cat"])


@pytest.mark.parametrize(
    ("prompt", "classes", "asked"),
    [
        (None, [], prompt_templates.OPEN_QUESTION),
        ("What is it?", [], "What is it?"),
        ("@ what is it?", [], "@ what is it?"),
        (None, ["cat", "dog"], prompt_templates.choose(["cat", "dog"])),
        ("What is it?", ["cat", "dog"], prompt_templates.choose(["cat", "dog"], "What is it?")),
        ("@belongs", [], prompt_templates.belongs()),
        ("@belongs", ["cat", "dog"], prompt_templates.belongs(["cat", "dog"])),
        ("@choose", ["cat", "dog"], prompt_templates.choose(["cat", "dog"])),
        ("@yes-no", ["cat"], prompt_templates.yes_no(["cat"])),
    ],
)
def test_a_name_stands_for_its_question(prompt: str | None, classes: list[str], asked: str) -> None:
    """@NAME is one of ours, any other text is itself, and nothing is the question that suits."""
    assert prompt_templates.question(prompt, classes) == asked


def test_an_unknown_name_says_which_are_known() -> None:
    """A misspelled name is no question."""
    with pytest.raises(UnknownName, match="@belongs, @choose, @yes-no"):
        prompt_templates.question("@belong", [])


@pytest.mark.parametrize("classes", [["cat"], ["cat", " "], ["cat", "CAT"], ["cat", "a\nb"]])
@pytest.mark.parametrize("ask", [prompt_templates.choose, prompt_templates.belongs])
def test_classes_that_cannot_be_told_apart_are_refused(ask: object, classes: list[str]) -> None:
    """A list to choose from has at least two names, each on its line, that differ by more than case."""
    with pytest.raises(UsageError, match="classes must"):
        ask(classes)  # type: ignore[operator]


@pytest.mark.parametrize("classes", [[], ["cat", "dog"], [" "]])
def test_yes_or_no_needs_exactly_one_class(classes: list[str]) -> None:
    """A question for yes or no about no class, or several, cannot be asked."""
    with pytest.raises(UsageError, match="about one class"):
        prompt_templates.yes_no(classes)
