"""Trains AMGAN (arXiv 2008.10960) in two stages: distillation from `exemplar`, then adversarial fine-tuning.

Adversarial training from scratch fails on a few hundred faces, so the generator first learns the teacher's changes of
skin on patches of the common face, at every age and zone. The paper's four losses (adversarial, aging map, location,
cycle) and measured ages and zone scores then sharpen it; the critic sees luminance alone, so that colour stays the
teacher's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from torch import Generator, nn

from reage.data.shards import Portraits
from reage.nets.age import load_age_net
from reage.nets.amgan_config import AmganConfig, cpu
from reage.training.amgan.calibration import measure_older_gain, measure_zone_gains
from reage.training.amgan.dataset import AmganDataset, AmganDatasetConfig
from reage.training.amgan.losses import LossWeights, finetune_loss_weights
from reage.training.amgan.model import Amgan
from reage.training.amgan.samples import log_samples
from reage.training.amgan.zone_scores import DifferentiableZoneScorer
from reage.training.runner import RunContext, Weights
from reage.training.skin_changes import SkinChangeConfig, cached_skin_changes
from reage.training.trainer import (
    Callback,
    StepLoss,
    Trainer,
    TrainerConfig,
    after_steps,
    local_batch,
    process_state,
)


@dataclass(frozen=True, kw_only=True)
class AmganTrainingConfig:
    """Everything that decides which weights come out.

    Args:
        seed: of the run.
        net: size of both nets.
        skin_changes: size of the set that is learned from; its seed is that of the run.
        distill: the first stage, on the teacher's changes with the default `LossWeights`.
        finetune: the second stage.
        finetune_losses: weights of its losses.
        dataset: how batches are drawn.
        distill_learning_rate: highest learning rate of the generator in the first stage.
        finetune_learning_rate: highest learning rate of the generator in the second stage.
        critic_learning_rate: highest learning rate of the critic.
    """

    seed: int = 0
    net: AmganConfig = field(default_factory=cpu)
    skin_changes: SkinChangeConfig = SkinChangeConfig()
    distill: TrainerConfig = TrainerConfig(steps=800, batch_size=6, weight_decay=0.0, ema_decay=0.995)
    finetune: TrainerConfig = TrainerConfig(
        steps=600, batch_size=3, weight_decay=0.0, ema_decay=0.995, max_grad_norm=50.0
    )
    finetune_losses: LossWeights = field(default_factory=finetune_loss_weights)
    dataset: AmganDatasetConfig = field(default_factory=AmganDatasetConfig)
    distill_learning_rate: float = 1e-3
    finetune_learning_rate: float = 3e-4
    critic_learning_rate: float = 3e-4


def amgan() -> AmganTrainingConfig:
    """The configuration of the shipped weights."""
    return AmganTrainingConfig()


def run(config: AmganTrainingConfig, portraits: Portraits, context: RunContext) -> Weights:
    """Makes the set of skin changes, trains both stages and calibrates the generator.

    Args:
        config: of the run.
        portraits: of all people; only the training people are used.
        context: where the run keeps its files.
    """
    stored = cached_skin_changes(replace(config.skin_changes, seed=config.seed), portraits, context)
    dataset = AmganDataset(stored, config.dataset)
    callbacks = log_samples(context.log_dir, dataset)
    net = train_amgan(config, dataset, context.checkpoint, callbacks)
    zone_gains, older_gain = measure_zone_gains(net, dataset), measure_older_gain(net, dataset)
    return dict(net.generator.state_dict()), to_stored_config(config, zone_gains, older_gain)


def to_stored_config(
    config: AmganTrainingConfig, zone_gains: tuple[float, ...], older_gain: float
) -> dict[str, object]:
    """What is stored beside the weights: the calibrated generator's config, the recipe and its seed.

    Args:
        config: of the run.
        zone_gains: see `reage.training.amgan.calibration.measure_zone_gains`.
        older_gain: see `reage.training.amgan.calibration.measure_older_gain`.
    """
    net = replace(config.net.generator, zone_gains=zone_gains, older_gain=older_gain)
    return {"net": asdict(net), "recipe": asdict(config), "seed": config.seed}


# Stages


def train_amgan(
    config: AmganTrainingConfig,
    dataset: AmganDataset,
    checkpoint: Path | None = None,
    callbacks: Sequence[Callback] = (),
) -> Amgan:
    """Both stages, each resumed where it was stopped.

    Args:
        config: of the run.
        dataset: of training people.
        checkpoint: those of the stages have its name with the suffixes .distill and .finetune.
        callbacks: called after each step; steps of the second stage are counted on from the first.
    """
    net = build_amgan(config)
    if not (checkpoint and _checkpoint_of(checkpoint, "finetune").exists()):
        distill(config, net, dataset, checkpoint, callbacks)
    finetune(config, net, dataset, checkpoint, after_steps(config.distill.steps, callbacks))
    return net


def build_amgan(config: AmganTrainingConfig) -> Amgan:
    """Nets initialised from the seed of the run, with the shipped estimators "age-a" and "zones-a"."""
    torch.manual_seed(config.seed)
    device = process_state().device
    net = Amgan(config.net, load_age_net("age-a", str(device)), DifferentiableZoneScorer.load("zones-a"))
    return net.to(device)


def distill(
    config: AmganTrainingConfig,
    net: Amgan,
    dataset: AmganDataset,
    checkpoint: Path | None = None,
    callbacks: Sequence[Callback] = (),
) -> None:
    """The first stage: the generator of `net` learns the teacher's pictures, in place; see `train_amgan`."""
    device, weights = process_state().device, LossWeights()

    def loss_fn(generator: Generator) -> StepLoss:
        batch = dataset.sample_patches(config.distill.batch_size, generator)
        return net.distill_loss(local_batch(batch, device), weights)

    trainer = Trainer(
        config.distill,
        seed=2 * config.seed,
        checkpoint=checkpoint and _checkpoint_of(checkpoint, "distill"),
        callbacks=callbacks,
    )
    _keep_ema(net, trainer.fit(net, loss_fn, [(net.generator, config.distill_learning_rate)]))


def finetune(
    config: AmganTrainingConfig,
    net: Amgan,
    dataset: AmganDataset,
    checkpoint: Path | None = None,
    callbacks: Sequence[Callback] = (),
) -> None:
    """The second stage: generator and critic of `net` learn by all losses, in place; see `train_amgan`."""
    device, num = process_state().device, config.finetune.batch_size

    def loss_fn(generator: Generator) -> StepLoss:
        batch = local_batch(dataset.sample_patches(num, generator), device)
        aged_faces = local_batch(dataset.sample_aged_faces(num, generator), device)
        faces = local_batch(dataset.sample_faces(num, generator), device)
        return net.finetune_loss(batch, aged_faces, faces, config.finetune_losses, generator)

    trainer = Trainer(
        config.finetune,
        seed=2 * config.seed + 1,
        checkpoint=checkpoint and _checkpoint_of(checkpoint, "finetune"),
        callbacks=callbacks,
    )
    groups = [(net.generator, config.finetune_learning_rate), (net.critic, config.critic_learning_rate)]
    _keep_ema(net, trainer.fit(net, loss_fn, groups))


def _checkpoint_of(checkpoint: Path, stage: str) -> Path:
    return checkpoint.with_suffix(f".{stage}")


def _keep_ema(net: Amgan, ema: nn.Module) -> None:
    net.load_state_dict(ema.state_dict())
