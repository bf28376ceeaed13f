"""The One-Euro filter."""

from __future__ import annotations

import numpy as np

from reage.video.steadying import OneEuroConfig, OneEuroFilter, smooth_mesh

SECONDS = np.arange(60) / 30


def test_what_rests_gets_steadier() -> None:
    noise = np.random.default_rng(0).normal(0, 0.002, (60, 5))
    filtered = OneEuroFilter(OneEuroConfig())
    steady = [filtered(value, float(at)) for value, at in zip(noise, SECONDS, strict=True)]
    assert np.abs(np.diff(steady, axis=0)).mean() < 0.6 * np.abs(np.diff(noise, axis=0)).mean()


def test_the_first_value_is_kept_as_it_is() -> None:
    steady = OneEuroFilter(OneEuroConfig(min_cutoff_hz=1.0, beta=0.0))
    assert steady(np.array([3.0]), 0.0)[0] == 3.0
    after = steady(np.array([4.0]), 1 / 30)[0]
    assert 3.0 < after < 3.3


def test_a_mesh_keeps_its_shape_and_place() -> None:
    mesh = np.random.default_rng(1).normal(0, 50, (1, 478, 3)).astype(np.float32) + 200
    track = mesh + (SECONDS * 40)[:, None, None].astype(np.float32)
    steps = np.tile(np.array([[1.0, 0, 40 / 30], [0, 1, 40 / 30]]), (60, 1, 1))
    track[..., 2] = mesh[..., 2]
    np.testing.assert_allclose(smooth_mesh(track, SECONDS, steps), track, atol=0.2)
    np.testing.assert_array_equal(smooth_mesh(mesh, SECONDS[:1], steps[:1]), mesh)


def test_a_mesh_that_trembles_moves_as_the_skin_does() -> None:
    random = np.random.default_rng(2)
    mesh = random.normal(0, 50, (1, 478, 3)).astype(np.float32) + 200
    shaken = np.cumsum(random.normal(0, 3, (60, 2)), 0)  # of the camera, which the skin follows
    true = np.repeat(mesh, 60, 0)
    true[..., :2] += shaken[:, None]
    steps = np.tile(np.eye(2, 3), (60, 1, 1))
    steps[1:, :, 2] = np.diff(shaken, axis=0)
    measured = true + random.normal(0, 1, (60, 1, 3))
    errors = [np.abs(np.diff(one - true, axis=0)).mean() for one in (measured, smooth_mesh(measured, SECONDS, steps))]
    assert errors[1] < 0.35 * errors[0]
