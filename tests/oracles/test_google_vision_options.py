"""The google_vision oracle: its options, what it says of itself, and what it costs."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, get_args

import pytest

from bbquery import load
from bbquery.errors import MissingExtra, UnknownName, UsageError
from bbquery.oracle import Limits, Quote, View
from bbquery.units import Units
from oracles._google_vision.endpoint import ServiceHost, checked_endpoint
from oracles._google_vision.features import CATEGORIES, Feature
from oracles.google_vision import connect
from tests.support.images import tiny_images
from tests.support.paths import ROOT

PRICES = {"OBJECT_LOCALIZATION": 2.25, "WEB_DETECTION": 3.50}
PLACED = ("OBJECT_LOCALIZATION", "FACE_DETECTION", "LANDMARK_DETECTION", "LOGO_DETECTION")

# --- what it says of itself ---


def test_it_says_what_it_is() -> None:
    """Labels from a remote, paid service of unknown version, at Google's published limits."""
    capabilities = connect().capabilities

    assert (capabilities.name, capabilities.answers, capabilities.classes) == ("google_vision", "labels", None)
    assert capabilities.remote
    assert not capabilities.price.free
    assert capabilities.price.source == "cloud.google.com/vision/pricing, 2026-04-13"
    assert capabilities.view == View(size=None, crop=None)
    assert capabilities.limits == Limits(
        largest_batch=16, concurrency=16, adaptive=True, requests_per_minute=1800, timeout=60
    )
    assert capabilities.provider == "google_vision vision.googleapis.com"


def test_everything_that_decides_an_answer_is_its_identity() -> None:
    """Feature, number of results, model, endpoint, encoder and adapter; nothing else, and no key."""
    assert connect().capabilities.identity == {
        "oracle": "google_vision",
        "adapter": 1,
        "encoder": "png",
        "endpoint": "vision.googleapis.com",
        "feature": "LABEL_DETECTION",
        "max_results": 10,
        "model": "builtin/stable",
    }


@pytest.mark.parametrize(
    "option",
    [
        {"feature": "WEB_DETECTION"},
        {"max_results": 20},
        {"model": "builtin/latest"},
        {"endpoint": "eu-vision.googleapis.com"},
    ],
)
def test_another_question_has_another_identity(option: dict[str, Any]) -> None:
    """Answers to different questions are never mistaken for each other."""
    assert connect(**option).capabilities.identity != connect().capabilities.identity


def test_features_share_the_quota_of_requests() -> None:
    """Google counts a project's requests whatever they ask for, so all features share one pace."""
    assert connect(feature="WEB_DETECTION").capabilities.provider == connect().capabilities.provider


def test_limits_and_size_can_be_given() -> None:
    """Options reach the capabilities."""
    capabilities = connect(
        height=240, width=320, largest_batch=4, concurrency=2, requests_per_minute=600, timeout=9
    ).capabilities

    assert capabilities.view.size == (240, 320)
    assert capabilities.limits == Limits(
        largest_batch=4, concurrency=2, adaptive=True, requests_per_minute=600, timeout=9
    )


def test_its_repr_is_a_call() -> None:
    """The repr says how to make it again."""
    assert repr(connect(feature="WEB_DETECTION", endpoint="localhost:80")) == (
        "oracles.google_vision.connect(feature='WEB_DETECTION', max_results=10, model='builtin/stable', "
        "endpoint='127.0.0.1:80')"
    )


async def test_it_is_found_by_name() -> None:
    """The command line's specification reaches the options."""
    oracle = await load.oracle("google_vision:feature=WEB_DETECTION,max_results=3,usd_per_thousand=2")

    assert oracle.capabilities.identity["max_results"] == 3
    assert oracle.quote(b"").worst.picodollars == 2_000_000_000


def test_each_feature_says_what_it_answers() -> None:
    """Texts or labels, with boxes where things are placed, and with all names where there are but a few."""
    said = {feature: connect(feature=feature).capabilities for feature in get_args(Feature)}

    assert {name for name, one in said.items() if one.answers == "text"} == {
        "TEXT_DETECTION",
        "DOCUMENT_TEXT_DETECTION",
    }
    assert {name for name, one in said.items() if one.boxes} == set(PLACED)
    closed = {name: one.classes for name, one in said.items() if one.classes is not None}
    assert set(closed) == {"SAFE_SEARCH_DETECTION", "FACE_DETECTION"}
    assert closed["SAFE_SEARCH_DETECTION"].names == tuple((name,) for name in CATEGORIES)
    assert closed["FACE_DETECTION"].find("under exposed") == closed["FACE_DETECTION"].find("under_exposed")


def test_answers_that_older_versions_kept_are_found_unless_they_lack_boxes() -> None:
    """Labels and web entities are read as ever, so their keys stay; objects are asked anew, for their boxes."""
    adapters = {feature: connect(feature=feature).capabilities.identity["adapter"] for feature in get_args(Feature)}

    assert adapters == dict.fromkeys(get_args(Feature), 1) | {"OBJECT_LOCALIZATION": 2}


# --- what it costs ---


@pytest.mark.parametrize(
    ("feature", "thousand"), [(feature, PRICES.get(feature, 1.50)) for feature in get_args(Feature)]
)
def test_an_image_costs_the_published_price(feature: Any, thousand: float) -> None:
    """The vendor's prices in dollars for a thousand images; worst and expected are the same, and no tokens."""
    oracle = connect(feature=feature)
    cost = Units(queries=1, tokens=0, picodollars=round(thousand * 10**9))

    assert oracle.quote(oracle.encode(tiny_images(1)[0])) == Quote(worst=cost, expected=cost)


