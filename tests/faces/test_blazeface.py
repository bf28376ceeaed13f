"""BlazeFace: tiles give the finds of one pass, sizes from a few pixels to the whole frame, one find for each face."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from reage.faces import blazeface
from reage.faces.blazeface import (
    BlazeFaceConfig,
    BlazeFaceHit,
    cut_tiles,
    detect_once,
    overlap,
    roll_degrees,
    search,
    suppress_overlaps,
)
from reage.images import geometry
from reage.types import Face, Pixels

CONFIG = BlazeFaceConfig()


def make_hit(x0: float, y0: float, x1: float, y1: float, score: float) -> BlazeFaceHit:
    centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2], np.float32)
    return BlazeFaceHit(centre, x1 - x0, np.zeros((6, 2), np.float32), score)


@pytest.fixture(scope="module")
def crowd(photo: Pixels, face: Face) -> tuple[Pixels, list[tuple[float, float]]]:
    """(1000, 1300, 3) with twelve faces of 30 px, and the middle of the eyes of each."""
    factor = 30 / face.height_px
    head = geometry.resize_by(np.ascontiguousarray(photo[:256, 96:352]), factor)
    eyes = face.landmarks[:4].mean(0) - (96, 0)
    picture, places = np.full((1000, 1300, 3), 128, np.uint8), []
    for index in range(12):
        top, left = 37 + index // 4 * 340, 11 + index % 4 * 331
        picture[top : top + len(head), left : left + head.shape[1]] = head
        places.append((left + factor * float(eyes[0]), top + factor * float(eyes[1])))
    return picture, places


def test_a_hit_of_the_demo_face_has_its_points_in_order(photo: Pixels, face: Face) -> None:
    (hit,) = search(photo)
    left_eye, right_eye, nose, mouth, left_ear, right_ear = hit.points
    distance = float(np.linalg.norm(right_eye - left_eye))
    pupils = face.landmarks[:4].reshape(2, 2, 2).mean(1)
    np.testing.assert_allclose([left_eye, right_eye], pupils, atol=0.2 * distance)
    assert left_ear[0] < left_eye[0] < nose[0] < right_eye[0] < right_ear[0]
    assert max(left_eye[1], right_eye[1]) < face.landmarks[4, 1] < mouth[1] < hit.box[3]
    assert abs(roll_degrees(hit.points)) < 20
    assert CONFIG.min_score <= hit.score <= 1
    assert hit.side_px == pytest.approx(1.2 * face.height_px, rel=0.1)


def test_hits_move_to_another_frame() -> None:
    moved = replace(make_hit(10, 20, 30, 40, 0.7), points=np.ones((6, 2), np.float32)).moved(2, (100, 0))
    assert moved.box == (120, 40, 160, 80)
    np.testing.assert_array_equal(moved.points[0], [102, 2])
    assert moved.score == 0.7


def test_roll_is_clockwise() -> None:
    points = np.zeros((6, 2))
    points[1] = (10, 10)  # the eye on the right lies lower
    assert roll_degrees(points) == pytest.approx(45)


# Copies and tiles


def test_tiles_give_the_finds_of_one_pass(crowd: tuple[Pixels, list[tuple[float, float]]]) -> None:
    picture, places = crowd
    at_once = replace(CONFIG, tile_px=4096)
    tiled = replace(CONFIG, tile_px=512)
    whole, parts = search(picture, at_once), search(picture, tiled)
    assert len(whole) == len(parts) == len(places)
    for place in places:
        one, other = (min(hits, key=lambda hit: np.linalg.norm(hit.centre - place)) for hits in (whole, parts))
        np.testing.assert_allclose(one.centre, other.centre, atol=2)
        assert one.side_px == pytest.approx(other.side_px, rel=0.1)
        assert np.linalg.norm(one.points[:2].mean(0) - place) < 4


@pytest.mark.parametrize(("height", "width"), [(1, 1), (90, 2500), (1152, 1152), (3000, 4000), (4000, 3000)])
def test_tiles_cover_the_picture_and_none_is_larger_than_its_side(height: int, width: int) -> None:
    seen = np.zeros((height, width), bool)
    pixels = np.zeros((height, width, 3), np.uint8)
    for search_px in CONFIG.search_px:
        factor = min(search_px / max(height, width), CONFIG.max_enlargement)
        seen[:] = False
        tiles = list(cut_tiles(pixels, factor, CONFIG))
        for top, left, tile in tiles:
            assert max(tile.shape[:2]) <= CONFIG.tile_px + np.ceil(factor)
            rows, columns = (round(side / factor) for side in tile.shape[:2])
            seen[max(0, top - 1) : top + rows + 1, max(0, left - 1) : left + columns + 1] = True
        assert seen.all()
        assert len(tiles) <= (1 if search_px <= CONFIG.tile_px else 9)


def test_tiles_overlap_by_the_width_of_the_faces_they_are_for() -> None:
    pixels = np.zeros((3000, 4000, 3), np.uint8)
    factor = CONFIG.search_px[-1] / 4000
    lefts = sorted({left for _, left, _ in cut_tiles(pixels, factor, CONFIG)})
    overlaps = [(left + CONFIG.tile_px / factor - following) * factor for left, following in pairwise(lefts)]
    assert len(overlaps) == 2
    assert all(one == pytest.approx(CONFIG.overlap_px, abs=2) for one in overlaps)
    assert CONFIG.overlap_px >= 2 * CONFIG.small_face_px


# Which copies are searched


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Height and width of every picture that the net was run on."""
    sizes: list[tuple[int, int]] = []

    def count(copy: Pixels, min_score: float) -> list[BlazeFaceHit]:
        sizes.append(copy.shape[:2])
        return detect_once(copy, min_score)

    monkeypatch.setattr(blazeface, "detect_once", count)
    return sizes


