"""Plans, what they refuse, and faces."""

from __future__ import annotations

import json
import math
import pickle
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reage.errors import PlanError, ReageError
from reage.types import CompletePlan, Face, Plan
from reage.zones import ZONES

scores = st.floats(0, 1)
ages = st.floats(1, 100)


# Plan


@given(
    st.none() | ages,
    st.dictionaries(st.sampled_from(ZONES), scores, min_size=1),
    st.floats(0, 1.5),
    st.integers(0, 2**40),
    st.none() | ages,
)
def test_a_plan_survives_json(
    age: float | None, zones: dict[str, float], strength: float, seed: int, age_from: float | None
) -> None:
    plan = Plan(age=age, zones=zones, strength=strength, seed=seed, age_from=age_from)
    assert Plan(**json.loads(json.dumps(plan.to_json()))) == plan


def test_numbers_of_numpy_are_numbers() -> None:
    plan = Plan(
        age=np.float32(70), strength=np.float64(0.5), age_from=np.int64(40), zones={"forehead": np.float32(0.5)}
    )
    assert json.loads(json.dumps(plan.to_json())) == {
        "age": 70,
        "zones": {"forehead": 0.5},
        "strength": 0.5,
        "seed": 0,
        "age_from": 40,
        "skin": {},
    }


@pytest.mark.parametrize("edge", [{"age": 1}, {"age": 100}, {"age": 50, "strength": 0}, {"age": 50, "strength": 1.5}])
def test_the_ends_of_each_range_are_allowed(edge: dict[str, float]) -> None:
    assert Plan(**edge)


BAD_AGES = (0, 0.99, 100.5, -3, math.nan, math.inf, "70", True)
BAD_STRENGTHS = (-0.1, 1.51, math.nan, None)
BAD_SEEDS = (-1, 1.0, "1", True, None)
BAD_SCORES = (-0.01, 1.01, math.nan, "1", None)
UNKNOWN_ZONES = ("nose", "Forehead", "forehead.left", "")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, ("asks for nothing", "1 to 100", "0 to 1")),
        ({"zones": {}}, ("asks for nothing",)),
        *(({"age": age}, ("target age", repr(age), "1 to 100")) for age in BAD_AGES),
        *(({"age": 50, "age_from": age}, ("age of the person", repr(age), "1 to 100")) for age in BAD_AGES),
        *(({"age": 50, "strength": much}, ("strength", repr(much), "0 to 1.5")) for much in BAD_STRENGTHS),
        *(({"age": 50, "seed": seed}, ("seed", repr(seed), "0 or more")) for seed in BAD_SEEDS),
        *(({"zones": {"forehead": score}}, ("'forehead'", repr(score), "0 to 1")) for score in BAD_SCORES),
        *(({"zones": {name: 0.5}}, (f"'{name}'", "forehead", "lower", ".left")) for name in UNKNOWN_ZONES),
        *(({"skin": {"redness": score}}, ("'redness'", repr(score), "0 to 1")) for score in BAD_SCORES),
        ({"skin": {"freckles": 0.5}}, ("'freckles'", "dark_spots or redness")),
        ({"age": 50, "zones": {"all": 0.5, "crows_feet.left": 2}}, ("crows_feet.left", "2")),
    ],
)
def test_a_plan_outside_its_range_is_refused_in_a_sentence(values: dict, words: tuple[str, ...]) -> None:
    with pytest.raises(PlanError) as refusal:
        Plan(**values)
    text = str(refusal.value)
    assert isinstance(refusal.value, ReageError)
    assert text.endswith(".")
    assert "\n" not in text
    assert all(word in text for word in words), text


def test_a_plan_cannot_be_changed_nor_its_zones() -> None:
    zones = {"forehead": 0.5}
    plan = Plan(age=70, zones=zones)
    zones["forehead"] = 0.9
    assert plan.zones == {"forehead": 0.5}
    with pytest.raises(TypeError):
        plan.zones["forehead"] = 0.9  # type: ignore[index]
    with pytest.raises(FrozenInstanceError):
        plan.age = 20  # type: ignore[misc]
    assert replace(plan, age=20).zones == plan.zones


# Face


def test_a_face_describes_its_place(face: Face) -> None:
    assert face.height_px == pytest.approx(90, abs=12)
    assert face.image_px_per_crop_px == pytest.approx(180 / 512, rel=0.05)
    values = json.loads(json.dumps(face.to_json()))
    assert values["box"] == pytest.approx(face.box, abs=0.05)
    np.testing.assert_allclose(values["landmarks"], face.landmarks, atol=0.051)
    assert values["score"] == pytest.approx(face.score, abs=0.001)
    assert list(values["pose_degrees"].values()) == pytest.approx(face.pose_degrees, abs=0.051)


def test_points_go_to_the_crop_as_the_matrix_says(face: Face) -> None:
    expected = np.hstack([face.landmarks, np.ones((5, 1))]) @ face.crop_from_image.T
    np.testing.assert_allclose(face.to_crop(face.landmarks), expected, atol=1e-3)


@pytest.mark.parametrize(
    "broken",
    [
        {"crop": np.zeros((8, 9, 3), np.uint8)},
        {"crop": np.zeros((512, 512, 3), np.float32)},
        {"matte": np.zeros((8, 8), np.float32)},
        {"hair": np.zeros((512, 512, 1), np.float32)},
        {"mesh": np.zeros((478, 2), np.float32)},
        {"crop_from_image": np.eye(3)},
    ],
)
def test_a_face_of_other_shapes_is_a_bug(face: Face, broken: dict) -> None:
    with pytest.raises(AssertionError):
        replace(face, **broken)


def test_plans_travel_between_processes_and_serve_as_keys() -> None:
    plan = Plan(age=70, zones={"crows_feet": 0.5}, strength=1.2, seed=3, skin={"redness": 0.2})
    again = pickle.loads(pickle.dumps(plan))
    assert again == plan
    assert {plan: "same"}[again] == "same"
    assert hash(plan) != hash(Plan(age=71))


def test_a_complete_plan_needs_both_ages() -> None:
    plan = CompletePlan(age=70, age_from=30, zones={"forehead": 0.5})
    assert CompletePlan(**json.loads(json.dumps(plan.to_json()))) == plan == pickle.loads(pickle.dumps(plan))
    with pytest.raises(TypeError, match="age_from"):
        CompletePlan(age=70)  # type: ignore[call-arg]


def test_a_face_in_its_crop_frame_has_the_crop_as_picture(face: Face) -> None:
    moved = face.in_crop_frame()
    np.testing.assert_array_equal(moved.to_crop(moved.landmarks), moved.landmarks)
    np.testing.assert_allclose(moved.landmarks, face.to_crop(face.landmarks))
    np.testing.assert_allclose(moved.mesh[:, 2] * face.image_px_per_crop_px, face.mesh[:, 2], rtol=1e-4)
    np.testing.assert_allclose(moved.eye_openness, face.eye_openness, rtol=1e-3)
    assert moved.mouth_openness == pytest.approx(face.mouth_openness, rel=1e-3)
    np.testing.assert_allclose(moved.box, np.array([0.25, 0.31, 0.75, 0.81]) * 512)
    np.testing.assert_array_equal(moved.crop, face.crop)
