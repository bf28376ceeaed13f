"""Batches for AMGAN from a distillation set: paired with the teacher's pictures, or with maps that have no such pair.

Convention:
    B samples, pictures of S px in [-1, 1]; planes (B, 4, S, S) in [-1, 1]: target map, source map, X, Y.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from reage.data.augment import AugmentConfig, move, relight
from reage.faces.aging_map import MAP_AGES_YEARS
from reage.images.tensors import to_net
from reage.training.distillation import AGES, MAP_LEVELS, DistillationDataset, make_map_weights
from reage.zones import TYPICAL_AGES, ZONES, zone_row

TARGET_AGES, ZONE_AGES = (20.0, 82.0), (20.0, 85.0)
"""Ranges in years from which target ages of faces and of single zones are drawn, uniformly."""

ZONE_SCORES = (-0.25, 1.25)
"""Range from which zone scores are drawn, uniformly, before they are clipped to [0, 1]: both ends are frequent."""

CHANGED_SCORE = 0.05
"""A zone whose score is to change by more counts as asked to change."""


@dataclass(frozen=True, kw_only=True)
class AmganDatasetConfig:
    """How batches are drawn.

    Args:
        augment: of the pictures; its place and light only.
        own_age_share: share of paired samples whose target age is the estimated one.
        zoned_share: share of paired samples in which zones have target ages of their own.
        unscored_share: share of the other paired samples whose maps hold the age alone.
        one_zone_share: share of unpaired samples that keep their age and change one zone.
        any_score_prob: probability with which each zone of the other unpaired samples gets any score.
    """

    augment: AugmentConfig = AugmentConfig(
        max_rotation_degrees=3.0,
        max_scale=0.05,
        max_shift=0.03,
        max_brightness=0.08,
        max_channel_shift=0.02,
        side_light_prob=0.0,
    )
    own_age_share: float = 0.12
    zoned_share: float = 0.4
    unscored_share: float = 0.15
    one_zone_share: float = 0.5
    any_score_prob: float = 0.3


@dataclass(frozen=True)
class PairedBatch:
    """Faces with the teacher's pictures of them.

    Args:
        x: (B, 3, S, S) source faces.
        y: (B, 3, S, S) the teacher's pictures.
        planes: (B, 4, S, S) target map, source map, X, Y.
        years: (B,) target ages.
    """

    x: Tensor
    y: Tensor
    planes: Tensor
    years: Tensor


@dataclass(frozen=True)
class UnpairedBatch:
    """Faces with any target score of their zones, which no teacher can show.

    Args:
        x: (B, 3, S, S) source faces.
        planes: (B, 4, S, S) target map, source map, X, Y.
        teacher_extremes: (B, 3, S, S) the teacher's picture at the oldest age where the map rises, at the youngest
            where it falls; x itself in a batch of `AmganDataset.make_unpaired`.
        zone_weights: (B, 12, S, S) what each zone that is asked to change adds to a map; 0 for the others.
        scores: (B, 12) target scores, NaN where the zone is hidden.
        skin_weights: (B, 12, H, W) as `reage.faces.skin_features.SkinView.weights`.
        colour_features: (B, 12, C) of the source faces.
        tones: (B,) skin tones, places in `reage.faces.zone_scorer.TONES`.
    """

    x: Tensor
    planes: Tensor
    teacher_extremes: Tensor
    zone_weights: Tensor
    scores: Tensor
    skin_weights: Tensor
    colour_features: Tensor
    tones: Tensor


class AmganDataset:
    """A distillation set from which batches are drawn, as tensors on the CPU.

    Args:
        distillation: faces and the teacher's pictures of them.
        config: how batches are drawn.
    """

    def __init__(self, distillation: DistillationDataset, config: AmganDatasetConfig) -> None:
        self.config = config
        self._data = distillation
        self._now = torch.from_numpy(distillation.estimated_years)
        self._typical = torch.tensor([zone_row(zone).typical_scores for zone in ZONES]).T
        self._shown = torch.from_numpy(~np.isnan(distillation.zone_scores))
        ages = torch.tensor(AGES)[:, None].expand(-1, len(ZONES))
        scores, aged = (torch.from_numpy(one) for one in (distillation.zone_scores, distillation.aged_zone_scores))
        self._scores = torch.where(scores.isnan(), self._typical_scores(self._now[:, None].expand_as(scores)), scores)
        self._aged_scores = torch.where(aged.isnan(), self._typical_scores(ages), aged)
        faces = zip(distillation.landmarks, distillation.hair, strict=True)
        self._map_weights = torch.from_numpy(np.stack([make_map_weights(*face) for face in faces])).half()
        side = distillation.crops.shape[1]
        positions = (torch.arange(side) + 0.5) / side
        self._locations = torch.stack(torch.meshgrid(positions, positions, indexing="xy"))

    def __len__(self) -> int:
        return len(self._data)

    def rows_of_ages(self, youngest: float, oldest: float) -> Tensor:
        """The rows of the faces whose true age is between these, both included."""
        years = torch.from_numpy(self._data.age_years)
        return ((years >= youngest) & (years <= oldest)).nonzero()[:, 0]

    def sample_paired(self, num: int, generator: Generator) -> PairedBatch:
        """Random faces with the teacher's pictures at random ages, whose maps hold the scores of those pictures."""
        rows = torch.randint(len(self), (num,), generator=generator)
        now, own = self._now[rows], _chance(num, self.config.own_age_share, generator)
        years = torch.where(own, now, _uniform(TARGET_AGES, (num,), generator))
        zoned = _chance(num, self.config.zoned_share, generator)
        years = torch.where(zoned & _chance(num, 0.5, generator), now, years)
        moved = zoned[:, None] & (torch.rand(num, len(ZONES), generator=generator) < 0.5)
        zone_years = torch.where(moved, _uniform(ZONE_AGES, (num, len(ZONES)), generator), years[:, None])
        scores = self._scores[rows]
        unscored = _chance(num, self.config.unscored_share, generator) & ~zoned
        weights = self._weights_of(rows)
        maps = _make_maps(weights, scores + self._teacher_rise(rows, zone_years), years, scores, now, unscored)
        x, y = to_net(self._data.crops[rows.numpy()]), self._show_zones(rows, years, zone_years, weights)
        x, y, maps = move(torch.cat([x, y, maps], 1), self.config.augment, generator).split([3, 3, 2], 1)
        x, y = relight(torch.cat([x, y], 2), self.config.augment, generator).clamp(-1, 1).chunk(2, 2)
        return PairedBatch(x=_channels_last(x), y=_channels_last(y), planes=self._add_locations(maps), years=years)

    def sample_unpaired(self, num: int, generator: Generator) -> UnpairedBatch:
        """Random faces of which one zone is to change at their age, or that are to have a random age and any scores."""
        rows = torch.randint(len(self), (num,), generator=generator)
        now, own = self._now[rows], _chance(num, self.config.one_zone_share, generator)
        years = torch.where(own, now, _uniform(TARGET_AGES, (num,), generator))
        scores, shape = self._scores[rows], (num, len(ZONES))
        expected = scores + self._typical_rise(now, years)
        one = F.one_hot(torch.randint(len(ZONES), (num,), generator=generator), len(ZONES)).bool()
        several = torch.rand(shape, generator=generator) < self.config.any_score_prob
        changed = torch.where(own[:, None], one, several)
        target = torch.where(changed, _uniform(ZONE_SCORES, shape, generator), expected).clamp(0, 1)
        batch = self.make_unpaired(rows, years, target)
        oldest, youngest = (self._show(rows, torch.full((num,), age)) for age in (AGES[-1], AGES[0]))
        extremes = torch.where(batch.planes[:, :1] > batch.planes[:, 1:2], oldest, youngest)
        both = relight(torch.cat([batch.x, extremes], 2), self.config.augment, generator).clamp(-1, 1)
        x, extremes = both.chunk(2, 2)
        return replace(batch, x=_channels_last(x), teacher_extremes=extremes)

    def make_unpaired(self, rows: Tensor, years: Tensor, target: Tensor) -> UnpairedBatch:
        """Faces of rows (B,) with target ages (B,) and target scores (B, 12), neither augmented nor with a teacher."""
        scores, weights = self._scores[rows], self._weights_of(rows)
        maps = _make_maps(weights, target, years, scores, self._now[rows])
        x = _channels_last(to_net(self._data.crops[rows.numpy()]))
        skin_weights = torch.from_numpy(self._data.skin_weights[rows.numpy()]).float() / 255
        return UnpairedBatch(
            x=x,
            planes=self._add_locations(maps),
            teacher_extremes=x,
            zone_weights=weights[:, : len(ZONES)] * ((target - scores).abs() > CHANGED_SCORE)[..., None, None],
            scores=torch.where(self._shown[rows], target, torch.nan),
            skin_weights=F.interpolate(skin_weights, scale_factor=2, mode="bilinear", align_corners=False),
            colour_features=torch.from_numpy(self._data.colour_features[rows.numpy()]),
            tones=torch.from_numpy(self._data.tones[rows.numpy()]),
        )

    def request_zone(self, rows: Tensor, zone: int, score: float) -> UnpairedBatch:
        """Faces of rows (B,) with a target score of one zone, a place in `ZONES`; all else stays as it is."""
        target = self._scores[rows].clone()
        target[:, zone] = score
        return self.make_unpaired(rows, self._now[rows], target)

    def request_age(self, rows: Tensor, years: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Faces of rows (B,) and their planes for target ages (B,), as the engine makes them; None keeps their age."""
        now, scores = self._now[rows], self._scores[rows]
        years = now if years is None else years
        maps = _make_maps(self._weights_of(rows), scores + self._typical_rise(now, years), years, scores, now)
        return _channels_last(to_net(self._data.crops[rows.numpy()])), self._add_locations(maps)

    # Maps

    def _weights_of(self, rows: Tensor) -> Tensor:
        """(B, 13, S, S) what zones and age add to a map."""
        side = self._data.crops.shape[1]
        return F.interpolate(self._map_weights[rows].float(), (side, side), mode="bilinear", align_corners=False)

    def _add_locations(self, maps: Tensor) -> Tensor:
        return torch.cat([maps, (2 * self._locations - 1).expand(len(maps), -1, -1, -1)], 1)

    # Scores

    def _typical_rise(self, now: Tensor, years: Tensor) -> Tensor:
        """(B, 12) how much typical scores rise from one age (B,) to another."""
        before, after = (self._typical_scores(ages[:, None].expand(-1, len(ZONES))) for ages in (now, years))
        return after - before

    def _teacher_rise(self, rows: Tensor, years: Tensor) -> Tensor:
        """(B, 12) how much the teacher raises the scores of zones that it makes (B, 12) years old."""
        scores = self._aged_scores[rows]
        return _interpolate(scores, AGES, years) - _interpolate(scores, AGES, self._now[rows][:, None].expand_as(years))

    def _typical_scores(self, years: Tensor) -> Tensor:
        """(B, 12) ages -> (B, 12) typical scores."""
        return _interpolate(self._typical.expand(len(years), -1, -1), TYPICAL_AGES, years)

    # The teacher's pictures

    def _show(self, rows: Tensor, years: Tensor) -> Tensor:
        """(B, 3, S, S) the teacher's pictures at any ages, between those it made; the face itself at its own."""

        def at(ages: Tensor) -> Tensor:
            first, share = _split_ages(ages, AGES)
            below, above = (to_net(self._data.aged[rows.numpy(), (first + i).numpy()]) for i in (0, 1))
            return below + share[:, None, None, None] * (above - below)

        return to_net(self._data.crops[rows.numpy()]) + at(years) - at(self._now[rows])

    def _show_zones(self, rows: Tensor, years: Tensor, zone_years: Tensor, weights: Tensor) -> Tensor:
        """The teacher's pictures at ages (B,), each zone replaced by that at an age of its own, (B, 12)."""
        y = self._show(rows, years)
        for zone in range(len(ZONES)):
            apart = (zone_years[:, zone] != years).nonzero()[:, 0]
            if len(apart):
                mask = weights[apart, zone : zone + 1]
                other = self._show(rows[apart], zone_years[apart, zone])
                y[apart] = y[apart] + mask * (other - self._show(rows[apart], years[apart]))
        return y


def _make_maps(
    weights: Tensor, target: Tensor, years: Tensor, scores: Tensor, now: Tensor, unscored: Tensor | None = None
) -> Tensor:
    """The target map and the map of the face as it is.

    Args:
        weights: (B, 13, S, S) what zones and age add to a map.
        target: (B, 12) target scores.
        years: (B,) target ages.
        scores: (B, 12) present scores.
        now: (B,) present ages.
        unscored: (B,) True where the maps hold the age alone; None for nowhere.

    Returns:
        (B, 2, S, S) in [-1, 1].
    """
    youngest, oldest = MAP_AGES_YEARS
    shares = ((torch.stack([years, now], 1) - youngest) / (oldest - youngest)).clamp(0, 1)[..., None]
    zones = torch.stack([target, scores], 1).clamp(0, 1)
    if unscored is not None:
        zones = torch.where(unscored[:, None, None], shares, zones)
    floor, slope = MAP_LEVELS
    levels = floor + slope * torch.cat([zones, shares], 2)
    return 2 * torch.einsum("bmk,bkhw->bmhw", levels, weights) - 1


def _chance(num: int, probability: float, generator: Generator) -> Tensor:
    return torch.rand(num, generator=generator) < probability


def _uniform(limits: tuple[float, float], shape: tuple[int, ...], generator: Generator) -> Tensor:
    low, high = limits
    return low + (high - low) * torch.rand(shape, generator=generator)


def _interpolate(table: Tensor, ages: Sequence[float], years: Tensor) -> Tensor:
    """(B, A, Z) values at evenly spaced ages, (B, Z) years -> (B, Z) the values between."""
    first, share = _split_ages(years, ages)
    below, above = (table.gather(1, (first + i)[:, None])[:, 0] for i in (0, 1))
    return below + share * (above - below)


def _split_ages(years: Tensor, ages: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Years -> the place in evenly spaced ages of the nearest age below, and the share of the way to the next."""
    place = ((years - ages[0]) / (ages[1] - ages[0])).clamp(0, len(ages) - 1)
    first = place.floor().long().clamp(max=len(ages) - 2)
    return first, place - first


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)
