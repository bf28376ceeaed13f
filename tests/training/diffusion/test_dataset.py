"""Training crops cut from portraits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from reage.data.augment import AugmentConfig
from reage.faces.patches import ZONE_PATCHES, cut_patches, zone_of_patch
from reage.faces.segmentation import FaceParser
from reage.faces.zone_scorer import ZoneScorer
from reage.training.diffusion.dataset import CROP_KINDS, CropDataset, CropDatasetConfig, make_crop_dataset
from reage.training.runner import load_arrays, save_arrays
from reage.types import Face
from reage.zones import MIRRORED_ZONES, ZONES

NOT_AUGMENTED = CropDatasetConfig(
    photometric_augment=AugmentConfig(
        max_brightness=0.0,
        max_gamma=0.0,
        max_contrast=0.0,
        max_saturation=0.0,
        max_channel_shift=0.0,
        side_light_prob=0.0,
    ),
    max_scale=0.0,
    max_shift=0.0,
    max_rotation_degrees=0.0,
)


@pytest.fixture(scope="module")
def measured(make_portrait: Callable, to_columns: Callable, face: Face) -> CropDataset:
    portraits = to_columns([make_portrait(face.crop), make_portrait(face.crop[:, ::-1].copy(), person="P1")])
    return make_crop_dataset(portraits, ZoneScorer.load("zones-a"), FaceParser.load())


def test_a_dataset_is_the_same_after_saving_and_loading(measured: CropDataset, tmp_path: Path) -> None:
    assert len(measured) == 2
    assert measured.scores.shape == (2, len(ZONES))
    save_arrays(tmp_path / "crops.npz", measured)
    np.testing.assert_array_equal(load_arrays(tmp_path / "crops.npz", CropDataset).crops, measured.crops)


def mirror_name(name: str) -> str:
    sides = {"left": "right", "right": "left"}
    return ".".join(sides.get(word, word) for word in name.split("."))


def test_crops_are_patches_with_the_scores_of_their_zones(measured: CropDataset) -> None:
    kinds = torch.arange(len(CROP_KINDS)).repeat(8)
    cut = measured.cut(torch.zeros_like(kinds), kinds, NOT_AUGMENTED, torch.Generator().manual_seed(0))
    assert cut.x.shape == (len(kinds), 3, 96, 96)
    patches = cut_patches(measured.crops[0], measured.landmarks[0], ZONE_PATCHES, 96)
    scores = torch.from_numpy(measured.scores[0])
    for x, kind, score in zip(cut.x, kinds.tolist(), cut.scores, strict=True):
        if kind >= len(ZONE_PATCHES):
            assert score.isnan()
            continue
        levels = ((x + 1) * 127.5).permute(1, 2, 0).numpy()
        zone = ZONES.index(zone_of_patch(ZONE_PATCHES[kind]))
        mirror = ZONE_PATCHES.index(mirror_name(ZONE_PATCHES[kind]))
        errors = {
            False: np.abs(levels - patches[kind]).mean(),
            True: np.abs(levels - patches[mirror][:, ::-1]).mean(),
        }
        flipped = errors[True] < errors[False]
        assert errors[flipped] < 4
        expected = scores[MIRRORED_ZONES[zone] if flipped else zone]
        assert score == expected or (score.isnan() and expected.isnan())


def test_the_same_seed_cuts_the_same_crops(measured: CropDataset) -> None:
    rows, kinds = torch.tensor([0, 1, 1]), torch.tensor([0, 12, 13])
    first, second = (measured.cut(rows, kinds, CropDatasetConfig(), torch.Generator().manual_seed(3)) for _ in range(2))
    other = measured.cut(rows, kinds, CropDatasetConfig(), torch.Generator().manual_seed(4))
    torch.testing.assert_close(first.x, second.x, rtol=0, atol=0)
    assert (other.x - first.x).abs().mean() > 0.01
