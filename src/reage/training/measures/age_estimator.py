"""Trains an age estimator: fine-tuning of a net of dlib on pictures of all ages, then calibration on held-out people.

Not every age is true. Photos of known age teach it; pictures that were generated from a prompt with an age teach the
mean of that age and of the reading of dlib's age predictor; all others teach its reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from reage.data.ages import QUERY_AGES, with_taught_ages
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
_OLDEST_DECADE = 8
"""People above 89 are counted in this decade."""
_AGE_BINS = (3.0, 6.0, 12.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0)
"""Borders of the age groups that `AgeTrainingConfig.balance` evens out."""
_MIN_SLOPE = 0.2
"""Smallest slope of a calibration, calibrated years per expected year."""


@dataclass(frozen=True, kw_only=True)
class CalibrationConfig:
    """Fit of the calibration on held-out people: of the expected age by least squares, each decade with equal weight.

    Args:
        knots: expected ages between which the calibration is linear.
        bias_weight: weight of the squared mean error of a decade, relative to its mean squared error.
        bend_weight: weight of the squared second differences of the calibration, in years.
        covered_share: share of the errors within one standard deviation, after which that is scaled.
    """

    knots: tuple[float, ...] = (5.0, 15.0, 25.0, 35.0, 45.0, 55.0, 65.0, 75.0)
    bias_weight: float = 0.1
    bend_weight: float = 0.3
    covered_share: float = 0.68


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
        query_ages: ages in years of generated pictures, by the words they were asked for with.
        augment: augmentation of the crops.
        trunk_learning_rate: highest learning rate of a trunk layer, as a share of the standard deviation of its
            weights.
        head_learning_rate: highest learning rate of the head.
        balance: 0 samples portraits uniformly, 1 samples every age group equally often.
        calibration: fit of the calibration.
    """

    seed: int
    left_out_fold: int
    trainer: TrainerConfig
    crop_px: int = 200
    folds: int = 8
    net: AgeNetConfig = field(default_factory=AgeNetConfig)
    from_dlib: bool = True
    query_ages: tuple[tuple[str, float], ...] = QUERY_AGES
    augment: AugmentConfig = AugmentConfig(max_rotation_degrees=12.0, max_scale=0.12, max_shift=0.05)
    trunk_learning_rate: float = 0.002
    head_learning_rate: float = 1e-3
    balance: float = 0.5
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)


def age_a() -> AgeTrainingConfig:
    """The estimator that engines and commands use."""
    net = AgeNetConfig(input_crops=((0.76, 152), (0.84, 160)))
    return AgeTrainingConfig(seed=0, left_out_fold=0, net=net, trainer=TrainerConfig(steps=1500, batch_size=16))


