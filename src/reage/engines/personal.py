"""The `personal` engine: the face of one person changed to another age by a base that has learned the person.

After identity-preserving aging (IJCB 2023, arXiv 2307.08585), which generates new pictures from text alone, as
`reage.generate` does. This engine instead adds noise to the photo and denoises it again, so that pose and place stay.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reage.engines.base import Condition
from reage.errors import WeightsError
from reage.faces.geometry import zone_masks
from reage.faces.patches import FACE, cut_patches, paste_patches
from reage.faces.segmentation import in_colours_of
from reage.images.regions import to_pixels
from reage.images.tensors import to_levels, to_net
from reage.nets.diffusion import DiffusionBase
from reage.nets.dreambooth import Person, load_person
from reage.nets.sampling import SamplingConfig, denoise, draw_noise
from reage.plan import layers
from reage.prompts import AGE_LABELS, UNCONDITIONAL
from reage.types import Aged, CompletePlan, Face, Reading
from reage.weights import weights_hash

_BOUNDARIES = (*AGE_LABELS.values(), 90)
_MIDDLES = tuple((begin + end) / 2 for begin, end in pairwise(_BOUNDARIES))
"""The age in years in the middle of each age group, whose prompt is the label alone."""

REDRAWN = SamplingConfig(
    noise_strength=0.5, num_inference_steps=10, guidance_scale=7.0, added_noise=1.0, max_guidance_step=math.inf
)


class PersonalEngine:
    """Ages the one person it has learned; needs only the five landmarks.

    The face is denoised from the same noise at the target age and at the present age, and the difference is the change,
    so what the denoising itself alters is left out. Between the middles of two age groups the embeddings of their
    prompts are interpolated, so that each year changes a little more.

    Args:
        base: that has learned the person.
        person: who it is.
        digest: hash of the person's file.
        config: of the sampling.
    """

    name = "personal"
    summary = "latent diffusion that has learned one person: the whole face, by age"
    accepts: frozenset[Condition] = frozenset({"age", "zones", "person"})
    zone_driven = False
    ages = (_MIDDLES[0], _MIDDLES[-1])

    def __init__(self, base: DiffusionBase, person: Person, digest: str, config: SamplingConfig = REDRAWN) -> None:
        self.weights_hash = digest
        self.config = config
        self.base = base
        self.person = person

    @classmethod
    def load(
        cls,
        weights: str | Path | None = None,
        device: str = "cpu",
        *,
        base: str | Path | None = None,
        config: SamplingConfig = REDRAWN,
    ) -> Self:
        """The engine with the file of a person and the base it was learned on.

        Args:
            weights: the person's file; there are no shipped ones.
            device: of torch.
            base: where the base is now; None for where it was.
            config: of the sampling.

        Raises:
            WeightsError: when no file is given, or it or its base cannot be used.
        """
        if weights is None:
            raise WeightsError("The engine 'personal' needs the file of a person; make one with reage personalize.")
        loaded, person = load_person(weights, device, base)
        return cls(loaded, person, weights_hash(weights), config)

    @torch.inference_mode()
    def render(self, face: Face, reading: Reading, plan: CompletePlan) -> Aged:
        """The crop at the ages of the plan, of the face and of each zone; outside the matte it is unchanged."""
        age_layers = layers(plan)
        age_from, *targets = (self._limit(age) for age in (plan.age_from, *(layer.plan.age for layer in age_layers)))
        ages = sorted({age_from, *targets})
        if plan.strength == 0 or ages == [age_from]:
            return Aged(crop=face.crop.copy())
        patches = dict(zip(ages, self._redraw(face, ages, plan.seed), strict=True))
        masks, side, points = zone_masks(face), len(face.crop), face.to_crop(face.landmarks)
        shares = [np.sum([masks[zone] for zone in layer.zones], axis=0) for layer in age_layers[1:]]
        shares.insert(0, 1 - np.sum(shares, axis=0))
        change = np.zeros(face.crop.shape, np.float32)
        for age, share in zip(targets, shares, strict=True):
            changed = (patches[age] - patches[age_from])[None]
            change += paste_patches(changed, points, [FACE], {FACE: share * (face.matte > 0)}, side)
        return Aged(crop=to_pixels(face.crop + plan.strength * in_colours_of(face, change)))

    def _limit(self, age: float) -> float:
        return float(np.clip(age, *self.ages))

    def _redraw(self, face: Face, ages: Sequence[float], seed: int) -> NDArray[np.float32]:
        """(K, P, P, 3) the whole-face patch at each of K ages, levels."""
        base, num = self.base, len(ages)
        patch = cut_patches(face.crop, face.to_crop(face.landmarks), [FACE], base.picture_px)
        latents = base.encode(to_net(patch).to(base.device))
        noise = draw_noise(base, seed, 1, latents.shape[-1])
        shape = (num, -1, -1, -1)
        text, uncond = self.embed_ages(ages), base.embed([UNCONDITIONAL])
        denoised = denoise(base, latents.expand(shape), noise.expand(shape), text, uncond, self.config)
        return to_levels(base.decode(denoised))

    def embed_ages(self, ages: Sequence[float]) -> Tensor:
        """(K, L, C) the embedded prompts of the person at K ages in years."""
        labels = self.base.embed([self.person.prompt(label) for label in AGE_LABELS])
        places = torch.tensor(np.interp(ages, _MIDDLES, range(len(_MIDDLES))))
        below = places.floor().long().clamp(max=len(labels) - 2)
        share = (places - below).to(labels)[:, None, None]
        return torch.lerp(labels[below], labels[below + 1], share)