@pytest.mark.parametrize(
    ("stated", "picodollars"), [("1.20", 1_200_000_000), (1.2, 1_200_000_000), ("0", 0), (0, 0), ("0.0000000011", 2)]
)
def test_a_price_of_ones_own_replaces_it(stated: Any, picodollars: int) -> None:
    """Dollars for a thousand images, exact, rounded up at the last place; zero only where it is stated."""
    oracle = connect(usd_per_thousand=stated)

    assert oracle.quote(b"").worst == Units(queries=1, picodollars=picodollars)
    assert oracle.capabilities.price.source == "the option usd_per_thousand"
    assert not oracle.capabilities.price.free


# --- options that cannot be used ---


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"max_results": 0}, "max_results must be at least 1, not 0"),
        ({"largest_batch": 0}, "largest_batch must be at least 1, not 0"),
        ({"largest_batch": 17}, "largest_batch must be at most 16"),
        ({"concurrency": 0}, "concurrency must be at least 1, not 0"),
        ({"requests_per_minute": 0}, "requests_per_minute must be above 0 and finite, not 0"),
        ({"timeout": float("inf")}, "timeout must be above 0 and finite, not inf"),
        ({"timeout": float("nan")}, "timeout must be above 0 and finite, not nan"),
        ({"height": 10}, "give height and width, or neither"),
        ({"width": 10}, "give height and width, or neither"),
        ({"height": 0, "width": 10}, "height must be at least 1, not 0"),
        ({"usd_per_thousand": "much"}, "'much' is not an amount of dollars"),
        ({"usd_per_thousand": -1}, "-1"),
    ],
)
def test_a_bad_option_is_named(options: dict[str, Any], fault: str) -> None:
    """Each is refused with its value and what it may be."""
    with pytest.raises(UsageError, match=fault):
        connect(**options)


@pytest.mark.parametrize("options", [{"feature": "CROP_HINTS"}, {"model": "builtin/weekly"}])
def test_choices_are_listed(options: dict[str, Any]) -> None:
    """An unknown choice is answered with the known ones."""
    with pytest.raises(UnknownName, match=r"LABEL_DETECTION|builtin/stable"):
        connect(**options)


# --- endpoints ---


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        (None, ServiceHost("vision.googleapis.com", local=False)),
        ("eu-vision.googleapis.com", ServiceHost("eu-vision.googleapis.com", local=False)),
        ("https://us-vision.googleapis.com/", ServiceHost("us-vision.googleapis.com", local=False)),
        ("vision.googleapis.com:443", ServiceHost("vision.googleapis.com", local=False)),
        ("127.0.0.1:80", ServiceHost("127.0.0.1:80", local=True)),
        ("http://127.0.0.1:80", ServiceHost("127.0.0.1:80", local=True)),
        ("localhost:80", ServiceHost("127.0.0.1:80", local=True)),
        ("[::1]:80", ServiceHost("[::1]:80", local=True)),
    ],
)
def test_google_and_this_machine_are_endpoints(text: str | None, endpoint: ServiceHost) -> None:
    """Google's hosts get credentials, this machine gets none."""
    assert checked_endpoint(text) == endpoint


@pytest.mark.parametrize(
    "text",
    [
        "http://vision.googleapis.com",  # credentials never travel unencrypted
        "http://example.com:80",
        "example.com",
        "vision.googleapis.com.example.com",
        "googleapis.com",
        "10.0.0.1:80",
        "127.0.0.1",
        "127.0.0.1.example.com:80",
        "https://127.0.0.1:80",
        "vision.googleapis.com:80",
        "https://vision.googleapis.com/v1",
        "127.0.0.1:80?key=secret",
        "key@vision.googleapis.com",
        "[::1",
        "127.0.0.1:99999",
        "",
    ],
)
def test_anything_else_is_no_endpoint(text: str) -> None:
    """Credentials go to Google alone, and images without encryption stay on this machine; no key is echoed."""
    with pytest.raises(UsageError, match=r"endpoint|credentials never travel") as caught:
        checked_endpoint(text)

    assert "secret" not in str(caught.value)


# --- imports ---


def python(program: str, *flags: str) -> str:
    """Run a program in a fresh interpreter and return what it prints."""
    done = subprocess.run(
        [sys.executable, *flags, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return done.stdout.strip() + done.stderr.strip()


def test_the_vendors_library_is_imported_when_connecting() -> None:
    """Importing the module costs nothing; connecting imports the library, without a single warning."""
    program = (
        "import sys, oracles.google_vision as g; before = {'grpc', 'google'} & set(sys.modules);"
        "g.connect(); print(before, 'grpc' in sys.modules)"
    )

    assert python(program, "-W", "error") == "set() True"


@pytest.mark.parametrize("module", ["oracles._google_vision.vendor", "oracles.emulators.google_vision"])
def test_a_missing_library_is_named_with_the_extra_that_brings_it(module: str) -> None:
    """Without google-cloud-vision the advice is the command that installs it."""
    program = (
        "import sys; sys.modules['grpc'] = None\n"
        "from bbquery.errors import MissingExtra\n"
        f"try:\n    import {module}\nexcept MissingExtra as error:\n    print(error.extra, error)"
    )

    assert MissingExtra.__name__
    assert "google-cloud-vision" in python(program)
    assert "pip install 'bbquery[google]'" in python(program)
