"""The `personal` engine: the face of one person redrawn at another age by a base that has learned who that is.

After identity-preserving aging (IJCB 2023, arXiv 2307.08585), which draws new pictures from text alone, as
`reage.generate` does. Here noise is added to the photo and taken away again, so that pose and place stay.
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

_BEGINS = (*AGE_LABELS.values(), 90)
_MIDDLES = tuple((begin + end) / 2 for begin, end in pairwise(_BEGINS))
"""Age in years at which a label alone is asked for."""

REDRAWN = SamplingConfig(
    noise_strength=0.5, num_inference_steps=10, guidance_scale=7.0, added_noise=1.0, max_guidance_step=math.inf
)


class PersonalEngine:
    """Ages the person it has learned; needs only the five landmarks.

    The photo's noise is the same for every age, and the change is that between what it becomes at the asked age and at
    the present one: what noise alone would change is in neither. Between the middles of two age groups their texts are
    mixed, so that a year more is always a little more.
    """

    name = "personal"
    summary = "latent diffusion that has learned one person: the whole face, by age"
    accepts: frozenset[Condition] = frozenset({"age", "zones", "person"})
    dense_landmarks = False
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
        """Reads a person into the base that learned them.

        Args:
            weights: the person's file; there are no shipped ones.
            device: of torch.
            base: where the base is now; None for where it was.
            config: how far the face is redrawn, how finely and how strongly.

        Raises:
            WeightsError: when no file is given, or it or its base cannot be used.
        """
        if weights is None:
            raise WeightsError("The engine 'personal' needs the file of a person; make one with reage personalize.")
        loaded, person = load_person(weights, device, base)
        return cls(loaded, person, weights_hash(weights), config)

    @torch.inference_mode()
    def render(self, face: Face, reading: Reading, plan: CompletePlan) -> Aged:
        """The crop at the plan's ages, that of a zone where one is ordered; outside the matte it keeps every bit."""
        parts = layers(plan)
        own, *asked = (self._nearest(age) for age in (plan.age_from, *(part.plan.age for part in parts)))
        ages = sorted({own, *asked})
        if plan.strength == 0 or ages == [own]:
            return Aged(crop=face.crop.copy())
        drawn = dict(zip(ages, self._redraw(face, ages, plan.seed), strict=True))
        masks, side, points = zone_masks(face), len(face.crop), face.to_crop(face.landmarks)
        shares = [np.sum([masks[zone] for zone in part.zones], axis=0) for part in parts[1:]]
        shares.insert(0, 1 - np.sum(shares, axis=0))
        change = np.zeros(face.crop.shape, np.float32)
        for age, share in zip(asked, shares, strict=True):
            changed = (drawn[age] - drawn[own])[None]
            change += paste_patches(changed, points, [FACE], {FACE: share * (face.matte > 0)}, side)
        return Aged(crop=to_pixels(face.crop + plan.strength * in_colours_of(face, change)))

    def _nearest(self, age: float) -> float:
        return float(np.clip(age, *self.ages))

    def _redraw(self, face: Face, ages: Sequence[float], seed: int) -> NDArray[np.float32]:
        """(K, P, P, 3) the face's square at each of K ages, levels."""
        base, num = self.base, len(ages)
        square = cut_patches(face.crop, face.to_crop(face.landmarks), [FACE], base.picture_px)
        latents = base.encode(to_net(square).to(base.device))
        noise = draw_noise(base, seed, 1, latents.shape[-1])
        many = (num, -1, -1, -1)
        made = denoise(
            base,
            latents.expand(many),
            noise.expand(many),
            self._describe(ages),
            base.embed([UNCONDITIONAL]),
            self.config,
        )
        return to_levels(base.decode(made))

    def _describe(self, ages: Sequence[float]) -> Tensor:
        """(K, L, C) the text of each of K ages."""
        known = self.base.embed([self.person.prompt(label) for label in AGE_LABELS])
        places = torch.tensor(np.interp(ages, _MIDDLES, range(len(_MIDDLES))))
        below = places.floor().long().clamp(max=len(known) - 2)
        share = (places - below).to(known)[:, None, None]
        return torch.lerp(known[below], known[below + 1], share)
