"""Where the pixels of a warped face come from, and which of them nothing shows."""

from __future__ import annotations

import numpy as np
import pytest

from reage.faces.head_pose import fit_pose, turn_mesh
from reage.faces.mesh_warp import extend_meshes, make_warp
from reage.images import geometry
from reage.mesh_points import measure_pose
from reage.types import Plane

SIDE = 512


def test_the_same_mesh_moves_nothing(mesh: Plane) -> None:
    warp = make_warp(mesh, mesh, SIDE, SIDE)
    away = np.abs(warp.places - geometry.pixel_grid(SIDE, SIDE)).max(-1)
    assert away.max() < 0.05
    assert warp.hidden[warp.moved].mean() < 0.02


def test_points_come_from_where_they_were(mesh: Plane) -> None:
    yaw, pitch, roll = measure_pose(mesh)
    turned = turn_mesh(mesh, (yaw + 15, pitch, roll + 5))
    warp = make_warp(mesh, turned, SIDE, SIDE)
    for point in (4, 50, 61, 105, 152, 159):
        x, y = np.round(turned[point, :2]).astype(int)
        away = warp.places[y, x] - mesh[point, :2]
        assert np.abs(away).max() < 2.5, point
        assert not warp.hidden[y, x] or point == 152


def test_pixels_beyond_the_last_ring_stay(mesh: Plane) -> None:
    warp = make_warp(mesh, turn_mesh(mesh, (20.0, 0.0, 0.0)), SIDE, SIDE)
    still = ~warp.moved
    assert still.mean() > 0.03
    np.testing.assert_array_equal(warp.places[still], geometry.pixel_grid(SIDE, SIDE)[still])
    assert not warp.hidden[still].any()


def test_the_last_ring_is_in_the_same_place_in_both(mesh: Plane) -> None:
    before, after = extend_meshes(mesh, turn_mesh(mesh, (20.0, 0.0, 0.0)))
    np.testing.assert_array_equal(before[-36:], after[-36:])
    assert np.abs(before[:468] - mesh[:468]).max() == 0


def test_an_opening_mouth_is_hidden_inside(mesh: Plane) -> None:
    unit = fit_pose(mesh).scale
    opened = mesh.copy()
    lower = [14, 87, 317, 178, 402, 88, 318, 95, 324, 17, 84, 314, 181, 405, 152, 148, 377]
    opened[lower, 1] += 0.4 * unit
    warp = make_warp(mesh, opened, SIDE, SIDE)
    x, y = np.round((opened[13, :2] + opened[14, :2]) / 2).astype(int)
    assert warp.hidden[y, x]
    x, y = np.round(opened[1, :2]).astype(int)
    assert not warp.hidden[y, x]


@pytest.mark.parametrize(("yaw", "seen_now"), [(30.0, 234), (-30.0, 454)])
def test_a_turned_head_shows_a_side_that_was_hidden(mesh: Plane, yaw: float, seen_now: int) -> None:
    turned = turn_mesh(mesh, (yaw, 0.0, 0.0))
    hidden = make_warp(mesh, turned, SIDE, SIDE).hidden
    x = np.arange(SIDE)
    near_side = x < turned[1, 0] if turned[seen_now, 0] < turned[1, 0] else x > turned[1, 0]
    assert hidden[:, near_side].sum() > 2 * hidden[:, ~near_side].sum()
