"""The matte holds skin and hair, but never eyes, teeth, glasses or background; the face parser; the masks it needs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from skimage.draw import polygon2mask

from reage.errors import WeightsError
from reage.face_classes import CLASSES
from reage.faces.geometry import EYES_IN_CROP, FACE_PER_CROP
from reage.faces.mesh import IBUG_POINTS
from reage.faces.segmentation import (
    FaceParser,
    Segmentation,
    brow_mask,
    crop_places,
    eye_mask,
    face_oval,
    guess_segmentation,
    make_face_map,
    make_matte,
    mouth_mask,
)
from reage.images import geometry
from reage.mesh_points import BROW_OUTLINES, EYE_OUTLINES, FACE_OUTLINE, MOUTH_OUTLINE, NUM_POINTS
from reage.nets.segmentation import SegmentationNetConfig, build_segmentation_net
from reage.training.export import export_face_parser
from reage.types import Face, Pixels, Plane
from reage.weights import SHIPPED, find_weights, save_weights

EYES = ((36, 42), (42, 48))
PX = 64
NOWHERE = np.zeros((NUM_POINTS, 3), np.float32)


@pytest.fixture(scope="module")
def five(face: Face) -> Plane:
    return face.to_crop(face.landmarks)


@pytest.fixture(scope="module")
def segmentation(face: Face) -> Segmentation:
    return Segmentation(skin=face.skin, bare=face.bare, hair=face.hair)


@pytest.fixture(scope="module")
def parser() -> FaceParser:
    """The shipped one."""
    return FaceParser.load()


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
        assert around(face.matte, ibug[first:last].mean(0), 4).max() < 1e-3


def test_brows_are_masked_closely(mesh: Plane) -> None:
    brows = brow_mask(512, mesh)
    for outline in BROW_OUTLINES:
        x, y = np.rint(mesh[list(outline), :2].mean(0)).astype(int)
        assert brows[y, x] == 1
    assert (brows * eye_mask(512, mesh)).sum() < 0.02 * eye_mask(512, mesh).sum()
    assert 0.005 < brows.mean() < 0.03


def test_teeth_are_kept(face: Face, ibug: Plane) -> None:
    assert face.matte[inside(ibug[60:68], 512, 3)].mean() < 0.02


def test_cheeks_and_chin_may_change(face: Face, ibug: Plane) -> None:
    for first, second in ((31, 2), (35, 14), (8, 57)):
        assert around(face.matte, ibug[[first, second]].mean(0), 12).min() > 0.8


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
    face: Face, five: Plane, mesh: Plane, ibug: Plane, parser: FaceParser, level: int, darker: int
) -> None:
    without = face.crop // np.uint8(darker)
    worn, frames = draw_glasses(without, ibug, level)
    bare, matte = (make_matte(parser.parse(crop, mesh), five, mesh) for crop in (without, worn))
    assert bare[frames].mean() > 0.7
    assert matte[frames].mean() < 0.5 * bare[frames].mean()
    far = geometry.grow(frames.astype(np.float32), 60) == 0
    assert np.abs(matte[far] - bare[far]).mean() < 0.05


def test_hair_may_change_wherever_it_is(five: Plane, mesh: Plane) -> None:
    hair, nothing = np.zeros((2, 512, 512), np.float32)
    hair[100:160, 20:60] = 0.7
    matte = make_matte(Segmentation(skin=nothing, bare=nothing, hair=hair), five, mesh)
    assert matte[130, 40] == pytest.approx(0.7)
    assert matte[:, 80:].max() == 0


def test_skin_may_change_on_the_face_where_it_is_bare(five: Plane, mesh: Plane, ibug: Plane) -> None:
    """Skin of the neck or of hands is not of the face, and glasses are skin that is not bare."""
    everywhere, nothing = np.ones((512, 512), np.float32), np.zeros((512, 512), np.float32)
    bare = everywhere.copy()
    bare[:, :256] = 0
    matte = make_matte(Segmentation(skin=everywhere, bare=bare, hair=nothing), five, mesh)
    assert matte.dtype == np.float32
    assert around(matte, ibug[[35, 14]].mean(0), 12).min() > 0.9
    assert around(matte, ibug[[31, 2]].mean(0), 12).max() == 0
    assert matte[-30:].max() < 0.01
    assert around(matte, ibug[42:48].mean(0), 4).max() < 1e-3


# The face parser


def test_parser_tells_skin_hair_and_the_rest_apart(face: Face, ibug: Plane) -> None:
    for first, second in ((31, 2), (35, 14), (27, 30)):
        assert around(face.skin, ibug[[first, second]].mean(0), 6).min() > 0.9
        assert around(face.hair, ibug[[first, second]].mean(0), 6).max() < 0.05
    above_the_ears = np.array([(60, 200), (450, 200)], float)
    assert max(around(face.hair, point, 6).mean() for point in above_the_ears) > 0.9
    assert face.hair[:100, :30].max() < 0.05
    assert face.skin[:100, :30].max() < 0.05


def test_bare_is_skin_without_features(face: Face, ibug: Plane) -> None:
    for first, last in (*EYES, (17, 22), (22, 27)):
        assert around(face.bare, ibug[first:last].mean(0), 3).mean() < 0.5
        assert around(face.skin, ibug[first:last].mean(0), 3).mean() > 0.8
    for first, second in ((31, 2), (35, 14)):
        assert around(face.bare, ibug[[first, second]].mean(0), 6).min() > 0.9


def test_parsed_masks_have_the_size_of_the_crop(face: Face, mesh: Plane, parser: FaceParser) -> None:
    small = parser.parse(np.ascontiguousarray(face.crop[::2, ::2]), mesh / 2)
    assert small.skin.shape == small.bare.shape == small.hair.shape == (256, 256)
    assert np.abs(small.skin - face.skin[::2, ::2]).mean() < 0.03


# What it makes of a net


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a tiny net with random weights."""
    torch.manual_seed(0)
    config = SegmentationNetConfig(input_px=PX, widths=(8, 8, 8))
    net = build_segmentation_net(config)
    net.head.weight.data.mul_(8)
    folder = tmp_path_factory.mktemp("tiny")
    settings = {"net": {"input_px": PX, "widths": config.widths}}
    save_weights(folder / "parser.safetensors", net.state_dict(), settings)
    return export_face_parser(folder / "parser.safetensors", folder / "parser.onnx")


