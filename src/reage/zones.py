"""The table of facial zones: a row holds all that the code knows of a zone, and everything else is derived from it.

The zones are those of LDLA (arXiv 2507.21600). Adding one means adding a row to `ZONE_TABLE` and training again
the nets that know zones by their place in `ZONES`.

Convention:
    left and right are the viewer's; geometry in face units: the origin lies midway between the eyes, x to the viewer's
    right, y down, the distance between the eye centres is 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np

from reage.errors import PlanError

TYPICAL_AGES = (20.0, 25.0, 30.0, 35.0, 40.0, 45.0, 50.0, 55.0, 60.0, 65.0, 70.0, 75.0, 80.0, 85.0)
"""Ages in years at which `Zone.typical_scores` are given."""

_SIDES = ("left", "right")


@dataclass(frozen=True)
class Ellipse:
    """An ellipse: centre and half axes in face units, turned clockwise by degrees."""

    x: float
    y: float
    half_width: float
    half_height: float
    degrees: float = 0.0

    def mirrored(self) -> Ellipse:
        """The same ellipse on the other side of the face."""
        return Ellipse(-self.x, self.y, self.half_width, self.half_height, -self.degrees)


@dataclass(frozen=True, kw_only=True)
class Zone:
    """One row of the table.

    Args:
        name: without a side; a paired zone is called NAME.left and NAME.right.
        paired: whether there is one on each side of the face.
        part: part of the face that it belongs to.
        ellipse: place of the zone, of a pair that of the left one.
        typical_scores: mean score in [0, 1] at each of `TYPICAL_AGES`, as `reage training judge-zones` prints it.
            Between 35 and 80 years it is measured on the people `zones-a` was trained on, each scored by a fit without
            them; beyond, where there is hardly any portrait, it continues at the zone's average slope.
        phrase: the zone in a prompt; {side} is replaced.
        patch_side: side of the square patch that latent diffusion works on, face units.
        split_patch: the zone has two such patches side by side, because one would be too coarse for its fine lines.
        neighbours: names of rows whose zones share skin with it on the same side; one of both rows has to say so.
    """

    name: str
    paired: bool = False
    part: Literal["upper", "lower"]
    ellipse: Ellipse
    typical_scores: tuple[float, ...]
    phrase: str
    patch_side: float
    split_patch: bool = False
    neighbours: tuple[str, ...] = ()

    @property
    def members(self) -> tuple[str, ...]:
        """The full names: one, or a left and a right one."""
        return tuple(f"{self.name}.{side}" for side in _SIDES) if self.paired else (self.name,)


ZONE_TABLE: tuple[Zone, ...] = (
    Zone(
        name="forehead",
        part="upper",
        ellipse=Ellipse(0.0, -0.72, 0.82, 0.33),
        typical_scores=(0.09, 0.15, 0.21, 0.26, 0.30, 0.34, 0.41, 0.48, 0.55, 0.61, 0.66, 0.70, 0.74, 0.80),
        phrase="forehead",
        patch_side=0.92,
        split_patch=True,
        neighbours=("glabella",),
    ),
    Zone(
        name="glabella",
        part="upper",
        ellipse=Ellipse(0.0, -0.26, 0.21, 0.24),
        typical_scores=(0.10, 0.15, 0.21, 0.26, 0.32, 0.37, 0.42, 0.47, 0.54, 0.60, 0.66, 0.71, 0.73, 0.78),
        phrase="area between the eyebrows",
        patch_side=0.90,
        neighbours=("interocular",),
    ),
    Zone(
        name="interocular",
        part="upper",
        ellipse=Ellipse(0.0, 0.08, 0.22, 0.19),
        typical_scores=(0.17, 0.21, 0.26, 0.30, 0.35, 0.39, 0.43, 0.48, 0.53, 0.58, 0.63, 0.66, 0.68, 0.73),
        phrase="area between the eyes",
        patch_side=0.60,
    ),
    Zone(
        name="crows_feet",
        paired=True,
        part="upper",
        ellipse=Ellipse(-0.95, 0.02, 0.20, 0.30),
        typical_scores=(0.08, 0.14, 0.19, 0.24, 0.29, 0.36, 0.43, 0.49, 0.55, 0.59, 0.63, 0.67, 0.71, 0.77),
        phrase="outer corner of the {side} eye",
        patch_side=0.70,
        neighbours=("under_eye",),
    ),
    Zone(
        name="under_eye",
        paired=True,
        part="upper",
        ellipse=Ellipse(-0.50, 0.28, 0.36, 0.19),
        typical_scores=(0.13, 0.18, 0.23, 0.28, 0.32, 0.37, 0.42, 0.48, 0.54, 0.59, 0.65, 0.68, 0.72, 0.77),
        phrase="skin under the {side} eye",
        patch_side=0.75,
    ),
    Zone(
        name="nasolabial",
        paired=True,
        part="lower",
        ellipse=Ellipse(-0.48, 0.82, 0.15, 0.40, 28.0),
        typical_scores=(0.23, 0.27, 0.30, 0.34, 0.38, 0.42, 0.45, 0.49, 0.52, 0.56, 0.59, 0.62, 0.67, 0.71),
        phrase="{side} nasolabial fold",
        patch_side=0.90,
        neighbours=("lip_corners",),
    ),
    Zone(
        name="upper_lip",
        part="lower",
        ellipse=Ellipse(0.0, 0.86, 0.32, 0.12),
        typical_scores=(0.24, 0.27, 0.30, 0.33, 0.37, 0.41, 0.45, 0.49, 0.54, 0.57, 0.58, 0.59, 0.60, 0.63),
        phrase="upper lip",
        patch_side=0.75,
    ),
    Zone(
        name="lip_corners",
        paired=True,
        part="lower",
        ellipse=Ellipse(-0.62, 1.20, 0.17, 0.25, 12.0),
        typical_scores=(0.27, 0.30, 0.33, 0.37, 0.40, 0.42, 0.45, 0.48, 0.52, 0.56, 0.60, 0.64, 0.67, 0.71),
        phrase="{side} corner of the lips",
        patch_side=0.60,
    ),
)

ZONES: tuple[str, ...] = tuple(name for zone in ZONE_TABLE for name in zone.members)
"""The full names of all zones, in the order of the table: nets and tensors know a zone by its place here."""

_ZONE_OF: Mapping[str, Zone] = MappingProxyType({name: zone for zone in ZONE_TABLE for name in zone.members})

ZONE_SHAPES: Mapping[str, Ellipse] = MappingProxyType(
    {
        name: zone.ellipse.mirrored() if name.endswith(".right") else zone.ellipse
        for zone in ZONE_TABLE
        for name in zone.members
    }
)
"""Full name -> place."""

ZONE_GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "all": ZONES,
        **{part: tuple(name for name in ZONES if _ZONE_OF[name].part == part) for part in ("upper", "lower")},
        **{zone.name: zone.members for zone in ZONE_TABLE if zone.paired},
    }
)
"""Names that stand for several zones, and a paired zone without its side."""

ZONE_PRESETS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "older": {"all": 0.9},
        "younger": {"all": 0.1},
        "upper": {"upper": 0.9},
        "lower": {"lower": 0.9},
        "mixed": {"upper": 0.9, "lower": 0.1},
    }
)
"""Presets that LDLA shows (arXiv 2507.21600); the sixth, the original, is the photo itself."""


def zone_row(name: str) -> Zone:
    """The row of a full name of `ZONES`."""
    return _ZONE_OF[name]


def mirrored_zone(name: str) -> str:
    """The full name of a zone's mirror image: the same for a zone in the middle of the face."""
    base, _, side = name.partition(".")
    return f"{base}.{_SIDES[1 - _SIDES.index(side)]}" if side else base


