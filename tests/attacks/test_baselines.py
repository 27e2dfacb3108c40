"""What the baselines promise beyond every attack: those that have the option `eight_bit`, taken from the list."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from bbquery import load
from bbquery.plan import Ask, replay
from bbquery.types import FLOAT, UINT8, Domain, Scores
from tests.support.known_boundaries import plane


def is_baseline(name: str) -> bool:
    attack: Any = load.attack(name)
    return "eight_bit" in {field.name for field in dataclasses.fields(attack)}


BASELINES = [name for name in load.names("attack") if is_baseline(name)]


def asked(specification: str, domain: Domain, queries: int) -> Any:
    """Return every image that an attack asks at a plane."""
    boundary, images = plane(0), list[Any]()

    def answer(ask: Ask) -> Scores:
        images.extend(ask.images[row].copy() for row in range(len(ask.images)))
        return boundary(ask)

    attack = load.attack(specification, queries=queries)
    replay(attack.plan(domain.realise(boundary.photo), domain, 0, start=domain.realise(boundary.start)), answer)
    return np.stack(images)


def test_there_are_baselines() -> None:
    """The enumeration finds some, so that the tests below test something."""
    assert {"boundary", "geoda", "hsja", "qeba"} <= set(BASELINES)


@pytest.mark.parametrize("name", BASELINES)
def test_a_short_run_is_the_beginning_of_a_long_one(name: str) -> None:
    """Nothing depends on how many queries there are, so at any count a long run is as near as a short one."""
    assert np.array_equal(asked(name, UINT8, 250), asked(name, UINT8, 600)[:250])


@pytest.mark.parametrize("name", BASELINES)
def test_awareness_of_rounding_is_for_rounded_pixels(name: str) -> None:
    """On floats an attack is as published, to the bit, whatever `eight_bit` says."""
    assert np.array_equal(asked(name, FLOAT, 250), asked(f"{name}:eight_bit=false", FLOAT, 250))
