"""What models say, read: 208 phrasings with their outcomes, and properties that hold for any text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bbquery.scoring._closed_set import closed_set
from bbquery.scoring._json_answer import said_in_json
from bbquery.scoring._noun_phrase import read_phrase
from bbquery.types import Classes, Text

if TYPE_CHECKING:
    from bbquery.scoring._chatter import Reading

COLLECTED: dict[str, Any] = json.loads((Path(__file__).parent / "phrasings.json").read_text(encoding="utf-8"))
SETS = {
    name: Classes(tuple(map(tuple, names)), tuple(COLLECTED["keys"].get(name, ())))
    for name, names in COLLECTED["sets"].items()
}
FAILURES = {"refusal", "unclear", "several classes", "no class"}
PETS = closed_set(SETS["pets"])

# Texts made of what phrasings are made of reach more of the reader than letters at random.
WORDS = """
cat dog tabby golden retriever hot not no n't isn't neither nor I think it's a an the image shows , . ; : ! ? - * ** `
``` { } [ ] " ' “ ” « » ( ) and or but most likely probably sorry I can't help see too blurry to tell Answer: belongs to
category of whether unclear black white / _ # > < <think> </think> None Yes class label 's of is in on 猫 🐱 É ß ﬁ İ
"""
pieces = st.sampled_from([*WORDS.split(), "\n", ""])
chatter = st.lists(pieces, max_size=14).map(" ".join) | st.text(max_size=60)


def read(text: str, which: str | None) -> Reading:
    return read_phrase(text) if which is None else closed_set(SETS[which]).read(text)


def shown(phrasing: dict[str, Any]) -> str:
    return f"{phrasing['set'] or 'open'}: {phrasing['text'][:50]}"


@pytest.mark.parametrize("phrasing", COLLECTED["phrasings"], ids=shown)
def test_a_phrasing_is_read_as_a_person_reads_it(phrasing: dict[str, Any]) -> None:
    """Each collected answer gives its class, or the failure that names why there is none."""
    reading = read(Text(phrasing["text"]).spoken.text, phrasing["set"])

    outcome = {"failure": reading.failure} if reading.name is None else {"class": reading.name}
    assert outcome == phrasing["expect"]


def test_there_are_enough_phrasings() -> None:
    """At least a hundred, of closed and of open sets, each failure among them, none twice."""
    asked = [(phrasing["text"], phrasing["set"]) for phrasing in COLLECTED["phrasings"]]

    assert len(set(asked)) == len(asked) >= 100
    assert {which for _, which in asked} == {"pets", "imagenet", None}
    assert {phrasing["expect"].get("failure") for phrasing in COLLECTED["phrasings"]} == FAILURES | {None}


@given(chatter)
@example('{"a":' * 3000)
@example("[" * 3000)
def test_any_text_is_a_class_or_a_named_failure(text: str) -> None:
    """Whatever a model says, reading it raises nothing and gives either a class of the set or a failure."""
    for reading, names in ((PETS.read(text), {one[0] for one in PETS.classes.names}), (read_phrase(text), None)):
        assert (reading.name is None) == (reading.failure is not None)
        assert reading.failure in FAILURES | {None}
        assert reading.name is None or names is None or reading.name in names


@given(chatter)
@example("a in")
def test_a_phrase_that_was_read_reads_as_itself(text: str) -> None:
    """Reading is idempotent: a noun phrase is its own reading."""
    reading = read_phrase(text)

    assert reading.name is None or read_phrase(reading.name).name == reading.name


@given(st.lists(chatter.filter(lambda name: any(map(str.isalnum, name))), min_size=1, max_size=5))
@example(["\uf900"])  # composed, it is another character
def test_a_class_is_read_from_its_own_name(names: list[str]) -> None:
    """Whatever a class is called, "no entry" included, the name alone is read as the class, unless others share it."""
    classes = Classes(tuple((name,) for name in names))
    closed = closed_set(classes)

    for index, name in enumerate(names):
        reading = closed.read(name)
        assert reading.index == index or reading.failure == "several classes"


@given(
    st.sampled_from(SETS["pets"].names),
    st.sampled_from(["{}", "It's a {}.", "**{}**", '{{"class": "{}"}}', "I think it's a {}!"]),
)
def test_case_and_wrapping_do_not_matter(names: tuple[str, ...], form: str) -> None:
    """A name is read in any case, and by each of its aliases."""
    for name in names:
        for written in (name.upper(), name.title(), name.replace(" ", "-")):
            assert PETS.read(form.format(written)).name == names[0]


def test_the_longest_name_wins() -> None:
    """Where one class's name lies within another's, the longer one was meant, in either order of the list."""
    for order in ((("cat",), ("tabby cat",)), (("tabby cat",), ("cat",))):
        assert closed_set(Classes(order)).read("a tabby cat").name == "tabby cat"


def test_words_within_a_name_take_nothing_back() -> None:
    """A class may be called what would deny another."""
    signs = closed_set(Classes((("no parking sign",), ("sign",), ("bus",))))

    assert signs.read("The image shows a no parking sign.").name == "no parking sign"
    assert signs.read("No bus, but a no parking sign.").name == "no parking sign"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no JSON", None),
        ("[MASK]", None),
        ("[1, 2]", []),
        ('{"label": "cat"}', ["cat"]),
        ('{"category": ["cat", "cat"]}', ["cat"]),
        ('{"animal": "cat", "size": 3}', ["cat"]),
        ('{"cat": 0.2, "dog": 0.7}', ["dog"]),
        ('{"cat": true, "dog": 0.7}', []),
        ('[{"label": "cat", "score": 0.2}, {"label": "dog", "score": 0.7}]', ["dog"]),
        ('[{"label": "cat", "score": null}, {"label": "dog"}]', ["cat", "dog"]),
        ("{'label': 'cat'}", ["cat"]),
        ('{"label": " "}', []),
        ("{label: cat}", None),
    ],
)
def test_json_says_what_is_under_its_clearest_key(text: str, said: list[str] | None) -> None:
    """Of scored entries the best counts, of plain ones all; what is no JSON is left to be read as text."""
    assert said_in_json(text) == said
