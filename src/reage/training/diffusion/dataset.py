"""Pictures for latent diffusion: squares of zones, whole faces and pieces of skin, cut from portraits when drawn.

Convention:
    pictures (B, 3, P, P) in [-1, 1]; kinds are places in `KINDS`.
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
from reage.faces.patches import FACE, ZONE_PATCHES, fine_face_px, patch_from_crop, zone_of_patch
from reage.faces.segmentation import FaceParser
from reage.faces.zone_scorer import ZoneScorer
from reage.images import geometry
from reage.images.tensors import to_net
from reage.types import Pixels, Plane
from reage.zones import MIRRORED_ZONES, ZONES

SKIN = "skin"
KINDS = (*ZONE_PATCHES, FACE, SKIN)
"""A square of a zone; a whole face; a piece of a finer one."""
_MIRRORED_POINTS = [3, 2, 1, 0, 4]


@dataclass(frozen=True, kw_only=True)
class CropDatasetConfig:
    """How pictures are drawn.

    Args:
        picture_px: side of the pictures.
        light: accidents of light; none of place.
        size: largest relative change of size.
        shift: largest shift, share of the side.
        turn_degrees: largest rotation to either side.
    """

    picture_px: int = 96
    light: AugmentConfig = AugmentConfig(exposure=0.05, gamma=0.1, contrast=0.1, saturation=0.2, tint=0.01, lamp=0.0)
    size: float = 0.04
    shift: float = 0.03
    turn_degrees: float = 3.0


@dataclass(frozen=True)
class Pictures:
    """What was drawn.

    Args:
        x: (B, 3, P, P).
        kinds: (B,).
        scores: (B,) of the zone; NaN where none is shown.
        years: (B,) age of the person.
    """

    x: Tensor
    kinds: Tensor
    scores: Tensor
    years: Tensor


@dataclass(frozen=True, kw_only=True)
class CropDataset:
    """Portraits to cut from.

    Args:
        crops: (N, S, S, 3) uint8.
        landmarks: (N, 5, 2) float32 crop px.
        years: (N,) float32 true ages.
        scores: (N, 12) float32 of the zones, NaN where hidden.
    """

    crops: Pixels
    landmarks: Plane
    years: NDArray[np.float32]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.crops)

    def cut(self, rows: Tensor, kinds: Tensor, config: CropDatasetConfig, generator: Generator) -> Pictures:
        """Pictures of these portraits (B,) and kinds (B,), half of them mirrored."""
        mirrored = torch.rand(len(rows), generator=generator) < 0.5
        accidents = (2 * torch.rand(len(rows), 6, generator=generator) - 1).numpy()
        wanted = list(zip(rows.tolist(), kinds.tolist(), mirrored.tolist(), strict=True))
        cut = [self._cut(*one, accident, config) for one, accident in zip(wanted, accidents, strict=True)]
        x = relight(to_net(np.stack(cut)), config.light, generator).clamp(-1, 1)
        return Pictures(
            x=x.contiguous(memory_format=torch.channels_last),
            kinds=kinds,
            scores=torch.tensor([self._score(*one) for one in wanted]),
            years=torch.from_numpy(self.years)[rows],
        )

    def _cut(
        self, row: int, kind: int, mirrored: bool, accident: NDArray[np.float32], config: CropDatasetConfig
    ) -> Pixels:
        crop, points = self.crops[row], self.landmarks[row]
        if mirrored:
            crop, points = crop[:, ::-1], points[_MIRRORED_POINTS] * [-1, 1] + [len(crop) - 1, 0]
        px = config.picture_px
        name, side = (FACE, fine_face_px(px)) if KINDS[kind] == SKIN else (KINDS[kind], px)
        matrix = patch_from_crop(name, points, len(crop), side)
        spare = (side - px) / 2
        matrix = _jolt(side, accident, config) @ np.vstack([matrix, [0, 0, 1]])
        matrix[:, 2] -= spare + spare * accident[4:]
        return geometry.warp(np.ascontiguousarray(crop), matrix, px, px)

    def _score(self, row: int, kind: int, mirrored: bool) -> float:
        if kind >= len(ZONE_PATCHES):
            return float("nan")
        zone = ZONES.index(zone_of_patch(ZONE_PATCHES[kind]))
        return float(self.scores[row, MIRRORED_ZONES[zone] if mirrored else zone])


def _jolt(side_px: int, accident: NDArray[np.float32], config: CropDatasetConfig) -> NDArray[np.float64]:
    """(2, 3) a small similarity about the centre of a square, from four numbers in [-1, 1]."""
    angle = np.deg2rad(config.turn_degrees * accident[0])
    size = 1 + config.size * accident[1]
    turn = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = np.full(2, (side_px - 1) / 2)
    return np.column_stack([turn, centre - turn @ centre + config.shift * side_px * accident[2:4]])


def make_crop_dataset(
    portraits: Portraits, scorer: ZoneScorer, parser: FaceParser, track: Callable[[range], Iterable[int]] = iter
) -> CropDataset:
    """The portraits with the scores of their zones."""
    scores = []
    for row in track(range(len(portraits))):
        measured = scorer.measure(portrait_to_face(portraits, row, parser))
        scores.append([measured.get(zone, np.nan) for zone in ZONES])
    return CropDataset(
        crops=portraits.crops,
        landmarks=portraits.landmarks.astype(np.float32),
        years=portraits.age_years.astype(np.float32),
        scores=np.array(scores, np.float32),
    )
