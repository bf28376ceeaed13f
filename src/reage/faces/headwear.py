"""Tells headwear from hair: cloth that the face parser takes for hair, by its texture, its colour and where it lies.

Convention: an aligned crop is divided into `CELLS` x `CELLS` cells; shares are (10, P, P) of
`reage.face_classes.CLASSES` in the crop; lengths in face units, see `reage.faces.geometry`.
"""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
from numpy.typing import NDArray

from reage.face_classes import CLASSES
from reage.faces.geometry import face_grid, smoothstep, smoothstep_of
from reage.faces.look_net import LookNet
from reage.images import geometry, regions
from reage.types import Pixels, Plane

CELLS = 32
NUM_LOOKS = 92
"""What `measure_cells` gives for each cell."""
_PX = 128
_BLURS_PX = (0.0, 1.0, 2.0, 4.0)
_NEAR, _FAR = 0.8, 3.0
"""How far around a cell its surroundings reach, standard deviations in cells."""
_LEAST = 1e-3
_HAIR, _HAT, _SKIN, _CLOTHES = (CLASSES.index(name) for name in ("hair", "hat", "skin", "clothes"))
_TOP, _CHIN, _JAW = 10, 152, (172, 397)
_LIGHT, _COLOUR, _COLOURS = 9, slice(9, 12), 13
"""Where L*, and L*a*b*, are among the planes of a crop, and how many planes there are."""
LARGEST = 5.0
"""Of a look, standard deviations from its mean; what is beyond is clipped."""
_FEWEST_CELLS = 6.0
"""Cells of hair, below which nothing is told."""
_WORN = (1.5, 2.0)
"""Mean scores of what is hair, from which headwear is worn, and surely so."""
_WRAPPED, _NECK = 3.0, 54
"""What is added to all scores where cloth hides the neck; where the shares below the chin are among the looks."""
_NECK_COVER, _NECK_SKIN = (0.25, 0.45), (0.3, 0.15)
"""Shares of hair or hat, and of skin, below the chin, from which the neck is hidden, and surely so."""
_CLOTH = (-1.0, 0.5)
"""Scores around a cell, from which it is cloth where headwear is worn."""


def measure_cells(crop: Pixels, shares: Plane, mesh: Plane) -> Plane:
    """The numbers (CELLS, CELLS, NUM_LOOKS) that tell whether what is hair or a hat in a cell is cloth.

    Of each cell: detail of three sizes, the direction of edges towards the face, colour and its spread, near and
    further around, and by those of the skin and of all that is hair or hat; the place; the shares around. Of the face:
    where the neck, the ears, the crown and the forehead are covered; colour and detail of all that is hair or hat, and
    of the skin.

    Args:
        crop: (S, S, 3) aligned as `Face.crop`.
        shares: of the parser.
        mesh: (478, 2) or (478, 3) crop px.
    """
    points: Plane = mesh[:, :2].astype(np.float32) / np.float32(len(crop))
    small = geometry.resize(crop, _PX, _PX)
    cover = np.clip(shares[_HAIR] + shares[_HAT], 0, 1)
    planes = _measure_planes(small)
    weight, skin = (np.clip(geometry.resize(one, _PX, _PX), 0, 1) ** 2 for one in (cover, shares[_SKIN]))
    own, cells = _to_cells(planes * weight[..., None]), _to_cells(weight)
    of_all, of_skin = (np.tensordot(one, planes, 2) / (one.sum() + 1) for one in (weight, skin))
    around = {"cover": _to_cells(cover)}
    around |= {name: _to_cells(shares[CLASSES.index(name)]) for name in ("skin", "clothes", "background")}
    near, far = (_mean_around(own, cells, reach) for reach in (_NEAR, _FAR))
    local = [*_describe(near, towards=True), *_describe(far, towards=True), *_compare(near, of_skin, of_all)]
    for plane in around.values():
        local += [geometry.blur(plane, _NEAR), geometry.blur(plane, _FAR)]
    local += list(_places())
    spread = np.sqrt((((near[..., _COLOUR] - of_all[_COLOUR]) ** 2).sum(-1) * cells).sum() / (cells.sum() + 0.1))
    whole = [*_cover_of_face(around, points), *_describe(of_all), *_describe(of_skin)[:4], of_skin[_LIGHT], spread]
    whole += list(np.log(of_all[:3] + _LEAST) - np.log(of_skin[:3] + _LEAST))
    everywhere = np.broadcast_to(np.array(whole, np.float32), (CELLS, CELLS, len(whole)))
    return np.concatenate([np.stack(local, -1), everywhere], -1).astype(np.float32)


def _to_cells(plane: Plane) -> Plane:
    return geometry.resize(plane, CELLS, CELLS)


def _measure_planes(small: Pixels) -> Plane:
    """(S, S, 13): detail of light in three bands and of two colours; edges; spread of light; L*a*b* and L* squared."""
    lab = regions.to_lab(small)
    light: Plane = lab[..., 0] / np.float32(100)
    blurred = [geometry.blur(light, sigma) if sigma else light for sigma in _BLURS_PX]
    bands = [np.abs(fine - coarse) for fine, coarse in itertools.pairwise(blurred)]
    colours = [np.abs(lab[..., k] - geometry.blur(lab[..., k], 2.0)) / np.float32(30) for k in (1, 2)]
    x, y = np.zeros_like(light), np.zeros_like(light)
    x[:, 1:-1], y[1:-1] = blurred[1][:, 2:] - blurred[1][:, :-2], blurred[1][2:] - blurred[1][:-2]
    edges = [x * x - y * y, 2 * x * y, x * x + y * y]
    tones = [lab[..., 0] / np.float32(50), lab[..., 1] / np.float32(20), lab[..., 2] / np.float32(20), light * light]
    return np.dstack([*bands, *colours, np.maximum(blurred[2] - light, 0), *edges, *tones])


