"""Trains an age estimator on dated portraits: fine-tuning of dlib's net, then calibration on held-out people."""

from __future__ import annotations

from collections.abc import Sequence
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
from reage.training.logger import log_losses
from reage.training.measures.losses import expected_age_loss, label_distribution_loss, sex_loss
from reage.training.runner import RunContext, Weights
from reage.training.trainer import Callback, Trainer, TrainerConfig, scale_learning_rates

_PREDICTION_BATCH = 32
_YOUNGEST_DECADE, _OLDEST_DECADE = 3, 7
"""Few people are below 30 or above 79; they are counted in these decades."""
_MIN_SLOPE = 0.2
"""Smallest slope of a calibration, calibrated years per expected year."""


@dataclass(frozen=True, kw_only=True)
class CalibrationConfig:
    """Least-squares fit of the calibration from expected to calibrated age; each decade of age has equal weight.

    Args:
        knots: expected ages between which the calibration is linear.
        bias_weight: weight of the squared mean error of a decade, relative to its mean squared error.
        young_bias_weight: the same for people under 40, whose expected ages have the largest bias.
        bend_weight: weight of the squared second differences of the calibration, in years.
    """

    knots: tuple[float, ...] = (40.0, 50.0, 60.0, 70.0)
    bias_weight: float = 0.3
    young_bias_weight: float = 16.0
    bend_weight: float = 0.1


@dataclass(frozen=True, kw_only=True)
class AgeTrainingConfig:
    """Everything that determines the weights.

    Args:
        seed: of the run.
        left_out_fold: fold of the training people that is kept from the net; the calibration is fitted on it.
        trainer: length and optimisation.
        crop_px: side to which the crops are resampled first.
        folds: number of folds.
        net: architecture and loss weights.
        from_dlib: initialise the trunk with dlib's face recognition net.
        augment: augmentation of the crops.
        trunk_learning_rate: highest learning rate of a trunk layer, as a share of the standard deviation of its
            weights.
        head_learning_rate: highest learning rate of the head.
        balance: 0 samples portraits uniformly, 1 samples every decade of age equally often.
        calibration: fit of the calibration.
    """

    seed: int
    left_out_fold: int
    trainer: TrainerConfig
    crop_px: int = 200
    folds: int = 8
    net: AgeNetConfig = field(default_factory=AgeNetConfig)
    from_dlib: bool = True
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    trunk_learning_rate: float = 0.002
    head_learning_rate: float = 1e-3
    balance: float = 0.5
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)


def age_a() -> AgeTrainingConfig:
    """The estimator that engines and commands use."""
    net = AgeNetConfig(input_crops=((0.76, 152), (0.84, 160)))
    return AgeTrainingConfig(seed=0, left_out_fold=0, net=net, trainer=TrainerConfig(steps=2000, batch_size=16))


def age_b() -> AgeTrainingConfig:
    """The estimator that only evaluates: other feature stages, other people, another seed than `age_a`."""
    trunk = TrunkConfig(stages=TrunkConfig().stages[:4])
    net = AgeNetConfig(trunk=trunk, feature_stages=(0, 2, 3), input_crops=((0.8, 160), (0.84, 168)))
    return AgeTrainingConfig(
        seed=1,
        left_out_fold=1,
        net=net,
        calibration=CalibrationConfig(bias_weight=1.0),
        trainer=TrainerConfig(steps=2000, batch_size=16),
    )


def run(config: AgeTrainingConfig, portraits: Portraits, context: RunContext) -> Weights:
    """Trains the estimator of a recipe; returns its tensors by name and the config of the weights file."""
    net = train_age_estimator(config, portraits, context.checkpoint, log_losses(context.log_dir))
    return net.state_dict(), describe(config, net)


def train_age_estimator(
    config: AgeTrainingConfig,
    portraits: Portraits,
    checkpoint: Path | None = None,
    callbacks: Sequence[Callback] = (),
) -> AgeNet:
    """The calibrated estimator, trained on the people of the "train" split.

    Args:
        config: of the run.
        portraits: all portraits; those of the "val" split are not used.
        checkpoint: file that a stopped run is resumed from.
        callbacks: called after each step.
    """
    held_out = held_out_rows(config, portraits)
    training = resize_crops(portraits.pick((portraits.split == "train") & ~held_out), config.crop_px)
    torch.manual_seed(config.seed)
    net = build_age_net(config.net, from_dlib=config.from_dlib)
    weights = torch.from_numpy(sampling_weights(training.age_years, config.balance))

    def loss_fn(generator: Generator) -> Tensor:
        rows = torch.multinomial(weights, config.trainer.batch_size, replacement=True, generator=generator).numpy()
        crops = augment(to_net(training.crops[rows]), config.augment, generator)
        is_man = torch.from_numpy(training.sex[rows] == "M").float()
        return age_net_loss(net, crops, torch.from_numpy(training.age_years[rows]), is_man)

    trainer = Trainer(config.trainer, seed=config.seed, checkpoint=checkpoint, callbacks=callbacks)
    ema = trainer.fit(net, loss_fn, parameter_groups(net, config))
    assert isinstance(ema, AgeNet)
    return calibrate_net(ema, portraits.pick(held_out), config.calibration)