def put_face(photo: Pixels, face: Face, side_px: int, share: float) -> Pixels:
    """A grey square with the demo face, of that share of it, in its middle."""
    head = geometry.resize_by(np.ascontiguousarray(photo[:200, 124:324]), share * side_px / face.height_px)
    picture = np.full((side_px, side_px, 3), 120, np.uint8)
    start = (side_px - len(head)) // 2
    picture[start : start + len(head), start : start + head.shape[1]] = head
    return picture


def copies_of(passes: list[tuple[int, int]]) -> list[int]:
    """Long sides of the first copy, of the two padded ones, and of what was searched after these."""
    return [max(size) for size in passes]


@pytest.mark.parametrize(("share", "num_copies"), [(0.4, 1), (0.15, 1), (0.05, 2), (0.018, 3)])
def test_finer_copies_are_searched_only_while_the_smallest_face_is_small(
    photo: Pixels, face: Face, passes: list[tuple[int, int]], share: float, num_copies: int
) -> None:
    """A face of 0.15 is 86 px high on the first copy, one of 0.05 is so on the second."""
    (hit,) = search(put_face(photo, face, 2000, share))
    assert hit.side_px == pytest.approx(1.2 * share * 2000, rel=0.2)
    first, *rest = copies_of(passes)
    padded, finer = rest[: len(CONFIG.padded_copies)], rest[len(CONFIG.padded_copies) :]
    assert first == CONFIG.search_px[0]
    assert padded == pytest.approx([side_px for side_px, _ in CONFIG.padded_copies], abs=2)
    second, third = finer[:1], finer[1:]
    assert second == ([] if num_copies == 1 else [CONFIG.search_px[1]])
    assert len(third) == (9 if num_copies == 3 else 0)  # tiles
    assert max(third, default=0) <= CONFIG.tile_px + 2


def test_without_a_face_every_copy_is_searched(passes: list[tuple[int, int]]) -> None:
    assert search(np.full((2000, 1500, 3), 120, np.uint8)) == []
    first, _, _, second, *tiles = copies_of(passes)
    assert (first, second) == CONFIG.search_px[:2]
    assert len(tiles) == 9


def test_the_smallest_face_decides_whether_there_may_be_smaller_ones(
    photo: Pixels, face: Face, passes: list[tuple[int, int]]
) -> None:
    """A large face alone, as sure as it is, would end the search at the first copy."""
    picture = put_face(photo, face, 2000, 0.3)
    factor = 0.055 * 2000 / face.height_px
    small = geometry.resize_by(np.ascontiguousarray(photo[:200, 124:324]), factor)
    picture[20 : 20 + len(small), 20 : 20 + small.shape[1]] = small
    sides = [hit.side_px for hit in search(picture)]
    assert len(sides) == 2
    assert min(sides) < 0.3 * max(sides)
    assert copies_of(passes)[3:] == [CONFIG.search_px[1]]


