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


@pytest.mark.parametrize(("degrees", "turned"), [(120, (0, 255, 0)), (240, (0, 0, 255)), (-120, (0, 0, 255))])
def test_hues_are_rotated(degrees, turned):
    red, grey = np.full((2, 2, 3), (255, 0, 0), np.uint8), np.full((2, 2, 3), 90, np.uint8)
    np.testing.assert_allclose(regions.shift_hue(red, degrees)[0, 0], turned, atol=1)
    np.testing.assert_array_equal(regions.shift_hue(grey, degrees), grey)


def test_a_hue_rotated_by_nothing_or_all_stays():
    portrait = make_portrait(BLUE)
    for degrees in (0, 360):
        assert np.abs(regions.shift_hue(portrait, degrees).astype(int) - portrait).max() <= 8
    assert np.abs(regions.shift_hue(portrait, 90).astype(int) - portrait).mean() > 20


@pytest.mark.parametrize(
    ("colour", "light"), [((255, 255, 255), 255), ((0, 0, 0), 0), ((255, 0, 0), 76.2), ((0, 255, 0), 149.7)]
)
def test_luma_is_that_of_the_standard(colour, light):
    found = regions.to_light(np.full((2, 3, 3), colour, np.uint8))
    assert found.shape == (2, 3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, light, atol=0.6)


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


# Regions


def test_connected_parts_are_apart_and_add_up():
    mask = make_disc(30, 30, 10) | make_disc(90, 90, 15)
    parts = regions.connected_parts(mask)
    assert sorted(int(part.sum()) for part in parts) == sorted(
        [int(make_disc(30, 30, 10).sum()), int(make_disc(90, 90, 15).sum())]
    )
    np.testing.assert_array_equal(np.any(parts, axis=0), mask)
    assert regions.connected_parts(np.zeros((8, 8), bool)) == []


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


def test_distances_are_measured_from_the_border():
    away = regions.distance_px(make_disc(radius=30))
    to_border = 30 - np.hypot(*(geometry.pixel_grid(SIDE, SIDE) - (64, 70)).transpose(2, 0, 1))
    assert (away[~make_disc(radius=30)] == 0).all()
    np.testing.assert_allclose(away[to_border > 1], to_border[to_border > 1], atol=1.5)


# Mixtures of Gaussians

FLOOR = np.array([0.5, 0.5])


def draw_clusters(*centres, number=400, spread=1.0):
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(centre, spread, (number, 2)) for centre in centres])


def test_a_gaussian_is_recovered():
    values = draw_clusters((3, -7), number=4000) * (1, 3)
    mixture = regions.fit_mixture(values, 1, FLOOR)
    np.testing.assert_allclose(mixture.means, [(3, -21)], atol=0.15)
    np.testing.assert_allclose(np.linalg.inv(mixture.precisions[0]), np.diag([1.5, 9.5]), atol=0.5)


def test_the_cost_is_the_negative_log_likelihood_but_for_a_constant():
    mixture = regions.fit_mixture(draw_clusters((0, 0), (8, 4)), 2, FLOOR)
    places = geometry.pixel_grid(12, 16) - 2
    cost = mixture.measure_cost(places)
    assert cost.shape == (12, 16)
    densities = sum(
        0.5
        * np.exp(-0.5 * np.einsum("hwi,ij,hwj->hw", places - mean, precision, places - mean))
        * np.sqrt(np.linalg.det(precision))
        for mean, precision in zip(mixture.means, mixture.precisions, strict=True)
    )
    excess = cost + np.log(densities)
    np.testing.assert_allclose(excess, excess.mean(), atol=1e-3)


def test_two_clusters_cost_little_and_what_is_between_much():
    mixture = regions.fit_mixture(draw_clusters((-10, 0), (10, 0)), 2, FLOOR)
    cost = mixture.measure_cost(np.array([[[-10.0, 0], [0, 0], [10, 0]]], np.float32))[0]
    assert cost[1] - cost[[0, 2]].max() > 15
    assert abs(cost[0] - cost[2]) < 0.5
    (single,) = regions.fit_mixture(draw_clusters((-10, 0), (10, 0)), 1, FLOOR).means
    np.testing.assert_allclose(single, 0, atol=0.2)


def test_a_rarer_cluster_costs_more():
    values = np.concatenate([draw_clusters((-10, 0), number=900), draw_clusters((10, 0), number=100)])
    cost = regions.fit_mixture(values, 2, FLOOR).measure_cost(np.array([[[-10.0, 0], [10, 0]]], np.float32))[0]
    assert cost[1] - cost[0] == pytest.approx(np.log(9), abs=0.4)


def test_clusters_of_few_values_are_left_out():
    values = np.concatenate([draw_clusters((0, 0)), np.full((3, 2), 500.0)])
    mixture = regions.fit_mixture(values, 2, FLOOR)
    assert len(mixture.means) == 1
    np.testing.assert_allclose(mixture.means, 0, atol=0.3)
    assert len(regions.fit_mixture(values[:5], 4, FLOOR).means) == 1


def test_even_values_have_the_least_variance():
    mixture = regions.fit_mixture(np.full((20, 2), 7.0), 1, FLOOR)
    np.testing.assert_allclose(mixture.precisions[0], np.diag(1 / FLOOR))


def test_the_same_values_are_fitted_the_same_way():
    values = np.random.default_rng(1).uniform(0, 50, (300, 2))
    first, again = (regions.fit_mixture(values, 4, FLOOR) for _ in range(2))
    np.testing.assert_array_equal(first.means, again.means)
    np.testing.assert_array_equal(first.log_weights, again.log_weights)


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