def age_b() -> AgeTrainingConfig:
    """The estimator that only evaluates: other feature stages, other people, another seed than `age_a`."""
    trunk = TrunkConfig(stages=TrunkConfig().stages[:4])
    net = AgeNetConfig(trunk=trunk, feature_stages=(0, 2, 3), input_crops=((0.8, 160), (0.84, 168)))
    return AgeTrainingConfig(seed=1, left_out_fold=1, net=net, trainer=TrainerConfig(steps=1500, batch_size=16))


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
    portraits = with_taught_ages(portraits, dict(config.query_ages))
    held_out = held_out_rows(config, portraits)
    training = resize_crops(portraits.pick((portraits.split == "train") & ~held_out), config.crop_px)
    torch.manual_seed(config.seed)
    net = build_age_net(config.net, from_dlib=config.from_dlib)
    weights = torch.from_numpy(sampling_weights(training.age_years, config.balance))

    def loss_fn(generator: Generator) -> Tensor:
        rows = torch.multinomial(weights, config.trainer.batch_size, replacement=True, generator=generator).numpy()
        crops = augment(to_net(training.crops[rows]), config.augment, generator)
        is_man = torch.from_numpy(encode_sex(training.sex[rows]))
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
        is_man: (B,) 1 for men, 0 for women, NaN where it is not known.
    """
    logits, masculinity = net(crops)
    return (
        label_distribution_loss(logits, age_years, net.config.label_stds(age_years))
        + net.config.expectation_weight * expected_age_loss(net.expected_age(logits), age_years)
        + net.config.sex_weight * sex_loss(masculinity, is_man)
    )


def parameter_groups(net: AgeNet, config: AgeTrainingConfig) -> list[tuple[nn.Module, float]]:
    """Layers of the net with their highest learning rates."""
    trunk = scale_learning_rates(net.trunk.convolutions(), config.trunk_learning_rate)
    return [*trunk, (net.head, config.head_learning_rate)]


# Data


def encode_sex(sex: NDArray[np.str_]) -> NDArray[np.float32]:
    """(N,) "M", "F" or "" -> 1, 0 or NaN."""
    return np.where(sex == "", np.nan, sex == "M").astype(np.float32)


def resize_crops(portraits: Portraits, crop_px: int) -> Portraits:
    """The portraits with crops of (crop_px, crop_px); their landmarks stay in px of the old crops."""
    return replace(portraits, crops=np.stack([resize(crop, crop_px, crop_px) for crop in portraits.crops]))


def held_out_rows(config: AgeTrainingConfig, portraits: Portraits) -> NDArray[np.bool_]:
    """(N,) whether a portrait is of the training people on whom the calibration is fitted."""
    folds = np.array([fold_of(person, config.folds, "age") for person in portraits.person.tolist()], np.int64)
    return (portraits.split == "train") & (folds == config.left_out_fold)


def sampling_weights(age_years: NDArray[np.float32], balance: float) -> NDArray[np.float64]:
    """(N,) probability of sampling each portrait, raised for rare age groups; they add up to 1."""
    groups = np.digitize(age_years, _AGE_BINS)
    weights = (np.bincount(groups)[groups] + 1.0) ** -balance
    return weights / weights.sum()


# Calibration


@torch.no_grad()
def predict_ages(net: AgeNet, crops: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(N, S, S, 3) -> calibrated ages and standard deviations (N,) in years, the mean over a crop and its mirror."""
    ages, stds = [], []
    for start in range(0, len(crops), _PREDICTION_BATCH):
        x = to_net(crops[start : start + _PREDICTION_BATCH])
        (age, std, _), (mirrored_age, mirrored_std, _) = net.predict(x), net.predict(x.flip(3))
        ages.append((age + mirrored_age) / 2)
        stds.append((std + mirrored_std) / 2)
    return torch.cat(ages).double().numpy(), torch.cat(stds).double().numpy()


def calibrate_net(net: AgeNet, portraits: Portraits, config: CalibrationConfig) -> AgeNet:
    """Sets the calibration of `net` to one fitted on people it was not trained on, and returns it."""
    net.config = replace(net.config, calibration=AgeNetConfig().calibration, std_scale=1.0)
    expected, ages = predict_ages(net, portraits.crops)[0], portraits.age_years.astype(np.float64)
    net.config = replace(net.config, calibration=fit_calibration(expected, ages, config))
    years, stds = predict_ages(net, portraits.crops)
    scale = float(np.quantile(np.abs(years - ages) / np.maximum(stds, 1e-3), config.covered_share))
    net.config = replace(net.config, std_scale=scale)
    return net


def fit_calibration(
    expected: NDArray[np.float64], age_years: NDArray[np.float64], config: CalibrationConfig
) -> tuple[tuple[float, float], ...]:
    """The calibration, as `AgeNetConfig.calibration`, that fits expected ages (N,) to true ages (N,).

    Least squares alone would keep the regression to the mean, and undoing all of it would amplify the noise. So the
    mean error of each decade is penalised in addition to its mean squared error.
    """
    basis = interpolation_weights(expected, np.array(config.knots))
    decades = np.minimum(age_years // 10, _OLDEST_DECADE)
    bends = np.sqrt(config.bend_weight) * np.diff(np.eye(len(config.knots)), 2, axis=0)
    rows, targets = [bends], [np.zeros(len(bends))]
    for decade in np.unique(decades):
        own, ages = basis[decades == decade], age_years[decades == decade]
        weight = np.sqrt(config.bias_weight)
        rows += [own / np.sqrt(len(own)), weight * own.mean(0, keepdims=True)]
        targets += [ages / np.sqrt(len(own)), weight * ages.mean(keepdims=True)]
    years = np.linalg.lstsq(np.concatenate(rows), np.concatenate(targets), rcond=None)[0]
    steps = np.maximum(np.diff(years), _MIN_SLOPE * np.diff(config.knots))
    rising = np.concatenate([[0.0], np.cumsum(steps)])
    surest = int(basis.sum(0).argmax())  # knots without people around are free, and must not move the others
    rising += years[surest] - rising[surest]
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
