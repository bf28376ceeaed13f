"""Batches drawn from lessons: faces, what the teacher makes of them, and the maps that ask for it, or for anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from reage.data.augment import AugmentConfig, move, relight
from reage.faces.skin_features import LOOK_PX, SEEN_PX, WINDOW, light_of, luminance_features
from reage.faces.zone_scorer import ZoneScorer
from reage.images.tensors import to_net
from reage.training.distillation import AGES, OLDEST, YOUNGEST, DistillationDataset, make_map_weights
from reage.training.trainer import local_rows
from reage.zones import TYPICAL_AGES, ZONES, zone_row

_ANOTHER = 0.05
"""A score that differs by more is another one."""


@dataclass(frozen=True, kw_only=True)
class AmganDatasetConfig:
    """How batches are drawn.

    Args:
        augment: place and light of the lessons.
        own_age: share of lessons that ask for no change.
        zoned: share of lessons in which zones have ages of their own.
        unscored: share of lessons whose maps hold the age alone.
        one_zone: share of orders at the own age, in which one zone alone is moved.
        any_score: probability with which each zone of the other orders is asked for any score.
    """

    augment: AugmentConfig = AugmentConfig(turn_degrees=3.0, scale=0.05, shift=0.03, exposure=0.08, tint=0.02, lamp=0.0)
    own_age: float = 0.12
    zoned: float = 0.4
    unscored: float = 0.15
    one_zone: float = 0.5
    any_score: float = 0.3


@dataclass(frozen=True)
class Batch:
    """A few lessons, (B, ...) each.

    Args:
        x: (B, 3, S, S) faces as they are.
        y: (B, 3, S, S) as the teacher makes them.
        planes: (B, 4, S, S) target map, source map, X, Y in [-1, 1].
        years: (B,) age asked for.
    """

    x: Tensor
    y: Tensor
    planes: Tensor
    years: Tensor


@dataclass(frozen=True)
class UnpairedBatch:
    """A few faces, and what is asked of their zones: any score, which no teacher can show.

    Args:
        x: (B, 3, S, S) faces as they are.
        planes: (B, 4, S, S) as in `Batch`.
        ways: (B, 3, S, S) the same faces as the teacher makes them where the map rises or falls: the oldest, or the
            youngest it can show; x itself where no teacher was asked.
        zones: (B, 12, S, S) what each zone adds to a map, where another score is asked for; 0 elsewhere.
        scores: (B, 12) asked for, NaN where the zone is hidden.
        skins: (B, 12, H, W) weights of the zones' skin, as in `reage.faces.skin_features.SkinView`.
        colours: (B, 12, C) signs of colour.
        tones: (B,) places in `reage.faces.zone_scorer.TONES`.
    """

    x: Tensor
    planes: Tensor
    ways: Tensor
    zones: Tensor
    scores: Tensor
    skins: Tensor
    colours: Tensor
    tones: Tensor


AnyBatch = TypeVar("AnyBatch", Batch, UnpairedBatch)


def local_batch(drawn: AnyBatch, device: torch.device) -> AnyBatch:
    """This process's share, on a device."""
    own = local_rows(len(drawn.x))
    return replace(drawn, **{one.name: getattr(drawn, one.name)[own].to(device) for one in fields(drawn)})


def read_scores(scorer: ZoneScorer, x: Tensor, orders: UnpairedBatch) -> Tensor:
    """(B, 3, S, S) -> (B, 12) what the scorer reads off pictures made for these orders, with the colours they had."""
    for side in (SEEN_PX, LOOK_PX):
        x = F.interpolate(x, (side, side), mode="bilinear", antialias=True)
    grey = (x[..., WINDOW[0], WINDOW[1]].mean(1) + 1) / 2
    signs = torch.cat([luminance_features(light_of(grey, orders.skins), orders.skins), orders.colours], -1)
    return scorer.score(signs.double().cpu(), orders.tones.cpu()).to(x.device)


