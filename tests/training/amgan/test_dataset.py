"""Batches of AMGAN: pictures, maps and scores agree."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from reage.training.amgan.dataset import AmganDataset, AmganDatasetConfig
from reage.training.skin_changes import OLDER, YOUNGER, SkinChangeDataset
from reage.zones import ZONES

SMALL = AmganDatasetConfig(patch_px=128)


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_change_goes_with_the_map(dataset: AmganDataset) -> None:
    rows = torch.tensor([0, 1])
    older = dataset.request_teacher(rows)
    younger = dataset.request_teacher(rows, torch.full((2,), YOUNGER))
    for faces, sign in ((older, 1), (younger, -1)):
        risen = (faces.planes[:, :1] - faces.planes[:, 1:2]).mean((1, 2, 3))
        assert (sign * risen > 0).all()
        assert (faces.teacher_change.abs().amax((1, 2, 3)) > 0.02).all()
    torch.testing.assert_close(dataset.request_teacher(rows, torch.full((2,), OLDER)).planes, older.planes)


def test_patches_hold_the_teachers_change_and_their_place(dataset: AmganDataset) -> None:
    batch = dataset.sample_patches(8, draws())
    assert batch.x.shape == batch.teacher_change.shape == (8, 3, 128, 128)
    assert batch.planes.shape == (8, 4, 128, 128)
    middle = (batch.planes[:, 2:].mean((2, 3)) + 1) / 2
    torch.testing.assert_close(middle, batch.centres, atol=0.02, rtol=0)
    assert batch.teacher_change.abs().max() > 0.05
    hidden = batch.usable == 0
    assert hidden.any()
    assert batch.planes[:, :1][hidden].max() < -0.999


def test_a_face_that_stays_has_one_map_and_no_change(skin_changes: SkinChangeDataset) -> None:
    still = AmganDataset(skin_changes, replace(SMALL, unchanged_share=1.0)).sample_patches(6, draws())
    torch.testing.assert_close(still.planes[:, 0], still.planes[:, 1], atol=1e-4, rtol=0)
    assert not still.teacher_change.any()


def test_maps_without_scores_hold_the_age_alone(skin_changes: SkinChangeDataset) -> None:
    unscored = AmganDataset(skin_changes, replace(SMALL, unscored_share=1.0, unchanged_share=0.0))
    scored = AmganDataset(skin_changes, replace(SMALL, unscored_share=0.0, unchanged_share=0.0))
    fewer = sum(int(_levels(unscored, seed) < _levels(scored, seed)) for seed in range(12))
    assert fewer >= 3  # half of the changes are of the age alone


def _levels(dataset: AmganDataset, seed: int) -> int:
    """Number of levels of the target map of one patch, on skin that is seen in full."""
    batch = dataset.sample_patches(1, draws(seed))
    return len(batch.planes[0, 0][batch.usable[0, 0] == 1].mul(200).round().unique())


def test_the_same_seed_draws_the_same_batch(dataset: AmganDataset) -> None:
    for sample in (dataset.sample_patches, dataset.sample_faces, dataset.sample_aged_faces):
        first, second = (sample(4, draws(3)) for _ in range(2))
        assert torch.equal(first.planes, second.planes)
        assert torch.equal(first.x, second.x)


@pytest.mark.parametrize("zone", ["under_eye.left", "nasolabial.left", "lip_corners.right"])
def test_a_zone_that_is_asked_for_alone_moves_the_map_there_alone(dataset: AmganDataset, zone: str) -> None:
    number = ZONES.index(zone)
    faces = [dataset.request_zone(torch.tensor([0]), number, score) for score in (0.0, 1.0)]
    moved = (faces[1].planes[0, 0] - faces[0].planes[0, 0]).abs()
    weights = torch.stack([one.zone_weights[0, number] for one in faces]).amax(0)
    assert weights.max() > 0.5
    assert (moved * weights).sum() / weights.sum() > 0.5
    assert moved[weights < 1e-3].max() < 0.1
    assert all(not one.zone_weights[0, :number].any() for one in faces)
    assert [float(one.scores[0, number]) for one in faces] == pytest.approx([0, 1])


def test_ages_move_every_zone(dataset: AmganDataset) -> None:
    young, old = (dataset.request_age(torch.tensor([0]), years) for years in (20.0, 85.0))
    seen = young.usable[0, 0] > 0.99
    assert (old.planes[0, 0] > young.planes[0, 0])[seen].all()
    assert len(dataset.rows_of_ages(0, 100)) == 2
