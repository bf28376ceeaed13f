"""Training pairs of LDLA: younger and older versions of a photo, their latents, and batches of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from reage.data.shards import Portrait, Portraits
from reage.faces.geometry import bare_masks
from reage.faces.patches import PATCHES_OF_ZONE, ZONE_PATCHES
from reage.images import geometry
from reage.training.diffusion.dataset import CropDataset
from reage.training.distillation import Teacher
from reage.training.ldla.dataset import (
    AgedVersion,
    PairedLatents,
    PairedLatentsConfig,
    age_crop_dataset,
    sample_pairs,
)
from reage.training.ldla.shading import ZoneShading
from reage.types import Aged, Face, Plan, Reading
from reage.zones import ZONES

CONFIG = PairedLatentsConfig()
SIDE = CONFIG.shading.patch_px
NO_SHADING = ZoneShading(
    changes=np.zeros((len(CONFIG.shading.shaded_zones), SIDE, SIDE), np.float32),
    wrinkles=np.zeros((len(CONFIG.shading.wrinkled_zones), SIDE, SIDE), np.float32),
)


class Reddener:
    """An engine that halves green and blue."""

    def render(self, face: Face, reading: Reading, plan: Plan) -> Aged:
        return Aged(crop=np.concatenate([face.crop[..., :1], face.crop[..., 1:] // 2], -1))


def test_versions_differ_in_light_alone(
    face: Face, make_portrait: Callable[..., Portrait], to_columns: Callable[..., Portraits]
) -> None:
    portraits = to_columns([make_portrait(face.crop, person=name, age_years=40.0, sex="F") for name in "AB"])
    version = AgedVersion(20.0, -0.5, 0.0)
    aged = age_crop_dataset(portraits, Teacher.load(Reddener()), NO_SHADING, version, CONFIG)
    change = aged.crops.astype(int) - portraits.crops
    assert change.mean() < -1
    assert np.median(np.ptp(change, axis=-1)) == 0
    assert not np.isnan(aged.scores).all()


@pytest.mark.parametrize(("zone", "kept"), [("interocular", False), ("glabella", False), ("upper_lip", True)])
def test_older_versions_lose_coarse_light_in_some_zones(
    zone: str, kept: bool, face: Face, make_portrait: Callable[..., Portrait], to_columns: Callable[..., Portraits]
) -> None:
    """There the coarse light of the teacher is left out of older versions, but not of younger ones."""
    portraits = to_columns([make_portrait(face.crop)])
    crop, teacher = portraits.crops[0], Teacher.load(Reddener())
    inside = geometry.resize(bare_masks(face)[zone], len(crop), len(crop)) > 0.9
    young, old = (
        (age_crop_dataset(portraits, teacher, NO_SHADING, version, CONFIG).crops[0].astype(int) - crop)[inside]
        for version in (AgedVersion(20.0, -1e-3, 0.0), AgedVersion(80.0, 1e-3, 1.0))
    )
    assert young.mean() < -30
    assert old.mean() < -30 if kept else abs(old.mean()) < 12


def test_all_versions_of_a_zone_have_the_same_augmentation(pairs: PairedLatents, crops: CropDataset) -> None:
    num_hidden = sum(
        np.isnan(column).sum() * len(PATCHES_OF_ZONE[zone]) for zone, column in zip(ZONES, crops.scores.T, strict=True)
    )
    assert len(pairs) == 2 * len(ZONE_PATCHES) - num_hidden
    assert set(pairs.zones.tolist()) == set(range(len(ZONES)))
    np.testing.assert_array_equal(pairs.values[:, 0], pairs.values[:, 2])
    assert (pairs.values[:, 0] != pairs.values[:, 1]).any((1, 2, 3)).all()
    np.testing.assert_allclose(pairs.scores, pairs.scores[:, :1] * [1, 0.5, 1])


def test_any_two_versions_are_a_pair(pairs: PairedLatents) -> None:
    batch = sample_pairs(pairs, 300, torch.Generator().manual_seed(0))
    for older, share in ((batch.scores > batch.paired_scores, 3 / 8), (batch.scores < batch.paired_scores, 1 / 4)):
        assert older.float().mean() == pytest.approx(share, abs=0.08)
    again = sample_pairs(pairs, 300, torch.Generator().manual_seed(0))
    assert torch.equal(batch.values, again.values)
    assert torch.equal(batch.paired_values, again.paired_values)


def test_the_zones_that_lose_coarse_light_are_configured(
    face: Face, make_portrait: Callable[..., Portrait], to_columns: Callable[..., Portraits]
) -> None:
    portraits = to_columns([make_portrait(face.crop)])
    crop, teacher, version = portraits.crops[0], Teacher.load(Reddener()), AgedVersion(80.0, 1e-3, 1.0)
    inside = geometry.resize(bare_masks(face)["glabella"], len(crop), len(crop)) > 0.9
    everything = replace(CONFIG, detail_shares=())
    aged = age_crop_dataset(portraits, teacher, NO_SHADING, version, everything)
    assert (aged.crops[0].astype(int) - crop)[inside].mean() < -30
