"""The face mesh: its landmarks, whether it sees a face at all, pose and openness."""

from __future__ import annotations

import numpy as np
import pytest

from reage.faces.mesh import FaceMesh, fit_mesh
from reage.images import geometry
from reage.mesh_points import NUM_POINTS, measure_eye_openness, measure_mouth_openness, measure_pose
from reage.types import Face, Pixels, Plane


def fit(pixels: Pixels, landmarks: Plane) -> FaceMesh:
    """Of the face whose five landmarks are known."""
    across = landmarks[2:4].mean(0) - landmarks[:2].mean(0)
    eyes = landmarks[:4].mean(0)
    centre = eyes + 0.35 * np.array([-across[1], across[0]])
    roll = float(np.rad2deg(np.arctan2(across[1], across[0])))
    return fit_mesh(pixels, centre, 2.2 * float(np.linalg.norm(across)), roll)


def eye_distance(landmarks: Plane) -> float:
    return float(np.linalg.norm(landmarks[:2].mean(0) - landmarks[2:4].mean(0)))


@pytest.fixture(scope="module")
def mesh(photo: Pixels, face: Face) -> FaceMesh:
    return fit(photo, face.landmarks)


@pytest.fixture(scope="module")
def mirrored(photo: Pixels, face: Face) -> FaceMesh:
    """Of the mirrored photo."""
    landmarks = face.landmarks[[3, 2, 1, 0, 4]] * (-1, 1) + (511, 0)
    return fit(np.ascontiguousarray(photo[:, ::-1]), landmarks)


# Points


def test_the_mesh_of_a_rough_box_is_that_of_the_finder(mesh: FaceMesh, face: Face) -> None:
    assert mesh.points.shape == (NUM_POINTS, 3)
    apart = np.linalg.norm(mesh.landmarks - face.landmarks, axis=1) / eye_distance(face.landmarks)
    assert apart.max() < 0.04


def test_points_lie_on_the_face_and_the_nose_is_nearest(mesh: FaceMesh, face: Face) -> None:
    x0, y0, x1, y1 = face.box
    rim = 0.35 * face.height_px
    assert (mesh.points[:, :2] > (x0 - rim, y0 - rim)).all()
    assert (mesh.points[:, :2] < (x1 + rim, y1 + rim)).all()
    assert int(mesh.points[:, 2].argmin()) in (1, 4)  # its tip
    assert np.ptp(mesh.points[:, 2]) > 0.4 * face.height_px


def test_a_second_pass_makes_up_for_a_rough_box(photo: Pixels, face: Face, mesh: FaceMesh) -> None:
    centre = face.landmarks.mean(0) + 0.2 * face.height_px
    once, twice = (fit_mesh(photo, centre, 1.3 * face.height_px, 15.0, passes) for passes in (1, 2))
    errors = [np.linalg.norm(one.landmarks - mesh.landmarks, axis=1).max() for one in (once, twice)]
    assert errors[1] < 0.05 * eye_distance(face.landmarks)
    assert errors[1] <= errors[0]


@pytest.mark.parametrize(("factor", "tolerance"), [(0.3, 0.08), (2.5, 0.05)])
def test_points_grow_with_the_picture(
    photo: Pixels, face: Face, mesh: FaceMesh, factor: float, tolerance: float
) -> None:
    shift = (factor - 1) / 2
    larger = fit(geometry.resize_by(photo, factor), face.landmarks * factor + shift)
    expected = mesh.landmarks * factor + shift
    assert np.linalg.norm(larger.landmarks - expected, axis=1).max() < tolerance * eye_distance(expected)
    assert np.ptp(larger.points[:, 2]) == pytest.approx(factor * np.ptp(mesh.points[:, 2]), rel=0.1)


# Presence


def test_presence_is_high_on_a_face_and_low_elsewhere(photo: Pixels, mesh: FaceMesh) -> None:
    assert 0.95 < mesh.presence <= 1
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (200, 200, 3), np.uint8)
    plain = np.full((200, 200, 3), 128, np.uint8)
    for pixels in (noise, plain, np.ascontiguousarray(photo[300:500, 200:400])):
        assert 0 <= fit_mesh(pixels, np.array([100.0, 100.0]), 100, 0).presence < 0.1


# Pose and openness


def test_the_demo_face_looks_ahead(mesh: FaceMesh) -> None:
    yaw, pitch, roll = measure_pose(mesh.points)
    assert abs(yaw) < 6
    assert -20 < pitch < 10
    assert abs(roll) < 6


def test_a_mirrored_face_turns_and_tilts_the_other_way(mesh: FaceMesh, mirrored: FaceMesh) -> None:
    (yaw, pitch, roll), (other_yaw, other_pitch, other_roll) = (measure_pose(one.points) for one in (mesh, mirrored))
    assert other_yaw == pytest.approx(-yaw, abs=3)
    assert other_pitch == pytest.approx(pitch, abs=3)
    assert other_roll == pytest.approx(-roll, abs=2)


def make_head(yaw: float, pitch: float) -> Plane:
    """The four points that the pose is read from, on a head that is turned in space."""
    points = np.zeros((NUM_POINTS, 3), np.float32)
    points[33], points[263], points[10], points[152] = (-40, 0, 0), (40, 0, 0), (0, -60, 0), (0, 60, 0)
    a, b = np.deg2rad(yaw), np.deg2rad(pitch)
    to_right = np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]])
    up = np.array([[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]])
    assert (to_right @ up @ [0, 0, -1])[0] * yaw >= 0  # the nose points to the right of the picture
    assert (up @ [0, 0, -1])[1] * pitch <= 0  # and to its top
    return (points @ (to_right @ up).T).astype(np.float32)


@pytest.mark.parametrize(("yaw", "pitch"), [(0, 0), (30, 0), (-50, 0), (0, 25), (0, -25), (30, 20)])
def test_yaw_is_positive_to_the_right_and_pitch_upwards(yaw: float, pitch: float) -> None:
    found_yaw, found_pitch, _ = measure_pose(make_head(yaw, pitch))
    assert found_yaw == pytest.approx(yaw, abs=1)
    assert found_pitch == pytest.approx(pitch, abs=1)


@pytest.mark.parametrize("degrees", [-120, -45, 20, 90, 160])
def test_roll_follows_the_picture(photo: Pixels, face: Face, mesh: FaceMesh, degrees: float) -> None:
    turned, turned_from_image = geometry.rotate_about_centre(photo, degrees)  # counter-clockwise
    rolled = fit(turned, geometry.move_points(face.landmarks, turned_from_image))
    _, _, roll = measure_pose(rolled.points)
    difference = (roll - measure_pose(mesh.points)[2] + degrees + 180) % 360 - 180
    assert abs(difference) < 2
    expected = geometry.move_points(mesh.landmarks, turned_from_image)
    assert np.linalg.norm(rolled.landmarks - expected, axis=1).max() < 0.05 * eye_distance(expected)


def test_the_demo_face_smiles_with_open_eyes(mesh: FaceMesh) -> None:
    left, right = measure_eye_openness(mesh.points)
    assert 0.2 < left < 0.5
    assert 0.2 < right < 0.5
    assert 0.1 < measure_mouth_openness(mesh.points) < 0.4


def test_eyes_and_mouth_are_shut_when_their_points_meet(mesh: FaceMesh) -> None:
    points = mesh.points.copy()
    points[145], points[374], points[14] = points[159], points[386], points[13]
    assert measure_eye_openness(points) == (0, 0)
    assert measure_mouth_openness(points) == 0