class AmganDataset:
    """DistillationDataset as tensors, from which batches are drawn."""

    def __init__(self, lessons: DistillationDataset, config: AmganDatasetConfig) -> None:
        self.config = config
        self._lessons = lessons
        self._now = torch.from_numpy(lessons.read_years)
        self._typical = torch.tensor([zone_row(zone).typical_scores for zone in ZONES]).T
        self._shown = torch.from_numpy(~np.isnan(lessons.scores))
        ages = torch.tensor(AGES)[:, None].expand(-1, len(ZONES))
        scores, aged = torch.from_numpy(lessons.scores), torch.from_numpy(lessons.aged_scores)
        self._scores = torch.where(scores.isnan(), self._expect(self._now[:, None].expand_as(scores)), scores)
        self._aged_scores = torch.where(aged.isnan(), self._expect(ages), aged)
        weights = [make_map_weights(points, hair) for points, hair in zip(lessons.landmarks, lessons.hair, strict=True)]
        self._map_weights = torch.from_numpy(np.stack(weights)).half()
        side = lessons.crops.shape[1]
        places = (torch.arange(side) + 0.5) / side
        self._places = torch.stack(torch.meshgrid(places, places, indexing="xy"))

    def __len__(self) -> int:
        return len(self._lessons)

    def rows_of(self, youngest: float, oldest: float) -> Tensor:
        """The rows of faces whose true age is between these."""
        years = torch.from_numpy(self._lessons.years)
        return ((years >= youngest) & (years <= oldest)).nonzero()[:, 0]

    def draw(self, num: int, generator: Generator) -> Batch:
        """DistillationDataset whose maps hold the scores that the teacher's pictures have."""
        rows = torch.randint(len(self), (num,), generator=generator)
        now, own = self._now[rows], self._chance(num, self.config.own_age, generator)
        years = torch.where(own, now, self._between(20.0, 82.0, (num,), generator))
        zoned = self._chance(num, self.config.zoned, generator)
        years = torch.where(zoned & self._chance(num, 0.5, generator), now, years)
        moved = zoned[:, None] & (torch.rand(num, len(ZONES), generator=generator) < 0.5)
        zone_years = torch.where(moved, self._between(20.0, 85.0, (num, len(ZONES)), generator), years[:, None])
        scores = self._scores[rows]
        unscored = self._chance(num, self.config.unscored, generator) & ~zoned
        weights = self._weights_of(rows)
        maps = self._draw_maps(weights, scores + self._rise(rows, zone_years), years, scores, now, unscored)
        x, y = to_net(self._lessons.crops[rows.numpy()]), self._teach(rows, years)
        for zone in range(len(ZONES)):
            apart = (zone_years[:, zone] != years).nonzero()[:, 0]
            if len(apart):
                mask = weights[apart, zone : zone + 1]
                other = self._teach(rows[apart], zone_years[apart, zone])
                y[apart] = y[apart] + mask * (other - self._teach(rows[apart], years[apart]))
        moved_planes = move(torch.cat([x, y, maps], 1), self.config.augment, generator)
        x, y, maps = moved_planes.split([3, 3, 2], 1)
        x, y = relight(torch.cat([x, y], 2), self.config.augment, generator).clamp(-1, 1).chunk(2, 2)
        return Batch(x=_last(x), y=_last(y), planes=self._with_places(maps), years=years)

    def sample_unpaired(self, num: int, generator: Generator) -> UnpairedBatch:
        """UnpairedBatch for one zone of a face of its age, or for an age and any scores."""
        rows = torch.randint(len(self), (num,), generator=generator)
        now, own = self._now[rows], self._chance(num, self.config.one_zone, generator)
        years = torch.where(own, now, self._between(20.0, 82.0, (num,), generator))
        scores, each = self._scores[rows], (num, len(ZONES))
        expected = scores + self._typical_rise(now, years)
        one = F.one_hot(torch.randint(len(ZONES), (num,), generator=generator), len(ZONES)).bool()
        several = torch.rand(each, generator=generator) < self.config.any_score
        moved = torch.where(own[:, None], one, several)
        wanted = torch.where(moved, self._between(-0.25, 1.25, each, generator), expected).clamp(0, 1)
        orders = self.order(rows, years, wanted)
        oldest, youngest = (self._teach(rows, torch.full((num,), age)) for age in (AGES[-1], AGES[0]))
        ways = torch.where(orders.planes[:, :1] > orders.planes[:, 1:2], oldest, youngest)
        both = relight(torch.cat([orders.x, ways], 2), self.config.augment, generator).clamp(-1, 1)
        x, ways = both.chunk(2, 2)
        return replace(orders, x=_last(x), ways=ways)

    def order(self, rows: Tensor, years: Tensor, wanted: Tensor) -> UnpairedBatch:
        """Faces of rows (B,) asked for ages (B,) and for scores (B, 12) of their zones, without the teacher's ways."""
        scores, weights = self._scores[rows], self._weights_of(rows)
        maps = self._draw_maps(
            weights, wanted, years, scores, self._now[rows], torch.zeros_like(rows, dtype=torch.bool)
        )
        x = _last(to_net(self._lessons.crops[rows.numpy()]))
        skins = torch.from_numpy(self._lessons.skins[rows.numpy()]).float() / 255
        return UnpairedBatch(
            x=x,
            planes=self._with_places(maps),
            ways=x,
            zones=weights[:, : len(ZONES)] * ((wanted - scores).abs() > _ANOTHER)[..., None, None],
            scores=torch.where(self._shown[rows], wanted, torch.nan),
            skins=F.interpolate(skins, scale_factor=2, mode="bilinear", align_corners=False),
            colours=torch.from_numpy(self._lessons.colours[rows.numpy()]),
            tones=torch.from_numpy(self._lessons.tones[rows.numpy()]),
        )

    def order_zone(self, rows: Tensor, zone: int, score: float) -> UnpairedBatch:
        """Faces of rows (B,) asked for one score of one zone, and else as they are."""
        wanted = self._scores[rows].clone()
        wanted[:, zone] = score
        return self.order(rows, self._now[rows], wanted)

    def ask(self, rows: Tensor, years: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Faces of rows (B,) and the planes that ask for an age (B,), by default their own, as an engine would."""
        now, scores = self._now[rows], self._scores[rows]
        years = now if years is None else years
        wanted = scores + self._typical_rise(now, years)
        maps = self._draw_maps(
            self._weights_of(rows), wanted, years, scores, now, torch.zeros_like(rows, dtype=torch.bool)
        )
        return _last(to_net(self._lessons.crops[rows.numpy()])), self._with_places(maps)

    def _typical_rise(self, now: Tensor, years: Tensor) -> Tensor:
        """(B, 12) how much typical scores rise from one age (B,) to another."""
        before, after = (self._expect(ages[:, None].expand(-1, len(ZONES))) for ages in (now, years))
        return after - before

    def _weights_of(self, rows: Tensor) -> Tensor:
        """(B, 13, S, S) what zones and age add to a map."""
        side = self._lessons.crops.shape[1]
        return F.interpolate(self._map_weights[rows].float(), (side, side), mode="bilinear", align_corners=False)

    @staticmethod
    def _draw_maps(
        weights: Tensor, wanted: Tensor, years: Tensor, scores: Tensor, now: Tensor, unscored: Tensor
    ) -> Tensor:
        """(B, 2, S, S) in [-1, 1]: the map that is asked for, and that of the face as it is."""
        shares = ((torch.stack([years, now], 1) - YOUNGEST) / (OLDEST - YOUNGEST)).clamp(0, 1)[..., None]
        zones = torch.stack([wanted, scores], 1).clamp(0, 1)
        zones = torch.where(unscored[:, None, None], shares, zones)
        values = 0.1 + 0.9 * torch.cat([zones, shares], 2)
        return 2 * torch.einsum("bmk,bkhw->bmhw", values, weights) - 1

    def _with_places(self, maps: Tensor) -> Tensor:
        return torch.cat([maps, (2 * self._places - 1).expand(len(maps), -1, -1, -1)], 1)

    def _teach(self, rows: Tensor, years: Tensor) -> Tensor:
        """(B, 3, S, S) the teacher's pictures at any ages, between those it made; the face itself at its own."""

        def at(ages: Tensor) -> Tensor:
            first, share = _between_two(ages, AGES)
            below, above = (to_net(self._lessons.aged[rows.numpy(), (first + i).numpy()]) for i in (0, 1))
            return below + share[:, None, None, None] * (above - below)

        return to_net(self._lessons.crops[rows.numpy()]) + at(years) - at(self._now[rows])

    def _rise(self, rows: Tensor, years: Tensor) -> Tensor:
        """(B, 12) how much the teacher raises the scores of zones that it makes (B, 12) years old."""
        scores = self._aged_scores[rows]
        return _look_up(scores, AGES, years) - _look_up(scores, AGES, self._now[rows][:, None].expand_as(years))

    def _expect(self, years: Tensor) -> Tensor:
        """(B, 12) ages -> (B, 12) typical scores."""
        return _look_up(self._typical.expand(len(years), -1, -1), TYPICAL_AGES, years)

    @staticmethod
    def _chance(num: int, probability: float, generator: Generator) -> Tensor:
        return torch.rand(num, generator=generator) < probability

    @staticmethod
    def _between(low: float, high: float, shape: tuple[int, ...], generator: Generator) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=generator)


def _look_up(table: Tensor, ages: Sequence[float], years: Tensor) -> Tensor:
    """(B, A, Z) values at evenly spaced ages, (B, Z) years -> (B, Z) the values between."""
    first, share = _between_two(years, ages)
    below, above = (table.gather(1, (first + i)[:, None])[:, 0] for i in (0, 1))
    return below + share * (above - below)


def _between_two(years: Tensor, ages: Sequence[float]) -> tuple[Tensor, Tensor]:
    """The place of the age below each, and the share of the way to the next."""
    place = ((years - ages[0]) / (ages[1] - ages[0])).clamp(0, len(ages) - 1)
    first = place.floor().long().clamp(max=len(ages) - 2)
    return first, place - first


def _last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)
