"""Trains the de-aging net: as published, or with identity, features that pass by the middle, and pairs of ages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from torch import Generator, Tensor, nn

from reage.data.ages import QUERY_AGES, with_taught_ages
from reage.data.shards import Portraits
from reage.nets.aifd import load_aifd
from reage.nets.deaging import DeagingNet, build_deaging_net
from reage.nets.deaging_config import DeagingConfig, cpu, plain
from reage.nets.pix2pix import build_patch_gan
from reage.nets.pix2pix_config import PatchGanConfig
from reage.training.cross_age import CrossAgeDataset, make_cross_age_dataset
from reage.training.deaging import losses
from reage.training.deaging.dataset import DeagingBatch, DeagingDataset, DeagingDatasetConfig, make_mask
from reage.training.deaging.losses import LossWeights
from reage.training.dreambooth.identity_encoder import IdentityEncoder, encode_centre
from reage.training.logger import log_losses
from reage.training.runner import RunContext, Weights
from reage.training.sketch.losses import adversarial_discriminator_loss, adversarial_generator_loss
from reage.training.trainer import Callback, StepLoss, Trainer, TrainerConfig, call_frozen, local_batch, process_state

_DISCRIMINATOR_CHANNELS = 4
"""A plane that names the decoder, and a picture."""


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
        discriminator: its size.
        dataset: how batches are drawn.
        trainer: length and optimisation.
        learning_rate: highest, of the net.
        discriminator_learning_rate: highest, of the discriminator.
        losses: their weights.
    """

    seed: int = 0
    net: DeagingConfig = field(default_factory=cpu)
    discriminator: PatchGanConfig = field(default_factory=lambda: PatchGanConfig(widths=(16, 32, 64, 128)))
    dataset: DeagingDatasetConfig = field(default_factory=DeagingDatasetConfig)
    trainer: DeagingTrainerConfig = field(default_factory=lambda: _trainer(4000))
    learning_rate: float = 1.5e-3
    discriminator_learning_rate: float = 2e-4
    losses: LossWeights = field(
        default_factory=lambda: LossWeights(squared=10.0, detail=6.0, identity=1.0, adversarial=0.02)
    )


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
    training = with_taught_ages(portraits.pick(portraits.split == "train"), dict(QUERY_AGES))

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
    trained = Deaging(config).to(device)

    def loss_fn(generator: Generator) -> StepLoss:
        return trained.loss(local_batch(dataset.sample(config.trainer.batch_size, generator), device))

    trainer = Trainer(
        config.trainer, seed=config.seed, checkpoint=checkpoint, callbacks=callbacks, betas=config.trainer.betas
    )
    groups = [(trained.net, config.learning_rate), (trained.discriminator, config.discriminator_learning_rate)]
    trained.load_state_dict(trainer.fit(trained, loss_fn, groups).state_dict())
    return trained.net


class Deaging(nn.Module):
    """The net, and a discriminator that tells what its decoders make from photos of those ages."""

    mask: Tensor

    def __init__(self, config: DeagingTrainingConfig) -> None:
        super().__init__()
        self.weights = config.losses
        self.net = build_deaging_net(config.net)
        self.discriminator = build_patch_gan(_DISCRIMINATOR_CHANNELS, config.discriminator)
        self.register_buffer("mask", make_mask(config.net), persistent=False)
        self._embed = load_embed(config.net, process_state().device) if config.losses.identity else None

    def loss(self, batch: DeagingBatch) -> StepLoss:
        """The weighted losses of net and discriminator, each with gradients to its own parameters alone.

        Identity is that of the picture mixed with its source by the mask, as it is used; the discriminator sees what is
        under the mask.
        """
        weights, mask = self.weights, self.mask
        made = self.net.decode_rows(batch.source, batch.young)
        found = {
            "reconstruction": losses.masked_loss(made, batch.target, mask),
            "squared": losses.masked_loss(made, batch.target, mask, power=2),
            "detail": losses.detail_loss(made, batch.target, mask),
        }
        if self._embed is not None:
            with torch.no_grad():
                own = self._embed(batch.source)
            found["identity"] = losses.identity_loss(self._embed(mask * made + (1 - mask) * batch.source), own)
        if weights.adversarial:
            found["adversarial"] = adversarial_generator_loss(
                call_frozen(self.discriminator, self._plane(batch.young), mask * made)
            )
        total = torch.stack([getattr(weights, name) * value for name, value in found.items()]).sum()
        if weights.adversarial:
            fake, real = (
                self.discriminator(self._plane(batch.young), mask * one) for one in (made.detach(), batch.real)
            )
            found["discriminator"] = adversarial_discriminator_loss(fake, real)
            total = total + found["discriminator"]
        return StepLoss(total, found)

    def _plane(self, young: Tensor) -> Tensor:
        """(B, 1, P, P) 1 for the young decoder, -1 for the old one."""
        return (2 * young.float() - 1)[:, None, None, None].expand(-1, 1, *self.mask.shape[2:])


def load_embed(net: DeagingConfig, device: torch.device) -> IdentityEncoder:
    """The age-invariant identity encoder, frozen, on the pictures that the net sees; dlib's net is left as judge."""
    return encode_centre(load_aifd("aifd", str(device)).embed, net.window)
