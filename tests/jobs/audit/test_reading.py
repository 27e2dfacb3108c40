"""Plans are read from files, dictionaries and objects; what is wrong with one is said with file, line and key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bbquery.errors import UsageError
from bbquery.jobs.audit import reading
from bbquery.jobs.audit.plan import OraclePlan, Photos, Plan

TEXT = """
name = "shop"
photos = { from = ["photos/"] }
oracles = [{ name = "own", oracle = "efficientnet" }]
"""
LIKEWISE: dict[str, Any] = {
    "name": "shop",
    "photos": {"from": [Path("photos")]},
    "oracles": [{"name": "own", "oracle": "efficientnet"}],
}
TWO = [{"name": "own", "oracle": "efficientnet"}, {"name": "other", "oracle": "efficientnet"}]
UNWATCHED = [{**each, "drift_every": 0} for each in TWO]
EACH = [{**TWO[0], "target": "each"}, TWO[1]]
OTHER = '[[oracles]]\nname = "b"\n'
KEY = "sk-abcdefghijklmnopqrstuvwxyz"


def faults(tmp_path: Path, text: str) -> list[str]:
    """Return what is said of a plan file called plan.toml, one fault each, without the folder."""
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as refused:
        reading.read(path)
    return str(refused.value).replace(f"{tmp_path}/", "").split("\n")


def test_a_file_a_dictionary_and_an_object_are_one_plan(tmp_path: Path) -> None:
    """The same plan comes of a file, a dictionary and a plan; only the file has a path, and a folder of its own."""
    (tmp_path / "plan.toml").write_text(TEXT.replace("photos/", "photos"))

    filed, spoken = reading.read(tmp_path / "plan.toml"), reading.read(LIKEWISE)

    assert filed.plan == spoken.plan == reading.read(spoken.plan).plan
    assert (filed.folder, spoken.path) == (tmp_path.resolve(), None)


def test_every_fault_is_said_at_once_with_its_line_and_the_nearest_key(tmp_path: Path) -> None:
    """Unknown and missing keys, wrong types and numbers out of range are in one message, in order of their lines."""
    text = """
