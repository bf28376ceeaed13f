"""Gains make up for zones that change less than they are asked to."""

from __future__ import annotations

import numpy as np
import pytest

from reage.training.amgan.calibration import MAX_ZONE_GAIN, to_zone_gains
from reage.zones import ZONES


def test_zones_that_do_not_change_get_the_largest_gain() -> None:
    assert to_zone_gains(np.zeros(len(ZONES))) == pytest.approx((MAX_ZONE_GAIN,) * len(ZONES))


def test_zones_that_change_get_smaller_gains_alike_on_both_sides() -> None:
    gains = dict(zip(ZONES, to_zone_gains(np.linspace(0.1, 1.2, len(ZONES))), strict=True))
    assert all(1 <= gain <= MAX_ZONE_GAIN for gain in gains.values())
    assert min(gains.values()) < 0.9 * MAX_ZONE_GAIN
    assert all(gain == gains[zone.replace("left", "right")] for zone, gain in gains.items())
