"""Faces of any size and tilt are found once, in the right place; patterns are not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import pytest

from reage.errors import FaceNotFound
from reage.faces.blazeface import Box
from reage.faces.detector import BlazeFaceDetector, Detection
from reage.faces.finder import FaceFinder, FaceFinderConfig, choose_faces
from reage.faces.geometry import FIVE_POINTS, template_points
from reage.faces.mesh import to_ibug
from reage.images import geometry
from reage.types import Face, Matrix, Pixels, Plane

HEAD = (96, 0, 352, 256)
"""Box of the head and its surroundings in the demo photo."""


@pytest.fixture(scope="module")
def plain_finder() -> FaceFinder:
    """Without a parser: the same faces, a little sooner."""
    return FaceFinder()


@pytest.fixture(scope="module")
def head(photo: Pixels) -> Pixels:
    x0, y0, x1, y1 = HEAD
    return np.ascontiguousarray(photo[y0:y1, x0:x1])


def eye_distance(landmarks: Plane) -> float:
    return float(np.linalg.norm(landmarks[:2].mean(0) - landmarks[2:4].mean(0)))


def scaled(factor: float, x0: float = 0, y0: float = 0) -> Matrix:
    """From the demo photo to a part of it from (x0, y0) on, resized by a factor."""
    shift = (factor - 1) / 2
    return np.array([[factor, 0, shift - factor * x0], [0, factor, shift - factor * y0]])


def moved_by(matrix: Matrix, x: float, y: float) -> Matrix:
    """The matrix with a shift after it."""
    return matrix + np.array([[0, 0, x], [0, 0, y]])


def misplacement(found: Face, face: Face, matrix: Matrix) -> float:
    """Largest distance of a landmark from where the demo photo's moved to, in eye distances."""
    expected = geometry.move_points(face.landmarks, matrix)
    return float(np.linalg.norm(found.landmarks - expected, axis=1).max()) / eye_distance(expected)


# The demo photo


def test_demo_photo_has_one_face(face: Face) -> None:
    np.testing.assert_allclose(face.box, (175, 76, 265, 166), atol=8)
    assert 0.6 <= face.score <= 1


def test_landmarks_are_in_the_viewers_order(face: Face) -> None:
    x, y = face.landmarks[:, 0], face.landmarks[:, 1]
    assert (np.diff(x[:4]) > 0).all()
    assert x[1] < x[4] < x[2]
    assert y[4] > y[:4].max()


def test_landmarks_are_points_of_the_mesh(face: Face) -> None:
    points = to_ibug(face.mesh)
    np.testing.assert_array_equal(points[[36, 39, 42, 45, 33]], face.landmarks)
    jaw, brows, mouth = points[8], points[17:27], points[48:60]
    assert brows[:, 1].max() < face.landmarks[:4, 1].min() < face.landmarks[4, 1] < mouth[:, 1].min() < jaw[1]
    assert face.box[1] < brows[:, 1].min()


def test_finding_changes_nothing_and_repeats_itself(photo: Pixels, plain_finder: FaceFinder) -> None:
    before = photo.copy()
    (first,), (second,) = plain_finder.find(photo), plain_finder.find(photo)
    np.testing.assert_array_equal(photo, before)
    np.testing.assert_array_equal(first.landmarks, second.landmarks)
    np.testing.assert_array_equal(first.crop, second.crop)


# The crop


def test_crop_holds_the_landmarks_at_the_places_of_the_mean_face(face: Face) -> None:
    unit = 512 / 4.2
    places = template_points(FIVE_POINTS, 512)
    found = face.to_crop(face.landmarks)
    assert np.linalg.norm(found - places, axis=1).max() < 0.12 * unit
    eyes, mean_eyes = (points[:4].reshape(2, 2, 2).mean(1) for points in (found, places))
    assert np.linalg.norm(eyes - mean_eyes, axis=1).max() < 0.06 * unit
    np.testing.assert_allclose(found.mean(0), places.mean(0), atol=0.01)


