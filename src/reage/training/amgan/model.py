"""AMGAN as it is trained: generator, critic and the frozen estimators, and what each stage minimises."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from reage.data.augment import to_grey
from reage.faces.skin_features import DETAIL_PX, VIEW_PX, WINDOW
from reage.nets.age import AgeNet
from reage.nets.amgan import build_critic, build_generator
from reage.nets.amgan_config import AmganConfig
from reage.training.amgan import losses
from reage.training.amgan.dataset import PairedBatch, UnpairedBatch
from reage.training.amgan.losses import LossWeights
from reage.training.amgan.patches import Patches, cut_patches
from reage.training.amgan.zone_scores import DifferentiableZoneScorer, luminance_features, normalize_light
from reage.training.trainer import StepLoss, call_frozen

NUM_FEATURE_STAGES = 3
"""Stages of the age estimator's trunk that `losses.perceptual_loss` compares, finest first."""


class Amgan(nn.Module):
    """Generator and critic, and the losses of both stages.

    Args:
        config: size of both nets.
        age_net: estimates ages and gives features; it is frozen, and must not judge the result.
        zone_scorer: the same for the scores of zones.
    """

    def __init__(self, config: AmganConfig, age_net: AgeNet, zone_scorer: DifferentiableZoneScorer) -> None:
        super().__init__()
        self.generator = build_generator(config.generator)
        self.critic = build_critic(config.critic)
        self._age_net = [age_net]  # in a list, so that it is neither trained nor saved
        self.zone_scorer = zone_scorer

    @property
    def age_net(self) -> AgeNet:
        """The frozen estimator of ages."""
        return self._age_net[0]

    def distill_loss(self, batch: PairedBatch, weights: LossWeights) -> StepLoss:
        """The first stage: the generator's distance to the teacher."""
        return _weighted_sum(self._teacher_losses(batch, self.generator(batch.x, batch.planes)), weights)

    def finetune_loss(
        self, batch: PairedBatch, unpaired: UnpairedBatch, weights: LossWeights, generator: torch.Generator
    ) -> StepLoss:
        """The second stage: the generator's losses and the critic's, each with gradients to its own net alone."""
        aged = self.generator(batch.x, batch.planes)
        aged_unpaired = self.generator(unpaired.x, unpaired.planes)
        found = self._teacher_losses(batch, aged)
        found["unchanged"] = losses.unchanged_loss(aged, batch.x, losses.same_picture(batch.y, batch.x))
        found["unchanged"] = found["unchanged"] + losses.unchanged_loss(
            aged_unpaired, unpaired.x, losses.same_map(unpaired.planes)
        )
        if weights.age:
            found["age"] = losses.age_loss(self.estimate_years(aged), batch.years)
        if weights.zone_scores:
            found["zone_scores"] = self._zone_scores_loss(aged_unpaired, unpaired)
        if weights.direction:
            change, teacher_change = (x.float() - unpaired.x for x in (aged_unpaired, unpaired.teacher_extremes))
            found["direction"] = losses.direction_loss(change, teacher_change, unpaired.zone_weights)
        if weights.cycle:
            restored = self.generator(aged, _swap_maps(batch.planes))
            found["cycle"] = losses.cycle_loss(restored, batch.x)
        real, made = torch.cat([batch.x, unpaired.x]), torch.cat([aged, aged_unpaired])
        planes = torch.cat([batch.planes, unpaired.planes])
        with torch.autocast(made.device.type, enabled=False):
            patches = cut_patches(real, made, planes, generator)
            found |= self._critic_heads_losses(patches)
            critic = self._critic_loss(patches, weights, generator)
        step = _weighted_sum(found, weights)
        return StepLoss(step.total + critic, {**step.parts, "critic": critic})

    def estimate_years(self, x: Tensor) -> Tensor:
        """(B, 3, S, S) -> (B,) estimated ages, of grey copies: yellow eyes and skin raise those of colour pictures."""
        logits, _ = self.age_net(to_grey(x))
        return self.age_net.calibrate(self.age_net.expected_age(logits))[0]

    def _teacher_losses(self, batch: PairedBatch, aged: Tensor) -> dict[str, Tensor]:
        return {
            "reconstruction": losses.reconstruction_loss(aged, batch.y),
            "detail": losses.detail_loss(aged, batch.y),
            "chroma": losses.chroma_loss(aged, batch.y),
            "low_frequency": losses.low_frequency_loss(aged, batch.y),
            "perceptual": self._perceptual_loss(aged, batch),
        }

    def _perceptual_loss(self, aged: Tensor, batch: PairedBatch) -> Tensor:
        with torch.no_grad():
            source, teacher = (self._features(x) for x in (batch.x, batch.y))
        return losses.perceptual_loss(self._features(aged), source, teacher)

    def _features(self, x: Tensor) -> list[Tensor]:
        return [stage.float() for stage in self.age_net.trunk(self.age_net.input_crop(x))[:NUM_FEATURE_STAGES]]

    def _zone_scores_loss(self, aged: Tensor, unpaired: UnpairedBatch) -> Tensor:
        with torch.autocast(aged.device.type, enabled=False):
            measured = measure_zone_scores(self.zone_scorer, aged.float(), unpaired)
        return losses.zone_scores_loss(measured, unpaired.scores)

    def _critic_heads_losses(self, patches: Patches) -> dict[str, Tensor]:
        """The generator's losses, through a critic that gets no gradients."""
        realism, aging_map, location = call_frozen(self.critic, patches.fake)
        return {
            "adversarial": losses.adversarial_generator_loss(realism),
            "aging_map": losses.aging_map_loss(aging_map, patches.target_map),
            "location": losses.location_loss(location, patches.centres),
        }

    def _critic_loss(self, patches: Patches, weights: LossWeights, generator: Generator) -> Tensor:
        real, fake = patches.real, patches.fake.detach()
        realism, aging_map, location = self.critic(real)
        loss = losses.adversarial_critic_loss(self.critic(fake)[0], realism)
        loss = loss + weights.critic_aging_map * losses.aging_map_loss(aging_map, patches.source_map)
        loss = loss + weights.critic_location * losses.location_loss(location, patches.centres)
        shares = torch.rand(len(fake), 1, 1, 1, generator=generator).to(fake.device)
        penalty = losses.gradient_penalty(lambda x: self.critic(x)[0], fake, real, shares)
        return loss + weights.gradient_penalty * penalty


def measure_zone_scores(zone_scorer: DifferentiableZoneScorer, x: Tensor, batch: UnpairedBatch) -> Tensor:
    """Zone scores (B, 12) of pictures (B, 3, S, S) made from the batch's faces, with gradients to their luminance.

    Skin, colour features and tones are those of the source faces.
    """
    for side in (DETAIL_PX, VIEW_PX):
        x = F.interpolate(x, (side, side), mode="bilinear", antialias=True)
    grey = (x[..., WINDOW[0], WINDOW[1]].mean(1) + 1) / 2
    lines = luminance_features(normalize_light(grey, batch.skin_weights), batch.skin_weights)
    features = torch.cat([lines, batch.colour_features], -1)
    return zone_scorer.score(features.double().cpu(), batch.tones.cpu()).to(x.device)


def _weighted_sum(found: dict[str, Tensor], weights: LossWeights) -> StepLoss:
    total = torch.stack([getattr(weights, name) * loss.float() for name, loss in found.items()]).sum()
    return StepLoss(total, found)


def _swap_maps(planes: Tensor) -> Tensor:
    """Planes with target and source map exchanged."""
    return torch.cat([planes[:, 1:2], planes[:, :1], planes[:, 2:]], 1)
