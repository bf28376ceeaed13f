"""Trains AMGAN: first it learns from `prototype` at every age and zone, then a critic and measured ages sharpen it.

Adversarial training from scratch fails on a few hundred faces; what the teacher shows is a start from which the four
losses of the paper (age map, place, realism, cycle) can go on, on luminance alone, so that colour stays the teacher's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from reage.images.tensors import to_net
from reage.nets.age import AgeNet, load_age_net
from reage.nets.amgan import AmganConfig, apply_change, build_critic, build_generator, cpu
from reage.plan import TYPICAL_AGES, TYPICAL_SCORES
from reage.training.augment import AugmentConfig, move, relight, to_grey
from reage.training.lessons import AGES, OLDEST, YOUNGEST, Lessons, make_map_weights
from reage.training.loop import Schedule, crew, fit, share_of
from reage.types import ZONES

_TEACHER_SHRINKS = 1.15
"""Features are pushed so much beyond the teacher's: a student that averages loses about as much."""


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """Weight of each loss; 0 leaves it out.

    Args:
        likeness: to the teacher's picture, mean absolute difference.
        detail: the same of what is finer than 5 px.
        features: the same of the estimator's features.
        elsewhere: change where the teacher changes nothing.
        realism: of the critic.
        map: the aging map the critic reads off the picture.
        place: the place it reads.
        cycle: back to the source.
        age: read by an estimator on grey copies.
        penalty: of the critic's gradient.
    """

    likeness: float = 10.0
    detail: float = 10.0
    features: float = 1.0
    elsewhere: float = 0.0
    realism: float = 0.0
    map: float = 0.0
    place: float = 0.0
    cycle: float = 0.0
    age: float = 0.0
    penalty: float = 10.0


def refining() -> LossWeights:
    """Of the second stage."""
    return LossWeights(detail=4.0, features=0.6, elsewhere=10.0, realism=0.02, map=2.0, place=0.2, cycle=4.0, age=0.4)


@dataclass(frozen=True, kw_only=True)
class AmganRecipe:
    """Everything that decides which weights come out.

    Args:
        seed: of the run.
        crop_px: side of the crops it learns from.
        net: both nets.
        teacher_shape: how much the teacher moves the shape; what moves little is drawn sharper.
        learn: schedule of the first stage.
        refine: schedule of the second stage.
        refining: its losses.
        augment: place and light of the lessons.
        learn_rate: highest learning rate of the generator in the first stage.
        refine_rate: in the second.
        critic_rate: of the critic.
        own_age: share of lessons that ask for no change.
        zoned: share of lessons in which zones have ages of their own.
        unscored: share of lessons whose maps hold the age alone.
    """

    seed: int = 0
    crop_px: int = 256
    net: AmganConfig = field(default_factory=cpu)
    teacher_shape: float = 0.6
    learn: Schedule = Schedule(steps=1200, batch=6, weight_decay=0.0, mean_decay=0.998)
    refine: Schedule = Schedule(steps=0, batch=3, weight_decay=0.0, mean_decay=0.99, largest_gradient=50.0)
    refining: LossWeights = field(default_factory=refining)
    augment: AugmentConfig = AugmentConfig(turn_degrees=3.0, scale=0.05, shift=0.03, exposure=0.08, tint=0.02, lamp=0.0)
    learn_rate: float = 1e-3
    refine_rate: float = 3e-4
    critic_rate: float = 3e-4
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

    def __init__(self, lessons: Lessons, recipe: AmganRecipe) -> None:
        self.recipe = recipe
        self._lessons = lessons
        self._now = torch.from_numpy(lessons.read_years)
        typical = np.array([TYPICAL_SCORES[zone.split(".")[0]] for zone in ZONES], np.float32)
        self._typical, self._typical_ages = torch.from_numpy(typical), torch.tensor(TYPICAL_AGES)
        scores = torch.from_numpy(lessons.scores)
        self._scores = torch.where(scores.isnan(), self._expect(self._now[:, None].expand(-1, len(ZONES))), scores)
        weights = [make_map_weights(points, hair) for points, hair in zip(lessons.landmarks, lessons.hair, strict=True)]
        self._map_weights = torch.from_numpy(np.stack(weights)).half()
        side = recipe.crop_px
        places = (torch.arange(side) + 0.5) / side
        self._places = torch.stack(torch.meshgrid(places, places, indexing="xy"))

    def __len__(self) -> int:
        return len(self._lessons)

    def draw(self, num: int, generator: Generator, *, free: bool = False) -> Batch:
        """A batch; `free` asks zones for any score, which no teacher can show: then `y` is meaningless there."""
        rows = torch.randint(len(self), (num,), generator=generator)
        now, own = self._now[rows], self._chance(num, self.recipe.own_age, generator)
        years = torch.where(own, now, self._between(20.0, 82.0, (num,), generator))
        zoned = self._chance(num, self.recipe.zoned, generator)
        years = torch.where(zoned & self._chance(num, 0.5, generator), now, years)
        moved = zoned[:, None] & (torch.rand(num, len(ZONES), generator=generator) < 0.5)
        zone_years = torch.where(moved, self._between(20.0, 85.0, (num, len(ZONES)), generator), years[:, None])
        scores = self._scores[rows]
        wanted = scores + self._expect(zone_years) - self._expect(now[:, None].expand_as(zone_years))
        if free:
            anything = torch.rand(num, len(ZONES), generator=generator)
            wanted = torch.where(torch.rand(num, len(ZONES), generator=generator) < 0.6, anything, wanted)
        values = torch.stack([self._values(wanted, years), self._values(scores, now)], 1)
        unscored = self._chance(num, self.recipe.unscored, generator) & ~zoned
        values = torch.where(unscored[:, None, None], values[..., -1:].expand_as(values), values)
        return self._lay_out(rows, zone_years, years, values, generator)

    def _lay_out(self, rows: Tensor, zone_years: Tensor, years: Tensor, values: Tensor, generator: Generator) -> Batch:
        weights = self._map_weights[rows].float()
        side = self.recipe.crop_px
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
        moved = move(torch.cat([x, y, 2 * maps - 1], 1), self.recipe.augment, generator)
        x, y, maps = moved[:, :3], moved[:, 3:6], moved[:, 6:]
        x, y = relight(torch.cat([x, y], 2), self.recipe.augment, generator).clamp(-1, 1).chunk(2, 2)
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


