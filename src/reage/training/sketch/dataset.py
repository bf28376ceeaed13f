"""Pairs of photos and sketches drawn by rules, and the batches made of them.

There are no artists' sketches that anybody may use for everything, so each training photo is drawn in both styles by
`reage.faces.drawn_sketch`. The light of a photo is changed at random after it was drawn, so that a net learns to draw
what the renderer draws of the same face in good light.

Convention: N photos of S = `SKETCH_PX` px; sketches are grey, 255 is paper.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Generator, Tensor

from reage.data.augment import AugmentConfig, move, relight, to_grey
from reage.data.shards import Portraits
from reage.faces.drawn_sketch import STYLES, Drafting, draw_portrait
from reage.faces.segmentation import FaceParser
from reage.images import geometry
from reage.nets.pix2pix_config import SKETCH_PX
from reage.types import Pixels

Direction = Literal["sketch", "photo"]
"""What a net gives: a sketch of a photo, or a photo of a sketch."""

_ERROR_CELLS = 7
"""Cells a side of the random field by which a sketch is out of proportion."""


@dataclass(frozen=True, kw_only=True)
class SketchAugmentConfig:
    """How pairs are changed at random.

    Args:
        photo: geometry, of photo and sketch alike, and light, of the photo alone; the probability of grey photos.
        max_proportion_error: largest standard deviation, in sides, of the errors in proportion of a sketch that is to
            become a photo.
        max_tone: largest relative change of its darkness.
    """

    photo: AugmentConfig = AugmentConfig(
        max_rotation_degrees=5.0, max_scale=0.05, max_shift=0.03, grey_prob=0.2, side_light_prob=0.4
    )
    max_proportion_error: float = 0.008
    max_tone: float = 0.25


@dataclass(frozen=True, kw_only=True)
class SketchDataset:
    """Photos and their drawings.

    Args:
        photos: (N, S, S, 3) uint8.
        sketches: (N, 2, S, S) uint8, in the order of `STYLES`.
    """

    photos: Pixels
    sketches: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.photos)


@dataclass(frozen=True)
class SketchBatch:
    """Pairs.

    Args:
        source: (B, C, S, S) in [-1, 1], what the net takes, see `make_source`.
        truth: (B, D, S, S) in [-1, 1], what it shall give.
    """

    source: Tensor
    truth: Tensor


def make_sketch_dataset(
    portraits: Portraits, parser: FaceParser, track: Callable[[Iterable[int]], Iterable[int]] = iter
) -> SketchDataset:
    """Every portrait drawn in every style.

    Args:
        portraits: of training people.
        parser: of faces.
        track: passes row numbers on, and may show progress.
    """
    photos = np.empty((len(portraits), SKETCH_PX, SKETCH_PX, 3), np.uint8)
    sketches = np.empty((len(portraits), len(STYLES), SKETCH_PX, SKETCH_PX), np.uint8)
    side = portraits.crops.shape[1]
    for row in track(range(len(portraits))):
        photos[row] = geometry.resize(portraits.crops[row], SKETCH_PX, SKETCH_PX)
        mesh = geometry.move_points(portraits.mesh[row], geometry.resize_matrix(side, SKETCH_PX))
        for number, style in enumerate(STYLES):
            sketches[row, number] = draw_portrait(photos[row], mesh, parser, Drafting(style=style, seed=row))
    return SketchDataset(photos=photos, sketches=sketches)


def sample_batch(
    dataset: SketchDataset,
    direction: Direction,
    num: int,
    side_px: int,
    config: SketchAugmentConfig,
    generator: Generator,
) -> SketchBatch:
    """Random pairs in random styles, augmented."""
    rows = torch.randint(len(dataset), (num,), generator=generator)
    style = torch.randint(len(STYLES), (num,), generator=generator)
    photos = torch.from_numpy(dataset.photos[rows.numpy()]).permute(0, 3, 1, 2).float() / 127.5 - 1
    sketches = torch.from_numpy(dataset.sketches[rows.numpy(), style.numpy()])[:, None].float() / 127.5 - 1
    pairs = torch.cat([photos, sketches], 1)
    if side_px != SKETCH_PX:
        pairs = F.interpolate(pairs, (side_px, side_px), mode="bilinear", antialias=True)
    photos, sketches = move(pairs, config.photo, generator).split([3, 1], 1)
    if direction == "photo":
        return SketchBatch(*_to_layout(change_sketch(sketches, config, generator), photos))
    photos = relight(photos, config.photo, generator).clamp(-1, 1)
    grey = torch.rand(num, 1, 1, 1, generator=generator) < config.photo.grey_prob
    return SketchBatch(*_to_layout(make_source(torch.where(grey, to_grey(photos), photos), style), sketches))


def make_source(photos: Tensor, style: Tensor) -> Tensor:
    """Photos (B, 3, S, S) and numbers of styles (B,) -> (B, 4, S, S): a plane of -1 is pencil, of 1 composite."""
    plane = (2.0 * style.to(photos.dtype) / (len(STYLES) - 1) - 1)[:, None, None, None]
    return torch.cat([photos, plane.expand_as(photos[:, :1])], 1)


def change_sketch(sketches: Tensor, config: SketchAugmentConfig, generator: Generator) -> Tensor:
    """Sketches (B, 1, S, S) out of proportion and of other darkness, as artists' are."""
    num, _, height, width = sketches.shape
    error = config.max_proportion_error * torch.rand(num, 1, 1, 1, generator=generator)
    field = torch.randn(num, 2, _ERROR_CELLS, _ERROR_CELLS, generator=generator)
    shift = 2 * error * F.interpolate(field, (height, width), mode="bicubic", align_corners=False)
    y, x = torch.meshgrid(*(torch.linspace(-1, 1, side) for side in (height, width)), indexing="ij")
    places = torch.stack([x, y], -1) * (1 - 1 / width) + shift.permute(0, 2, 3, 1)
    moved = F.grid_sample(sketches, places, padding_mode="border", align_corners=False)
    tone = 1 + config.max_tone * (2 * torch.rand(num, 1, 1, 1, generator=generator) - 1)
    return (1 - tone * (1 - moved)).clamp(-1, 1)


def _to_layout(*tensors: Tensor) -> list[Tensor]:
    return [x.contiguous(memory_format=torch.channels_last) for x in tensors]