def test_crop_is_the_photo_seen_through_the_matrix(face: Face, photo: Pixels) -> None:
    back = geometry.warp(face.crop, geometry.invert(face.crop_from_image), 512, 512)
    shown = slice(60, 180), slice(170, 280)
    assert np.abs(back[shown].astype(int) - photo[shown]).mean() < 2.5
    linear = face.crop_from_image[:, :2]
    np.testing.assert_allclose(linear @ linear.T, np.eye(2) * np.linalg.det(linear), atol=1e-6)


@pytest.mark.parametrize("crop_px", [96, 384])
def test_crop_has_the_size_of_the_config(head: Pixels, crop_px: int) -> None:
    (found,) = FaceFinder(FaceFinderConfig(crop_px=crop_px)).find(head)
    assert found.crop.shape == (crop_px, crop_px, 3)
    assert found.matte.shape == found.skin.shape == found.bare.shape == found.hair.shape == (crop_px, crop_px)


# Sizes, turns, colours


@pytest.mark.parametrize("factor", [0.4, 0.7, 1.7, 3, 8])
def test_landmarks_agree_at_every_size(photo: Pixels, face: Face, plain_finder: FaceFinder, factor: float) -> None:
    (found,) = plain_finder.find(geometry.resize_by(photo, factor))
    assert misplacement(found, face, scaled(factor)) < 0.03
    assert found.height_px == pytest.approx(factor * face.height_px, rel=0.03)


@pytest.mark.parametrize("degrees", [-135, -90, -75, -60, -50, -30, -15, 15, 30, 50, 60, 75, 90, 135, 180])
def test_tilted_heads_are_found_and_stand_upright_in_their_crop(
    head: Pixels, face: Face, plain_finder: FaceFinder, degrees: float
) -> None:
    turned, turned_from_head = geometry.rotate_about_centre(head, degrees)
    matrix = turned_from_head @ np.vstack([scaled(1, HEAD[0], HEAD[1]), [0, 0, 1]])
    (found,) = plain_finder.find(turned)
    assert misplacement(found, face, matrix) < 0.03
    eyes = found.to_crop(found.landmarks[:4]).reshape(2, 2, 2).mean(1)
    assert abs(eyes[1, 1] - eyes[0, 1]) < 0.02 * 512
    middle = slice(150, 400)
    assert np.abs(found.crop[middle, middle].astype(int) - face.crop[middle, middle]).mean() < 8


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_rotated_pictures_give_the_same_face(photo: Pixels, face: Face, plain_finder: FaceFinder, turns: int) -> None:
    (found,) = plain_finder.find(np.ascontiguousarray(np.rot90(photo, turns)))
    quarter = np.array([[0, 1, 0], [-1, 0, 511], [0, 0, 1]])
    assert misplacement(found, face, np.linalg.matrix_power(quarter, turns)[:2]) < 0.02


def test_face_of_20_px_on_a_picture_of_400(photo: Pixels, face: Face, plain_finder: FaceFinder) -> None:
    factor = 20 / face.height_px
    small = geometry.resize_by(photo, factor)
    picture = np.full((400, 400, 3), small[0, 0], np.uint8)
    picture[150 : 150 + len(small), 140 : 140 + len(small)] = small
    (found,) = plain_finder.find(picture)
    assert found.height_px == pytest.approx(20, abs=1)
    assert misplacement(found, face, moved_by(scaled(factor), 140, 150)) < 0.08


def test_face_of_40_px_on_a_picture_of_200(photo: Pixels, face: Face, plain_finder: FaceFinder) -> None:
    factor = 40 / face.height_px
    (found,) = plain_finder.find(geometry.resize_by(photo, factor)[:200, :200])
    assert found.height_px == pytest.approx(40, abs=2)
    assert misplacement(found, face, scaled(factor)) < 0.04


