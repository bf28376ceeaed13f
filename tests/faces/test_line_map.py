from __future__ import annotations

import numpy as np

from reage.faces.head_pose import turn_mesh
from reage.faces.line_map import draw_line_map, find_facing
from reage.mesh_points import FACE_OUTLINE
from reage.types import Plane


def test_lines_are_white_on_black_and_pass_through_the_outline_of_the_face(mesh: Plane) -> None:
    drawn = draw_line_map(mesh, 512)
    assert drawn.shape == (512, 512)
    assert drawn.dtype == np.uint8
    x, y = np.round(mesh[list(FACE_OUTLINE), :2]).astype(int).T
    assert (drawn[y, x] == 255).all()
    assert 0.01 < (drawn > 0).mean() < 0.08


def test_a_map_of_half_the_size_shows_the_same_lines(mesh: Plane) -> None:
    small = draw_line_map((mesh + 0.5) / 2 - 0.5, 256).astype(float)
    large = draw_line_map(mesh, 512).reshape(256, 2, 256, 2).mean((1, 3))
    assert np.abs(small - large).mean() < 4


def test_the_far_cheek_of_a_turned_head_has_no_line(mesh: Plane) -> None:
    turned = turn_mesh(mesh, (40.0, 0.0, 0.0))
    far, near = (454, 323, 361), (234, 93, 132)
    facing = find_facing(turned)
    assert not facing[list(far)].any()
    assert facing[list(near)].all()
    drawn = draw_line_map(turned, 512)
    outline = turned[list(far), :2]
    others = np.delete(turned[:468, :2], [*far, 366, 401, 356, 447], 0)
    x, y = np.round(outline[np.abs(outline[:, None] - others[None]).sum(-1).min(1) > 12]).astype(int).T
    assert (drawn[y, x] == 0).all()


def test_every_point_of_a_face_seen_from_the_front_faces_the_camera_but_few(mesh: Plane) -> None:
    assert find_facing(turn_mesh(mesh, (0.0, 0.0, 0.0)))[:468].mean() > 0.93
