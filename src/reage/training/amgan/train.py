"""Trains AMGAN: first it learns from `prototype` at every age and zone, then a critic and measured ages sharpen it.

Adversarial training from scratch fails on a few hundred faces; what the teacher shows is a start from which the four
losses of the paper (age map, place, realism, cycle) can go on, on luminance alone, so that colour stays the teacher's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from reage.data.augment import to_grey
from reage.faces.zone_scorer import ZoneScorer
from reage.nets.age import AgeNet, load_age_net
from reage.nets.amgan import AmganConfig, build_critic, build_generator, cpu
from reage.training.amgan.dataset import (
    AmganDataset,
    AmganDatasetConfig,
    Batch,
    UnpairedBatch,
    local_batch,
    read_scores,
)
from reage.training.trainer import TrainerConfig, fit, process_state

_TEACHER_SHRINKS = 1.15
"""Features are pushed so much beyond the teacher's: a student that averages loses about as much."""

_YOUNGEST_READ, _OLDEST_READ = 30.0, 80.0
"""Ages between which the estimator has seen faces enough to be asked."""
_MEAN_READ, _READ_SHARE = 50.0, 0.87
"""Real faces of 40 and 75 years are read as 41 and 72: so are those that are made."""


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """Weight of each loss; 0 leaves it out.

    Args:
        likeness: to the teacher's picture, mean absolute difference.
        detail: the same of what is finer than 5 px.
        features: the same of the estimator's features.
        tint: of the colour to the teacher's.
        shade: of what is coarser than 16 px to the teacher's: estimators like shadows that no face has.
        elsewhere: change where the teacher changes nothing.
        realism: of the critic.
        map: the aging map the critic reads off the picture.
        place: the place it reads.
        cycle: back to the source.
        age: read by an estimator on grey copies.
        zones: scores that `zones-a` reads, of orders that no teacher can show.
        way: of those orders' light and colour to the teacher's way there: how far it is gone is free.
        penalty: of the critic's gradient.
    """

    likeness: float = 10.0
    detail: float = 10.0
    features: float = 1.0
    tint: float = 10.0
    shade: float = 0.0
    elsewhere: float = 0.0
    realism: float = 0.0
    map: float = 0.0
    place: float = 0.0
    cycle: float = 0.0
    age: float = 0.0
    zones: float = 0.0
    way: float = 0.0
    penalty: float = 10.0


def refining() -> LossWeights:
    """Of the second stage."""
    return LossWeights(
        detail=6.0,
        shade=30.0,
        features=0.8,
        elsewhere=10.0,
        realism=0.1,
        map=2.0,
        place=0.2,
        cycle=4.0,
        age=0.4,
        zones=6.0,
        way=10.0,
    )


@dataclass(frozen=True, kw_only=True)
class AmganTrainingConfig:
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
    learn: TrainerConfig = TrainerConfig(steps=1500, batch=6, weight_decay=0.0, ema_decay=0.998)
    refine: TrainerConfig = TrainerConfig(steps=1000, batch=3, weight_decay=0.0, ema_decay=0.995, max_grad_norm=50.0)
    refining: LossWeights = field(default_factory=refining)
    deck: AmganDatasetConfig = field(default_factory=AmganDatasetConfig)
    learn_rate: float = 1e-3
    refine_rate: float = 3e-4
    critic_rate: float = 3e-4


