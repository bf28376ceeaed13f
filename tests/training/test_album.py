"""Pictures cut from portraits."""

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
from reage.training.diffusion.dataset import KINDS, CropDataset, CropDatasetConfig, make_crop_dataset
from reage.training.stored import load_arrays, save_arrays
from reage.types import Face
from reage.zones import MIRRORED_ZONES, ZONES

STILL = CropDatasetConfig(
    light=AugmentConfig(exposure=0.0, gamma=0.0, contrast=0.0, saturation=0.0, tint=0.0, lamp=0.0),
    size=0.0,
    shift=0.0,
    turn_degrees=0.0,
)


@pytest.fixture(scope="module")
def album(make_portrait: Callable, to_columns: Callable, face: Face) -> CropDataset:
    portraits = to_columns([make_portrait(face.crop), make_portrait(face.crop[:, ::-1].copy(), person="P1")])
    return make_crop_dataset(portraits, ZoneScorer.load("zones-a"), FaceParser.load())


def test_an_album_survives_a_file(album: CropDataset, tmp_path: Path) -> None:
    assert len(album) == 2
    assert album.scores.shape == (2, len(ZONES))
    save_arrays(tmp_path / "album.npz", album)
    np.testing.assert_array_equal(load_arrays(tmp_path / "album.npz", CropDataset).crops, album.crops)


def mirror_name(name: str) -> str:
    sides = {"left": "right", "right": "left"}
    return ".".join(sides.get(word, word) for word in name.split("."))


def test_pictures_are_squares_with_their_scores(album: CropDataset) -> None:
    kinds = torch.arange(len(KINDS)).repeat(8)
    cut = album.cut(torch.zeros_like(kinds), kinds, STILL, torch.Generator().manual_seed(0))
    assert cut.x.shape == (len(kinds), 3, 96, 96)
    squares = cut_patches(album.crops[0], album.landmarks[0], ZONE_PATCHES, 96)
    scores = torch.from_numpy(album.scores[0])
    for x, kind, score in zip(cut.x, kinds.tolist(), cut.scores, strict=True):
        if kind >= len(ZONE_PATCHES):
            assert score.isnan()
            continue
        levels = ((x + 1) * 127.5).permute(1, 2, 0).numpy()
        zone, other = (
            ZONES.index(zone_of_patch(ZONE_PATCHES[kind])),
            ZONE_PATCHES.index(mirror_name(ZONE_PATCHES[kind])),
        )
        far = {
            False: np.abs(levels - squares[kind]).mean(),
            True: np.abs(levels - squares[other][:, ::-1]).mean(),
        }
        mirrored = far[True] < far[False]
        assert far[mirrored] < 4
        wanted = scores[MIRRORED_ZONES[zone] if mirrored else zone]
        assert score == wanted or (score.isnan() and wanted.isnan())


def test_the_same_seed_cuts_the_same_pictures(album: CropDataset) -> None:
    rows, kinds = torch.tensor([0, 1, 1]), torch.tensor([0, 12, 13])
    first, second = (album.cut(rows, kinds, CropDatasetConfig(), torch.Generator().manual_seed(3)) for _ in range(2))
    other = album.cut(rows, kinds, CropDatasetConfig(), torch.Generator().manual_seed(4))
    torch.testing.assert_close(first.x, second.x, rtol=0, atol=0)
    assert (other.x - first.x).abs().mean() > 0.01
