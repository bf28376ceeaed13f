"""Batches drawn from lessons: faces, what the teacher makes of them, and the maps that ask for it."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from reage.images.tensors import to_net
from reage.plan import TYPICAL_AGES, TYPICAL_SCORES
from reage.training.augment import AugmentConfig, move, relight
from reage.training.lessons import AGES, OLDEST, YOUNGEST, Lessons, make_map_weights
from reage.training.loop import share_of
from reage.types import ZONES


@dataclass(frozen=True, kw_only=True)
class DeckConfig:
    """How batches are drawn.

    Args:
        augment: place and light of the lessons.
        own_age: share of lessons that ask for no change.
        zoned: share of lessons in which zones have ages of their own.
        unscored: share of lessons whose maps hold the age alone.
    """

    augment: AugmentConfig = AugmentConfig(turn_degrees=3.0, scale=0.05, shift=0.03, exposure=0.08, tint=0.02, lamp=0.0)
    own_age: float = 0.12
    zoned: float = 0.4
    unscored: float = 0.15


@dataclass(frozen=True)
class Batch:
    """A few lessons, (B, ...) each.

    Args:
        x: (B, 3, S, S) faces as they are.
        y: (B, 3, S, S) as the teacher makes them.
        planes: (B, 4, S, S) target map, source map, X, Y in [-1, 1].
        years: (B,) age asked for.
        gap: (B,) years between that and now.
    """

    x: Tensor
    y: Tensor
    planes: Tensor
    years: Tensor
    gap: Tensor

    def part(self, device: torch.device) -> Batch:
        """This process's share, on a device."""
        own = share_of(len(self.x))
        return Batch(**{field.name: getattr(self, field.name)[own].to(device) for field in fields(self)})


class Deck:
    """Lessons as tensors, from which batches are drawn."""

    def __init__(self, lessons: Lessons, config: DeckConfig) -> None:
        self.config = config
        self._lessons = lessons
        self._now = torch.from_numpy(lessons.read_years)
        typical = np.array([TYPICAL_SCORES[zone.split(".")[0]] for zone in ZONES], np.float32)
        self._typical, self._typical_ages = torch.from_numpy(typical), torch.tensor(TYPICAL_AGES)
        scores = torch.from_numpy(lessons.scores)
        self._scores = torch.where(scores.isnan(), self._expect(self._now[:, None].expand(-1, len(ZONES))), scores)
        weights = [make_map_weights(points, hair) for points, hair in zip(lessons.landmarks, lessons.hair, strict=True)]
        self._map_weights = torch.from_numpy(np.stack(weights)).half()
        side = lessons.crops.shape[1]
        places = (torch.arange(side) + 0.5) / side
        self._places = torch.stack(torch.meshgrid(places, places, indexing="xy"))

    def __len__(self) -> int:
        return len(self._lessons)

    def draw(self, num: int, generator: Generator, *, free: bool = False) -> Batch:
        """A batch; `free` asks zones for any score, which no teacher can show: then `y` is meaningless there."""
        rows = torch.randint(len(self), (num,), generator=generator)
        now, own = self._now[rows], self._chance(num, self.config.own_age, generator)
        years = torch.where(own, now, self._between(20.0, 82.0, (num,), generator))
        zoned = self._chance(num, self.config.zoned, generator)
        years = torch.where(zoned & self._chance(num, 0.5, generator), now, years)
        moved = zoned[:, None] & (torch.rand(num, len(ZONES), generator=generator) < 0.5)
        zone_years = torch.where(moved, self._between(20.0, 85.0, (num, len(ZONES)), generator), years[:, None])
        scores = self._scores[rows]
        wanted = scores + self._expect(zone_years) - self._expect(now[:, None].expand_as(zone_years))
        if free:
            anything = torch.rand(num, len(ZONES), generator=generator)
            wanted = torch.where(torch.rand(num, len(ZONES), generator=generator) < 0.6, anything, wanted)
        values = torch.stack([self._values(wanted, years), self._values(scores, now)], 1)
        unscored = self._chance(num, self.config.unscored, generator) & ~zoned
        values = torch.where(unscored[:, None, None], values[..., -1:].expand_as(values), values)
        return self._lay_out(rows, zone_years, years, values, generator)

    def _lay_out(self, rows: Tensor, zone_years: Tensor, years: Tensor, values: Tensor, generator: Generator) -> Batch:
        weights = self._map_weights[rows].float()
        side = self._lessons.crops.shape[1]
        weights = F.interpolate(weights, (side, side), mode="bilinear", align_corners=False)
        maps = torch.einsum("bmk,bkhw->bmhw", values, weights)
        x = to_net(self._lessons.crops[rows.numpy()])
        y = self._teach(rows, years)
        for zone in range(len(ZONES)):
            apart = (zone_years[:, zone] != years).nonzero()[:, 0]
            if len(apart):
                mask = weights[apart, zone : zone + 1]
                y[apart] = y[apart] + mask * (
                    self._teach(rows[apart], zone_years[apart, zone]) - self._teach(rows[apart], years[apart])
                )
        moved = move(torch.cat([x, y, 2 * maps - 1], 1), self.config.augment, generator)
        x, y, maps = moved[:, :3], moved[:, 3:6], moved[:, 6:]
        x, y = relight(torch.cat([x, y], 2), self.config.augment, generator).clamp(-1, 1).chunk(2, 2)
        places = (2 * self._places - 1).expand(len(rows), -1, -1, -1)
        return Batch(
            x=x.contiguous(memory_format=torch.channels_last),
            y=y.contiguous(memory_format=torch.channels_last),
            planes=torch.cat([maps, places], 1),
            years=years,
            gap=years - self._now[rows],
        )

    def _teach(self, rows: Tensor, years: Tensor) -> Tensor:
        """(B, 3, S, S) the teacher's pictures at any ages, between those it made."""
        step = AGES[1] - AGES[0]
        place = ((years - AGES[0]) / step).clamp(0, len(AGES) - 1)
        first = place.floor().long().clamp(max=len(AGES) - 2)
        share = (place - first)[:, None, None, None]
        below, above = (to_net(self._lessons.aged[rows.numpy(), (first + i).numpy()]) for i in (0, 1))
        return below + share * (above - below)

    def _expect(self, years: Tensor) -> Tensor:
        """(B, 12) ages -> (B, 12) typical scores."""
        step = self._typical_ages[1] - self._typical_ages[0]
        place = ((years - self._typical_ages[0]) / step).clamp(0, len(self._typical_ages) - 1)
        first = place.floor().long().clamp(max=len(self._typical_ages) - 2)
        table = self._typical.expand(len(years), -1, -1)
        below, above = (table.gather(2, (first + i)[..., None])[..., 0] for i in (0, 1))
        return below + (place - first) * (above - below)

    @staticmethod
    def _values(scores: Tensor, years: Tensor) -> Tensor:
        """(B, 12), (B,) -> (B, 13) what is drawn into a map."""
        share = ((years - YOUNGEST) / (OLDEST - YOUNGEST)).clamp(0, 1)
        return 0.1 + 0.9 * torch.cat([scores.clamp(0, 1), share[:, None]], 1)

    @staticmethod
    def _chance(num: int, probability: float, generator: Generator) -> Tensor:
        return torch.rand(num, generator=generator) < probability

    @staticmethod
    def _between(low: float, high: float, shape: tuple[int, ...], generator: Generator) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=generator)
