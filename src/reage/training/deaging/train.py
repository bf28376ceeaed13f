"""Trains the de-aging net: as published, or with identity, features that pass by the middle, and pairs of ages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from torch import Generator

from reage.data.shards import Portraits
from reage.nets.aifd import load_aifd
from reage.nets.deaging import DeagingNet, build_deaging_net
from reage.nets.deaging_config import DeagingConfig, cpu, plain
from reage.training.cross_age import CrossAgeDataset, make_cross_age_dataset
from reage.training.deaging import losses
from reage.training.deaging.dataset import DeagingBatch, DeagingDataset, DeagingDatasetConfig, make_mask
from reage.training.deaging.losses import LossWeights
from reage.training.dreambooth.identity_encoder import IdentityEncoder, encode_centre
from reage.training.logger import log_losses
from reage.training.measures.age_estimator import age_a, with_taught_ages
from reage.training.runner import RunContext, Weights
from reage.training.trainer import Callback, StepLoss, Trainer, TrainerConfig, local_batch, process_state


@dataclass(frozen=True, kw_only=True)
class DeagingTrainerConfig(TrainerConfig):
    """Length and optimisation.

    Args:
        betas: of AdamW.
    """

    betas: tuple[float, float] = (0.5, 0.999)


def _trainer(steps: int) -> DeagingTrainerConfig:
    return DeagingTrainerConfig(steps=steps, batch_size=16, weight_decay=0.0, ema_decay=0.995, max_grad_norm=1e3)


@dataclass(frozen=True, kw_only=True)
class DeagingTrainingConfig:
    """Everything that decides which weights come out.

    Args:
        seed: of the run.
        net: size of the net.
        dataset: how batches are drawn.
        trainer: length and optimisation.
        learning_rate: highest.
        losses: their weights.
    """

    seed: int = 0
    net: DeagingConfig = field(default_factory=cpu)
    dataset: DeagingDatasetConfig = field(default_factory=DeagingDatasetConfig)
    trainer: DeagingTrainerConfig = field(default_factory=lambda: _trainer(2600))
    learning_rate: float = 1.5e-3
    losses: LossWeights = field(default_factory=lambda: LossWeights(detail=2.0, identity=0.1))


def deaging() -> DeagingTrainingConfig:
    """The configuration of the shipped weights."""
    return DeagingTrainingConfig()


def deaging_published() -> DeagingTrainingConfig:
    """The published form at the size and with the time of one CPU core, to be compared with."""
    return DeagingTrainingConfig(
        net=plain(),
        dataset=DeagingDatasetConfig(pair_share=0.0, warp=0.02, warps_target=False),
        trainer=_trainer(1200),
        losses=LossWeights(),
    )


def run(config: DeagingTrainingConfig, portraits: Portraits, context: RunContext) -> Weights:
    """Makes the cross-age set and trains the net.

    Args:
        config: of the run.
        portraits: of all people; only the training people are used.
        context: where the run keeps its files.
    """
    training = with_taught_ages(portraits.pick(portraits.split == "train"), dict(age_a().query_ages))

    def make() -> CrossAgeDataset:
        return make_cross_age_dataset(training, track=lambda rows: track(rows, "cross-age set", len(training)))

    stored = context.cached(".cross_age.npz", CrossAgeDataset, make)
    dataset = DeagingDataset(stored, config.net, config.dataset, real_years=training.age_years.astype(np.float32))
    net = train_deaging(config, dataset, context.checkpoint, log_losses(context.log_dir))
    return dict(net.state_dict()), {"net": asdict(config.net), "recipe": asdict(config), "seed": config.seed}


def train_deaging(
    config: DeagingTrainingConfig,
    dataset: DeagingDataset,
    checkpoint: Path | None = None,
    callbacks: Sequence[Callback] = (),
) -> DeagingNet:
    """The net, trained; resumed where the run was stopped.

    Args:
        config: of the run.
        dataset: of training people.
        checkpoint: None keeps none.
        callbacks: called after each step.
    """
    torch.manual_seed(config.seed)
    device = process_state().device
    net = build_deaging_net(config.net).to(device)
    mask = make_mask(config.net).to(device)
    embed = load_embed(config.net, device) if config.losses.identity else None

    def loss_fn(generator: Generator) -> StepLoss:
        batch = local_batch(dataset.sample(config.trainer.batch_size, generator), device)
        return deaging_loss(net, batch, mask, config.losses, embed)

    trainer = Trainer(
        config.trainer, seed=config.seed, checkpoint=checkpoint, callbacks=callbacks, betas=config.trainer.betas
    )
    net.load_state_dict(trainer.fit(net, loss_fn, [(net, config.learning_rate)]).state_dict())
    return net


def load_embed(net: DeagingConfig, device: torch.device) -> IdentityEncoder:
    """The age-invariant identity encoder, frozen, on the pictures that the net sees; dlib's net is left as judge."""
    return encode_centre(load_aifd("aifd", str(device)).embed, net.window)


def deaging_loss(
    net: DeagingNet,
    batch: DeagingBatch,
    mask: torch.Tensor,
    weights: LossWeights,
    embed: IdentityEncoder | None = None,
) -> StepLoss:
    """The weighted losses of a batch; identity is that of the picture mixed with its source by the mask, as used.

    Args:
        net: in training.
        batch: of faces.
        mask: see `make_mask`.
        weights: of the losses.
        embed: needed where identity has a weight.
    """
    made = net.decode_rows(batch.source, batch.young)
    found = {
        "reconstruction": losses.masked_loss(made, batch.target, mask),
        "detail": losses.detail_loss(made, batch.target, mask),
    }
    if embed is not None:
        placed = mask * made + (1 - mask) * batch.source
        with torch.no_grad():
            own = embed(batch.source)
        found["identity"] = losses.identity_loss(embed(placed), own)
    total = torch.stack([getattr(weights, name) * value for name, value in found.items()]).sum()
    return StepLoss(total, found)
