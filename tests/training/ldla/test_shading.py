"""Shading and wrinkles of zones: learned from other people, or those of the face itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from reage.data.shards import Portrait, Portraits
from reage.faces.geometry import bare_masks, face_grid, zone_masks
from reage.faces.patches import cut_patches
from reage.faces.segmentation import FaceParser
from reage.images import geometry
from reage.training.ldla.shading import (
    ShadingConfig,
    WrinkleConfig,
    ZoneShading,
    apply_shading,
    fit_shading,
    scale_wrinkles,
)
from reage.types import Face, Pixels
from reage.zones import ZONES

DIMMER = 0.8
CONFIG = ShadingConfig()
SHADED, WRINKLED, SIDE = CONFIG.shaded_zones, CONFIG.wrinkled_zones, CONFIG.patch_px


@pytest.fixture(scope="module")
def dimmed(face: Face) -> Pixels:
    """The demo face, darker on the lower half of its left crow's foot."""
    lower = np.arange(len(face.crop))[:, None] > face.to_crop(face.landmarks)[:4, 1].mean()
    factor = 1 - (1 - DIMMER) * bare_masks(face)["crows_feet.left"] * lower
    return (face.crop * factor[..., None]).astype(np.uint8)


@pytest.fixture(scope="module")
def learn(make_portrait: Callable[..., Portrait], to_columns: Callable[..., Portraits]) -> Callable[..., ZoneShading]:
    """Learns shading from young faces and old ones, two of each; one zone of the old ones may be left unmarked."""

    def fit(young: Pixels, old: Pixels, config: ShadingConfig = CONFIG, unmarked: str = "") -> ZoneShading:
        portraits = [
            make_portrait(crop, person=f"{k}{place}") for k in range(2) for place, crop in ((0, young), (1, old))
        ]
        scores = np.tile(np.array([[0.0], [1.0]], np.float32), (2, len(ZONES)))
        scores[:, [zone == unmarked for zone in ZONES]] = 0
        return fit_shading(to_columns(portraits), scores, FaceParser.load(), config)

    return fit


def uniform(change: float, wrinkles: float) -> ZoneShading:
    """The same in every place of a zone."""
    planes = np.ones((len(WRINKLED), SIDE, SIDE), np.float32)
    return ZoneShading(changes=change * planes[: len(SHADED)], wrinkles=wrinkles * planes)


def mean_change(shading: ZoneShading, face: Face, zone: str, half: slice) -> float:
    mask = cut_patches(bare_masks(face)[zone], face.to_crop(face.landmarks), [zone], SIDE)[0, half]
    return float(np.average(shading.changes[SHADED.index(zone)][half], weights=mask))


@pytest.mark.parametrize("zone", SHADED)
def test_shading_that_comes_with_the_score_is_learned_and_applied(
    zone: str, face: Face, dimmed: Pixels, learn: Callable[..., ZoneShading]
) -> None:
    """The people have it on one side, so half of it is learned for both."""
    shading = learn(face.crop, dimmed)
    upper, lower = (mean_change(shading, face, zone, half) for half in (slice(0, 40), slice(56, SIDE)))
    assert lower < upper - 0.05
    drawn = apply_shading(face.crop, face, shading, {zone: 1.0}, CONFIG).astype(int) - face.crop
    place, rows = bare_masks(face)[zone] * face.matte > 0.9, np.arange(len(face.crop))[:, None]
    below = rows > face.to_crop(face.landmarks)[:4, 1].mean() + 8
    assert drawn[place & below].mean() < -2
    assert drawn[place & below].mean() < drawn[place & ~below].mean() - 3
    assert not drawn[bare_masks(face)[zone] == 0].any()
    assert np.median(np.ptp(drawn[place], axis=-1)) == 0


def test_a_darker_photo_is_no_shading(face: Face, learn: Callable[..., ZoneShading]) -> None:
    changes = learn(face.crop, (DIMMER * face.crop).astype(np.uint8)).changes
    zone = "crows_feet.left"
    inside = cut_patches(bare_masks(face)[zone], face.to_crop(face.landmarks), [zone], SIDE)[0] > 0.5
    assert np.abs(changes[0][inside]).mean() < 0.15 * -np.log(DIMMER)


def test_scores_that_stay_change_nothing(face: Face) -> None:
    shading = uniform(1.0, 1.0)
    for score_changes in ({}, {"forehead": 1.0}, dict.fromkeys(WRINKLED, 0.0)):
        same = apply_shading(face.crop, face, shading, score_changes, CONFIG)
        np.testing.assert_array_equal(same, face.crop)


def test_eyes_and_glasses_get_no_shading(face: Face) -> None:
    shading = uniform(1.0, 1.0)
    covered = replace(face, matte=np.zeros_like(face.matte))
    same = apply_shading(face.crop, covered, shading, dict.fromkeys(WRINKLED, 1.0), CONFIG)
    np.testing.assert_array_equal(same, face.crop)


@pytest.fixture(scope="module")
def wrinkled(face: Face) -> Pixels:
    """The demo face with a fan of dark lines on its left crow's foot."""
    x, y = np.moveaxis(face_grid(len(face.crop), face.to_crop(face.landmarks)), -1, 0)
    angle = np.degrees(np.arctan2(y, -x - 0.7))
    fan = np.clip(1 - np.abs((angle + 7) % 14 - 7) / 3, 0, 1) * bare_masks(face)["crows_feet.left"]
    return (face.crop * (1 - 0.35 * fan[..., None])).astype(np.uint8)


