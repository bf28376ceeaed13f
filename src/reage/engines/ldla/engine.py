"""The engine: patches of zones are cut out, redrawn under a prompt, and the change is pasted back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from reage.engines.base import Condition
from reage.engines.ldla.change_scale import ChangeScaleConfig, find_change_scales
from reage.engines.ldla.redraw import PatchEdit, redraw
from reage.errors import EngineError, WeightsError
from reage.faces.geometry import bare_masks
from reage.faces.patches import (
    FACE,
    PATCHES_OF_ZONE,
    cut_patches,
    fine_face_px,
    paste_patches,
    patch_from_crop,
    zone_of_patch,
)
from reage.faces.zone_scorer import ZoneScorer
from reage.images import geometry
from reage.images.regions import to_pixels
from reage.images.tensors import to_levels, to_net
from reage.nets.diffusion import DiffusionBase, load_base
from reage.nets.lora import load_trained_tensors
from reage.nets.sampling import SamplingConfig, denoise, draw_noise
from reage.plan import expected_score
from reage.prompts import NEUTRAL, UNCONDITIONAL
from reage.types import Aged, CompletePlan, Face, Reading
from reage.weights import find_weights, load_torch_weights, made_for, weights_hash
from reage.zones import ZONES, typical_score, zone_row

_COARSE_BLUR = 0.12
"""Sigma above which light and shade are coarse, sides of a patch."""

REFINER = SamplingConfig(
    noise_strength=0.15, num_inference_steps=6, guidance_scale=1.0, added_noise=1.0, max_guidance_step=math.inf
)
"""A second pass over the face, which changes little."""
BASE_ONLY = SamplingConfig(
    noise_strength=0.4, num_inference_steps=20, guidance_scale=5.0, added_noise=1.0, max_guidance_step=math.inf
)
"""For a base without weights of LDLA: it was not trained on pairs, and only changes a zone under much noise."""


@dataclass(frozen=True, kw_only=True)
class LdlaConfig:
    """How the engine works.

    Args:
        zones: noise, steps and guidance of the zones.
        change_scale: which scales of a zone's change are tried until the zone measures its target score; None
            leaves every change as it was drawn.
        refiner: noise, steps and guidance of a second pass over the face, such as `REFINER`; None leaves it out.
        min_score_change: a zone whose score is to change by less stays as it is.
    """

    zones: SamplingConfig = field(default_factory=SamplingConfig)
    change_scale: ChangeScaleConfig | None = field(default_factory=ChangeScaleConfig)
    refiner: SamplingConfig | None = None
    min_score_change: float = 0.03

    @classmethod
    def for_base(cls, base: str | Path | None) -> Self:
        """The default for weights of LDLA, which need no base, or for a base without them."""
        return cls() if base is None else cls(zones=BASE_ONLY)


class LdlaEngine:
    """Ages the zones of a face, all in one batch; needs only the five landmarks.

    The change of a zone is the difference of two pictures redrawn from the same noise, one under the target score and
    one under the present score, so that what noise and autoencoder do to it cancels out. All channels change
    equally, because in colour, folds that are smoothed would keep streaks. The change is scaled until the zone
    measures its target score.

    Args:
        base: with the denoiser of the weights.
        weights_hash: of the weights.
        config: how the engine works.
    """

    name = "ldla"
    summary = "latent diffusion: the skin of each zone by a prompt that names its score"
    accepts: frozenset[Condition] = frozenset({"zones"})
    zone_driven = True
    ages = (20.0, 85.0)

    def __init__(self, base: DiffusionBase, weights_hash: str, config: LdlaConfig | None = None) -> None:
        self.weights_hash = weights_hash
        self.config = config or LdlaConfig()
        self.base = base
        self._scorer = ZoneScorer.load()

    @classmethod
    def load(
        cls,
        weights: str | Path | None = None,
        device: str = "cpu",
        *,
        base: str | Path | None = None,
        config: LdlaConfig | None = None,
    ) -> Self:
        """Reads the weights into the base that they were trained for.

        Args:
            weights: of the denoiser; the shipped ones by default.
            device: of torch.
            base: used without weights of LDLA, as it was trained elsewhere.
            config: how the engine works; by default `LdlaConfig.for_base`.

        Raises:
            EngineError: when both weights and a base are given.
            WeightsError: when one of them cannot be used.
        """
        if base is not None:
            if weights is not None:
                raise EngineError("Weights of ldla name the base they were trained for; give weights or a base.")
            loaded = load_base(base, device)
            return cls(loaded, loaded.weights_hash, config or LdlaConfig.for_base(base))
        path = find_weights(weights or cls.name)
        tensors, stored = load_torch_weights(path)
        with made_for(path, "LDLA"):
            name, known_hash, rank = stored["base"], stored["base_hash"], stored["lora_rank"]
        loaded = load_base(name, device)
        found_hash = loaded.weights_hash if int(rank) else loaded.hash_without_denoiser
        if found_hash != known_hash:
            raise WeightsError(
                f"{path} was trained on the base {name} as it was with the weights {known_hash}; it now has "
                f"{found_hash}. Get that base, or train on this one with reage training fit ldla."
            )
        with made_for(path, f"LDLA on {name}"):
            load_trained_tensors(loaded.unet, tensors, int(rank))
        return cls(loaded, weights_hash(path), config)

    @torch.inference_mode()
    def render(self, face: Face, reading: Reading, plan: CompletePlan) -> Aged:
        """The crop with the planned scores in its zones; outside of the changed zones every bit stays."""
        edits = self.find_edits(reading, plan)
        if not edits or plan.strength == 0:
            return Aged(crop=face.crop.copy())
        names = [edit.patch for edit in edits]
        masks = bare_masks(face, list(dict.fromkeys(map(zone_of_patch, names))))
        patches = self.make_patch_changes(face, edits, plan.seed)

        def paste(changes: NDArray[np.float32]) -> NDArray[np.float32]:
            """(S, S, 1), the mean over the channels."""
            pasted = paste_patches(changes, face.to_crop(face.landmarks), names, masks, len(face.crop))
            return pasted.mean(-1, keepdims=True)

        if self.config.change_scale is not None:
            scales = self._find_change_scales(face, paste(patches), reading, edits, self.config.change_scale)
            factors = np.array([scales.get(zone_of_patch(name), 1.0) for name in names], np.float32)
            patches *= factors[:, None, None, None]
        change = plan.strength * paste(patches)
        if self.config.refiner is not None:
            inside = np.sum(list(masks.values()), axis=0)[..., None]
            refined = self._refine(face, change, plan.seed, self.config.refiner)
            change = change + inside * refined.mean(-1, keepdims=True)
        return Aged(crop=to_pixels(face.crop + change))

    def find_edits(self, reading: Reading, plan: CompletePlan) -> list[PatchEdit]:
        """The edits of the zones whose score is to change, by their own score in the plan or with the age."""
        edits = []
        for zone in ZONES:
            score = reading.zones.get(zone, typical_score(zone, plan.age_from))
            target = plan.zones.get(zone, expected_score(zone, score, plan.age_from, plan.age))
            if abs(target - score) >= self.config.min_score_change:
                edits += [PatchEdit(patch, score, target) for patch in PATCHES_OF_ZONE[zone]]
        return edits

    def make_patch_changes(self, face: Face, edits: Sequence[PatchEdit], seed: int) -> NDArray[np.float32]:
        """The change (K, P, P, 3) of each patch, levels."""
        names = [edit.patch for edit in edits]
        patches = cut_patches(face.crop, face.to_crop(face.landmarks), names, self.base.picture_px)
        x = to_net(patches).to(self.base.device)
        aged, unaged = (to_levels(part) for part in redraw(self.base, x, edits, seed, self.config.zones))
        return np.stack([_remove_coarse(one, name) for one, name in zip(aged - unaged, names, strict=True)])

    def _find_change_scales(
        self,
        face: Face,
        change: NDArray[np.float32],
        reading: Reading,
        edits: Sequence[PatchEdit],
        config: ChangeScaleConfig,
    ) -> dict[str, float]:
        """The scale of each zone's change that has a score; (S, S, 1) is the change of all zones."""
        visible = face.matte[..., None] * change
        targets = {zone_of_patch(edit.patch): edit.target_score for edit in edits}
        scores = {zone: reading.zones[zone] for zone in targets if zone in reading.zones}

        def measure(scale: float) -> dict[str, float]:
            return self._scorer.measure(replace(face, crop=to_pixels(face.crop + scale * visible)))

        return find_change_scales(scores, targets, measure, config)

    def _refine(
        self, face: Face, change: NDArray[np.float32], seed: int, config: SamplingConfig
    ) -> NDArray[np.float32]:
        """What a second pass over the whole face adds to its change (S, S, 3), levels."""
        base, side, landmarks = self.base, fine_face_px(self.base.picture_px), face.to_crop(face.landmarks)
        patch = cut_patches(to_pixels(face.crop + change), landmarks, [FACE], side)
        latents = base.encode(to_net(patch).to(base.device))
        noise = draw_noise(base, seed, 1, side // base.factor)
        denoised = denoise(base, latents, noise, base.embed([NEUTRAL]), base.embed([UNCONDITIONAL]), config)
        added = to_levels(base.decode(denoised)) - to_levels(base.decode(latents))
        crop_from_patch = geometry.invert(patch_from_crop(FACE, landmarks, len(face.crop), side))
        return geometry.warp(added[0], crop_from_patch, len(face.crop), len(face.crop), edge="zero")


def _remove_coarse(change: NDArray[np.float32], patch: str) -> NDArray[np.float32]:
    """The change (P, P, 3) without coarse light and shade, unless the zone ages by them too."""
    if zone_row(zone_of_patch(patch)).coarse_shading:
        return change
    blurred = [geometry.blur(plane, _COARSE_BLUR * len(change)) for plane in np.moveaxis(change, -1, 0)]
    return change - np.stack(blurred, -1)
