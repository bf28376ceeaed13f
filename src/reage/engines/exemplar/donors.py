"""Donors: older people whose lines are carried over, and the choice of those that suit a face."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reage.engines.exemplar.view import FaceView
from reage.faces.common_face import common_grid
from reage.faces.geometry import smoothstep
from reage.faces.skin_detail import PATCHES, SIZES_KEPT, skin_region
from reage.images import geometry
from reage.types import Plane
from reage.zones import mirrored_zone

REGIONS = ("forehead", "eyes", "lower face")
"""Each has a donor of its own."""
_BROWS, _CHEEKS = -0.32, 0.42
"""Heights of the seams, face units."""
_SEAM = 0.12
_TRAIT_WEIGHTS = np.array([1.5, 0.5, 0.5, 0.3, 1.2, 0.3, 0.8])
_COVER_WEIGHT, _AGE_WEIGHT = 5.0, 0.5
_BEST_AGE = 72.0
_MIRRORED_TRAITS = np.array([1, 1, 1, -1, 1, 1, -1])


MIRRORED_PATCHES = [PATCHES.index(mirrored_zone(name)) for name in PATCHES]
"""Place in `PATCHES` of each patch's mirror image."""


@dataclass(frozen=True)
class Donors:
    """D donors.

    Args:
        stored: (D, N, N) int8 log luminance without what is coarser than all bands, steps of `step`.
        step: natural logarithm.
        usable: (D, 96, 96) share of usable skin.
        energy: (D, Q, B) of each band in each patch.
        traits: (D, T).
        age_years: (D,).
        bearded: (D,) whether the lower face must not be used.
    """

    stored: NDArray[np.int8]
    step: float
    usable: Plane
    energy: Plane
    traits: Plane
    age_years: Plane
    bearded: NDArray[np.bool_]

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]], step: float) -> Donors:
        """The donors of a weights file."""
        names = {"usable": "donor_usable", "energy": "donor_energy", "traits": "donor_traits", "age_years": "donor_age"}
        values = {name: tensors[key].astype(np.float32) for name, key in names.items()}
        return cls(stored=tensors["donor_detail"], step=step, bearded=tensors["donor_bearded"].astype(bool), **values)

    def detail(self, row: int, mirrored: bool) -> Plane:
        """(N, N) log luminance of a donor."""
        detail = self.stored[row].astype(np.float32) * np.float32(self.step)
        return np.ascontiguousarray(detail[:, ::-1]) if mirrored else detail

    def describe(self, chosen: Sequence[tuple[int, bool]]) -> dict[str, dict[str, Any]]:
        """The donor of each of `REGIONS` as plain values: its number in the weights, from 0, and its age."""
        return {
            region: {"donor": row, "mirrored": mirrored, "age_years": round(float(self.age_years[row]), 1)}
            for region, (row, mirrored) in zip(REGIONS, chosen, strict=True)
        }

    def patch_energy(self, row: int, mirrored: bool) -> Plane:
        """(Q, B) energy of a donor."""
        return self.energy[row][MIRRORED_PATCHES] if mirrored else self.energy[row]


@lru_cache(SIZES_KEPT)
def region_weights(side_px: int) -> Plane:
    """(3, N, N) weight of each of `REGIONS` in the common face; they add up to 1."""
    y = common_grid(side_px)[..., 1]
    forehead = smoothstep(y, _BROWS + _SEAM, _BROWS - _SEAM)
    lower = smoothstep(y, _CHEEKS - _SEAM, _CHEEKS + _SEAM)
    return np.stack([forehead, 1 - forehead - lower, lower])


def choose_donors(donors: Donors, view: FaceView) -> tuple[tuple[int, bool], ...]:
    """For each region the row of a donor and whether it is mirrored: nearest in sex, tone, expression and light.

    The choice does not depend on the target age, so that a face keeps its lines from age to age.
    """
    own = np.array([getattr(view.traits, name) for name in view.traits.__dataclass_fields__])
    needed = geometry.resize(view.usable, 96, 96)
    area = region_weights(96) * geometry.resize(skin_region(384), 96, 96) * (0.2 + needed)
    chosen = []
    for index in range(len(REGIONS)):
        costs = []
        for mirrored in (False, True):
            traits = donors.traits * (_MIRRORED_TRAITS if mirrored else 1)
            usable = donors.usable[:, :, ::-1] if mirrored else donors.usable
            cover = (usable * area[index]).sum((1, 2)) / area[index].sum()
            cost = (np.abs(traits - own) * _TRAIT_WEIGHTS).sum(1) + _COVER_WEIGHT * (1 - cover)
            cost += _AGE_WEIGHT * np.abs(donors.age_years - _BEST_AGE) / 10
            costs.append(cost + 100.0 * donors.bearded * (index == REGIONS.index("lower face")))
        best = int(np.argmin(np.concatenate(costs)))
        chosen.append((best % len(donors.stored), best >= len(donors.stored)))
    return tuple(chosen)
