"""How the light and shade of a zone rise and fall with its score, from one person to the next.

A prototype of each zone, after Burt and Perrett (1995): at each place of a zone's square the change of the logarithm of
the light by score, by least squares over people, and alike on both sides of the face. How bright a zone is as a whole
says more about lamps than about age, and is not in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reage.evaluation.subjects import face_of, in_own_crop
from reage.images import geometry
from reage.images.regions import to_pixels
from reage.matte import Parser
from reage.portraits import Portraits
from reage.squares import cut_squares, paste_squares
from reage.types import ZONES, Face, Pixels, Plane
from reage.zones import bare_masks

SHADED = ("crows_feet.left", "crows_feet.right")
"""Zones whose shade `prototype`, which knows ages alone, does not show."""
SHADE_PX = 96
_DARKEST = 10.0
"""Levels that are added before the logarithm is taken: what is nearly black is noise."""
_CALM, _SMOOTH = 0.01, 0.8
"""Sigma of the light that a shade falls on, crop sides; of a prototype, px."""
_FAINT = 1e-6
"""Weight of what nobody shows."""
_LEAST_SPREAD = 0.002
"""Of scores over people: where too few show their skin, there is no shade."""


@dataclass(frozen=True, kw_only=True)
class Shades:
    """One plane for each of `SHADED`.

    Args:
        changes: (K, P, P) float32 change of the logarithm of the light when the score rises from 0 to 1.
    """

    changes: NDArray[np.float32]


def fit_shades(
    portraits: Portraits,
    scores: NDArray[np.float32],
    parser: Parser,
    track: Callable[[range], Iterable[int]] = iter,
) -> Shades:
    """The shades of training people.

    Args:
        portraits: N of them.
        scores: (N, 12) of their zones, NaN where hidden.
        parser: finds skin and hair.
        track: wraps the rows in a progress bar.
    """
    sums = np.zeros((5, len(SHADED), SHADE_PX, SHADE_PX))
    for row in track(range(len(portraits))):
        face = in_own_crop(face_of(portraits, row, parser))
        masks, points = bare_masks(face), face.to_crop(face.landmarks)
        light, skin = _log_light(face.crop), face.skin * (1 - face.hair) * face.matte
        for place, zone in enumerate(SHADED):
            score = scores[row, ZONES.index(zone)]
            if np.isnan(score):
                continue
            cut = cut_squares(np.stack([light, skin, masks[zone]], -1), points, [zone], SHADE_PX)[0]
            seen, weight, own = np.moveaxis(cut, -1, 0)
            seen = seen - np.average(seen, weights=own + _FAINT)
            one = np.ones_like(seen)
            sums[:, place] += weight * np.stack([one, score * one, seen, score * seen, score**2 * one])
    return Shades(changes=_slopes(sums, len(portraits)))


def _slopes(sums: NDArray[np.float64], num: int) -> NDArray[np.float32]:
    """Weighted sums of 1, x, y, xy, xx (5, K, P, P) over so many people -> slopes of y on x, alike on both sides."""
    weight, x, y, xy, xx = sums
    weight = weight + _FAINT
    slopes = (xy - x * y / weight) / (xx - x**2 / weight + _LEAST_SPREAD * num)
    slopes = (slopes + slopes[::-1, :, ::-1]) / 2
    return np.stack([geometry.blur(plane.astype(np.float32), _SMOOTH) for plane in slopes])


def shade_zones(crop: Pixels, face: Face, shades: Shades, rises: Mapping[str, float]) -> Pixels:
    """The zones of `SHADED` with the shades of other scores.

    Args:
        crop: (S, S, 3) a picture of the face, in its crop.
        face: where skin and zones are.
        shades: of other people.
        rises: by how much the score of each zone is to rise; those that are left out stay.

    Returns:
        (S, S, 3), changed in light alone.
    """
    names = [zone for zone in SHADED if zone in rises]
    if not names:
        return crop
    own = np.stack([rises[zone] * shades.changes[SHADED.index(zone)] for zone in names])
    change = paste_squares(own[..., None], face.to_crop(face.landmarks), names, bare_masks(face), len(crop))[..., 0]
    light = geometry.blur(crop.astype(np.float32).mean(-1), _CALM * len(crop)) + _DARKEST
    return to_pixels(crop + (face.matte * light * np.expm1(change))[..., None])


def _log_light(crop: Pixels) -> Plane:
    return np.log(crop.astype(np.float32).mean(-1) + _DARKEST)
