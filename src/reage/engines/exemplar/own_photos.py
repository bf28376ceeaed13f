"""The person's own photos: how the person deviates from others of the same age takes the place of the others' mean.

A deviation is what a face has beyond the models of the engine at its age, sex, expression, pose and sharpness, so
that photos of one person can be compared across these. On the way from the age in the photo to that of a reference, the
deviation of the face goes over into that of the reference.

Convention:
    Q patches and B bands of `reage.faces.skin_detail`; M places a side of the low-pass models; energies are natural
    logarithms; shapes are sides of the common face.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reage.engines.exemplar.covariates import design_row
from reage.engines.exemplar.view import FaceView, view_photo
from reage.faces.common_face import COMMON_UNITS, align_mesh, common_grid, common_points, mirrored_points
from reage.faces.geometry import FACE_PER_CROP, smoothstep, smoothstep_of
from reage.faces.skin_detail import (
    BAND_SIGMAS,
    LUMINANCE,
    fill_unusable,
    log_luminance,
    measure_energy,
    measure_sharpness,
    patch_map,
    split_bands,
    to_log,
)
from reage.images import geometry
from reage.types import Face, Plane, ReferenceFace

_LOW_PASS_SIGMA = 0.04
"""Face units, as the models of low-pass colour were fitted."""
_MIN_SIGMA_PX = 0.8
"""A band is resolved where its sigma is as many px of the photo."""
_NEAR_YEARS = 20.0
"""A reference counts half where the target age lies so many years beyond its own."""
_DOUBT = 0.25
"""Weight of the population beside that of the references, each of which weighs 1 where it is usable."""
_SPREAD = 0.4
"""Deviations of log energy further than this from the median of the references lose weight."""
_KNOT_YEARS = 5.0
_LEAST_SEEN = 0.05
_CLIPPED = 250.0
"""Level from which skin is too bright to tell its light."""
_SURE, _LEAST_SHARE = 0.8, 0.01
"""Share of hair or skin of a pixel that is counted, and share of such pixels in a crop from which they are measured."""
_LINED_YEARS, _OLDER_YEARS = (45.0, 60.0), (5.0, 20.0)
"""Age of a reference, and years by which it is older than the photo, between which its lines come in for donors'."""
_MOST_HAIR = 1.0
"""Bound of the change of log luminance of hair."""
_LEAST_YEARS = 5.0
"""A photo is taken to be at least so many years away from its references: ages are read with an error."""


@dataclass(frozen=True, kw_only=True)
class Models:
    """The models of an engine, linear in the covariates (P,) of `design_row`.

    Args:
        energy: (P, Q, B).
        colour: (P, M, M, 3) low-pass log intensity.
        shape: (P, 478, 2) places of the mesh less the mean ones.
        sharpness: (B,) of a sharp photo.
    """

    energy: Plane
    colour: Plane
    shape: Plane
    sharpness: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """How a face deviates from the models.

    Args:
        age_years: at which it was compared.
        energy: (Q, B); NaN where skin is hidden or the photo does not resolve the band.
        light: (M, M) low-pass log luminance without the broad light of the photo.
        seen: (M, M) share of usable skin that is not too bright.
        shape: (478, 2).
        hair: log luminance of hair less that of skin, see `measure_hair`; NaN without hair.
    """

    age_years: float
    energy: NDArray[np.float64]
    light: Plane
    seen: Plane
    shape: NDArray[np.float64]
    hair: float


@dataclass(frozen=True, kw_only=True)
class OwnPhoto:
    """A reference in the common face.

    Args:
        deviation: of the face.
        detail: (N, N) log luminance of its skin, filled where it is not usable.
        usable: (N, N) share of usable skin.
        energy: (Q, B) of the bands of `detail`, not logarithmic; NaN as in the deviation.
    """

    deviation: Deviation
    detail: Plane
    usable: Plane
    energy: NDArray[np.float64]


def see_reference(reference: ReferenceFace, models: Models) -> OwnPhoto:
    """A reference in the common face, at the resolution of its photo."""
    face, reading = reference.face, reference.reading
    view = view_photo(face, reading.masculinity)
    light = fill_unusable(log_luminance(view.levels), view.usable)
    energy = measure_energy(split_bands(light), view.usable)
    energy[:, ~resolved_bands(face)] = np.nan
    deviation = measure_deviation(view, face, reading.age_years, models)
    return OwnPhoto(deviation=deviation, detail=light, usable=view.usable, energy=energy)


def resolved_bands(face: Face) -> NDArray[np.bool_]:
    """(B,) whether the photo of a face resolves a band."""
    unit_px = len(face.crop) * min(1.0, face.image_px_per_crop_px) / FACE_PER_CROP
    return np.array([sigma * unit_px >= _MIN_SIGMA_PX for sigma in BAND_SIGMAS])