def test_any_net_of_the_kind_is_a_parser(tiny: Path, mesh: Plane) -> None:
    crop, points = np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8), mesh * 100 / 512
    shares = FaceParser.load(tiny).measure_shares(crop, points)
    assert shares.shape == (len(CLASSES), PX, PX)
    np.testing.assert_allclose(shares.sum(0), 1, atol=1e-5)
    parsed = FaceParser.load(str(tiny)).parse(crop, points)
    for mask in (parsed.skin, parsed.bare, parsed.hair):
        assert mask.shape == (100, 100)
        assert mask.dtype == np.float32
        assert 0 <= mask.min() <= mask.max() <= 1
    assert parsed.skin.std() > 1e-3


def test_the_picture_its_place_and_the_mesh_go_to_the_net(tiny: Path, mesh: Plane) -> None:
    crop, points = np.random.default_rng(0).integers(0, 256, (PX, PX, 3), np.uint8), mesh * PX / 512
    parser = FaceParser.load(tiny)
    shares = parser.measure_shares(crop, points)
    flipped = parser.measure_shares(np.ascontiguousarray(crop[:, ::-1]), points)
    assert np.abs(flipped - shares).max() > 0.01
    assert np.abs(flipped[..., ::-1] - shares).max() > 1e-3
    assert np.abs(parser.measure_shares(crop, points + np.float32(12)) - shares).max() > 1e-3
    np.testing.assert_array_equal(parser.measure_shares(crop, points[:, :2]), shares)  # depth does not count


