"""Training crops of latent diffusion: zone patches, whole faces and skin, cut from portraits when they are sampled.

Zones are cut from the common face (see `reage.faces.common_face`), whole faces and skin from the aligned crop.

Convention:
    images (B, 3, P, P) in [-1, 1]; a kind is a place in `CROP_KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from reage.data.augment import AugmentConfig, relight
from reage.data.faces import portrait_to_face
from reage.data.shards import Portraits
from reage.faces.common_face import fit_common_face
from reage.faces.patches import (
    FACE,
    ZONE_PATCHES,
    fine_face_px,
    patch_from_crop,
    square_from_plane,
    zone_of_patch,
)
from reage.faces.segmentation import FaceParser
from reage.faces.zone_scorer import ZoneScorer
from reage.images import geometry
from reage.images.tensors import to_net
from reage.mesh_points import measure_pose
from reage.types import Pixels, Plane
from reage.zones import MIRRORED_ZONES, ZONES

SKIN = "skin"
CROP_KINDS = (*ZONE_PATCHES, FACE, SKIN)
"""The patch of a zone, the whole face, or a random part of the face at a finer scale."""
PLANE_PX = 512
"""Side of the common face that zones are cut from."""
_MIRRORED_LANDMARKS = [3, 2, 1, 0, 4]


@dataclass(frozen=True, kw_only=True)
class CropDatasetConfig:
    """How training crops are cut and augmented.

    Args:
        picture_px: side of the crops.
        photometric_augment: random changes of light and colour; of the augmentation only that part is used.
        max_scale: largest relative change of size.
        max_shift: largest shift, as a share of the side.
        max_rotation_degrees: largest rotation to either side.
    """

    picture_px: int = 96
    photometric_augment: AugmentConfig = AugmentConfig(
        max_brightness=0.05,
        max_gamma=0.1,
        max_contrast=0.1,
        max_saturation=0.2,
        max_channel_shift=0.01,
        side_light_prob=0.0,
    )
    max_scale: float = 0.04
    max_shift: float = 0.03
    max_rotation_degrees: float = 3.0


@dataclass(frozen=True)
class CropBatch:
    """A batch of training crops.

    Args:
        x: (B, 3, P, P) images.
        kinds: (B,).
        scores: (B,) of the zone; NaN for a crop that shows no single zone, or a hidden one.
        age_years: (B,) age of the person.
    """

    x: Tensor
    kinds: Tensor
    scores: Tensor
    age_years: Tensor


@dataclass(frozen=True, kw_only=True)
class CropDataset:
    """Portraits from which training crops are cut.

    Args:
        crops: (N, S, S, 3) uint8 aligned faces.
        planes: (N, PLANE_PX, PLANE_PX, 3) uint8 the same in the common face.
        landmarks: (N, 5, 2) float32 crop px.
        age_years: (N,) float32 ages.
        scores: (N, 12) float32 of the zones, NaN where hidden.
    """

    crops: Pixels
    planes: Pixels
    landmarks: Plane
    age_years: NDArray[np.float32]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.crops)

    def cut(self, rows: Tensor, kinds: Tensor, config: CropDatasetConfig, generator: Generator) -> CropBatch:
        """Augmented crops of these rows (B,) and kinds (B,); each is mirrored with probability 0.5."""
        flipped = torch.rand(len(rows), generator=generator) < 0.5
        jitters = (2 * torch.rand(len(rows), 6, generator=generator) - 1).numpy()
        wanted = list(zip(rows.tolist(), kinds.tolist(), flipped.tolist(), strict=True))
        cut = [self._cut_one(*one, jitter, config) for one, jitter in zip(wanted, jitters, strict=True)]
        x = relight(to_net(np.stack(cut)), config.photometric_augment, generator).clamp(-1, 1)
        return CropBatch(
            x=x.contiguous(memory_format=torch.channels_last),
            kinds=kinds,
            scores=torch.tensor([self._score(*one) for one in wanted]),
            age_years=torch.from_numpy(self.age_years)[rows],
        )

    def _cut_one(
        self, row: int, kind: int, flipped: bool, jitter: NDArray[np.float32], config: CropDatasetConfig
    ) -> Pixels:
        px, name = config.picture_px, CROP_KINDS[kind]
        if name in ZONE_PATCHES:
            plane = self.planes[row][:, ::-1] if flipped else self.planes[row]
            matrix = square_from_plane(name, len(plane), px)
            matrix = _jitter_matrix(px, jitter, config) @ np.vstack([matrix, [0, 0, 1]])
            return geometry.warp(np.ascontiguousarray(plane), matrix, px, px)
        crop, points = self.crops[row], self.landmarks[row]
        if flipped:
            crop, points = crop[:, ::-1], points[_MIRRORED_LANDMARKS] * [-1, 1] + [len(crop) - 1, 0]
        side = fine_face_px(px) if name == SKIN else px
        matrix = patch_from_crop(FACE, points, len(crop), side)
        margin = (side - px) / 2
        matrix = _jitter_matrix(side, jitter, config) @ np.vstack([matrix, [0, 0, 1]])
        matrix[:, 2] -= margin + margin * jitter[4:]
        return geometry.warp(np.ascontiguousarray(crop), matrix, px, px)

    def _score(self, row: int, kind: int, flipped: bool) -> float:
        if kind >= len(ZONE_PATCHES):
            return float("nan")
        zone = ZONES.index(zone_of_patch(ZONE_PATCHES[kind]))
        return float(self.scores[row, MIRRORED_ZONES[zone] if flipped else zone])


def _jitter_matrix(side_px: int, jitter: NDArray[np.float32], config: CropDatasetConfig) -> NDArray[np.float64]:
    """(2, 3) a small similarity about the centre of a patch, from four numbers in [-1, 1]."""
    angle = np.deg2rad(config.max_rotation_degrees * jitter[0])
    scale = 1 + config.max_scale * jitter[1]
    rotation = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = np.full(2, (side_px - 1) / 2)
    shift = config.max_shift * side_px * jitter[2:4]
    return np.column_stack([rotation, centre - rotation @ centre + shift])


def make_crop_dataset(
    portraits: Portraits, scorer: ZoneScorer, parser: FaceParser, track: Callable[[range], Iterable[int]] = iter
) -> CropDataset:
    """The dataset of these portraits; the scores of their zones are measured.

    Args:
        portraits: N of them.
        scorer: measures the zones.
        parser: finds skin and hair.
        track: wraps the rows in a progress bar.
    """
    scores = []
    for row in track(range(len(portraits))):
        measured = scorer.measure(portrait_to_face(portraits, row, parser))
        scores.append([measured.get(zone, np.nan) for zone in ZONES])
    return CropDataset(
        crops=portraits.crops,
        planes=unroll_crops(portraits.crops, portraits.mesh),
        landmarks=portraits.landmarks.astype(np.float32),
        age_years=portraits.age_years.astype(np.float32),
        scores=np.array(scores, np.float32),
    )


def unroll_crops(crops: Pixels, meshes: Plane) -> Pixels:
    """The common faces (N, PLANE_PX, PLANE_PX, 3) of crops (N, S, S, 3) with meshes (N, 478, 3) crop px."""
    return np.stack(
        [
            geometry.sample(crop, fit_common_face(mesh).straighten(PLANE_PX))
            for crop, mesh in zip(crops, meshes, strict=True)
        ]
    )


def pick_useful(portraits: Portraits, max_yaw_degrees: float) -> Portraits:
    """The portraits in colour that look towards the camera."""
    yaw_degrees = np.array([measure_pose(mesh)[0] for mesh in portraits.mesh])
    return portraits.pick((np.abs(yaw_degrees) <= max_yaw_degrees) & ~portraits.grey)
