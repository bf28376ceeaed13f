"""Patches of zones: their places, and pasting."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from reage.faces.geometry import FIVE_POINTS, template_points, zone_masks
from reage.faces.patches import (
    FACE,
    PATCHES,
    PATCHES_OF_ZONE,
    ZONE_PATCHES,
    cut_patches,
    cut_squares,
    paste_patches,
    paste_squares,
    patch_from_crop,
    zone_map,
)
from reage.faces.skin_detail import skin_region
from reage.images import geometry
from reage.types import Face, Pixels
from reage.zones import ZONES

PX = 64


def test_patches_contain_their_zone(face: Face) -> None:
    points = face.to_crop(face.landmarks)
    side = len(face.crop)
    for zone, mask in zone_masks(face).items():
        ones = np.ones((len(PATCHES_OF_ZONE[zone]), PX, PX, 3), np.float32)
        pasted = paste_patches(ones, points, PATCHES_OF_ZONE[zone], {zone: mask}, side)
        assert pasted.sum() > 3 * 0.95 * mask.sum(), zone


def test_squares_lie_over_their_zones() -> None:
    side = 256
    for zone, names in PATCHES_OF_ZONE.items():
        ones = np.ones((len(names), PX, PX), np.float32)
        covered, inside = paste_squares(ones, names, side), zone_map([zone], side) * skin_region(side)
        assert (covered * inside).sum() > 0.75 * inside.sum(), zone


def test_what_is_cut_from_the_common_face_comes_back_in_place() -> None:
    side = 256
    plane = geometry.blur(np.random.default_rng(0).random((side, side)).astype(np.float32), 3.0)
    pasted = paste_squares(cut_squares(plane, ZONE_PATCHES, 96), ZONE_PATCHES, side)
    covered = paste_squares(np.ones((len(ZONE_PATCHES), 96, 96), np.float32), ZONE_PATCHES, side) > 0.99
    core = covered & (zone_map(ZONES, side) > 0.99)
    assert np.abs(pasted - plane)[core].mean() < 0.1 * plane.std()
    assert not pasted[0].any()


def test_in_its_own_zone_a_square_counts_most() -> None:
    side, names = 256, ("under_eye.left", "nasolabial.left")
    values = np.stack([np.full((PX, PX), value, np.float32) for value in (1.0, -1.0)])
    pasted = paste_squares(values, names, side)
    for name, sign in zip(names, (1, -1), strict=True):
        middle = zone_map([name], side) > 0.7
        assert (sign * pasted[middle] > 0.3).mean() > 0.9, name


def test_left_and_right_mirror_each_other() -> None:
    for zone in ZONE_PATCHES:
        if zone.endswith(".left"):
            left, right = PATCHES[zone], PATCHES[zone.replace("left", "right")]
            assert (left.x, left.y, left.side) == (-right.x, right.y, right.side)
    assert PATCHES[FACE].side > max(PATCHES[zone].side for zone in ZONE_PATCHES)


def test_a_longer_face_moves_what_is_below_the_eyes() -> None:
    points = template_points(FIVE_POINTS, 256)
    longer = points + np.array([[0, 0]] * 4 + [[0, 10]], np.float32)
    for zone, moves in (("upper_lip", True), ("forehead.left", False)):
        before, after = (patch_from_crop(zone, some, 256, PX)[1, 2] for some in (points, longer))
        assert (after != before) == moves


@pytest.mark.parametrize("zone", ["forehead", "nasolabial.right"])
def test_what_is_cut_comes_back_in_place(zone: str, face: Face) -> None:
    points, side = face.to_crop(face.landmarks), len(face.crop)
    patches = cut_patches(face.crop, points, PATCHES_OF_ZONE[zone], 256).astype(np.float32)
    mask = zone_masks(face)[zone]
    pasted = paste_patches(patches, points, PATCHES_OF_ZONE[zone], {zone: mask}, side)
    core = mask > 0.98
    assert core.sum() > 500
    assert np.abs(pasted[core] - face.crop[core]).mean() < 6
    assert not pasted[mask == 0].any()


def test_changes_add_up_where_zones_overlap(cut_face: Callable[..., Face], photo: Pixels) -> None:
    face = cut_face(photo, (220.0, 110.0), 60.0, side_px=256)
    masks, points = zone_masks(face), face.to_crop(face.landmarks)
    ones = np.ones((len(ZONE_PATCHES), PX, PX, 3), np.float32)
    pasted = paste_patches(ones, points, ZONE_PATCHES, masks, 256)
    assert pasted.max() <= 1.0 + 1e-5
    assert pasted[int(points[:4, 1].mean()) - 44, 128].min() > 0.9


def test_the_patch_of_the_face_is_pasted_by_its_own_mask(cut_face: Callable[..., Face], photo: Pixels) -> None:
    face = cut_face(photo, (220.0, 110.0), 60.0, side_px=256)
    mask = np.zeros((256, 256), np.float32)
    mask[96:160, 96:160] = 1
    ones = np.ones((1, PX, PX, 3), np.float32)
    pasted = paste_patches(ones, face.to_crop(face.landmarks), [FACE], {FACE: mask}, 256)
    np.testing.assert_allclose(pasted[mask == 1], 1, atol=1e-5)
    assert not pasted[mask == 0].any()
