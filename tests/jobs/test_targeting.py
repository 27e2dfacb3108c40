"""A target that the first answer hardly names is said before the budget goes, by every command."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image as Pillow

from bbquery import load
from bbquery.cli import main
from bbquery.commands.targets import target
from bbquery.errors import UsageError
from bbquery.jobs.targeting import beware, check_commas
from bbquery.oracle import Capabilities
from bbquery.types import Classes, Label, Labels, Text, Token, Vector
from tests.support.onnx_models import classifier

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.types import Answer, AnswerKind

PETS = Classes((("cat", "tabby"), ("dog",), ("fox",)))
MEANT = "is that the target you mean?"


def vector(*values: float) -> Vector:
    return Vector(np.array(values))


def told(
    answer: Answer, *targets: str, score: str = "soft", kind: AnswerKind | None = None, classes: Classes | None = None
) -> list[str]:
    """Return what is said of targets, given the first answer."""
    kinds: dict[type, AnswerKind] = {Vector: "probabilities", Labels: "labels", Text: "text"}
    capabilities = Capabilities(name="vendor", answers=kind or kinds[type(answer)], identity={}, classes=classes)
    bound = [load.score(score).bind(answer, target, classes) for target in targets]
    return beware(targets, bound, answer, capabilities)


@pytest.mark.parametrize(
    ("answer", "target", "options"),
    [
        (vector(0.9, 0.02, 0.08), "dog", {"classes": PETS}),
        (vector(0.99, 0.004, 0.006), "dog+fox", {"classes": PETS}),
        (vector(0.9, 0.02, 0.08), "#1", {}),
        (vector(3.0, -2.0, 0.0), "dog", {"classes": PETS, "kind": "scores"}),
        (vector(0.02, 0.9, 0.08), "cat", {"classes": PETS, "score": "hard"}),
        (Labels((Label("Felidae", 0.9), Label("Cat", 0.5))), "cat", {}),
        (Labels((Label("dog"), Label("tabby"))), "cat", {"classes": PETS}),
        (Labels((Label("plant"), Label("tabby"))), "cat", {"score": "hard"}),
        (Text("A cat on a sofa."), "cat", {"score": "mention"}),
        (Text("dog"), "dog", {"score": "prompts", "classes": PETS}),
        (Text("yes", (Token("yes", -1.0, (("yes", -1.0), ("no", -0.5))),)), "yes", {}),
    ],
)
def test_a_target_that_the_answer_names_needs_no_word(answer: Answer, target: str, options: dict[str, str]) -> None:
    """Neither one of 1 % and more, nor a kind of it, nor a label further down, nor numbers without a scale."""
    assert told(answer, target, **options) == []  # type: ignore[arg-type] # options of several types


@pytest.mark.parametrize(
    ("answer", "target", "options", "said"),
    [
        (vector(0.9, 0.002, 0.098), "dog", {"classes": PETS}, "the model gives 'dog' under 1%, and 'cat' 90.0%"),
        (vector(0.9, 0.002, 0.098), "1", {}, "the model gives '1' under 1%, and 'class 0' 90.0%"),
        (vector(0.9, 0.001, 0.001), "dog+fox", {"classes": PETS}, "'dog+fox' under 1%, and 'cat' 90.0%"),
        (vector(0.0, 0.0, 0.0), "dog", {"classes": PETS}, "'dog' under 1%, and 'cat' 0.0%"),
        (vector(0.995, 0.005, 0.0), "dog", {"classes": PETS, "score": "hard"}, "'dog' under 1%"),
        (
            Labels((Label("Felidae", 0.9), Label("Small cat", 0.5))), "cat", {},
            "does not name 'cat'; the nearest that it names is 'Small cat'",
        ),
        (
            Labels((Label("Felidae"), Label("Small cats"), Label("Cat"))), "Cats", {}, "that it names is 'Cat'",
        ),
        (Labels((Label("Plant", 0.9), Label("Sofa", 0.5))), "cat", {}, "names 'Plant', 'Sofa'"),
        (Labels(()), "cat", {}, "does not name 'cat'; it names nothing"),
        (Labels((Label("Plant", 0.9), Label("cat", 0.004))), "cat", {}, "gives 'cat' a score of 0.004, under 1%"),
        (Labels((Label("plant"), Label("sofa"))), "cat", {"score": "hard"}, "names 'plant', 'sofa'"),
        (Text("Two cats on  a sofa."), "cat", {"score": "mention"}, "'Two cats on a sofa.', where 'cats' is nearest"),
        (Text("A dog."), "fox", {"score": "prompts", "classes": PETS}, "does not name 'fox': it says 'A dog.'"),
        (Text("no", (Token("no", -0.001, (("no", -0.001), ("yes", -9.0))),)), "yes", {}, "does not name 'yes'"),
    ],
)  # fmt: skip
def test_a_target_that_the_answer_hardly_names_is_said(
    answer: Answer, target: str, options: dict[str, str], said: str
) -> None:
    """It says what is named in its place, the nearest first."""
    (line,) = told(answer, target, **options)  # type: ignore[arg-type] # options of several types

    assert said in line
    assert line.endswith(MEANT)


def test_a_number_that_is_one_class_by_name_and_another_by_index_is_said() -> None:
    """The name is taken, and a line tells how to mean the other."""
    digits = Classes((("1",), ("2",), ("0",)))

    assert told(vector(0.4, 0.3, 0.3), "1", classes=digits) == [digits.collision("1")]


@pytest.mark.parametrize("targets", [("rule", "ruler"), ("dog", "rule", "ruler"), ("rule", "ruler", "12 in")])
def test_a_name_with_a_comma_that_was_split_is_said(targets: tuple[str, ...]) -> None:
    """The hint writes the name as the command line takes it."""
    classes = Classes((("rule, ruler",), ("dog",), ("rule, ruler, 12 in",)))

    with pytest.raises(UsageError, match=r"is one name with a comma in it: write --target 'rule\\, ruler(\\, 12 in)?'"):
        check_commas(targets, classes)


@pytest.mark.parametrize(
    ("targets", "classes"),
    [(("cat", "dog"), PETS), (("cat", "unknown"), PETS), (("cat", "tabby"), PETS), (("a", "b"), None), ((), PETS)],
)
def test_targets_that_are_no_parts_of_one_name_pass(targets: tuple[str, ...], classes: Classes | None) -> None:
    """Two classes are two targets; an unknown one is the score's to refuse."""
    check_commas(targets, classes)


