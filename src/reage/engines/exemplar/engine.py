"""The `exemplar` engine: lines of older people, in the common face, scaled to what the age has on that skin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from reage.engines.base import Condition
from reage.engines.exemplar.change import ExemplarChange, HairAim, wide_window
from reage.engines.exemplar.covariates import AGES, Traits, design_row
from reage.engines.exemplar.donors import Donors, choose_donors, region_weights
from reage.engines.exemplar.hair import brows_and_stubble, hair_change
from reage.engines.exemplar.hair_mask import WIDE, measure_silver
from reage.engines.exemplar.own_photos import (
    Models,
    OwnChange,
    OwnPhoto,
    measure_deviation,
    see_reference,
    steady,
)
from reage.engines.exemplar.skin_colour import skin_colour_change
from reage.engines.exemplar.view import FaceView, view_photo
from reage.faces.common_face import COMMON_UNITS
from reage.faces.segmentation import FaceParser, colourfulness
from reage.faces.skin_detail import (
    BAND_SIGMAS,
    LUMINANCE,
    PATCHES,
    SOFT_PX,
    fill_unusable,
    hold_within,
    log_luminance,
    measure_energy,
    measure_sharpness,
    patch_map,
    patch_weights,
    skin_region,
    split_bands,
    to_log,
)
from reage.images import geometry
from reage.plan import expected_score, lies_on_the_way
from reage.types import Aged, CompletePlan, Face, Plane, Reading, ReferenceFace
from reage.weights import find_weights, load_weights, made_for, weights_hash
from reage.zones import typical_score, zone_age

_CHEEKS = ("cheek.left", "cheek.right", "under_eye.left", "under_eye.right")
_MOST_BEARD_LIGHT = 0.15
"""Log luminance of grey brows and beard above that of the skin, at most: shadows are no beard."""
_MIDDLE_YEARS = 60.0
_FULL_YEARS = 25.0
"""Years from which rough skin of a face made younger is brought to what its age has in full."""
_FOLD_PX = 256
"""Side of the common face at which the colour of folds is changed: chroma is coarser than light."""
_YOUNGER_LIGHT = 0.9
"""How much of the lighter side of folds goes when the darker side goes."""
_FULL_GROWTH = 0.5
"""Growth of log energy from which smooth skin is brought to what its age has in full."""
_REFERENCES_KEPT = 32
"""References that are kept as they were seen, for other target ages; each takes 10 MB at most."""


ZoneAges = Mapping[str, tuple[float, float]]
"""Zone -> ages before and after."""


@dataclass(frozen=True, kw_only=True)
class ExemplarStrengths:
    """Factors on each change, chosen by eye and by evaluation (see the model card).

    Args:
        detail: on the added lines.
        typical: share by which skin smoother than that of its age is brought to what an older target age has.
        younger_detail: on the reduction of the log energy of a face made younger.
        younger_typical: share by which skin rougher than that of its age is brought to what a younger one has.
        bands: on each band of the added lines, finest first.
        younger_bands: on the reduction of each band of a face made younger.
        colour: on the change of low-pass colour, below and above `_MIDDLE_YEARS`: the models of light and shape, which
            are cautious, underestimate the change of young faces.
        younger: on the changes of colour and shape of a face made younger, besides.
        hue: on the hue of that change, relative to its shading.
        shape: on the change of shape, likewise.
        hair: on the greying of hair.
        zone_detail: on the growth of log energy of a zone that is asked for alone.
        zone_younger_bands: on its reduction, band by band.
        zone_colour: on its change of colour, whose mean is left out: a zone gets no other tone than what is around it.
        most_ratio: largest ratio of the energy of a patch to that of the face as it is.
        most_detail: bounds of the added log luminance, darker and lighter.
        most_colour: bound of the change of log colour.
        own_detail: on the growth of log energy by the person's own photos, made younger and older. Of a reduction, 0.35
            to 0.55 is found in the finished picture.
        own_light: on the change of low-pass light towards that of the person's own photos.
        most_own_light: bound of that change.
        own_shape: on the change of shape towards theirs.
        own_hair: on the change of the light of hair towards theirs.
    """

    detail: float = 1.05
    typical: float = 0.5
    younger_detail: float = 1.3
    younger_typical: float = 0.7
    bands: tuple[float, ...] = (1.0, 1.0, 1.0, 0.8, 0.5, 0.2)
    younger_bands: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 1.0, 0.5)
    colour: tuple[float, float] = (1.85, 1.0)
    younger: float = 0.75
    hue: float = 0.6
    shape: tuple[float, float] = (2.0, 1.2)
    hair: float = 1.0
    zone_detail: float = 1.5
    zone_younger_bands: tuple[float, ...] = (3.0, 3.0, 3.0, 2.0, 1.0, 0.3)
    zone_colour: float = 1.2
    most_ratio: float = 3.5
    most_detail: tuple[float, float] = (-0.6, 0.3)
    most_colour: float = 0.4
    own_detail: tuple[float, float] = (2.2, 1.0)
    own_light: float = 0.4
    most_own_light: float = 0.1
    own_shape: float = 0.3
    own_hair: float = 1.0


class ExemplarEngine:
    """Ages a face by the lines of donors, after ratio images (Liu, Shan & Zhang 2001), without a generator."""

    name = "exemplar"
    summary = "lines of older people in a common face: fine detail at the resolution of the photo"
    accepts: frozenset[Condition] = frozenset({"age", "zones", "skin", "references"})
    zone_driven = True
    ages = (5.0, 95.0)

    def __init__(
        self,
        tensors: dict[str, NDArray[Any]],
        config: Mapping[str, Any],
        digest: str,
        parser: FaceParser,
        strengths: ExemplarStrengths = ExemplarStrengths(),
    ) -> None:
        self.weights_hash = digest
        self.strengths = strengths
        self._energy, self._colour, self._shape = tensors["energy"], tensors["colour"], tensors["shape"]
        self._sharpness = tensors["sharpness"].astype(np.float64)
        self.donors = Donors.from_tensors(tensors, float(config["donor_step"]))
        self._parser = parser
        self._models = Models(energy=self._energy, colour=self._colour, shape=self._shape, sharpness=self._sharpness)
        self._own_photos: tuple[OwnPhoto, ...] = ()
        self._see_reference = lru_cache(maxsize=_REFERENCES_KEPT)(partial(see_reference, models=self._models))
        self._detail = lru_cache(maxsize=4)(self._make_detail)

    @classmethod
    def load(cls, weights: str | Path | None = None, device: str = "cpu") -> Self:
        """Reads the weights; the engine always runs on the CPU.

        Raises:
            WeightsError: when they are missing, damaged or made for something else.
        """
        path = find_weights(weights or cls.name)
        with made_for(path, "the exemplar engine"):
            return cls(*load_weights(path), weights_hash(path), FaceParser.load())

    def with_references(self, references: Sequence[ReferenceFace]) -> Self:
        """The engine for one person, whose own photos take the place of the mean of other people."""
        own = copy(self)
        own._own_photos = tuple(map(self._see_reference, references))
        return own

    def render(self, face: Face, reading: Reading, plan: CompletePlan) -> Aged:
        """The face at the target age, each zone at its own score, the change times `plan.strength`."""
        if keeps_face(reading, plan, self.ages):
            return Aged(crop=face.crop.copy())
        return self.learn_change(face, reading, plan).on(face, self.look(face), preview=True)

    def make_change(
        self, face: Face, reading: Reading, plan: CompletePlan, like: ExemplarChange | None = None
    ) -> ExemplarChange:
        """See `reage.engines.base.SteadyEngine`."""
        chosen = None if like is None else like.donors
        return self.steady(self.learn_change(face, reading, plan, chosen), face)

    def steady(self, change: ExemplarChange, face: Face) -> ExemplarChange:
        """The change of a face for all frames of a video."""
        return change.steadied(face, self.look(face))

    def look(self, face: Face) -> Plane:
        """(10, P, P) shares of classes around the face, also beyond its crop."""
        return self._parser.measure_shares(*wide_window(face), WIDE)

    def learn_change(
        self,
        face: Face,
        reading: Reading,
        plan: CompletePlan,
        chosen: tuple[tuple[int, bool], ...] | None = None,
        *,
        view: FaceView | None = None,
        lines: Plane | None = None,
    ) -> ExemplarChange:
        """The change of a face, for any picture of it.

        Args:
            face: as in `render`.
            reading: of it.
            plan: which changes something.
            chosen: donors as in `ExemplarChange.donors`; None for those that suit the face.
            view: of the face, if it is known.
            lines: (N, N, 3) or (N, N, 1) change of log colour in the common face, without light and shade, that takes
                the place of that by donors, see `donor_lines`.
        """
        old, new = (float(np.clip(age, *self.ages)) for age in (plan.age_from, plan.age))
        view = view or view_photo(face, reading.masculinity)
        own = self._find_own_change(view, face, old, new)
        own_zones = _own_zones(reading, plan)
        if lines is None:
            chosen = chosen or choose_donors(self.donors, view)
            lines = self._detail_change(view, chosen, old, new, own_zones, own)
        else:
            chosen = ()
        skin = lines + self._colour_change(view, old, new, own_zones)
        if own is not None:
            skin += self._own_light(own, len(skin))
        skin += skin_colour_change(face, view.levels, skin, plan)
        return ExemplarChange(
            skin=skin,
            features=self._brows_and_stubble(view, old, new),
            moves=self._moves(view, old, new, plan.strength, own),
            hair=HairAim(
                old_years=old,
                new_years=new,
                silver=measure_silver(face),
                factor=self.strengths.hair * plan.strength,
                own=own,
                own_factor=self.strengths.own_hair,
            ),
            strength=plan.strength,
            colour=colourfulness(face),
            donors=chosen,
            details={"donors": self.donors.describe(chosen)} if chosen and (new > old or own_zones) else {},
        )

    def donor_lines(self, face: Face, reading: Reading, plan: CompletePlan, view: FaceView) -> Plane:
        """(N, N, 3) the change of log colour in the common face by the lines of donors, or by fewer of the face's own.

        Args:
            face: as in `render`.
            reading: of it.
            plan: which changes something.
            view: of the face.
        """
        old, new = (float(np.clip(age, *self.ages)) for age in (plan.age_from, plan.age))
        own = self._find_own_change(view, face, old, new)
        chosen = choose_donors(self.donors, view)
        return self._detail_change(view, chosen, old, new, _own_zones(reading, plan), own)

    # Skin

    def _find_own_change(self, view: FaceView, face: Face, old: float, new: float) -> OwnChange | None:
        """What the person's own photos say about the way; None without one that lies on it."""
        photos = [one for one in self._own_photos if lies_on_the_way(one.deviation.age_years, old, new)]
        if not photos or new == old:
            return None
        return OwnChange(photos=photos, deviation=measure_deviation(view, face, old, self._models), new=new)

    def _detail_change(
        self,
        view: FaceView,
        chosen: tuple[tuple[int, bool], ...],
        old: float,
        new: float,
        own_zones: ZoneAges,
        own: OwnChange | None,
    ) -> Plane:
        """(N, N, 3) change of log colour in the common face, by the lines of the chosen donors."""
        side = len(view.levels)
        light = log_luminance(view.levels)
        bands = split_bands(fill_unusable(light, view.usable))
        sharpness = np.minimum(measure_sharpness(light) / self._sharpness, 1)
        energy, lag = self._own_energy(measure_energy(bands, view.usable), view.traits, old, sharpness)
        growth = self._log_growth(view.traits, old, new, own_zones)
        growth = self._towards_typical(growth, lag, max(0.0, old - new))
        if own is not None:
            alone = [PATCHES.index(zone) for zone in own_zones]
            growth = np.where(
                np.isin(np.arange(len(PATCHES)), alone)[:, None], growth, self._own_growth(view.traits, old, lag, own)
            )
        change = np.zeros((side, side), np.float32)
        older = (
            np.sqrt(np.clip(np.exp(2 * np.clip(growth, 0, np.log(self.strengths.most_ratio))) - 1, 0, None)) * energy
        )
        if older.max() > 0:
            detail, donor_energy = self._detail(chosen, side)
            if own is not None:
                detail, donor_energy = own.donate(detail, donor_energy)
            for index, band in enumerate(detail):
                amplitude = patch_map(older[:, index], side, SOFT_PX) * self.strengths.bands[index]
                change += np.clip(amplitude / donor_energy[index], 0, 2.5) * band
            change = hold_within(change * self.strengths.detail, *self.strengths.most_detail)
        younger = np.exp(np.minimum(growth, 0)) - 1
        if younger.min() < 0:
            for index, band in enumerate(bands):
                share = patch_map(younger[:, index], side, SOFT_PX) * self.strengths.younger_bands[index]
                change += share * np.where(band < 0, band, _YOUNGER_LIGHT * band)
        coloured = np.repeat((change * skin_region(side))[..., None], 3, -1)
        return coloured + self._fold_colour(view, younger) if younger.min() < 0 else coloured

    def _fold_colour(self, view: FaceView, younger: NDArray[np.float64]) -> Plane:
        """(N, N, 3) change of log colour by which folds that go lose their deeper colour, too."""
        side = len(view.levels)
        small = geometry.resize(view.levels, _FOLD_PX, _FOLD_PX)
        usable = geometry.resize(view.usable, _FOLD_PX, _FOLD_PX)
        hue = to_log(small) - log_luminance(small)[..., None]
        change = np.zeros_like(hue)
        for channel in range(3):
            for index, band in enumerate(split_bands(fill_unusable(hue[..., channel], usable))):
                share = patch_map(younger[:, index], _FOLD_PX, SOFT_PX) * self.strengths.younger_bands[index]
                change[..., channel] += share * band
        return geometry.resize(change * skin_region(_FOLD_PX)[..., None], side, side)

    def _make_detail(self, chosen: tuple[tuple[int, bool], ...], side_px: int) -> tuple[list[Plane], list[Plane]]:
        """Bands of the detail of the donors, one for each region, and their energy, each (N, N)."""
        weights = region_weights(side_px)
        light = np.zeros((side_px, side_px), np.float32)
        for weight, (row, mirrored) in zip(weights, chosen, strict=True):
            light += weight * geometry.resize(self.donors.detail(row, mirrored), side_px, side_px)
        small = region_weights(96)
        energy = [
            sum(
                weight * np.einsum("q,qhw->hw", self.donors.patch_energy(row, mirrored)[:, band], patch_weights())
                for weight, (row, mirrored) in zip(small, chosen, strict=True)
            )
            for band in range(len(BAND_SIGMAS))
        ]
        return split_bands(light), [geometry.resize(one.astype(np.float32), side_px, side_px) for one in energy]

    def _own_energy(
        self, energy: NDArray[np.float64], traits: Traits, old: float, sharpness: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The energy (Q, B) of the face, and the log ratio to it of that of its age in a photo as sharp.

        Where the face is hidden, it is taken to be that of the age.
        """
        typical = np.exp(np.einsum("p,pqb->qb", design_row(old, traits), self._energy)) * sharpness
        known = np.where(np.isfinite(energy), energy, typical)
        return known, np.log(typical / known)

    def _log_growth(self, traits: Traits, old: float, new: float, own_zones: ZoneAges) -> NDArray[np.float64]:
        """(Q, B) natural logarithm of the ratio of energies between both ages; it rises with age in adults."""
        curves = np.einsum("ap,pqb->aqb", design_row(AGES, traits), self._energy)
        adult = AGES >= 18
        curves[adult] = np.maximum.accumulate(curves[adult], 0)
        flat = curves.reshape(len(AGES), -1)

        def at(age: float) -> NDArray[np.float64]:
            values = [np.interp(age, AGES, column) for column in flat.T]
            return np.array(values).reshape(curves.shape[1:])

        growth = at(new) - at(old)
        for zone, (before, after) in own_zones.items():
            index = PATCHES.index(zone)
            own = at(after)[index] - at(before)[index]
            growth[index] = own * np.where(own > 0, self.strengths.zone_detail, self.strengths.zone_younger_bands)
        return growth

    def _own_growth(self, traits: Traits, old: float, lag: NDArray[np.float64], own: OwnChange) -> NDArray[np.float64]:
        """(Q, B) the growth of log energy by the person's own photos, the more the further the target age."""
        exaggeration = self.strengths.own_detail[own.new > old]

        def growth(age: float) -> NDArray[np.float64]:
            model = self._log_growth(traits, old, age, {})
            return own.energy_growth(age, self._towards_typical(model, lag, max(0.0, old - age)), model, exaggeration)

        return steady(growth, old, own.new)

    def _towards_typical(
        self, growth: NDArray[np.float64], lag: NDArray[np.float64], years_younger: float
    ) -> NDArray[np.float64]:
        """The growth (Q, B) of log energy of a face that differs by `-lag` from its age, see `ExemplarStrengths`."""
        older = growth + self.strengths.typical * np.maximum(lag, 0) * np.clip(growth / _FULL_GROWTH, 0, 1)
        excess = np.minimum(lag, 0) * min(1.0, years_younger / _FULL_YEARS)
        younger = self.strengths.younger_detail * growth + self.strengths.younger_typical * excess
        return np.where(growth > 0, older, younger)

    def _colour_change(self, view: FaceView, old: float, new: float, own_zones: ZoneAges) -> Plane:
        """(N, N, 3) change of low-pass log colour in the common face."""
        side, region = len(view.levels), _face_region()

        def between(before: float, after: float) -> Plane:
            terms = self._weighted_terms(view.traits, before, after, self.strengths.colour)
            colour: Plane = np.einsum("p,phwc->hwc", terms, self._colour).astype(np.float32)
            mean = np.average(colour.reshape(-1, 3), axis=0, weights=region.ravel())
            return colour - mean.astype(np.float32)

        colour = between(old, new)
        for zone, ages in own_zones.items():
            weight = patch_weights()[PATCHES.index(zone)]
            own = between(*ages) - colour
            own -= np.average(own.reshape(-1, 3), axis=0, weights=weight.ravel()).astype(np.float32)
            colour += weight[..., None] * np.float32(self.strengths.zone_colour) * own
        shading: Plane = (colour @ LUMINANCE)[..., None]
        colour = shading + np.float32(self.strengths.hue) * (colour - shading)
        bound = self.strengths.most_colour
        bounded = bound * np.tanh(colour / bound) * region[..., None]
        return geometry.resize(bounded.astype(np.float32), side, side)

    def _own_light(self, own: OwnChange, side_px: int) -> Plane:
        """(N, N, 1) change of low-pass log luminance towards that of the person's own photos."""
        bound = self.strengths.most_own_light
        light = own.light_change(side_px) * geometry.resize(_face_region(), side_px, side_px)
        return (bound * np.tanh(self.strengths.own_light * light / bound))[..., None].astype(np.float32)

    def _moves(self, view: FaceView, old: float, new: float, strength: float, own: OwnChange | None) -> Plane | None:
        """(478, 2) sides of the common face by which mesh points move; zones that are asked for alone do not."""
        if new == old:
            return None
        terms = self._weighted_terms(view.traits, old, new, self.strengths.shape)
        moves = np.einsum("p,pkc->kc", terms, self._shape) * strength
        if own is not None:
            moves = moves + self.strengths.own_shape * strength * own.moves()
        centred: Plane = moves - moves.mean(0)
        return centred

    def _weighted_terms(
        self, traits: Traits, old: float, new: float, weights: tuple[float, float]
    ) -> NDArray[np.float64]:
        """(P,) change of the covariates between two ages, weighted below and above `_MIDDLE_YEARS`."""
        below = design_row(min(new, _MIDDLE_YEARS), traits) - design_row(min(old, _MIDDLE_YEARS), traits)
        above = design_row(max(new, _MIDDLE_YEARS), traits) - design_row(max(old, _MIDDLE_YEARS), traits)
        return (weights[0] * below + weights[1] * above) * (self.strengths.younger if new < old else 1.0)

    # Hair

    def _brows_and_stubble(self, view: FaceView, old: float, new: float) -> Plane | None:
        """(N, N, 3) change of brows and stubble in the common face."""
        light = log_luminance(view.levels)
        unit = len(light) / COMMON_UNITS
        cheeks = view.usable * patch_mask(_CHEEKS, len(light)) > 0.5
        if not cheeks.any():
            return None
        skin_light = float(np.median(light[cheeks]))
        brows, stubble = brows_and_stubble(light, skin_light, unit, view.traits.masculinity)
        seen = view.common.visibility(len(light))
        intensity = view.levels.astype(np.float32) / np.float32(255)
        change = 0.6 * hair_change(intensity, brows * seen, unit, old, new)
        change += hair_change(intensity, stubble * seen, unit, old, new)
        too_light = np.maximum(change @ LUMINANCE - np.maximum(skin_light + _MOST_BEARD_LIGHT - light, 0), 0)
        return (change - too_light[..., None]) * np.float32(self.strengths.hair)


def keeps_face(reading: Reading, plan: CompletePlan, ages: tuple[float, float]) -> bool:
    """Whether a plan leaves a face as it is, for an engine of these ages."""
    old, new = (float(np.clip(age, *ages)) for age in (plan.age_from, plan.age))
    return plan.strength == 0 or (new == old and not _own_zones(reading, plan) and not plan.skin)


def _own_zones(reading: Reading, plan: CompletePlan) -> ZoneAges:
    """Zone -> ages before and after, of zones whose score the plan sets apart from what the age brings."""
    found = {}
    for zone, wanted in plan.zones.items():
        now = reading.zones.get(zone, typical_score(zone, plan.age_from))
        if abs(wanted - expected_score(zone, now, plan.age_from, plan.age)) > 1e-6:
            found[zone] = (zone_age(zone, now), zone_age(zone, wanted))
    return found


def patch_mask(names: Sequence[str], side_px: int) -> Plane:
    """(N, N) weight of some of `PATCHES` together."""
    small = patch_weights()[[PATCHES.index(name) for name in names]].sum(0)
    return geometry.resize(small, side_px, side_px)


def _face_region() -> Plane:
    """(96, 96) 1 on the face of the common face, also on its eyes and lips; less around it."""
    side = 96
    region = geometry.resize(skin_region(384), side, side)
    return np.clip(geometry.blur(geometry.grow(region, 0.16 * side / COMMON_UNITS), 2.0), 0, 1)
