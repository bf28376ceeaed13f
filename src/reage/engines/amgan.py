"""The `amgan` engine: a small generator steered by an aging map, after AMGAN (arXiv 2008.10960)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F

from reage.engines.base import Condition
from reage.faces.aging_map import make_aging_map, make_location_gradients
from reage.faces.segmentation import colourfulness
from reage.images import geometry
from reage.images.tensors import from_net, to_net
from reage.nets.amgan import Generator, apply_change, load_generator
from reage.plan import expected_score
from reage.types import Aged, CompletePlan, Face, Plane, Reading
from reage.weights import find_weights, weights_hash
from reage.zones import ZONES, typical_score

_NET_PX = 256
"""Side of the crop that the generator sees, as in its training; finer detail stays the face's own."""

_FULL_CHANGE_DIFFERENCE = 0.02
"""Difference of both maps from which the change is applied in full; below, it fades to none."""

_HAIR_FADING = 3.0
"""How fast hair that grows lighter loses its colour, per logarithm of light: grey hair has none."""


class AmganEngine:
    """Ages a face in one pass, each zone by its score in the map; needs only the five landmarks, free for any use."""

    name = "amgan"
    summary = "aging map and patch GAN: one pass, every zone at its own score"
    accepts: frozenset[Condition] = frozenset({"age", "zones"})
    zone_driven = True
    ages = (20.0, 85.0)

    def __init__(self, net: Generator, digest: str, device: str = "cpu") -> None:
        self.weights_hash = digest
        self._net = net
        self._device = device

    @classmethod
    def load(cls, weights: str | Path | None = None, device: str = "cpu") -> Self:
        """The engine with the shipped generator, or that of a file.

        Raises:
            WeightsError: when the weights are missing, damaged or made for something else.
        """
        path = find_weights(weights or cls.name)
        return cls(load_generator(path, device), weights_hash(path), device)

    @torch.inference_mode()
    def render(self, face: Face, reading: Reading, plan: CompletePlan) -> Aged:
        """The crop aged to the target map, its change times `plan.strength`."""
        config = self._net.config
        maps = make_maps(face, reading, plan, config.zone_gains)
        if plan.strength == 0 or np.array_equal(*maps):
            return Aged(crop=face.crop.copy())
        side = len(face.crop)
        small = to_net(geometry.resize(face.crop, _NET_PX, _NET_PX)).to(self._device)
        planes = 2 * np.concatenate([maps, make_location_gradients(_NET_PX)]) - 1
        change, attention = self._net.predict_change(small, torch.from_numpy(planes)[None].float().to(self._device))
        difference = np.abs(maps[0] - maps[1])
        applied = torch.from_numpy(np.clip(difference / _FULL_CHANGE_DIFFERENCE, 0, 1)).to(self._device)
        light = change.mean(1, keepdim=True)
        change = light + colourfulness(face) * (change - light)
        strength = plan.strength * (config.older_gain if plan.age > plan.age_from else 1.0)
        change = strength * change * attention * applied
        full_size = F.interpolate(change, (side, side), mode="bilinear", align_corners=False)
        aged = apply_change(to_net(face.crop).to(self._device), full_size)
        hair = torch.from_numpy(face.hair).to(self._device)
        faded = 1 - torch.exp(-_HAIR_FADING * hair * full_size.mean(1, keepdim=True).clamp(min=0))
        return Aged(crop=from_net(aged + faded * (aged.mean(1, keepdim=True) - aged))[0])


def make_maps(
    face: Face, reading: Reading, plan: CompletePlan, zone_gains: Sequence[float] = (1.0,) * len(ZONES)
) -> Plane:
    """The target map of a plan and the map of the face as it is.

    A zone that the plan names but that was not measured is assumed to have the typical score. The part of a zone's
    score that the age alone does not explain is multiplied by the zone's gain, so a target map may leave [0, 1].

    Args:
        face: gives the landmarks and the hair.
        reading: present zone scores.
        plan: target age and zone scores.
        zone_gains: factor for each of `ZONES`, see `reage.nets.amgan.GeneratorConfig`.

    Returns:
        (2, 256, 256) target map, source map.
    """
    points = geometry.move_points(face.to_crop(face.landmarks), geometry.resize_matrix(len(face.crop), _NET_PX))
    age, age_from = plan.age, plan.age_from
    wanted = {**reading.zones, **plan.zones}
    now = {zone: reading.zones.get(zone, typical_score(zone, age_from)) for zone in wanted}
    expected = {zone: expected_score(zone, score, age_from, age) for zone, score in now.items()}

    def draw(years: float, scores: Mapping[str, float]) -> Plane:
        return make_aging_map(_NET_PX, points, float(np.clip(years, *AmganEngine.ages)), scores, face.hair)

    by_age = draw(age, expected)
    target = by_age.copy()
    for zone, gain in zip(ZONES, zone_gains, strict=True):
        if zone in wanted and wanted[zone] != expected[zone]:
            target += gain * (draw(age, {**expected, zone: wanted[zone]}) - by_age)
    return np.stack([target, draw(age_from, now)])