def age_net_loss(net: AgeNet, crops: Tensor, age_years: Tensor, is_man: Tensor) -> Tensor:
    """Weighted sum of the losses of age distribution, expected age and sex.

    Args:
        net: whose config holds the weights.
        crops: (B, 3, S, S) in [-1, 1].
        age_years: (B,) true ages.
        is_man: (B,) 1 for men, 0 for women.
    """
    logits, masculinity = net(crops)
    return (
        label_distribution_loss(logits, age_years, net.config.label_std_years)
        + net.config.expectation_weight * expected_age_loss(net.expected_age(logits), age_years)
        + net.config.sex_weight * sex_loss(masculinity, is_man)
    )


def parameter_groups(net: AgeNet, config: AgeTrainingConfig) -> list[tuple[nn.Module, float]]:
    """Layers of the net with their highest learning rates."""
    trunk = scale_learning_rates(net.trunk.convolutions(), config.trunk_learning_rate)
    return [*trunk, (net.head, config.head_learning_rate)]


# Data


def resize_crops(portraits: Portraits, crop_px: int) -> Portraits:
    """The portraits with crops of (crop_px, crop_px); their landmarks stay in px of the old crops."""
    return replace(portraits, crops=np.stack([resize(crop, crop_px, crop_px) for crop in portraits.crops]))


def held_out_rows(config: AgeTrainingConfig, portraits: Portraits) -> NDArray[np.bool_]:
    """(N,) whether a portrait is of the training people on whom the calibration is fitted."""
    folds = np.array([fold_of(person, config.folds, "age") for person in portraits.person.tolist()], np.int64)
    return (portraits.split == "train") & (folds == config.left_out_fold)


def sampling_weights(age_years: NDArray[np.float32], balance: float) -> NDArray[np.float64]:
    """(N,) probability of sampling each portrait, raised for rare decades of age; they add up to 1."""
    decades = (age_years // 10).astype(np.int64)
    weights = (np.bincount(decades)[decades] + 1.0) ** -balance
    return weights / weights.sum()


# Calibration


@torch.no_grad()
def predict_ages(net: AgeNet, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(N, S, S, 3) -> (N,) calibrated ages in years, the mean over a crop and its mirror image."""
    ages = []
    for start in range(0, len(crops), _PREDICTION_BATCH):
        x = to_net(crops[start : start + _PREDICTION_BATCH])
        ages.append((net.predict(x)[0] + net.predict(x.flip(3))[0]) / 2)
    return torch.cat(ages).double().numpy()


def calibrate_net(net: AgeNet, portraits: Portraits, config: CalibrationConfig) -> AgeNet:
    """Sets the calibration of `net` to one fitted on people it was not trained on, and returns it."""
    net.config = replace(net.config, calibration=AgeNetConfig().calibration)
    expected = predict_ages(net, portraits.crops)
    calibration = fit_calibration(expected, portraits.age_years.astype(np.float64), config)
    net.config = replace(net.config, calibration=calibration)
    return net


def fit_calibration(
    expected: NDArray[np.float64], age_years: NDArray[np.float64], config: CalibrationConfig
) -> tuple[tuple[float, float], ...]:
    """The calibration, as `AgeNetConfig.calibration`, that fits expected ages (N,) to true ages (N,).

    Least squares alone would keep the regression to the mean, and undoing all of it would amplify the noise. So the
    mean error of each decade is penalised in addition to its mean squared error.
    """
    basis = interpolation_weights(expected, np.array(config.knots))
    decades = np.clip(age_years // 10, _YOUNGEST_DECADE, _OLDEST_DECADE)
    bends = np.sqrt(config.bend_weight) * np.diff(np.eye(len(config.knots)), 2, axis=0)
    rows, targets = [bends], [np.zeros(len(bends))]
    for decade in np.unique(decades):
        own, ages = basis[decades == decade], age_years[decades == decade]
        weight = np.sqrt(config.young_bias_weight if decade == _YOUNGEST_DECADE else config.bias_weight)
        rows += [own / np.sqrt(len(own)), weight * own.mean(0, keepdims=True)]
        targets += [ages / np.sqrt(len(own)), weight * ages.mean(keepdims=True)]
    years = np.linalg.lstsq(np.concatenate(rows), np.concatenate(targets), rcond=None)[0]
    steps = np.maximum(np.diff(years), _MIN_SLOPE * np.diff(config.knots))
    rising = years[0] + np.concatenate([[0.0], np.cumsum(steps)])
    return tuple(zip(config.knots, rising.tolist(), strict=True))


def interpolation_weights(values: NDArray[np.float64], knots: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) values -> (N, K) weights of the knots in linear interpolation and extrapolation; each row adds up to 1."""
    left = np.clip(np.searchsorted(knots, values) - 1, 0, len(knots) - 2)
    right_share = (values - knots[left]) / (knots[left + 1] - knots[left])
    weights = np.zeros((len(values), len(knots)))
    rows = np.arange(len(values))
    weights[rows, left], weights[rows, left + 1] = 1 - right_share, right_share
    return weights


def describe(config: AgeTrainingConfig, net: AgeNet) -> dict[str, object]:
    """The config of the weights file: the net with its calibration, the recipe and its seed."""
    return {"net": asdict(net.config), "recipe": asdict(config), "seed": config.seed}
