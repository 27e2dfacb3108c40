"""What an audit would cost, before anything is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import PIL.Image
import pytest

from bbquery.commands.audit_prospect import lines
from bbquery.errors import UsageError
from bbquery.images import reading as photo_reading
from bbquery.jobs.audit.prospect import Prospect, prospect
from bbquery.jobs.audit.reading import read
from tests.support.images import photo_of

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

CENT = 10**10  # picodollars
MODEL = "function:call=tests.support.models.corner,classes=corner|rest,version=1,usd_per_query=0.01"
PAID = {"name": "paid", "oracle": f"{MODEL},height=16,width=16"}
OWN_SIZE = {"name": "sized", "oracle": MODEL}
FREE = {"name": "free", "oracle": "function:call=tests.support.models.corner,classes=corner|rest,version=1"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: six photos of one size in photos/."""
    (tmp_path / "photos").mkdir()
    for number in range(6):
        PIL.Image.fromarray(photo_of()).save(tmp_path / "photos" / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def looked_at(*oracles: dict[str, Any], **tables: Any) -> Prospect:
    plan = {"name": "a", "photos": {"from": ["photos/"]}, "oracles": oracles, **tables}
    return await prospect(read(plan))


async def test_an_audit_that_only_asks_costs_what_its_questions_cost() -> None:
    """Of six photos, each asked three times and once for a lost answer, a cent a query: 24 cents at most, in both."""
    found = await looked_at(PAID, repeat={"times": 3})

    (paid,) = found.oracles
    assert (paid.photos, paid.queries) == (6, 24)
    assert paid.of_a_photo.picodollars == 4 * CENT
    assert paid.worst.picodollars == found.worst.picodollars == 24 * CENT
    assert paid.expected.picodollars <= paid.worst.picodollars


async def test_maps_metrics_and_attacks_are_added_up() -> None:
    """One photo is asked itself, each method its queries, its maps their metrics, and each attack its queries."""
    asked = (await looked_at(FREE)).oracles[0].of_a_photo.queries
    explained = (await looked_at(FREE, explain={"methods": ["rise", "lr"], "max_queries": 50})).oracles[0]
    measured = (await looked_at(FREE, explain={"max_queries": 50, "metrics": ["srg:steps=4"]})).oracles[0]
    attacked = (await looked_at(FREE, attack={"max_queries": 80})).oracles[0]

    assert asked == 1
    assert explained.of_a_photo.queries == 1 + 2 * 50
    assert measured.of_a_photo.queries > 1 + 50 + 2 * 4
    assert attacked.of_a_photo.queries == 1 + 80
    assert explained.worst.picodollars == 0


@pytest.mark.parametrize(
    ("caps", "admitted"),
    [
        ({}, 6), ({"max_usd": "0.24"}, 6), ({"max_usd": "0.23"}, 5), ({"max_queries": 11}, 2),
        ({"max_usd": "0.03"}, 0), ({"max_usd": "0.05", "photo": {"max_usd": "0.04"}}, 1),
    ],
)  # fmt: skip
async def test_caps_admit_whole_photos(caps: dict[str, Any], admitted: int) -> None:
    """Where a photo takes at most four cents, a cap admits as many photos as it holds four cents."""
    found = await looked_at(PAID, repeat={"times": 3}, caps=caps)

    assert found.oracles[0].at_worst == admitted


async def test_photos_that_may_take_more_than_one_is_allowed_are_told_and_cost_nothing() -> None:
    """Four cents where a photo is allowed three: none is begun, and the lines say so with both amounts."""
    found = await looked_at(PAID, repeat={"times": 3}, caps={"photo": {"max_usd": "0.03"}})

    (paid,) = found.oracles
    assert (paid.above, paid.photos, paid.at_worst, paid.queries) == (6, 0, 0, 0)
    assert paid.needed.picodollars == 4 * CENT
    said = "\n".join(lines(found))
    assert "paid: 6 of 6 photos are not begun: [caps.photo] allows $0.03, one may take $0.04" in said
    assert "nothing would be asked" in said


async def test_oracles_share_the_caps_of_the_whole_in_the_plans_order() -> None:
    """Photo by photo each oracle takes its share; an oracle's own cap ends it alone."""
    two = [PAID, {**PAID, "name": "other", "max_usd": "0.04"}]
    found = await looked_at(*two, repeat={"times": 3}, caps={"max_usd": "0.16"})

    assert [oracle.at_worst for oracle in found.oracles] == [3, 1]


async def test_a_damaged_photo_is_not_paid_for(folder: Path) -> None:
    """One whose header cannot be read is named with the reason; the others are asked."""
    (folder / "photos" / "3.png").write_bytes(b"no picture")

    found = await looked_at(PAID)

    assert list(found.damaged) == ["3"]
    assert "not a picture" in found.damaged["3"]
    assert (found.oracles[0].photos, len(found.photos.photos)) == (5, 6)


async def test_a_photo_is_looked_through_to_its_end_wherever_it_is_listed(folder: Path) -> None:
    """The last of seven, whose header is whole, is named with the reason, and nothing is counted of it."""
    PIL.Image.fromarray(photo_of()).save(folder / "photos" / "z.jpg")
    (folder / "photos" / "z.jpg").write_bytes((folder / "photos" / "z.jpg").read_bytes()[:-40])

    found = await looked_at(PAID)

    said = "\n".join(lines(found))
    assert "BEWARE       1 of them cannot be read, and are not paid for:\n" in said
    assert "             z: it is damaged, cut short" in said
    assert found.oracles[0].photos == 6


async def test_labels_that_an_oracle_does_not_know_are_said_with_their_lines(folder: Path) -> None:
    """Each with file and line, of every oracle; where the plan states the classes, it says that they can be added."""
    (folder / "list.csv").write_text("photo,label\nphotos/0.png,rest\nphotos/1.png,limpkin\nphotos/2.png,corners\n")
    maps = {"methods": ["rise"], "max_queries": 24, "verify": 0}
    own = {**FREE, "target": "{label}"}
    other = {**own, "name": "numbers", "oracle": FREE["oracle"].replace(",classes=corner|rest", "")}

    with pytest.raises(UsageError) as refused:
        await prospect(read({"name": "a", "photos": {"from": ["list.csv"]}, "oracles": [own, other], "explain": maps}))

    said = str(refused.value).split("\n")
    assert len(said) == 2, said
    assert "list.csv:3: oracle 'free': unknown label 'limpkin'; known: corner, rest" in said[0]
    assert said[0].endswith("correct it, or add it to classes= of oracle 'free'")
    assert "list.csv:4: oracle 'free': unknown label 'corners'" in said[1]


async def test_fewer_photos_fit_as_expected_than_at_worst_never(folder: Path) -> None:
    """Of two oracles in one cap, the dear one ends after one photo at worst, and leaves the cheap one more room."""
    dear = {**PAID, "name": "dear", "oracle": PAID["oracle"].replace("0.01", "0.04")}
    found = await looked_at(dear, PAID, repeat={"times": 3}, caps={"max_usd": "0.35"})

    assert all(oracle.at_worst <= oracle.as_expected for oracle in found.oracles)


async def test_one_photo_of_each_size_is_decoded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many photos there are, what a query costs is quoted of the first of each size that is sent."""
    PIL.Image.fromarray(photo_of(24)).save(folder / "photos" / "tall.png")
    (folder / "photos" / "0.png").write_bytes((folder / "photos" / "0.png").read_bytes()[:200])  # behind its header
    decoded, load = list[str](), photo_reading.load

    def noted(source: str) -> NDArray[np.uint8]:
        decoded.append(source.rpartition("/")[2])
        return load(source)

    monkeypatch.setattr(photo_reading, "load", noted)

    one = await looked_at(PAID)
    decoded_alike = decoded.copy()
    decoded.clear()
    each = await looked_at(OWN_SIZE)

    assert decoded_alike == ["1.png"]
    assert decoded == ["1.png", "tall.png"]
    assert one.oracles[0].photos == each.oracles[0].photos == 6


async def test_time_is_told_at_stated_limits() -> None:
    """Side by side, oracles take the longest of their times; nothing is said where no limits are known or stated."""
    unknown = await looked_at(FREE)
    slow = {**FREE, "requests_per_minute": 6}
    fast = {
        **FREE,
        "name": "fast",
        "requests_per_minute": 600,
        "oracle": FREE["oracle"].replace("version=1", "version=2"),
    }
    found = await looked_at(slow, fast)

    one, other = (oracle.seconds for oracle in found.oracles)
    assert unknown.seconds is None
    assert found.seconds == one
    assert one is not None
    assert 60 <= one <= 70  # six queries, a tenth of a minute each, and a margin
    assert other == pytest.approx(one / 100)


async def test_what_cannot_be_asked_is_said_of_every_oracle(folder: Path) -> None:
    """A target that a model does not know, and queries that are too few, are said with the oracle and its line."""
    head = 'name = "a"\nphotos.from = ["photos/"]\n[explain]\nmax_queries = 1\n'
    one = f'[[oracles]]\nname = "one"\noracle = "{MODEL}"\ntarget = "cat"\n'
    (folder / "plan.toml").write_text(f"{head}{one}{one.replace('one', 'two').replace('cat', 'rest')}")

    with pytest.raises(UsageError) as refused:
        await prospect(read("plan.toml"))

    assert [line.partition(": ")[0] for line in str(refused.value).split("\n")] == ["plan.toml:5", "plan.toml:9"]


async def test_photos_of_which_none_can_be_read_are_refused(folder: Path) -> None:
    """An audit of nothing is none."""
    for path in (folder / "photos").iterdir():
        path.write_bytes(b"")

    with pytest.raises(UsageError, match=r"photos\.from: of 6 photos none can be read; 0: "):
        await looked_at(PAID)


async def test_no_key_and_no_network_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A paid model behind a server that is not there is quoted without its key."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    server = "openai:model=gpt-4o-mini,classes=cat|dog,base_url=http://127.0.0.1:9/v1"
    gpt = {"name": "gpt", "oracle": server, "target": "cat"}

    found = await looked_at(gpt, explain={"max_queries": 40}, caps={"max_usd": 100})

    assert 0 < found.expected.picodollars <= found.worst.picodollars
    assert found.oracles[0].prices
