"""The engine: squares of zones out, a text for each, their change back, and a second pass that blends."""

from __future__ import annotations

import math
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
from reage.nets.lora import take_in
from reage.nets.sampling import SamplingConfig, denoise, draw_noise
from reage.plan import expected_score
from reage.prompts import NEUTRAL, UNCONDITIONAL
from reage.types import Aged, CompletePlan, Face, Reading
from reage.weights import find_weights, load_torch_weights, made_for, weights_hash
from reage.zones import ZONES, typical_score, zone_row

_COARSE = 0.12
"""Sigma of what is broad, shares of a square's side."""


REFINER = SamplingConfig(
    noise_strength=0.15, num_inference_steps=6, guidance_scale=1.0, added_noise=1.0, max_guidance_step=math.inf
)
"""A second pass over the face that changes little."""
UNTAUGHT = SamplingConfig(
    noise_strength=0.4, num_inference_steps=20, guidance_scale=5.0, added_noise=1.0, max_guidance_step=math.inf
)
"""For a base that has not learned from pairs: it can only redraw a zone that is half noise."""


@dataclass(frozen=True, kw_only=True)
class LdlaConfig:
    """How the engine works.

    Args:
        zones: noise, steps and guidance of the zones.
        dose: how many times its change a zone may be given until it reads as asked; None gives every zone its change
            as it was drawn.
        refiner: noise, steps and guidance of a pass that blends, such as `REFINER`; None leaves it out.
        skipped_below: a zone whose score changes by less stays as it is.
    """

    zones: SamplingConfig = field(default_factory=SamplingConfig)
    dose: ChangeScaleConfig | None = field(default_factory=ChangeScaleConfig)
    refiner: SamplingConfig | None = None
    skipped_below: float = 0.03

    @classmethod
    def for_base(cls, base: str | Path | None) -> Self:
        """What suits weights of ours, or such a base as it is."""
        return cls() if base is None else cls(zones=UNTAUGHT)


class LdlaEngine:
    """Ages the zones of a face, all in one batch; needs only the five landmarks.

    Each zone's noise is the same for every score, and the change is that between what the noise becomes when the
    asked score is named, and when the present one is: what noise alone would change is in neither. Light alone is
    changed; of colour, folds that are smoothed would keep streaks. A zone gets no more of its change than it takes
    for the scorer to read what was asked.
    """

    name = "ldla"
    summary = "latent diffusion: the skin of each zone by a prompt that names its score"
    accepts: frozenset[Condition] = frozenset({"zones"})
    dense_landmarks = False
    zone_driven = True
    ages = (20.0, 85.0)

    def __init__(self, base: DiffusionBase, digest: str, config: LdlaConfig | None = None) -> None:
        self.weights_hash = digest
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
            base: used as it is, without weights: what it makes of the prompts is what it has learned elsewhere.
            config: how the engine works; what suits the base by default.

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
        found_hash = loaded.weights_hash if int(rank) else loaded.frame_hash
        if found_hash != known_hash:
            raise WeightsError(
                f"{path} was trained on the base {name} as it was with the weights {known_hash}; it now has "
                f"{found_hash}. Get that base, or train on this one with reage training fit ldla."
            )
        with made_for(path, f"LDLA on {name}"):
            take_in(loaded.unet, tensors, int(rank))
        return cls(loaded, weights_hash(path), config)

    @torch.inference_mode()
    def render(self, face: Face, reading: Reading, plan: CompletePlan) -> Aged:
        """The crop with the zones as the plan wants them; all else keeps every bit."""
        orders = self.find_orders(reading, plan)
        if not orders or plan.strength == 0:
            return Aged(crop=face.crop.copy())
        names = [order.square for order in orders]
        masks = bare_masks(face, list(dict.fromkeys(map(zone_of_patch, names))))
        squares = self.change_patches(face, orders, plan.seed)

        def paste(changes: NDArray[np.float32]) -> NDArray[np.float32]:
            """(S, S, 1) of light alone."""
            pasted = paste_patches(changes, face.to_crop(face.landmarks), names, masks, len(face.crop))
            return pasted.mean(-1, keepdims=True)

        if self.config.dose is not None:
            doses = self._find_change_scales(face, paste(squares), reading, orders, self.config.dose)
            squares *= np.array([doses.get(zone_of_patch(name), 1.0) for name in names], np.float32)[
                :, None, None, None
            ]
        change = plan.strength * paste(squares)
        if self.config.refiner is not None:
            reach = np.sum(list(masks.values()), axis=0)[..., None]
            change = change + reach * self._blend(face, change, plan.seed, self.config.refiner).mean(-1, keepdims=True)
        return Aged(crop=to_pixels(face.crop + change))

    def find_orders(self, reading: Reading, plan: CompletePlan) -> list[PatchEdit]:
        """What is asked of each zone, by name or with the age; those that would hardly change are left out."""
        orders = []
        for zone in ZONES:
            now = reading.zones.get(zone, typical_score(zone, plan.age_from))
            asked = plan.zones.get(zone, expected_score(zone, now, plan.age_from, plan.age))
            if abs(asked - now) >= self.config.skipped_below:
                orders += [PatchEdit(part, now, asked) for part in PATCHES_OF_ZONE[zone]]
        return orders

    def change_patches(self, face: Face, orders: list[PatchEdit], seed: int) -> NDArray[np.float32]:
        """(K, P, P, 3) change of each square, levels."""
        names = [order.square for order in orders]
        squares = cut_patches(face.crop, face.to_crop(face.landmarks), names, self.base.picture_px)
        x = to_net(squares).to(self.base.device)
        aged, still = (to_levels(part) for part in redraw(self.base, x, orders, seed, self.config.zones))
        return np.stack([_without_shade(one, name) for one, name in zip(aged - still, names, strict=True)])

    def _find_change_scales(
        self,
        face: Face,
        change: NDArray[np.float32],
        reading: Reading,
        orders: list[PatchEdit],
        config: ChangeScaleConfig,
    ) -> dict[str, float]:
        """How many times its change each zone that shows is to be given; (S, S, 1) is that of all zones."""
        seen = face.matte[..., None] * change
        asked = {zone_of_patch(order.square): order.asked for order in orders}
        now = {zone: reading.zones[zone] for zone in asked if zone in reading.zones}
        return find_change_scales(
            now,
            asked,
            lambda dose: self._scorer.measure(replace(face, crop=to_pixels(face.crop + dose * seen))),
            config,
        )

    def _blend(self, face: Face, change: NDArray[np.float32], seed: int, config: SamplingConfig) -> NDArray[np.float32]:
        """(S, S, 3) what a second pass over the whole face adds to its change, levels."""
        base, side, landmarks = self.base, fine_face_px(self.base.picture_px), face.to_crop(face.landmarks)
        square = cut_patches(to_pixels(face.crop + change), landmarks, [FACE], side)
        latents = base.encode(to_net(square).to(base.device))
        noise = draw_noise(base, seed, 1, side // base.factor)
        blended = denoise(base, latents, noise, base.embed([NEUTRAL]), base.embed([UNCONDITIONAL]), config)
        added = to_levels(base.decode(blended)) - to_levels(base.decode(latents))
        crop_from_patch = geometry.invert(patch_from_crop(FACE, landmarks, len(face.crop), side))
        return geometry.warp(added[0], crop_from_patch, len(face.crop), len(face.crop), edge="zero")


def _without_shade(change: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    if zone_row(zone_of_patch(name)).coarse_shading:
        return change
    return change - np.stack([geometry.blur(plane, _COARSE * len(change)) for plane in np.moveaxis(change, -1, 0)], -1)
