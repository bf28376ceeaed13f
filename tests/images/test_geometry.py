from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from reage.images import geometry

SIDE = 64


@st.composite
def similarities(draw, smallest=0.2, largest=5.0, furthest=200.0):
    """(2, 3) matrices that turn, scale and shift."""
    angle = draw(st.floats(-np.pi, np.pi))
    scale = draw(st.floats(smallest, largest))
    shift = draw(st.tuples(st.floats(-furthest, furthest), st.floats(-furthest, furthest)))
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cosine, -sine, shift[0]], [sine, cosine, shift[1]]])


def points_between(low, high):
    return arrays.arrays(np.float64, (6, 2), elements=st.floats(low, high))


def make_smooth(height=SIDE, width=SIDE):
    """A picture without fine detail that no flip or turn maps to itself."""
    y, x = np.mgrid[0:height, 0:width]
    waves = 128 + 60 * np.sin(x / 9) * np.cos(y / 13), 40 + 2.5 * x, 200 - 2 * y
    return np.clip(np.stack(waves, -1), 0, 255).astype(np.uint8)


def make_dot(x, y, height=SIDE, width=SIDE):
    """(H, W, 3) a soft white dot on black."""
    rows, columns = np.mgrid[0:height, 0:width]
    light = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 2.0**2))
    return np.repeat(np.rint(255 * light)[..., None], 3, -1).astype(np.uint8)


def centre_of(pixels):
    light = pixels[..., 0].astype(float)
    rows, columns = np.mgrid[0 : light.shape[0], 0 : light.shape[1]]
    return np.array([(columns * light).sum(), (rows * light).sum()]) / light.sum()


def about_centres(matrix, side, target_side):
    """The same turn and scale, with the middle of one square on the middle of the other."""
    matrix = matrix.copy()
    matrix[:, 2] = (target_side - 1) / 2 - matrix[:, :2] @ np.full(2, (side - 1) / 2)
    return matrix


# Matrices


@given(similarities(), points_between(-500, 500))
def test_inverted_matrix_brings_points_back(matrix, points):
    there = geometry.move_points(points, matrix)
    np.testing.assert_allclose(geometry.move_points(there, geometry.invert(matrix)), points, atol=0.02)
    np.testing.assert_allclose(geometry.invert(geometry.invert(matrix)), matrix, atol=1e-8)


def test_points_move_as_the_matrix_says():
    matrix = np.array([[0, -2, 10], [2, 0, 5]], float)
    np.testing.assert_array_equal(
        geometry.move_points(np.array([[1.0, 0], [0, 1], [3, 4]]), matrix), [[10, 7], [8, 5], [2, 11]]
    )


@given(similarities(), points_between(-100, 100))
def test_similarity_is_recovered_from_its_points(matrix, points):
    assume(points.std() > 1)
    target = points @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(geometry.fit_similarity(points, target), matrix, atol=1e-6)


@given(similarities(), points_between(-100, 100), points_between(-5, 5))
def test_fit_is_at_least_as_close_as_the_truth(matrix, points, noise):
    assume(points.std() > 1)
    target = points @ matrix[:, :2].T + matrix[:, 2] + noise
    found = geometry.fit_similarity(points, target)

    def misfit(tried):
        return ((points @ tried[:, :2].T + tried[:, 2] - target) ** 2).sum()

    assert misfit(found) <= misfit(matrix) + 1e-6
    assert found[0, 0] == pytest.approx(found[1, 1])
    assert found[0, 1] == pytest.approx(-found[1, 0])


def test_similarity_of_one_place_is_finite():
    assert np.isfinite(geometry.fit_similarity(np.ones((5, 2)), np.full((5, 2), 7.0))).all()


@given(similarities())
def test_scale_is_that_of_distances(matrix):
    ends = np.array([[0.0, 0.0], [300.0, 400.0]])
    moved = ends @ matrix[:, :2].T
    assert geometry.scale_of(matrix) == pytest.approx(np.linalg.norm(moved[1] - moved[0]) / 500, rel=1e-6)


def test_corner_box_holds_whole_pixels():
    assert geometry.corner_box(np.array([[1, 0, 0], [0, 1, 0]], float), 10, 20) == (-0.5, -0.5, 19.5, 9.5)
    assert geometry.corner_box(np.array([[0, -1, 0], [1, 0, 0]], float), 10, 20) == (-9.5, -0.5, 0.5, 19.5)


