"""Bands of the detail of skin, and their energy patch by patch."""

from __future__ import annotations

import numpy as np
import pytest

from reage.faces.common_face import COMMON_UNITS, common_points
from reage.faces.skin_detail import (
    BAND_SIGMAS,
    PATCHES,
    beard_region,
    brow_region,
    fill_unusable,
    log_luminance,
    measure_energy,
    measure_sharpness,
    patch_weights,
    skin_region,
    split_bands,
)
from reage.images import geometry
from reage.types import Plane
from reage.zones import ZONES

SIDE = 320
UNIT = SIDE / COMMON_UNITS


def noise(sigma_px: float, seed: int = 0) -> Plane:
    plane = np.random.default_rng(seed).standard_normal((SIDE, SIDE)).astype(np.float32)
    blurred = geometry.blur(plane, sigma_px) if sigma_px else plane
    return blurred / blurred.std()


def test_patches_cover_the_face_once() -> None:
    weights = patch_weights()
    assert PATCHES[: len(ZONES)] == ZONES
    assert weights.shape == (len(PATCHES), 96, 96)
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(0), 1, atol=1e-5)
    places = {
        name: np.argwhere(weight > 0.9 * weight.max()).mean(0) for name, weight in zip(PATCHES, weights, strict=True)
    }
    assert places["forehead"][0] < places["nose"][0] < places["chin"][0]
    assert places["crows_feet.left"][1] < 48 < places["crows_feet.right"][1]


def test_bands_add_up_to_all_but_the_coarsest_light() -> None:
    light = noise(1.0) * 0.1
    bands = split_bands(light)
    assert len(bands) == len(BAND_SIGMAS)
    coarsest = light - np.sum(bands, axis=0)
    np.testing.assert_allclose(coarsest, geometry.blur(light, BAND_SIGMAS[-1] * UNIT), atol=0.02)


@pytest.mark.parametrize("index", [1, 2, 3])
def test_energy_is_found_in_the_band_of_its_size(index: int) -> None:
    planted = 0.05 * noise(BAND_SIGMAS[index] * UNIT * 0.6)
    energy = measure_energy(split_bands(planted), np.ones((SIDE, SIDE), np.float32))
    assert (energy.argmax(1) == index).mean() > 0.8
    doubled = measure_energy(split_bands(2 * planted), np.ones((SIDE, SIDE), np.float32))
    np.testing.assert_allclose(doubled, 2 * energy, rtol=1e-3)


def test_hidden_patches_are_not_measured() -> None:
    usable = np.ones((SIDE, SIDE), np.float32)
    usable[:, : SIDE // 2] = 0
    energy = measure_energy(split_bands(noise(1.0)), usable)
    assert np.isnan(energy[PATCHES.index("cheek.left")]).all()
    assert np.isfinite(energy[PATCHES.index("cheek.right")]).all()


def test_what_is_not_skin_does_not_ring_in_the_bands() -> None:
    light = np.full((SIDE, SIDE), -1.0, np.float32)
    usable = np.ones_like(light)
    light[:, 200:], usable[:, 195:] = -3.0, 0.0
    bands = split_bands(fill_unusable(light, usable))
    assert max(np.abs(band[:, :190]).max() for band in bands[:4]) < 0.02
    assert np.abs(split_bands(light)[3][:, :200]).max() > 0.3


def test_regions_leave_out_features() -> None:
    region = skin_region(SIDE)
    points = (common_points() * SIDE - 0.5).astype(int)
    eye, brow, lips, cheek = points[[159, 145]].mean(0), points[105], points[[13, 14]].mean(0), points[50]
    for x, y in (eye, brow, lips):
        assert region[int(y), int(x)] < 0.1
    assert region[cheek[1], cheek[0]] > 0.95
    assert brow_region(SIDE)[brow[1], brow[0]] > 0.8
    assert beard_region(SIDE)[points[199][1], points[199][0]] > 0.8
    assert beard_region(SIDE)[cheek[1], cheek[0]] == 0
    np.testing.assert_allclose(region, region[:, ::-1], atol=0.25)


def test_a_blurred_photo_is_less_sharp_in_fine_bands_only() -> None:
    pixels = np.clip(128 + 40 * noise(0.0)[..., None] + 40 * noise(8.0, 1)[..., None], 0, 255).repeat(3, -1)
    sharp = measure_sharpness(log_luminance(pixels))
    soft = measure_sharpness(log_luminance(geometry.blur(pixels.astype(np.float32), 2.0)))
    assert soft[0] < 0.3 * sharp[0]
    assert soft[4] > 0.7 * sharp[4]
