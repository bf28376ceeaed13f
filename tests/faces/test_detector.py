"""The detector: what BlazeFace finds is confirmed by the mesh, a face given by hand, dark pictures, aligned crops."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data

from reage.errors import FaceNotFound
from reage.faces.blazeface import BlazeFaceConfig, search, suppress_overlaps
from reage.faces.detector import (
    BlazeFaceDetector,
    Detection,
    DetectorConfig,
    align,
    brighten,
    face_box,
)
from reage.faces.geometry import FIVE_POINTS, template_points
from reage.images import geometry
from reage.mesh_points import NUM_POINTS
from reage.types import FACE_BOX_IN_CROP, Face, Pixels, Plane

Box = tuple[float, float, float, float]


@pytest.fixture(scope="module")
def detector() -> BlazeFaceDetector:
    return BlazeFaceDetector()


@pytest.fixture(scope="module")
def head(photo: Pixels) -> Pixels:
    return np.ascontiguousarray(photo[:256, 96:352])


def misplacement(landmarks: Plane, face: Face) -> float:
    """Largest distance of a landmark from where the demo photo has it, in eye distances."""
    eyes = face.landmarks[:4].reshape(2, 2, 2).mean(1)
    return float(np.linalg.norm(landmarks - face.landmarks, axis=1).max() / np.linalg.norm(eyes[1] - eyes[0]))


def box_around(face: Face, grown: float = 1.0, shift: tuple[float, float] = (0, 0)) -> Box:
    """The face's box, enlarged about its centre and then moved by shares of its side."""
    x0, y0, x1, y1 = face.box
    side = y1 - y0
    x, y = (x0 + x1) / 2 + shift[0] * side, (y0 + y1) / 2 + shift[1] * side
    return (x - grown * side / 2, y - grown * side / 2, x + grown * side / 2, y + grown * side / 2)


# detect


def test_place_that_the_mesh_does_not_confirm_is_dropped(photo: Pixels, detector: BlazeFaceDetector) -> None:
    suit = np.ascontiguousarray(photo[300:])
    unsure = BlazeFaceConfig(min_score=0.3, min_small_score=0.3)
    assert search(suit, unsure)
    assert BlazeFaceDetector(DetectorConfig(blazeface=unsure)).detect(suit) == []
    (found,) = detector.detect(photo)
    assert found.box[3] < 200


def test_a_detection_has_the_landmarks_and_the_box_of_the_face(
    photo: Pixels, face: Face, detector: BlazeFaceDetector
) -> None:
    (found,) = detector.detect(photo)
    assert misplacement(found.landmarks, face) < 0.05
    np.testing.assert_allclose(found.box, face.box, atol=2)
    assert 0.6 <= found.score <= 1


def test_stricter_config_drops_the_face(head: Pixels) -> None:
    assert len(BlazeFaceDetector().detect(head)) == 1
    for strict in (DetectorConfig(blazeface=BlazeFaceConfig(min_score=0.99)), DetectorConfig(min_presence=1.01)):
        assert BlazeFaceDetector(strict).detect(head) == []


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_rotated_pictures_are_searched_rotated(head: Pixels, turns: int) -> None:
    rotated = np.ascontiguousarray(np.rot90(head, turns))
    sure = BlazeFaceConfig(min_score=0.75)
    assert BlazeFaceDetector(DetectorConfig(blazeface=sure, rotations_degrees=())).detect(rotated) == []
    (found,) = BlazeFaceDetector(DetectorConfig(blazeface=sure)).detect(rotated)
    (upright,) = BlazeFaceDetector(DetectorConfig(blazeface=sure)).detect(head)
    back = np.array([[1, 0], [0, 1]])
    for _ in range(turns):
        back = back @ np.array([[0, -1], [1, 0]])
    middle = (len(head) - 1) / 2
    np.testing.assert_allclose((found.landmarks - middle) @ back.T + middle, upright.landmarks, atol=1e-3)


# Dark pictures


@pytest.mark.parametrize("name", ["rocket", "coins", "chelsea"])
def test_pictures_without_people_show_no_face(name: str, detector: BlazeFaceDetector) -> None:
    pixels = getattr(skimage.data, name)()
    assert not detector.detect(np.ascontiguousarray(pixels if pixels.ndim == 3 else np.stack([pixels] * 3, -1)))


def test_only_dark_pictures_are_brightened(photo: Pixels) -> None:
    assert brighten(photo, photo, 50, 16) is photo
    dark = (photo * 0.06).astype(np.uint8)
    bright = brighten(dark, dark, 50, 16)
    assert 85 < bright.mean() < 110
    assert brighten(dark, dark, 50, 4).mean() == pytest.approx(4 * dark.mean(), rel=0.01)
    assert brighten(np.zeros_like(dark), np.zeros_like(dark), 50, 16).max() == 0


def test_the_shown_part_says_how_dark_it_is(photo: Pixels) -> None:
    night = np.vstack([np.zeros_like(photo), photo])
    assert brighten(night, night[512:], 80, 16) is night
    assert brighten(night, night, 80, 16).mean() > 1.3 * night.mean()


