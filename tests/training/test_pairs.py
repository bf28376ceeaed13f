"""Versions of a photo that ldla learns from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from reage.data.shards import Portrait, Portraits
from reage.faces.geometry import bare_masks
from reage.images import geometry
from reage.training.distillation import Teacher
from reage.training.ldla.dataset import Version, age_crop_dataset
from reage.training.ldla.shading import LINED, SHADE_PX, SHADED, ZoneShading
from reage.types import Aged, Face, Plan, Reading

NO_SHADES = ZoneShading(
    changes=np.zeros((len(SHADED), SHADE_PX, SHADE_PX), np.float32),
    lines=np.zeros((len(LINED), SHADE_PX, SHADE_PX), np.float32),
)


class Reddener:
    """An engine that halves what it is given, but for its red."""

    def render(self, face: Face, reading: Reading, plan: Plan) -> Aged:
        return Aged(crop=np.concatenate([face.crop[..., :1], face.crop[..., 1:] // 2], -1))


def test_aged_albums_differ_in_light_alone(
    face: Face, make_portrait: Callable[..., Portrait], to_columns: Callable[..., Portraits]
) -> None:
    portraits = to_columns([make_portrait(face.crop, person=name, age_years=40.0, sex="F") for name in "AB"])
    aged = age_crop_dataset(portraits, Teacher.load(Reddener()), NO_SHADES, Version(20.0, -0.5, 0.0))
    change = aged.crops.astype(int) - portraits.crops
    assert change.mean() < -1
    assert np.median(np.ptp(change, axis=-1)) == 0
    assert not np.isnan(aged.scores).all()


@pytest.mark.parametrize(("zone", "kept"), [("interocular", False), ("glabella", False), ("upper_lip", True)])
def test_lessons_of_old_zones_have_no_plaster(
    zone: str, kept: bool, face: Face, make_portrait: Callable[..., Portrait], to_columns: Callable[..., Portraits]
) -> None:
    """Where only what is fine is kept, the broad shade that an engine brings is left out; of the young it is not."""
    portraits = to_columns([make_portrait(face.crop)])
    crop = portraits.crops[0]
    inside = geometry.resize(bare_masks(face)[zone], len(crop), len(crop)) > 0.9
    young, old = (
        (age_crop_dataset(portraits, Teacher.load(Reddener()), NO_SHADES, version).crops[0].astype(int) - crop)[inside]
        for version in (Version(20.0, -1e-3, 0.0), Version(80.0, 1e-3, 1.0))
    )
    assert young.mean() < -30
    assert old.mean() < -30 if kept else abs(old.mean()) < 12
