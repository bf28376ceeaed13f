"""The `prototype` engine on the demo photo, and its pieces on drawings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from reage.composite import composite
from reage.engines.prototype import PrototypeEngine
from reage.engines.prototype.frame import (
    crop_places,
    frame_grid,
    frame_places,
    shape_shift,
    thin_plate,
    to_face_units,
    to_frame_px,
)
from reage.engines.prototype.hair import ALL_GREY_YEARS, FIRST_GREY_YEARS, greyness, hair_change
from reage.engines.prototype.texture import covariates, from_log, skin_colour, to_log
from reage.engines.prototype.wrinkles import region_masks, skin_only
from reage.faces.geometry import FACE_PER_CROP, FIVE_POINTS, face_grid, template_points
from reage.images import geometry, regions
from reage.types import Aged, CompletePlan, Face, Pixels, Plane, Reading
from reage.weights import find_weights, load_weights

OWN_AGE = 38.0


@pytest.fixture(scope="module")
def engine() -> PrototypeEngine:
    return PrototypeEngine.load()


@pytest.fixture(scope="module")
def mean() -> np.ndarray:
    """(68, 2) landmarks of the average face, face units."""
    return load_weights(find_weights("prototype"))[0]["mean"].astype(np.float64)


@pytest.fixture(scope="module")
def bare_skin(ibug: Plane) -> np.ndarray:
    """(512, 512) cheeks, chin and the root of the nose: no feature moves into them."""
    mask = np.zeros((512, 512), bool)
    for landmarks in ([31, 3], [35, 13], [8, 57], [27]):
        x, y = np.rint(ibug[landmarks].mean(0)).astype(int)
        mask[y - 20 : y + 20, x - 20 : x + 20] = True
    return mask


@pytest.fixture(scope="module")
def aged(engine: PrototypeEngine, face: Face, reading: Reading) -> dict[float, Aged]:
    """Target -> the demo photo's aged crop."""
    targets = (20.0, 25.0, 30.0, 35.0, 45.0, 55.0, 65.0, 75.0, 85.0)
    return {age: engine.render(face, reading, CompletePlan(age=age, age_from=OWN_AGE)) for age in targets}


def detail_of(crop: Pixels, where: np.ndarray) -> float:
    """Log energy of fine detail of the log luminance."""
    light = np.log(crop.astype(np.float32).mean(-1) / 255 + 0.04)
    fine = light - geometry.blur(light, 4.0)
    return float(np.log((fine**2)[where].mean()))


def saturation_of(crop: Pixels, where: np.ndarray) -> float:
    return float((np.ptp(crop.astype(int), -1) / (crop.max(-1) + 1.0))[where].mean())


# Aging the demo photo


def test_older_skin_has_more_detail_and_younger_less(
    aged: dict[float, Aged], face: Face, bare_skin: np.ndarray
) -> None:
    own = detail_of(face.crop, bare_skin)
    grown = {age: detail_of(one.crop, bare_skin) - own for age, one in aged.items()}
    assert all(grown[age] < -0.02 for age in (20, 25, 30)), grown
    assert all(grown[age] > 0.1 for age in (45, 55, 65, 75, 85)), grown
    assert grown[75] > 0.6


def test_change_grows_with_the_years(aged: dict[float, Aged], face: Face) -> None:
    change = {age: np.abs(one.crop.astype(int) - face.crop).mean() for age, one in aged.items()}
    for ages in ((35, 30, 25, 20), (45, 55, 65, 75, 85)):
        steps = [0.0, *(change[age] for age in ages)]
        assert (np.diff(steps) > 0.3).all(), change


def test_jaw_and_brows_move_a_little(aged: dict[float, Aged]) -> None:
    for age in (20, 75):
        shift = aged[age].shift
        assert shift is not None
        reach = np.linalg.norm(shift, axis=-1)
        assert 2 < reach.max() < 0.2 * 512 / FACE_PER_CROP
        assert reach[:40].max() < 0.1
        assert np.abs(reach[:, :40]).max() < 0.1


