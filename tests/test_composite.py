"""Only the change is put back: everything else keeps every bit, at every size of the face."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reage.composite import blend, composite, flatten, make_layers, mask_change
from reage.images import geometry
from reage.types import Aged, Face, Gain, Pixels, Plane

CutFace = Callable[..., Face]

SIDE = 128
PLACES = {
    "as large as the crop": ((150.0, 130.0), SIDE / 4.2, 0.0),
    "larger": ((150.0, 130.0), 65.0, -10.0),
    "smaller and turned": ((150.0, 130.0), 9.0, 25.0),
    "partly outside": ((8.0, 40.0), 40.0, 15.0),
}


@pytest.fixture(scope="module")
def pixels(photo: Pixels) -> Pixels:
    """(280, 300, 3) with detail everywhere."""
    return np.ascontiguousarray(photo[40:320, 100:400])


@pytest.fixture(params=PLACES)
def placed(request: pytest.FixtureRequest, pixels: Pixels, cut_face: CutFace) -> Face:
    eyes, eye_distance_px, degrees = PLACES[request.param]
    return cut_face(pixels, eyes, eye_distance_px, side_px=SIDE, degrees=degrees)


def make_shift(face: Face, x: float, y: float) -> Plane:
    """An even shift in the middle of the crop that dies away towards its border."""
    return (face.matte[..., None] * np.array([x, y])).astype(np.float32)


def moved(face: Face, shift: Plane) -> Aged:
    places = geometry.pixel_grid(*face.crop.shape[:2]) + shift
    return Aged(crop=geometry.sample(face.crop, places.astype(np.float32)), shift=shift)


def inverted(face: Face) -> Aged:
    return Aged(crop=255 - face.crop)


def reach_of(face: Face, pixels: Pixels, mask: Plane) -> np.ndarray:
    """(H, W) pixels of the image that a mask of the crop reaches, with a rim for the interpolation."""
    height, width = pixels.shape[:2]
    matrix = geometry.invert(face.crop_from_image)
    rim = max(2.0, face.image_px_per_crop_px + 1)
    return geometry.grow((geometry.warp(mask, matrix, height, width, edge="zero") > 0).astype(np.float32), rim) > 0


# Nothing but the change


@pytest.mark.parametrize("shift", [None, np.zeros((SIDE, SIDE, 2), np.float32)], ids=["no shift", "zero shift"])
def test_no_change_is_bit_for_bit(pixels: Pixels, placed: Face, shift: Plane | None) -> None:
    result = composite(pixels, placed, Aged(crop=placed.crop.copy(), shift=shift))
    np.testing.assert_array_equal(result, pixels)
    assert result is not pixels


def test_input_is_untouched(pixels: Pixels, placed: Face) -> None:
    before, crop = pixels.copy(), placed.crop.copy()
    aged = moved(placed, make_shift(placed, 4, 2))
    assert (composite(pixels, placed, aged) != before).any()
    np.testing.assert_array_equal(pixels, before)
    np.testing.assert_array_equal(placed.crop, crop)


def test_change_stays_inside_the_matte(pixels: Pixels, placed: Face) -> None:
    matte = placed.matte * (geometry.pixel_grid(SIDE, SIDE)[..., 0] < 70)
    face = replace(placed, matte=matte.astype(np.float32))
    changed = (composite(pixels, face, inverted(face)) != pixels).any(-1)
    assert changed.any()
    assert not (changed & ~reach_of(face, pixels, matte)).any()


def test_outside_the_crop_every_bit_is_kept(pixels: Pixels, placed: Face) -> None:
    whole = np.ones((SIDE, SIDE), np.float32)
    outside = ~reach_of(placed, pixels, whole)
    assert outside.any()
    even = np.full((SIDE, SIDE, 2), 3, np.float32)
    for aged in (inverted(placed), Aged(crop=255 - placed.crop, shift=even)):
        result = composite(pixels, replace(placed, matte=whole), aged)
        np.testing.assert_array_equal(result[outside], pixels[outside])


def test_matte_of_nothing_changes_nothing(pixels: Pixels, placed: Face) -> None:
    face = replace(placed, matte=np.zeros_like(placed.matte))
    np.testing.assert_array_equal(composite(pixels, face, inverted(face)), pixels)


def test_face_beside_the_picture_changes_nothing(pixels: Pixels, cut_face: CutFace) -> None:
    face = cut_face(pixels, (-900.0, -900.0), 30.0)
    np.testing.assert_array_equal(composite(pixels, face, inverted(face)), pixels)


# The change arrives


@pytest.mark.parametrize("eye_distance_px", [8.0, 30.5, 64.0])
@pytest.mark.parametrize("degrees", [0.0, 20.0])
def test_even_change_arrives_at_its_full_height(cut_face: CutFace, eye_distance_px: float, degrees: float) -> None:
    pixels = np.random.default_rng(0).integers(60, 180, (280, 300, 3), dtype=np.uint8)
    face = cut_face(pixels, (150.0, 130.0), eye_distance_px, degrees=degrees)
    result = composite(pixels, face, Aged(crop=face.crop + np.uint8(20)))
    reach = round(0.5 * eye_distance_px)
    middle = slice(130 - reach, 130 + reach), slice(150 - reach, 150 + reach)
    np.testing.assert_array_equal(result[middle], pixels[middle] + np.uint8(20))


def test_the_matte_weighs_the_change(cut_face: CutFace) -> None:
    pixels = np.random.default_rng(0).integers(60, 180, (280, 300, 3), dtype=np.uint8)
    face = cut_face(pixels, (150.0, 130.0), SIDE / 4.2)
    half = replace(face, matte=np.full((SIDE, SIDE), 0.5, np.float32))
    result = composite(pixels, half, Aged(crop=face.crop + np.uint8(40)))
    np.testing.assert_array_equal(result[110:150, 130:170], pixels[110:150, 130:170] + np.uint8(20))


def test_change_beyond_white_and_black_is_clipped(cut_face: CutFace) -> None:
    pixels = np.full((280, 300, 3), 250, np.uint8)
    pixels[:, 150:] = 5
    face = cut_face(pixels, (150.0, 130.0), 60.0)
    brighter = composite(pixels, face, Aged(crop=np.full_like(face.crop, 255)))
    darker = composite(pixels, face, Aged(crop=np.zeros_like(face.crop)))
    assert brighter.min() >= 5
    assert brighter[130, 140].min() == 255
    assert darker[130, 160].max() == 0


def test_a_large_face_keeps_its_own_fine_detail(cut_face: CutFace) -> None:
    board = (np.indices((280, 300)).sum(0) % 2 * 60 + 90).astype(np.uint8)
    pixels = np.repeat(board[..., None], 3, -1)
    face = cut_face(pixels, (150.0, 130.0), 64.0)
    assert face.crop[40:80, 40:80].std() < 5  # the crop is too coarse for it
    result = composite(pixels, face, Aged(crop=face.crop + np.uint8(20)))
    np.testing.assert_array_equal(result[110:150, 130:170], pixels[110:150, 130:170] + np.uint8(20))


def test_two_faces_are_put_back_one_after_the_other(pixels: Pixels, cut_face: CutFace) -> None:
    left, right = (cut_face(pixels, (x, 130.0), 14.0) for x in (70.0, 220.0))
    both = composite(composite(pixels, left, inverted(left)), right, inverted(right))
    np.testing.assert_array_equal(both[:, :150], composite(pixels, left, inverted(left))[:, :150])
    np.testing.assert_array_equal(both[:, 150:], composite(pixels, right, inverted(right))[:, 150:])


# Shifts


@pytest.mark.parametrize(("eye_distance_px", "degrees"), [(10.0, 0.0), (30.0, 0.0), (64.0, 0.0), (40.0, 90.0)])
def test_shift_moves_an_edge_at_the_resolution_of_the_image(
    cut_face: CutFace, eye_distance_px: float, degrees: float
) -> None:
    pixels = np.full((280, 300, 3), 60, np.uint8)
    pixels[:, 150:] = 180
    face = cut_face(pixels, (150.0, 130.0), eye_distance_px, degrees=degrees)
    x, y = (6.0, 0.0) if degrees == 0 else (0.0, -6.0)  # of a head on its side the crop's y runs against the image's x
    result = composite(pixels, face, moved(face, make_shift(face, x, y)))
    row = result[130, :, 0].astype(float)
    edge = np.interp(120, row[50:250], np.arange(50, 250))
    assert edge == pytest.approx(149.5 - 6 * face.image_px_per_crop_px, abs=0.6)
    assert np.diff(row).max() > (0.4 if eye_distance_px > 20 else 0.25) * 120  # as sharp as before, or nearly so


def test_shift_alone_moves_and_adds_nothing_else(pixels: Pixels, placed: Face) -> None:
    aged = moved(placed, make_shift(placed, 5, -3))
    result = composite(pixels, placed, aged)
    still = ~reach_of(placed, pixels, placed.matte)
    np.testing.assert_array_equal(result[still], pixels[still])
    again = geometry.warp(result, placed.crop_from_image, SIDE, SIDE)
    inside = (placed.matte > 0.99) & _of_the_picture(placed, pixels)
    assert np.abs(again.astype(int) - aged.crop)[inside].mean() < 4


def test_what_is_kept_is_kept_where_it_moves_to(cut_face: CutFace) -> None:
    """An eye that moves with its lids takes its protection along."""
    pixels = np.full((SIDE, SIDE, 3), 100, np.uint8)
    pixels[56:72, 56:72] = 200
    face = cut_face(pixels, (63.5, 0.46 * SIDE - 0.5), SIDE / 4.2)
    matte = face.matte.copy()
    matte[54:74, 54:74] = 0
    aged = moved(face, make_shift(face, 10, 0))
    result = composite(pixels, replace(face, matte=matte), replace(aged, crop=aged.crop // 2))
    assert np.abs(result[58:70, 48:60].astype(int) - 200).max() <= 2
    assert np.abs(result[58:70, 70:90].astype(int) - 50).max() <= 2


def _of_the_picture(face: Face, pixels: Pixels) -> np.ndarray:
    ones = np.ones(pixels.shape[:2], np.float32)
    shown = geometry.warp(ones, face.crop_from_image, SIDE, SIDE, edge="zero")
    return geometry.grow(shown, -10) > 0.99


# Bands


@pytest.mark.parametrize("band_px", [1, 1000, 7777, 30_000])
@pytest.mark.parametrize("shift", [None, (5.0, -3.0), (0.3, 40.0)])
def test_bands_of_any_height_give_the_same_pixels(
    pixels: Pixels, placed: Face, shift: tuple[float, float] | None, band_px: int
) -> None:
    aged = inverted(placed) if shift is None else replace(moved(placed, make_shift(placed, *shift)), crop=placed.crop)
    whole = composite(pixels, placed, aged, band_px=10**9)
    assert (whole != pixels).any()
    np.testing.assert_array_equal(composite(pixels, placed, aged, band_px=band_px), whole)


@settings(max_examples=30, deadline=None)
@given(
    x=st.floats(-50, 350),
    y=st.floats(-50, 330),
    eye_distance_px=st.floats(6, 150),
    degrees=st.floats(-180, 180),
    bend=st.floats(-20, 20),
    band_px=st.integers(1, 50_000),
)
def test_bands_never_show(
    photo: Pixels,
    cut_face: CutFace,
    x: float,
    y: float,
    eye_distance_px: float,
    degrees: float,
    bend: float,
    band_px: int,
) -> None:
    pixels = np.ascontiguousarray(photo[40:320, 100:400])
    face = cut_face(pixels, (x, y), eye_distance_px, degrees=degrees)
    waves = np.sin(geometry.pixel_grid(SIDE, SIDE)[..., ::-1] / 9) * face.matte[..., None]
    aged = moved(face, (bend * waves).astype(np.float32))
    aged = replace(aged, crop=aged.crop // 2 + np.uint8(30))
    whole = composite(pixels, face, aged, band_px=10**9)
    np.testing.assert_array_equal(composite(pixels, face, aged, band_px=band_px), whole)


def test_memory_does_not_grow_with_the_face(cut_face: CutFace) -> None:
    peaks = []
    for side in (400, 1600):
        pixels = np.full((side, side, 3), 90, np.uint8)
        face = cut_face(pixels, (side / 2, 0.46 * side), side / 4.2)
        aged = replace(inverted(face), shift=make_shift(face, 3, -2))
        tracemalloc.start()
        composite(pixels, face, aged)
        peaks.append(tracemalloc.get_traced_memory()[1] - pixels.nbytes)
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


# Layers


def gained(face: Face, shift: Plane | None = None) -> Aged:
    """Two gains that differ in resolution and reach, and change every channel by another factor."""
    waves = np.sin(geometry.pixel_grid(200, 200)[..., :1] / 7) * np.array([0.5, -0.3, 0.2])
    return Aged(
        crop=face.crop,
        shift=shift,
        gains=(Gain(waves.astype(np.float32), 1.5), Gain(face.matte[..., None] * np.ones(3, np.float32) * 0.4)),
    )


@pytest.mark.parametrize("shift", [None, (5.0, -3.0)], ids=["still", "moved"])
@pytest.mark.parametrize("multiplies", [True, False], ids=["gain", "added"])
def test_layers_add_up_to_the_composite(
    pixels: Pixels, placed: Face, shift: tuple[float, float] | None, multiplies: bool
) -> None:
    planes = None if shift is None else make_shift(placed, *shift)
    aged = gained(placed, planes) if multiplies else replace(inverted(placed), shift=planes)
    before = pixels.copy()
    layers = make_layers(pixels, [(placed, aged)])
    result = composite(pixels, placed, aged)
    assert (result != pixels).any()
    np.testing.assert_array_equal(flatten(layers), result)
    np.testing.assert_array_equal(pixels, before)
    assert np.abs(layers.gain).max() > 0.3 if multiplies else not layers.gain.any()
    assert np.abs(layers.added).max() < 1 if multiplies else np.abs(layers.added).max() > 20
    assert (layers.moved != pixels).any() == (shift is not None)


def test_layers_of_a_shape_alone_are_the_moved_picture(pixels: Pixels, placed: Face) -> None:
    aged = replace(moved(placed, make_shift(placed, 5, -3)), gains=(Gain(np.zeros((8, 8, 3), np.float32)),))
    layers = make_layers(pixels, [(placed, aged)])
    np.testing.assert_array_equal(layers.moved, composite(pixels, placed, aged))
    assert not layers.gain.any()
    assert not layers.added.any()


@pytest.mark.parametrize("multiplies", [True, False], ids=["gain", "added"])
def test_layers_of_faces_that_overlap_add_up_too(pixels: Pixels, cut_face: CutFace, multiplies: bool) -> None:
    faces = [cut_face(pixels, (x, 130.0), 25.0) for x in (120.0, 170.0)]
    changes = []
    result = pixels
    for face, x in zip(faces, (4, -3), strict=True):
        shift = make_shift(face, x, 2)
        changes.append((face, gained(face, shift) if multiplies else replace(inverted(face), shift=shift)))
        result = composite(result, *changes[-1])
    layers = make_layers(pixels, changes)
    np.testing.assert_array_equal(flatten(layers), result)
    np.testing.assert_array_equal(flatten(layers, band_px=999), result)


def test_layers_of_no_change_are_neutral(pixels: Pixels, placed: Face) -> None:
    layers = make_layers(pixels, [(placed, Aged(crop=placed.crop))])
    np.testing.assert_array_equal(layers.moved, pixels)
    assert not layers.gain.any()
    assert not layers.added.any()


def test_mattes_lie_where_the_shape_has_moved_to(pixels: Pixels, cut_face: CutFace) -> None:
    faces = [cut_face(pixels, (x, 130.0), SIDE / 4.2) for x in (90.0, 190.0)]
    spot = np.zeros((SIDE, SIDE), np.float32)
    spot[60:70, 60:70] = 1
    faces = [replace(face, skin=spot, hair=np.zeros_like(spot)) for face in faces]
    shift = np.full((SIDE, SIDE, 2), (6, 0), np.float32)
    layers = make_layers(pixels, [(face, Aged(crop=face.crop, shift=shift)) for face in faces])
    assert layers.skin.shape == layers.hair.shape == pixels.shape[:2]
    assert not layers.hair.any()
    for face in faces:
        x, y = geometry.move_points(np.array([[58.5, 64.5]]), geometry.invert(face.crop_from_image))[0]
        assert layers.skin[round(y), round(x)] == 1
        assert layers.skin[round(y), round(x) + 10] == 0
    assert layers.skin.sum() == pytest.approx(2 * 100 * faces[0].image_px_per_crop_px ** 2, rel=0.05)


# Masks


def test_a_mask_keeps_every_bit_at_0_and_every_change_at_1() -> None:
    random = np.random.default_rng(0)
    before, after = random.integers(0, 256, (2, 90, 70, 3), dtype=np.uint8)
    mask = random.choice([0, 0.25, 1], (90, 70)).astype(np.float32)
    result = mask_change(before, after, mask, band_px=500)
    np.testing.assert_array_equal(result[mask == 0], before[mask == 0])
    np.testing.assert_array_equal(result[mask == 1], after[mask == 1])
    between = 0.75 * before + 0.25 * after
    assert np.abs(result - between)[mask == 0.25].max() <= 0.51


# Blends


def test_blend_of_one_layer_is_that_layer(pixels: Pixels, placed: Face) -> None:
    everywhere = np.ones((SIDE, SIDE), np.float32)
    for aged in (inverted(placed), moved(placed, make_shift(placed, 5, -3))):
        blended = blend(placed, [(aged, everywhere)])
        assert np.abs(blended.crop.astype(int) - aged.crop).max() <= 1
        assert (blended.shift is None) == (aged.shift is None)
        if aged.shift is not None:
            np.testing.assert_allclose(blended.shift, aged.shift, atol=1e-5)


def test_blend_of_nothing_is_the_crop(pixels: Pixels, placed: Face) -> None:
    nowhere = np.zeros((SIDE, SIDE), np.float32)
    for aged in (inverted(placed), moved(placed, make_shift(placed, 5, -3))):
        blended = blend(placed, [(aged, nowhere)])
        np.testing.assert_array_equal(blended.crop, placed.crop)
        assert blended.shift is None


def test_blend_shows_each_layer_where_its_mask_is(pixels: Pixels, cut_face: CutFace) -> None:
    face = cut_face(pixels, (150.0, 130.0), 30.0)
    left = np.zeros((SIDE, SIDE), np.float32)
    left[:, : SIDE // 2] = 1
    blended = blend(face, [(Aged(crop=face.crop // 2), left), (inverted(face), 1 - left)])
    np.testing.assert_array_equal(blended.crop[:, : SIDE // 2], (face.crop // 2)[:, : SIDE // 2])
    np.testing.assert_array_equal(blended.crop[:, SIDE // 2 :], (255 - face.crop)[:, SIDE // 2 :])


def test_blend_of_halves_is_the_mean(pixels: Pixels, cut_face: CutFace) -> None:
    face = cut_face(pixels, (150.0, 130.0), 30.0)
    half = np.full((SIDE, SIDE), 0.5, np.float32)
    blended = blend(
        face, [(Aged(crop=np.full_like(face.crop, 200)), half), (Aged(crop=np.full_like(face.crop, 100)), half)]
    )
    assert (blended.crop == 150).all()


# More than 8 bits


def deepen(pixels: Pixels, kind: type) -> np.ndarray:
    """The picture with samples between the 8-bit levels."""
    rest = np.random.default_rng(0).integers(-100, 100, pixels.shape)
    deep = np.clip(pixels.astype(np.int64) * 257 + rest, 0, 65535).astype(np.uint16)
    return deep if kind is np.uint16 else deep.astype(np.float32) / np.float32(65535)


def all_changes(face: Face) -> dict[str, Aged]:
    log_ratio = (face.matte[..., None] * np.array([0.4, 0.1, -0.3])).astype(np.float32)
    return {
        "difference": inverted(face),
        "gain": Aged(crop=face.crop, gains=(Gain(log_ratio),)),
        "shape": moved(face, make_shift(face, 2.0, -1.0)),
        "shape and gain": replace(moved(face, make_shift(face, 2.0, -1.0)), gains=(Gain(log_ratio),)),
    }


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
@pytest.mark.parametrize("change", ["difference", "gain", "shape", "shape and gain"])
def test_deep_samples_change_as_the_8_bit_pixels_do(pixels: Pixels, placed: Face, change: str, kind: type) -> None:
    deep, aged = deepen(pixels, kind), all_changes(placed)[change]
    result = composite(deep, placed, aged)
    assert result.dtype == kind
    white = 65535 if kind is np.uint16 else 1
    shallow = composite(pixels, placed, aged).astype(float) / 255
    apart = np.abs(np.clip(result / white, 0, 1) - shallow)
    assert np.quantile(apart, 0.999) < 2 / 255
    assert apart.max() < 6 / 255  # cubics overshoot, which 8 bits clip before the gain
    changed = result != deep
    assert changed.any()
    if kind is np.uint16:
        assert len(np.unique(result[changed] & 255)) > 200


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_deep_samples_that_do_not_change_keep_every_bit(pixels: Pixels, placed: Face, kind: type) -> None:
    deep = deepen(pixels, kind)
    np.testing.assert_array_equal(composite(deep, placed, Aged(crop=placed.crop.copy())), deep)
    result = composite(deep, placed, all_changes(placed)["gain"])
    outside = ~reach_of(placed, pixels, placed.matte)
    np.testing.assert_array_equal(result[outside], deep[outside])


def test_floats_beyond_white_change_and_do_not_fall_below_black(pixels: Pixels, placed: Face) -> None:
    bright = deepen(pixels, np.float32) * np.float32(8) - np.float32(0.01)
    log_ratio = np.full((SIDE, SIDE, 3), -2.0, np.float32)
    result = composite(bright, placed, Aged(crop=placed.crop, gains=(Gain(log_ratio),)))
    assert result.max() > 1
    assert (result[bright > 0] >= 0).all()
    assert result.min() == bright.min()


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_a_mask_blends_deep_samples(pixels: Pixels, kind: type) -> None:
    before = deepen(pixels, kind)
    after = before[::-1].copy()
    mask = np.zeros(pixels.shape[:2], np.float32)
    mask[:100], mask[100:200] = 1, 0.5
    blended = mask_change(before, after, mask)
    np.testing.assert_array_equal(blended[:100], after[:100])
    np.testing.assert_array_equal(blended[200:], before[200:])
    middle = (before[100:200].astype(float) + after[100:200]) / 2
    assert np.abs(blended[100:200] - middle).max() <= (1 if kind is np.uint16 else 1e-4)


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_layers_add_up_to_the_deep_picture(pixels: Pixels, placed: Face, kind: type) -> None:
    deep, aged = deepen(pixels, kind), all_changes(placed)["shape and gain"]
    flat = flatten(make_layers(deep, [(placed, aged)]))
    np.testing.assert_allclose(flat, composite(deep, placed, aged), rtol=0, atol=0 if kind is np.uint16 else 1e-5)
