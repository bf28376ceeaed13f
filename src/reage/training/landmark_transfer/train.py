"""Trains landmark transfer, and fits the blend shapes that are stored with it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import numpy as np
import torch
from torch import Generator, Tensor, nn

from reage.data.shards import Portraits
from reage.faces.expression import EXPRESSIONS
from reage.nets.landmark_transfer import LandmarkTransfer, LandmarkTransferConfig, build_landmark_transfer
from reage.training.landmark_transfer.dataset import ExpressionPairs, fit_blend_shapes, measure_shapes
from reage.training.logger import log_losses
from reage.training.runner import RunContext, Weights
from reage.training.trainer import Trainer, TrainerConfig

_SAMPLES = 6000
"""Triplets from which principal components and the linear part are computed."""


@dataclass(frozen=True, kw_only=True)
class LandmarkTransferTrainingConfig:
    """Everything that determines the weights.

    Args:
        seed: of the run.
        min_pictures: of a person, from which the pictures are taken for expressions of one person.
        max_degrees: yaw and pitch up to which a picture shows the shape of a person.
        blend_ridge: see `fit_blend_shapes`.
        min_deviation: standard deviation of a score among the pictures, from which its blend shape is known.
        linear_ridge: of the linear part.
        net: its size.
        trainer: length and optimisation.
        learning_rate: highest.
    """

    seed: int = 0
    min_pictures: int = 8
    max_degrees: float = 15.0
    blend_ridge: float = 0.3
    min_deviation: float = 0.03
    linear_ridge: float = 30.0
    net: LandmarkTransferConfig = field(default_factory=LandmarkTransferConfig)
    trainer: TrainerConfig = field(
        default_factory=lambda: TrainerConfig(steps=3000, batch_size=256, weight_decay=0.05, bf16=False)
    )
    learning_rate: float = 1e-3


def landmark_transfer() -> LandmarkTransferTrainingConfig:
    """The net that `reage reenact` uses."""
    return LandmarkTransferTrainingConfig()


def run(config: LandmarkTransferTrainingConfig, portraits: Portraits, context: RunContext) -> Weights:
    """Trains the net of a recipe on the people of the "train" split; returns its tensors and the config of the file."""
    shapes, angles = measure_shapes(portraits.pick(portraits.split == "train"))
    pictures = np.bincount(shapes.people)[shapes.people]
    expressive = shapes.pick(pictures >= config.min_pictures).with_mirrored()
    frontal = shapes.pick(np.abs(angles[:, :2]).max(1) < config.max_degrees).with_mirrored()
    blend_shapes = fit_blend_shapes(expressive, config.blend_ridge)
    identities = frontal.faces - (frontal.scores @ blend_shapes).reshape(frontal.faces.shape)
    pairs = ExpressionPairs(expressive, identities)
    torch.manual_seed(config.seed)
    net = _start(config, pairs)
    net.blend_shapes.copy_(torch.from_numpy(blend_shapes))
    trainer = Trainer(
        config.trainer, seed=config.seed, checkpoint=context.checkpoint, callbacks=log_losses(context.log_dir)
    )
    trained = trainer.fit(net, lambda generator: _loss(net, pairs, config, generator), [(net, config.learning_rate)])
    known = expressive.scores.std(0) >= config.min_deviation
    names = [name for name, is_known in zip(EXPRESSIONS, known, strict=True) if is_known]
    return trained.state_dict(), {"net": asdict(config.net), "recipe": asdict(config), "blend_shapes": names}


def _loss(
    net: nn.Module, pairs: ExpressionPairs, config: LandmarkTransferTrainingConfig, generator: Generator
) -> Tensor:
    """Mean distance of the points along an axis, face units."""
    source, driver, target = pairs.draw(config.trainer.batch_size, generator)
    made: Tensor = net(source, driver, torch.zeros(len(source), len(EXPRESSIONS)))
    return (made - target).abs().mean()


def _start(config: LandmarkTransferTrainingConfig, pairs: ExpressionPairs) -> LandmarkTransfer:
    """The net with its principal components, and its linear part by ridge regression."""
    net = build_landmark_transfer(config.net)
    source, driver, target = (
        rows.flatten(1) for rows in pairs.draw(_SAMPLES, torch.Generator().manual_seed(config.seed))
    )
    faces, moves = torch.cat([source, driver]), target - source
    net.mean.copy_(faces.mean(0))
    spread, directions = _principal_components(faces - net.mean, config.net.num_shapes)
    net.shapes.copy_((directions / spread[:, None]).T)
    net.offsets.copy_(_principal_components(moves, config.net.num_offsets)[1])
    seen = (driver - source) @ net.shapes
    penalty = config.linear_ridge * torch.eye(config.net.num_shapes)
    weights = torch.linalg.solve(seen.T @ seen + penalty, seen.T @ moves @ net.offsets.T)
    net.linear.weight.data.copy_(weights.T)
    return net


def _principal_components(rows: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """Standard deviations (K,) and directions (K, D) of rows (N, D) around 0."""
    values, directions = torch.linalg.eigh(rows.T @ rows / len(rows))
    order = values.argsort(descending=True)[:number]
    return values[order].clamp(min=1e-9).sqrt(), directions[:, order].T
