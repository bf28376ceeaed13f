"""Trains an age estimator on dated portraits: fine-tune, then bend its readings until no decade is read far off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from reage.data.augment import AugmentConfig, augment
from reage.data.shards import Portraits
from reage.data.split import fold_of
from reage.images.geometry import resize
from reage.images.tensors import to_net
from reage.nets.age import AgeNet, AgeNetConfig, build_age_net
from reage.nets.dlib_resnet import TrunkConfig
from reage.training.trainer import TrainerConfig, fit, rates_by_size

_BATCH_READ = 32
_YOUNGEST_DECADE, _OLDEST_DECADE = 3, 7
"""Few people are below or above; they count among these."""
_LEAST_SLOPE = 0.2


@dataclass(frozen=True, kw_only=True)
class CurveConfig:
    """How the curve from raw expectation to years is fitted; every decade of age counts alike.

    Args:
        knots: raw expectations between which the curve is straight.
        bias_weight: of the squared mean error of a decade, beside its mean squared error.
        young_bias_weight: the same for people under 40, whom expectations put furthest off.
        bend_weight: of the squared bends of the curve, years.
    """

    knots: tuple[float, ...] = (40.0, 50.0, 60.0, 70.0)
    bias_weight: float = 0.3
    young_bias_weight: float = 16.0
    bend_weight: float = 0.1


@dataclass(frozen=True, kw_only=True)
class AgeTrainingConfig:
    """Everything that decides which weights come out.

    Args:
        seed: of the run.
        crop_px: side to which the crops are resampled before anything else.
        left_out_fold: fold of the training people that the fit never sees; they serve to correct its bias.
        folds: number of folds.
        net: what is trained.
        from_dlib: start from dlib's face net.
        augment: accidents that the portraits meet.
        schedule: length and speed.
        trunk_rate: highest learning rate of the trunk, as a share of the size of the weights.
        head_rate: highest learning rate of the head.
        balance: 0 draws portraits as often as they are, 1 draws every decade of age equally often.
        curve: how the readings are corrected.
    """

    seed: int
    left_out_fold: int
    schedule: TrainerConfig
    crop_px: int = 200
    folds: int = 8
    net: AgeNetConfig = field(default_factory=AgeNetConfig)
    from_dlib: bool = True
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    trunk_rate: float = 0.002
    head_rate: float = 1e-3
    balance: float = 0.5
    curve: CurveConfig = field(default_factory=CurveConfig)


def age_a() -> AgeTrainingConfig:
    """The estimator that reads the age of a face before it is changed."""
    net = AgeNetConfig(looks=((0.76, 152), (0.84, 160)))
    return AgeTrainingConfig(seed=0, left_out_fold=0, net=net, schedule=TrainerConfig(steps=2000, batch=16))


def age_b() -> AgeTrainingConfig:
    """The estimator that judges: it reads other stages, and learned from other people, from another seed."""
    trunk = TrunkConfig(stages=TrunkConfig().stages[:4])
    net = AgeNetConfig(trunk=trunk, stages_read=(0, 2, 3), looks=((0.8, 160), (0.84, 168)))
    curve = CurveConfig(bias_weight=1.0)
    return AgeTrainingConfig(
        seed=1, left_out_fold=1, net=net, curve=curve, schedule=TrainerConfig(steps=2000, batch=16)
    )


def train_age_estimator(
    recipe: AgeTrainingConfig,
    portraits: Portraits,
    checkpoint: Path | None = None,
    watch: Callable[[int, float, nn.Module], None] | None = None,
) -> AgeNet:
    """Trains on the people of the "train" split and returns the estimator, its bias corrected.

    Args:
        recipe: of the run.
        portraits: all portraits; those of the "val" split are not looked at.
        checkpoint: file that a stopped run is resumed from.
        watch: see `reage.training.trainer.fit`.
    """
    left_out = left_out_rows(recipe, portraits)
    seen = resize_crops(portraits.pick((portraits.split == "train") & ~left_out), recipe.crop_px)
    torch.manual_seed(recipe.seed)
    net = build_age_net(recipe.net, from_dlib=recipe.from_dlib)
    weights = torch.from_numpy(sampling_weights(seen.age_years, recipe.balance))

    def loss_of(generator: Generator) -> Tensor:
        rows = torch.multinomial(weights, recipe.schedule.batch, replacement=True, generator=generator).numpy()
        crops = augment(to_net(seen.crops[rows]), recipe.augment, generator)
        is_man = torch.from_numpy(seen.sex[rows] == "M").float()
        return net.loss(crops, torch.from_numpy(seen.age_years[rows]), is_man)

    rates = learning_rates(net, recipe)
    mean = fit(net, loss_of, rates, recipe.schedule, seed=recipe.seed, checkpoint=checkpoint, watch=watch)
    assert isinstance(mean, AgeNet)
    return correct_bias(mean, portraits.pick(left_out), recipe.curve)


def learning_rates(net: AgeNet, recipe: AgeTrainingConfig) -> list[tuple[nn.Module, float]]:
    """Parts of the net with their rates."""
    return [*rates_by_size(net.trunk.convolutions(), recipe.trunk_rate), (net.head, recipe.head_rate)]


def resize_crops(portraits: Portraits, crop_px: int) -> Portraits:
    """The same portraits with crops of (crop_px, crop_px); all that is measured in crop px still means the old ones."""
    return replace(portraits, crops=np.stack([resize(crop, crop_px, crop_px) for crop in portraits.crops]))


def left_out_rows(recipe: AgeTrainingConfig, portraits: Portraits) -> NDArray[np.bool_]:
    """(N,) the portraits of training people that the fit never sees."""
    folds = np.array([fold_of(person, recipe.folds, "age") for person in portraits.person.tolist()], np.int64)
    return (portraits.split == "train") & (folds == recipe.left_out_fold)


def sampling_weights(age_years: NDArray[np.float32], balance: float) -> NDArray[np.float64]:
    """(N,) how often each portrait is drawn, in parts of 1, so that rare decades of age are seen more often."""
    decades = (age_years // 10).astype(np.int64)
    weights = (np.bincount(decades)[decades] + 1.0) ** -balance
    return weights / weights.sum()


@torch.no_grad()
def read_ages(net: AgeNet, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(N, S, S, 3) -> (N,) the corrected expected age, the mean of a picture and its mirror image."""
    ages = []
    for start in range(0, len(crops), _BATCH_READ):
        x = to_net(crops[start : start + _BATCH_READ])
        ages.append((net.predict(x)[0] + net.predict(x.flip(3))[0]) / 2)
    return torch.cat(ages).double().numpy()