# Losses


class Amgan(nn.Module):
    """Generator and critic, and the losses of both.

    Args:
        config: of both.
        estimator: reads ages and gives features; never trained here, and never a judge of what comes out.
    """

    def __init__(self, config: AmganConfig, estimator: AgeNet) -> None:
        super().__init__()
        self.generator = build_generator(config.generator)
        self.critic = build_critic(config.critic)
        self._estimator = [estimator]  # in a list, so that it is no part of what is trained or saved

    @property
    def estimator(self) -> AgeNet:
        """Of ages and features."""
        return self._estimator[0]

    def learn(self, batch: Batch, weights: LossWeights) -> Tensor:
        """What the first stage lowers."""
        change, attention = self.generator.look(batch.x, batch.planes)
        return self._taught(batch, apply_change(batch.x, change * attention), weights)

    def refine(self, taught: Batch, free: Batch, weights: LossWeights, generator: Generator) -> Tensor:
        """What the second stage lowers: the generator's losses and the critic's, each with its own gradients."""
        aged = self.generator(taught.x, taught.planes)
        freed = self.generator(free.x, free.planes)
        loss = self._taught(taught, aged, weights)
        loss = loss + weights.age * self._age(aged, taught)
        loss = loss + weights.cycle * self._cycle(taught, aged) if weights.cycle else loss
        loss = loss + weights.elsewhere * self._spared(free, freed)
        made = torch.cat([aged, freed])
        wanted = torch.cat([taught.planes, free.planes])
        real = torch.cat([taught.x, free.x])
        with torch.autocast(made.device.type, enabled=False):
            seen = cut_patches(torch.cat([to_light(made.float()), to_light(real.float()), wanted[:, :2]], 1), generator)
            fake, true, target, source = seen.pictures.split(1, 1)
            loss = loss + self._fool(fake, target, seen.centres, weights)
            return loss + self._tell_apart(fake.detach(), true, source, seen.centres, weights, generator)

    def _taught(self, batch: Batch, aged: Tensor, weights: LossWeights) -> Tensor:
        loss = weights.likeness * (aged - batch.y).abs().mean() / 2
        loss = loss + weights.detail * (detail_of(aged) - detail_of(batch.y)).abs().mean() / 2
        if weights.elsewhere:
            still = ((batch.y - batch.x).abs().amax(1, keepdim=True) < 0.016).float()
            loss = loss + weights.elsewhere * ((aged - batch.x).abs() * still).mean() / 2
        return loss + weights.features * self._feature_gap(aged, batch)

    def _feature_gap(self, aged: Tensor, batch: Batch) -> Tensor:
        gap = aged.new_zeros(())
        with torch.no_grad():
            before, wanted = (self._maps(one) for one in (batch.x, batch.y))
        for mine, old, new in zip(self._maps(aged), before, wanted, strict=True):
            beyond = old + _TEACHER_SHRINKS * (new - old)
            gap = gap + ((mine - beyond).abs().mean((1, 2, 3)) / beyond.abs().mean((1, 2, 3))).mean()
        return gap

    def _maps(self, x: Tensor) -> list[Tensor]:
        return [stage.float() for stage in self.estimator.trunk(self.estimator.look(x))[:3]]

    def _age(self, aged: Tensor, batch: Batch) -> Tensor:
        """On grey copies: an estimator can be pleased by yellow eyes."""
        logits, _ = self.estimator(to_grey(aged))
        read, _ = self.estimator.correct(self.estimator.expect(logits))
        return F.smooth_l1_loss(read / 6, batch.years.clamp(25, 80) / 6)

    def _cycle(self, batch: Batch, aged: Tensor) -> Tensor:
        back = torch.cat([batch.planes[:, 1:2], batch.planes[:, :1], batch.planes[:, 2:]], 1)
        return (self.generator(aged, back) - batch.x).abs().mean() / 2

    @staticmethod
    def _spared(batch: Batch, aged: Tensor) -> Tensor:
        """Where both maps say the same, nothing changes."""
        asked = (batch.planes[:, :1] - batch.planes[:, 1:2]).abs()
        return ((aged - batch.x).abs() * (asked < 0.02)).mean() / 2

    def _fool(self, fake: Tensor, target: Tensor, centres: Tensor, weights: LossWeights) -> Tensor:
        frozen = {name: value.detach() for name, value in self.critic.named_parameters()}
        real, age_map, place = torch.func.functional_call(self.critic, frozen, (fake,))
        return (
            -weights.realism * real.mean()
            + weights.map * F.mse_loss(age_map, pool_to(target, age_map))
            + weights.place * F.mse_loss(place, centres)
        )

    def _tell_apart(
        self, fake: Tensor, true: Tensor, source: Tensor, centres: Tensor, weights: LossWeights, generator: Generator
    ) -> Tensor:
        real, age_map, place = self.critic(true)
        loss = self.critic(fake)[0].mean() - real.mean()
        loss = loss + 10 * F.mse_loss(age_map, pool_to(source, age_map)) + 10 * F.mse_loss(place, centres)
        share = torch.rand(len(fake), 1, 1, 1, generator=generator).to(fake.device)
        between = (true + share * (fake - true)).requires_grad_(True)
        (slopes,) = torch.autograd.grad(self.critic(between)[0].sum(), between, create_graph=True)
        return loss + weights.penalty * ((slopes.flatten(1).norm(dim=1) - 1) ** 2).mean()


