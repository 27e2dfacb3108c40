"""The text of a specification, read and written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery.errors import UsageError
from bbquery.specification import parse, with_option

words = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
specified = words | st.builds("{}.{}:{}".format, words, words, words)
values = (
    st.text(st.characters(exclude_characters=",\\"), max_size=12)
    | st.text("ab,\\=: ", max_size=6)
    | st.just("http://127.0.0.1:8000/a?b=c")
)


@given(name=specified, options=st.dictionaries(words, values, max_size=4))
def test_what_is_written_is_what_is_read(name: str, options: dict[str, str]) -> None:
    """Any name with any options comes back, whatever the values hold: commas, colons, equals signs, backslashes."""
    written = name
    for key, value in options.items():
        written = with_option(written, key, value)

    assert parse(written) == (name, options)


without_commas = st.text(st.characters(exclude_characters=","), max_size=9)


@given(name=words, options=st.dictionaries(words, without_commas, max_size=4))
def test_values_without_a_comma_need_nothing(name: str, options: dict[str, str]) -> None:
    """Only a backslash right before the next option's comma is not itself: all else is taken as it stands."""
    options = {key: value.rstrip("\\") for key, value in options.items()}
    written = name + (":" if options else "") + ",".join(f"{key}={value}" for key, value in options.items())

    assert parse(written) == (name, options)


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        (r"prompt=A cat\, or a dog?", "A cat, or a dog?"),
        (r"prompt=a\,b\,c", "a,b,c"),
        (r"prompt=\,", ","),
        (r"prompt=a\\,other=1", "a\\"),
        (r"prompt=a\\\,b", r"a\,b"),
        (r"prompt=a\nb", r"a\nb"),
        (r"prompt=a\\b,other=1", r"a\\b"),
        (r"prompt=C:\x\\", r"C:\x\\"),
        (r'prompt="a, b=c"', '"a'),
    ],
)
def test_a_comma_after_a_backslash_belongs_to_the_value(text: str, prompt: str) -> None:
    """An odd number of backslashes makes a comma part of the value; elsewhere a backslash is a character like any."""
    assert parse(f"openai:{text}")[1]["prompt"] == prompt


def test_a_comma_that_cuts_a_value_short_says_how_to_write_it() -> None:
    """Who forgets the backslash is told of it."""
    with pytest.raises(UsageError, match=r"cannot read the option ' or a dog\?'.*write a comma within a value as \\,"):
        parse("openai:prompt=A cat, or a dog?")


@pytest.mark.parametrize(
    ("specification", "name", "options"),
    [
        ("rise", "rise", {}),
        ("rise:p=0.5", "rise", {"p": "0.5"}),
        ("rise:p=0.5,cells=7", "rise", {"p": "0.5", "cells": "7"}),
        ("http:url=http://127.0.0.1:8000", "http", {"url": "http://127.0.0.1:8000"}),
        ("http:url=http://127.0.0.1:8000,timeout=5", "http", {"url": "http://127.0.0.1:8000", "timeout": "5"}),
        ("http:key_env=K,url=http://[::1]:8000/a=b", "http", {"key_env": "K", "url": "http://[::1]:8000/a=b"}),
        ("function:call=pkg.mod.f,classes=a|b c", "function", {"call": "pkg.mod.f", "classes": "a|b c"}),
        ("pkg.mod:attr", "pkg.mod:attr", {}),
        ("pkg.mod:attr:key=value", "pkg.mod:attr", {"key": "value"}),
        ("pkg.mod:attr:url=http://h:1", "pkg.mod:attr", {"url": "http://h:1"}),
        ("rise:fill=", "rise", {"fill": ""}),
    ],
)
def test_every_form_of_specification_is_read(specification: str, name: str, options: dict[str, str]) -> None:
    """A colon after which no `=` comes belongs to the name; all others to the options."""
    assert parse(specification) == (name, options)


@pytest.mark.parametrize(
    ("specification", "said"),
    [
        ("", "names nothing"),
        (":p=1", "names nothing"),
        (":attr", "names nothing"),
        ("rise:", "names nothing"),
        ("pkg.mod::p=1", "names nothing"),
        (".mod:attr", "names nothing"),
        ("rise:p=1,", "cannot read the option ''"),
        ("rise:p=1,cells", "cannot read the option 'cells'"),
        ("rise:p=1,=2", "cannot read the option '=2'"),
        ("rise:p=1,p=2", "cannot read the option 'p=2'"),
    ],
)
def test_what_cannot_be_read_says_how_to_write_it(specification: str, said: str) -> None:
    """The faulty part is quoted, with the form it should have."""
    with pytest.raises(UsageError, match="key=value") as caught:
        parse(specification)

    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("specification", "with_seed"),
    [("rise", "rise:p=3"), ("rise:q=1", "rise:q=1,p=3"), ("rise:p=1", "rise:p=1"), ("a.b:c", "a.b:c:p=3")],
)
def test_an_option_is_added_unless_it_is_there(specification: str, with_seed: str) -> None:
    """What a person has said is not overwritten."""
    assert with_option(specification, "p", 3) == with_seed
