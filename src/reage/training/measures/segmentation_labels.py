"""Automatic labels of the classes of the face parser, from the face mesh, a matte of the person and models of colour.

The mesh gives eyes, brows, the open mouth and the oval of the face; the matte gives the person. Between these, each
class has a mixture of colours, fitted to places where it is almost certain, and the costs of all classes are smoothed
along the edges of the picture (cost-volume filtering, Rhemann et al. 2011). What stays doubtful is unlabelled.

Convention:
    a wide crop (S, S, 3) RGB uint8 shows `WIDE` crop sides around the face; mesh points (478, 2) px of the wide crop;
    lengths in face units, see `reage.faces.geometry`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reage.face_classes import CLASSES
from reage.faces.geometry import FACE_PER_CROP
from reage.images import geometry, regions, shapes
from reage.mesh_points import BROW_OUTLINES, EYE_OUTLINES, FACE_OUTLINE, LIP_OUTLINE, MOUTH_OUTLINE
from reage.training.measures.losses import UNLABELLED
from reage.types import Pixels, Plane

Mask = NDArray[np.bool_]
Labels = NDArray[np.int8]

WIDE = 2.0
"""Side of a wide crop, crop sides."""
LABEL_PX = 256

_UNIT = LABEL_PX / (WIDE * FACE_PER_CROP)
_MAX_COST = 12.0
_MIN_SHARE = 0.8
"""Posterior probability below which a pixel is unlabelled."""
_MIN_SEEDS, _MAX_SEEDS = 40, 1500
_NUM_COLOURS = 4
_COLOUR_FLOOR = np.array([9.0, 4.0, 4.0, 0.5])
"""Variances of L*, a*, b* and texture that every colour of a class has at least."""
_MAX_HIGH_SKIN = 0.1
"""Largest area of skin above the forehead, square face units."""
_BEARD_DISTANCE, _MIN_BEARD_SHARE = 1.8, 0.15
"""Distance from the colour of the skin, in its spreads, at which the lower face may be beard; share of such pixels, of
where a beard may grow, from which they are doubtful."""
_MODELS = ("background", "skin", "hair", "clothes", "facial_hair")


def label_wide_crop(wide: Pixels, mesh: Plane, person: Plane, visible: Mask, *, has_glasses: bool = False) -> Labels:
    """The class of each pixel, an index into `reage.face_classes.CLASSES`, or `UNLABELLED`.

    Args:
        wide: (S, S, 3).
        mesh: (478, 2).
        person: (S, S) share of the person.
        visible: (S, S) whether the pixel lies inside the photo.
        has_glasses: what looks like a frame or a lens around the eyes is unlabelled.

    Returns:
        (LABEL_PX, LABEL_PX) int8.
    """
    small = geometry.resize(wide, LABEL_PX, LABEL_PX)
    points = (mesh + 0.5) * (LABEL_PX / len(wide)) - 0.5
    matte = geometry.resize(person, LABEL_PX, LABEL_PX).astype(np.float32)
    shares = _segment(small, points, matte, visible_small := shrink(visible))
    labels = np.full((LABEL_PX, LABEL_PX), UNLABELLED, np.int8)
    for index, name in enumerate(_MODELS):
        labels[shares[index] > _MIN_SHARE] = CLASSES.index(name)
    labels[~visible_small] = UNLABELLED
    _drop_loose_hair(labels, points)
    _drop_high_skin(labels, points)
    _drop_doubtful_beard(labels, regions.to_lab(small), points)
    _draw_features(labels, points, has_glasses)
    return labels


def polygon(points: Plane, indices: tuple[int, ...], grow: float = 0.0) -> Mask:
    """(LABEL_PX, LABEL_PX) inside an outline of mesh points, grown by so many face units."""
    filled = (shapes.fill_polygon(points[list(indices)], LABEL_PX, LABEL_PX) > 0).astype(np.float32)
    return geometry.grow(filled, grow * _UNIT) > 0


def shrink(mask: Mask) -> Mask:
    """A mask of a wide crop at (LABEL_PX, LABEL_PX): what lies in it as a whole."""
    small: Plane = geometry.resize(mask.astype(np.float32), LABEL_PX, LABEL_PX)
    return small > 0.99


def _segment(small: Pixels, points: Plane, matte: Plane, visible: Mask) -> Plane:
    """(5, LABEL_PX, LABEL_PX) posterior of the classes of `_MODELS`."""
    lab = regions.to_lab(small)
    features = np.dstack([lab, 0.5 * _texture(lab[..., 0])]).astype(np.float32)
    seeds, log_prior = _seeds(lab, points, matte, visible), _log_prior(points, matte)
    guide = lab[..., 0] / np.float32(100)
    for _ in range(2):
        costs = [_cost(features, seeds[name]) for name in _MODELS]
        total = np.stack([np.clip(cost, 0, _MAX_COST) - prior for cost, prior in zip(costs, log_prior, strict=True)])
        total -= total.min(0)
        smooth = np.stack([_filter(plane, guide) for plane in np.minimum(total, _MAX_COST)])
        shares = np.exp(-(smooth - smooth.min(0)))
        shares /= shares.sum(0)
        seeds = {name: (shares[index] > 0.9) & visible for index, name in enumerate(_MODELS)}
    return shares.astype(np.float32)


def _filter(cost: Plane, guide: Plane) -> Plane:
    return _MAX_COST * regions.follow_edges((cost / _MAX_COST).astype(np.float32), guide, 5, 4e-4)


def _texture(light: Plane) -> Plane:
    return geometry.blur(np.abs(light - geometry.blur(light, 2.0)), 3.0)


def _seeds(lab: Plane, points: Plane, matte: Plane, visible: Mask) -> dict[str, Mask]:
    """Places where a class is almost certain."""
    y = geometry.pixel_grid(LABEL_PX, LABEL_PX)[..., 1]
    brow, chin = points[[105, 334], 1].mean(), points[152, 1]
    oval = polygon(points, FACE_OUTLINE)
    core = polygon(points, FACE_OUTLINE, -0.15) & (y > brow) & ~polygon(points, LIP_OUTLINE, 0.1)
    for outline in (*EYE_OUTLINES, *BROW_OUTLINES):
        core &= ~polygon(points, outline, 0.12)
    centre, spread = _skin_colour(lab, core & (y < points[2, 1]) & visible)
    from_skin = _distance_from(lab, centre, spread)
    person = (matte > 0.8) & visible
    crown = polygon(points, FACE_OUTLINE, 0.75) & ~polygon(points, FACE_OUTLINE, 0.12) & (y < points[2, 1])
    return {
        "background": (matte < 0.1) & visible,
        "skin": core & (from_skin < 3) & visible,
        "hair": person & crown & (from_skin > 2.5) & ~oval,
        "facial_hair": _beard_seeds(lab, points, centre, spread) & visible,
        "clothes": person & (y > chin + 1.1 * _UNIT) & (from_skin > 2.5),
    }


def _skin_colour(lab: Plane, cheeks: Mask) -> tuple[Plane, Plane]:
    """Centre (3,) and spread (3,) of the colours of bare skin, L*a*b*."""
    centre = np.median(lab[cheeks], 0)
    return centre, 1.48 * np.median(np.abs(lab[cheeks] - centre), 0) + np.array([5, 2.5, 2.5])


def _distance_from(lab: Plane, centre: Plane, spread: Plane) -> Plane:
    distance: Plane = np.sqrt((((lab - centre) / spread) ** 2 * np.array([0.5, 1, 1])).sum(-1))
    return distance


def _beard_region(points: Plane) -> Mask:
    """Where a beard or moustache may grow: the face below the nose without the lips, and below the chin."""
    y = geometry.pixel_grid(LABEL_PX, LABEL_PX)[..., 1]
    face = polygon(points, FACE_OUTLINE, 0.1) & (y > points[2, 1] + 0.12 * _UNIT)
    below_chin = polygon(points, FACE_OUTLINE, 0.35) & (y > points[152, 1] - 0.1 * _UNIT)
    return (face | below_chin) & ~polygon(points, LIP_OUTLINE, 0.04)


def _beard_seeds(lab: Plane, points: Plane, skin: Plane, spread: Plane) -> Mask:
    """Places of the lower face that are much darker, or greyer, than the skin; none when they are few."""
    region = polygon(points, FACE_OUTLINE, -0.05) & _beard_region(points)
    far = _distance_from(lab, skin, spread)
    unlike = region & (far > 2.8) & (np.hypot(lab[..., 1], lab[..., 2]) < np.hypot(skin[1], skin[2]) + 2)
    unlike = regions.without_specks(unlike, 3)
    return unlike if unlike.sum() > 0.12 * region.sum() else np.zeros_like(unlike)


def _drop_loose_hair(labels: Labels, points: Plane) -> None:
    """Hair that is not joined to hair above the mouth is unlabelled: it may be clothes."""
    y = geometry.pixel_grid(LABEL_PX, LABEL_PX)[..., 1]
    hair = labels == CLASSES.index("hair")
    for part in regions.connected_parts(hair):
        if y[part].min() > points[13, 1] or part.sum() < 30:
            labels[part] = UNLABELLED


def _drop_high_skin(labels: Labels, points: Plane) -> None:
    """Where much above the forehead is called skin, all there is unlabelled: it may be hair of the colour of skin."""
    high = geometry.pixel_grid(LABEL_PX, LABEL_PX)[..., 1] < points[10, 1] - 0.2 * _UNIT
    skin = high & (labels == CLASSES.index("skin"))
    if skin.sum() > _MAX_HIGH_SKIN * _UNIT**2:
        labels[high & np.isin(labels, [CLASSES.index("skin"), CLASSES.index("hair")])] = UNLABELLED
        labels[polygon(points, FACE_OUTLINE, 0.8) & (labels == CLASSES.index("hair"))] = UNLABELLED


def _drop_doubtful_beard(labels: Labels, lab: Plane, points: Plane) -> None:
    """Skin of the lower face that is unlike that of the cheeks is unlabelled where there is much of it."""
    y = geometry.pixel_grid(LABEL_PX, LABEL_PX)[..., 1]
    region = polygon(points, FACE_OUTLINE, -0.05) & _beard_region(points)
    cheeks = polygon(points, FACE_OUTLINE, -0.25) & (y > points[[159, 386], 1].mean() + 0.25 * _UNIT) & ~region
    if cheeks.sum() < _MIN_SEEDS:
        return
    unlike = _distance_from(lab, *_skin_colour(lab, cheeks)) > _BEARD_DISTANCE
    if (unlike & region).sum() > _MIN_BEARD_SHARE * region.sum():
        near = geometry.grow((unlike & _beard_region(points)).astype(np.float32), 0.06 * _UNIT) > 0
        labels[near & (labels == CLASSES.index("skin")) & _beard_region(points)] = UNLABELLED


def _log_prior(points: Plane, matte: Plane) -> list[Plane]:
    """Log of the prior of each class by place."""
    grid = geometry.pixel_grid(LABEL_PX, LABEL_PX)
    y = grid[..., 1]
    chin, brow = points[152, 1], points[[105, 334], 1].mean()
    outside = regions.distance_px(~polygon(points, FACE_OUTLINE)) / _UNIT
    inside = regions.distance_px(polygon(points, FACE_OUTLINE)) / _UNIT
    below = (y - chin) / _UNIT
    person = np.clip(matte, 0.003, 0.997)
    skin = -1.2 * np.clip(outside - 0.25, 0, 4) - 2.5 * ((outside > 0.05) & (y < points[10, 1]))
    hair = -3.0 * np.clip(inside / 0.25, 0, 3) * (y > brow) - 0.8 * np.clip(inside / 0.25, 0, 2)
    hair = hair - 1.5 * np.clip(below, 0, 3) - 0.6 * np.clip(outside - 0.9, 0, 3)
    clothes = -9.0 * np.clip(-(below - 0.25) * 2, 0, 1) - 9.0 * (inside > 0)
    beard = np.where(_beard_region(points), -0.5, -9.0)
    background = np.log(1 - person) - 6.0 * (inside > 0.1)
    return [background, *(np.log(person) + own for own in (skin, hair, clothes, beard))]


def _cost(features: Plane, seeds: Mask) -> Plane:
    """Negative log-likelihood of each pixel under a mixture of colours fitted to the seeds; high without seeds."""
    found = features[seeds]
    if len(found) < _MIN_SEEDS:
        return np.full(features.shape[:2], 0.75 * _MAX_COST, np.float32)
    found = found[:: max(1, len(found) // _MAX_SEEDS)]
    return regions.fit_mixture(found, _NUM_COLOURS, _COLOUR_FLOOR).measure_cost(features)


def _draw_features(labels: Labels, points: Plane, has_glasses: bool) -> None:
    """Draws brows, eyes and the open mouth over the labels, each with an unlabelled rim."""
    lips = polygon(points, LIP_OUTLINE)
    labels[lips] = CLASSES.index("skin")
    mouth = polygon(points, MOUTH_OUTLINE)
    if np.linalg.norm(points[14] - points[13]) > 0.06 * _UNIT * 2:
        labels[polygon(points, MOUTH_OUTLINE, 0.03)] = UNLABELLED
        labels[mouth] = CLASSES.index("mouth")
    for brow in BROW_OUTLINES:
        labels[polygon(points, brow, 0.07)] = UNLABELLED
        labels[polygon(points, brow)] = CLASSES.index("facial_hair")
    for eye in EYE_OUTLINES:
        labels[polygon(points, eye, 0.04)] = UNLABELLED
        labels[polygon(points, eye)] = CLASSES.index("eyes")
    for eye in EYE_OUTLINES if has_glasses else ():
        labels[polygon(points, eye, 0.45)] = UNLABELLED
