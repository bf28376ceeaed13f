"""How the light of a zone rises and falls with its score, from one person to the next, and lines for the smooth.

A prototype of each zone, after Burt and Perrett (1995): at each place of a zone's square the change of the logarithm of
the light by score, by least squares over people, and alike on both sides of the face. How bright a zone is as a whole
says more about lamps than about age, and is not in it.

A mean over people has no lines, and a smooth zone has none of its own that could be made deeper: it is lent those of
one person, in whom they go farthest the way that they go in most. Where most of those who are marked wear glasses or
smile, what is lent would be a rim or a lip: these zones are lent nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reage.data.faces import portrait_to_face
from reage.data.shards import Portraits
from reage.faces.geometry import bare_masks
from reage.faces.patches import cut_patches, paste_patches
from reage.faces.segmentation import FaceParser
from reage.faces.skin_features import make_skin_view
from reage.images import geometry
from reage.images.regions import to_pixels
from reage.types import Face, Pixels, Plane
from reage.zones import ZONES

SHADED = ("crows_feet.left", "crows_feet.right")
"""Zones whose shade `prototype`, which knows ages alone, does not show."""
LINED = (*SHADED, "glabella", "under_eye.left", "under_eye.right")
"""Zones that are lent lines."""
SHADE_PX = 96
_DARKEST = 10.0
"""Levels that are added before the logarithm is taken: what is nearly black is noise."""
_CALM, _SMOOTH = 0.01, 0.8
"""Sigma of the light that a shade falls on, crop sides; of a prototype, px."""
_FAINT = 1e-6
"""Weight of what nobody shows."""
_LEAST_SPREAD = 0.002
"""Of scores over people: where too few show their skin, there is no shade."""
_MARKED, _SHOWN = 0.95, 0.9
"""Score from which a zone may lend its lines, and the least share of it that must show."""
_FINE = 6.0
"""Sigma of what is broader than a line, px."""
_LENT = 0.7
"""Share of such lines that a zone gets whose score rises from 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class ZoneShading:
    """What there is to draw.

    Args:
        changes: (K, P, P) float32 for each of `SHADED`, change of the logarithm of the light when the score rises from
            0 to 1.
        lines: (L, P, P) float32 for each of `LINED`, what lines add to that; they are lent and never taken away.
    """

    changes: NDArray[np.float32]
    lines: NDArray[np.float32]


def fit_shading(
    portraits: Portraits,
    scores: NDArray[np.float32],
    parser: FaceParser,
    track: Callable[[range], Iterable[int]] = iter,
) -> ZoneShading:
    """The shades of training people.

    Args:
        portraits: N of them.
        scores: (N, 12) of their zones, NaN where hidden.
        parser: finds skin and hair.
        track: wraps the rows in a progress bar.
    """
    sums = np.zeros((5, len(SHADED), SHADE_PX, SHADE_PX))
    lined = {family: [np.zeros((SHADE_PX, SHADE_PX), np.float32)] for family in map(_family, LINED)}
    for row in track(range(len(portraits))):
        face = portrait_to_face(portraits, row, parser).in_crop_frame()
        masks, points = bare_masks(face), face.to_crop(face.landmarks)
        light, skin = _log_light(face.crop), face.skin * (1 - face.hair) * face.matte
        for zone, lines in _find_lines(face, light, masks, scores[row]):
            lined[_family(zone)].append(_to_left(lines, zone))
        for place, zone in enumerate(SHADED):
            score = scores[row, ZONES.index(zone)]
            if np.isnan(score):
                continue
            cut = cut_patches(np.stack([light, skin, masks[zone]], -1), points, [zone], SHADE_PX)[0]
            seen, weight, own = np.moveaxis(cut, -1, 0)
            seen = seen - np.average(seen, weights=own + _FAINT)
            one = np.ones_like(seen)
            sums[:, place] += weight * np.stack([one, score * one, seen, score * seen, score**2 * one])
    lent = {family: _LENT * _most_typical(np.stack(lines)) for family, lines in lined.items()}
    return ZoneShading(
        changes=_slopes(sums, len(portraits)),
        lines=np.stack([_to_left(lent[_family(zone)], zone) for zone in LINED]),
    )


def _find_lines(
    face: Face, light: Plane, masks: Mapping[str, Plane], scores: NDArray[np.float32]
) -> list[tuple[str, Plane]]:
    """The zones of a face that are marked and all to be seen, and their lines (P, P)."""
    marked = [zone for zone in LINED if scores[ZONES.index(zone)] >= _MARKED]
    if not marked:
        return []
    points = face.to_crop(face.landmarks)
    shown = make_skin_view(face.crop, points, face.bare, face.hair).shown
    found = []
    for zone in marked:
        if shown[ZONES.index(zone)] >= _SHOWN:
            planes = np.stack([light, masks[zone] * face.bare], -1)
            seen, own = np.moveaxis(cut_patches(planes, points, [zone], SHADE_PX)[0], -1, 0)
            own = np.maximum(own, _FAINT)
            found.append((zone, own * (seen - geometry.blur(seen * own, _FINE) / geometry.blur(own, _FINE))))
    return found


def _family(zone: str) -> str:
    return zone.split(".")[0]


def _to_left(plane: Plane, zone: str) -> Plane:
    """A zone on the right as if it were its mirror image, and back."""
    return np.ascontiguousarray(plane[:, ::-1]) if zone.endswith(".right") else plane


def _most_typical(lined: Plane) -> Plane:
    """Of lines (N, P, P) those that go farthest in the directions of the others."""
    flat = lined.reshape(len(lined), -1)
    ways = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), _FAINT)
    shared = flat @ ways.T
    return np.asarray(lined[np.argmax(shared.sum(1) - np.diag(shared))])


def _slopes(sums: NDArray[np.float64], num: int) -> NDArray[np.float32]:
    """Weighted sums of 1, x, y, xy, xx (5, K, P, P) over so many people -> slopes of y on x, alike on both sides."""
    weight, x, y, xy, xx = sums
    weight = weight + _FAINT
    slopes = (xy - x * y / weight) / (xx - x**2 / weight + _LEAST_SPREAD * num)
    slopes = (slopes + slopes[::-1, :, ::-1]) / 2
    return np.stack([geometry.blur(plane.astype(np.float32), _SMOOTH) for plane in slopes])


def apply_shading(crop: Pixels, face: Face, shades: ZoneShading, rises: Mapping[str, float]) -> Pixels:
    """The zones of `SHADED` with the shades of other scores, and those of `LINED` with lines where they rise.

    Args:
        crop: (S, S, 3) a picture of the face, in its crop.
        face: where skin and zones are.
        shades: of other people.
        rises: by how much the score of each zone is to rise; those that are left out stay.

    Returns:
        (S, S, 3), changed in light alone.
    """
    names = [zone for zone in LINED if zone in rises]
    if not names:
        return crop
    own = np.stack([_change(shades, zone, rises[zone]) for zone in names])
    change = paste_patches(own[..., None], face.to_crop(face.landmarks), names, bare_masks(face), len(crop))[..., 0]
    light = geometry.blur(crop.astype(np.float32).mean(-1), _CALM * len(crop)) + _DARKEST
    return to_pixels(crop + (face.matte * light * np.expm1(change))[..., None])


def _change(shades: ZoneShading, zone: str, rise: float) -> Plane:
    lines = max(0.0, rise) * shades.lines[LINED.index(zone)]
    return lines + rise * shades.changes[SHADED.index(zone)] if zone in SHADED else lines


def _log_light(crop: Pixels) -> Plane:
    return np.log(crop.astype(np.float32).mean(-1) + _DARKEST)
