"""Batches for AgeTransGAN: pictures and labels that belong together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from reage.engines.agetransgan import child_moves
from reage.faces.head_pose import fit_pose
from reage.faces.head_window import mirror_mesh
from reage.faces.proportions import measure_proportions
from reage.mesh_points import NUM_POINTS
from reage.nets.agetransgan_config import soft_label, tiny
from reage.training.agetransgan.dataset import AgeTransGanDataset, AgeTransGanDatasetConfig
from reage.training.agetransgan.multi_pose import turn_faces
from reage.training.agetransgan.proportions import Proportions, measure_child
from reage.training.cross_age import CrossAgeDataset
from reage.types import Face, Plane

PLAIN = AgeTransGanDatasetConfig(flip_prob=0.0, max_light=0.0, own_light_years=(-2.0, -1.0))


def light_of(pictures: torch.Tensor) -> torch.Tensor:
    return ((pictures + 1) / 2).mean((1, 2, 3))


def test_a_darker_picture_has_an_older_label(stored: CrossAgeDataset) -> None:
    """In these faces, light falls with age."""
    dataset = AgeTransGanDataset(stored, tiny().generator, replace(PLAIN, photo_share=1.0, same_share=0.0))
    batch = dataset.sample_paired(64, torch.Generator().manual_seed(0))
    assert batch.x.shape == batch.y.shape == (64, 3, 32, 32)
    assert batch.labels.shape == batch.target_labels.shape == (64, 10)
    ratio = light_of(batch.y) / light_of(batch.x)
    groups = batch.target_labels.argmax(1)
    assert ratio[groups <= 1].min() > ratio[groups >= 8].max()
    own = torch.from_numpy(np.stack([soft_label(38.0), soft_label(36.0)]))
    assert (batch.labels[:, None] - own).abs().sum(2).amin(1).max() < 1e-6


def test_the_same_age_is_the_same_picture(stored: CrossAgeDataset) -> None:
    dataset = AgeTransGanDataset(stored, tiny().generator, AgeTransGanDatasetConfig(same_share=1.0))
    batch = dataset.sample_paired(16, torch.Generator().manual_seed(0))
    torch.testing.assert_close(batch.x, batch.y)
    torch.testing.assert_close(batch.labels, batch.target_labels)


def test_aged_pictures_are_sources_too(stored: CrossAgeDataset) -> None:
    dataset = AgeTransGanDataset(stored, tiny().generator, replace(PLAIN, photo_share=0.0, same_share=0.0))
    batch = dataset.sample_paired(64, torch.Generator().manual_seed(0))
    photos = torch.stack([dataset.sample_photos(1, torch.Generator().manual_seed(seed)).x[0] for seed in range(9)])
    back = (batch.y[:, None] - photos).abs().amax((2, 3, 4)).amin(1) < 1e-6
    assert 16 <= back.sum() <= 48
    assert ((batch.x[:, None] - photos).abs().amax((2, 3, 4)).amin(1) > 1e-3).all()


def test_the_youngest_pictures_stand_for_all_younger_ages(stored: CrossAgeDataset) -> None:
    dataset = AgeTransGanDataset(stored, tiny().generator, replace(PLAIN, photo_share=1.0, same_share=0.0))
    batch = dataset.sample_paired(128, torch.Generator().manual_seed(0))
    young = batch.target_labels[batch.target_labels.argmax(1) <= 1]
    assert 10 < (young[:, 0] > 0.5).sum() < len(young) - 5


def test_children_keep_the_light_of_their_photo_and_the_detail_of_the_teacher(stored: CrossAgeDataset) -> None:
    plain, kept = (
        AgeTransGanDataset(stored, tiny().generator, replace(PLAIN, own_light=1.0, own_light_years=years))
        for years in ((-2.0, -1.0), (10.0, 18.0))
    )
    light = [dataset.pictures[:, :, 14:20, 12:20].mean((2, 3, 4)) for dataset in (plain, kept)]
    assert abs(light[1][0, 1] - light[1][0, 0]) < 4 < light[0][0, 1] - light[0][0, 0]
    assert light[0][1, 2] > light[1][1, 2] > light[1][1, 0] + 1
    np.testing.assert_array_equal(plain.pictures[:, :, 0], kept.pictures[:, :, 0])
    np.testing.assert_array_equal(plain.pictures[:, 3:], kept.pictures[:, 3:])


def test_rare_groups_of_photos_are_drawn_more_often(stored: CrossAgeDataset) -> None:
    many = {name: np.concatenate([value[:1]] * 9 + [value[1:]]) for name, value in vars(stored).items()}
    real = np.array([38.0] * 9 + [4.0], np.float32)
    for balance, low, high in ((0.0, 0, 60), (1.0, 150, 250)):
        config = replace(PLAIN, balance=balance)
        dataset = AgeTransGanDataset(CrossAgeDataset(**many), tiny().generator, config, real_years=real)
        batch = dataset.sample_photos(400, torch.Generator().manual_seed(0))
        assert low <= (batch.real_labels.argmax(1) == 1).sum() <= high
        assert (batch.labels.argmax(1) == 6).all()
        assert ((batch.labels - batch.target_labels).abs().sum(1) > 0.1).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_generator_draws_the_same_batch(dataset: AgeTransGanDataset, seed: int) -> None:
    first, second = (dataset.sample_paired(4, torch.Generator().manual_seed(seed)) for _ in range(2))
    torch.testing.assert_close(first.x, second.x)
    other = dataset.sample_paired(4, torch.Generator().manual_seed(seed + 1))
    assert (first.x - other.x).abs().max() > 0.01


def test_targets_of_children_have_their_proportions_and_so_have_the_sources(
    stored: CrossAgeDataset, mesh: Plane, face: Face
) -> None:
    meshes = np.stack([mesh, mirror_mesh(mesh, len(face.crop))])
    child = np.zeros((NUM_POINTS, 3), np.float32)
    child[:, 1] = -0.3 * np.maximum(measure_proportions(mesh)[:, 1] - 0.7, 0)
    proportions = Proportions(meshes, len(face.crop), child)
    config = replace(PLAIN, photo_share=0.5, same_share=0.0)
    dataset = AgeTransGanDataset(stored, tiny().generator, config, proportions=proportions)
    batch = dataset.sample_paired(64, torch.Generator().manual_seed(0))
    assert torch.equal(batch.moved, batch.target_years < 20)
    far = (batch.x - batch.own).abs().mean((1, 2, 3))
    assert far[batch.moved].min() > 0.01
    assert far[~batch.moved].max() == 0
    # the light of a target is all that it changes, so what is brought back to it is alike
    x, y, own = ((one[batch.moved] + 1) / 2 for one in (batch.x, batch.y, batch.own))
    lit = x * (light_of(batch.y) / light_of(batch.x))[batch.moved, None, None, None]
    assert (lit.clamp(0, 1) - y).abs().mean() < 0.6 * (own * y.mean() / own.mean() - y).abs().mean()


def test_a_label_goes_part_of_the_way_to_a_child() -> None:
    child = np.ones((NUM_POINTS, 3), np.float32)
    adult, young, baby = (soft_label(years) for years in (30.0, 8.5, 1.0))
    assert child_moves(child, young, adult).max() == pytest.approx(-0.85)
    assert child_moves(child, adult, young).max() > 0.7
    assert child_moves(child, adult, baby).max() > child_moves(child, adult, young).max()
    assert not child_moves(child, adult, soft_label(70.0)).any()


def test_a_childs_proportions_are_the_mean_of_children_less_that_of_adults(mesh: Plane) -> None:
    small = mesh.copy()
    small[:, 1] = np.where(small[:, 1] > small[1, 1], 0.7 * (small[:, 1] - small[1, 1]) + small[1, 1], small[:, 1])
    meshes = np.stack([mesh, mesh, small])
    child = measure_child(meshes, np.array([30.0, 70.0, 3.0]))
    assert child[152, 1] < -0.2
    assert not measure_child(meshes, np.array([30.0, 70.0, 18.0])).any()


def test_turned_faces_keep_their_ages(stored: CrossAgeDataset, mesh: Plane, face: Face) -> None:
    scale = stored.crops.shape[1] / len(face.crop)
    meshes = (np.stack([mesh, mirror_mesh(mesh, len(face.crop))]) * scale).astype(np.float32)
    turned, moved, rows = turn_faces(stored, meshes, count=2, seed=3)
    assert sorted(rows.tolist()) == [0, 1]
    np.testing.assert_array_equal(turned.aged_years, stored.aged_years[rows])
    assert turned.aged.shape == stored.aged.shape
    yaws = [fit_pose(one).angles[0] - fit_pose(meshes[row]).angles[0] for one, row in zip(moved, rows, strict=True)]
    assert max(map(abs, yaws)) > 5
    light = turned.aged.mean((2, 3, 4))
    assert (light.argsort(1) == stored.aged[rows].mean((2, 3, 4)).argsort(1)).all()
