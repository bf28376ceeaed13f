"""How much more is done of each zone than is asked, for what it falls short."""

from __future__ import annotations

import numpy as np
import pytest

from reage.training.amgan.calibration import MOST, to_gains
from reage.zones import ZONES


def test_zones_that_do_not_move_get_the_most() -> None:
    assert to_gains(np.zeros(len(ZONES))) == pytest.approx((MOST,) * len(ZONES))


def test_zones_that_move_get_less_and_both_sides_the_same() -> None:
    gains = dict(zip(ZONES, to_gains(np.linspace(0.1, 1.2, len(ZONES))), strict=True))
    assert all(1 <= gain <= MOST for gain in gains.values())
    assert min(gains.values()) < 0.9 * MOST
    assert all(gain == gains[zone.replace("left", "right")] for zone, gain in gains.items())