@pytest.mark.parametrize(("first", "last"), [(36, 42), (42, 48), (60, 68)], ids=["left eye", "right eye", "teeth"])
@pytest.mark.parametrize("age", [20.0, 75.0])
def test_eyes_and_teeth_may_move_but_keep_their_colours(
    aged: dict[float, Aged], face: Face, ibug: Plane, first: int, last: int, age: float
) -> None:
    shift = aged[age].shift
    assert shift is not None
    large = replace(face, crop_from_image=np.eye(2, 3))  # the crop taken for the picture
    places = (geometry.pixel_grid(512, 512) + shift).astype(np.float32)
    shape_only = composite(face.crop, large, Aged(crop=geometry.sample(face.crop, places), shift=shift))
    whole = composite(face.crop, large, aged[age])
    opening = geometry.grow(geometry.fill_polygon(ibug[first:last], 512, 512), -2)
    moved = geometry.sample(opening, places) > 0.5
    assert moved.sum() > 200
    assert np.abs(whole.astype(int) - shape_only)[moved].mean() < 1


def test_what_is_behind_keeps_every_bit(aged: dict[float, Aged], face: Face, photo: Pixels) -> None:
    for age in (20, 75):
        changed = (composite(photo, face, aged[age]) != photo).any(-1)
        assert changed[60:160, 180:270].mean() > 0.8
        assert not changed[:, :125].any()
        assert not changed[:, 325:].any()
        assert not changed[200:].any()


def test_hair_turns_grey(aged: dict[float, Aged], face: Face) -> None:
    hair = face.hair > 0.98
    assert hair.mean() > 0.05
    own = saturation_of(face.crop, hair)
    assert saturation_of(aged[55].crop, hair) < 0.9 * own
    assert saturation_of(aged[75].crop, hair) < 0.6 * own
    assert saturation_of(aged[25].crop, hair) == pytest.approx(own, rel=0.05)
    assert aged[75].crop[hair].mean() > face.crop[hair].mean()


def test_half_the_strength_is_about_half_the_tint(engine: PrototypeEngine, face: Face, reading: Reading) -> None:
    hair = face.hair > 0.98
    plan = CompletePlan(age=75, age_from=OWN_AGE)
    own, half, full = (
        np.log(crop[hair].mean(0) + 10)
        for crop in (
            face.crop,
            engine.render(face, reading, replace(plan, strength=0.5)).crop,
            engine.render(face, reading, plan).crop,
        )
    )
    np.testing.assert_allclose(half - own, (full - own) / 2, atol=0.05)


@pytest.mark.parametrize("share", [0.5, 0.25, 0.06])
@pytest.mark.parametrize("age", [20.0, 75.0])
def test_dark_skin_keeps_its_hue_and_does_not_shine(
    engine: PrototypeEngine, face: Face, reading: Reading, bare_skin: np.ndarray, share: float, age: float
) -> None:
    dark = np.rint(255 * ((face.crop / 255) ** 2.2 * share) ** (1 / 2.2)).astype(np.uint8)
    result = engine.render(replace(face, crop=dark), reading, CompletePlan(age=age, age_from=OWN_AGE)).crop
    before, after = (regions.to_lab(crop)[bare_skin].mean(0) for crop in (dark, result))
    hues = [np.degrees(np.arctan2(lab[2], lab[1])) for lab in (before, after)]
    assert abs(hues[1] - hues[0]) < 8
    assert np.hypot(*after[1:]) > 0.8 * np.hypot(*before[1:])
    assert abs(after[0] - before[0]) < 5
    brightest = [float(np.percentile(crop[bare_skin], 99.5)) for crop in (dark, result)]
    assert brightest[1] < min(250, brightest[0] + 30)


