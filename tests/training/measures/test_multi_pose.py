"""Turned faces, and an age estimator fine-tuned on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from reage.data.shards import Portraits
from reage.data.split import fold_of
from reage.errors import ReageError
from reage.faces.detector import align
from reage.mesh_points import LANDMARK_POINTS
from reage.training.measures.age_estimator import age_a
from reage.training.measures.multi_pose import (
    PITCHES,
    POSES,
    YAWS,
    MultiPoseConfig,
    choose_poses,
    finetune_on_poses,
    turn_crop,
    turn_portraits,
)
from reage.training.trainer import TrainerConfig
from reage.types import Face, Plane


@pytest.fixture(scope="module")
def portraits(make_portrait: Callable, to_columns: Callable, face: Face, mesh: Plane) -> Portraits:
    """The demo face as eight training people, two of whom are kept for the calibration."""
    names = [f"P{number}" for number in range(100)]
    kept = [name for name in names if fold_of(name, 8, "age") == age_a().left_out_fold]
    people = [*kept[:2], *(name for name in names if name not in kept)][:8]
    rows = [make_portrait(face.crop, person=name, age_years=30.0 + n) for n, name in enumerate(people)]
    columns = to_columns(rows)
    half = np.array([0.5, 0.5, 0], np.float32)
    small = (mesh + half) / 2 - half
    return replace(columns, mesh=np.stack([small] * 8), split=np.array(["train"] * 8))


def test_there_are_nine_yaws_and_two_pitches() -> None:
    assert (len(YAWS), len(PITCHES), len(POSES)) == (9, 2, 11)
    assert sorted(YAWS) == sorted(-yaw for yaw in YAWS)


def test_a_turned_crop_is_aligned_by_the_eyes_and_nose_of_the_turned_face(face: Face, mesh: Plane) -> None:
    turned = turn_crop(face.crop, mesh, (30.0, 0.0), 128)
    assert turned.shape == (128, 128, 3)
    frontal = turn_crop(face.crop, mesh, (0.0, 0.0), 128)
    assert np.abs(turned.astype(int) - frontal).mean() > 5
    aligned = align(mesh[list(LANDMARK_POINTS), :2], 128)
    assert np.isfinite(aligned).all()


def test_each_row_gets_poses_of_its_own() -> None:
    choose = choose_poses(3, seed=0)
    assert choose(5) == choose(5)
    assert len({*map(tuple, (choose(row) for row in range(10)))}) > 5
    assert all(len(set(choose(row))) == 3 and set(choose(row)) <= set(POSES) for row in range(10))


def test_portraits_that_look_aside_are_left_out(portraits: Portraits) -> None:
    crops, rows, poses = turn_portraits(portraits.pick(np.arange(2)), lambda row: [(0.0, 0.0), (40.0, 0.0)], 64)
    assert crops.shape == (4, 64, 64, 3)
    assert rows.tolist() == [0, 0, 1, 1]
    assert poses.tolist() == [[0, 0], [40, 0]] * 2
    with pytest.raises(ReageError, match="None of these faces can be turned"):
        turn_portraits(portraits.pick(np.arange(1)), lambda row: [(90.0, 0.0)], 64)


def test_turned_faces_teach_the_estimator(portraits: Portraits) -> None:
    config = MultiPoseConfig(trainer=TrainerConfig(steps=2, batch_size=2, bf16=False), turned_share=1.0)
    white = (np.full((8, 200, 200, 3), 255, np.uint8), np.arange(8))
    with_turned, with_photos = (finetune_on_poses(config, portraits, turned) for turned in (white, None))
    difference = [
        (a - b).abs().max().item() for a, b in zip(with_turned.parameters(), with_photos.parameters(), strict=True)
    ]
    assert max(difference) > 0
    repeated = finetune_on_poses(config, portraits, None)
    for a, b in zip(with_photos.parameters(), repeated.parameters(), strict=True):
        torch.testing.assert_close(a, b)
