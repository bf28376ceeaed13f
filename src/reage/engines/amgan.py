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
"""The generator sees the crop at the size it has learned from; what is finer stays the face's own."""

_SLIGHT = 0.02
"""Where both maps differ by less, the change fades to none."""

_FADING = 3.0
"""Of hair that grows lighter, in shares of its colour per logarithm of light: grey hair has none."""


class AmganEngine:
    """Ages a face in one pass, each zone as its map says; needs only the five landmarks, free for any use."""

    name = "amgan"
    summary = "aging map and patch GAN: one pass, every zone at its own score"
    accepts: frozenset[Condition] = frozenset({"age", "zones"})
    dense_landmarks = False
    zone_driven = True
    ages = (20.0, 85.0)

    def __init__(self, net: Generator, digest: str, device: str = "cpu") -> None:
        self.weights_hash = digest
        self._net = net
        self._device = device

    @classmethod
    def load(cls, weights: str | Path | None = None, device: str = "cpu") -> Self:
        """Reads the generator."""
        path = find_weights(weights or cls.name)
        return cls(load_generator(path, device), weights_hash(path), device)

    @torch.inference_mode()
    def render(self, face: Face, reading: Reading, plan: CompletePlan) -> Aged:
        """The crop as the target map wants it, its change times `plan.strength`."""
        maps = make_maps(face, reading, plan, self._net.config.gains)
        if plan.strength == 0 or np.array_equal(*maps):
            return Aged(crop=face.crop.copy())
        side = len(face.crop)
        small = to_net(geometry.resize(face.crop, _NET_PX, _NET_PX)).to(self._device)
        planes = 2 * np.concatenate([maps, make_location_gradients(_NET_PX)]) - 1
        change, attention = self._net.look(small, torch.from_numpy(planes)[None].float().to(self._device))
        asked = torch.from_numpy(np.clip(np.abs(maps[0] - maps[1]) / _SLIGHT, 0, 1)).to(self._device)
        light = change.mean(1, keepdim=True)
        change = light + colourfulness(face) * (change - light)
        strength = plan.strength * (self._net.config.older if plan.age > plan.age_from else 1.0)
        change = strength * change * attention * asked
        whole = F.interpolate(change, (side, side), mode="bilinear", align_corners=False)
        aged = apply_change(to_net(face.crop).to(self._device), whole)
        hair = torch.from_numpy(face.hair).to(self._device)
        faded = 1 - torch.exp(-_FADING * hair * whole.mean(1, keepdim=True).clamp(min=0))
        return Aged(crop=from_net(aged + faded * (aged.mean(1, keepdim=True) - aged))[0])


def make_maps(face: Face, reading: Reading, plan: CompletePlan, gains: Sequence[float] = (1.0,) * len(ZONES)) -> Plane:
    """(2, NET_PX, NET_PX) the map a complete plan asks for, and that of the face as it is.

    A zone that was ordered but not measured is taken for a typical one. What is ordered beyond what comes with the age
    counts as often as the zone's gain says, and may leave the range of a map.
    """
    points = geometry.move_points(face.to_crop(face.landmarks), geometry.resize_matrix(len(face.crop), _NET_PX))
    age, age_from = plan.age, plan.age_from
    asked = {**reading.zones, **plan.zones}
    now = {zone: reading.zones.get(zone, typical_score(zone, age_from)) for zone in asked}
    expected = {zone: expected_score(zone, score, age_from, age) for zone, score in now.items()}

    def draw(years: float, scores: Mapping[str, float]) -> Plane:
        return make_aging_map(_NET_PX, points, float(np.clip(years, *AmganEngine.ages)), scores, face.hair)

    usual = draw(age, expected)
    target = usual.copy()
    for zone, gain in zip(ZONES, gains, strict=True):
        if zone in asked and asked[zone] != expected[zone]:
            target += gain * (draw(age, {**expected, zone: asked[zone]}) - usual)
    return np.stack([target, draw(age_from, now)])