def _mean_around(own: Plane, weight: Plane, reach: float) -> Plane:
    """(CELLS, CELLS, 13) mean planes of what is hair or hat around each cell."""
    total: Plane = geometry.blur(own, reach) / (geometry.blur(weight, reach)[..., None] + np.float32(_LEAST))
    return total


def _describe(planes: Plane, *, towards: bool = False) -> list[Plane]:
    """Detail, edges, colour and the spread of light of means (..., 13); with the direction of edges from the face."""
    along, across, strength = (planes[..., k] for k in (6, 7, 8))
    strength = np.maximum(strength, 0) + np.float32(1e-5)
    found = [np.log(np.maximum(planes[..., k], 0) + _LEAST) for k in range(6)]
    found += [np.log(strength), np.hypot(along, across) / strength]
    if towards:
        cosine, sine = _places()[3], _directions()
        found += [(along * cosine + across * sine) / strength, np.abs(across * cosine - along * sine) / strength]
    light, a, b = (planes[..., k] for k in (9, 10, 11))
    return [*found, light, a, b, np.hypot(a, b), np.log(np.maximum(planes[..., 12] - (light / 2) ** 2, 0) + 1e-4)]


def _compare(near: Plane, of_skin: Plane, of_all: Plane) -> list[Plane]:
    """Colour by that of the skin and of all hair and hat, and detail by that of the skin."""
    found = []
    for other in (of_skin, of_all):
        away = near[..., _COLOUR] - other[_COLOUR]
        found += [*np.moveaxis(away, -1, 0), np.sqrt((away**2).sum(-1))]
    return [*found, *(np.log(near[..., k] + _LEAST) - np.log(of_skin[k] + _LEAST) for k in range(3))]


@cache
def _grid() -> tuple[Plane, Plane, Plane, Plane]:
    """Places x, y of the cells, face units, and cosine and sine of twice the angle at which they lie from the face."""
    x, y = np.moveaxis(face_grid(CELLS), -1, 0)
    down = y - np.float32(0.3)
    square = x**2 + down**2 + np.float32(1e-3)
    return x, y, (x**2 - down**2) / square, 2 * x * down / square


def _places() -> tuple[Plane, ...]:
    """Distance from the middle, height, distance from the eyes, and the direction of the cells."""
    x, y, cosine, sine = _grid()
    return np.abs(x), y, np.hypot(x, y), cosine, np.abs(sine)


def _directions() -> Plane:
    return _grid()[3]


def _cover_of_face(around: dict[str, Plane], points: Plane) -> list[float]:
    """Shares of hair or hat, skin and clothes below the chin, beside the jaw, above, on the forehead and at the ears.

    Then the share of hair or hat beside the jaw, on the side where there is less.
    """
    y, x = (np.mgrid[0:CELLS, 0:CELLS] + 0.5) / CELLS
    top, chin, (left, right) = points[_TOP, 1], points[_CHIN, 1], sorted(points[list(_JAW), 0])
    height, between = chin - top, (x > left) & (x < right)
    low = y > chin - 0.3 * height
    zones = [
        (y > chin) & (y < chin + 0.3 * height) & between,
        low & ((x < left) | (x > right)),
        y < top,
        (y > top) & (y < top + 0.25 * height) & between,
        (y > top + 0.3 * height) & (y < chin - 0.2 * height),
    ]
    found = [_mean_in(around[name], zone) for zone in zones for name in ("cover", "skin", "clothes")]
    return [*found, min(_mean_in(around["cover"], low & side) for side in (x < left, x > right))]


def _mean_in(plane: Plane, zone: NDArray[np.bool_]) -> float:
    return float(plane[zone].mean()) if zone.any() else 0.0


def _hides_neck(looks: Plane) -> float:
    """How far what is hair or a hat hides the neck, as scarves do and hair seldom does."""
    cover, skin = (float(share) for share in looks[0, 0, _NECK : _NECK + 2])
    return smoothstep_of(cover, *_NECK_COVER) * smoothstep_of(skin, *_NECK_SKIN)


class HeadwearDetector(LookNet):
    """Tells cloth, whose scores are above 0, of what `measure_cells` gave."""

    weights = "headwear"
    described_as = "a detector of headwear"
    num_looks = NUM_LOOKS
    largest = LARGEST

    def find(self, crop: Pixels, shares: Plane, mesh: Plane) -> Plane:
        """(CELLS, CELLS) share of cloth in what is hair by the parser; 0 everywhere unless most of it seems cloth.

        Args:
            crop: see `measure_cells`, as are the others.
            shares: of the parser.
            mesh: crop px.
        """
        hair = _to_cells(np.clip(shares[_HAIR], 0, 1)) ** 2
        if hair.sum() < _FEWEST_CELLS:
            return np.zeros_like(hair)
        looks = measure_cells(crop, shares, mesh)
        scores = self.score(looks) + np.float32(_WRAPPED * _hides_neck(looks))
        mean = float((scores * hair).sum() / hair.sum())
        around = (geometry.blur(scores * hair, _NEAR) + _LEAST * mean) / (geometry.blur(hair, _NEAR) + _LEAST)
        return (smoothstep_of(mean, *_WORN) * smoothstep(around, *_CLOTH)).astype(np.float32)
