import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from reage.images import geometry, regions

SIDE = 128
BLUE, SKIN = (40, 70, 150), (205, 150, 125)


def make_disc(x=64, y=70, radius=35):
    rows, columns = np.mgrid[0:SIDE, 0:SIDE]
    return (columns - x) ** 2 + (rows - y) ** 2 < radius**2


def make_portrait(backdrop, person=SKIN):
    pixels = np.where(make_disc()[..., None], person, backdrop) + np.random.default_rng(0).normal(0, 3, (SIDE, SIDE, 3))
    return np.clip(pixels, 0, 255).astype(np.uint8)


# Colour


@pytest.mark.parametrize(
    ("colour", "lab"),
    [
        ((255, 255, 255), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((119, 119, 119), (50.03, 0, 0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
    ],
)
def test_lab_is_that_of_the_standard(colour, lab):
    np.testing.assert_allclose(regions.to_lab(np.full((2, 2, 3), colour, np.uint8))[1, 1], lab, atol=0.3)


# Backdrop


def test_person_before_a_blue_backdrop_is_keyed_out():
    person = regions.key_backdrop(make_portrait(BLUE))
    assert person.shape == (SIDE, SIDE)
    assert person.dtype == np.float32
    disc = make_disc()
    well_inside, well_outside = (
        geometry.grow(disc.astype(np.float32), -3) > 0,
        geometry.grow(disc.astype(np.float32), 3) == 0,
    )
    assert person[well_inside].min() > 0.95
    assert person[well_outside].max() < 0.05


def test_shadow_on_the_backdrop_stays_backdrop():
    portrait = make_portrait(BLUE)
    shaded = np.linspace(1.0, 0.7, SIDE)[None, :, None] * portrait
    person = regions.key_backdrop(np.where(make_disc()[..., None], portrait, shaded).astype(np.uint8))
    assert person[8:24, -24:].mean() < 0.1


@pytest.mark.parametrize("backdrop", [(128, 128, 128), (230, 225, 220), (20, 20, 20), (150, 40, 40), (60, 110, 60)])
def test_other_backdrops_are_not_keyed(backdrop):
    assert regions.key_backdrop(make_portrait(backdrop)) is None


# Regions of one colour


def test_grab_cut_finds_the_border_of_a_colour():
    disc = make_disc()
    seeds, around = make_disc(radius=12), ~make_disc(radius=55)
    found = regions.grab_cut(make_portrait((90, 90, 60)), seeds, make_disc(radius=25), around)
    assert (found & disc).sum() / (found | disc).sum() > 0.97
    assert found[seeds].all()
    assert not found[around].any()


def test_grab_cut_obeys_its_seeds_against_the_colour():
    disc, island = make_disc(), make_disc(x=10, y=10, radius=5)
    found = regions.grab_cut(
        make_portrait((90, 90, 60)), make_disc(radius=12) | island, disc, ~make_disc(radius=55) & ~island
    )
    assert found[island].all()


def test_grab_cut_divides_the_same_picture_the_same_way(photo):
    small = geometry.resize(photo, SIDE, SIDE)
    seeds = make_disc(56, 30, 8), make_disc(56, 30, 16), ~make_disc(56, 30, 50)
    first = regions.grab_cut(small, *seeds)
    for _ in range(8):
        np.testing.assert_array_equal(regions.grab_cut(small, *seeds), first)


def test_connected_parts_are_apart_and_add_up():
    mask = make_disc(30, 30, 10) | make_disc(90, 90, 15)
    parts = regions.connected_parts(mask)
    assert sorted(int(part.sum()) for part in parts) == sorted(
        [int(make_disc(30, 30, 10).sum()), int(make_disc(90, 90, 15).sum())]
    )
    np.testing.assert_array_equal(np.any(parts, axis=0), mask)
    assert regions.connected_parts(np.zeros((8, 8), bool)) == []


def test_only_connected_parts_whose_box_fits_stay():
    left, right = make_disc(30, 30, 10), make_disc(90, 90, 15)
    places = geometry.pixel_grid(*left.shape)
    np.testing.assert_array_equal(regions.keep_connected_parts(left | right, lambda box: box[:, 0] < 40, places), left)
    wide = regions.keep_connected_parts(left | right, lambda box: box[:, 2] - box[:, 0] > 25, places)
    np.testing.assert_array_equal(wide, right)
    assert not regions.keep_connected_parts(left | right, lambda box: box[:, 1] > 200, places).any()
    assert not regions.keep_connected_parts(np.zeros((8, 8), bool), lambda box: box[:, 0] < 40, places[:8, :8]).any()


@given(arrays.arrays(np.bool_, (16, 16)), st.integers(1, 3))
def test_opening_adds_nothing_and_is_done_once(mask, radius):
    opened = regions.without_specks(mask, radius)
    assert not (opened & ~mask).any()
    np.testing.assert_array_equal(regions.without_specks(opened, radius), opened)


def test_opening_removes_specks_and_keeps_the_rest():
    mask = np.zeros((32, 32), bool)
    mask[5:20, 6:22] = True
    speckled = mask.copy()
    speckled[28, 28] = speckled[25, 3:9] = True
    np.testing.assert_array_equal(regions.without_specks(speckled), mask)


# Soft masks


def test_coarse_mask_is_pulled_to_the_edge():
    disc = make_disc()
    guide = np.where(disc, 0.7, 0.3).astype(np.float32)
    coarse = geometry.blur(make_disc(x=66).astype(np.float32), 4.0)
    fine = regions.follow_edges(coarse, guide, 6, 1e-3)
    assert ((coarse > 0.5) != disc).sum() > 250
    assert ((fine > 0.5) != disc).sum() < 15
    assert np.abs(np.diff(fine[:, 64])).max() > 4 * np.abs(np.diff(coarse[:, 64])).max()


@given(st.floats(0, 1))
def test_even_mask_stays_even(share):
    guide = np.random.default_rng(3).random((40, 40), np.float32)
    even = np.full((40, 40), share, np.float32)
    np.testing.assert_allclose(regions.follow_edges(even, guide, 4, 1e-3), even, atol=2e-3)


def test_pulled_mask_stays_between_0_and_1():
    rng = np.random.default_rng(4)
    pulled = regions.follow_edges(
        (rng.random((40, 40)) > 0.5).astype(np.float32), rng.random((40, 40), np.float32), 3, 1e-6
    )
    assert pulled.min() >= 0
    assert pulled.max() <= 1
