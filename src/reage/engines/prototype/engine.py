"""The `prototype` engine: adds the mean change of faces between two ages to one face. No network, no torch."""

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
from reage.faces.mesh import to_ibug
from reage.faces.segmentation import colourfulness, face_oval
from reage.images import geometry
from reage.types import Aged, CompletePlan, Face, Plane, Reading
from reage.weights import find_weights, load_weights, made_for, weights_hash
from reage.zones import Ellipse

_HUE_SIGMA_PX = 3.0
"""Blur of the change of hue, px of the pixel models: finer structures are make-up and glasses of the training set."""


@dataclass(frozen=True, kw_only=True)
class PrototypeStrengths:
    """Factors on each learned change, chosen by eye and a few evaluations (see the model card).

    Args:
        colour: on the change of colour and shading.
        hue: on the hue of that change, relative to its shading.
        detail: on the change of the person's own detail.
        max_gain: largest factor on the person's own detail.
        wrinkles: on the detail added from donors.
        shape: on the change of shape.
        younger: on all learned changes towards a younger age, which are underestimated because the training set has few
            young people.
        hair: on the greying of hair.
        max_colour_change: bound of the change of log colour.
        max_darkening: bound of the darkening of the beard area of a face made younger.
    """

    colour: float = 1.5
    hue: float = 0.6
    detail: float = 1.5
    max_gain: float = 2.2
    wrinkles: float = 0.8
    shape: float = 1.5
    younger: float = 1.15
    hair: float = 1.0
    max_colour_change: float = 0.45
    max_darkening: float = 0.03


