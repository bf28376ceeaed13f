"""What passes before a face and looks like skin, such as a hand: found because the face itself never looks like that.

Of each track some frames are kept in the common face. Their median is how the face looks, and their spread how much
that changes with expression, pose and light; what is many times farther from the median is not the face.

Convention: looks (K, N, N, 3) RGB uint8 in the common face, N = `LOOK_PX`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Self

import numpy as np

from reage.face_classes import CLASSES
from reage.faces.common_face import COMMON_UNITS, fit_common_face
from reage.faces.geometry import smoothstep
from reage.faces.skin_detail import skin_region
from reage.images import geometry, regions
from reage.types import Pixels, Plane

LOOK_PX = 96
_FINE_PX = 2 * LOOK_PX
_LEAST_LOOKS = 8
_LIGHT_UNITS, _SPREAD_UNITS, _SOFT_UNITS = 0.7, 0.05, 0.1
"""Face units: what is coarser is light; blur of the spread, and of the distance."""
_FLOOR = 2.0
"""CIE L*a*b* added to the spread."""
_STRANGE = (1.9, 3.0)
"""Distances, in spreads, from which a pixel may not be, and is not, the face."""
_LEAST_SHARE = 0.01
"""Share of the skin that must be strange."""


def look_straight(pixels: Pixels, mesh: Plane) -> Pixels:
    """(N, N, 3) the face with a mesh (478, 3) of a picture in the common face."""
    seen = geometry.sample(pixels, fit_common_face(mesh).straighten(_FINE_PX))
    return geometry.resize(seen, LOOK_PX, LOOK_PX)


@dataclass(frozen=True)
class FaceModel:
    """How a face looks in a video.

    Args:
        typical: (N, N, 3) CIE L*a*b*.
        spread: (N, N, 3).
    """

    typical: Plane
    spread: Plane

    @classmethod
    def learn(cls, looks: Sequence[Pixels]) -> Self | None:
        """The model of looks; None where there are too few."""
        if len(looks) < _LEAST_LOOKS:
            return None
        seen = np.stack([regions.to_lab(look) for look in looks])
        typical = np.median(seen, 0).astype(np.float32)
        away = np.stack([_without_light(one - typical) for one in seen])
        spread = geometry.blur(np.median(np.abs(away), 0).astype(np.float32), _SPREAD_UNITS * _UNIT)
        return cls(typical, 1.48 * spread + np.float32(_FLOOR))

    def find_strange(self, pixels: Pixels, mesh: Plane) -> Plane | None:
        """(N, N) share of what is not the face in a picture, in the common face; None where all of it is."""
        away = _without_light(regions.to_lab(look_straight(pixels, mesh)) - self.typical) / self.spread
        distance = geometry.blur(np.sqrt((away**2).sum(-1)), _SOFT_UNITS * _UNIT)
        strange = smoothstep(distance, *_STRANGE)
        share = float((strange * _skin()).sum() / _skin().sum())
        return geometry.grow(strange, _SOFT_UNITS * _UNIT / 2) * _skin() if share > _LEAST_SHARE else None


_UNIT = LOOK_PX / COMMON_UNITS


@cache
def _skin() -> Plane:
    return geometry.grow(skin_region(LOOK_PX), 0.15 * _UNIT)


def _without_light(away: Plane) -> Plane:
    """The difference (N, N, 3) without what another light makes: what is coarse in lightness, and one tint."""
    still = away.copy()
    still[..., 0] -= geometry.blur(np.ascontiguousarray(away[..., 0]), _LIGHT_UNITS * _UNIT)
    still[..., 1:] -= np.median(away[skin_region(LOOK_PX) > 0.5][:, 1:], 0)
    return still


def hide(shares: Plane, strange: Plane, mesh: Plane) -> Plane:
    """Shares (10, P, P) of `CLASSES` without skin and beard where there is something else.

    Args:
        shares: in a window.
        strange: (N, N) as found.
        mesh: (478, 3) px of the window.
    """
    side = shares.shape[-1]
    places = (fit_common_face(mesh).unroll(side) * LOOK_PX - 0.5).astype(np.float32)
    kept = 1 - np.clip(geometry.sample(strange, places), 0, 1)
    hidden = shares.copy()
    for name in ("skin", "facial_hair"):
        hidden[CLASSES.index(name)] *= kept
    return hidden
