"""The `amgan` engine: a small generator steered by an aging map, after AMGAN (arXiv 2008.10960)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from reage.engines.base import Condition
from reage.faces.aging_map import make_aging_map, make_location_gradients
from reage.faces.segmentation import in_colours_of
from reage.images import geometry
from reage.images.regions import to_pixels
from reage.nets.amgan_config import RATIO_OFFSET, GeneratorConfig, read_config
from reage.nets.runtime import check_outputs, load_trained
from reage.plan import expected_score
from reage.types import Aged, CompletePlan, Face, Pixels, Plane, Reading
from reage.weights import made_for, weights_hash
from reage.zones import ZONES, typical_score

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

NET_PX = 256
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

    def __init__(self, session: InferenceSession, config: GeneratorConfig, digest: str) -> None:
        self.weights_hash = digest
        self._session = session
        self._config = config

    @classmethod
    def load(cls, weights: str | Path | None = None, device: str = "cpu") -> Self:
        """The engine with the shipped generator, or that of an ONNX file that `reage training export` wrote.

        Raises:
            WeightsError: when the weights are missing, damaged or made for something else.
            EngineError: when there is no such device.
        """
        path, session, config = load_trained(weights or cls.name, device)
        with made_for(path, "an AMGAN generator"):
            check_outputs(session, ["change", "attention"])
            return cls(session, read_config(config["net"]), weights_hash(path))

    def render(self, face: Face, reading: Reading, plan: CompletePlan) -> Aged:
        """The crop aged to the target map, its change times `plan.strength`."""
        config = self._config
        maps = make_maps(face, reading, plan, config.zone_gains)
        if plan.strength == 0 or np.array_equal(*maps):
            return Aged(crop=face.crop.copy())
        applied = np.clip(np.abs(maps[0] - maps[1]) / _FULL_CHANGE_DIFFERENCE, 0, 1)[..., None]
        strength = plan.strength * (config.older_gain if plan.age > plan.age_from else 1.0)
        change = in_colours_of(face, self._predict_change(face.crop, maps)) * (strength * applied)
        side = len(face.crop)
        return Aged(crop=_apply(face, geometry.resize_linear(change, side, side)))

    def _predict_change(self, crop: Pixels, maps: Plane) -> Plane:
        """(P, P, 3) logarithm of the ratio by which the net changes each level of a crop (S, S, 3)."""
        small = geometry.resize(crop, NET_PX, NET_PX).transpose(2, 0, 1) / np.float32(127.5) - 1
        planes = 2 * np.concatenate([maps, make_location_gradients(NET_PX)]) - 1
        inputs = {"picture": small[None], "planes": planes[None].astype(np.float32)}
        change, attention = self._session.run(["change", "attention"], inputs)
        changed: Plane = (change * attention)[0].transpose(1, 2, 0)
        return changed


def _apply(face: Face, change: Plane) -> Pixels:
    """The crop with a change (S, S, 3), as `reage.nets.amgan.apply_change` makes it; lighter hair loses its colour."""
    light = face.crop.astype(np.float32) / 255
    aged = np.clip(light + (light + np.float32(RATIO_OFFSET)) * np.expm1(change), 0, 1)
    lighter = np.maximum(change.mean(-1, keepdims=True), 0)
    faded = 1 - np.exp(-_HAIR_FADING * face.hair[..., None] * lighter)
    return to_pixels(255 * (aged + faded * (aged.mean(-1, keepdims=True) - aged)))


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
        zone_gains: factor for each of `ZONES`, see `reage.nets.amgan_config.GeneratorConfig`.

    Returns:
        (2, 256, 256) target map, source map.
    """
    points = geometry.move_points(face.to_crop(face.landmarks), geometry.resize_matrix(len(face.crop), NET_PX))
    age, age_from = plan.age, plan.age_from
    wanted = {**reading.zones, **plan.zones}
    now = {zone: reading.zones.get(zone, typical_score(zone, age_from)) for zone in wanted}
    expected = {zone: expected_score(zone, score, age_from, age) for zone, score in now.items()}

    def draw(years: float, scores: Mapping[str, float]) -> Plane:
        return make_aging_map(NET_PX, points, float(np.clip(years, *AmganEngine.ages)), scores, face.hair)

    by_age = draw(age, expected)
    target = by_age.copy()
    for zone, gain in zip(ZONES, zone_gains, strict=True):
        if zone in wanted and wanted[zone] != expected[zone]:
            target += gain * (draw(age, {**expected, zone: wanted[zone]}) - by_age)
    return np.stack([target, draw(age_from, now)])
