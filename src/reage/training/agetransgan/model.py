"""AgeTransGAN as it is trained: generator, discriminator and frozen encoders, and what each stage minimises."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reage.data.augment import to_grey
from reage.nets.age import AgeNet
from reage.nets.agetransgan import build_discriminator, build_generator
from reage.nets.agetransgan_config import AgeTransGanConfig
from reage.training.agetransgan import losses
from reage.training.agetransgan.dataset import PairedBatch, PhotoBatch
from reage.training.agetransgan.losses import LossWeights
from reage.training.amgan import losses as teacher_losses
from reage.training.trainer import StepLoss, call_frozen

Embed = Callable[[Tensor], Tensor]
"""Pictures (B, 3, S, S) in [-1, 1] -> embeddings (B, D), with gradients to the pictures."""

NUM_FEATURE_STAGES = 3
"""Stages of the age estimator's trunk that the perceptual loss compares, finest first."""


class AgeTransGan(nn.Module):
    """Generator and discriminator, and the losses of all stages.

    The discriminator sees grey copies: from colours it learns the white balance of the collections that show most of an
    age group, and the generator then paints children yellow.

    Args:
        config: size of both nets.
        age_net: estimates ages and gives features; it is frozen, and must not judge the result.
        identify: frozen features of face recognition for L_id.
        embed: frozen age-invariant embedding for L_MI; by default `identify`.
    """

    path_length: Tensor

    def __init__(self, config: AgeTransGanConfig, age_net: AgeNet, identify: Embed, embed: Embed | None = None) -> None:
        super().__init__()
        self.generator = build_generator(config.generator)
        self.discriminator = build_discriminator(config.discriminator)
        self._age_net = [age_net]  # in a list, so that it is neither trained nor saved
        self._encoders = {"identity": identify, "mutual_identity": embed or identify}
        self.register_buffer("path_length", torch.zeros(()))

    def teaching_loss(self, batch: PairedBatch, weights: LossWeights) -> StepLoss:
        """The first stage: the generator's distance to the teacher and to the target age."""
        aged = self.generator(batch.x, batch.target_labels)
        return _weighted_sum(self._guided_losses(batch, aged, weights), weights)

    def adversarial_loss(self, batch: PhotoBatch, weights: LossWeights, generator: torch.Generator) -> StepLoss:
        """The later stages: both nets' losses, each with gradients to its own net alone."""
        x, labels, target_labels = batch.x, batch.labels, batch.target_labels
        trunk = self.generator.run_trunk(x, target_labels)
        content, style = self.generator.identity(trunk[-1]), self.generator.make_style(trunk[-1], target_labels)
        aged = self.generator.decode(x, trunk, content, style)
        restored = self.generator(aged, labels)
        found = self._guided_losses(batch, aged, weights)
        found["pixel"] = losses.pixel_loss(aged, x)
        found["cycle"] = losses.cycle_loss(restored, x)
        if weights.triplet:
            there, back = (self.generator.make_content(one, target_labels).float() for one in (aged, restored))
            found["triplet"] = losses.triplet_loss(content.float(), there, back)
        if weights.identity:
            found["identity"] = losses.identity_loss(*self._embed("identity", x, aged))
        if weights.mutual_identity:
            found["mutual_identity"] = losses.mutual_identity_loss(*self._embed("mutual_identity", x, aged))
        if weights.path_length and _drawn(losses.PATH_LENGTH_STEPS, generator):
            loss, mean = losses.path_length_loss(aged, style, self.path_length, generator)
            self.path_length.copy_(mean)
            found["path_length"] = losses.PATH_LENGTH_STEPS * loss
        critic = {}
        if weights.adversarial or weights.age_class:
            fair = ~batch.moved if not batch.moved.all() else batch.moved
            made = ((aged, target_labels), (restored[fair], batch.real_labels[fair]))
            found |= self._judged(made)
            critic = self._discriminator_losses(batch, made, weights, generator)
        step = _weighted_sum(found, weights)
        return StepLoss(step.total + _sum(critic), {**step.parts, **critic})

    def _guided_losses(self, batch: PairedBatch, aged: Tensor, weights: LossWeights) -> dict[str, Tensor]:
        found = {
            "reconstruction": teacher_losses.reconstruction_loss(aged, batch.y),
            "squared": losses.pixel_loss(aged, batch.y),
            "chroma": teacher_losses.chroma_loss(aged, batch.y),
            "low_frequency": teacher_losses.low_frequency_loss(aged, batch.y),
            "detail": losses.multiscale_detail_loss(aged, batch.y),
        }
        if weights.perceptual:
            with torch.no_grad():
                source, teacher = (self._features(one) for one in (batch.x, batch.y))
            found["perceptual"] = teacher_losses.perceptual_loss(self._features(aged), source, teacher)
        if weights.age:
            found["age"] = losses.age_loss(self.estimate_years(aged), batch.target_years)
        return found

    def _features(self, x: Tensor) -> list[Tensor]:
        return [stage.float() for stage in self._age_net[0].trunk(self._enlarge(x))[:NUM_FEATURE_STAGES]]

    def estimate_years(self, x: Tensor) -> Tensor:
        """(B, 3, S, S) -> (B,) estimated ages, of grey copies: yellow eyes and skin raise those of colour pictures."""
        age_net = self._age_net[0]
        logits, _ = age_net.classify([self._enlarge(to_grey(x))])
        return age_net.calibrate(age_net.expected_age(logits))[0]

    def _enlarge(self, x: Tensor) -> Tensor:
        """What the age estimator takes, of the generator's window, which is about what it sees of a crop."""
        px = self._age_net[0].config.input_crops[-1][1]
        large = F.interpolate(x, (px, px), mode="bilinear", align_corners=False)
        return large.contiguous(memory_format=torch.channels_last)

    def _embed(self, name: str, x: Tensor, aged: Tensor) -> tuple[Tensor, Tensor]:
        embed = self._encoders[name]
        with torch.no_grad():
            source = embed(x).float()
        return source, embed(aged).float()

    def _judged(self, made: tuple[tuple[Tensor, Tensor], ...]) -> dict[str, Tensor]:
        """The generator's losses, through a discriminator that gets no gradients."""
        found = [call_frozen(self.discriminator, to_grey(x), labels) for x, labels in made]
        classes = [losses.class_loss(logits, labels) for (_, logits), (_, labels) in zip(found, made, strict=True)]
        return {
            "adversarial": _total([losses.adversarial_generator_loss(score) for score, _ in found]),
            "age_class": _total(classes),
        }

    def _discriminator_losses(
        self,
        batch: PhotoBatch,
        made: tuple[tuple[Tensor, Tensor], ...],
        weights: LossWeights,
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        """Its losses by name, with their weights."""
        own = to_grey(batch.own)
        real, logits = self.discriminator(own, batch.real_labels)
        scores = [self.discriminator(to_grey(aged.detach()), labels)[0] for aged, labels in made]
        found = {
            "discriminator": _total([losses.adversarial_discriminator_loss(real, score) for score in scores]),
            "discriminator_class": weights.discriminator_class * losses.class_loss(logits, batch.real_labels),
        }
        if weights.r1 and _drawn(losses.R1_STEPS, generator):
            with torch.autocast(batch.x.device.type, enabled=False):
                penalty = losses.r1_loss(lambda x: self.discriminator(x, batch.real_labels)[0], own)
            found["r1"] = losses.R1_STEPS * weights.r1 * penalty
        return found


def _drawn(steps: int, generator: torch.Generator) -> bool:
    """True in one of so many steps, in the same ones for all processes."""
    return int(torch.randint(steps, (), generator=generator)) == 0


def _total(values: list[Tensor]) -> Tensor:
    return torch.stack(values).sum()


def _sum(found: dict[str, Tensor]) -> Tensor | float:
    return _total([value.float() for value in found.values()]) if found else 0.0


def _weighted_sum(found: dict[str, Tensor], weights: LossWeights) -> StepLoss:
    total = torch.stack([getattr(weights, name) * loss.float() for name, loss in found.items()]).sum()
    return StepLoss(total, found)