def test_a_small_crop_is_aged_like_a_large_one(
    engine: PrototypeEngine, face: Face, aged: dict[float, Aged], reading: Reading
) -> None:
    half = geometry.resize_matrix(512, 256)
    small = replace(
        face,
        crop=geometry.resize(face.crop, 256, 256),
        crop_from_image=half @ np.vstack([face.crop_from_image, [0, 0, 1]]),
        **{name: geometry.resize(getattr(face, name), 256, 256) for name in ("matte", "skin", "bare", "hair")},
    )
    result = engine.render(small, reading, CompletePlan(age=75, age_from=OWN_AGE))
    shrunk = geometry.resize(aged[75].crop, 256, 256)
    own = np.abs(shrunk.astype(int) - small.crop).mean()
    assert np.abs(result.crop.astype(int) - shrunk).mean() < 0.3 * own
    assert result.shift is not None
    assert aged[75].shift is not None
    assert np.abs(2 * result.shift - geometry.resize(aged[75].shift, 256, 256)).max() < 1.5


def test_men_and_women_age_differently(engine: PrototypeEngine, face: Face, reading: Reading) -> None:
    plan = CompletePlan(age=75, age_from=OWN_AGE)
    woman, man = (engine.render(face, replace(reading, masculinity=share), plan).crop for share in (0.0, 1.0))
    assert np.abs(woman.astype(int) - man).mean() > 0.5


# Frames


def test_thin_plate_passes_near_its_points_and_dies_away() -> None:
    sources = np.array([[-0.5, 0.0], [0.5, 0.0], [0.0, 0.7], [0.0, 1.2]])
    moves = np.array([[0.1, 0.0], [0.0, 0.1], [-0.1, 0.05], [0.0, 0.0]])
    grid = face_grid(200)
    field = thin_plate(sources, moves, grid)
    for source, move in zip(sources, moves, strict=True):
        x, y = np.rint(template_points(source[None], 200)[0]).astype(int)
        np.testing.assert_allclose(field[y, x], move, atol=0.02)
    assert np.abs(field[:4]).max() < 0.06
    assert np.abs(thin_plate(sources, np.zeros((4, 2)), grid)).max() == 0


def test_units_and_pixels_agree() -> None:
    np.testing.assert_allclose(to_face_units(template_points(FIVE_POINTS, 300), 300), FIVE_POINTS, atol=1e-5)
    grid = frame_grid()
    np.testing.assert_allclose(to_frame_px(grid), geometry.pixel_grid(256, 256), atol=1e-3)
    np.testing.assert_allclose(frame_grid(128), geometry.resize(grid, 128, 128), atol=1e-3)


def test_maps_into_the_mean_frame_and_back_are_inverse(face: Face, ibug: Plane, mean: np.ndarray) -> None:
    units = to_face_units(ibug, 512)
    there, back = crop_places(units, mean, 512), frame_places(units, mean, 512)
    again = geometry.sample(back, there)
    inside = geometry.fill_polygon(to_frame_px(mean[:27]), 256, 256) > 0
    assert np.linalg.norm(again - geometry.pixel_grid(256, 256), axis=-1)[inside].max() < 2.5
    eyes = geometry.sample(there, to_frame_px(mean[36:48])[None])[0]
    assert np.linalg.norm(eyes - ibug[36:48], axis=1).max() < 0.05 * 512 / FACE_PER_CROP


def test_the_shift_moves_the_landmarks_as_given(ibug: Plane) -> None:
    units = to_face_units(ibug, 512)
    moves = np.zeros((68, 2))
    moves[4:13] = (0.0, 0.1)
    shift = shape_shift(units, moves, 512)
    moved = template_points(units + moves, 512)
    for landmark in (6, 8, 10):
        x, y = np.rint(moved[landmark]).astype(int)
        np.testing.assert_allclose(shift[y, x], -moves[landmark] * 512 / FACE_PER_CROP, atol=2)
    x, y = np.rint(moved[30]).astype(int)
    assert np.abs(shift[y, x]).max() < 2


# Texture


@given(arrays.arrays(np.uint8, (4, 5, 3)))
def test_pixels_come_back_from_the_logarithm(pixels: Pixels) -> None:
    np.testing.assert_array_equal(from_log(to_log(pixels)), pixels)


def test_skin_colour_is_that_of_cheeks_and_nose() -> None:
    frame = np.zeros((256, 256, 3), np.uint8)
    frame[100:160, 70:190] = (200, 150, 100)
    np.testing.assert_allclose(skin_colour(frame), np.array([200, 150, 100]) / 255, atol=1e-6)