@pytest.mark.parametrize(
    ("side_px", "first", "finer"), [(120, 480, []), (200, 576, [800]), (400, 576, [1152, 1216, 1216, 1216, 480])]
)
def test_a_small_picture_is_enlarged_four_times_at_most_and_to_no_size_twice(
    side_px: int, first: int, finer: list[int], passes: list[tuple[int, int]]
) -> None:
    """The last four are the tiles of a copy of 1600 px."""
    assert search(np.full((side_px, side_px, 3), 120, np.uint8)) == []
    assert copies_of(passes)[0] == first
    assert copies_of(passes)[3:] == finer


def test_the_copies_are_those_of_the_config(photo: Pixels, passes: list[tuple[int, int]]) -> None:
    once = replace(CONFIG, search_px=(640,), padded_copies=())
    search(photo, once)
    assert copies_of(passes) == [640]
    passes.clear()
    search(photo, replace(once, search_px=(640, 900), small_face_px=1000.0))
    assert copies_of(passes) == [640, 900]


def test_pixels_beyond_the_picture_make_no_difference(photo: Pixels) -> None:
    """Sides are filled up to multiples of 64."""
    (whole,) = suppress_overlaps(detect_once(np.ascontiguousarray(photo[:256, 96:352]), 0.6), 0.4)
    (odd,) = suppress_overlaps(detect_once(np.ascontiguousarray(photo[:250, 96:345]), 0.6), 0.4)
    np.testing.assert_allclose(odd.centre, whole.centre, atol=3)
    assert odd.side_px == pytest.approx(whole.side_px, rel=0.05)


@pytest.mark.parametrize("share", [0.02, 0.03, 0.05, 0.08, 0.11, 0.15, 0.2, 0.3, 0.5, 0.7, 0.85])
def test_faces_of_every_share_of_the_picture_are_found_once(photo: Pixels, face: Face, share: float) -> None:
    side_px = 1000
    factor = share * side_px / face.height_px
    head = geometry.resize_by(np.ascontiguousarray(photo[:200, 124:324]), factor)
    eyes = factor * (face.landmarks[:4].mean(0) - (124, 0))
    canvas = np.full((2 * side_px + len(head), 2 * side_px + len(head), 3), 120, np.uint8)
    canvas[side_px : side_px + len(head), side_px : side_px + len(head)] = head
    left, top = (round(float(middle) + side_px - side_px / 2) for middle in eyes)
    (hit,) = search(np.ascontiguousarray(canvas[top : top + side_px, left : left + side_px]))
    np.testing.assert_allclose(hit.points[:2].mean(0), [side_px / 2, side_px / 2], atol=0.12 * share * side_px)
    assert hit.side_px == pytest.approx(1.2 * share * side_px, rel=0.2)


def test_places_smaller_than_the_least_side_are_no_faces(photo: Pixels) -> None:
    small = geometry.resize_by(photo, 24 / 108)
    (hit,) = search(small)
    assert CONFIG.min_face_px < hit.side_px < 30
    assert search(small, replace(CONFIG, min_face_px=35)) == []


# Suppression


def test_of_overlapping_hits_the_surest_is_kept() -> None:
    hits = [make_hit(0, 0, 100, 100, 0.7), make_hit(10, 10, 90, 90, 0.9), make_hit(95, 0, 195, 100, 0.6)]
    assert [hit.score for hit in suppress_overlaps(hits, 0.4)] == [0.9, 0.6]
    assert len(suppress_overlaps(hits, 1.1)) == 3
    assert suppress_overlaps([], 0.4) == []


def test_overlap_is_shared_area_over_the_smaller_box() -> None:
    assert overlap((0, 0, 10, 10), (5, 0, 15, 10)) == 0.5
    assert overlap((0, 0, 100, 100), (10, 10, 20, 20)) == 1
    assert overlap((0, 0, 10, 10), (10, 0, 20, 10)) == overlap((0, 0, 10, 10), (40, 40, 50, 50)) == 0


def test_a_net_without_a_face_in_view_says_nothing() -> None:
    assert search(np.full((300, 200, 3), 128, np.uint8)) == []
    assert search(np.zeros((1, 1, 3), np.uint8)) == []
