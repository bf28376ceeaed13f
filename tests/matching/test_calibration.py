"""What a similarity means."""

from __future__ import annotations

import pytest

from reage.matching.calibration import CALIBRATIONS, FALSE_MATCH_RATE, Calibration, find_calibration
from reage.matching.search import MATCHERS, MODES


def test_rates_fall_as_scores_rise() -> None:
    calibration = Calibration((0.1, 0.01, 0.001), (0.2, 0.4, 0.5))
    assert calibration.threshold == pytest.approx(0.5)
    assert calibration.false_match_rate(0.3) == pytest.approx(10**-1.5)
    assert calibration.false_match_rate(0.9) == pytest.approx(0.001)


@pytest.mark.parametrize("matcher", MATCHERS)
@pytest.mark.parametrize("mode", [*MODES, "photo"])
def test_shipped_recognizers_are_calibrated_for_every_way(matcher: str, mode: str) -> None:
    calibration = find_calibration(matcher, mode)
    assert calibration is not None
    assert list(calibration.rates) == sorted(calibration.rates, reverse=True)
    assert list(calibration.scores) == sorted(calibration.scores)
    assert FALSE_MATCH_RATE in calibration.rates


def test_others_are_not() -> None:
    assert find_calibration("mine", "direct") is None
    assert len(CALIBRATIONS) == len(MATCHERS) * (len(MODES) + 1)
