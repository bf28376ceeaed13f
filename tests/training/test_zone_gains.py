"""How far an engine moves zones, measured."""

from __future__ import annotations

import pytest

from reage.engines import load_engine
from reage.measure import Meter
from reage.training.zone_gains import MOST, measure_zone_gains
from reage.types import ZONES, Face
from reage.zone_scores import ZoneScorer


@pytest.fixture(scope="module")
def readers() -> tuple[Meter, ZoneScorer]:
    return Meter.load("age-a"), ZoneScorer.load("zones-a")


def test_an_engine_that_does_nothing_gets_the_most(face: Face, readers: tuple[Meter, ZoneScorer]) -> None:
    gains = measure_zone_gains(load_engine("identity"), [face], *readers)
    assert gains == pytest.approx((MOST,) * len(ZONES))


def test_an_engine_that_ages_zones_gets_less_and_both_sides_the_same(
    face: Face, readers: tuple[Meter, ZoneScorer]
) -> None:
    gains = dict(zip(ZONES, measure_zone_gains(load_engine("amgan"), [face], *readers), strict=True))
    assert all(1 <= gain <= MOST for gain in gains.values())
    assert min(gains.values()) < 0.9 * MOST
    assert all(gain == gains[zone.replace("left", "right")] for zone, gain in gains.items())
