"""Scales of a zone's change: the least one that measures the target score."""

from __future__ import annotations

import pytest

from reage.engines.ldla.change_scale import ChangeScaleConfig, find_change_scales
from reage.errors import EngineError


@pytest.mark.parametrize(
    ("target", "measured", "scale"),
    [
        (0.8, (0.6, 0.7, 0.8), 1.5),  # the largest reaches it
        (0.8, (0.9, 0.7, 0.6), 0.4),  # the least that reaches it, whatever larger ones do
        (0.8, (0.7, 0.6, 0.6), 0.5),  # none reaches it, this comes nearest
        (0.8, (0.5, 0.6, 0.7), 1.0),  # none reaches it, and a deep zone gets at most 1
        (0.7, (0.5, 0.55, 0.6), 1.5),  # none reaches it, but the zone is not deep
        (0.1, (0.3, 0.1, 0.0), 1.0),  # a fall
        (0.1, (0.4, 0.3, 0.2), 1.0),  # a fall that none reaches: beyond 1 thin frames go with the lines
        (0.1, (0.5, 0.6, 0.7), 0.5),  # the wrong direction: the least harm
        (0.4, (0.0, 0.0, 0.0), 0.0),  # the score is on target already
    ],
)
def test_the_least_scale_that_measures_the_target_is_found(
    target: float, measured: tuple[float, ...], scale: float
) -> None:
    config = ChangeScaleConfig(scales=(0.5, 1.0, 1.5), tolerance=0.0, deep_scale=1.0)
    scores = dict(zip(config.scales, measured, strict=True))
    targets = {"forehead": target}
    found = find_change_scales({"forehead": 0.4}, targets, lambda tried: {"forehead": scores[tried]}, config)
    assert found == {"forehead": pytest.approx(scale)}


def test_no_more_scales_are_measured_than_needed() -> None:
    tried: list[float] = []

    def measure(scale: float) -> dict[str, float]:
        tried.append(scale)
        return {"forehead": 0.4 + 0.4 * scale, "upper_lip": 0.6 - 0.6 * scale}

    config = ChangeScaleConfig(scales=(0.5, 0.75, 1.0), tolerance=0.03)
    scores, targets = {"forehead": 0.4, "upper_lip": 0.6}, {"forehead": 0.65, "upper_lip": 0.2}
    found = find_change_scales(scores, targets, measure, config)
    assert tried == [0.5, 0.75]
    assert found == {"forehead": pytest.approx(0.22 / 0.4), "upper_lip": pytest.approx(0.37 / 0.6)}


def test_a_zone_that_becomes_hidden_counts_as_unchanged() -> None:
    config = ChangeScaleConfig(scales=(0.5, 1.0))
    assert find_change_scales({"forehead": 0.4}, {"forehead": 0.9}, lambda _: {}, config) == {"forehead": 0.5}


@pytest.mark.parametrize(("scales", "tolerance"), [((), 0.02), ((0.0, 1.0), 0.02), ((1.0, 0.5), 0.02), ((1.0,), -0.1)])
def test_impossible_scales_are_refused(scales: tuple[float, ...], tolerance: float) -> None:
    with pytest.raises(EngineError, match=r"The (scales|tolerance)"):
        ChangeScaleConfig(scales=scales, tolerance=tolerance)