@given(st.floats(20, 85), st.floats(0, 1), st.floats(0.1, 0.9), st.floats(0.1, 0.9))
def test_only_age_terms_differ_between_the_ages_of_one_person(
    age: float, masculinity: float, red: float, blue: float
) -> None:
    skin = np.array([red, 0.5, blue], np.float32)
    change = covariates(age, masculinity, skin) - covariates(40.0, masculinity, skin)
    np.testing.assert_array_equal(change[[0, 3, 5, 7, 8]], 0)
    assert np.sign(change[1]) == np.sign(age - 40)


def test_regions_share_the_face_out_and_spare_the_features(mean: np.ndarray) -> None:
    masks = region_masks()
    np.testing.assert_allclose(masks.sum(0), 1, atol=1e-5)
    assert (masks.reshape(len(masks), -1).max(1) > 0.7).all()
    skin, places = skin_only(mean), np.rint(to_frame_px(mean)).astype(int)
    for landmark in (37, 43, 19, 24, 51, 57, 33):
        assert skin[places[landmark, 1], places[landmark, 0]] < 0.2
    assert skin[140, 88] > 0.95
    assert skin[40, 128] > 0.95


# Hair


@given(st.floats(1, 100), st.floats(1, 100))
def test_greyness_never_falls_with_age(age: float, other: float) -> None:
    younger, older = sorted((age, other))
    assert 0 <= greyness(younger) <= greyness(older) <= 1


def make_hair(colour: tuple[float, float, float]) -> tuple[Plane, Plane]:
    """Intensity and mask of a picture whose upper half is hair with strands."""
    strands = 1 + 0.2 * np.sin(np.arange(64) * 1.3)[None, :, None]
    hair = np.zeros((64, 64), np.float32)
    hair[:32] = 1
    return (np.full((64, 64, 3), colour) * strands).astype(np.float32), hair


def test_only_hair_changes_and_nothing_before_the_first_grey() -> None:
    intensity, hair = make_hair((0.35, 0.22, 0.12))
    change = hair_change(intensity, hair, 30, 70)
    assert np.abs(change[32:]).max() == 0
    assert np.abs(change[:32]).max() > 0.1
    assert np.abs(hair_change(intensity, hair, 20, FIRST_GREY_YEARS)).max() == 0
    assert np.abs(hair_change(intensity, hair, ALL_GREY_YEARS, 100)).max() == 0
    assert np.abs(hair_change(intensity, hair * 0, 30, 70)).max() == 0


def test_brown_hair_fades_and_lightens_more_with_every_year() -> None:
    intensity, hair = make_hair((0.35, 0.22, 0.12))
    colours = [
        np.exp(np.log(intensity + 0.04) + hair_change(intensity, hair, 30, age))[:32].mean((0, 1)) - 0.04
        for age in (30, 45, 55, 65, 80)
    ]
    chroma = [np.ptp(colour) / colour.max() for colour in colours]
    assert (np.diff(chroma) < 0).all()
    assert (np.diff([colour.mean() for colour in colours]) > 0).all()


def test_grey_hair_gets_a_colour_back_and_brown_hair_keeps_its_own() -> None:
    intensity, hair = make_hair((0.6, 0.6, 0.6))
    younger = np.exp(np.log(intensity + 0.04) + hair_change(intensity, hair, 75, 25))[:32].mean((0, 1)) - 0.04
    assert younger.mean() < 0.4
    assert younger[0] > younger[1] > younger[2]
    intensity, hair = make_hair((0.35, 0.22, 0.12))
    assert np.abs(hair_change(intensity, hair, 75, 25)).max() == 0


def test_black_and_white_photo_stays_black_and_white(face: Face, reading: Reading) -> None:
    light = np.rint(face.crop @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
    grey = replace(face, crop=np.repeat(light[..., None], 3, axis=2))
    for age in (20.0, 80.0):
        crop = PrototypeEngine.load().render(grey, reading, CompletePlan(age=age, age_from=45)).crop
        assert np.ptp(crop.astype(int), axis=-1).max() <= 1
        assert np.abs(crop.astype(int) - grey.crop).mean() > 1