class PrototypeEngine:
    """Mean shape, colour and detail at each age, after Tiddeman et al. (2001), and wrinkles copied from older faces.

    Args:
        tensors: of the weights file, see `reage.training.prototype.fit_prototype`.
        digest: 12 hexadecimal digits that name the weights.
        strengths: factors on the learned changes.
    """

    name = "prototype"
    summary = "learned classical engine: shape, colour and wrinkles of each age"
    accepts: frozenset[Condition] = frozenset({"age"})
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
        self._face = ellipse_mask(frame_grid(self._colour.shape[1]), Ellipse(0.0, 0.36, 0.95, 1.25)) > 0.5

    @classmethod
    def load(cls, weights: str | Path | None = None, device: str = "cpu") -> Self:
        """Reads the weights; the engine always runs on the CPU."""
        path = find_weights(weights or cls.name)
        with made_for(path, "the prototype engine"):
            return cls(load_weights(path)[0], weights_hash(path))

    def render(self, face: Face, reading: Reading, plan: CompletePlan) -> Aged:
        """The crop with the change between `plan.age_from` and `plan.age`, times `plan.strength`."""
        old, new = (float(np.clip(age, *self.ages)) for age in (plan.age_from, plan.age))
        if new == old or plan.strength == 0:
            return Aged(crop=face.crop.copy())
        side = face.crop.shape[0]
        mesh = face.to_crop(face.mesh)
        points = to_face_units(to_ibug(mesh), side)
        skin = skin_colour(geometry.sample(face.crop, crop_places(points, self._mean, side)))
        change = covariates(new, reading.masculinity, skin) - covariates(old, reading.masculinity, skin)
        change = change * (self.strengths.younger if new < old else 1.0)
        oval = face_oval(side, face.to_crop(face.landmarks), mesh)
        before = to_log(face.crop)
        places = frame_places(points, self._mean, side)
        added = self._skin_change(before, places, change, self._wrinkles(points, reading, skin, old, new))
        added = added * np.minimum(oval, face.skin)[..., None]
        added = added + hair_change(np.exp(before) - np.float32(LOG_FLOOR), face.hair, old, new) * self.strengths.hair
        shading = (added @ LUMINANCE)[..., None]
        added = (shading + (added - shading) * colourfulness(face)).astype(np.float32)
        aged = from_log(before + np.float32(plan.strength) * added)
        shift = self._shape_shift(points, change, oval, plan.strength)
        return Aged(crop=geometry.sample(aged, geometry.pixel_grid(side, side) + shift), shift=shift)

    def _shape_shift(
        self, points: NDArray[np.float64], change: NDArray[np.float64], oval: Plane, share: float
    ) -> Plane:
        """(S, S, 2) crop px, the shift of `Aged` by the change of shape; it fades out at the border of the face."""
        side = len(oval)
        moves = np.tensordot(change[[1, 2, 4]], self._shape, 1) * (self.strengths.shape * share)
        return shape_shift(points, moves, side) * geometry.blur(oval, 0.05 * side / FACE_PER_CROP)[..., None]

    def _wrinkles(
        self, points: NDArray[np.float64], reading: Reading, skin: NDArray[np.float32], old: float, new: float
    ) -> Plane | None:
        """(FRAME_PX, FRAME_PX) log-luminance detail to add, in the mean frame; None when the face grows younger."""
        if new <= old:
            return None
        chosen = choose_donors(self._donors, traits(points, reading.masculinity, skin))
        donor_age = float(self._donors.age_years[chosen].mean())
        share = min(1.0, (new - old) / max(12.0, donor_age - old))
        return compose_detail(self._donors, chosen, self._regions) * self._skin * (share * self.strengths.wrinkles)

    def _skin_change(self, before: Plane, places: Plane, change: NDArray[np.float64], wrinkles: Plane | None) -> Plane:
        """Change of the log intensity (S, S, 3) of skin: colour and shading, the person's own detail, new wrinkles."""
        coarse = ((places + 0.5) * (self._colour.shape[1] / FRAME_PX) - 0.5).astype(np.float32)
        detail = self._detail_change(before, coarse, change)
        if wrinkles is not None:
            detail = detail + geometry.sample(wrinkles, places)
        sampled = geometry.sample(self._colour_change(change), coarse)
        colour: NDArray[Any] = sampled
        if change[1] < 0:  # young men of the training set wear more beard: no stubble is added
            beard = geometry.sample(self._beard, places)[..., None]
            colour = colour + beard * (np.maximum(colour, -self.strengths.max_darkening) - colour)
        colour = colour * (1 - geometry.sample(self._brows, places))[..., None]
        return colour + detail[..., None]

    def _colour_change(self, change: NDArray[np.float64]) -> Plane:
        """(M, M, 3) change of log colour in the pixel models' frame, smooth in hue and bounded."""
        colour = np.tensordot(change, self._colour, 1).astype(np.float32) * self.strengths.colour
        shading = colour @ LUMINANCE
        hue = geometry.blur((colour - shading[..., None]).astype(np.float32), _HUE_SIGMA_PX) * self.strengths.hue
        shading = shading - shading[self._face].mean()  # the brightness of a photo does not depend on age
        colour = shading[..., None] + hue
        return self.strengths.max_colour_change * np.tanh(colour / self.strengths.max_colour_change)

    def _detail_change(self, before: Plane, coarse: Plane, change: NDArray[np.float64]) -> Plane:
        """(S, S) change of log luminance that amplifies or attenuates each detail band of the person's own skin.

        Args:
            before: (S, S, 3) log intensity of the crop.
            coarse: (S, S, 2) where each crop pixel lies in the pixel models.
            change: of the covariates.
        """
        growth = np.tensordot(change, self._detail, 1).astype(np.float32) * (0.5 * self.strengths.detail)
        growth = geometry.sample(growth, coarse)
        light = np.log(np.clip((np.exp(before) - LOG_FLOOR) @ LUMINANCE, 0, 1) + LOG_FLOOR).astype(np.float32)
        low, high = (0.0, np.log(self.strengths.max_gain)) if change[1] > 0 else (-2.0, 0.0)
        gains = np.exp(np.clip(growth, low, high)) - 1
        bands = split_bands(light, before.shape[0] / FACE_PER_CROP)
        return np.sum([band * gains[..., i] for i, band in enumerate(bands)], axis=0)
