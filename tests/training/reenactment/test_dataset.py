"""Faces turned there and back, and the batches made of them."""

from __future__ import annotations

import numpy as np
import torch

from reage.faces.head_pose import fit_pose
from reage.mesh_points import measure_eye_openness, measure_pose
from reage.nets.reenactment_config import NUM_PLANES, REENACTMENT_PX
from reage.training.reenactment.dataset import (
    MAX_TURN_DEGREES,
    SAMPLES_PER_PHOTO,
    ReenactmentDataset,
    close_eyes,
    draw_target,
    sample_batch,
)
from reage.types import Plane


def test_each_photo_is_turned_several_ways(turned: ReenactmentDataset) -> None:
    assert len(turned) == 2 * SAMPLES_PER_PHOTO
    assert turned.photo.tolist() == [0] * SAMPLES_PER_PHOTO + [1] * SAMPLES_PER_PHOTO
    assert turned.filled.shape == (len(turned), REENACTMENT_PX, REENACTMENT_PX, 3)
    assert not np.array_equal(turned.turned[0], turned.turned[1])


def test_what_is_not_hidden_is_nearly_the_photo(turned: ReenactmentDataset) -> None:
    hidden = turned.masks[..., 0] > 0
    assert 0.005 < hidden.mean() < 0.4
    error = np.abs(turned.filled.astype(int) - turned.photos[turned.photo]).mean(-1)
    assert np.median(error[~hidden]) < 4
    assert error[hidden].mean() > 2 * error[~hidden].mean()


def test_targets_turn_within_their_limits_and_are_drawn_by_the_generator(mesh: Plane) -> None:
    targets = [draw_target(mesh, mesh, np.random.default_rng(seed)) for seed in range(40)]
    turns = np.abs([np.subtract(measure_pose(target), measure_pose(mesh)) for target in targets])
    assert (turns.max(0) <= np.add(MAX_TURN_DEGREES, 1.5)).all()
    assert (turns.max(0) > 0.6 * np.array(MAX_TURN_DEGREES)).all()
    again = draw_target(mesh, mesh, np.random.default_rng(3))
    np.testing.assert_array_equal(again, targets[3])
    assert any(max(measure_eye_openness(target)) < 0.1 for target in targets)


def test_closed_eyes_move_the_upper_lids_alone(mesh: Plane) -> None:
    units = fit_pose(mesh).to_units(mesh)
    closed = close_eyes(units)
    assert max(measure_eye_openness(closed)) < 0.15 * min(measure_eye_openness(units)) + 0.02
    moved = np.flatnonzero(np.abs(closed - units).max(1) > 1e-6)
    assert len(moved) == 14


def test_a_batch_holds_planes_and_the_truth(turned: ReenactmentDataset) -> None:
    batch = sample_batch(turned, 3, torch.Generator().manual_seed(0))
    assert batch.planes.shape == (3, NUM_PLANES, REENACTMENT_PX, REENACTMENT_PX)
    assert batch.source.shape == (3, 3, REENACTMENT_PX // 2, REENACTMENT_PX // 2)
    visible = batch.planes[:, 3:4] == 0
    difference = (batch.planes[:, :3] - batch.truth).abs().mean(1, keepdim=True)
    assert difference[visible].median() < 0.04
    assert batch.planes[:, 3:4].unique().tolist() == [0, 1]
    assert (batch.planes[:, 4:7].abs().amax(1, keepdim=True) * batch.planes[:, 7:8]).max() == 0


def test_some_batches_are_mirrored(turned: ReenactmentDataset) -> None:
    batches = [sample_batch(turned, 1, torch.Generator().manual_seed(seed)) for seed in range(40)]
    assert len({batch.planes[0, :3, :, :50].sum().item() for batch in batches}) > len(turned)
