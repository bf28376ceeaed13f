"""Warps along the mesh: what moves, what stays, what is hidden."""

from __future__ import annotations

import numpy as np
import pytest

from reage.faces.head_pose import turn_mesh
from reage.faces.mesh_warp import extend_meshes, make_warp, mesh_triangles
from reage.images import geometry
from reage.mesh_points import FACE_OUTLINE, MOUTH_OUTLINE
from reage.types import Pixels, Plane

SIDE = 128


def small(mesh: Plane) -> Plane:
    """The mesh in a picture of `SIDE` instead of 512 px."""
    half = np.array([0.5, 0.5, 0], np.float32)
    return (mesh + half) * np.float32(SIDE / 512) - half


def with_mouth(mesh: Plane, gap: float) -> Plane:
    """The lips on one line, the lower ones so many px below it."""
    moved, lips = mesh.copy(), list(MOUTH_OUTLINE)
    moved[lips, 1] = mesh[13, 1]
    moved[lips[11:], 1] += gap * np.sin(np.linspace(0.1, 0.9, 9) * np.pi)
    return moved


def test_the_triangles_cover_the_face_once(mesh: Plane) -> None:
    triangles = mesh_triangles()
    assert triangles.shape == (898, 3)
    assert set(triangles.ravel()) == set(range(468))
    edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), 1)
    _, counts = np.unique(edges, axis=0, return_counts=True)
    assert (counts == 1).sum() == len(FACE_OUTLINE)
    assert counts.max() == 2


def test_the_same_mesh_moves_and_hides_nothing_in_front(mesh: Plane) -> None:
    warp = make_warp(small(mesh), small(mesh), SIDE, SIDE)
    np.testing.assert_allclose(warp.places, geometry.pixel_grid(SIDE, SIDE), atol=0.02)
    assert warp.hidden[warp.moved].mean() < 0.01


def test_points_of_the_mesh_come_from_where_they_were(mesh: Plane) -> None:
    source, target = small(mesh), turn_mesh(small(mesh), (18, -5, 0))
    warp = make_warp(source, target, SIDE, SIDE)
    points = [9, 5, 50, 280, 151, 152]
    found = geometry.sample(warp.places, target[None, points, :2])[0]
    np.testing.assert_allclose(found, source[points, :2], atol=0.8)


def test_nothing_moves_beyond_the_rings(mesh: Plane) -> None:
    source = small(mesh) * [0.5, 0.5, 0.5] + [32, 32, 0]
    warp = make_warp(source.astype(np.float32), turn_mesh(source.astype(np.float32), (25, 10, 10)), SIDE, SIDE)
    still = ~warp.moved
    assert still.mean() > 0.2
    np.testing.assert_array_equal(warp.places[still], geometry.pixel_grid(SIDE, SIDE)[still])
    assert not warp.hidden[still].any()


@pytest.mark.parametrize("yaw", [-18.0, 18.0])
def test_the_side_that_turns_into_view_is_hidden(mesh: Plane, yaw: float) -> None:
    source = turn_mesh(small(mesh), (-yaw, 0, 0))
    target = turn_mesh(source, (yaw, 0, 0))
    hidden = make_warp(source, target, SIDE, SIDE).hidden
    on_the_right = (np.nonzero(hidden)[1] > target[list(FACE_OUTLINE), 0].mean()).mean()
    assert hidden.mean() > 0.01
    assert on_the_right > 0.8 if yaw < 0 else on_the_right < 0.2


def test_an_opening_mouth_shows_what_nobody_saw(mesh: Plane) -> None:
    shut, opened, wider = (with_mouth(small(mesh), gap) for gap in (0.5, 12, 14))
    x, y = np.round((opened[13, :2] + opened[14, :2]) / 2).astype(int)
    assert make_warp(shut, opened, SIDE, SIDE).hidden[y, x]
    assert not make_warp(opened, wider, SIDE, SIDE).hidden[y, x]


def test_the_last_ring_stays(mesh: Plane) -> None:
    before, after = extend_meshes(small(mesh), turn_mesh(small(mesh), (20, 10, 15)))
    np.testing.assert_array_equal(before[-36:], after[-36:])
    assert np.abs(before[468:504] - after[468:504])[:, :2].max() > 2


def test_a_warped_picture_shows_the_features_at_their_new_places(mesh: Plane) -> None:
    source = small(mesh)
    picture: Pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    x, y = np.round(source[4, :2]).astype(int)
    picture[y - 2 : y + 3, x - 2 : x + 3] = 255
    target = turn_mesh(source, (20, 0, 0))
    warped = geometry.sample(picture, make_warp(source, target, SIDE, SIDE).places)
    rows, columns = np.nonzero(warped[..., 0] > 128)
    np.testing.assert_allclose([columns.mean(), rows.mean()], target[4, :2], atol=1.5)
