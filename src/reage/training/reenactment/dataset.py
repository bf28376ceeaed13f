"""Faces turned there and back: what the face generator sees, and the photo that it has to restore.

There is no collection of heads in many poses that anybody may use for everything, so each photo makes its own: the face
is warped along its mesh to another pose and expression, and back. What neither way shows is hidden, exactly as when a
photo is turned once, but here the truth is known.

Convention:
    N photos, M samples; windows of S = `REENACTMENT_PX` px, see `reage.faces.head_window`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from reage.data.shards import Portraits
from reage.faces.common_face import mean_mesh
from reage.faces.geometry import smoothstep
from reage.faces.head_pose import fit_pose, turn_pose
from reage.faces.head_window import fill_hidden, move_mesh, warp_head, window_from_crop
from reage.faces.line_map import draw_line_map
from reage.images import geometry
from reage.mesh_points import LIDS, measure_pose
from reage.nets.reenactment_config import REENACTMENT_PX
from reage.types import Pixels, Plane

SAMPLES_PER_PHOTO = 2
MAX_TURN_DEGREES = (30.0, 18.0, 6.0)
"""Largest change of yaw, pitch and roll on the way there."""
MAX_ANGLES = (40.0, 30.0, 45.0)
"""Largest yaw, pitch and roll of the photo and of the turned face."""
_MOUTH_PROB, _BLINK_PROB = 0.6, 0.2
"""Share of samples whose mouth takes another person's shape on the way there, and whose eyes close."""
_MOUTH_UNITS = (0.6, 0.9)
"""Face units below the eyes at which a point starts to belong to the mouth and jaw, and at which it does in full."""
_CLOSED = 0.9
"""How far lids that close come to each other."""


@dataclass(frozen=True, kw_only=True)
class ReenactmentDataset:
    """Faces turned there and back.

    Args:
        photos: (N, S, S, 3) uint8 windows of the photos.
        filled: (M, S, S, 3) uint8 the faces turned there and back, hidden pixels filled, see `fill_hidden`.
        mirrored: (M, S, S, 3) uint8 their mirror images in the same pose.
        masks: (M, S, S, 4) uint8 from 0 to 255: hidden, hidden in the mirror image, line map, where the mesh is.
        turned: (M, S / 2, S / 2, 3) uint8 the faces as turned there, for their style.
        photo: (M,) int64 row of the photo.
    """

    photos: Pixels
    filled: Pixels
    mirrored: Pixels
    masks: NDArray[np.uint8]
    turned: Pixels
    photo: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.filled)


@dataclass(frozen=True)
class ReenactmentBatch:
    """Input and truth of a step.

    Args:
        planes: (B, `NUM_PLANES`, S, S), see `reage.nets.reenactment`.
        source: (B, 3, S / 2, S / 2) in [-1, 1].
        truth: (B, 3, S, S) in [-1, 1].
    """

    planes: Tensor
    source: Tensor
    truth: Tensor


def make_reenactment_dataset(
    portraits: Portraits, *, seed: int = 0, track: Callable[[Iterable[int]], Iterable[int]] = iter
) -> ReenactmentDataset:
    """`SAMPLES_PER_PHOTO` samples of every portrait that is turned less than `MAX_ANGLES`.

    Args:
        portraits: of training people only.
        seed: of poses and expressions.
        track: wraps the rows in a progress bar.
    """
    window = window_from_crop(portraits.crops.shape[1], REENACTMENT_PX)
    meshes = np.stack([move_mesh(mesh, window) for mesh in portraits.mesh])
    rows = [row for row, mesh in enumerate(meshes) if (np.abs(measure_pose(mesh)) < MAX_ANGLES).all()]
    photos, samples = [], []
    for place, row in enumerate(track(rows)):
        photo = geometry.warp(portraits.crops[row], window, REENACTMENT_PX, REENACTMENT_PX)
        photos.append(photo)
        for number in range(SAMPLES_PER_PHOTO):
            generator = np.random.default_rng((seed, row, number))
            target = draw_target(meshes[row], meshes[generator.choice(rows)], generator)
            samples.append((*make_sample(photo, meshes[row], target), np.int64(place)))
    columns = [np.stack(column) for column in zip(*samples, strict=True)]
    names = ("filled", "mirrored", "masks", "turned", "photo")
    return ReenactmentDataset(photos=np.stack(photos), **dict(zip(names, columns, strict=True)))


def make_sample(photo: Pixels, mesh: Plane, target: Plane) -> tuple[Pixels, Pixels, NDArray[np.uint8], Pixels]:
    """`filled`, `mirrored`, `masks` and `turned` of one photo (S, S, 3) turned to a target mesh and back."""
    there = warp_head(photo, mesh, target)
    back = warp_head(there.picture, target, mesh, there.hidden)
    masks = [255 * mask.astype(np.uint8) for mask in (back.hidden, back.mirrored_hidden, back.moved)]
    masks.insert(2, draw_line_map(mesh, len(photo)))
    turned = geometry.resize(fill_hidden(there), len(photo) // 2, len(photo) // 2)
    return fill_hidden(back), back.mirrored, np.stack(masks, -1), turned


def draw_target(mesh: Plane, other: Plane, generator: np.random.Generator) -> Plane:
    """A mesh (478, 3) in a random pose; often with the mouth of another mesh, or with closed eyes."""
    pose = fit_pose(mesh)
    units = pose.to_units(mesh)
    if generator.random() < _MOUTH_PROB:
        lower = smoothstep(mean_mesh()[:, 1:2].astype(np.float32), *_MOUTH_UNITS)
        units = units + lower * (fit_pose(other).to_units(other) - units)
    if generator.random() < _BLINK_PROB:
        units = close_eyes(units)
    now = measure_pose(mesh)
    turns = generator.uniform(-1, 1, 3) * MAX_TURN_DEGREES
    angles = np.clip(np.add(now, turns), *np.multiply([[-1], [1]], MAX_ANGLES))
    return turn_pose(pose, now, tuple(angles.tolist())).to_picture(units)


def close_eyes(units: Plane) -> Plane:
    """The mesh (478, 3) with its upper lids on the lower ones."""
    closed = units.copy()
    for lids in LIDS:
        upper, lower = map(list, lids)
        closed[upper] = units[upper] + _CLOSED * (units[lower] - units[upper])
    return closed


def sample_batch(dataset: ReenactmentDataset, num: int, generator: Generator) -> ReenactmentBatch:
    """Random samples, half of them mirrored."""
    rows = torch.randint(len(dataset), (num,), generator=generator).numpy()
    flip = torch.rand(1, generator=generator).item() < 0.5
    masks = _to_tensor(dataset.masks[rows]) / 255
    hidden, mirrored_hidden, lines, moved = masks.unbind(1)
    filled, mirrored, source, truth = (
        _to_tensor(values) / 127.5 - 1
        for values in (
            dataset.filled[rows],
            dataset.mirrored[rows],
            dataset.turned[rows],
            dataset.photos[dataset.photo[rows]],
        )
    )
    mirrored = mirrored * (1 - mirrored_hidden[:, None])
    planes = torch.cat([filled, torch.stack([hidden], 1), mirrored, torch.stack([mirrored_hidden, lines, moved], 1)], 1)
    tensors = (x.flip(-1) if flip else x for x in (planes, source, truth))
    return ReenactmentBatch(*(x.contiguous(memory_format=torch.channels_last) for x in tensors))


def _to_tensor(values: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(values).permute(0, 3, 1, 2).float()
