"""The multi-pose set of the fine-tuning with L_MI: training faces at several ages, each turned to another pose."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reage.mesh_points import LANDMARK_POINTS
from reage.training.cross_age import CrossAgeDataset
from reage.training.measures.multi_pose import POSES, can_turn, turn_pictures
from reage.types import Pixels, Plane


def turn_faces(
    stored: CrossAgeDataset,
    meshes: Plane,
    *,
    count: int,
    seed: int = 0,
    track: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> tuple[CrossAgeDataset, Plane, NDArray[np.int64]]:
    """Faces of the cross-age set, photo and aged pictures of each turned to one of `POSES`.

    Args:
        stored: the set.
        meshes: (N, 478, 3) of its faces, px of its crops.
        count: faces to turn, drawn without those that look too far aside.
        seed: of faces and poses.
        track: wraps the rows in a progress bar.

    Returns:
        The turned faces, their meshes, and the row of each in the set.
    """
    generator = np.random.default_rng(seed)
    found: list[tuple[Pixels, Plane, int]] = []
    for row in track(generator.permutation(len(stored)).tolist()):
        if len(found) == count:
            break
        if poses := [pose for pose in POSES if can_turn(meshes[row], pose)]:
            pose = poses[generator.integers(len(poses))]
            pictures = np.concatenate([stored.crops[row : row + 1], stored.aged[row]])
            found.append((*turn_pictures(pictures, meshes[row], pose, stored.crops.shape[1]), row))
    pictures, turned, rows = (np.array(column) for column in zip(*found, strict=True))
    columns = {name: value[rows] for name, value in vars(stored).items()}
    landmarks = turned[:, list(LANDMARK_POINTS), :2]
    turned_set = replace(CrossAgeDataset(**columns), crops=pictures[:, 0], aged=pictures[:, 1:], landmarks=landmarks)
    return turned_set, turned, rows