# Warps


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("shape", [(40, 50), (40, 50, 3)])
def test_identity_warp_is_exact(dtype, shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(dtype)
    np.testing.assert_array_equal(geometry.warp(pixels, np.eye(2, 3), 40, 50), pixels)


@given(st.integers(-15, 15), st.integers(-15, 15))
def test_shift_by_whole_pixels_is_exact(x, y):
    pixels = np.random.default_rng(1).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    shifted = geometry.warp(pixels, np.array([[1, 0, -20 - x], [0, 1, -20 - y]], float), 20, 20)
    np.testing.assert_array_equal(shifted, pixels[20 + y : 40 + y, 20 + x : 40 + x])


@given(similarities(smallest=0.8, largest=2.0))
def test_smooth_picture_survives_the_way_there_and_back(matrix):
    pixels = make_smooth()
    matrix = about_centres(matrix, SIDE, 200)
    there = geometry.warp(pixels, matrix, 200, 200)
    back = geometry.warp(there, geometry.invert(matrix), SIDE, SIDE)
    inside = slice(8, -8)
    assert np.abs(back[inside, inside].astype(int) - pixels[inside, inside]).max() <= 3


@given(similarities(smallest=0.3, largest=3.0), st.floats(20, 44), st.floats(20, 44))
def test_warp_puts_things_where_the_matrix_says(matrix, x, y):
    matrix = about_centres(matrix, SIDE, 256)
    warped = geometry.warp(make_dot(x, y), matrix, 256, 256, edge="zero")
    expected = geometry.move_points(np.array([[x, y]]), matrix)[0]
    np.testing.assert_allclose(centre_of(warped), expected, atol=0.12 * max(1.0, geometry.scale_of(matrix)))


@pytest.mark.parametrize("degrees", [0, 30])
@pytest.mark.parametrize("factor", [1 / 8, 1 / 5.3, 0.5])
def test_shrunk_checkerboard_is_grey(degrees, factor):
    board = (np.indices((256, 256)).sum(0) % 2 * 255).astype(np.uint8)
    angle = np.deg2rad(degrees)
    turn = factor * np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0]])
    side = round(256 * factor)
    small = geometry.warp(board, about_centres(turn, 256, side), side, side)
    middle = slice(side // 4, -side // 4)
    assert np.abs(small[middle, middle].astype(float) - 127.5).max() < 8
    assert np.abs(geometry.resize_by(board, factor).astype(float) - 127.5).max() < 16


def test_beyond_the_picture_the_border_goes_on_or_black_begins():
    pixels = np.full((20, 20, 3), 90, np.uint8)
    matrix = np.array([[1, 0, 10], [0, 1, 0]], float)
    zero = geometry.warp(pixels, matrix, 20, 20, edge="zero")
    assert zero[:, :9].max() == 0
    assert zero[:, 11:].min() == 90
    assert geometry.warp(pixels, matrix, 20, 20).min() == 90


@pytest.mark.parametrize("shift", [(500, 0), (-500, 0), (0, 500), (0, -500), (-500, 500)])
@pytest.mark.parametrize("scale", [0.3, 1.0])
def test_view_beside_the_picture_shows_its_border(shift, scale):
    pixels = np.full((20, 30, 3), 90, np.uint8)
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    assert (geometry.warp(pixels, matrix, 16, 16) == 90).all()
    assert (geometry.warp(pixels, matrix, 16, 16, edge="zero") == 0).all()


# Labels


def make_labels():
    return np.random.default_rng(3).integers(-1, 10, (30, 40)).astype(np.int8)


@pytest.mark.parametrize("shift", [(0, 0), (3, -2), (-7, 5), (100, 0)])
def test_labels_move_and_beyond_them_is_outside(shift):
    labels = make_labels()
    moved = geometry.warp_labels(labels, np.array([[1, 0, shift[0]], [0, 1, shift[1]]], float), 20, 50, -1)
    assert moved.shape == (20, 50)
    assert moved.dtype == np.int8
    expected = np.full((200, 300), -1, np.int8)
    expected[50 + shift[1] : 80 + shift[1], 50 + shift[0] : 90 + shift[0]] = labels
    np.testing.assert_array_equal(moved, expected[50:70, 50:100])


@given(similarities(smallest=0.3, largest=3.0))
def test_no_labels_are_mixed(matrix):
    labels = np.where(make_labels() > 4, 9, 0).astype(np.int8)
    moved = geometry.warp_labels(labels, about_centres(matrix, SIDE, SIDE), SIDE, SIDE, -1)
    assert set(np.unique(moved)) <= {-1, 0, 9}


@given(similarities(smallest=0.7, largest=2.0))
def test_labels_stay_with_their_pixels(matrix):
    disc = np.hypot(*(geometry.pixel_grid(SIDE, SIDE) - (40, 25)).transpose(2, 0, 1)) < 12
    matrix = about_centres(matrix, SIDE, 160)
    pixels = geometry.warp(disc.astype(np.float32), matrix, 160, 160, edge="zero")
    labels = geometry.warp_labels(np.where(disc, 3, 0).astype(np.int8), matrix, 160, 160, 0)
    assert (labels[pixels > 0.95] == 3).all()
    assert (labels[pixels < 0.05] == 0).all()


# Bands


@pytest.mark.parametrize("channels", [2, 3])
@pytest.mark.parametrize(
    "matrix",
    [[[2.0, -1.2, 20.7], [1.2, 2.0, -15.2]], [[-0.4, 0.06, 60.0], [-0.06, -0.4, 50.0]]],
    ids=["large", "small"],
)
def test_bands_are_those_of_the_whole(matrix, channels):
    pixels, matrix = np.random.default_rng(0).normal(0, 30, (SIDE, SIDE, channels)).astype(np.float32), np.array(matrix)
    whole = geometry.warp(pixels, matrix, 100, 83, edge="zero")
    assert np.abs(whole).max() > 10
    cuts = [(0, 100), (0, 1, 2, 57, 100), tuple(range(0, 101, 10))]
    split = [[range(*ends) for ends in pairwise(rows)] for rows in cuts]
    one, *others = (np.vstack(list(geometry.warp_bands(pixels, matrix, bands, 83))) for bands in split)
    np.testing.assert_allclose(one, whole, atol=0.1)
    for other in others:
        np.testing.assert_array_equal(other, one)


def test_cut_out_of_a_large_picture_equals_that_of_all_of_it():
    pixels = make_smooth(400, 500)
    matrix = np.array([[0.6, -0.4, -30], [0.4, 0.6, -150.0]])
    whole = geometry.warp(pixels, matrix, 64, 64)
    x0, y0, x1, y1 = (round(value) for value in geometry.corner_box(geometry.invert(matrix), 64, 64))
    left, top = x0 - 40, y0 - 40
    moved = matrix.copy()
    moved[:, 2] += moved[:, :2] @ (left, top)
    part = geometry.warp(pixels[top : y1 + 40, left : x1 + 40], moved, 64, 64)
    assert np.abs(whole.astype(int) - part).max() <= 1


# Sizes and turns


@pytest.mark.parametrize("target", [16, 32, 48, 128, 200])
def test_resize_matrix_agrees_with_resize(target):
    pixels = make_smooth()
    resized = geometry.resize(pixels, target, target)
    warped = geometry.warp(pixels, geometry.resize_matrix(SIDE, target), target, target)
    margin = max(2, target // 16)
    inside = slice(margin, -margin)
    assert np.abs(resized[inside, inside].astype(int) - warped[inside, inside]).max() <= 4
    dot = geometry.resize(make_dot(40, 22), target, target)
    expected = geometry.move_points(np.array([[40.0, 22.0]]), geometry.resize_matrix(SIDE, target))[0]
    np.testing.assert_allclose(centre_of(dot), expected, atol=0.05 * max(1, target / SIDE))


def test_resize_to_the_same_size_is_the_same_picture():
    pixels = make_smooth()
    np.testing.assert_array_equal(geometry.resize(pixels, SIDE, SIDE), pixels)
    assert geometry.resize_by(pixels[:3, :5], 0.01).shape == (1, 1, 3)
    assert geometry.resize_by(pixels, 1.5).shape == (96, 96, 3)


@given(st.floats(-180, 180), st.floats(12, 51), st.floats(12, 35))
def test_turned_picture_holds_everything_where_its_matrix_says(degrees, x, y):
    turned, matrix = geometry.rotate_about_centre(make_dot(x, y, height=48, width=SIDE), degrees)
    np.testing.assert_allclose(centre_of(turned), geometry.move_points(np.array([[x, y]]), matrix)[0], atol=0.2)
    x0, y0, x1, y1 = geometry.corner_box(matrix, 48, SIDE)
    assert min(x0, y0) >= -0.51
    assert x1 <= turned.shape[1] - 0.49
    assert y1 <= turned.shape[0] - 0.49


def test_similarity_about_the_centre_keeps_it():
    matrix = geometry.similarity_about_centre(SIDE, scale=1.7, degrees=33, shift_px=np.array([4.0, -9.0]))
    centre = np.full((1, 2), (SIDE - 1) / 2)
    np.testing.assert_allclose(geometry.move_points(centre, matrix), centre + np.array([4, -9]), atol=1e-4)
    assert geometry.scale_of(matrix) == pytest.approx(1.7)
    np.testing.assert_allclose(geometry.similarity_about_centre(SIDE), np.eye(2, 3), atol=1e-9)


def test_similarity_about_the_centre_turns_counter_clockwise():
    pixels = make_smooth()
    turned = geometry.warp(pixels, geometry.similarity_about_centre(SIDE, degrees=90), SIDE, SIDE)
    assert np.abs(turned.astype(int) - np.rot90(pixels)).max() <= 1


def test_positive_degrees_turn_counter_clockwise():
    pixels = make_smooth(48, SIDE)
    turned, _ = geometry.rotate_about_centre(pixels, 90)
    expected = np.rot90(pixels)
    np.testing.assert_array_equal(turned[: expected.shape[0], : expected.shape[1]], expected)
    np.testing.assert_array_equal(geometry.rotate_about_centre(pixels, 0)[0], pixels)


# Planes


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_sample_at_every_pixel_is_the_picture(dtype):
    pixels = np.random.default_rng(2).integers(0, 256, (30, 40, 3)).astype(dtype)
    grid = geometry.pixel_grid(30, 40)
    np.testing.assert_array_equal(grid[7, 9], (9, 7))
    np.testing.assert_array_equal(geometry.sample(pixels, grid), pixels)
    np.testing.assert_array_equal(geometry.sample(pixels, grid + np.float32(3))[:-3, :-3], pixels[3:, 3:])
    np.testing.assert_array_equal(
        geometry.sample(pixels, grid + np.float32(100)), np.broadcast_to(pixels[-1, -1], pixels.shape)
    )


def test_blur_keeps_the_mean_and_spreads_a_dot():
    dot = np.zeros((41, 41), np.float32)
    dot[20, 20] = 1
    soft = geometry.blur(dot, 3.0)
    assert soft.sum() == pytest.approx(1, abs=1e-4)
    assert soft[20, 23] / soft[20, 20] == pytest.approx(np.exp(-0.5), abs=0.01)


def test_polygon_is_filled_to_its_hull():
    mask = geometry.fill_polygon(np.array([[10, 10], [30, 10], [20, 12], [30, 20], [10, 20]], float), 40, 50)
    assert mask.shape == (40, 50)
    assert set(np.unique(mask)) == {0, 1}
    np.testing.assert_array_equal(np.argwhere(mask).min(0), (10, 10))
    np.testing.assert_array_equal(np.argwhere(mask).max(0), (20, 30))
    assert mask.sum() == 21 * 11


def test_grow_adds_a_rim_and_takes_it_away():
    square = np.zeros((40, 40), np.float32)
    square[15:25, 15:25] = 1
    np.testing.assert_array_equal(np.argwhere(geometry.grow(square, 4)).min(0), (11, 11))
    np.testing.assert_array_equal(np.argwhere(geometry.grow(square, -4)).max(0), (20, 20))
    np.testing.assert_array_equal(geometry.grow(square, 0), square)


@pytest.mark.parametrize("size", [(20, 30), (64, 64), (100, 41)])
def test_linear_resampling_is_that_of_torch(size):
    picture = np.random.default_rng(0).integers(0, 256, (64, 50, 3), np.uint8)
    x = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
    expected = F.interpolate(x, size, mode="bilinear", antialias=True)[0].permute(1, 2, 0).numpy()
    found = geometry.resize_linear(picture, *size)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-3)
    np.testing.assert_allclose(geometry.resize_linear(picture[..., 0], *size), found[..., 0], atol=1e-3)