def roughness(plane: np.ndarray, inside: np.ndarray) -> float:
    return float((plane - geometry.blur(plane, 4.0))[inside].std())


def test_a_donor_must_show_enough_of_the_zone(wrinkled: Pixels, face: Face, learn: Callable[..., ZoneShading]) -> None:
    """Hair hides a part of this one."""
    assert not learn(face.crop, wrinkled).wrinkles[:2].any()


def test_wrinkles_of_a_donor_are_learned_for_both_sides(
    face: Face, wrinkled: Pixels, learn: Callable[..., ZoneShading]
) -> None:
    zone, points = "crows_feet.left", face.to_crop(face.landmarks)
    config = replace(CONFIG, min_donor_visible=0.6)
    plain, shading = (learn(face.crop, old, config, "crows_feet.right") for old in (face.crop, wrinkled))
    left, right, brow, left_bag, right_bag = shading.wrinkles
    assert brow.any()
    np.testing.assert_array_equal(left, right[:, ::-1])
    np.testing.assert_array_equal(left_bag, right_bag[:, ::-1])
    lights, masks = (
        np.moveaxis(cut_patches(np.stack(planes, -1), points, [zone], SIDE)[0], -1, 0)
        for planes in (
            [np.log(crop.astype(np.float32).mean(-1) + 10) for crop in (wrinkled, face.crop)],
            [bare_masks(face)[zone] * face.bare] * 2,
        )
    )
    inside = masks[0] > 0.9
    fan = lights[0] - lights[1]
    fan -= geometry.blur(fan, 6.0)
    assert np.corrcoef(left[inside], fan[inside])[0, 1] > 0.6
    assert roughness(left, inside) > 1.7 * roughness(plain.wrinkles[0], inside)
    assert np.abs(left[masks[0] < 1e-3]).max() < 0.01


@pytest.mark.parametrize("zone", WRINKLED)
def test_wrinkles_of_a_donor_are_added_and_never_subtracted(zone: str, face: Face) -> None:
    shading = uniform(0.0, -0.2)
    older, younger = (apply_shading(face.crop, face, shading, {zone: change}, CONFIG) for change in (0.8, -0.8))
    assert older.astype(int).sum() < face.crop.astype(int).sum()
    np.testing.assert_array_equal(younger, face.crop)


def test_where_no_score_is_high_there_are_no_wrinkles(
    face: Face, wrinkled: Pixels, make_portrait: Callable[..., Portrait], to_columns: Callable[..., Portraits]
) -> None:
    people = to_columns([make_portrait(crop, person=f"{n}") for n, crop in enumerate((face.crop, wrinkled))])
    scores = np.tile(np.array([[0.1], [0.9]], np.float32), (1, len(ZONES)))
    assert not fit_shading(people, scores, FaceParser.load(), CONFIG).wrinkles.any()


# The wrinkles of the face itself

TONE, FAINT, DEEP = 150, 6, 60
FAINT_AT, DEEP_AT, LIGHT_AT = 0.527, 0.665, 0.746
"""Rows, crop sides: under the eyes, on the upper lip, at its corners."""


@pytest.fixture(scope="module")
def skin_with_lines(face: Face) -> Pixels:
    """Even skin with a faint and a deep line across all of it, and a light one."""
    crop = np.full_like(face.crop, TONE)
    side = len(crop)
    for row, levels in ((FAINT_AT, -FAINT), (DEEP_AT, -DEEP), (LIGHT_AT, FAINT)):
        start = round(row * side)
        crop[start : start + 2] = TONE + levels
    return crop


def change_of_line(change: np.ndarray, row: float, face: Face) -> float:
    """Mean change along a line, where it crosses zones."""
    inside = np.sum(list(zone_masks(face).values()), axis=0) * face.skin * (1 - face.hair) * face.matte > 0.99
    start = round(row * len(change))
    rows = slice(start, start + 2)
    assert inside[rows].any()
    return float(change[rows][inside[rows]].mean())


def test_faint_wrinkles_become_deeper_and_deep_ones_less_so(skin_with_lines: Pixels, face: Face) -> None:
    change = scale_wrinkles(skin_with_lines, face, 1.0, WrinkleConfig()).astype(float) - skin_with_lines
    assert -FAINT < change_of_line(change, FAINT_AT, face) < -0.3 * FAINT
    assert -12 < change_of_line(change, DEEP_AT, face) < -5
    assert change_of_line(change, LIGHT_AT, face) == pytest.approx(0, abs=0.5)


def test_lines_are_removed_dark_and_light(skin_with_lines: Pixels, face: Face) -> None:
    change = scale_wrinkles(skin_with_lines, face, -0.9, WrinkleConfig()).astype(float) - skin_with_lines
    assert 0.3 * FAINT < change_of_line(change, FAINT_AT, face) <= FAINT
    assert 0.3 * DEEP < change_of_line(change, DEEP_AT, face) <= DEEP
    assert -FAINT <= change_of_line(change, LIGHT_AT, face) < -0.3 * FAINT


@pytest.mark.parametrize("relative_change", [1.0, -0.9])
def test_only_skin_in_zones_changes(face: Face, relative_change: float) -> None:
    change = scale_wrinkles(face.crop, face, relative_change, WrinkleConfig()).astype(int) - face.crop
    outside = np.sum(list(zone_masks(face).values()), axis=0) * face.skin * (1 - face.hair) * face.matte == 0
    assert np.abs(change[outside]).max() == 0
    assert np.abs(change).max() > 3
    assert np.median(np.ptp(change[~outside], axis=-1)) == 0