def measure_deviation(view: FaceView, face: Face, age_years: float, models: Models) -> Deviation:
    """The deviation of a face seen in the common face."""
    row = design_row(age_years, view.traits)
    light = log_luminance(view.levels)
    measured = measure_energy(split_bands(fill_unusable(light, view.usable)), view.usable)
    sharpness = np.minimum(measure_sharpness(light) / models.sharpness, 1)
    energy = np.log(measured) - np.einsum("p,pqb->qb", row, models.energy) - np.log(sharpness)
    energy[:, ~resolved_bands(face)] = np.nan
    side = models.colour.shape[1]
    low = geometry.blur(to_log(view.levels) @ LUMINANCE, _LOW_PASS_SIGMA * len(light) / COMMON_UNITS)
    own = geometry.resize(low, side, side) - np.einsum("p,phwc->hwc", row, models.colour) @ LUMINANCE
    unclipped = smoothstep(view.levels.max(-1).astype(np.float32), _CLIPPED, _CLIPPED - 10)
    seen = geometry.resize(
        view.usable * geometry.blur(unclipped, _LOW_PASS_SIGMA * len(light) / COMMON_UNITS), side, side
    )
    shape = align_mesh(face.mesh) - common_points() - np.einsum("p,pkc->kc", row, models.shape)
    return Deviation(
        age_years=age_years,
        energy=energy,
        light=without_broad_light(own, seen),
        seen=seen,
        shape=shape,
        hair=measure_hair(face),
    )


def measure_hair(face: Face) -> float:
    """Median log luminance of hair less that of bare skin; NaN where little of either is seen."""
    light = log_luminance(face.crop)
    hair, skin = light[face.hair > _SURE], light[(face.bare > _SURE) & (face.hair < 1 - _SURE)]
    if min(len(hair), len(skin)) < _LEAST_SHARE * light.size:
        return float("nan")
    return float(np.median(hair) - np.median(skin))