@dataclass(frozen=True)
class Patches:
    """(B, C, P, P) windows of pictures, and their centres (B, 2) in shares of the picture."""

    pictures: Tensor
    centres: Tensor


def cut_patches(x: Tensor, generator: Generator) -> Patches:
    """One window of half the side out of each picture (B, C, S, S), anywhere."""
    num, _, side, _ = x.shape
    half = side // 2
    corners = torch.randint(side - half + 1, (num, 2), generator=generator)
    windows = [
        one[:, top : top + half, left : left + half] for one, (left, top) in zip(x, corners.tolist(), strict=True)
    ]
    return Patches(torch.stack(windows), ((corners + half / 2) / side).to(x.device))


def pool_to(aging_map: Tensor, like: Tensor) -> Tensor:
    """A map in [-1, 1] -> its means in [0, 1] at the size of what the critic reads."""
    return (F.adaptive_avg_pool2d(aging_map, (like.shape[-2], like.shape[-1])) + 1) / 2


def to_light(x: Tensor) -> Tensor:
    """(B, 3, S, S) -> (B, 1, S, S) luma."""
    return to_grey(x)[:, :1]


def detail_of(x: Tensor) -> Tensor:
    """What is finer than 5 px."""
    return x - F.avg_pool2d(F.pad(x, (2, 2, 2, 2), mode="replicate"), 5, 1)


# Runs


def train_amgan(
    recipe: AmganRecipe,
    lessons: Lessons,
    checkpoint: Path | None = None,
    watch: Callable[[int, float, nn.Module], None] | None = None,
) -> tuple[Amgan, dict[str, object]]:
    """Both stages, each resumed where it was stopped.

    Args:
        recipe: of the run.
        lessons: of training people.
        checkpoint: file name from which those of both stages are made.
        watch: see `reage.training.loop.fit`; of the first stage, then of the second.
    """
    torch.manual_seed(recipe.seed)
    deck = Deck(lessons, recipe)
    device = crew().device
    net = Amgan(recipe.net, load_age_net("age-a", str(device))).to(device)
    first, second = LossWeights(), recipe.refining

    def learn(generator: Generator) -> Tensor:
        return net.learn(deck.draw(recipe.learn.batch, generator).part(device), first)

    def refine(generator: Generator) -> Tensor:
        num = recipe.refine.batch
        taught, free = deck.draw(num, generator), deck.draw(num, generator, free=True)
        return net.refine(taught.part(device), free.part(device), second, generator)

    generator, critic = (net.generator, recipe.refine_rate), (net.critic, recipe.critic_rate)
    files = [checkpoint.with_suffix(f".{stage}") if checkpoint else None for stage in ("learn", "refine")]
    seed = 2 * recipe.seed
    mean = fit(
        net, learn, [(net.generator, recipe.learn_rate)], recipe.learn, seed=seed, checkpoint=files[0], watch=watch
    )
    net.load_state_dict(mean.state_dict())
    mean = fit(net, refine, [generator, critic], recipe.refine, seed=seed + 1, checkpoint=files[1], watch=watch)
    net.load_state_dict(mean.state_dict())
    return net, describe(recipe)


def describe(recipe: AmganRecipe) -> dict[str, object]:
    """What the weights file says about the weights."""
    return {"net": asdict(recipe.net.generator), "recipe": asdict(recipe), "seed": recipe.seed}