class Amgan(nn.Module):
    """Generator and critic, and the losses of both.

    Args:
        config: of both.
        estimator: reads ages and gives features; never trained here, and never a judge of what comes out.
        scorer: the same for the scores of zones.
    """

    def __init__(self, config: AmganConfig, estimator: AgeNet, scorer: ZoneScorer) -> None:
        super().__init__()
        self.generator = build_generator(config.generator)
        self.critic = build_critic(config.critic)
        self._estimator = [estimator]  # in a list, so that it is no part of what is trained or saved
        self.scorer = scorer
        self.seen: dict[str, float] = {}
        """Each loss of the last step on this process's share, without its weight; "loss" is the sum, of all."""

    @property
    def estimator(self) -> AgeNet:
        """Of ages and features."""
        return self._estimator[0]

    def read_years(self, x: Tensor) -> Tensor:
        """(B, 3, S, S) -> (B,) ages that the estimator reads on grey copies."""
        logits, _ = self.estimator(to_grey(x))
        return self.estimator.correct(self.estimator.expect(logits))[0]

    def learn(self, batch: Batch, weights: LossWeights) -> Tensor:
        """What the first stage lowers."""
        return self._sum(self._taught(batch, self.generator(batch.x, batch.planes)), weights)

    def refine(self, batch: Batch, orders: UnpairedBatch, weights: LossWeights, generator: torch.Generator) -> Tensor:
        """What the second stage lowers: the generator's losses and the critic's, each with its own gradients."""
        aged = self.generator(batch.x, batch.planes)
        freed = self.generator(orders.x, orders.planes)
        losses = self._taught(batch, aged)
        losses["elsewhere"] = self._beyond_teacher(batch, aged) + self._unasked(orders, freed)
        if weights.age:
            losses["age"] = self._age(aged, batch)
        if weights.zones:
            losses["zones"] = self._zones(freed, orders)
        if weights.way:
            losses["way"] = self._off_the_way(orders, freed)
        if weights.cycle:
            losses["cycle"] = self._cycle(batch, aged)
        made = torch.cat([aged, freed])
        wanted = torch.cat([batch.planes, orders.planes])
        real = torch.cat([batch.x, orders.x])
        with torch.autocast(made.device.type, enabled=False):
            pictures = torch.cat([to_light(made.float()), to_light(real.float()), wanted[:, :2]], 1)
            seen = cut_patches(pictures, generator)
            fake, true, target, source = seen.pictures.split(1, 1)
            losses |= self._fool(fake, target, seen.centres)
            told = self._tell_apart(fake.detach(), true, source, seen.centres, weights.penalty, generator)
        self.seen["critic"] = told.item()
        return self._sum(losses, weights) + told

    def _sum(self, losses: dict[str, Tensor], weights: LossWeights) -> Tensor:
        self.seen |= {name: loss.item() for name, loss in losses.items()}
        return torch.stack([getattr(weights, name) * loss.float() for name, loss in losses.items()]).sum()

    def _taught(self, batch: Batch, aged: Tensor) -> dict[str, Tensor]:
        return {
            "likeness": (aged - batch.y).abs().mean() / 2,
            "detail": (detail_of(aged) - detail_of(batch.y)).abs().mean() / 2,
            "tint": (tint_of(aged) - tint_of(batch.y)).abs().mean() / 2,
            "shade": (F.avg_pool2d(aged, 16) - F.avg_pool2d(batch.y, 16)).abs().mean() / 2,
            "features": self._feature_gap(aged, batch),
        }

    @staticmethod
    def _beyond_teacher(batch: Batch, aged: Tensor) -> Tensor:
        """Change where the teacher changes nothing."""
        still = ((batch.y - batch.x).abs().amax(1, keepdim=True) < 0.016).float()
        return ((aged - batch.x).abs() * still).mean() / 2

    @staticmethod
    def _unasked(orders: UnpairedBatch, aged: Tensor) -> Tensor:
        """Change where both maps say the same."""
        asked = (orders.planes[:, :1] - orders.planes[:, 1:2]).abs()
        return ((aged - orders.x).abs() * (asked < 0.02)).mean() / 2

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
        """On grey copies, because an estimator can be pleased by yellow eyes, and at ages that it knows."""
        read = self.read_years(aged)
        known = batch.years > _YOUNGEST_READ
        asked = _MEAN_READ + _READ_SHARE * (batch.years.clamp(max=_OLDEST_READ) - _MEAN_READ)
        far = F.smooth_l1_loss(read / 6, asked / 6, reduction="none")
        return (far * known).mean()

    def _zones(self, aged: Tensor, orders: UnpairedBatch) -> Tensor:
        """Distance of the scores that are read to those asked for, where the zone is shown."""
        with torch.autocast(aged.device.type, enabled=False):
            read = read_scores(self.scorer, aged.float(), orders)
        shown = ~orders.scores.isnan()
        return F.smooth_l1_loss(read[shown], orders.scores[shown], beta=0.1)

    @staticmethod
    def _off_the_way(orders: UnpairedBatch, aged: Tensor) -> Tensor:
        """Change in each zone that is not the teacher's, times whatever factor fits its light best."""
        change, way = (one.float() - orders.x for one in (aged, orders.ways))
        light, way_light = to_light(change), to_light(way)
        shares = orders.zones / orders.zones.sum((2, 3), keepdim=True).clamp(min=1e-3)
        both, square = ((shares * way_light * other).sum((2, 3), keepdim=True) for other in (light, way_light))
        factor = (both / (square + 1e-5)).clamp(min=0).detach()
        asked = (orders.zones.amax((2, 3)) > 0).sum().clamp(min=1)
        astray = (change[:, None] - factor[:, :, None] * way[:, None]).abs().mean(2)
        return (shares * astray).sum() / asked

    def _cycle(self, batch: Batch, aged: Tensor) -> Tensor:
        back = torch.cat([batch.planes[:, 1:2], batch.planes[:, :1], batch.planes[:, 2:]], 1)
        return (self.generator(aged, back) - batch.x).abs().mean() / 2

    def _fool(self, fake: Tensor, target: Tensor, centres: Tensor) -> dict[str, Tensor]:
        frozen = {name: value.detach() for name, value in self.critic.named_parameters()}
        real, age_map, place = torch.func.functional_call(self.critic, frozen, (fake,))
        return {
            "realism": -real.mean(),
            "map": F.mse_loss(age_map, pool_to(target, age_map)),
            "place": F.mse_loss(place, centres),
        }

    def _tell_apart(
        self, fake: Tensor, true: Tensor, source: Tensor, centres: Tensor, penalty: float, generator: Generator
    ) -> Tensor:
        real, age_map, place = self.critic(true)
        loss = self.critic(fake)[0].mean() - real.mean()
        loss = loss + 10 * F.mse_loss(age_map, pool_to(source, age_map)) + 10 * F.mse_loss(place, centres)
        share = torch.rand(len(fake), 1, 1, 1, generator=generator).to(fake.device)
        between = (true + share * (fake - true)).requires_grad_(True)
        (slopes,) = torch.autograd.grad(self.critic(between)[0].sum(), between, create_graph=True)
        return loss + penalty * ((slopes.flatten(1).norm(dim=1) - 1) ** 2).mean()


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


