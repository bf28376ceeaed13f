"""AMGAN as it is trained: generator, critic and the frozen estimators, and what each stage minimises."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from reage.data.augment import to_grey
from reage.faces.skin_features import DETAIL_PX, VIEW_PX, WINDOW
from reage.nets.age import AgeNet
from reage.nets.amgan import apply_change, build_critic, build_generator
from reage.nets.amgan_config import AmganConfig
from reage.training.amgan import losses
from reage.training.amgan.dataset import FaceBatch, PatchBatch
from reage.training.amgan.losses import LossWeights
from reage.training.amgan.patches import Patches, to_patches
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

    def age(self, x: Tensor, planes: Tensor, usable: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures (B, 3, S, S) at their target maps, and the change of log colour (B, 3, S, S), on usable skin alone.

        Args:
            x: (B, 3, S, S).
            planes: (B, 4, S, S).
            usable: (B, 1, S, S) share of visible skin.
        """
        change, attention = self.generator.predict_change(x, planes)
        change = change * attention * usable
        return apply_change(x, change), change

    def distill_loss(self, batch: PatchBatch, weights: LossWeights) -> StepLoss:
        """The first stage: the generator's distance to the teacher."""
        aged, _ = self.age(batch.x, batch.planes, batch.usable)
        return _weighted_sum(self._teacher_losses(batch, aged), weights)

    def finetune_loss(
        self,
        batch: PatchBatch,
        aged_faces: FaceBatch,
        faces: FaceBatch,
        weights: LossWeights,
        generator: torch.Generator,
    ) -> StepLoss:
        """The second stage: the generator's losses and the critic's, each with gradients to its own net alone.

        Args:
            batch: patches with the teacher's change.
            aged_faces: whole faces with the teacher's change.
            faces: whole faces with any scores.
            weights: of the losses.
            generator: of random numbers.
        """
        aged, change = self.age(batch.x, batch.planes, batch.usable)
        found = self._teacher_losses(batch, aged)
        asked, asked_change = self.age(faces.x, faces.planes, faces.usable)
        found["unchanged"] = losses.unchanged_loss(change, losses.same_map(batch.planes))
        found["unchanged"] = found["unchanged"] + losses.unchanged_loss(asked_change, losses.same_map(faces.planes))
        if weights.age:
            aged_face, aged_change = self.age(aged_faces.x, aged_faces.planes, aged_faces.usable)
            found["age"] = self._age_loss(aged_faces, aged_change)
            for name, loss in self._teacher_losses(aged_faces, aged_face).items():
                found[name] = (found[name] + loss) / 2
        if weights.zone_scores:
            found["zone_scores"] = self._zone_scores_loss(see_in_crops(faces, losses.lines_alone(asked_change)), faces)
        if weights.direction:
            found["direction"] = losses.direction_loss(asked_change, faces.teacher_change, faces.zone_weights)
        if weights.shade:
            found["shade"] = losses.shade_loss(asked_change, faces.teacher_change)
        if weights.cycle:
            restored, _ = self.age(aged, _swap_maps(batch.planes), batch.usable)
            found["cycle"] = losses.cycle_loss(restored, batch.x)
        with torch.autocast(aged.device.type, enabled=False):
            patches = to_patches(batch, faces, aged, asked)
            found |= self._critic_heads_losses(patches)
            critic = self._critic_loss(patches, weights, generator)
        step = _weighted_sum(found, weights)
        return StepLoss(step.total + critic, {**step.parts, "critic": critic})

    def estimate_years(self, x: Tensor) -> Tensor:
        """(B, 3, Q, Q) crops -> (B,) estimated ages, of grey copies: yellow eyes raise those of colour pictures."""
        logits, _ = self.age_net(to_grey(x))
        return self.age_net.calibrate(self.age_net.expected_age(logits))[0]

    def _age_loss(self, faces: FaceBatch, change: Tensor) -> Tensor:
        with torch.no_grad():
            teacher = self.estimate_years(see_in_crops(faces, faces.teacher_change * faces.usable))
            before = self.estimate_years(faces.crops)
        return losses.age_loss(self.estimate_years(see_in_crops(faces, losses.lines_alone(change))), before, teacher)

    def _teacher_losses(self, batch: PatchBatch | FaceBatch, aged: Tensor) -> dict[str, Tensor]:
        teacher = apply_change(batch.x, batch.teacher_change * batch.usable)
        return {
            "reconstruction": losses.reconstruction_loss(aged, teacher),
            "detail": losses.detail_loss(aged, teacher),
            "texture": losses.texture_loss(aged, teacher, batch.usable),
            "chroma": losses.chroma_loss(aged, teacher),
            "low_frequency": losses.low_frequency_loss(aged, teacher),
            "perceptual": self._perceptual_loss(aged, batch.x, teacher),
        }

    def _perceptual_loss(self, aged: Tensor, source: Tensor, teacher: Tensor) -> Tensor:
        with torch.no_grad():
            before, after = (self._features(x) for x in (source, teacher))
        return losses.perceptual_loss(self._features(aged), before, after)

    def _features(self, x: Tensor) -> list[Tensor]:
        return [stage.float() for stage in self.age_net.trunk(to_grey(x))[:NUM_FEATURE_STAGES]]

    def _zone_scores_loss(self, crops: Tensor, faces: FaceBatch) -> Tensor:
        with torch.autocast(crops.device.type, enabled=False):
            measured = measure_zone_scores(self.zone_scorer, crops.float(), faces)
        return losses.zone_scores_loss(measured, faces.scores)

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


def see_in_crops(faces: FaceBatch, change: Tensor) -> Tensor:
    """(B, 3, Q, Q) the crops of faces with a change of log colour (B, 3, S, S) of the common face."""
    there = F.grid_sample(change.float(), faces.places, mode="bilinear", padding_mode="border", align_corners=False)
    return apply_change(faces.crops, there * faces.on_skin)


def measure_zone_scores(zone_scorer: DifferentiableZoneScorer, x: Tensor, batch: FaceBatch) -> Tensor:
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
