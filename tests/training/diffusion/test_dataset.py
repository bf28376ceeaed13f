"""Training crops cut from portraits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from reage.data.augment import AugmentConfig
from reage.faces.patches import FACE, ZONE_PATCHES, cut_patches, cut_squares, zone_of_patch
from reage.faces.segmentation import FaceParser
from reage.faces.zone_scorer import ZoneScorer
from reage.training.diffusion.dataset import (
    CROP_KINDS,
    PLANE_PX,
    CropDataset,
    CropDatasetConfig,
    make_crop_dataset,
    pick_useful,
)
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
    assert measured.planes.shape == (2, PLANE_PX, PLANE_PX, 3)
    save_arrays(tmp_path / "crops.npz", measured)
    np.testing.assert_array_equal(load_arrays(tmp_path / "crops.npz", CropDataset).crops, measured.crops)


def test_a_mirrored_face_has_a_mirrored_plane(measured: CropDataset) -> None:
    plane, mirrored = (measured.planes[row].astype(float) for row in range(2))
    assert np.abs(mirrored[:, ::-1] - plane)[150:400, 150:362].mean() < 4


def test_whole_faces_are_cut_from_the_crop(measured: CropDataset) -> None:
    kinds = torch.full((8,), CROP_KINDS.index(FACE))
    cut = measured.cut(torch.zeros_like(kinds), kinds, NOT_AUGMENTED, torch.Generator().manual_seed(0))
    (patch,) = cut_patches(measured.crops[0], measured.landmarks[0], [FACE], 96).astype(float)
    for x in cut.x:
        levels = ((x + 1) * 127.5).permute(1, 2, 0).numpy()
        assert min(np.abs(levels - patch).mean(), np.abs(levels - patch[:, ::-1]).mean()) < 4


def test_squares_of_the_plane_have_the_scores_of_their_zones(measured: CropDataset) -> None:
    kinds = torch.arange(len(CROP_KINDS)).repeat(8)
    cut = measured.cut(torch.zeros_like(kinds), kinds, NOT_AUGMENTED, torch.Generator().manual_seed(0))
    assert cut.x.shape == (len(kinds), 3, 96, 96)
    plane = measured.planes[0]
    patches = cut_squares(plane, ZONE_PATCHES, 96)
    mirrored = cut_squares(np.ascontiguousarray(plane[:, ::-1]), ZONE_PATCHES, 96)
    scores = torch.from_numpy(measured.scores[0])
    for x, kind, score in zip(cut.x, kinds.tolist(), cut.scores, strict=True):
        if kind >= len(ZONE_PATCHES):
            assert score.isnan()
            continue
        levels = ((x + 1) * 127.5).permute(1, 2, 0).numpy()
        zone = ZONES.index(zone_of_patch(ZONE_PATCHES[kind]))
        errors = {
            False: np.abs(levels - patches[kind]).mean(),
            True: np.abs(levels - mirrored[kind]).mean(),
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


def test_grey_and_averted_faces_are_left_out(make_portrait: Callable, to_columns: Callable, face: Face) -> None:
    grey = np.repeat(face.crop.mean(-1, keepdims=True), 3, -1).astype(np.uint8)
    portraits = to_columns([make_portrait(face.crop), make_portrait(grey, person="P1")])
    assert pick_useful(portraits, 90).person.tolist() == ["P0"]
    assert len(pick_useful(portraits, 0)) == 0