def tint_of(x: Tensor) -> Tensor:
    """What is left of (B, 3, S, S) without its luma."""
    return x - to_grey(x)


def to_light(x: Tensor) -> Tensor:
    """(B, 3, S, S) -> (B, 1, S, S) luma."""
    return to_grey(x)[:, :1]


def detail_of(x: Tensor) -> Tensor:
    """What is finer than 5 px."""
    return x - F.avg_pool2d(F.pad(x, (2, 2, 2, 2), mode="replicate"), 5, 1)


# Runs

Watch = Callable[[str, int, Amgan, nn.Module], None]
"""Is told the stage ("learn" or "refine"), the number of each step that was made, the nets, whose `seen` holds its
losses, and their running mean."""


def train_amgan(
    recipe: AmganTrainingConfig, deck: AmganDataset, checkpoint: Path | None = None, watch: Watch | None = None
) -> Amgan:
    """Both stages, each resumed where it was stopped.

    Args:
        recipe: of the run.
        deck: of lessons of training people.
        checkpoint: file name from which those of both stages are made.
        watch: is told each step.
    """
    course = Course(recipe, deck, checkpoint, watch)
    if not course.refining:
        course.learn()
    course.refine()
    return course.net


class Course:
    """The nets of a run, and the stages they go through; see `train_amgan`."""

    def __init__(
        self,
        recipe: AmganTrainingConfig,
        deck: AmganDataset,
        checkpoint: Path | None = None,
        watch: Watch | None = None,
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self._deck = deck
        self._checkpoint = checkpoint
        self._watch = watch
        self._device = process_state().device
        self.net = Amgan(recipe.net, load_age_net("age-a", str(self._device)), ZoneScorer.load("zones-a"))
        self.net.to(self._device)

    @property
    def refining(self) -> bool:
        """Whether an earlier run was stopped in the second stage, which is gone on with."""
        return self._checkpoint is not None and self._checkpoint.with_suffix(".refine").exists()

    def learn(self) -> None:
        """The first stage: what the teacher shows."""
        recipe, weights = self.recipe, LossWeights()

        def loss_of(generator: Generator) -> Tensor:
            batch = self._deck.draw(recipe.learn.batch, generator)
            return self.net.learn(local_batch(batch, self._device), weights)

        self._fit("learn", loss_of, {self.net.generator: recipe.learn_rate}, recipe.learn, 2 * recipe.seed)

    def refine(self) -> None:
        """The second: all losses."""
        recipe, num = self.recipe, self.recipe.refine.batch

        def loss_of(generator: Generator) -> Tensor:
            batch, orders = self._deck.draw(num, generator), self._deck.sample_unpaired(num, generator)
            batch, orders = local_batch(batch, self._device), local_batch(orders, self._device)
            return self.net.refine(batch, orders, recipe.refining, generator)

        rates = {self.net.generator: recipe.refine_rate, self.net.critic: recipe.critic_rate}
        self._fit("refine", loss_of, rates, recipe.refine, 2 * recipe.seed + 1)

    def _fit(
        self,
        stage: str,
        loss_of: Callable[[Generator], Tensor],
        rates: Mapping[nn.Module, float],
        schedule: TrainerConfig,
        seed: int,
    ) -> None:
        def tell(step: int, loss: float, mean: nn.Module) -> None:
            self.net.seen["loss"] = loss
            if self._watch:
                self._watch(stage, step, self.net, mean)

        checkpoint = self._checkpoint.with_suffix(f".{stage}") if self._checkpoint else None
        mean = fit(self.net, loss_of, list(rates.items()), schedule, seed=seed, checkpoint=checkpoint, watch=tell)
        self.net.load_state_dict(mean.state_dict())


def describe(recipe: AmganTrainingConfig, gains: tuple[float, ...], older: float) -> dict[str, object]:
    """What the weights file says about the weights.

    Args:
        recipe: of the run.
        gains: see `reage.training.amgan.calibration`.
        older: the same.
    """
    net = replace(recipe.net.generator, gains=gains, older=older)
    return {"net": asdict(net), "recipe": asdict(recipe), "seed": recipe.seed}