MIRRORED_ZONES: tuple[int, ...] = tuple(ZONES.index(mirrored_zone(name)) for name in ZONES)
"""Place in `ZONES` of each zone's mirror image."""


def are_neighbours(first: str, second: str) -> bool:
    """Whether two different zones, by their full names, share skin: their rows say so, and their sides agree."""
    (a, _, side_a), (b, _, side_b) = first.partition("."), second.partition(".")
    listed = b in zone_row(first).neighbours or a in zone_row(second).neighbours
    return listed and (side_a == side_b or not side_a or not side_b)


def typical_score(name: str, age_years: float) -> float:
    """The score in [0, 1] that a zone has on average at an age; ages are clipped to 20 to 85 years."""
    return float(np.interp(age_years, TYPICAL_AGES, zone_row(name).typical_scores))


def zone_age(name: str, score: float) -> float:
    """The age in years at which a zone has this score on average: 20 for 0, 85 for 1, strictly rising.

    From 25 to 80 years it is the inverse of `typical_score`. No age has 0 or 1 on average, so the scores beyond share
    the remaining years.
    """
    return float(np.interp(score, (0, *zone_row(name).typical_scores[1:-1], 1), TYPICAL_AGES))


def expand_zones(scores: Mapping[str, float]) -> dict[str, float]:
    """Replaces the names of groups by the zones they stand for; the name that covers fewer zones wins.

    Args:
        scores: zone or group name -> score in [0, 1] (0 is the smoothest skin, 1 the most marked).

    Returns:
        Full name -> score, in the order of `ZONES`.

    Raises:
        PlanError: on an unknown name or a score outside [0, 1].
    """
    found: dict[str, float] = {}
    for name, score in sorted(scores.items(), key=lambda item: -len(ZONE_GROUPS.get(item[0], (item[0],)))):
        if name not in ZONES and name not in ZONE_GROUPS:
            known = ", ".join(dict.fromkeys(["all", "upper", "lower", *(zone.name for zone in ZONE_TABLE)]))
            raise PlanError(
                f"There is no zone '{name}'; use one of {known} (a paired one also as NAME.left, NAME.right)."
            )
        check_range(f"The score of zone '{name}'", score, 0, 1)
        found.update(dict.fromkeys(ZONE_GROUPS.get(name, (name,)), float(score)))
    return {zone: found[zone] for zone in ZONES if zone in found}


def check_range(what: str, value: object, low: float, high: float) -> None:
    """Checks a number of a plan.

    Raises:
        PlanError: when it is no finite number from low to high.
    """
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not math.isfinite(float(value)) or not low <= float(value) <= high:  # type: ignore[arg-type]
        raise PlanError(f"{what} is {value!r}; it must be a number from {low:g} to {high:g}.")