def test_face_of_3000_px_on_a_picture_of_6000(photo: Pixels, face: Face, plain_finder: FaceFinder) -> None:
    (found,) = plain_finder.find(geometry.resize(np.ascontiguousarray(photo[31:211, 134:314]), 6000, 6000))
    assert found.height_px == pytest.approx(3000, rel=0.03)
    assert misplacement(found, face, scaled(6000 / 180, 134, 31)) < 0.03


@pytest.mark.parametrize("factor", [0.5, 1, 10])
def test_face_that_fills_the_frame(photo: Pixels, face: Face, plain_finder: FaceFinder, factor: float) -> None:
    x0, y0, x1, y1 = (round(side) for side in face.box)
    (found,) = plain_finder.find(geometry.resize_by(np.ascontiguousarray(photo[y0:y1, x0:x1]), factor))
    assert misplacement(found, face, scaled(factor, x0, y0)) < 0.06


def test_grey_picture(head: Pixels, face: Face, plain_finder: FaceFinder) -> None:
    light = (head @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
    (found,) = plain_finder.find(np.repeat(light[..., None], 3, -1))
    assert misplacement(found, face, scaled(1, HEAD[0], HEAD[1])) < 0.03


@pytest.mark.parametrize("share", [0.03, 0.06, 0.15, 0.35, 1.6])
def test_dark_and_bright_pictures(head: Pixels, face: Face, plain_finder: FaceFinder, share: float) -> None:
    (found,) = plain_finder.find(np.clip(head * share, 0, 255).astype(np.uint8))
    assert misplacement(found, face, scaled(1, HEAD[0], HEAD[1])) < 0.03


def test_face_at_the_edge_has_a_whole_crop(photo: Pixels, face: Face, plain_finder: FaceFinder) -> None:
    (found,) = plain_finder.find(np.ascontiguousarray(photo[60:200, 172:300]))
    assert misplacement(found, face, scaled(1, 172, 60)) < 0.06
    beyond = found.crop[:30].astype(int)  # the border of the picture goes on
    assert np.abs(beyond[:1] - beyond).mean() < 8
    assert beyond.mean() > 60


# More faces, and none


def test_faces_are_sorted_by_size(head: Pixels, plain_finder: FaceFinder) -> None:
    side = 420
    picture = np.full((side, 3 * side, 3), head[0, 0], np.uint8)
    for column, px in enumerate((220, 420, 300)):
        picture[:px, column * side : column * side + px] = geometry.resize(head, px, px)
    found = plain_finder.find(picture)
    assert [int(one.landmarks[4, 0]) // side for one in found] == [1, 2, 0]
    assert [one.height_px for one in found] == sorted((one.height_px for one in found), reverse=True)


def test_18_faces_of_60_px_on_a_picture_of_12_megapixels(head: Pixels, face: Face, plain_finder: FaceFinder) -> None:
    factor = 60 / face.height_px
    small = geometry.resize_by(head, factor)
    picture = np.full((3000, 4000, 3), head[0, 0], np.uint8)
    corners = [
        (100 + column * 640 + row * 41, 200 + row * 950 + column * 37) for row in range(3) for column in range(6)
    ]
    for left, top in corners:
        picture[top : top + len(small), left : left + small.shape[1]] = small
    found = plain_finder.find(picture)
    assert len(found) == len(corners)
    for left, top in corners:
        matrix = moved_by(scaled(factor, HEAD[0], HEAD[1]), left, top)
        assert min(misplacement(one, face, matrix) for one in found) < 0.05
    assert all(one.height_px == pytest.approx(60, rel=0.05) for one in found)


def _patterns() -> dict[str, Pixels]:
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 255, 240)
    grey = {
        "noise": rng.integers(0, 256, (240, 240)),
        "gradient": np.add.outer(ramp, ramp) / 2,
        "checkerboard": (np.indices((240, 240)) // 20).sum(0) % 2 * 255,
        "plain": np.full((240, 240), 128),
        "one pixel": np.full((1, 1), 128),
        "one row": ramp[None],
    }
    return {name: np.repeat(levels[..., None], 3, -1).astype(np.uint8) for name, levels in grey.items()}


@pytest.mark.parametrize("name", _patterns())
def test_patterns_have_no_face(plain_finder: FaceFinder, name: str) -> None:
    assert plain_finder.find(_patterns()[name]) == []


@pytest.mark.parametrize("part", [(300, 0, 512, 512), (0, 300, 200, 512)], ids=["suit", "shuttle"])
def test_rest_of_the_demo_photo_has_no_face(photo: Pixels, plain_finder: FaceFinder, part: tuple[int, ...]) -> None:
    y0, x0, y1, x1 = part
    assert plain_finder.find(np.ascontiguousarray(photo[y0:y1, x0:x1])) == []


def _pictures_without_faces() -> dict[str, Callable[[np.random.Generator], np.ndarray]]:
    """What draws each of thirty pictures, (H, W) or (H, W, 3) in 0 to 255."""
    rows, columns = np.indices((384, 512))
    drawings: dict[str, Callable[[np.random.Generator], np.ndarray]] = {}
    for scale in (1, 2, 4, 8, 16, 32):

        def noise(rng: np.random.Generator, scale: int = scale) -> np.ndarray:
            coarse = rng.integers(0, 256, (384 // scale, 512 // scale, 3)).astype(np.float32)
            return geometry.resize(coarse, 384, 512)

        drawings[f"noise of {scale} px"] = noise
    for period in (6, 14, 40, 90):
        drawings[f"stripes of {period} px"] = lambda rng, period=period: 127 + 127 * np.sin(columns * 6.283 / period)
        drawings[f"waves of {period} px"] = lambda rng, period=period: (
            127 + 60 * np.sin(columns * 6.283 / period) + 60 * np.sin((rows + columns / 2) * 6.283 / period)
        )
        drawings[f"checkerboard of {period} px"] = lambda rng, period=period: (
            (rows // period + columns // period) % 2 * 255
        )
    for name, plane in {
        "gradient across": columns / 2,
        "gradient down": rows / 1.5,
        "rings": 127 + 127 * np.sin(np.hypot(rows - 192, columns - 256) / 5),
        "disc": 255 * (np.hypot(rows - 192, columns - 256) < 120),
    }.items():
        drawings[name] = lambda rng, plane=plane: plane
    for sigma in (4.0, 10.0, 25.0):

        def blobs(rng: np.random.Generator, sigma: float = sigma) -> np.ndarray:
            dots = (rng.random((384, 512, 3)) < 0.4 / sigma**2).astype(np.float32)
            soft = geometry.blur(dots, sigma)
            return 255 * soft / soft.max()

        drawings[f"blobs of {sigma:g} px"] = blobs
    for size in (12, 24, 48, 110, 200):
        drawings[f"text of {size} px"] = lambda rng, size=size: _write(size, rng)
    return drawings


def _write(size: int, rng: np.random.Generator) -> Pixels:
    page = PIL.Image.new("RGB", (512, 384), "white")
    draw = PIL.ImageDraw.Draw(page)
    font = PIL.ImageFont.load_default(size)
    for top in range(0, 384, round(1.3 * size)):
        draw.text((4, top), "".join(rng.choice(list("abcdeghnopqs 0689@&%"), 60)), fill="black", font=font)
    return np.array(page)


@pytest.mark.parametrize("name", _pictures_without_faces())
def test_generated_pictures_have_no_face(plain_finder: FaceFinder, name: str) -> None:
    picture = _pictures_without_faces()[name](np.random.default_rng(7))
    pixels = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, -1)
    assert plain_finder.find(np.ascontiguousarray(np.clip(pixels, 0, 255).astype(np.uint8))) == []


def test_there_are_thirty_of_them() -> None:
    assert len(_pictures_without_faces()) >= 30


# A face given by hand


def test_a_face_by_hand_is_the_one_that_is_found(photo: Pixels, face: Face, finder: FaceFinder) -> None:
    x0, y0, x1, y1 = face.box
    by_hand = finder.find_in_box(photo, (x0 - 20, y0 - 10, x1 + 8, y1 + 20))
    assert misplacement(by_hand, face, scaled(1)) < 0.02
    np.testing.assert_allclose(by_hand.box, face.box, atol=1.5)
    assert np.abs(by_hand.crop.astype(int) - face.crop).mean() < 4
    assert np.abs(by_hand.matte - face.matte).mean() < 0.02


def test_a_face_by_hand_is_found_where_the_detector_sees_none(photo: Pixels, face: Face) -> None:
    blind = FaceFinder(detector=_BlindDetector())
    assert blind.find(photo) == []
    assert misplacement(blind.find_in_box(photo, face.box), face, scaled(1)) < 0.02


@pytest.mark.parametrize("box", [(10, 10, 10, 60), (600, 10, 700, 90), (290, 380, 400, 490)])
def test_a_box_without_a_face_is_refused(photo: Pixels, plain_finder: FaceFinder, box: Box) -> None:
    with pytest.raises(FaceNotFound, match=r"^The box .*\.$"):
        plain_finder.find_in_box(photo, box)


# choose_faces


@pytest.fixture(scope="module")
def three(cut_face: Callable[..., Face], photo: Pixels) -> list[Face]:
    return [cut_face(photo, (200.0, 200.0), size, side_px=32) for size in (50.0, 40.0, 30.0)]


def test_faces_are_chosen_by_name_or_number(three: list[Face]) -> None:
    assert choose_faces(three, "all") == three
    assert choose_faces(three, "largest") == choose_faces(three, 1) == [three[0]]
    assert choose_faces(three, 3) == [three[2]]
    assert choose_faces(three, [3, 1, 3]) == choose_faces(three, (1, 3)) == [three[0], three[2]]


@pytest.mark.parametrize("which", [0, 4, -1, "smallest", "1", "", 1.5])
def test_faces_that_are_not_there_are_refused(three: list[Face], which: str | int) -> None:
    with pytest.raises(FaceNotFound) as refusal:
        choose_faces(three, which)
    text = str(refusal.value)
    assert repr(which) in text
    assert "1 to 3" in text
    assert text.endswith(".")


def test_one_number_that_is_not_there_is_refused(three: list[Face]) -> None:
    with pytest.raises(FaceNotFound, match=r"no face 4.*1 to 3"):
        choose_faces(three, (1, 4))


@pytest.mark.parametrize("which", ["all", "largest", 1])
def test_no_face_is_refused_in_a_sentence(which: str | int) -> None:
    with pytest.raises(FaceNotFound, match=r"^No face was found .*upright, rotated or brightened;.*--box X0,.*\.$"):
        choose_faces([], which)


# Other detectors


class _BlindDetector(BlazeFaceDetector):
    """Finds nothing by itself."""

    def detect(self, pixels: Pixels) -> list[Detection]:
        return []


class _FixedDetector:
    """Finds the demo photo's face without looking."""

    def __init__(self, face: Face) -> None:
        self.face = face

    def detect(self, pixels: Pixels) -> list[Detection]:
        return [Detection(self.face.mesh, self.face.box, 2.5)]

    def find_in_box(self, pixels: Pixels, box: Box) -> Detection:
        return Detection(self.face.mesh, box, 1.5)


def test_any_detector_of_the_protocol_can_be_used(photo: Pixels, face: Face) -> None:
    (found,) = FaceFinder(detector=_FixedDetector(face)).find(photo)
    assert found.score == 2.5
    assert FaceFinder(detector=_FixedDetector(face)).find_in_box(photo, face.box).score == 1.5
    np.testing.assert_array_equal(found.mesh, face.mesh)
    np.testing.assert_array_equal(found.crop, face.crop)
