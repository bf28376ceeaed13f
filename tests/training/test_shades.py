"""What the light of a zone has to do with its score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from reage.data.shards import Portrait, Portraits
from reage.faces.geometry import bare_masks, face_grid
from reage.faces.patches import cut_patches
from reage.faces.segmentation import FaceParser
from reage.images import geometry
from reage.training.ldla.shading import LINED, SHADE_PX, SHADED, ZoneShading, apply_shading, fit_shading
from reage.types import Face, Pixels
from reage.zones import ZONES

DIMMER = 0.8


@pytest.fixture(scope="module")
def dimmed(face: Face) -> Pixels:
    """The demo face with a shade on the lower half of its left crow's foot."""
    lower = np.arange(len(face.crop))[:, None] > face.to_crop(face.landmarks)[:4, 1].mean()
    shade = 1 - (1 - DIMMER) * bare_masks(face)["crows_feet.left"] * lower
    return (face.crop * shade[..., None]).astype(np.uint8)


@pytest.fixture(scope="module")
def learn(make_portrait: Callable[..., Portrait], to_columns: Callable[..., Portraits]) -> Callable[..., ZoneShading]:
    """ZoneShading of young faces and old ones, some of each."""

    def fit(young: Pixels, old: Pixels) -> ZoneShading:
        portraits = [
            make_portrait(crop, person=f"{k}{place}") for k in range(2) for place, crop in ((0, young), (1, old))
        ]
        scores = np.tile(np.array([[0.0], [1.0]], np.float32), (2, len(ZONES)))
        return fit_shading(to_columns(portraits), scores, FaceParser.load())

    return fit


def even(change: float, lines: float) -> ZoneShading:
    """The same in every place of a zone."""
    planes = np.ones((len(LINED), SHADE_PX, SHADE_PX), np.float32)
    return ZoneShading(changes=change * planes[: len(SHADED)], lines=lines * planes)


def mean_change(shades: ZoneShading, face: Face, zone: str, half: slice) -> float:
    seen = cut_patches(bare_masks(face)[zone], face.to_crop(face.landmarks), [zone], SHADE_PX)[0, half]
    return float(np.average(shades.changes[SHADED.index(zone)][half], weights=seen))


@pytest.mark.parametrize("zone", SHADED)
def test_a_shade_that_comes_with_the_score_is_found_and_drawn(
    zone: str, face: Face, dimmed: Pixels, learn: Callable[..., ZoneShading]
) -> None:
    """On one side of the people, so half of it on both."""
    shades = learn(face.crop, dimmed)
    upper, lower = (mean_change(shades, face, zone, half) for half in (slice(0, 40), slice(56, SHADE_PX)))
    assert lower < upper - 0.05
    drawn = apply_shading(face.crop, face, shades, {zone: 1.0}).astype(int) - face.crop
    place, rows = bare_masks(face)[zone] * face.matte > 0.9, np.arange(len(face.crop))[:, None]
    below = rows > face.to_crop(face.landmarks)[:4, 1].mean() + 8
    assert drawn[place & below].mean() < -2
    assert drawn[place & below].mean() < drawn[place & ~below].mean() - 3
    assert not drawn[bare_masks(face)[zone] == 0].any()
    assert np.median(np.ptp(drawn[place], axis=-1)) == 0


def test_a_darker_photo_is_no_shade(face: Face, learn: Callable[..., ZoneShading]) -> None:
    changes = learn(face.crop, (DIMMER * face.crop).astype(np.uint8)).changes
    zone = "crows_feet.left"
    seen = cut_patches(bare_masks(face)[zone], face.to_crop(face.landmarks), [zone], SHADE_PX)[0] > 0.5
    assert np.abs(changes[0][seen]).mean() < 0.15 * -np.log(DIMMER)


def test_scores_that_stay_change_nothing(face: Face) -> None:
    shades = even(1.0, 1.0)
    for rises in ({}, {"forehead": 1.0}, dict.fromkeys(LINED, 0.0)):
        np.testing.assert_array_equal(apply_shading(face.crop, face, shades, rises), face.crop)


def test_eyes_and_glasses_get_no_shade(face: Face) -> None:
    shades = even(1.0, 1.0)
    covered = replace(face, matte=np.zeros_like(face.matte))
    np.testing.assert_array_equal(apply_shading(face.crop, covered, shades, dict.fromkeys(LINED, 1.0)), face.crop)


@pytest.fixture(scope="module")
def lined(face: Face) -> Pixels:
    """The demo face with a fan of dark lines on its left crow's foot."""
    x, y = np.moveaxis(face_grid(len(face.crop), face.to_crop(face.landmarks)), -1, 0)
    angle = np.degrees(np.arctan2(y, -x - 0.7))
    fan = np.clip(1 - np.abs((angle + 7) % 14 - 7) / 3, 0, 1) * bare_masks(face)["crows_feet.left"]
    return (face.crop * (1 - 0.35 * fan[..., None])).astype(np.uint8)


def roughness(plane: np.ndarray, seen: np.ndarray) -> float:
    return float((plane - geometry.blur(plane, 4.0))[seen].std())


def test_lines_of_the_marked_are_lent_to_both_sides(
    face: Face, lined: Pixels, learn: Callable[..., ZoneShading], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of zones that show: hair hides a part of this one."""
    zone, points = "crows_feet.left", face.to_crop(face.landmarks)
    assert not learn(face.crop, lined).lines[:2].any()
    monkeypatch.setattr("reage.training.ldla.shading._SHOWN", 0.6)
    plain, shades = learn(face.crop, face.crop), learn(face.crop, lined)
    left, right, brow, left_bag, right_bag = shades.lines
    assert brow.any()
    np.testing.assert_array_equal(left, right[:, ::-1])
    np.testing.assert_array_equal(left_bag, right_bag[:, ::-1])
    drawn, seen = (
        np.moveaxis(cut_patches(np.stack(planes, -1), points, [zone], SHADE_PX)[0], -1, 0)
        for planes in (
            [np.log(crop.astype(np.float32).mean(-1) + 10) for crop in (lined, face.crop)],
            [bare_masks(face)[zone] * face.bare] * 2,
        )
    )
    inside = seen[0] > 0.9
    fan = drawn[0] - drawn[1]
    fan -= geometry.blur(fan, 6.0)
    assert np.corrcoef(left[inside], fan[inside])[0, 1] > 0.7
    assert roughness(left, inside) > 2 * roughness(plain.lines[0], inside)
    assert np.abs(left[seen[0] < 1e-3]).max() < 0.01


@pytest.mark.parametrize("zone", LINED)
def test_lines_are_lent_and_never_taken_away(zone: str, face: Face) -> None:
    shades = even(0.0, -0.2)
    assert apply_shading(face.crop, face, shades, {zone: 0.8}).astype(int).sum() < face.crop.astype(int).sum()
    np.testing.assert_array_equal(apply_shading(face.crop, face, shades, {zone: -0.8}), face.crop)


def test_where_no_zone_is_marked_there_are_no_lines(
    face: Face, lined: Pixels, make_portrait: Callable[..., Portrait], to_columns: Callable[..., Portraits]
) -> None:
    people = to_columns([make_portrait(crop, person=f"{n}") for n, crop in enumerate((face.crop, lined))])
    scores = np.tile(np.array([[0.1], [0.9]], np.float32), (1, len(ZONES)))
    assert not fit_shading(people, scores, FaceParser.load()).lines.any()
