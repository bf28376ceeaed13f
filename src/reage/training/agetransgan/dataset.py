"""Batches of faces at several ages, for AgeTransGAN.

Convention:
    pictures (B, 3, S, S) in [-1, 1], the central window of a crop; labels (B, G), see
    `reage.nets.agetransgan_config.soft_label`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from reage.engines.agetransgan import cut_picture
from reage.faces.geometry import FACE_SHAPE, ellipse_mask, face_grid, smoothstep
from reage.images import geometry
from reage.images.regions import to_pixels
from reage.images.tensors import to_net
from reage.mesh_points import NUM_POINTS
from reage.nets.agetransgan_config import GROUP_YEARS, GeneratorConfig, group_of, soft_label
from reage.training.agetransgan.proportions import Proportions
from reage.training.cross_age import CrossAgeDataset
from reage.types import Pixels, Plane

LIGHT_SIGMA_PX = 5.0
"""Standard deviation of the blur that parts light from detail, px of the pictures."""
CHILD_YEARS = 20.0
"""Targets below it have the proportions of their age."""
_INNER, _SOFTNESS = 0.85, 0.15
"""Size, as a share of the mean face, and softness of the part of a picture that is called the face."""


@dataclass(frozen=True, kw_only=True)
class AgeTransGanDatasetConfig:
    """How batches are drawn.

    Args:
        flip_prob: probability of a mirror image.
        max_light: largest change of contrast, as a share, and of brightness, as a share of the range, alike in all
            pictures of a face.
        same_share: share of samples whose target is the source at its own age.
        photo_share: share of the other samples whose source is the photo; the source of the rest is an aged picture,
            and the target its photo or another aged picture, equally often.
        own_light_years: up to the first age, a share `own_light` of the light of a target's face beyond
            `LIGHT_SIGMA_PX` is that of its photo, from the second on all is the teacher's, which paints dark patches on
            the brows of children.
        own_light: see `own_light_years`.
        balance: 0 draws photos uniformly in the later stages, 1 those of every age group equally often.
    """

    flip_prob: float = 0.5
    max_light: float = 0.1
    same_share: float = 0.1
    photo_share: float = 0.85
    own_light_years: tuple[float, float] = (10.0, 18.0)
    own_light: float = 0.6
    balance: float = 0.75


@dataclass(frozen=True, kw_only=True)
class PairedBatch:
    """Sources, targets and the teacher's pictures.

    Args:
        x: sources.
        y: the same faces at the target ages.
        own: the sources in their own proportions.
        moved: (B,) bool, where x and y have those of the target age, see `Proportions`.
        labels: of the sources.
        target_labels: of the targets.
        target_years: (B,) ages of the targets.
    """

    x: Tensor
    y: Tensor
    own: Tensor
    moved: Tensor
    labels: Tensor
    target_labels: Tensor
    target_years: Tensor


@dataclass(frozen=True, kw_only=True)
class PhotoBatch(PairedBatch):
    """Photos as sources, and what a discriminator needs of them.

    Args:
        real_labels: of the best known ages of the photos, whereas `labels` are of ages as an engine measures them.
    """

    real_labels: Tensor


class AgeTransGanDataset:
    """Training faces at several ages, cut to the window and the size that the generator sees.

    Args:
        stored: the faces.
        net: size of the generator and its window.
        config: how batches are drawn.
        real_years: (N,) best known ages of the photos; by default as measured.
        proportions: of the faces and of the age groups; without them, sources and targets have those of the photo.
        youngest_years: ages up to it look alike in the teacher's pictures, so a label of any of them stands for all.
    """

    def __init__(
        self,
        stored: CrossAgeDataset,
        net: GeneratorConfig,
        config: AgeTransGanDatasetConfig | None = None,
        *,
        real_years: Plane | None = None,
        proportions: Proportions | None = None,
        youngest_years: float = 5.0,
    ) -> None:
        self.config = config or AgeTransGanDatasetConfig()
        self.years = np.concatenate([stored.age_years[:, None], stored.aged_years], 1)
        self.real_years = stored.age_years if real_years is None else real_years
        rows = zip(stored.crops, stored.aged, stored.aged_years, strict=True)
        self.pictures = np.stack([self._cut(net, *row) for row in rows])
        self.child = np.zeros((NUM_POINTS, 3), np.float32) if proportions is None else proportions.child
        self._move(stored, net, proportions)
        self._youngest_years = youngest_years
        groups = np.array([group_of(years) for years in self.real_years.tolist()])
        counts = np.bincount(groups, minlength=len(GROUP_YEARS))[groups]
        self._photo_weights = torch.from_numpy(counts ** -float(self.config.balance))

    def __len__(self) -> int:
        return len(self.pictures)

    def sample_paired(self, num: int, generator: Generator) -> PairedBatch:
        """Faces from one age to another, with the teacher's pictures."""
        rows = torch.randint(len(self), (num,), generator=generator)
        slots = torch.tensor([self._draw_slots(generator) for _ in range(num)])
        return PairedBatch(**self._load(rows, slots, generator))

    def sample_photos(self, num: int, generator: Generator) -> PhotoBatch:
        """Photos, each with one of the teacher's pictures; no label of a photo and its target are the same."""
        rows = torch.multinomial(self._photo_weights, num, replacement=True, generator=generator)
        targets = 1 + torch.randint(self.pictures.shape[1] - 1, (num,), generator=generator)
        slots = torch.stack([torch.zeros_like(targets), targets], 1)
        real = make_labels(self.real_years[rows.numpy()])
        return PhotoBatch(**self._load(rows, slots, generator), real_labels=real)

    def _cut(self, net: GeneratorConfig, photo: Pixels, aged: NDArray[np.uint8], years: Plane) -> NDArray[np.uint8]:
        """(1 + A, S, S, 3) a photo and its aged pictures."""
        own = cut_picture(photo, net)
        shares = self.config.own_light * smoothstep(years, *reversed(self.config.own_light_years))
        pictures = [cut_picture(one, net) for one in aged]
        face = _face_mask(net)
        lit = (
            _lend_light(own, one, share * face) if share else one
            for one, share in zip(pictures, shares.tolist(), strict=True)
        )
        return np.stack([own, *lit])

    def _move(self, stored: CrossAgeDataset, net: GeneratorConfig, proportions: Proportions | None) -> None:
        """Pairs of photo and aged picture in the proportions of a child; `_pair_of` is the number of the pair or -1."""
        pairs: list[NDArray[np.uint8]] = []
        self._pair_of = np.full(self.years.shape, -1)
        side = stored.crops.shape[1]
        for row, slot in np.argwhere(self.years[:, 1:] < CHILD_YEARS).tolist() if proportions else ():
            years = stored.aged_years[row, slot : slot + 1]
            assert proportions is not None
            shift = proportions.shift(row, self.years[row, 0], float(years[0]), side)
            photo, aged = (geometry.shift_pixels(one, shift) for one in (stored.crops[row], stored.aged[row, slot]))
            self._pair_of[row, 1 + slot] = len(pairs)
            pairs.append(self._cut(net, photo, aged[None], years))
        self._pairs = np.stack(pairs) if pairs else np.zeros((0, 2, *self.pictures.shape[2:]), np.uint8)

    def _draw_slots(self, generator: Generator) -> tuple[int, int]:
        """Places of source and target among the pictures of a face; the photo is the first."""
        same, photo, back = torch.rand(3, generator=generator).tolist()
        first, second = (1 + torch.randperm(self.pictures.shape[1] - 1, generator=generator)[:2]).tolist()
        if same < self.config.same_share:
            return (0, 0) if photo < self.config.photo_share else (first, first)
        if photo < self.config.photo_share:
            return 0, first
        return first, 0 if back < 0.5 else second

    def _load(self, rows: Tensor, slots: Tensor, generator: Generator) -> dict[str, Tensor]:
        index, num = rows.numpy(), len(rows)
        places = slots.numpy().T.copy()
        pairs = np.where(places[0] == places[1], -1, self._pair_of[index, places[1]])
        moved = pairs >= 0
        places[0, moved] = 0
        pictures = [self.pictures[index, places[side]] for side in (0, 1, 0)]
        for side in (0, 1):
            pictures[side][moved] = self._pairs[pairs[moved], side]
        flips = torch.rand(num, 1, 1, 1, generator=generator) < self.config.flip_prob
        contrast, brightness = (
            self.config.max_light * (2 * torch.rand(num, 1, 1, 1, generator=generator) - 1) for _ in range(2)
        )
        x, y, own = (
            (torch.where(flips, one.flip(3), one) * (1 + contrast) + brightness).clamp(-1, 1)
            for one in map(to_net, pictures)
        )
        younger = torch.rand(num, generator=generator).numpy()
        years = [self._years_of(index, place, younger) for place in places]
        labels = {"labels": make_labels(years[0]), "target_labels": make_labels(years[1])}
        where = {"own": own, "moved": torch.from_numpy(moved)}
        return {"x": x, "y": y, **where, **labels, "target_years": torch.from_numpy(years[1])}

    def _years_of(self, rows: NDArray[np.int64], places: NDArray[np.int64], shares: NDArray[np.float32]) -> Plane:
        """Ages (B,) of pictures; those of aged pictures as young as can be are brought to shares (B,) of themselves."""
        years = self.years[rows, places]
        youngest = (places > 0) & (years <= self._youngest_years)
        return np.where(youngest, years * shares, years).astype(np.float32)


@cache
def _face_mask(net: GeneratorConfig) -> Plane:
    """(S, S, 1) 1 in the middle of the mean face, 0 in the hair around it."""
    crop_px = round(net.picture_px / net.window)
    shape = replace(FACE_SHAPE, half_width=_INNER * FACE_SHAPE.half_width, half_height=_INNER * FACE_SHAPE.half_height)
    mask = ellipse_mask(face_grid(crop_px), shape, _SOFTNESS)
    first = (crop_px - net.picture_px) // 2
    return mask[first : first + net.picture_px, first : first + net.picture_px, None]


def _lend_light(photo: Pixels, aged: Pixels, shares: Plane) -> Pixels:
    """The aged picture; shares (S, S, 1) of its light and colour beyond `LIGHT_SIGMA_PX` are those of the photo."""
    change = geometry.blur(aged.astype(np.float32) - photo, LIGHT_SIGMA_PX)
    return to_pixels(aged - shares * change)


def make_labels(years: Plane) -> Tensor:
    """Ages (B,) -> labels (B, G)."""
    return torch.from_numpy(np.stack([soft_label(one) for one in years.tolist()]))
