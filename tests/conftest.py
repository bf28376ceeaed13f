"""What many tests share: the demo photo, its face found once with the shipped weights, and faces cut by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import skimage.data

from reage.find import Finder, align
from reage.images import geometry
from reage.types import Face, Pixels, Reading
from reage.zones import FIVE_POINTS


@pytest.fixture(scope="session")
def photo() -> Pixels:
    """(512, 512, 3) the demo photo: one face of 90 px."""
    return np.ascontiguousarray(skimage.data.astronaut())


@pytest.fixture(scope="session")
def finder() -> Finder:
    """With the shipped parser."""
    return Finder.load()


@pytest.fixture(scope="session")
def face(finder: Finder, photo: Pixels) -> Face:
    """The face of the demo photo, with its 68 landmarks and a crop of 512 px."""
    (found,) = finder.find(photo, dense_landmarks=True)
    return found


@pytest.fixture(scope="session")
def reading() -> Reading:
    """A plausible reading of that face."""
    return Reading(age_years=38.0, age_std_years=4.0, masculinity=0.05)


@pytest.fixture(scope="session")
def cut_face() -> Callable[..., Face]:
    """Cuts a face of a mean shape out of any picture, without looking for one.

    The eyes' midpoint lies at `eyes` (x, y) px, `eye_distance_px` apart, the head turned by `degrees`; the whole
    crop may change, fading out towards its border.
    """

    def cut(
        pixels: Pixels, eyes: tuple[float, float], eye_distance_px: float, *, side_px: int = 128, degrees: float = 0.0
    ) -> Face:
        angle = np.deg2rad(degrees)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        points = (FIVE_POINTS @ turn.T * eye_distance_px + np.array(eyes)).astype(np.float32)
        matrix = align(points, side_px)
        crop = np.ascontiguousarray(geometry.warp(pixels, matrix, side_px, side_px))
        matte = np.zeros((side_px, side_px), np.float32)
        margin = side_px // 8
        matte[margin:-margin, margin:-margin] = 1
        matte = geometry.blur(matte, margin / 4) * (geometry.grow(matte, 0.9 * margin) > 0)
        half = 1.05 * eye_distance_px
        return Face(
            box=(eyes[0] - half, eyes[1] - half / 2, eyes[0] + half, eyes[1] + 1.5 * half),
            score=1.0,
            landmarks=points,
            crop_from_image=matrix,
            crop=crop,
            matte=matte.astype(np.float32),
            skin=matte.astype(np.float32),
            hair=np.zeros_like(matte),
        )

    return cut
