"""Trains the face generator of reenactment on faces turned there and back.

Its parts are those of Dual-Generator reenactment (CVPR 2022): pixel, perceptual and adversarial losses with R1; the
identity loss is on dlib's embedding. All but `visible_loss` look at hidden pixels alone, or at the photo with those
drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from rich.progress import track
from torch import Generator, Tensor, nn

from reage.data.shards import Portraits
from reage.nets.dlib_resnet import DlibResNet, load_dlib_resnet
from reage.nets.reenactment import FaceGenerator, PatchCritic, build_face_generator, build_patch_critic
from reage.nets.reenactment_config import FaceGeneratorConfig, PatchCriticConfig
from reage.training.logger import log_losses
from reage.training.reenactment import losses
from reage.training.reenactment.dataset import (
    ReenactmentBatch,
    ReenactmentDataset,
    make_reenactment_dataset,
    sample_batch,
)
from reage.training.reenactment.losses import LossWeights
from reage.training.runner import RunContext, Weights
from reage.training.trainer import Callback, StepLoss, Trainer, TrainerConfig, call_frozen, local_batch, process_state

_NUM_FEATURE_STAGES = 3
"""Stages of dlib's net whose features `perceptual_loss` compares."""
_CHIP = slice(0.14, 0.86), slice(0.2, 0.92)
"""Columns and rows of the window, in its sides, that dlib's net sees as its chip."""
_CHIP_PX = 150
LAZY_STEPS = 4
"""The losses that cost most, identity and R1, are taken in one of so many steps, and count that much more there (lazy
regularisation; Karras et al., 2020)."""


@dataclass(frozen=True, kw_only=True)
class ReenactmentTrainingConfig:
    """Everything that decides which weights come out.

    Args:
        seed: of the run.
        net: size of the generator.
        critic: size of the critic.
        trainer: length and optimisation.
        losses: their weights.
        learning_rate: highest, of the generator.
        critic_learning_rate: highest, of the critic.
    """

    seed: int = 0
    net: FaceGeneratorConfig = field(default_factory=FaceGeneratorConfig)
    critic: PatchCriticConfig = field(default_factory=PatchCriticConfig)
    trainer: TrainerConfig = TrainerConfig(
        steps=4000, batch_size=4, weight_decay=0.0, ema_decay=0.998, max_grad_norm=20.0
    )
    losses: LossWeights = field(default_factory=LossWeights)
    learning_rate: float = 6e-4
    critic_learning_rate: float = 2e-4


def reenactment() -> ReenactmentTrainingConfig:
    """The configuration of the shipped weights."""
    return ReenactmentTrainingConfig()


def run(config: ReenactmentTrainingConfig, portraits: Portraits, context: RunContext) -> Weights:
    """Turns every training face there and back, and trains the generator.

    Args:
        config: of the run.
        portraits: of all people; only the training people are used.
        context: where the run keeps its files.
    """
    training = portraits.pick(portraits.split == "train")
    dataset = context.cached(
        ".turned.npz",
        ReenactmentDataset,
        lambda: make_reenactment_dataset(training, track=lambda rows: track(rows, "turned faces")),
    )
    net = train_reenactment(config, dataset, context.checkpoint, log_losses(context.log_dir))
    stored: dict[str, object] = {"net": asdict(config.net), "recipe": asdict(config), "seed": config.seed}
    return dict(net.generator.state_dict()), stored


def train_reenactment(
    config: ReenactmentTrainingConfig,
    dataset: ReenactmentDataset,
    checkpoint: Path | None = None,
    callbacks: Sequence[Callback] = (),
) -> Reenactment:
    """The trained nets, resumed where the run was stopped.

    Args:
        config: of the run.
        dataset: of training people.
        checkpoint: of the run; None keeps none.
        callbacks: called after each step.
    """
    torch.manual_seed(config.seed)
    device = process_state().device
    net = Reenactment(config).to(device)

    def loss_fn(generator: Generator) -> StepLoss:
        batch = sample_batch(dataset, config.trainer.batch_size, generator)
        lazy = torch.randint(LAZY_STEPS, (1,), generator=generator).item() == 0
        return net.loss(local_batch(batch, device), lazy=lazy)

    trainer = Trainer(config.trainer, seed=config.seed, checkpoint=checkpoint, callbacks=callbacks)
    groups = [(net.generator, config.learning_rate), (net.critic, config.critic_learning_rate)]
    net.load_state_dict(trainer.fit(net, loss_fn, groups).state_dict())
    return net


