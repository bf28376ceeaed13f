"""The matte holds skin and hair, but never eyes, teeth, glasses or background; the face parser; the masks it needs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reage.errors import WeightsError
from reage.faces.geometry import FACE_PER_CROP, FIVE_POINTS, face_grid, template_points
from reage.faces.mesh import IBUG_POINTS
from reage.faces.segmentation import (
    FaceParser,
    Segmentation,
    bare_skin,
    eye_mask,
    face_oval,
    frame_mask,
    guess_segmentation,
    make_matte,
    mouth_mask,
)
from reage.images import geometry
from reage.mesh_points import NUM_POINTS
from reage.types import Face, Pixels, Plane
from reage.weights import find_weights, save_weights

EYES = ((36, 42), (42, 48))
MEAN_POINTS = template_points(FIVE_POINTS, 256)


@pytest.fixture(scope="module")
def five(face: Face) -> Plane:
    return face.to_crop(face.landmarks)


@pytest.fixture(scope="module")
def segmentation(face: Face) -> Segmentation:
    return Segmentation(skin=face.skin, hair=face.hair)


def around(mask: Plane, point: np.ndarray, reach_px: int) -> Plane:
    x, y = np.rint(point).astype(int)
    return mask[y - reach_px : y + reach_px + 1, x - reach_px : x + reach_px + 1]


def inside(points: Plane, side_px: int, margin_px: float = 0) -> np.ndarray:
    return geometry.grow(geometry.fill_polygon(points, side_px, side_px), -margin_px) > 0


def draw_glasses(crop: Pixels, ibug: Plane, level: int) -> tuple[Pixels, np.ndarray]:
    """The crop with round frames, and where they are."""
    side = crop.shape[0]
    unit = side / FACE_PER_CROP
    grid = geometry.pixel_grid(side, side)
    frames = np.zeros((side, side), bool)
    for first, last in EYES:
        from_eye = grid - ibug[first:last].mean(0) - np.array([0, 0.04 * unit], np.float32)
        frames |= np.abs(np.hypot(from_eye[..., 0], 1.2 * from_eye[..., 1]) - 0.4 * unit) < 0.025 * unit
    crop = crop.copy()
    crop[frames] = level
    return crop, frames


# The matte of the demo photo


def test_eyes_are_kept(face: Face, ibug: Plane) -> None:
    for first, last in EYES:
        opening = inside(ibug[first:last], 512)
        assert opening.sum() > 300
        assert face.matte[opening].mean() < 0.02
        assert around(face.matte, ibug[first:last].mean(0), 4).max() == 0


def test_teeth_are_kept(face: Face, ibug: Plane) -> None:
    assert face.matte[inside(ibug[60:68], 512, 3)].mean() < 0.02


def test_cheeks_and_chin_may_change(face: Face, ibug: Plane) -> None:
    for first, second in ((31, 2), (35, 14), (8, 57)):
        assert around(face.matte, ibug[[first, second]].mean(0), 12).min() > 0.9


def test_what_is_behind_and_below_is_kept(face: Face) -> None:
    assert face.matte[:120, :40].max() < 0.02
    assert face.matte[:60, -40:].max() < 0.02
    assert face.matte[-40:].max() < 0.02


def test_matte_dies_away_at_the_border_of_the_crop(face: Face) -> None:
    """Hair continues beyond the crop: a matte that ended at its border would leave a straight edge in the photo."""
    border = np.concatenate([face.matte[0], face.matte[-1], face.matte[:, 0], face.matte[:, -1]])
    assert border.max() < 0.05


def test_masks_are_shares(face: Face) -> None:
    for mask in (face.matte, face.skin, face.bare, face.hair):
        assert mask.dtype == np.float32
        assert mask.min() >= 0
        assert mask.max() <= 1
    assert np.minimum(face.skin, face.hair).mean() < 0.05


@pytest.mark.parametrize(("level", "darker"), [(25, 1), (250, 2)], ids=["dark frames", "bright frames on dark skin"])
def test_frames_of_glasses_are_kept(
    face: Face, five: Plane, mesh: Plane, ibug: Plane, segmentation: Segmentation, level: int, darker: int
) -> None:
    bare = face.crop // np.uint8(darker)
    crop, frames = draw_glasses(bare, ibug, level)
    without, with_frames = (
        make_matte(bare_skin(one, five, segmentation.skin), segmentation.hair, five, mesh) for one in (bare, crop)
    )
    assert without[frames].mean() > 0.8
    assert with_frames[frames].mean() < 0.1
    far = geometry.grow(frames.astype(np.float32), 40) == 0
    np.testing.assert_allclose(with_frames[far], without[far], atol=0.02)


def test_hair_may_change_wherever_it_is(five: Plane, mesh: Plane, segmentation: Segmentation) -> None:
    hair = np.zeros_like(segmentation.hair)
    hair[100:160, 20:60] = 0.7
    matte = make_matte(np.zeros_like(hair), hair, five, mesh)
    assert matte[130, 40] == pytest.approx(0.7)
    assert matte[:, 80:].max() == 0


# The face parser


def test_parser_tells_skin_hair_and_the_rest_apart(face: Face, ibug: Plane) -> None:
    for first, second in ((31, 2), (35, 14), (27, 30)):
        assert around(face.skin, ibug[[first, second]].mean(0), 6).min() > 0.95
        assert around(face.hair, ibug[[first, second]].mean(0), 6).max() < 0.05
    above_the_ears = np.array([(60, 200), (450, 200)], float)
    assert max(around(face.hair, point, 6).mean() for point in above_the_ears) > 0.9
    assert face.hair[:100, :30].max() < 0.05
    assert face.skin[:100, :30].max() < 0.05


def test_parsed_masks_have_the_size_of_the_crop(face: Face) -> None:
    parser = FaceParser.load()
    small = parser.parse(np.ascontiguousarray(face.crop[::2, ::2]))
    assert small.skin.shape == small.hair.shape == (256, 256)
    assert np.abs(small.skin - face.skin[::2, ::2]).mean() < 0.03


def test_parser_refuses_weights_of_something_else(tmp_path: Path) -> None:
    save_weights(tmp_path / "other.safetensors", {"w": np.zeros(3)}, {"seed": 1})
    for weights in (tmp_path / "other.safetensors", tmp_path / "missing.safetensors", find_weights("prototype")):
        with pytest.raises(WeightsError):
            FaceParser.load(weights)


def test_guess_needs_no_net_and_knows_no_hair(face: Face, five: Plane, mesh: Plane, ibug: Plane) -> None:
    guess = guess_segmentation(512, five, mesh)
    assert guess.hair.max() == 0
    matte = make_matte(bare_skin(face.crop, five, guess.skin), guess.hair, five, mesh)
    assert around(matte, ibug[[31, 2]].mean(0), 12).min() > 0.9
    assert around(matte, ibug[36:42].mean(0), 4).max() == 0
    assert np.concatenate([matte[0], matte[-1], matte[:, 0], matte[:, -1]]).max() == 0


# Single masks


def test_eye_mask_covers_the_openings_and_little_more(five: Plane, ibug: Plane) -> None:
    mask = eye_mask(512, five)
    for first, last in EYES:
        opening = mask[inside(ibug[first:last], 512, 2)]
        assert opening.min() > 0.6
        assert opening.mean() > 0.97
    unit = 512 / FACE_PER_CROP
    assert mask[: round(0.46 * 512 - 0.3 * unit)].max() == 0
    assert (mask > 0.5).mean() < 0.02


def test_oval_follows_the_jaw(five: Plane, mesh: Plane, ibug: Plane) -> None:
    oval = face_oval(512, five, mesh)
    assert oval[inside(ibug[:27], 512, 12)].min() > 0.9
    for point in ibug[4:13]:
        outward = point + (point - ibug[30]) * 0.15
        assert around(oval, outward, 1).max() < 0.1


def test_even_skin_has_no_frames() -> None:
    skin = np.full((256, 256, 3), (200, 150, 130), np.uint8)
    assert frame_mask(skin, MEAN_POINTS).max() == 0


def test_lines_away_from_the_eyes_are_no_frames() -> None:
    skin = np.full((256, 256, 3), (200, 150, 130), np.uint8)
    skin[200:203] = skin[40:43] = 20
    assert frame_mask(skin, MEAN_POINTS).max() < 0.05
    skin[118:121] = 20
    assert frame_mask(skin, MEAN_POINTS)[118:121].min() > 0.9


@pytest.mark.parametrize(
    ("middle", "found"), [((0.0, 0.08), True), (None, False), ((-0.4, -0.32), False)], ids=["bridge", "none", "frown"]
)
def test_thin_pale_rims_are_frames_where_a_bridge_joins_them(middle: tuple[float, float] | None, found: bool) -> None:
    """Lines as pale as those of skin; one that goes through both brows is a frown."""
    points = template_points(FIVE_POINTS, 512)
    x, y = np.moveaxis(face_grid(512, points), -1, 0)
    rings = np.abs(np.hypot(np.abs(x) - 0.5, y - 0.05) - 0.36) < 0.015
    ends = (y < 0.0) & (np.abs(np.abs(x) - 0.3) < 0.02) if middle else np.zeros_like(rings)
    lines = rings | (ends & (y > min(middle or (0, 0))))
    if middle:
        lines |= (np.abs(x) < 0.3) & (y > middle[0]) & (y < middle[0] + 0.03)
    skin = np.full((512, 512, 3), (200, 150, 130), np.uint8)
    skin[lines] = (150, 112, 98)
    mask = frame_mask(skin, points)
    assert (mask[rings].mean() > 0.9) == found
    assert (mask[rings].mean() < 0.05) != found
    assert mask[np.hypot(np.abs(x) - 0.5, y - 0.05) < 0.1].max() < 0.05


@pytest.mark.parametrize(("gap", "least", "most"), [(0.0, 0.0, 0.0), (0.2, 0.9, 1.0)])
def test_only_an_open_mouth_has_teeth(gap: float, least: float, most: float) -> None:
    unit = 256 / FACE_PER_CROP
    angle = np.deg2rad([180, 225, 270, 315, 0, 45, 90, 135])
    inner = np.stack([0.4 * np.cos(angle), gap / 2 * np.sin(angle)], 1) * unit + [127.5, 180]
    mesh = np.zeros((NUM_POINTS, 3), np.float32)
    mesh[list(IBUG_POINTS[60:68]), :2] = inner
    mask = mouth_mask(256, mesh)
    assert least <= mask[180, 128] <= most
    assert mask[:165].max() == 0