@pytest.mark.parametrize("side_px", [PX, 3 * PX])
def test_the_map_of_a_crop_is_that_of_its_mesh_at_the_resolution_of_the_net(side_px: int, mesh: Plane) -> None:
    given: dict[str, np.ndarray] = {}

    def take(_: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        given.update(inputs)
        return [np.zeros((1, len(CLASSES), PX, PX), np.float32)]

    inputs = [SimpleNamespace(shape=[1, 3, PX, PX])]
    crop = np.random.default_rng(0).integers(0, 256, (side_px, side_px, 3), np.uint8)
    points = geometry.move_points(mesh, geometry.resize_matrix(512, side_px))
    FaceParser(SimpleNamespace(get_inputs=lambda: inputs, run=take)).measure_shares(crop, points)
    expected = make_face_map(geometry.move_points(mesh[:, :2], geometry.resize_matrix(512, PX)), crop_places(PX), PX)
    assert set(given) == {"picture", "face_map"}
    assert given["face_map"].dtype == given["picture"].dtype == np.float32
    np.testing.assert_allclose(given["face_map"][0], expected, atol=1e-5)
    assert given["picture"].shape == (1, 3, PX, PX)
    assert -1 <= given["picture"].min() < given["picture"].max() <= 1


def parser_of(shares: Mapping[str, Plane]) -> FaceParser:
    """A parser of a session that gives these shares (P, P); what they leave is background."""
    given = np.stack([shares.get(name, np.zeros((PX, PX), np.float32)) for name in CLASSES])
    given[0] = 1 - given[1:].sum(0)
    inputs = [SimpleNamespace(shape=[1, 3, PX, PX])]
    return FaceParser(SimpleNamespace(get_inputs=lambda: inputs, run=lambda names, values: [given[None]]))


@pytest.mark.parametrize(
    ("name", "skin", "bare_above", "bare_below", "hair"),
    [
        ("background", 0, 0, 0, 0),
        ("skin", 1, 1, 1, 0),
        ("hair", 0, 0, 0, 1),
        ("facial_hair", 1, 0, 1, 0),
        ("eyes", 1, 0, 0, 0),
        ("mouth", 1, 0, 0, 0),
        ("glasses", 1, 0, 0, 0),
        ("hat", 0, 0, 0, 0),
        ("clothes", 0, 0, 0, 0),
        ("other", 0, 0, 0, 0),
    ],
)
def test_what_each_class_is(name: str, skin: float, bare_above: float, bare_below: float, hair: float) -> None:
    """Facial hair above the eyes is brows, which are not bare; below, it is a beard."""
    parsed = parser_of({name: np.ones((PX, PX), np.float32)}).parse(np.full((128, 128, 3), 90, np.uint8), NOWHERE)
    eyes_y = round(128 * EYES_IN_CROP[1])
    np.testing.assert_allclose(parsed.skin, skin, atol=1e-3)
    np.testing.assert_allclose(parsed.hair, hair, atol=1e-3)
    np.testing.assert_allclose(parsed.bare[: eyes_y - 6], bare_above, atol=1e-3)
    np.testing.assert_allclose(parsed.bare[eyes_y + 6 :], bare_below, atol=1e-3)


@pytest.mark.parametrize(("hat_px", "is_hair"), [(4, True), (24, False)], ids=["a speck", "a hat"])
def test_little_of_a_hat_is_hair(mesh: Plane, hat_px: int, is_hair: bool) -> None:
    hair, hat = np.zeros((2, PX, PX), np.float32)
    hair[:30], hat[:hat_px, :40] = 1, 1
    hair[:hat_px, :40] = 0
    parsed = parser_of({"hair": hair, "hat": hat}).parse(np.full((PX, PX, 3), 90, np.uint8), mesh)
    assert (parsed.hair[1, 10] > 0.9) == is_hair
    assert parsed.hair[28, 50] > 0.9


def test_borders_follow_the_edges_of_the_crop() -> None:
    """The net sees a border 2 px beside that of the picture."""
    crop = np.full((256, 256, 3), 60, np.uint8)
    crop[:, 128:] = 180
    share = np.zeros((PX, PX), np.float32)
    share[:, 31:] = 1
    parsed = parser_of({"skin": geometry.blur(share, 1.0)}).parse(crop, NOWHERE)
    assert np.abs(np.diff(parsed.skin[100])).argmax() == 127
    assert parsed.skin[100, 120] < 0.3
    assert parsed.skin[100, 134] > 0.8


def test_a_doubtful_share_of_hair_is_not_hair() -> None:
    shares = {share: np.full((PX, PX), share, np.float32) for share in (0.2, 0.55, 0.9)}
    crop = np.full((128, 128, 3), 90, np.uint8)
    low, middle, high = (parser_of({"hair": plane}).parse(crop, NOWHERE).hair.mean() for plane in shares.values())
    assert low == 0
    assert 0.3 < middle < 0.7
    assert high == pytest.approx(1, abs=1e-4)


def test_files_of_something_else_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no net")
    others = [tmp_path / "text.onnx", tmp_path / "missing.onnx", find_weights("exemplar")]
    for path in (*others, *(SHIPPED / f"{name}.onnx" for name in ("face-mesh", "face-detector", "face-recognizer"))):
        with pytest.raises(WeightsError, match=r"\.$") as refusal:
            FaceParser.load(path)
        assert path.name in str(refusal.value)
        assert "\n" not in str(refusal.value)


# The map of the face

OUTLINES = ((FACE_OUTLINE,), EYE_OUTLINES, BROW_OUTLINES, (MOUTH_OUTLINE,))
"""Of the masks of a map, in their order after the two places."""


@pytest.fixture(scope="module")
def face_map(mesh: Plane) -> Plane:
    """That of the whole crop, at its resolution."""
    return make_face_map(mesh[:, :2], crop_places(512), 512)


def halved(mask: np.ndarray) -> Plane:
    """(S, S) -> (S / 2, S / 2) share of each two by two pixels."""
    return mask.reshape(len(mask) // 2, 2, -1, 2).mean((1, 3), dtype=np.float32)


def iou(one: Plane, other: Plane) -> float:
    return float(np.minimum(one, other).sum() / np.maximum(one, other).sum())


def test_masks_of_the_map_lie_where_the_mesh_has_its_outlines(mesh: Plane, face_map: Plane) -> None:
    assert face_map.shape == (6, 256, 256)
    assert face_map.dtype == np.float32
    for outlines, mask in zip(OUTLINES, face_map[2:], strict=True):
        filled = [polygon2mask((512, 512), mesh[list(outline), 1::-1]) for outline in outlines]
        assert all(mask[halved(one) == 1].mean() > 0.99 for one in filled)
        assert iou(mask, halved(np.maximum.reduce(filled))) > 0.8
        assert (mask.min(), mask.max()) == (0, 1)


def test_places_of_the_map_are_those_in_the_crop(mesh: Plane, face_map: Plane) -> None:
    """Each pixel of the map is the middle of four of the picture."""
    corner = 1 - 1 / 256
    np.testing.assert_allclose(face_map[:2, 0, 0], (-corner, -corner), atol=1e-6)
    np.testing.assert_allclose(face_map[:2, 0, -1], (corner, -corner), atol=1e-6)
    np.testing.assert_allclose(face_map[:2, -1, 0], (-corner, corner), atol=1e-6)
    eyes = face_map[3] > 0.5
    middle = (mesh[list(sum(EYE_OUTLINES, ())), :2].mean(0) + 0.5) / 256 - 1
    np.testing.assert_allclose(face_map[:2, eyes].mean(1), middle, atol=0.03)


def test_the_map_of_the_mirrored_picture_is_mirrored(mesh: Plane) -> None:
    """Places stay those in the crop: the left of the crop is then on the right."""
    points = mesh[:, :2] + [60, 0]
    mirror = np.array([[-1.0, 0, 511], [0, 1, 0], [0, 0, 1]])
    plain = make_face_map(points, crop_places(512), 512)
    mirrored = make_face_map(geometry.move_points(points, mirror[:2]), crop_places(512) @ mirror, 512)
    np.testing.assert_allclose(mirrored[:2], plain[:2, :, ::-1], atol=1e-6)
    assert mirrored[0, 0, 0] > 0 > mirrored[0, 0, -1]
    for own, other in zip(mirrored[2:], plain[2:], strict=True):
        assert iou(own, other[:, ::-1]) > 0.9
        assert iou(own, other) < 0.7


@pytest.mark.parametrize(("scale", "degrees"), [(0.5, 0.0), (0.7, 20.0), (1.6, -10.0)])
def test_the_map_of_a_moved_picture_moves_with_it(scale: float, degrees: float, mesh: Plane, face_map: Plane) -> None:
    shift = np.array([9.0, -20.0])
    matrix = geometry.similarity_about_centre(512, scale=scale, degrees=degrees, shift_px=shift)
    places = crop_places(512) @ np.vstack([geometry.invert(matrix), [0, 0, 1]])
    moved = make_face_map(geometry.move_points(mesh[:, :2], matrix), places, 512)
    grid = (geometry.pixel_grid(256, 256) * 2 + 0.5).reshape(-1, 2)
    from_crop = (geometry.move_points(grid, geometry.invert(matrix)) + 0.5) / 256 - 1
    np.testing.assert_allclose(moved[:2].reshape(2, -1).T, from_crop, atol=1e-4)
    for own, other in zip(moved[2:], face_map[2:], strict=True):
        whole = np.repeat(np.repeat(other, 2, 0), 2, 1)
        assert iou(own, halved(geometry.warp(whole, matrix, 512, 512, edge="zero"))) > 0.7


def test_a_face_outside_the_picture_is_in_no_mask(mesh: Plane) -> None:
    away = make_face_map(mesh[:, :2] + np.float32(600), crop_places(512), 512)
    assert away[2:].max() == 0
    assert away[:2].std() > 0.5


def test_a_shut_mouth_is_hardly_in_the_map(mesh: Plane, face_map: Plane) -> None:
    shut = mesh[:, :2].copy()
    shut[list(MOUTH_OUTLINE), 1] = shut[list(MOUTH_OUTLINE), 1].mean()
    assert make_face_map(shut, crop_places(512), 512)[5].sum() < 0.2 * face_map[5].sum()


@pytest.mark.parametrize(("side_px", "crops"), [(64, 1.0), (512, 1.0), (512, 2.0), (300, 1.5)])
def test_the_edges_of_the_crop_lie_at_one_of_its_places(side_px: int, crops: float) -> None:
    half = side_px / crops / 2
    middle = (side_px - 1) / 2
    points = np.array([(middle - half, middle - half), (middle + half, middle - half), (middle, middle + half)])
    moved = geometry.move_points(points, crop_places(side_px, crops))
    np.testing.assert_allclose(moved, [(-1, -1), (1, -1), (0, 1)], atol=1e-6)


# Without a net


def test_guess_needs_no_net_and_knows_no_hair(five: Plane, mesh: Plane, ibug: Plane) -> None:
    guess = guess_segmentation(512, five, mesh)
    assert guess.hair.max() == 0
    assert (guess.bare <= guess.skin).all()
    matte = make_matte(guess, five, mesh)
    assert around(matte, ibug[[31, 2]].mean(0), 12).min() > 0.9
    for first, last in EYES:
        assert around(guess.skin, ibug[first:last].mean(0), 4).min() > 0.9
        assert around(guess.bare, ibug[first:last].mean(0), 4).max() < 0.01
        assert around(matte, ibug[first:last].mean(0), 4).max() < 1e-3
    assert np.concatenate([matte[0], matte[-1], matte[:, 0], matte[:, -1]]).max() == 0


# Single masks


def test_eye_mask_covers_the_openings_and_little_more(mesh: Plane, ibug: Plane) -> None:
    mask = eye_mask(512, mesh)
    for first, last in EYES:
        opening = mask[inside(ibug[first:last], 512, 2)]
        assert opening.min() > 0.6
        assert opening.mean() > 0.97
    unit = 512 / FACE_PER_CROP
    away = geometry.grow(np.maximum(*(geometry.fill_polygon(ibug[a:b], 512, 512) for a, b in EYES)), 0.12 * unit) == 0
    assert mask[away].max() < 0.01
    assert (mask > 0.5).mean() < 0.02


def test_oval_follows_the_jaw(five: Plane, mesh: Plane, ibug: Plane) -> None:
    oval = face_oval(512, five, mesh)
    assert oval[inside(ibug[:27], 512, 12)].min() > 0.9
    for point in ibug[4:13]:
        outward = point + (point - ibug[30]) * 0.15
        assert around(oval, outward, 1).max() < 0.1


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