class Reenactment(nn.Module):
    """Generator and critic, and the frozen recognizer that judges them."""

    def __init__(self, config: ReenactmentTrainingConfig) -> None:
        super().__init__()
        self.config = config
        self.generator: FaceGenerator = build_face_generator(config.net)
        self.critic: PatchCritic = build_patch_critic(config.critic)
        self._recognizer: list[DlibResNet] = [load_dlib_resnet()]  # in a list: its weights are not those of the run

    def loss(self, batch: ReenactmentBatch, *, lazy: bool = True) -> StepLoss:
        """The losses of the generator and of the critic, each with gradients to its own net alone.

        Args:
            batch: of faces turned there and back.
            lazy: whether to take the losses of `LAZY_STEPS` too.
        """
        hidden, weights = batch.planes[:, 3:4], self.config.losses
        drawn = self.generator(batch.planes, batch.source)
        composed = losses.compose(drawn, batch.truth, hidden)
        found = {
            "hidden": losses.hidden_loss(drawn, batch.truth, hidden),
            "visible": losses.visible_loss(drawn, batch.planes[:, :3], hidden),
            "perceptual": self._perceptual_loss(composed, batch.truth),
            "adversarial": self._adversarial_loss(composed, batch.planes),
        }
        if lazy:
            found["identity"] = LAZY_STEPS * self._identity_loss(composed, batch.truth)
        total = torch.stack([getattr(weights, name) * loss.float() for name, loss in found.items()]).sum()
        critic = self._critic_loss(composed.detach(), batch, lazy)
        return StepLoss(total + critic, {**found, "critic": critic})

    def _perceptual_loss(self, composed: Tensor, truth: Tensor) -> Tensor:
        with torch.no_grad():
            true_features = self._features(truth)
        return losses.perceptual_loss(self._features(composed), true_features)

    def _features(self, pictures: Tensor) -> list[Tensor]:
        """Maps of the first stages of dlib's net."""
        trunk = self._recognizer[0].to(pictures.device).trunk
        return [x.float() for x in trunk(_to_chips(pictures), _NUM_FEATURE_STAGES)]

    def _identity_loss(self, composed: Tensor, truth: Tensor) -> Tensor:
        recognizer = self._recognizer[0].to(composed.device)
        with torch.no_grad():
            true_embedding = recognizer(_to_chips(truth)).float()
        return losses.identity_loss(recognizer(_to_chips(composed)).float(), true_embedding)

    def _adversarial_loss(self, composed: Tensor, planes: Tensor) -> Tensor:
        """The generator's loss, through a critic that gets no gradients."""
        hidden, lines = planes[:, 3:4], planes[:, 8:9]
        return losses.adversarial_generator_loss(call_frozen(self.critic, composed, hidden, lines), hidden)

    def _critic_loss(self, composed: Tensor, batch: ReenactmentBatch, lazy: bool) -> Tensor:
        hidden, lines = batch.planes[:, 3:4], batch.planes[:, 8:9]
        real = batch.truth.detach().requires_grad_(lazy)
        realism = self.critic(real, hidden, lines)
        loss = losses.adversarial_critic_loss(self.critic(composed, hidden, lines), realism, hidden)
        if lazy:
            loss = loss + LAZY_STEPS * self.config.losses.r1 * losses.r1_penalty(realism, real)
        return loss


def _to_chips(pictures: Tensor) -> Tensor:
    """(B, 3, S, S) windows -> (B, 3, 150, 150) about what dlib's net sees of a face."""
    side = pictures.shape[-1]
    columns, rows = (slice(round(part.start * side), round(part.stop * side)) for part in _CHIP)
    chips = F.interpolate(
        pictures[..., rows, columns], (_CHIP_PX, _CHIP_PX), mode="bilinear", antialias=True, align_corners=False
    )
    return chips.contiguous(memory_format=torch.channels_last)
