import numpy as np
import pytest

from reage.images import draw_faces, draw_sheet, draw_strip, draw_zones
from reage.images.drawing import draw_lines
from reage.mesh_points import LANDMARK_POINTS, NUM_POINTS
from reage.types import Face


def make_face(x=60, y=50, side=80):
    corners = np.array([[0.2, 0.4], [0.4, 0.4], [0.6, 0.4], [0.8, 0.4], [0.5, 0.65]])
    mesh = np.random.default_rng(0).uniform(0.1, 0.9, (NUM_POINTS, 3))
    mesh[list(LANDMARK_POINTS), :2] = corners
    return Face(
        box=(x, y, x + side, y + side),
        score=1.25,
        mesh=(mesh * side + (x, y, 0)).astype(np.float32),
        crop_from_image=np.array([[1.0, 0, -x], [0, 1.0, -y]]),
        crop=np.zeros((side, side, 3), np.uint8),
        matte=np.ones((side, side), np.float32),
        skin=np.ones((side, side), np.float32),
        bare=np.ones((side, side), np.float32),
        hair=np.zeros((side, side), np.float32),
    )


def make_plain(height=200, width=240, level=128):
    return np.full((height, width, 3), level, np.uint8)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_faces_are_marked_on_dark_and_light_and_the_photo_is_untouched(level):
    pixels = make_plain(level=level)
    drawn = draw_faces(pixels, [make_face()], mesh=True)
    assert drawn.shape == pixels.shape
    assert drawn.dtype == np.uint8
    assert (pixels == level).all()
    marked = np.abs(drawn.astype(int) - level).max(axis=2) > 60
    assert marked[51, 60:140].all(), "the top of the box"
    assert marked[82, 76], "the outer corner of the left eye"
    assert not marked[190:, 200:].any(), "far from the face nothing changes"


def test_no_faces_draw_nothing():
    pixels = make_plain()
    assert np.array_equal(draw_faces(pixels, []), pixels)


def test_the_mesh_adds_marks():
    pixels = make_plain()
    assert not np.array_equal(draw_faces(pixels, [make_face()]), draw_faces(pixels, [make_face()], mesh=True))


def test_the_number_of_a_face_at_the_edge_stays_in_the_picture():
    drawn = draw_faces(make_plain(), [make_face(x=-30, y=-30), make_face(x=200, y=150)])
    assert (drawn[0:14, 0:40] == 0).any()


def test_lines_grow_with_the_picture():
    small = draw_faces(make_plain(200, 200), [make_face()])
    large = draw_faces(make_plain(2000, 2000), [make_face(600, 500, 800)])
    assert (large[900] != 128).any(axis=1).sum() > 4 * (small[90] != 128).any(axis=1).sum() / 2


def test_marks_do_not_hide_a_small_face_of_a_large_picture():
    drawn = draw_faces(make_plain(3000, 4000), [make_face(600, 500, 60)])
    assert (drawn[500:560, 600:660] == 128).all(-1).mean() > 0.6


def test_a_strip_scales_every_picture_to_one_height():
    strip = draw_strip([make_plain(50, 50, 10), make_plain(100, 200, 200)], ["before", "after"], height_px=100)
    assert strip.shape[0] > 100
    assert strip.shape[1] >= 100 + 200
    assert (strip[-1, :100] == 10).all()
    assert (strip[-1, -200:] == 200).all()
    band = strip[: strip.shape[0] - 100]
    assert (band[:, :100] < 128).any(), "the first label"
    assert (band[:, -200:] < 128).any(), "the second label"


def test_a_long_label_is_shrunk_to_its_picture():
    strip = draw_strip([make_plain(64, 64), make_plain(64, 64)], ["a very long label indeed", ""], height_px=64)
    band = strip[: strip.shape[0] - 64]
    assert (band[:, -60:] == 255).all()


def test_a_strip_with_missing_labels_is_refused():
    with pytest.raises(AssertionError):
        draw_strip([make_plain()], [])


def test_a_sheet_has_a_cell_for_each_place_and_leaves_short_rows_white():
    rows = [[make_plain(40, 40, 0), make_plain(40, 80, 0)], [make_plain(80, 40, 0)]]
    sheet = draw_sheet(rows, ["20", "70"], ["none", "amgan"], cell_px=48)
    cells = sheet[-48 * 2 :, -48 * 2 - 2 :]
    assert (cells[-24, -24] == 255).all(), "the empty cell"
    assert (cells[24, 24] == 0).all()
    assert (cells[3, -24] == 255).all(), "a wide picture keeps its shape"
    assert (sheet[:, :20] < 128).any(), "row labels"
    assert (sheet[:14] < 128).any(), "column labels"


def test_zones_are_tinted_outlined_and_named():
    pixels = make_plain(128, 128)
    masks = {"forehead": np.zeros((128, 128), np.float32), "upper_lip": np.zeros((128, 128), np.float32)}
    masks["forehead"][10:50, 20:108] = 1
    masks["upper_lip"][80:120, 20:108] = 1
    drawn = draw_zones(pixels, masks)
    assert drawn.shape == (768, 768, 3)
    forehead, lip = drawn[70, 130].astype(int), drawn[490, 130].astype(int)
    assert np.abs(forehead - 128).max() > 20
    assert np.abs(forehead - lip).max() > 40, "each zone has its own colour"
    assert (drawn[-6:] == 128).all(), "outside all zones nothing changes"
    edge = drawn[54:70, 300].astype(int)
    assert (np.abs(edge - forehead).max(axis=1) > 60).sum() >= 2, "the outline is stronger than the tint"
    assert (drawn[150:210, 300:460] == 0).any(), "the dark edge of the name"
    assert not np.array_equal(drawn, draw_zones(pixels, masks, {"forehead": "0.42"}))


def test_a_zone_that_is_nowhere_and_a_large_picture_are_fine():
    pixels = make_plain(800, 900)
    assert np.array_equal(draw_zones(pixels, {"glabella": np.zeros((800, 900), np.float32)}), pixels)


def test_lines_join_their_points_and_nothing_else():
    drawn = draw_lines([np.array([[2.0, 5.0], [20.0, 5.0]]), np.array([[10.0, 9.0], [10.0, 14.0]])], 20, 24, 3)
    assert drawn.shape == (20, 24)
    assert (drawn[5, 3:20] == 255).all()
    assert (drawn[10:14, 10] == 255).all()
    assert not drawn[:2].any()
    assert not drawn[18:].any()
    assert not draw_lines([], 4, 4, 1).any()
