"""The changes of skin that AMGAN learns from, as they are stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reage.errors import ImageError
from reage.training.runner import load_arrays, save_arrays
from reage.training.skin_changes import (
    AGES_YEARS,
    ANY_AGE,
    LIGHT_STEP,
    OLDER,
    OWN_AGE,
    YOUNGER,
    SkinChangeConfig,
    SkinChangeDataset,
    choose_plans,
    make_skin_change_dataset,
)
from reage.types import Face
from reage.zones import ZONES

SMALL = SkinChangeConfig(plane_px=128, crop_px=64)


def test_changes_go_where_they_were_asked_to_and_survive_a_file(
    skin_changes: SkinChangeDataset, tmp_path: Path
) -> None:
    assert skin_changes.light.shape == (2, 4, 128, 128)
    assert skin_changes.colour.shape == (2, 4, 32, 32, 3)
    assert (skin_changes.target_years[:, YOUNGER] < skin_changes.years).all()
    assert (skin_changes.target_years[:, OLDER] > skin_changes.years).all()
    np.testing.assert_array_equal(skin_changes.target_years[:, OWN_AGE], skin_changes.years)
    rise = np.nanmean(skin_changes.changed_zone_scores[:, OLDER] - skin_changes.zone_scores)
    fall = np.nanmean(skin_changes.changed_zone_scores[:, YOUNGER] - skin_changes.zone_scores)
    assert rise > 0 > fall
    assert (np.abs(skin_changes.light.astype(float)).max((2, 3)) * LIGHT_STEP > 0.02).all()
    save_arrays(tmp_path / "changes.npz", skin_changes)
    back = load_arrays(tmp_path / "changes.npz", SkinChangeDataset)
    np.testing.assert_array_equal(back.light, skin_changes.light)


def test_places_lead_from_the_crop_into_the_common_face(skin_changes: SkinChangeDataset) -> None:
    """The middle of the crop lies in the middle of the plane, and places rise to the right and downward."""
    places = skin_changes.places[0]
    assert np.abs(places[32, 32] - 0.5).max() < 0.15
    assert (np.diff(places[32, 16:48, 0]) > 0).all()
    assert (np.diff(places[16:48, 32, 1]) > 0).all()


def test_faces_without_visible_skin_are_left_out(
    make_portrait: Callable, to_columns: Callable, face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reage.training.skin_changes._LEAST_USABLE", 1.1)
    with pytest.raises(ImageError, match="no adult whose skin is seen"):
        make_skin_change_dataset(to_columns([make_portrait(face.crop)]), SMALL)


def test_plans_are_repeated_by_their_seed_and_stay_in_range() -> None:
    for years in (18.0, 19.5, 40.0, 89.5):
        first, second = (choose_plans(years, np.random.default_rng(3)) for _ in range(2))
        assert first == second
        ages = [plan.age for plan in first if plan.age is not None]
        assert all(AGES_YEARS[0] <= age <= AGES_YEARS[1] for age in ages)
    plans = choose_plans(40.0, np.random.default_rng(0))
    assert plans[OWN_AGE].age is None
    assert 1 <= len(plans[OWN_AGE].zones) <= 4
    assert set(plans[ANY_AGE].zones) < set(ZONES)
    assert not plans[YOUNGER].zones


def test_another_seed_draws_other_ages(skin_changes: SkinChangeDataset) -> None:
    assert replace(SMALL, seed=1) != SMALL
    assert choose_plans(40.0, np.random.default_rng((1, 0))) != choose_plans(40.0, np.random.default_rng((0, 0)))
