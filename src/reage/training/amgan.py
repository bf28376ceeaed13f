"""Trains AMGAN: first it learns from `prototype` at every age and zone, then a critic and measured ages sharpen it.

Adversarial training from scratch fails on a few hundred faces; what the teacher shows is a start from which the four
losses of the paper (age map, place, realism, cycle) can go on, on luminance alone, so that colour stays the teacher's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from reage.nets.age import AgeNet, load_age_net
from reage.nets.amgan import AmganConfig, apply_change, build_critic, build_generator, cpu
from reage.training.augment import to_grey
from reage.training.deck import Batch, Deck, DeckConfig
from reage.training.lessons import Lessons
from reage.training.loop import Schedule, crew, fit

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
        net: both nets.
        teacher_shape: how much the teacher moves the shape; what moves little is drawn sharper.
        learn: schedule of the first stage.
        refine: schedule of the second stage.
        refining: its losses.
        deck: how batches are drawn.
        learn_rate: highest learning rate of the generator in the first stage.
        refine_rate: in the second.
        critic_rate: of the critic.
    """

    seed: int = 0
    net: AmganConfig = field(default_factory=cpu)
    teacher_shape: float = 0.6
    learn: Schedule = Schedule(steps=1200, batch=6, weight_decay=0.0, mean_decay=0.998)
    refine: Schedule = Schedule(steps=0, batch=3, weight_decay=0.0, mean_decay=0.99, largest_gradient=50.0)
    refining: LossWeights = field(default_factory=refining)
    deck: DeckConfig = field(default_factory=DeckConfig)
    learn_rate: float = 1e-3
    refine_rate: float = 3e-4
    critic_rate: float = 3e-4


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
    deck = Deck(lessons, recipe.deck)
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
