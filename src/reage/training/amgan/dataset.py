"""Batches for AMGAN out of `SkinChangeDataset`: patches with the teacher's change, and whole faces with any scores.

Convention:
    B samples of S px, the same for patches and whole faces; pictures in [-1, 1]; planes (B, 4, S, S) in [-1, 1]:
    target map, source map, X, Y. What is no visible skin has level 0 in both maps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from reage.data.augment import AugmentConfig, relight
from reage.faces.aging_map import MAP_AGES_YEARS, MAP_BLUR_PX, MAP_LEVELS
from reage.faces.skin_detail import PATCHES, patch_weights
from reage.images import geometry
from reage.images.tensors import to_net
from reage.training.skin_changes import (
    AGES_YEARS,
    LIGHT_AUGMENT,
    LIGHT_STEP,
    OLDER,
    YOUNGER,
    SkinChangeDataset,
)
from reage.zones import TYPICAL_AGES, ZONES, zone_row

ZONE_SCORES = (-0.25, 1.25)
"""Range from which zone scores are drawn, uniformly, before they are clipped to [0, 1]: both ends are frequent."""
CHANGED_SCORE = 0.05
"""A zone whose score is to change by more counts as asked to change."""
_LEAST_SKIN = 0.3
"""Share of a patch that must be visible skin; a few places are tried."""
_TRIES = 4
_YEARS_PER_SCORE = 20.0
"""Years that weigh as much as a score of 1 when it is asked whether a face is to look older."""


@dataclass(frozen=True, kw_only=True)
class AmganDatasetConfig:
    """How batches are drawn.

    Args:
        patch_px: S, side of the patches and of whole faces.
        augment: of the light of pictures alone; in the common face no face has another place.
        unchanged_share: share of patches whose target is the face as it is.
        unscored_share: share of patches, of changes of the age alone, whose maps hold the age alone.
        one_zone_share: share of whole faces that keep their age and change one zone.
        any_score_prob: probability with which each zone of the other whole faces gets any score.
    """

    patch_px: int = 256
    augment: AugmentConfig = LIGHT_AUGMENT
    unchanged_share: float = 0.08
    unscored_share: float = 0.15
    one_zone_share: float = 0.5
    any_score_prob: float = 0.3


@dataclass(frozen=True)
class PatchBatch:
    """Patches with the teacher's change.

    Args:
        x: (B, 3, S, S) patches of faces.
        usable: (B, 1, S, S) share of visible skin, 0 to 1.
        teacher_change: (B, 3, S, S) the teacher's change of log colour.
        planes: (B, 4, S, S) target map, source map, X, Y.
        centres: (B, 2) x and y of the patches' centres, in sides of the common face.
    """

    x: Tensor
    usable: Tensor
    teacher_change: Tensor
    planes: Tensor
    centres: Tensor


@dataclass(frozen=True)
class FaceBatch:
    """Whole faces, also as they are seen in their crops of Q px.

    Args:
        x: (B, 3, S, S) faces.
        usable: (B, 1, S, S) share of visible skin, 0 to 1.
        planes: (B, 4, S, S) target map, source map, X, Y.
        teacher_change: (B, 3, S, S) the teacher's change: the very one that is asked for in a batch of
            `AmganDataset.sample_aged_faces`; else one to an older age where scores rise, to a younger where they fall.
        zone_weights: (B, 12, S, S) share of each zone that is asked to change; 0 for the others.
        crops: (B, 3, Q, Q) aligned as `Face.crop`.
        places: (B, Q, Q, 2) where their pixels lie in x, for `torch.nn.functional.grid_sample`.
        on_skin: (B, 1, Q, Q) share of skin that changes in the crops.
        scores: (B, 12) target scores, NaN where the zone is hidden.
        skin_weights: (B, 12, H, W) as `reage.faces.skin_features.SkinView.weights`.
        colour_features: (B, 12, F) of the faces.
        tones: (B,) skin tones, places in `reage.faces.zone_scorer.TONES`.
    """

    x: Tensor
    usable: Tensor
    planes: Tensor
    teacher_change: Tensor
    zone_weights: Tensor
    crops: Tensor
    places: Tensor
    on_skin: Tensor
    scores: Tensor
    skin_weights: Tensor
    colour_features: Tensor
    tones: Tensor


class AmganDataset:
    """Faces and their changes, from which batches are drawn, as tensors on the CPU.

    Args:
        changes: of training faces.
        config: how batches are drawn.
    """

    def __init__(self, changes: SkinChangeDataset, config: AmganDatasetConfig) -> None:
        self.config = config
        self._data = changes
        self._now = torch.from_numpy(changes.years)
        self._typical = torch.tensor([zone_row(zone).typical_scores for zone in ZONES]).T
        self._shown = torch.from_numpy(~np.isnan(changes.zone_scores))
        scores, changed = (torch.from_numpy(one) for one in (changes.zone_scores, changes.changed_zone_scores))
        years = torch.from_numpy(changes.target_years)[..., None].expand_as(changed)
        self._scores = torch.where(scores.isnan(), self._typical_scores(self._now[:, None].expand_as(scores)), scores)
        typical = self._typical_scores(years.flatten(0, 1)).view_as(changed)
        self._changed_scores = torch.where(changed.isnan(), typical, changed)
        blurred = [geometry.blur(weight, MAP_BLUR_PX) for weight in patch_weights()]
        self._patch_weights = torch.from_numpy(np.stack(blurred))
        self._plane_px = changes.levels.shape[1]
        places = (torch.arange(self._plane_px) + 0.5) / self._plane_px
        self._locations = 2 * torch.stack(torch.meshgrid(places, places, indexing="xy")) - 1

    def __len__(self) -> int:
        return len(self._data)

    def rows_of_ages(self, youngest: float, oldest: float) -> Tensor:
        """The rows of the faces whose estimated age is between these, both included."""
        return ((self._now >= youngest) & (self._now <= oldest)).nonzero()[:, 0]

    # Patches

    def sample_patches(self, num: int, generator: Generator) -> PatchBatch:
        """Patches of random faces, sizes and places, with one of the teacher's changes, some of them mirrored."""
        samples = [self._draw_patch(generator) for _ in range(num)]
        x, usable, change, planes, centres = (torch.stack(part) for part in zip(*samples, strict=True))
        x = relight(x, self.config.augment, generator).clamp(-1, 1)
        return PatchBatch(
            x=_channels_last(x), usable=usable, teacher_change=_channels_last(change), planes=planes, centres=centres
        )

    def _draw_patch(self, generator: Generator) -> tuple[Tensor, ...]:
        row = int(torch.randint(len(self), (1,), generator=generator))
        index = int(torch.randint(self._data.light.shape[1], (1,), generator=generator))
        unchanged = _draw(generator) < self.config.unchanged_share
        unscored = index in (YOUNGER, OLDER) and _draw(generator) < self.config.unscored_share
        whole = self._whole(row, index, unchanged, unscored)
        if _draw(generator) < 0.5:
            whole = torch.cat([whole[:-2].flip(-1), whole[-2:]])
        size, plane = self.config.patch_px, self._plane_px
        side_px = size + (float(self._data.native_px[row]) - size) * _draw(generator)
        window = round(plane * size / max(side_px, size))
        for _ in range(_TRIES):
            top, left = torch.randint(plane - window + 1, (2,), generator=generator).tolist()
            patch = whole[:, top : top + window, left : left + window]
            if patch[3].mean() >= _LEAST_SKIN:
                break
        patch = F.interpolate(patch[None], (size, size), mode="bilinear", align_corners=False, antialias=True)[0]
        centre = torch.tensor([left + window / 2, top + window / 2]) / plane
        x, usable, change, planes = patch.split([3, 1, 3, 4])
        return x, usable, change, planes, centre

    def _whole(self, row: int, index: int, unchanged: bool, unscored: bool) -> Tensor:
        """(11, P, P) picture, usable skin, change, target and source map, X and Y of a face."""
        scores, now = self._scores[row], self._now[row]
        target, years = self._changed_scores[row, index], torch.tensor(self._data.target_years[row, index])
        change = self._teacher_change(row, index)
        if unchanged:
            target, years, change = scores, now, torch.zeros_like(change)
        x, usable = self._picture(row)
        maps = self._make_maps(
            torch.stack([target, scores])[None], torch.stack([years, now])[None], torch.tensor([unscored])
        )
        return torch.cat([x, usable, change, self._on_skin(maps, usable[None])[0], self._locations])

    def _picture(self, row: int) -> tuple[Tensor, Tensor]:
        """(3, P, P) in [-1, 1] and (1, P, P) usable skin."""
        usable = torch.from_numpy(self._data.usable[row]).float() / 255
        return to_net(self._data.levels[row : row + 1])[0], usable[None]

    def _teacher_change(self, row: int, index: int) -> Tensor:
        """(3, P, P) change of log colour."""
        light = torch.from_numpy(self._data.light[row, index]).float()
        colour = torch.from_numpy(self._data.colour[row, index]).float().permute(2, 0, 1)
        colour = _resize(colour[None], self._plane_px)[0]
        return LIGHT_STEP * (light + colour)

    # Whole faces

    def sample_faces(self, num: int, generator: Generator) -> FaceBatch:
        """Random faces of which one zone is to change at their age, or that are to have a random age and any scores."""
        rows = torch.randint(len(self), (num,), generator=generator)
        now, own = self._now[rows], torch.rand(num, generator=generator) < self.config.one_zone_share
        years = torch.where(own, now, _uniform(AGES_YEARS, (num,), generator))
        scores, shape = self._scores[rows], (num, len(ZONES))
        expected = scores + self._typical_rise(now, years)
        one = F.one_hot(torch.randint(len(ZONES), (num,), generator=generator), len(ZONES)).bool()
        several = torch.rand(shape, generator=generator) < self.config.any_score_prob
        changed = torch.where(own[:, None], one, several)
        target = torch.where(changed, _uniform(ZONE_SCORES, shape, generator), expected).clamp(0, 1)
        return self.make_faces(rows, years, target)

    def sample_aged_faces(self, num: int, generator: Generator) -> FaceBatch:
        """Random faces that are to have the age and the scores of one of the teacher's pictures."""
        rows = torch.randint(len(self), (num,), generator=generator)
        changes = torch.tensor([YOUNGER, OLDER])[torch.randint(2, (num,), generator=generator)]
        return self.request_teacher(rows, changes)

    def make_faces(self, rows: Tensor, years: Tensor, target: Tensor, changes: Tensor | None = None) -> FaceBatch:
        """Faces of rows (B,) with target ages (B,) and target scores (B, 12).

        Args:
            rows: (B,).
            years: (B,).
            target: (B, 12).
            changes: (B,) which of the teacher's changes are shown; None for one that goes the same way.
        """
        scores, now, numbers = self._scores[rows], self._now[rows], rows.tolist()
        pictures, usable = (torch.stack(part) for part in zip(*map(self._picture, numbers), strict=True))
        maps = self._make_maps(torch.stack([target, scores], 1), torch.stack([years, now], 1))
        planes = torch.cat([self._on_skin(maps, usable), self._locations.expand(len(rows), -1, -1, -1)], 1)
        if changes is None:
            rising = (target - scores).sum(1) + (years - now) / _YEARS_PER_SCORE > 0
            changes = torch.where(rising, OLDER, YOUNGER)
        teacher = torch.stack(list(map(self._teacher_change, numbers, changes.tolist())))
        size = self.config.patch_px
        zones, small_usable = _resize(self._patch_weights[None, : len(ZONES)], size), _resize(usable, size)
        asked = (target - scores).abs() > CHANGED_SCORE
        data, kept = self._data, rows.numpy()
        places = _resize(torch.from_numpy(data.places[kept]).permute(0, 3, 1, 2), data.crops.shape[1])
        skin_weights = torch.from_numpy(data.skin_weights[kept]).float() / 255
        return FaceBatch(
            x=_channels_last(_resize(pictures, size)),
            usable=small_usable,
            planes=_resize(planes, size),
            teacher_change=_resize(teacher, size),
            zone_weights=zones * small_usable * asked[..., None, None],
            crops=to_net(data.crops[kept]),
            places=2 * places.permute(0, 2, 3, 1) - 1,
            on_skin=torch.from_numpy(data.on_skin[kept]).float()[:, None] / 255,
            scores=torch.where(self._shown[rows], target, torch.nan),
            skin_weights=F.interpolate(skin_weights, scale_factor=2, mode="bilinear", align_corners=False),
            colour_features=torch.from_numpy(data.colour_features[kept]),
            tones=torch.from_numpy(data.tones[kept]),
        )

    def request_teacher(self, rows: Tensor, changes: Tensor | None = None) -> FaceBatch:
        """Faces of rows (B,) that are to look as the teacher's changes (B,) make them; by default older."""
        changes = torch.full_like(rows, OLDER) if changes is None else changes
        years = torch.from_numpy(self._data.target_years)[rows, changes]
        return self.make_faces(rows, years, self._changed_scores[rows, changes], changes)

    def request_zone(self, rows: Tensor, zone: int, score: float) -> FaceBatch:
        """Faces of rows (B,) with a target score of one zone, a place in `ZONES`; all else stays as it is."""
        target = self._scores[rows].clone()
        target[:, zone] = score
        return self.make_faces(rows, self._now[rows], target)

    def request_age(self, rows: Tensor, years: float) -> FaceBatch:
        """Faces of rows (B,) with a target age, as the engine asks for it."""
        wanted = torch.full((len(rows),), years)
        return self.make_faces(rows, wanted, self._scores[rows] + self._typical_rise(self._now[rows], wanted))

    # Maps

    def _make_maps(self, scores: Tensor, years: Tensor, unscored: Tensor | None = None) -> Tensor:
        """Aging maps (B, M, P, P) in [0, 1] of zone scores (B, M, 12) and ages (B, M).

        Maps of samples that are `unscored` (B,) hold the age alone.
        """
        youngest, oldest = MAP_AGES_YEARS
        shares = ((years - youngest) / (oldest - youngest)).clamp(0, 1)[..., None]
        zones = scores.clamp(0, 1)
        if unscored is not None:
            zones = torch.where(unscored[:, None, None], shares, zones)
        floor, slope = MAP_LEVELS
        levels = floor + slope * torch.cat([zones, shares.expand(-1, -1, len(PATCHES) - len(ZONES))], 2)
        small = torch.einsum("bmq,qhw->bmhw", levels.float(), self._patch_weights)
        return _resize(small, self._plane_px)

    @staticmethod
    def _on_skin(maps: Tensor, usable: Tensor) -> Tensor:
        """Maps in [-1, 1] that are -1 where there is no visible skin."""
        return 2 * maps * usable - 1

    # Scores

    def _typical_rise(self, now: Tensor, years: Tensor) -> Tensor:
        """(B, 12) how much typical scores rise from one age (B,) to another."""
        before, after = (self._typical_scores(ages[:, None].expand(-1, len(ZONES))) for ages in (now, years))
        return after - before

    def _typical_scores(self, years: Tensor) -> Tensor:
        """(B, 12) ages -> (B, 12) typical scores."""
        first, share = _split_ages(years, TYPICAL_AGES)
        table = self._typical.expand(len(years), -1, -1)
        below, above = (table.gather(1, (first + i)[:, None])[:, 0] for i in (0, 1))
        return below + share * (above - below)


def _draw(generator: Generator) -> float:
    return float(torch.rand(1, generator=generator))


def _uniform(limits: tuple[float, float], shape: tuple[int, ...], generator: Generator) -> Tensor:
    low, high = limits
    return low + (high - low) * torch.rand(shape, generator=generator)


def _split_ages(years: Tensor, ages: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Years -> the place in evenly spaced ages of the nearest age below, and the share of the way to the next."""
    place = ((years - ages[0]) / (ages[1] - ages[0])).clamp(0, len(ages) - 1)
    first = place.floor().long().clamp(max=len(ages) - 2)
    return first, place - first


def _resize(x: Tensor, side_px: int) -> Tensor:
    """(B, C, P, P) -> (B, C, side, side)."""
    return F.interpolate(x, (side_px, side_px), mode="bilinear", align_corners=False, antialias=side_px < x.shape[-1])


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)
