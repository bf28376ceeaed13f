"""The reference, measured on made-up people whose identities are known."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reage.data.shards import Portraits
from reage.data.split import split_of
from reage.evaluation.calibration import (
    FacePairs,
    describe_reference,
    measure_ages,
    measure_identity,
    measure_reference,
)
from reage.evaluation.judges import Judges
from reage.evaluation.reference import AGES, MIN_FACES, load_reference
from reage.faces.segmentation import FaceParser
from reage.types import Face
from reage.zones import ZONES


@pytest.fixture(scope="module")
def people(make_portrait: Callable, to_columns: Callable, face: Face) -> Portraits:
    """Two hundred women seen at 40 and at 50."""
    one = make_portrait(face.crop, side_px=64)
    return to_columns(
        [
            replace(one, person=f"P{who}", age_years=age, split=split_of(f"P{who}"))
            for who in range(200)
            for age in (40.0, 50.0)
        ]
    )


@pytest.fixture(scope="module")
def identities(people: Portraits) -> np.ndarray:
    random = np.random.default_rng(0)
    centres = {person: random.normal(0, 1, 16) for person in np.unique(people.person)}
    return np.stack([centres[person] + random.normal(0, 0.1, 16) for person in people.person])


def test_pairs_are_all_of_them_once(people: Portraits, identities: np.ndarray) -> None:
    pairs = FacePairs.of(people.pick(np.arange(6)), identities[:6], distance=True)
    assert len(pairs.scores) == 15
    assert pairs.genuine.sum() == 3
    assert pairs.same_sex.all()
    assert sorted(set(pairs.years_apart.tolist())) == [0, 10]
    np.testing.assert_allclose(pairs.scores[0], -np.linalg.norm(identities[0] - identities[1]))
    lengths = np.linalg.norm(identities[0]) * np.linalg.norm(identities[1])
    np.testing.assert_allclose(pairs.cosines[0], identities[0] @ identities[1] / lengths)


def test_thresholds_come_from_training_people_and_hold_on_the_others(people: Portraits, identities: np.ndarray) -> None:
    identity = measure_identity(people, identities, "made up", distance=True)
    assert (identity.genuine.num, identity.genuine_years) == (200, 10)
    assert identity.genuine.median > identity.impostors.median
    rough, fine = identity.thresholds
    assert rough.num_impostors > 10_000
    assert identity.impostors.mean < rough.score < identity.genuine.quantile_05
    assert (rough.non_match_rate, rough.num_genuine) == (0, 200)
    assert math.isnan(rough.held_out_match_rate) == (rough.num_held_out < 10_000)
    assert math.isnan(fine.score), "a hundred thousand impostors are needed"
    assert (
        identity.thresholds_by_age_gap["0-10"].num_impostors + identity.thresholds_by_age_gap["10-20"].num_impostors
        >= rough.num_impostors
    )


def test_cosines_serve_as_scores_too(people: Portraits, identities: np.ndarray) -> None:
    identity = measure_identity(people, identities, "made up", distance=False)
    assert identity.genuine == identity.genuine_cosines
    assert 0 < identity.thresholds[0].score < 1


def test_bias_is_known_where_faces_are_near() -> None:
    ages = np.repeat([40.0, 60.0], MIN_FACES)
    measured = measure_ages(ages, ages + 2, ages - 1, "age-b")
    known = {age: bias for age, bias in zip(AGES, measured.bias, strict=True) if not math.isnan(bias)}
    assert known == {age: pytest.approx(2) for age in (35, 40, 45, 55, 60, 65)}
    assert (measured.mean_difference, measured.mean_error, measured.num) == (
        pytest.approx(3),
        pytest.approx(2),
        2 * MIN_FACES,
    )
    np.testing.assert_array_equal(np.isnan(measured.bias_at(np.array([20.0, 40.0, 50.0, 80.0]))), [1, 0, 0, 1])


def test_reference_of_a_few_people_is_measured_by_the_judges(
    make_portrait: Callable, to_columns: Callable, face: Face, tmp_path: Path
) -> None:
    names = [name for name in (f"P{i}" for i in range(40)) if split_of(name) == "val"][:2]
    ages = (38.0, 48.0)
    few = to_columns([make_portrait(face.crop, person=name, age_years=age) for name in names for age in ages])
    found = measure_reference(few, Judges.load(), FaceParser.load())
    assert (found.ages.num, found.identity.genuine.num) == (4, 2)
    assert math.isnan(found.identity.thresholds[0].score)
    assert set(found.zone_differences) == set(ZONES)
    found.save(tmp_path / "reference.json")
    values = json.loads((tmp_path / "reference.json").read_text())
    assert values["identity"]["thresholds"][0]["score"] is None
    assert load_reference(tmp_path / "reference.json").to_json() == found.to_json()
    text = "\n".join(table.to_markdown() for table in describe_reference(found))
    assert " nan" not in text
    assert "| FMR 0.10% | not resolvable |" in text
