"""The multi-pose set: each face as it looks from nine yaws and two pitches, and an age estimator fine-tuned with it.

Estimators read turned faces differently from frontal ones. Adding turned copies of the faces that a net learns from
lowered the error on turned faces from 8.54 to 7.22 years in "Simultaneous Facial Age Transformation and Reenactment";
there a generator turned them, here they are warped along their mesh, see `reage.faces.head_window`.

Convention:
    crops RGB uint8 (P, P, 3), aligned anew as a finder aligns a turned face; angles in degrees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from reage.data.augment import augment
from reage.data.shards import Portraits
from reage.errors import ReageError
from reage.faces.detector import align
from reage.faces.head_pose import fit_pose, turn_mesh
from reage.faces.head_window import fill_hidden, make_head_warp, move_mesh
from reage.images import geometry
from reage.images.tensors import to_net
from reage.mesh_points import LANDMARK_POINTS
from reage.nets.age import AgeNet, load_age_net
from reage.training.measures.age_estimator import (
    AgeTrainingConfig,
    age_a,
    age_net_loss,
    calibrate_net,
    encode_sex,
    held_out_rows,
    parameter_groups,
    resize_crops,
    sampling_weights,
)
from reage.training.trainer import Callback, Trainer, TrainerConfig
from reage.types import Pixels, Plane

YAWS = (-40.0, -30.0, -20.0, -10.0, 0.0, 10.0, 20.0, 30.0, 40.0)
PITCHES = (-15.0, 15.0)
POSES = (*((yaw, 0.0) for yaw in YAWS), *((0.0, pitch) for pitch in PITCHES))
"""Yaw and pitch of each pose of the set."""
MAX_TURN_DEGREES = 45.0
"""A face is turned by no more: beyond, most of what it should show is not in the photo."""
MAX_OWN_YAW_DEGREES = 20.0
"""Photos that look farther aside are left out."""


@dataclass(frozen=True, kw_only=True)
class MultiPoseConfig:
    """How an estimator is fine-tuned.

    Args:
        start: weights to start from.
        age: its recipe; seed, data, losses and calibration are those.
        trainer: length and optimisation.
        turned_share: share of the samples of a step that are turned.
        learning_rate_share: of the recipe's learning rates.
    """

    start: str = "age-a"
    age: AgeTrainingConfig = field(default_factory=age_a)
    trainer: TrainerConfig = TrainerConfig(steps=400, batch_size=16)
    turned_share: float = 0.5
    learning_rate_share: float = 0.4


def turn_crop(crop: Pixels, mesh: Plane, angles: tuple[float, float], side_px: int) -> Pixels:
    """A face at another yaw and pitch, aligned anew.

    Args:
        crop: (S, S, 3).
        mesh: (478, 3) px of the crop.
        angles: yaw and pitch to turn to.
        side_px: of the crop that is returned.
    """
    return turn_pictures(crop[None], mesh, angles, side_px)[0][0]


def turn_pictures(pictures: Pixels, mesh: Plane, angles: tuple[float, float], side_px: int) -> tuple[Pixels, Plane]:
    """Pictures (N, S, S, 3) of a face in one pose as `turn_crop` gives each, and their mesh."""
    target = turn_mesh(mesh, (*angles, fit_pose(mesh).angles[2]))
    aligned = align(target[list(LANDMARK_POINTS), :2], side_px)
    warp = make_head_warp(mesh, target, pictures.shape[1])
    turned = [geometry.warp(fill_hidden(warp.apply(one)), aligned, side_px, side_px) for one in pictures]
    return np.stack(turned), move_mesh(target, aligned)


def can_turn(mesh: Plane, pose: tuple[float, float]) -> bool:
    """Whether a face that looks almost straight at the camera can be turned to a yaw and pitch, in degrees."""
    yaw, pitch, _ = fit_pose(mesh).angles
    return abs(yaw) <= MAX_OWN_YAW_DEGREES and max(abs(pose[0] - yaw), abs(pose[1] - pitch)) <= MAX_TURN_DEGREES


def turn_portraits(
    portraits: Portraits,
    choose: Callable[[int], Sequence[tuple[float, float]]],
    crop_px: int,
    track: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> tuple[Pixels, NDArray[np.int64], NDArray[np.float64]]:
    """Turned faces.

    Args:
        portraits: whose crops are larger than `crop_px`, so that turning them costs no detail.
        choose: row -> poses, see `POSES`.
        crop_px: side P of the new crops.
        track: wraps the rows in a progress bar.

    Returns:
        Crops (M, P, P, 3), the row of each (M,), and its yaw and pitch (M, 2).

    Raises:
        ReageError: when no face can be turned.
    """
    found = []
    for row in track(range(len(portraits))):
        for pose in choose(row):
            if can_turn(portraits.mesh[row], pose):
                found.append((turn_crop(portraits.crops[row], portraits.mesh[row], pose, crop_px), row, pose))
    if not found:
        raise ReageError("None of these faces can be turned to these poses; give faces that look towards the camera.")
    crops, rows, poses = zip(*found, strict=True)
    return np.stack(crops), np.array(rows), np.array(poses)


def choose_poses(count: int, seed: int) -> Callable[[int], list[tuple[float, float]]]:
    """A function that draws so many different poses for each row."""

    def choose(row: int) -> list[tuple[float, float]]:
        picked = np.random.default_rng((seed, row)).choice(len(POSES), count, replace=False)
        return [POSES[number] for number in picked]

    return choose


def finetune_on_poses(
    config: MultiPoseConfig,
    portraits: Portraits,
    turned: tuple[Pixels, NDArray[np.int64]] | None,
    checkpoint: Path | None = None,
    callbacks: Sequence[Callback] = (),
) -> AgeNet:
    """The estimator fine-tuned and calibrated on the people of its recipe, with turned faces or without.

    Args:
        config: of the run.
        portraits: as `with_taught_ages` gives them; those of the "val" split are not used.
        turned: crops (M, P, P, 3) of training people and their rows in `portraits`; None for photos alone.
        checkpoint: file that a stopped run is resumed from.
        callbacks: called after each step.
    """
    held_out = held_out_rows(config.age, portraits)
    rows = np.flatnonzero((portraits.split == "train") & ~held_out)
    training = resize_crops(portraits.pick(rows), config.age.crop_px)
    weights = torch.from_numpy(sampling_weights(training.age_years, config.age.balance))
    copies = _group_by_row(turned[1], rows) if turned is not None else []
    torch.manual_seed(config.age.seed)
    net = load_age_net(config.start).requires_grad_(True)

    def draw(place: int, generator: Generator) -> Pixels:
        turn = turned is not None and torch.rand(1, generator=generator).item() < config.turned_share
        if not turn or not len(copies[place]):
            return np.asarray(training.crops[place])
        number = int(torch.randint(len(copies[place]), (1,), generator=generator))
        assert turned is not None
        return np.asarray(turned[0][copies[place][number]])

    def loss_fn(generator: Generator) -> Tensor:
        places = torch.multinomial(weights, config.trainer.batch_size, replacement=True, generator=generator).numpy()
        crops = np.stack([draw(place, generator) for place in places])
        x = augment(to_net(crops), config.age.augment, generator)
        is_man = torch.from_numpy(encode_sex(training.sex[places]))
        return age_net_loss(net, x, torch.from_numpy(training.age_years[places]), is_man)

    trainer = Trainer(config.trainer, seed=config.age.seed, checkpoint=checkpoint, callbacks=callbacks)
    groups = [(part, config.learning_rate_share * rate) for part, rate in parameter_groups(net, config.age)]
    ema = trainer.fit(net, loss_fn, groups)
    assert isinstance(ema, AgeNet)
    return calibrate_net(ema, portraits.pick(held_out), config.age.calibration)


def _group_by_row(rows: NDArray[np.int64], wanted: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """For each wanted row the places at which it stands in `rows`."""
    return [np.flatnonzero(rows == row) for row in wanted]
