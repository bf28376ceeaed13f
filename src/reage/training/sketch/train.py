"""Trains the sketch nets by pix2pix on drawn pairs, first small, then at full size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from rich.progress import track
from torch import Generator, nn

from reage.data.shards import Portraits
from reage.faces.segmentation import FaceParser
from reage.nets.pix2pix import PatchGan, UNet, build_patch_gan, build_unet
from reage.nets.pix2pix_config import SKETCH_PX, Pix2PixConfig, cpu
from reage.training.logger import log_losses
from reage.training.runner import RunContext, Weights
from reage.training.sketch import losses
from reage.training.sketch.dataset import (
    Direction,
    SketchAugmentConfig,
    SketchBatch,
    SketchDataset,
    make_sketch_dataset,
    sample_batch,
)
from reage.training.sketch.losses import LossWeights
from reage.training.trainer import (
    Callback,
    StepLoss,
    Trainer,
    TrainerConfig,
    after_steps,
    call_frozen,
    local_batch,
    process_state,
)


@dataclass(frozen=True, kw_only=True)
class SketchTrainerConfig(TrainerConfig):
    """Length and optimisation of a stage.

    Args:
        betas: of AdamW.
    """

    betas: tuple[float, float] = (0.5, 0.999)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A part of the run at one size of the pictures.

    Args:
        side_px: of the pictures.
        trainer: length and optimisation.
        learning_rate: highest, of the generator.
        discriminator_learning_rate: highest, of the discriminator.
    """

    side_px: int
    trainer: SketchTrainerConfig
    learning_rate: float
    discriminator_learning_rate: float = 2e-4


def _make_stages(small_steps: int = 1600, full_steps: int = 1000) -> tuple[Stage, ...]:
    """Two stages, at half and at full size, of so many steps."""
    small = SketchTrainerConfig(steps=small_steps, batch_size=8, weight_decay=0.0, ema_decay=0.995, max_grad_norm=1e3)
    full = SketchTrainerConfig(steps=full_steps, batch_size=4, weight_decay=0.0, ema_decay=0.99, max_grad_norm=1e3)
    return (
        Stage(side_px=SKETCH_PX // 2, trainer=small, learning_rate=1e-3),
        Stage(side_px=SKETCH_PX, trainer=full, learning_rate=6e-4),
    )


@dataclass(frozen=True, kw_only=True)
class SketchTrainingConfig:
    """Everything that decides which weights come out.

    Args:
        direction: "sketch" or "photo", what the net gives.
        seed: of the run.
        net: size of both nets.
        stages: one after the other.
        losses: their weights.
        augment: how pairs are changed at random.
    """

    direction: Direction = "sketch"
    seed: int = 0
    net: Pix2PixConfig = field(default_factory=cpu)
    stages: tuple[Stage, ...] = field(default_factory=_make_stages)
    losses: LossWeights = field(default_factory=LossWeights)
    augment: SketchAugmentConfig = field(default_factory=SketchAugmentConfig)


def sketch() -> SketchTrainingConfig:
    """The configuration of the shipped photo-to-sketch weights."""
    return SketchTrainingConfig()


def sketch_to_photo() -> SketchTrainingConfig:
    """The configuration of the shipped sketch-to-photo weights."""
    return SketchTrainingConfig(
        direction="photo",
        net=cpu(channels_in=1, channels_out=3),
        stages=_make_stages(small_steps=4000, full_steps=2000),
    )


def run(config: SketchTrainingConfig, portraits: Portraits, context: RunContext) -> Weights:
    """Draws every training face and trains the nets.

    Args:
        config: of the run.
        portraits: of all people; only the training people are used.
        context: where the run keeps its files.
    """
    training = portraits.pick(portraits.split == "train")
    dataset = context.cached(
        ".drawn.npz",
        SketchDataset,
        lambda: make_sketch_dataset(training, FaceParser.load(), lambda rows: track(rows, "drawn faces")),
    )
    net = train_sketch(config, dataset, context.checkpoint, log_losses(context.log_dir))
    stored: dict[str, object] = {
        "net": asdict(config.net.generator),
        "direction": config.direction,
        "recipe": asdict(config),
        "seed": config.seed,
    }
    return dict(net.generator.state_dict()), stored


def train_sketch(
    config: SketchTrainingConfig,
    dataset: SketchDataset,
    checkpoint: Path | None = None,
    callbacks: Sequence[Callback] = (),
) -> Pix2Pix:
    """All stages, resumed where the run was stopped.

    Args:
        config: of the run.
        dataset: of training people.
        checkpoint: those of the stages have its name with the suffixes .stage0 and so on; None keeps none.
        callbacks: called after each step; steps are counted through all stages.
    """
    torch.manual_seed(config.seed)
    net = Pix2Pix(config).to(process_state().device)
    own = [checkpoint and checkpoint.with_suffix(f".stage{number}") for number in range(len(config.stages))]
    first = max((number for number, path in enumerate(own) if path and path.exists()), default=0)
    steps = [stage.trainer.steps for stage in config.stages]
    for number in range(first, len(config.stages)):
        _run_stage(net, config, number, dataset, own[number], after_steps(sum(steps[:number]), callbacks))
    return net


def _run_stage(
    net: Pix2Pix,
    config: SketchTrainingConfig,
    number: int,
    dataset: SketchDataset,
    checkpoint: Path | None,
    callbacks: Sequence[Callback],
) -> None:
    """One stage of the run, in place; the EMA of the weights is kept."""
    stage, device = config.stages[number], process_state().device

    def loss_fn(generator: Generator) -> StepLoss:
        batch = sample_batch(
            dataset, config.direction, stage.trainer.batch_size, stage.side_px, config.augment, generator
        )
        return net.loss(local_batch(batch, device))

    seed = len(config.stages) * config.seed + number
    trainer = Trainer(stage.trainer, seed=seed, checkpoint=checkpoint, callbacks=callbacks, betas=stage.trainer.betas)
    groups = [(net.generator, stage.learning_rate), (net.discriminator, stage.discriminator_learning_rate)]
    net.load_state_dict(trainer.fit(net, loss_fn, groups).state_dict())


class Pix2Pix(nn.Module):
    """Generator and discriminator."""

    def __init__(self, config: SketchTrainingConfig) -> None:
        super().__init__()
        self.config = config
        sizes = config.net.generator
        self.generator: UNet = build_unet(sizes)
        self.discriminator: PatchGan = build_patch_gan(sizes.channels_in + sizes.channels_out, config.net.discriminator)

    def loss(self, batch: SketchBatch) -> StepLoss:
        """The losses of the generator and of the discriminator, each with gradients to its own net alone."""
        weights = self.config.losses
        drawn = self.generator(batch.source)
        found = {
            "l1": losses.l1_loss(drawn, batch.truth),
            "adversarial": losses.adversarial_generator_loss(call_frozen(self.discriminator, batch.source, drawn)),
        }
        total = weights.l1 * found["l1"] + weights.adversarial * found["adversarial"]
        critic = losses.adversarial_discriminator_loss(
            self.discriminator(batch.source, drawn.detach()), self.discriminator(batch.source, batch.truth)
        )
        return StepLoss(total + critic, {**found, "discriminator": critic})
