"""Shading and wrinkles for the training pairs: learned from other people, or those that a face has itself.

The shading of a zone is a prototype after Burt and Perrett (1995): at each place of the zone's patch the change of the
log light with the score, by least squares over people, the same on both sides of the face. The zone's mean brightness
is removed, because it depends more on lamps than on age.

Shading has no wrinkles, since those of different people lie in different places, and a smooth zone has none of its own
that could be deepened. It gets the wrinkles of one other person, the donor: the one whose wrinkles agree best with
everybody's. Zones where most candidates wear glasses or smile are left out, since a rim or a lip would be copied.
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
from reage.zones import ZONES, mirrored_zone

_EPS = 1e-6
_CROWS_FEET = ("crows_feet.left", "crows_feet.right")


@dataclass(frozen=True, kw_only=True)
class ShadingConfig:
    """How shading and wrinkles are learned from people and put on a face.

    Args:
        shaded_zones: zones that get shading, because `prototype`, which ages by the age alone, does not shade them by
            their scores; each with its mirror image.
        wrinkled_zones: zones that get the wrinkles of a donor; the shaded ones are among them.
        patch_px: side of the patches.
        log_offset: levels added to the light before the logarithm is taken, because what is nearly black is noise.
        light_blur: sigma to which the light of a face is blurred before it is multiplied by shading, crop sides.
        shading_blur_px: sigma to which shading is blurred.
        score_ridge: added to the variance of scores, so that there is no shading where few people show their skin.
        min_donor_score: least score of a zone whose wrinkles may be copied.
        min_donor_visible: least share of that zone that must be visible.
        wrinkle_blur_px: sigma of the blur that is subtracted from the log light to leave wrinkles.
        wrinkle_strength: factor on a donor's wrinkles when the score rises from 0 to 1.
    """

    shaded_zones: tuple[str, ...] = _CROWS_FEET
    wrinkled_zones: tuple[str, ...] = (*_CROWS_FEET, "glabella", "under_eye.left", "under_eye.right")
    patch_px: int = 96
    log_offset: float = 10.0
    light_blur: float = 0.01
    shading_blur_px: float = 0.8
    score_ridge: float = 0.002
    min_donor_score: float = 0.95
    min_donor_visible: float = 0.9
    wrinkle_blur_px: float = 6.0
    wrinkle_strength: float = 0.7


@dataclass(frozen=True, kw_only=True)
class WrinkleConfig:
    """How the wrinkles of a face are found and deepened.

    Args:
        noise_blur: sigma of what is too fine to be a wrinkle, crop sides.
        radii: half the width of the widest fine line and of the widest fold that are found, crop sides.
        half_gain_levels: depth, in levels, of a wrinkle that is deepened half as much as a faint one; without this,
            deep folds would turn black.
    """

    noise_blur: float = 0.0023
    radii: tuple[float, ...] = (0.008, 0.016)
    half_gain_levels: float = 12.0


@dataclass(frozen=True, kw_only=True)
class ZoneShading:
    """What `fit_shading` has learned.

    Args:
        changes: (K, P, P) float32, for each of the config's shaded zones the change of the log light when the score
            rises from 0 to 1.
        wrinkles: (L, P, P) float32, for each wrinkled zone what a donor's wrinkles add to that; they are never
            subtracted.
    """

    changes: NDArray[np.float32]
    wrinkles: NDArray[np.float32]


# Learned from people


def fit_shading(
    portraits: Portraits,
    scores: NDArray[np.float32],
    parser: FaceParser,
    config: ShadingConfig,
    track: Callable[[range], Iterable[int]] = iter,
) -> ZoneShading:
    """The shading and wrinkles of zones, learned from people.

    Args:
        portraits: N of them.
        scores: (N, 12) of their zones, NaN where hidden.
        parser: finds skin and hair.
        config: zones and filters.
        track: wraps the rows in a progress bar.
    """
    side, zones = config.patch_px, config.shaded_zones
    sums = np.zeros((5, len(zones), side, side))
    donors = {kind: [np.zeros((side, side), np.float32)] for kind in map(_without_side, config.wrinkled_zones)}
    for row in track(range(len(portraits))):
        face = portrait_to_face(portraits, row, parser).in_crop_frame()
        masks, points = bare_masks(face), face.to_crop(face.landmarks)
        log_light, skin = _log_light(face.crop, config), face.skin * (1 - face.hair) * face.matte
        for zone, wrinkles in _find_donor_wrinkles(face, log_light, masks, scores[row], config):
            donors[_without_side(zone)].append(_flip_right(wrinkles, zone))
        for place, zone in enumerate(zones):
            score = scores[row, ZONES.index(zone)]
            if np.isnan(score):
                continue
            cut = cut_patches(np.stack([log_light, skin, masks[zone]], -1), points, [zone], side)[0]
            light, weight, mask = np.moveaxis(cut, -1, 0)
            light = light - np.average(light, weights=mask + _EPS)
            one = np.ones_like(light)
            sums[:, place] += weight * np.stack([one, score * one, light, score * light, score**2 * one])
    chosen = {kind: config.wrinkle_strength * _most_typical(np.stack(found)) for kind, found in donors.items()}
    return ZoneShading(
        changes=_fit_slopes(sums, len(portraits), config),
        wrinkles=np.stack([_flip_right(chosen[_without_side(zone)], zone) for zone in config.wrinkled_zones]),
    )


def _find_donor_wrinkles(
    face: Face, log_light: Plane, masks: Mapping[str, Plane], scores: NDArray[np.float32], config: ShadingConfig
) -> list[tuple[str, Plane]]:
    """The zones of a face that have a high score and are visible, with their wrinkles (P, P)."""
    marked = [zone for zone in config.wrinkled_zones if scores[ZONES.index(zone)] >= config.min_donor_score]
    if not marked:
        return []
    points = face.to_crop(face.landmarks)
    visible = make_skin_view(face.crop, points, face.bare, face.hair).visible
    found = []
    for zone in marked:
        if visible[ZONES.index(zone)] >= config.min_donor_visible:
            planes = np.stack([log_light, masks[zone] * face.bare], -1)
            light, mask = np.moveaxis(cut_patches(planes, points, [zone], config.patch_px)[0], -1, 0)
            mask = np.maximum(mask, _EPS)
            sigma = config.wrinkle_blur_px
            found.append((zone, mask * (light - geometry.blur(light * mask, sigma) / geometry.blur(mask, sigma))))
    return found


def _without_side(zone: str) -> str:
    return zone.split(".")[0]


def _flip_right(plane: Plane, zone: str) -> Plane:
    """Mirrors the patch of a zone on the right, so that both sides are alike; twice is the patch itself."""
    return np.ascontiguousarray(plane[:, ::-1]) if zone.endswith(".right") else plane


def _most_typical(wrinkles: Plane) -> Plane:
    """The one of (N, P, P) with the largest sum of scalar products with the directions of the others."""
    flat = wrinkles.reshape(len(wrinkles), -1)
    directions = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), _EPS)
    products = flat @ directions.T
    return np.asarray(wrinkles[np.argmax(products.sum(1) - np.diag(products))])


def _fit_slopes(sums: NDArray[np.float64], num: int, config: ShadingConfig) -> NDArray[np.float32]:
    """Slopes (K, P, P) of y on x from the weighted sums (5, K, P, P) of 1, x, y, xy, xx over `num` people."""
    weight, x, y, xy, xx = sums
    weight = weight + _EPS
    slopes = (xy - x * y / weight) / (xx - x**2 / weight + config.score_ridge * num)
    other_side = [config.shaded_zones.index(mirrored_zone(zone)) for zone in config.shaded_zones]
    slopes = (slopes + slopes[other_side][:, :, ::-1]) / 2
    return np.stack([geometry.blur(plane.astype(np.float32), config.shading_blur_px) for plane in slopes])


def _log_light(crop: Pixels, config: ShadingConfig) -> Plane:
    return np.log(crop.astype(np.float32).mean(-1) + config.log_offset)


# Put on a face


def apply_shading(
    crop: Pixels, face: Face, shading: ZoneShading, score_changes: Mapping[str, float], config: ShadingConfig
) -> Pixels:
    """The crop with the shading of other scores, and with wrinkles where scores rise.

    Args:
        crop: (S, S, 3) the face's crop, or a changed one.
        face: where skin and zones are.
        shading: of other people.
        score_changes: zone -> change of its score; zones that are left out stay.
        config: with which the shading was learned.

    Returns:
        (S, S, 3), changed equally in all channels.
    """
    names = [zone for zone in config.wrinkled_zones if zone in score_changes]
    if not names:
        return crop
    patches = np.stack([_log_light_change(shading, zone, score_changes[zone], config) for zone in names])
    change = paste_patches(patches[..., None], face.to_crop(face.landmarks), names, bare_masks(face), len(crop))[..., 0]
    light = geometry.blur(crop.astype(np.float32).mean(-1), config.light_blur * len(crop)) + config.log_offset
    return to_pixels(crop + (face.matte * light * np.expm1(change))[..., None])


def _log_light_change(shading: ZoneShading, zone: str, score_change: float, config: ShadingConfig) -> Plane:
    wrinkles = max(0.0, score_change) * shading.wrinkles[config.wrinkled_zones.index(zone)]
    if zone not in config.shaded_zones:
        return wrinkles
    return wrinkles + score_change * shading.changes[config.shaded_zones.index(zone)]


# The wrinkles of the face itself


def scale_wrinkles(crop: Pixels, face: Face, change: float, config: WrinkleConfig) -> Pixels:
    """The crop with the wrinkles in the skin of its twelve zones deepened or removed.

    Args:
        crop: (S, S, 3) the face's crop, or a changed one.
        face: where skin and zones are; eyes, teeth and glasses stay.
        change: relative change of faint dark lines; below 0 the share of all lines, dark and light, that is removed.
        config: filters.

    Returns:
        (S, S, 3), changed equally in all channels.
    """
    light = crop.astype(np.float32).mean(-1)
    smooth = geometry.blur(light, config.noise_blur * len(crop))
    dark = _dark_lines(smooth, config)
    if change > 0:
        added = -change * dark / (1 + dark / config.half_gain_levels)
    else:
        added = -change * (dark - _dark_lines(-smooth, config))
    skin = np.sum(list(bare_masks(face).values()), axis=0) * face.matte
    return to_pixels(crop + (skin * added)[..., None])


def _dark_lines(light: Plane, config: WrinkleConfig) -> Plane:
    """(S, S) how much darker a line is than the skin beside it, 0 outside of lines: a morphological closing."""
    radii = [radius * len(light) for radius in config.radii]
    closed = [geometry.grow(geometry.grow(light, radius), -radius) for radius in radii]
    return np.asarray(np.max(closed, axis=0) - light)
