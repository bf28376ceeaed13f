"""The quality of faces: size, sharpness, turn, and their flags."""

import numpy as np
import pytest

from reage.faces.geometry import FIVE_POINTS
from reage.faces.quality import Quality, QualityRules, measure_quality, measure_sharpness, measure_turn
from reage.images import geometry
from reage.types import Face


def test_the_demo_face_is_good(face: Face) -> None:
    quality = measure_quality(face)
    assert quality.flags == ()
    assert 25 < quality.eye_distance_px < 60
    assert quality.to_json()["blurred"] is False


@pytest.mark.parametrize("sigma_px", [5.0, 8.0, 12.0])
def test_a_blurred_face_is_detected(face: Face, sigma_px: float) -> None:
    blurred = np.clip(geometry.blur(face.crop.astype(np.float32), sigma_px), 0, 255).astype(np.uint8)
    assert measure_sharpness(blurred) < QualityRules().min_sharpness < measure_sharpness(face.crop)


def test_sharpness_does_not_depend_on_light(face: Face) -> None:
    dark = (face.crop * 0.5).astype(np.uint8)
    assert measure_sharpness(dark) == pytest.approx(measure_sharpness(face.crop), rel=0.25)
    assert measure_sharpness(np.full((128, 128, 3), 90, np.uint8)) < 0.25


@pytest.mark.parametrize("degrees", [0.0, 30.0, -90.0])
@pytest.mark.parametrize("offset", [-0.3, 0.0, 0.3])
def test_turn_is_the_offset_of_the_nose_however_the_head_is_tilted(degrees: float, offset: float) -> None:
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = FIVE_POINTS.copy()
    points[4, 0] += offset
    assert measure_turn((points @ turn.T * 80 + 300).astype(np.float32)) == pytest.approx(offset, abs=1e-3)


def test_each_rule_raises_its_own_flag() -> None:
    good = {"eye_distance_px": 60.0, "sharpness": 0.6, "turned": 0.0}
    assert Quality(**good).flags == ()
    assert Quality(**{**good, "eye_distance_px": 12.0}).flags == ("too small",)
    assert Quality(**{**good, "sharpness": 0.1}).flags == ("blurred",)
    assert Quality(**{**good, "turned": -0.4}).flags == ("turned away",)
    assert Quality(**good, rules=QualityRules(max_turn=0.0, min_sharpness=2.0)).flags == ("blurred",)