@pytest.mark.parametrize("rim_px", [60, 300])
def test_a_lit_face_in_the_dark_is_found(head: Pixels, face: Face, detector: BlazeFaceDetector, rim_px: int) -> None:
    night = np.pad(head[60:190, 60:190], ((rim_px, rim_px), (rim_px, rim_px), (0, 0)))
    assert night.mean() < DetectorConfig.dark_level
    (found,) = detector.detect(night)
    assert misplacement(found.landmarks - rim_px + np.array([96 + 60, 60]), face) < 0.06


@pytest.mark.parametrize("share", [0.15, 0.06, 0.03])
def test_the_mesh_of_a_dark_picture_is_that_of_the_bright_one(
    photo: Pixels, face: Face, detector: BlazeFaceDetector, share: float
) -> None:
    (found,) = detector.detect((photo * share).astype(np.uint8))
    assert misplacement(found.landmarks, face) < 0.04
    eye_distance_px = face.height_px / 2.1
    assert np.linalg.norm(found.mesh - face.mesh, axis=1).mean() < 0.04 * eye_distance_px


# A face given by hand


@pytest.mark.parametrize(
    ("grown", "shift"),
    [
        (1.0, (0, 0)),
        (1.5, (0, 0)),
        (2.0, (0, 0)),
        (0.8, (0, 0)),
        (1.3, (0.2, 0.2)),
        (1.3, (-0.2, 0.1)),
        (1.6, (0, 0.25)),
    ],
)
def test_a_box_by_hand_need_not_be_exact(
    photo: Pixels, face: Face, detector: BlazeFaceDetector, grown: float, shift: tuple[float, float]
) -> None:
    found = detector.find_in_box(photo, box_around(face, grown, shift))
    assert misplacement(found.landmarks, face) < 0.06
    np.testing.assert_allclose(found.box, face.box, atol=4)
    assert 0.9 < found.score <= 1


def test_a_box_by_hand_chooses_among_faces(head: Pixels, detector: BlazeFaceDetector) -> None:
    pair = np.hstack([head, head])
    (first, second) = sorted(detector.detect(pair), key=lambda hit: hit.box)
    for one in (first, second):
        found = detector.find_in_box(pair, one.box)
        np.testing.assert_allclose(found.landmarks, one.landmarks, atol=2)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_box_by_hand_finds_a_rotated_face(
    photo: Pixels, face: Face, detector: BlazeFaceDetector, degrees: int
) -> None:
    turned, turned_from_image = geometry.rotate_about_centre(photo, degrees)
    expected = geometry.move_points(face.landmarks, turned_from_image)
    found = detector.find_in_box(turned, face_box(expected))
    moved = geometry.move_points(found.landmarks, geometry.invert(turned_from_image))
    assert misplacement(moved, face) < 0.06


@pytest.mark.parametrize("share", [0.15, 0.03])
def test_a_box_by_hand_finds_a_dark_face_beside_a_lamp(
    photo: Pixels, face: Face, detector: BlazeFaceDetector, share: float
) -> None:
    dark = (photo * share).astype(np.uint8)
    dark[:, 300:] = 255
    assert misplacement(detector.find_in_box(dark, face.box).landmarks, face) < 0.06


def test_a_box_by_hand_may_reach_beyond_the_picture(photo: Pixels, face: Face, detector: BlazeFaceDetector) -> None:
    found = detector.find_in_box(np.ascontiguousarray(photo[90:, 190:]), (-40, -30, 80, 80))
    assert misplacement(found.landmarks + np.array([190, 90]), face) < 0.1


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ((200, 100, 200, 150), "has no area"),
        ((200, 100, 150, 150), "has no area"),
        ((200, 160, 250, 100), "has no area"),
        ((512, 0, 600, 80), "lies outside the picture, which is 512 x 512 px"),
        ((-90, -90, 0, 0), "lies outside the picture"),
        ((300, 380, 400, 480), "shows no face"),
    ],
)
def test_a_box_without_a_face_is_refused_in_a_sentence(
    photo: Pixels, detector: BlazeFaceDetector, box: Box, words: str
) -> None:
    with pytest.raises(FaceNotFound) as refusal:
        detector.find_in_box(photo, box)
    text = str(refusal.value)
    assert text.startswith(f"The box {','.join(f'{side:g}' for side in box)} ")
    assert words in text
    assert text.endswith(".")
    assert "\n" not in text


# Alignment and suppression


def test_landmarks_at_the_template_need_no_matrix() -> None:
    np.testing.assert_allclose(align(template_points(FIVE_POINTS, 200), 200), np.eye(2, 3), atol=1e-4)


def test_the_box_of_the_mean_face_is_that_of_a_crop() -> None:
    box = face_box(template_points(FIVE_POINTS, 1000))
    np.testing.assert_allclose(box, np.array(FACE_BOX_IN_CROP) * 1000, atol=0.1)


def test_of_overlapping_detections_the_highest_score_is_kept() -> None:
    mesh = np.zeros((NUM_POINTS, 3), np.float32)
    boxes = [(0.0, 0.0, 100.0, 100.0), (10.0, 10.0, 90.0, 90.0), (95.0, 0.0, 195.0, 100.0)]
    hits = [Detection(mesh, box, score) for box, score in zip(boxes, (0.7, 0.9, 0.6), strict=True)]
    assert [hit.score for hit in suppress_overlaps(hits, 0.4)] == [0.9, 0.6]
    assert len(suppress_overlaps(hits, 1.1)) == 3