def correct_bias(net: AgeNet, portraits: Portraits, config: CurveConfig) -> AgeNet:
    """The same estimator with a curve on its expectation, fitted on people it has not seen."""
    net.config = replace(net.config, curve=AgeNetConfig().curve)
    curve = fit_curve(read_ages(net, portraits.crops), portraits.age_years.astype(np.float64), config)
    net.config = replace(net.config, curve=curve)
    return net


def fit_curve(
    raw: NDArray[np.float64], age_years: NDArray[np.float64], config: CurveConfig
) -> tuple[tuple[float, float], ...]:
    """The curve, as `AgeNetConfig.curve`, that reads people of raw expectations (N,) and true ages (N,) best.

    Least squares alone would regress to the mean; undoing all of that would multiply the noise as well. So the mean
    error of each decade is weighed beside its mean squared error.
    """
    hats = share_between(raw, np.array(config.knots))
    decades = np.clip(age_years // 10, _YOUNGEST_DECADE, _OLDEST_DECADE)
    bends = np.sqrt(config.bend_weight) * np.diff(np.eye(len(config.knots)), 2, axis=0)
    rows, wanted = [bends], [np.zeros(len(bends))]
    for decade in np.unique(decades):
        own, ages = hats[decades == decade], age_years[decades == decade]
        weight = np.sqrt(config.young_bias_weight if decade == _YOUNGEST_DECADE else config.bias_weight)
        rows += [own / np.sqrt(len(own)), weight * own.mean(0, keepdims=True)]
        wanted += [ages / np.sqrt(len(own)), weight * ages.mean(keepdims=True)]
    years = np.linalg.lstsq(np.concatenate(rows), np.concatenate(wanted), rcond=None)[0]
    steps = np.maximum(np.diff(years), _LEAST_SLOPE * np.diff(config.knots))
    rising = years[0] + np.concatenate([[0.0], np.cumsum(steps)])
    return tuple(zip(config.knots, rising.tolist(), strict=True))


def share_between(raw: NDArray[np.float64], knots: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) places -> (N, K) shares of the knots, which sum to 1, that a line between the two nearest gives them."""
    left = np.clip(np.searchsorted(knots, raw) - 1, 0, len(knots) - 2)
    right_share = (raw - knots[left]) / (knots[left + 1] - knots[left])
    shares = np.zeros((len(raw), len(knots)))
    rows = np.arange(len(raw))
    shares[rows, left], shares[rows, left + 1] = 1 - right_share, right_share
    return shares


def train_weights(
    recipe: AgeTrainingConfig,
    portraits: Portraits,
    checkpoint: Path,
    watch: Callable[[int, float, nn.Module], None] | None = None,
) -> tuple[dict[str, Tensor], dict[str, object]]:
    """What a weights file holds: the tensors of the trained estimator by name, and its config."""
    net = train_age_estimator(recipe, portraits, checkpoint, watch)
    return net.state_dict(), describe(recipe, net)


def describe(recipe: AgeTrainingConfig, net: AgeNet) -> dict[str, object]:
    """What the weights file says about the weights: the net's config with its curve, the recipe and its seed."""
    return {"net": asdict(net.config), "recipe": asdict(recipe), "seed": recipe.seed}