photos = { from = ["a.jpg"], ordr = "random" }
[[oracles]]
name = "own"
oracle = "efficientnet"
[[oracles]]
name = "other"
oracle = 3
max_usd = -1
[explain]
max_querys = 5
order = "random"
[attack]
rmse = [
  0.1,
  2,
]
"""

    assert faults(tmp_path, text) == [
        "plan.toml:1: lacks name: a name of up to 60 letters, digits, hyphens, dots and underscores, a letter or digit "
        "first",
        "plan.toml:2: photos.ordr: no such key; did you mean 'order'?",
        "plan.toml:8: oracles[1].oracle: must be text, not 3",
        "plan.toml:9: oracles[1].max_usd: must be dollars above 0, a number or the same as text, not -1",
        "plan.toml:11: explain.max_querys: no such key; did you mean 'max_queries'?",
        "plan.toml:12: explain.order: no such key here; it belongs into [photos]",
        "plan.toml:16: attack.rmse[1]: must be a number above 0 and up to 1, not 2",
    ]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('[explain]\nmethods = ["designd"]', "explain.methods[0]: unknown method 'designd'; did you mean 'designed'?"),
        ('[explain]\nmethods = ["rise:cels=3"]', "unknown option of 'rise' 'cels'; did you mean 'cells'?"),
        ('[explain]\nmetrics = ["gird_pointing"]', "unknown metric 'gird_pointing'; did you mean 'grid_pointing'?"),
        ('[explain]\nmetrics = ["grid_pointing"]', "grid_pointing needs photos of other things, which an audit"),
        ('[explain]\nmetrics = ["repeatability"]', "repeatability needs the method and the seed that made the map"),
        ('[attack]\nattacks = ["lr_boundry"]', "attack.attacks[0]: unknown attack 'lr_boundry'; 'lr_boundary'?"),
        (OTHER + 'oracle = "opnai"', "oracles[1].oracle: unknown oracle 'opnai'; mean 'openai'?"),
        (OTHER + 'oracle = "openai:promt=x"', "unknown option of 'openai' 'promt'; mean 'prompt'?"),
        (OTHER + 'oracle = "onnx"', "needs the option model"),
        (OTHER + 'oracle = "efficientnet"\nscore = "sotf"', "unknown score 'sotf'; mean 'soft'?"),
        (OTHER + 'oracle = "efficientnet"\nlongest_wait = "1 week"', 'must be seconds, or such as "15m"'),
        ('[photos]\nfrom = []', "photos.from: must be a list of at least 1, each item text, not an empty list"),
        ('[photos]\nfrom = ["a"]\norder = "rnadom"', "must be 'given' or 'random', not 'rnadom'; mean 'random'?"),
        ("[repeat]\ntimes = 1", "repeat.times: must be a whole number from 2 to 1000, not 1"),
        ("[caps]\nmax_hours = 0", "caps.max_hours: must be a number above 0 and up to 100000, not 0"),
        ("[caps]\nmax_hours = inf", "caps.max_hours: must be a number above 0 and up to 100000, not inf"),
        ("[caps]\nmax_queries = 9000000000000000001", "caps.max_queries: must be at most 9000000000000000000, not 9"),
        ("[explain]\nmax_queries = 100000001", "explain.max_queries: must be at most 100000000, not 100000001"),
        ("[attack]\nmax_queries = 99999999999999999999", "attack.max_queries: must be at most 100000000, not 99"),
        ("[caps.photo]\nmax_usd = nan", "caps.photo.max_usd: must be dollars above 0"),
        ("[gates]\nno_drift = 1", "gates.no_drift: must be true or false, not 1"),
        ("[gates]\nmin_robust_share = { rmse = 0.1 }", "gates.min_robust_share: lacks share: a number from 0 to 1"),
        ('oracle = "x"', "oracle: no such key; did you mean 'oracles'?"),
    ],
)  # fmt: skip
def test_names_and_values_are_checked_before_anything_is_asked(tmp_path: Path, table: str, said: str) -> None:
    """An unknown name, option or choice, and a number out of range, is refused, each with what was probably meant."""
    head = 'name = "a"\n' + ("" if table.startswith("[photos]") else 'photos.from = ["a.jpg"]\n')
    own = '[[oracles]]\nname = "own"\noracle = "efficientnet"\n'
    text = f"{head}{table}\n{own}" if table.startswith("oracle") else f"{head}{own}{table}\n"

    (fault,) = faults(tmp_path, text)

    assert all(part in fault for part in said.split("; "))


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ({"gates": {"min_fidelity": 0.2}}, "gates.min_fidelity: nothing measures fidelity: it needs the metric srg"),
        ({"gates": {"min_fidelity": 0.2}, "explain": {"metrics": ["aopc"]}}, "nothing measures fidelity"),
        ({"gates": {"max_label_flips": 0}}, "gates.max_label_flips: no photo is asked again: it needs [repeat]"),
        ({"gates": {"min_robust_share": {"rmse": 0.1, "share": 1}}}, "nothing is attacked: it needs [attack]"),
        (
            {"gates": {"min_robust_share": {"rmse": 0.2, "share": 1}}, "attack": {}},
            "gates.min_robust_share.rmse: 0.2 is none of [attack] rmse: 0.1, 0.05, 0.01",
        ),
        (
            {"gates": {"agreement_between": {"oracles": ["own", "othr"], "labels": 1}}},
            "gates.agreement_between.oracles[1]: no oracle is called 'othr'; did you mean 'other'?",
        ),
        ({"gates": {"agreement_between": {"oracles": ["own", "own"], "labels": 1}}}, "'own' is given twice"),
        ({"gates": {"agreement_between": {"oracles": ["own", "other"]}}}, "nothing is to agree"),
        ({"gates": {"agreement_between": {"oracles": ["own", "other"], "maps": 0}}}, "it needs [explain]"),
        ({"gates": {"no_drift": True}, "explain": {}, "oracles": UNWATCHED}, "drift_every is 0 for every oracle"),
        ({"gates": {"no_drift": True}}, "gates.no_drift: nothing looks for drift: it needs [explain] or [attack]"),
        ({"oracles": [TWO[0], {**TWO[1], "name": "OWN"}]}, "oracles[1].name: oracles[0] is called 'OWN' too"),
        (
            {"oracles": [TWO[0], {**TWO[1], "name": "Report.html"}]},
            "oracles[1].name: the audit writes a file Report.html: give the oracle another name",
        ),
        ({"oracles": EACH, "attack": {"rmse": [0.1]}}, "oracles[0].target: 'each' is for maps, and an attack"),
        ({"oracles": EACH, "explain": {"metrics": ["srg"]}}, "maps of 'each' cannot be measured: leave out metrics"),
        ({"oracles": [{**TWO[0], "target": "each:99"}, TWO[1]]}, "give 1 to 32 maps"),
        ({"name": "shop\n"}, "name: must be a name of up to 60 letters"),
        ({"explain": {"methods": ["rise", "rise"]}}, "explain.methods[1]: 'rise' is given twice"),
        (
            {"oracles": [{"name": "own", "oracle": "efficientnet", "target": ["cat", "cat"]}]},
            "oracles[0].target[1]: 'cat' is given twice",
        ),
        ({"explain": {"verify": 3}}, "explain.verify: too few for a fact: give 5 or more, or 0 for none"),
        ({"caps": {"max_usd": "99999999"}}, "caps.max_usd: "),
    ],
)  # fmt: skip
def test_a_gate_that_judges_what_is_not_asked_is_refused(plan: dict[str, Any], said: str) -> None:
    """A gate needs what it judges, an oracle its own name; money spent without that would be spent in vain."""
    with pytest.raises(UsageError) as refused:
        reading.read({**LIKEWISE, "oracles": TWO, **plan})

    assert said in str(refused.value).removeprefix("plan: ")


@pytest.mark.parametrize(
    "where",
    [
        {"api_key": "anything"},
        {"key": KEY},
        {"score": KEY},
        {"oracle": f"http:url=http://127.0.0.1,key_env={KEY}"},
        {"oracle": "http:url=http://me:secret-7f3a@127.0.0.1"},
        {"target": ["cat", f"Bearer {KEY}"]},
    ],
)
def test_a_key_in_a_plan_is_refused_and_not_shown(where: dict[str, Any]) -> None:
    """What looks like a key, or is called one, is refused wherever it stands, and its value is in no message."""
    with pytest.raises(UsageError, match="a plan holds no keys") as refused:
        reading.read({**LIKEWISE, "oracles": [{**TWO[0], **where}]})

    assert "abcdefghij" not in str(refused.value)
    assert "7f3a" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('name = "a"\nphotos = ', "plan.toml:2: this is not TOML: Invalid value"),
        ('name = "a"\nname = "b"\n', "plan.toml:2: this is not TOML: Cannot overwrite a value"),
        ("x." * 30_000 + "y = 1", "plan.toml: brackets or dotted keys nest deeper than 16: no plan does"),
        ("x = " + "[" * 30_000, "plan.toml: brackets or dotted keys nest deeper than 16: no plan does"),
        ("# " + "x" * 1_000_000, "plan.toml is larger than 1,000,000 bytes: no plan is"),
    ],
)
def test_a_file_that_is_no_plan_is_refused_at_once(tmp_path: Path, text: str, said: str) -> None:
    """Broken TOML is said with its line; what is too large or nests too deep never reaches the parser."""
    (fault,) = faults(tmp_path, text)

    assert said in fault


def test_a_file_that_is_not_utf_8_or_not_there_is_refused(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 are said with their line, a missing file with its name."""
    (tmp_path / "plan.toml").write_bytes(b'name = "a"\n# caf\xe9\n')

    with pytest.raises(UsageError, match=r"plan\.toml:2: this is not UTF-8"):
        reading.read(tmp_path / "plan.toml")
    with pytest.raises(UsageError, match=r"cannot read .*none\.toml \(No such file"):
        reading.read(tmp_path / "none.toml")


def test_a_plan_that_was_made_in_python_is_checked_too() -> None:
    """A plan's constructor checks no types; reading it does."""
    plan = Plan(name="a", photos=Photos(from_=()), oracles=(OraclePlan(name="own", oracle="efficientnt"),))

    with pytest.raises(UsageError, match="did you mean 'efficientnet'") as refused:
        reading.read(plan)

    assert "photos.from: must be a list of at least 1" in str(refused.value)


def test_many_faults_are_cut_and_counted(tmp_path: Path) -> None:
    """Of a thousand faults twenty are said, and how many more there are."""
    said = faults(tmp_path, TEXT + "".join(f"k{number} = 1\n" for number in range(1000)))

    assert len(said) == 21
    assert said[-1] == "and 980 more"
