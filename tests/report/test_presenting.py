"""Results at home in a notebook and a program: a line, HTML, axes, a folder, and plain data."""

from __future__ import annotations

import builtins
import html
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pytest

import bbquery
from bbquery import cli
from bbquery.errors import MissingExtra, UnknownName, UsageError
from bbquery.jobs.explain.verified import Part, Verified
from bbquery.jobs.keywords import in_python
from bbquery.report import probe, probe_figure
from oracles import function
from tests.support.explanations import explanation_of, map_of
from tests.support.models import sides

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.slow

PHOTO = np.random.default_rng(0).integers(100, 200, (16, 20, 3), dtype=np.uint8)
SIDES = "function:call=tests.support.models.sides,classes=left|right,version=1"
HARMFUL = "<img src=x onerror=alert(1)>"
CALLS: dict[str, dict[str, Any]] = {
    "explain": {"method": "rise:cells=3", "max_queries": 20},
    "compare": {"methods": "rise:cells=3,occlusion:queries=12", "max_queries": 16},
    "evaluate": {"metrics": "srg", "steps": 4},
    "probe": {"score": "soft", "max_queries": 30},
    "attack": {"attack": "lr_mifgsm:cells=4", "score": "label", "max_queries": 300},
}
RECORDS = {verb: f"{verb}.json" for verb in CALLS} | {"explain": "run.json", "evaluate": "evaluation.json"}
CHANGES = {"finished", "seconds", "queries", "spent", "command"}
"""Keys of two records of one run that differ, and the command line."""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the default ledger in the test's own folder, and work there."""
    monkeypatch.setenv("BBQUERY_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    PIL.Image.fromarray(PHOTO).save("photo.png")
    np.save("map.npy", np.arange(320.0).reshape(16, 20))


def given_to(verb: str) -> list[str]:
    return ["map.npy", "photo.png"] if verb == "evaluate" else ["photo.png"]


def found(verb: str) -> Any:
    return getattr(bbquery, verb)(*given_to(verb), SIDES, **CALLS[verb])


@pytest.mark.parametrize("verb", CALLS)
def test_a_result_is_a_line_and_a_page_for_a_notebook_and_axes(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell shows one short line as text, and a picture with figures; given axes are drawn into, no others."""
    from matplotlib import pyplot
    from matplotlib.figure import Figure

    result = found(verb)
    monkeypatch.setattr(pyplot, "figure", lambda *_, **__: pytest.fail("pyplot was touched"))
    axes = Figure().subplots()

    assert re.fullmatch(rf"<{type(result).__name__}[^\n]{{10,}}>", repr(result))
    assert len(repr(result)) < 200
    assert 'src="data:image/' in result._repr_html_()
    assert "It cannot be shown" not in result._repr_html_()
    assert result.plot(axes) is result.plot(ax=axes) is axes
    assert axes.images or axes.lines or axes.child_axes


@pytest.mark.parametrize("verb", CALLS)
def test_a_result_is_kept_as_the_command_keeps_it(verb: str, tmp_path: Path) -> None:
    """`save` writes the command's files, picture for picture; only the command and words of advice differ."""
    options = CALLS[verb]
    typed = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    agreed = ["--yes"] if verb == "attack" else []
    assert cli.main([verb, *given_to(verb), "--oracle", SIDES, *typed, *agreed, "--out", "by-command"]) == 0

    paths = found(verb).save(tmp_path / "by-python")

    there, here = files_of(tmp_path / "by-command"), files_of(tmp_path / "by-python")
    assert set(there) == set(here)
    assert set(paths) <= set(here.values())
    assert all(there[name].read_bytes() == here[name].read_bytes() for name in here if name.endswith((".png", ".npy")))
    assert kept(here[RECORDS[verb]]) == kept(there[RECORDS[verb]])


def files_of(root: Path) -> dict[str, Path]:
    return {str(each.relative_to(root)): each for each in root.rglob("*") if each.is_file()}


def kept(record: Path) -> dict[str, Any]:
    in_words_of_python = in_python(record.read_text())
    plain = {key: value for key, value in json.loads(in_words_of_python).items() if key not in CHANGES}
    if "recommended" in plain:
        plain["recommended"].pop("command")
    return plain


@pytest.mark.parametrize("verb", CALLS)
def test_a_page_kept_from_python_says_how_to_repeat_it(verb: str, tmp_path: Path) -> None:
    """It has the call in place of a command, in the folders within it too, and no option of a command line."""
    result = found(verb)
    result.save(tmp_path / "kept")

    for page in (tmp_path / "kept").rglob("report.html"):
        seen = html.unescape(page.read_text())
        assert result.call in seen
        assert "How to repeat it" in seen
        assert "--max-queries" not in re.sub(r'base64,[^"]*', "", seen)


def test_a_probe_from_python_names_no_option_of_a_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its record nor its picture does, whatever it advises; those of a command do."""
    drawn: list[str] = []
    monkeypatch.setattr(probe_figure, "_write", lambda _, lines, *__, **___: drawn.extend(lines))
    flat = function.connect(lambda _: [0.5, 0.5], classes="left|right", version="1")
    called = replace(bbquery.probe(PHOTO, flat, score="soft", max_queries=30), unsuited={"text": "give --score soft"})

    for result, named in ((called, False), (replace(called, call=""), True)):
        drawn.clear()
        record = probe.record(result, command=(), source="", following=(), files={}).decode()
        probe.picture(result)
        for said in (record, " ".join(drawn)):
            assert ("--target" in said) is named
        assert ("--score" in record) is named


def test_a_page_of_which_nobody_knows_the_call_has_no_empty_section(tmp_path: Path) -> None:
    """A result that a program made by itself leaves the section out."""
    explanation_of(map_of(np.eye(12, 16))).save(tmp_path / "kept")

    assert "How to repeat it" not in (tmp_path / "kept" / "report.html").read_text()


@pytest.mark.parametrize("verb", CALLS)
def test_a_result_is_plain_data(verb: str) -> None:
    """`to_dict` has the content of the record, and JSON can hold it."""
    plain = found(verb).to_dict()

    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert (plain["verb"], plain["status"], plain["image"]["source"]) == (verb, "complete", "photo.png")


def test_many_photos_are_kept_as_the_command_keeps_them(tmp_path: Path) -> None:
    """`save_many` writes a folder of each as it comes, and the page on all, with the call in place of a command."""
    PIL.Image.fromarray(255 - PHOTO).save("other.png")
    options = ["--method", "rise:cells=3", "--max-queries", "40", "--out", "by-command"]
    assert cli.main(["explain", "photo.png", "other.png", "--oracle", SIDES, *options]) == 0

    results = bbquery.explain_many(["photo.png", "other.png"], SIDES, method="rise:cells=3", max_queries=40)
    page = bbquery.save_many(results, "by-python")

    there, here = files_of(tmp_path / "by-command"), files_of(tmp_path / "by-python")
    assert set(there) == {name for name in here if not re.search(r"/\.bbquery-run$", name)}
    assert all(there[name].read_bytes() == here[name].read_bytes() for name in here if name.endswith((".png", ".npy")))
    seen = html.unescape(page.read_text())
    assert "2 photos" in seen
    assert "found = bbquery.explain_many(" in seen
    assert 'href="./photo/report.html"' in seen


def test_many_attacks_are_kept_as_the_command_keeps_them(tmp_path: Path) -> None:
    """`save_many` writes a folder of each attack on each photo, the tables, and the page on all, with the call."""
    PIL.Image.fromarray(255 - PHOTO).save("other.png")
    attack, cap = "lr_mifgsm:cells=4,lr_mifgsm:cells=2", 150
    options = ["--attack", attack, "--score", "label", "--max-queries-per-attack", str(cap), "--out", "by-command"]
    assert cli.main(["attack", "photo.png", "other.png", "--oracle", SIDES, *options, "--yes"]) == 0

    results = bbquery.attack_many(
        ["photo.png", "other.png"], SIDES, attack=attack, score="label", max_queries_per_attack=cap
    )
    page = bbquery.save_many(results, tmp_path / "by-python")

    there, here = files_of(tmp_path / "by-command"), files_of(tmp_path / "by-python")
    assert set(there) == {name for name in here if not re.search(r"/\.bbquery-run$", name)}
    for name in ("table.md", "table.csv", "distance.png"):
        assert there[name].read_bytes() == here[name].read_bytes()
    said, own = (json.loads(files["attacks.json"].read_bytes()) for files in (there, here))
    assert own["command"] == []
    assert (own["run"], own["images"], own["results"]) == (said["run"], said["images"], said["results"])
    assert page.name == "index.html"
    seen = html.unescape(page.read_text())
    assert "4 attacks on photos" in seen
    assert "found = bbquery.attack_many(" in seen
    assert 'href="./other/lr_mifgsm~2/report.html"' in seen


def test_what_is_no_series_is_not_kept(tmp_path: Path) -> None:
    """One result, none, or files of somebody else's are refused with what to do, and a run that was begun is closed."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    begun = bbquery.explain_many(["photo.png"], SIDES, method="rise:cells=3", max_queries=20)

    with pytest.raises(UsageError, match=r"thesis\.txt.*choose another folder, or take this one with force"):
        bbquery.save_many(begun, tmp_path / "mine")
    assert list(begun) == []
    several: list[Any] = [found("explain"), 3, [found("explain")]]
    for wrong in several:
        with pytest.raises(UsageError, match=r"results must be those of bbquery\.explain_many or bbquery\.attack_many"):
            bbquery.save_many(wrong, tmp_path / "own")
    with pytest.raises(UsageError, match="no result"):
        bbquery.save_many([], tmp_path / "own")


def test_one_of_several_results_is_shown() -> None:
    """An image, an attack and a method of several have their name, how they ended, and what they found or why not."""
    options: dict[str, Any] = {"max_queries": 16, "method": "rise:cells=3"}
    (image,) = bbquery.explain_many(["photo.png"], SIDES, **options)
    (failed,) = bbquery.explain_many(["photo.png"], lambda _: None, **options)
    (attacked,) = bbquery.attack_many(["photo.png"], SIDES, attack="lr_mifgsm:cells=4", score="label", max_queries=300)
    compared = found("compare").results[0]

    for result, said in (
        (image, "photo: complete"),
        (attacked, "photo/lr_mifgsm"),
        (compared, "rise:cells=3: complete"),
    ):
        assert said in result._repr_html_()
        assert 'src="data:image/' in result._repr_html_()
    assert "photo: failed" in failed._repr_html_()
    assert "gave no answer" in failed._repr_html_()


def test_a_map_is_an_array_by_the_name_of_its_target() -> None:
    """The targets are given by the result, to loops and to completion; another name is told which there are."""
    explanation = bbquery.explain(
        PHOTO, sides, classes="left|right", target=["right", "left"], method="rise:cells=3", max_queries=10
    )

    assert list(explanation) == explanation._ipython_key_completions_() == ["right", "left"]
    assert explanation["left"] is explanation.maps[1].values
    assert "left" in explanation
    with pytest.raises(UnknownName, match="known: right, left"):
        explanation["top"]


def test_one_target_of_several_is_shown_plotted_and_kept_alone(tmp_path: Path) -> None:
    """By its name or its place; the noise that was measured with the first target's score is not that of another."""
    both = bbquery.explain(
        PHOTO, sides, classes="left|right", target=["right", "left"], method="rise:cells=3", max_queries=30
    )

    left = both.only("left")

    assert left.maps == both.only(1).maps == both.maps[1:]
    assert "“left”" in left.plot().get_title(loc="left")
    assert left._repr_html_().count("<img") == 2
    assert {path.name for path in left.save(tmp_path / "left")} == {"left.npy", "left.png", "run.json", "report.html"}
    assert both.only("right").drift == both.drift
    assert np.isnan(left.drift.noise)
    for wrong in ("top", 2, -1):
        with pytest.raises(UnknownName, match="known: right, left"):
            both.only(wrong)


def test_a_result_is_not_written_over_another(tmp_path: Path) -> None:
    """A folder with files of something else is refused, unless that is wanted; the same result is written again."""
    result = found("explain")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")

    with pytest.raises(UsageError, match=r"thesis\.txt"):
        result.save(tmp_path / "mine")

    assert result.save(tmp_path / "own") == result.save(str(tmp_path / "own"))
    assert result.save(tmp_path / "mine", force=True)


def test_what_is_no_folder_and_no_axes_is_refused() -> None:
    """A mistake in what a result is asked to do is one sentence."""
    result: Any = explanation_of(map_of(np.eye(12, 16)))

    with pytest.raises(UsageError, match="folder must be the path of a folder, not None"):
        result.save(None)
    with pytest.raises(UsageError, match="ax must be axes of matplotlib"):
        result.plot(3)


def test_a_harmful_label_is_text() -> None:
    """A label that holds HTML, or what a terminal obeys, is shown letter by letter."""
    harmful = map_of(np.eye(12, 16), target=HARMFUL, names=(HARMFUL, "\x1b[2J", "lynx"))
    explanation = explanation_of(harmful, names=(HARMFUL, "\x1b[2J", "lynx"))

    cell = explanation._repr_html_()

    assert "<img src=x" not in cell
    assert "&lt;img src=x onerror=alert(1)&gt;" in cell
    assert "\x1b" not in cell + repr(explanation) + repr(harmful)
    assert len(repr(explanation)) < 200


def test_verified_facts_are_shown() -> None:
    """What was asked of parts of the photo by themselves stands beside the estimate."""
    part = Part(0.12, PHOTO, np.ones((16, 20), bool), (), "12 % of the photo is enough", 0.4)
    verified = map_of(np.eye(12, 16), verified=Verified(part, None, 9, "mean", ""))

    assert "12 % of the photo is enough" in explanation_of(verified)._repr_html_()


@pytest.mark.parametrize("letters", ["x" * 500, "a\nb" * 100])
def test_a_line_stays_a_line(letters: str) -> None:
    """However long a label is, and whatever it holds, a result is one line of fewer than 200 characters."""
    found = map_of(np.eye(12, 16), target=letters, names=(letters, "tabby", "lynx"))

    for shown in (repr(found), repr(explanation_of(found, found, found, found, names=(letters, "tabby", "lynx")))):
        assert "\n" not in shown
        assert len(shown) < 200


@pytest.fixture
def without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no module of matplotlib be imported, nor one of ours that needs it."""
    import sys

    imported = builtins.__import__

    def refusing(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(name)
        return imported(name, *rest)

    drawing = re.compile(r"matplotlib|bbquery\.report\.(figure|axes|.*_figure|tiles)$")
    for module in [name for name in sys.modules if drawing.match(name)]:
        monkeypatch.delitem(sys.modules, module)
    import bbquery.report

    for part in ("figure", "axes", "tiles", "curves_figure", "attack_figure", "probe_figure", "agreement_figure"):
        monkeypatch.delattr(bbquery.report, part, raising=False)
    monkeypatch.setattr(builtins, "__import__", refusing)


@pytest.mark.usefixtures("without_matplotlib")
def test_without_matplotlib_a_cell_has_words_and_a_plot_says_what_is_missing() -> None:
    """Figures are shown all the same, with the extra that brings the picture; a plot raises with its name."""
    explanation = explanation_of(map_of(np.eye(12, 16)))

    cell = explanation._repr_html_()

    assert "tiger cat" in cell
    assert "<img" not in cell
    assert "bbquery[report]" in cell
    with pytest.raises(MissingExtra, match=r"bbquery\[report\]"):
        explanation.plot()


def test_a_cell_never_ends_in_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever fails while a result is shown, its line is."""
    explanation = explanation_of(map_of(np.eye(12, 16)))
    monkeypatch.setattr("bbquery.report.presenting.map_pixels", lambda *_: 1 // 0)

    cell = explanation._repr_html_()

    assert "&lt;Explanation" in cell
    assert "division" in cell


def test_a_plot_of_its_own_is_a_figure_of_pyplot() -> None:
    """Without axes there is a new figure, which a notebook shows; several targets are side by side in it."""
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    axes = explanation_of(map_of(np.eye(12, 16)), map_of(np.eye(12, 16), target="tabby")).plot()

    assert len(pyplot.get_fignums()) == len(before) + 1
    assert len(axes.child_axes) == 2
    pyplot.close()


@pytest.mark.parametrize("model", [lambda image: [0.5, 0.5]])
def test_a_result_that_says_nothing_is_shown_too(model: Callable[..., list[float]]) -> None:
    """A constant map, and an attack that found nothing, have their words, their picture and their axes."""
    from matplotlib.figure import Figure

    oracle = function.connect(model, classes="left|right", version="1")
    flat = bbquery.explain(PHOTO, oracle, method="rise:cells=3", max_queries=10)
    stress = bbquery.attack(PHOTO, oracle, attack="lr_mifgsm:cells=4", score="label", max_queries=300)

    for result in (flat, stress):
        assert "It cannot be shown" not in result._repr_html_()
        result.plot(Figure().subplots())
