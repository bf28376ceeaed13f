"""The window around a head, and what the face generator sees of it."""

from __future__ import annotations

import numpy as np

from reage.faces.head_pose import turn_mesh
from reage.faces.head_window import (
    WINDOW_UNITS,
    WarpedHead,
    fill_hidden,
    make_planes,
    mirror_mesh,
    move_mesh,
    warp_head,
    window_from_crop,
)
from reage.faces.line_map import draw_line_map
from reage.images import geometry
from reage.mesh_points import measure_pose
from reage.nets.reenactment_config import NUM_PLANES
from reage.types import Face, Plane

SIDE = 128


def make_head(hidden: np.ndarray, mirrored_hidden: np.ndarray) -> WarpedHead:
    """A picture of 100 with a mirror image of 50."""
    picture = np.full((SIDE, SIDE, 3), 100, np.uint8)
    picture[hidden] = 0
    return WarpedHead(picture, hidden, np.ones_like(hidden), np.full_like(picture, 50), mirrored_hidden)


def test_the_window_is_upright_around_the_head(face: Face) -> None:
    matrix = window_from_crop(512, SIDE)
    points = geometry.move_points(face.to_crop(face.landmarks), matrix)
    eyes = points[:4].reshape(2, 2, 2).mean(1)
    assert abs(np.linalg.norm(eyes[1] - eyes[0]) / (SIDE / WINDOW_UNITS) - 1) < 0.1
    assert 0.35 < eyes[:, 1].mean() / SIDE < 0.5


def test_moved_depth_is_scaled(mesh: Plane) -> None:
    moved = move_mesh(mesh, np.array([[0.5, 0, 3], [0, 0.5, 4]]))
    np.testing.assert_allclose(moved, mesh * 0.5 + [3, 4, 0], atol=1e-4)


def test_a_mirrored_mesh_looks_the_other_way(mesh: Plane) -> None:
    turned = turn_mesh(mesh, (20, 5, 4))
    mirrored = mirror_mesh(turned, 512)
    np.testing.assert_allclose(measure_pose(mirrored), (-20, 5, -4), atol=0.6)
    np.testing.assert_allclose(mirror_mesh(mirrored, 512), turned, atol=1e-3)


def test_the_mirror_image_shows_what_the_picture_does_not(face: Face, mesh: Plane) -> None:
    matrix = window_from_crop(512, SIDE)
    picture, small = geometry.warp(face.crop, matrix, SIDE, SIDE), move_mesh(mesh, matrix)
    source = turn_mesh(small, (-20, 0, 0))
    head = warp_head(picture, source, turn_mesh(small, (20, 0, 0)))
    shown = head.hidden & ~head.mirrored_hidden & head.moved
    assert head.hidden.any()
    assert shown.sum() > 0.3 * head.hidden.sum()


def test_what_was_unknown_stays_hidden(face: Face, mesh: Plane) -> None:
    matrix = window_from_crop(512, SIDE)
    picture, small = geometry.warp(face.crop, matrix, SIDE, SIDE), move_mesh(mesh, matrix)
    unknown = np.zeros((SIDE, SIDE), bool)
    x, y = np.round(small[4, :2]).astype(int)
    unknown[y - 3 : y + 4, x - 3 : x + 4] = True
    same = warp_head(picture, small, small, unknown)
    assert same.hidden[y, x]
    assert not warp_head(picture, small, small).hidden[y, x]


def test_hidden_pixels_take_the_light_of_the_picture() -> None:
    hidden, nothing = np.zeros((2, SIDE, SIDE), bool)
    hidden[40:60, 40:60] = True
    assert np.abs(fill_hidden(make_head(hidden, nothing)).astype(int) - 100).max() <= 10
    assert np.abs(fill_hidden(make_head(hidden, hidden)).astype(int) - 100).max() <= 2


def test_known_pixels_are_kept() -> None:
    hidden = np.zeros((SIDE, SIDE), bool)
    hidden[:20] = True
    head = make_head(hidden, hidden)
    np.testing.assert_array_equal(fill_hidden(head)[~hidden], head.picture[~hidden])


def test_the_planes_of_the_generator(face: Face, mesh: Plane) -> None:
    matrix = window_from_crop(512, SIDE)
    picture, small = geometry.warp(face.crop, matrix, SIDE, SIDE), move_mesh(mesh, matrix)
    target = turn_mesh(small, (20, 0, 0))
    head, lines = warp_head(picture, small, target), draw_line_map(target, SIDE)
    planes = make_planes(head, lines)
    assert planes.shape == (NUM_PLANES, SIDE, SIDE)
    assert planes.dtype == np.float32
    np.testing.assert_allclose(planes[:3, ~head.hidden].T * 127.5 + 127.5, head.picture[~head.hidden], atol=0.01)
    for plane, mask in ((3, head.hidden), (7, head.mirrored_hidden), (9, head.moved)):
        np.testing.assert_array_equal(planes[plane], mask)
    np.testing.assert_allclose(planes[8], lines / 255, atol=1e-6)
    assert not planes[4:7, head.mirrored_hidden].any()
