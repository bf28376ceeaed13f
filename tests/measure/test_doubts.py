"""Why a reading may be wrong: each reason alone, all of them together, and none for a good face."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from reage.faces.quality import measure_quality
from reage.images import geometry
from reage.measure import find_doubts
from reage.measure.doubts import CHILD_YEARS, MAX_STD_YEARS
from reage.mesh_points import LANDMARK_POINTS
from reage.types import Face, Reading


def shrink(face: Face) -> Face:
    """The face in a photo of a quarter the size; its crop stays as sharp."""
    matrix = face.crop_from_image * [4, 4, 1]
    return replace(face, mesh=face.mesh / np.float32(4), crop_from_image=matrix)


def blur(face: Face) -> Face:
    soft = geometry.blur(face.crop.astype(np.float32), 8)
    return replace(face, crop=np.clip(soft, 0, 255).astype(np.uint8))


def turn(face: Face) -> Face:
    """The nose lies 0.3 eye distances to the side."""
    mesh = face.mesh.copy()
    mesh[LANDMARK_POINTS[4], 0] += 0.3 * measure_quality(face).eye_distance_px
    return replace(face, mesh=mesh)


def test_a_good_face_has_none(face: Face, reading: Reading) -> None:
    assert find_doubts(face, reading) == ()


@pytest.mark.parametrize(("spoil", "reason"), [(shrink, "too small"), (blur, "blurred"), (turn, "turned away")])
def test_what_is_wrong_with_the_picture_is_named_alone(
    face: Face, reading: Reading, spoil: Callable[[Face], Face], reason: str
) -> None:
    assert find_doubts(spoil(face), reading) == (reason,)


@pytest.mark.parametrize("years", [0.5, 5.0, CHILD_YEARS - 0.1])
def test_children_are_named(face: Face, reading: Reading, years: float) -> None:
    assert find_doubts(face, replace(reading, age_years=years)) == ("a child's",)


def test_uncertain_readings_say_how_uncertain_they_are(face: Face, reading: Reading) -> None:
    assert find_doubts(face, replace(reading, age_std_years=12.4)) == ("read within 12 years only",)


def test_at_the_limits_there_is_no_doubt_yet(face: Face, reading: Reading) -> None:
    assert find_doubts(face, replace(reading, age_years=CHILD_YEARS, age_std_years=MAX_STD_YEARS)) == ()


def test_all_reasons_are_named_those_of_the_picture_first(face: Face, reading: Reading) -> None:
    doubts = find_doubts(shrink(blur(turn(face))), replace(reading, age_years=9, age_std_years=15))
    assert doubts == ("too small", "blurred", "turned away", "a child's", "read within 15 years only")