def test_two_targets_that_are_one_class_are_said() -> None:
    """The names of a class, separated by a comma, would be two equal maps."""
    (line,) = told(vector(0.5, 0.3, 0.2), "tabby", "cat", classes=PETS)

    assert line.startswith("'tabby' and 'cat' are one class, 'cat', so their maps are the same: name it once")
    assert line.endswith(r"a comma within a name is written \,, as in 'tabby\, cat'")


def test_a_name_with_a_comma_is_found_by_every_command(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unescaped it is refused with the hint; as the hint writes it, it is found."""
    names = json.dumps(["rule, ruler", "dog", "cat", "owl"])
    (photo.parent / "labels.json").write_text(names)
    oracle = f"onnx:model={classifier(photo.parent / 'm.onnx')},labels={photo.parent / 'labels.json'}"
    common = ["--oracle", oracle, "--max-queries", "8", "--method", "rise", "--out", str(photo.parent / "out")]

    refused = main(["explain", str(photo), "--target", "rule, ruler", *common])
    said = capsys.readouterr().err
    found = main(["explain", str(photo), "--target", r"rule\, ruler", *common])

    assert (refused, found) == (2, 0)
    assert r"'rule, ruler' is one name with a comma in it: write --target 'rule\, ruler'" in said


@pytest.mark.parametrize(("text", "named"), [(None, None), (r"rule\, ruler", "rule, ruler"), ("a, b", "a, b")])
def test_a_command_of_one_target_takes_a_comma_either_way(text: str | None, named: str | None) -> None:
    """Where there is one target, a comma can only be in its name."""
    assert target(text) == named


def test_nothing_is_said_where_no_target_was() -> None:
    """The top of the first answer is what the answer names."""
    capabilities = Capabilities(name="vendor", answers="probabilities", identity={}, classes=PETS)
    bound = load.score("soft").bind(vector(0.005, 0.004, 0.003), None, PETS)

    assert beware((), [bound], vector(0.005, 0.004, 0.003), capabilities) == []


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(150, 256, (16, 20, 3), dtype=np.uint8)
    pixels[:, :10] //= 2
    path = tmp_path / "photo.png"
    Pillow.fromarray(pixels).save(path)
    return path


DOG = ("function:call=tests.support.models.seldom_a_dog,classes=left|right|dog,version=1", "dog", "'dog' under 1%")
CATS = ("function:call=tests.support.models.cats,answers=labels,version=1", "Cats", "does not name 'Cats'")
SMALL = ("function:call=tests.support.models.cats,answers=labels,version=1", "small cats", "a score of 0.002, under 1%")
SAID = ("function:call=tests.support.models.says_cat,answers=text,version=1", "dog", "does not name 'dog'")


@pytest.mark.parametrize(
    ("command", "model"),
    [("explain", DOG), ("explain", CATS), ("explain", SMALL), ("compare", CATS), ("evaluate", CATS), ("probe", SAID),
     ("attack", CATS)],
)  # fmt: skip
def test_every_command_says_it_after_the_first_query(
    photo: Path, capsys: pytest.CaptureFixture[str], command: str, model: tuple[str, str, str]
) -> None:
    """The line comes with what the model sees, once, before the rest is asked."""
    oracle, target, said = model
    out = photo.parent / "out"
    np.save(photo.parent / "map.npy", np.arange(320.0).reshape(16, 20))
    more = {
        "explain": [str(photo), "--method", "rise", "--max-queries", "8"],
        "compare": [str(photo), "--methods", "rise,random_windows", "--max-queries", "16"],
        "evaluate": [str(photo.parent / "map.npy"), str(photo), "--steps", "2"],
        "probe": [str(photo), "--max-queries", "40", "--score", "mention"],
        "attack": [str(photo), "--yes", "--max-queries", "160", "--attack", "lr_mifgsm:cells=4", "--score", "label"],
    }

    main([command, *more[command], "--oracle", oracle, "--target", target, "--out", str(out)])

    printed = capsys.readouterr().err
    assert len([line for line in printed.splitlines() if "bbquery: BEWARE: " in line and said in line]) == 1
