"""Batches of young and old faces for the de-aging net: each decoder's own photos, and pairs of one face at two ages.

Nobody has photos of thousands of people at 25 and at 65. In a pair one picture is a photo and the other is that photo
as `exemplar` ages it, see `reage.training.cross_age`: so the young decoder learns from old photos what `exemplar` makes
of them, and from faces that `exemplar` made old the young photos that they were made from.

Convention:
    pictures (B, 3, P, P) in [-1, 1], see `reage.faces.window.cut_centre`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Generator, Tensor

from reage.errors import ReageError
from reage.faces.geometry import FACE_SHAPE, ellipse_mask, face_grid
from reage.faces.window import cut_centre
from reage.images.tensors import to_net
from reage.nets.deaging_config import OLD_YEARS, YOUNG_YEARS, DeagingConfig
from reage.training.cross_age import CrossAgeDataset
from reage.types import Plane

_WARP_CELLS = 5
"""Cells a side of the random field by which a picture is warped."""
_LEAST_GAP_YEARS = 15.0
"""Years between the pictures of a pair, at least."""
_DARK_LUMA = 90.0
"""Mean luma of a face, of 255, below which it is drawn as often as those above it."""
_MOST_WEIGHT = 6.0
"""How much more often than the commonest faces the rarest are drawn, at most."""
_MASK_SOFTNESS, _MASK_FLOOR = 0.15, 0.05
"""Softness of the border of the mask, and what counts of the rest of a picture."""


@dataclass(frozen=True, kw_only=True)
class DeagingDatasetConfig:
    """How batches are drawn.

    Args:
        pair_share: share of samples that are pairs; the source of the others is their target, as published.
        photo_target_share: share of the pairs whose target is the photo; of the others, the source is.
        warp: standard deviation of the shifts by which sources are warped, as a share of the side.
        warps_target: whether the target is warped like its source; not so published, where a decoder straightens what
            was warped.
        flip_prob: probability of a mirror image.
        max_light: largest change of contrast, as a share, and of brightness, as a share of the range.
    """

    pair_share: float = 0.8
    photo_target_share: float = 0.5
    warp: float = 0.015
    warps_target: bool = True
    flip_prob: float = 0.5
    max_light: float = 0.1


@dataclass(frozen=True, kw_only=True)
class DeagingBatch:
    """Faces and what their decoders shall make of them.

    Args:
        source: pictures.
        target: pictures.
        real: photos of the decoders' ages.
        young: (B,) bool, True for those of the young decoder.
    """

    source: Tensor
    target: Tensor
    real: Tensor
    young: Tensor


@dataclass(frozen=True)
class _Samples:
    """What one decoder learns: places (M, 3) of face, source and target, and how often each is drawn (M,)."""

    places: NDArray[np.int64]
    weights: Tensor

    def draw(self, num: int, generator: Generator) -> NDArray[np.int64]:
        rows = torch.multinomial(self.weights, num, replacement=True, generator=generator)
        return self.places[rows.numpy()]


class DeagingDataset:
    """Training faces at several ages, cut to the window and the size that the net sees.

    Args:
        stored: the faces.
        net: size of the net and its window.
        config: how batches are drawn.
        real_years: (N,) best known ages of the photos; by default as measured.
    """

    def __init__(
        self,
        stored: CrossAgeDataset,
        net: DeagingConfig,
        config: DeagingDatasetConfig | None = None,
        *,
        real_years: Plane | None = None,
    ) -> None:
        self.config = config or DeagingDatasetConfig()
        self.pictures = np.stack(
            [
                np.stack([cut_centre(one, net.window, net.picture_px) for one in (photo, *aged)])
                for photo, aged in zip(stored.crops, stored.aged, strict=True)
            ]
        )
        photo_years = stored.age_years if real_years is None else real_years
        years = np.concatenate([photo_years[:, None], stored.aged_years], 1)
        often = _balance(self.pictures[:, 0], stored.masculinity)
        self._samples = [
            [
                _Samples(places, torch.from_numpy(often[places[:, 0]]))
                for places in _find_places(years, limits, older=older)
            ]
            for limits, older in ((YOUNG_YEARS, False), (OLD_YEARS, True))
        ]
        if not all(len(own.places) for samples in self._samples for own in samples):
            raise ReageError(
                f"Too few faces: photos of {YOUNG_YEARS[0]:g} to {YOUNG_YEARS[1]:g} years and of "
                f"{OLD_YEARS[0]:g} to {OLD_YEARS[1]:g} are needed, and each at other ages too; use more portraits."
            )

    def __len__(self) -> int:
        return len(self.pictures)

    def sample(self, num: int, generator: Generator) -> DeagingBatch:
        """Random faces; every other one is for the young decoder."""
        young = torch.arange(num) % 2 == 0
        places = np.concatenate([self._draw(bool(one), generator) for one in young])
        source, target = (to_net(self.pictures[places[:, 0], places[:, side]]) for side in (1, 2))
        both = self._change(torch.cat([source, target], 1), generator)
        source, target = both.split(3, 1)
        warped = warp(both, self.config.warp, generator)
        return DeagingBatch(
            source=warped[:, :3],
            target=warped[:, 3:] if self.config.warps_target else target,
            real=self._draw_real(young, generator),
            young=young,
        )

    def _draw_real(self, young: Tensor, generator: Generator) -> Tensor:
        places = np.concatenate([self._samples[0 if one else 1][0].draw(1, generator) for one in young])
        return warp(self._change(to_net(self.pictures[places[:, 0], 0]), generator), self.config.warp, generator)

    def _draw(self, young: bool, generator: Generator) -> NDArray[np.int64]:
        """(1, 3) places of a face, a source and a target."""
        own, to_photo, from_photo = self._samples[0 if young else 1]
        pair, kind = torch.rand(2, generator=generator).tolist()
        wanted = to_photo if kind < self.config.photo_target_share else from_photo
        return (own if pair >= self.config.pair_share else wanted).draw(1, generator)

    def _change(self, pictures: Tensor, generator: Generator) -> Tensor:
        """Mirror images and light, alike in source and target."""
        num = len(pictures)
        flips = torch.rand(num, 1, 1, 1, generator=generator) < self.config.flip_prob
        contrast, brightness = (
            self.config.max_light * (2 * torch.rand(num, 1, 1, 1, generator=generator) - 1) for _ in range(2)
        )
        return (torch.where(flips, pictures.flip(3), pictures) * (1 + contrast) + brightness).clamp(-1, 1)


def warp(pictures: Tensor, size: float, generator: Generator) -> Tensor:
    """(B, C, P, P) warped by a smooth random field, each by its own; the border is replicated.

    Args:
        pictures: of any values.
        size: standard deviation of the shifts, sides.
        generator: of random numbers.
    """
    num, _, height, width = pictures.shape
    coarse = 2 * size * torch.randn(num, 2, _WARP_CELLS, _WARP_CELLS, generator=generator)
    shift = F.interpolate(coarse, (height, width), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    still = torch.eye(2, 3).expand(num, -1, -1)
    grid = F.affine_grid(still, [num, 2, height, width], align_corners=False)
    return F.grid_sample(pictures, grid + shift, padding_mode="border", align_corners=False)


def make_mask(net: DeagingConfig) -> Tensor:
    """(1, 1, P, P) 1 in the mean face, nearly 0 around it."""
    crop_px = round(net.picture_px / net.window)
    mask = ellipse_mask(face_grid(crop_px), FACE_SHAPE, _MASK_SOFTNESS, whole=True)
    first = (crop_px - net.picture_px) // 2
    own = mask[first : first + net.picture_px, first : first + net.picture_px]
    return torch.from_numpy(_MASK_FLOOR + (1 - _MASK_FLOOR) * own)[None, None]


def _find_places(years: Plane, limits: tuple[float, float], *, older: bool) -> list[NDArray[np.int64]]:
    """Places (M, 3) of face, source and target of a decoder: photos that stay, pairs to a photo, pairs from a photo.

    Args:
        years: (N, 1 + A) of photos, then of their aged pictures.
        limits: youngest and oldest target.
        older: whether sources are younger than targets, or older.
    """
    fits = (years >= limits[0]) & (years <= limits[1])
    gap = (years[:, 1:] - years[:, :1]) * (-1 if older else 1)  # of an aged picture from its photo
    own = fits[:, 0].nonzero()[0]
    to_photo = np.argwhere(fits[:, :1] & (gap >= _LEAST_GAP_YEARS))
    from_photo = np.argwhere(fits[:, 1:] & (gap <= -_LEAST_GAP_YEARS))
    return [
        np.stack([own, 0 * own, 0 * own], 1),
        np.stack([to_photo[:, 0], 1 + to_photo[:, 1], 0 * to_photo[:, 0]], 1),
        np.stack([from_photo[:, 0], 0 * from_photo[:, 0], 1 + from_photo[:, 1]], 1),
    ]


def _balance(photos: NDArray[np.uint8], masculinity: Plane) -> Plane:
    """(N,) how often each face is drawn: women as often as men, dark faces as often as light ones."""
    side = photos.shape[1]
    middle = photos[:, side // 3 : 2 * side // 3, side // 3 : 2 * side // 3].mean((1, 2, 3))
    kind = 2 * (masculinity > 0.5) + (middle < _DARK_LUMA)
    often = 1 / np.bincount(kind, minlength=4)[kind]
    return np.minimum(often / often.min(), _MOST_WEIGHT)