def without_broad_light(light: Plane, seen: Plane) -> Plane:
    """Low-pass log luminance (M, M) less its mean and the quadratic surface through its seen skin."""
    x, y = np.moveaxis(common_grid(len(light)).astype(np.float64), -1, 0)
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], -1).reshape(-1, 6)
    weight = seen.reshape(-1, 1)
    normal = terms.T @ (terms * weight) + 1e-3 * np.eye(6)
    surface = terms @ np.linalg.solve(normal, terms.T @ (light.reshape(-1, 1) * weight))
    return ((light.reshape(-1, 1) - surface) * weight).reshape(light.shape).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class OwnChange:
    """What the person's own photos say about the way from the age in a photo to another.

    Args:
        photos: one or more, all of which lie on the way, see `reage.plan`.
        deviation: of the face in the photo that is changed.
        new: target age.
    """

    photos: Sequence[OwnPhoto]
    deviation: Deviation
    new: float

    def energy_growth(
        self, age: float, usual: NDArray[np.float64], model: NDArray[np.float64], exaggeration: float
    ) -> NDArray[np.float64]:
        """(Q, B) growth of log energy from the photo to an age.

        How it differs from patch to patch is taken from the references; its mean in a band tells more about the light
        and the contrast of a photo than about the person, and is that of the model.

        Args:
            age: years.
            usual: (Q, B) growth without references.
            model: (Q, B) growth of the model alone.
            exaggeration: factor on the growth with references.
        """
        theirs = np.stack([one.deviation.energy for one in self.photos])
        known = np.isfinite(theirs) & np.isfinite(self.deviation.energy)
        change = np.where(known, theirs - self.deviation.energy, 0.0)
        level = change.sum(1, keepdims=True) / np.maximum(known.sum(1, keepdims=True), 1)
        change = np.where(known, change - level, 0.0)
        agreement = known / (1 + ((change - np.median(change, 0)) / _SPREAD) ** 2)
        mean, share = self._mean(change, agreement, age)
        return usual + share * (exaggeration * (model + mean) - usual)

    def light_change(self, side_px: int) -> Plane:
        """(N, N) change of low-pass log luminance, the same on both sides of the face: light often has a side."""
        theirs = np.stack([one.deviation.light for one in self.photos])
        seen = np.stack([np.minimum(one.deviation.seen, self.deviation.seen) for one in self.photos])
        change, mirrored = theirs - self.deviation.light, seen[..., ::-1]
        change = (change * seen + change[..., ::-1] * mirrored) / np.maximum(seen + mirrored, _LEAST_SEEN)
        mean, share = self._mean(change, np.maximum(seen, mirrored), self.new)
        return geometry.resize((mean * share).astype(np.float32), side_px, side_px)

    def moves(self) -> NDArray[np.float64]:
        """(478, 2) moves of the mesh points, sides of the common face, the same on both sides: poses differ."""
        change = np.stack([one.deviation.shape for one in self.photos]) - self.deviation.shape
        change = (change + change[:, mirrored_points()] * [-1, 1]) / 2
        mean, share = self._mean(change, np.ones_like(change), self.new)
        moves: NDArray[np.float64] = mean * share
        return moves

    def hair_change(self, usual: float) -> float:
        """What is added to the usual change of the log luminance of hair: darker when made younger, else lighter."""
        theirs = np.array([one.deviation.hair for one in self.photos])
        known = np.isfinite(theirs) & np.isfinite(self.deviation.hair)
        change = np.where(known, theirs - self.deviation.hair, 0.0)
        mean, share = self._mean(change, known.astype(np.float64), self.new)
        low, high = (-_MOST_HAIR, 0.0) if self.new < self.deviation.age_years else (0.0, _MOST_HAIR)
        return float(np.clip(share * (mean - usual), low, high))

    def donate(self, detail: Sequence[Plane], energy: Sequence[Plane]) -> tuple[list[Plane], list[Plane]]:
        """The bands of donors and their energy, each (N, N), where the person's own lines are not known, else those."""
        side = len(detail[0])
        photo = max(self.photos, key=lambda one: float(one.usable.mean() * np.isfinite(one.energy).mean()))
        bands = split_bands(geometry.resize(photo.detail, side, side))
        usable = geometry.resize(photo.usable, side, side) * self._lined(photo)
        mixed, energies = [], []
        for index, band in enumerate(bands):
            known = np.isfinite(photo.energy[:, index])
            own_energy = patch_map(np.nan_to_num(photo.energy[:, index]), side)
            share = usable * patch_map(known.astype(np.float64), side)
            own = np.divide(band, own_energy, out=np.zeros_like(band), where=share > _LEAST_SEEN)
            energies.append(share * own_energy + (1 - share) * energy[index])
            mixed.append(energies[-1] * (share * own + (1 - share) * detail[index] / energy[index]))
        return mixed, energies

    def _lined(self, photo: OwnPhoto) -> float:
        """How far a photo has the lines of older people: 0 where the person was not much older than in the picture."""
        age = photo.deviation.age_years
        return smoothstep_of(age, *_LINED_YEARS) * smoothstep_of(age - self.deviation.age_years, *_OLDER_YEARS)

    def _mean(
        self, values: NDArray[np.floating], known: NDArray[np.floating], age: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The mean of values (R, ...) of the references, and its share (...) beside the population, both at an age.

        Args:
            values: finite.
            known: (R, ...) 0 to 1, how far each is known.
            age: years.
        """
        old, axes = self.deviation.age_years, (-1, *[1] * (values.ndim - 1))
        ages = np.array([way_age(one.deviation.age_years, old, self.new) for one in self.photos])
        nearness = np.array([near(own, old, age) for own in ages]).reshape(axes)
        progress = np.clip((age - old) / (ages - old), 0, 1).reshape(axes)
        weight = known * nearness
        total = weight.sum(0)
        return (weight * values).sum(0) / np.maximum(total, 1e-9), (weight * progress).sum(0) / (total + _DOUBT)


def way_age(age_years: float, old: float, new: float) -> float:
    """Age at which a reference that lies on the way is reached: its own, or that of `_LEAST_YEARS` from the photo."""
    return min(age_years, old - _LEAST_YEARS) if new < old else max(age_years, old + _LEAST_YEARS)


def near(reference_years: float, old: float, age: float) -> float:
    """Weight of a reference at an age, 1 up to its own age and less beyond."""
    beyond = max(0.0, (reference_years - age) if age < old else (age - reference_years))
    return 1 / (1 + (beyond / _NEAR_YEARS) ** 2)


def knots(old: float, new: float) -> list[float]:
    """Ages in one direction at which a curve is evaluated: the first is `old`, the last is not before `new`."""
    rounding, step = (np.ceil, _KNOT_YEARS) if new > old else (np.floor, -_KNOT_YEARS)
    last = rounding(new / _KNOT_YEARS) * _KNOT_YEARS
    first = (np.floor if new > old else np.ceil)(old / _KNOT_YEARS) * _KNOT_YEARS + step
    return [old, *np.arange(first, last + step / 2, step).tolist()]


def steady(growth: Callable[[float], NDArray[np.float64]], old: float, new: float) -> NDArray[np.float64]:
    """The growth at the target age, made steady: the further the target, the more of it, and never the other way."""
    ages = knots(old, new)
    values = np.stack([growth(age) for age in ages])
    values[0] = 0
    values = np.minimum.accumulate(values, 0) if new < old else np.maximum.accumulate(values, 0)
    sign = np.sign(new - old)
    flat = values.reshape(len(ages), -1)
    at = [np.interp(sign * new, sign * np.array(ages), column) for column in flat.T]
    return np.array(at).reshape(values.shape[1:])
