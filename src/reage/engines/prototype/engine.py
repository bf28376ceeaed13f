"""The `prototype` engine: the usual change of faces between two ages, laid on one face. No network, no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from reage.engines.base import Condition
from reage.engines.prototype.frame import FRAME_PX, crop_places, frame_grid, frame_places, shape_shift, to_face_units
from reage.engines.prototype.hair import hair_change
from reage.engines.prototype.texture import LOG_FLOOR, LUMINANCE, covariates, from_log, skin_colour, split_bands, to_log
from reage.engines.prototype.wrinkles import (
    Donors,
    beard_mask,
    brow_mask,
    choose_donors,
    compose_detail,
    region_masks,
    skin_only,
    traits,
)
from reage.faces.geometry import FACE_PER_CROP, ellipse_mask
from reage.faces.segmentation import colourfulness, face_oval
from reage.images import geometry
from reage.types import Aged, CompletePlan, Face, Plane, Reading
from reage.weights import find_weights, load_weights, made_for, weights_hash
from reage.zones import Ellipse

_HUE_SIGMA_PX = 3.0
"""Colour changes smoothly: what is finer, px of the pixel models, is make-up and glasses of the training set."""


@dataclass(frozen=True, kw_only=True)
class PrototypeStrengths:
    """How much of each learned change is applied: set by eye and a few trial evaluations (see the model card).

    Args:
        colour: of the change of colour and shading.
        hue: of the colour in that change, beside its shading.
        detail: of the change of the person's own detail.
        most_gain: largest factor on the person's own detail.
        wrinkles: of the donors' detail.
        shape: of the change of shape.
        younger: of all three when the face grows younger; the young are few in the training set, and the fit is shy.
        hair: of the greying of hair.
        most_contrast: of the person's detail, log luminance; stronger contrast belongs to frames and hair, not to skin.
        most_tint: the change of log colour stays below this.
        most_stubble: and where beards grow, a face that grows younger darkens less than this.
    """

    colour: float = 1.5
    hue: float = 0.6
    detail: float = 1.5
    most_gain: float = 2.2
    wrinkles: float = 0.8
    shape: float = 1.5
    younger: float = 1.15
    hair: float = 1.0
    most_contrast: float = 0.15
    most_tint: float = 0.45
    most_stubble: float = 0.03


class PrototypeEngine:
    """Learned mean shape, colour and detail for each age, after Tiddeman et al. (2001), and wrinkles of older faces.

    Needs the 68 landmarks, whose model must not be used commercially.
    """

    name = "prototype"
    summary = "learned classical engine: shape, colour and wrinkles of each age"
    accepts: frozenset[Condition] = frozenset({"age"})
    dense_landmarks = True
    zone_driven = False
    ages = (20.0, 85.0)

    def __init__(
        self, tensors: dict[str, NDArray[Any]], digest: str, strengths: PrototypeStrengths = PrototypeStrengths()
    ) -> None:
        self.weights_hash = digest
        self.strengths = strengths
        self._mean = tensors["mean"].astype(np.float64)
        self._colour, self._detail = tensors["colour"], tensors["detail"]
        self._shape = tensors["shape"]
        self._donors = Donors(
            layers=tensors["donor_layers"], traits=tensors["donor_traits"], age_years=tensors["donor_age_years"]
        )
        self._regions = region_masks()
        self._skin = skin_only(self._mean)
        self._brows = 0.6 * brow_mask(self._mean)
        self._beard = beard_mask(self._mean)
        self._middle = ellipse_mask(frame_grid(self._colour.shape[1]), Ellipse(0.0, 0.36, 0.95, 1.25)) > 0.5

    @classmethod
    def load(cls, weights: str | Path | None = None, device: str = "cpu") -> Self:
        """Reads the fitted tensors; it always runs on the CPU."""
        path = find_weights(weights or cls.name)
        with made_for(path, "the prototype engine"):
            return cls(load_weights(path)[0], weights_hash(path))

    def render(self, face: Face, reading: Reading, plan: CompletePlan) -> Aged:
        """The crop with the change between `plan.age_from` and `plan.age`, times `plan.strength`."""
        assert face.dense_landmarks is not None
        old, new = (float(np.clip(age, *self.ages)) for age in (plan.age_from, plan.age))
        if new == old or plan.strength == 0:
            return Aged(crop=face.crop.copy())
        side = face.crop.shape[0]
        dense = to_face_units(face.to_crop(face.dense_landmarks), side)
        skin = skin_colour(geometry.sample(face.crop, crop_places(dense, self._mean, side)))
        change = covariates(new, reading.masculinity, skin) - covariates(old, reading.masculinity, skin)
        change = change * (self.strengths.younger if new < old else 1.0)
        oval = face_oval(side, face.to_crop(face.landmarks), face.to_crop(face.dense_landmarks))
        before = to_log(face.crop)
        places = frame_places(dense, self._mean, side)
        added = self._skin_change(before, places, change, self._wrinkles(dense, reading, skin, old, new))
        added = added * np.minimum(oval, face.skin)[..., None]
        added = added + hair_change(np.exp(before) - np.float32(LOG_FLOOR), face.hair, old, new) * self.strengths.hair
        shade = (added @ LUMINANCE)[..., None]
        added = (shade + (added - shade) * colourfulness(face)).astype(np.float32)
        aged = from_log(before + np.float32(plan.strength) * added)
        moves = np.tensordot(change[[1, 2, 4]], self._shape, 1) * (self.strengths.shape * plan.strength)
        shift = shape_shift(dense, moves, side) * geometry.blur(oval, 0.05 * side / FACE_PER_CROP)[..., None]
        return Aged(crop=geometry.sample(aged, geometry.pixel_grid(side, side) + shift), shift=shift)

    def _wrinkles(
        self, dense: NDArray[np.float64], reading: Reading, skin: NDArray[np.float32], old: float, new: float
    ) -> Plane | None:
        """(FRAME_PX, FRAME_PX) log-luminance detail to add, in the mean frame; None when the face grows younger."""
        if new <= old:
            return None
        chosen = choose_donors(self._donors, traits(dense, reading.masculinity, skin))
        donor_age = float(self._donors.age_years[chosen].mean())
        share = min(1.0, (new - old) / max(12.0, donor_age - old))
        return compose_detail(self._donors, chosen, self._regions) * self._skin * (share * self.strengths.wrinkles)

    def _skin_change(self, before: Plane, places: Plane, change: NDArray[np.float64], wrinkles: Plane | None) -> Plane:
        """Change of the log intensity (S, S, 3) of skin: colour and shading, the person's own detail, new wrinkles."""
        side = before.shape[0]
        coarse = ((places + 0.5) * (self._colour.shape[1] / FRAME_PX) - 0.5).astype(np.float32)
        tint = np.tensordot(change, self._colour, 1).astype(np.float32) * self.strengths.colour
        shade = tint @ LUMINANCE
        hue = geometry.blur((tint - shade[..., None]).astype(np.float32), _HUE_SIGMA_PX) * self.strengths.hue
        shade = shade - shade[self._middle].mean()  # how bright a photo was taken says nothing about age
        tint = shade[..., None] + hue
        tint = self.strengths.most_tint * np.tanh(tint / self.strengths.most_tint)
        growth = np.tensordot(change, self._detail, 1).astype(np.float32) * (0.5 * self.strengths.detail)
        growth = geometry.sample(growth, coarse)
        light = np.log(np.clip((np.exp(before) - LOG_FLOOR) @ LUMINANCE, 0, 1) + LOG_FLOOR).astype(np.float32)
        least, most = (0.0, np.log(self.strengths.most_gain)) if change[1] > 0 else (-2.0, 0.0)
        gains = np.exp(np.clip(growth, least, most)) - 1
        detail = np.sum(
            [band * gains[..., i] for i, band in enumerate(split_bands(light, side / FACE_PER_CROP))], axis=0
        )
        if wrinkles is not None:
            detail = detail + geometry.sample(wrinkles, places)
        tint = geometry.sample(tint, coarse)
        if change[1] < 0:  # young men of the training set wear more beard: no stubble is added
            bare = geometry.sample(self._beard, places)[..., None]
            tint = tint + bare * (np.maximum(tint, -self.strengths.most_stubble) - tint)
        tint = tint * (1 - geometry.sample(self._brows, places))[..., None]
        return tint + detail[..., None]
