"""Resampling with anti-aliasing, affine matrices, and simple operations on masks.

Convention: pixel centres lie on whole numbers; a matrix is (2, 3) and named target_from_source.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from reage.types import Matrix, Pixels, Plane

AnyPixels = TypeVar("AnyPixels", NDArray[np.uint8], NDArray[np.uint16], NDArray[np.float32])

_BORDER_PX = 4
"""Margin around a part that is cut out, so that the interpolation kernel stays inside it."""


def invert(matrix: Matrix) -> Matrix:
    """The inverse (2, 3) of an affine matrix."""
    return cv2.invertAffineTransform(np.asarray(matrix, np.float64))


def move_points(points: NDArray[np.floating], matrix: Matrix) -> Plane:
    """(N, 2) or (N, 3) points in the source frame -> the same in the target frame of `matrix`; z is scaled."""
    xy = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    return np.hstack([xy, points[:, 2:] * scale_of(matrix)]).astype(np.float32)


def scale_of(matrix: Matrix) -> float:
    """Target px per source px of a similarity."""
    return math.sqrt(abs(float(np.linalg.det(matrix[:, :2]))))


def resize(pixels: AnyPixels, height_px: int, width_px: int) -> AnyPixels:
    """Resamples to the given size: area mean when shrinking, cubic when growing."""
    if pixels.shape[:2] == (height_px, width_px):
        return pixels
    method = cv2.INTER_AREA if height_px * width_px < pixels.shape[0] * pixels.shape[1] else cv2.INTER_CUBIC
    return cv2.resize(pixels, (width_px, height_px), interpolation=method)


def resize_linear(pixels: AnyPixels, height_px: int, width_px: int) -> Plane:
    """Resamples (H, W) or (H, W, C) linearly, widening the kernel when shrinking, in float32, without rounding.

    It is what nets are trained with: torch's bilinear `interpolate` with `antialias=True`.
    """
    rows, columns = _linear_weights(pixels.shape[0], height_px), _linear_weights(pixels.shape[1], width_px)
    channels = pixels.astype(np.float32).reshape(pixels.shape[0], -1)
    shrunk = (rows @ channels).reshape(height_px, pixels.shape[1], -1)
    return np.ascontiguousarray(columns @ shrunk).reshape(height_px, width_px, *pixels.shape[2:])


@cache
def _linear_weights(source_px: int, target_px: int) -> Plane:
    """(target_px, source_px) share of each source pixel in each target pixel: a triangle as wide as two of either."""
    step = source_px / target_px
    centres = (np.arange(target_px)[:, None] + 0.5) * step
    away = np.abs(np.arange(source_px) + 0.5 - centres) / max(step, 1.0)
    weights = np.maximum(1 - away, 0)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def resize_by(pixels: AnyPixels, factor: float) -> AnyPixels:
    """Resamples both sides by one factor, to whole pixels and at least one."""
    height, width = pixels.shape[:2]
    return resize(pixels, max(1, round(height * factor)), max(1, round(width * factor)))


def resize_matrix(source_side_px: float, target_side_px: float) -> Matrix:
    """The (2, 3) matrix of `resize` from one square picture to another, pixel centres aligned."""
    factor = target_side_px / source_side_px
    return np.array([[factor, 0, (factor - 1) / 2], [0, factor, (factor - 1) / 2]], np.float64)


def corner_box(matrix: Matrix, height_px: int, width_px: int) -> tuple[float, float, float, float]:
    """Box (x0, y0, x1, y1) in the target frame around a source picture of the given size."""
    corners = np.array([[0, 0], [width_px, 0], [0, height_px], [width_px, height_px]], float) - 0.5
    moved = move_points(corners, matrix)
    return (*moved.min(0).tolist(), *moved.max(0).tolist())


def warp(
    pixels: AnyPixels, target_from_source: Matrix, height_px: int, width_px: int, *, edge: str = "replicate"
) -> AnyPixels:
    """The picture transformed by an affine matrix, without aliasing when it shrinks and without a copy of all of it.

    Args:
        pixels: (H, W) or (H, W, C), uint8 or float32.
        target_from_source: (2, 3) affine matrix.
        height_px: height of the result.
        width_px: width of the result.
        edge: value beyond the picture: "replicate" the border, or "zero".
    """
    part, matrix = _cut(pixels, target_from_source, height_px, width_px)
    border = cv2.BORDER_REPLICATE if edge == "replicate" else cv2.BORDER_CONSTANT
    method = cv2.INTER_CUBIC if pixels.dtype == np.uint8 else cv2.INTER_LINEAR
    return cv2.warpAffine(part, matrix, (width_px, height_px), flags=method, borderMode=border)


def warp_labels(
    labels: NDArray[np.int8], target_from_source: Matrix, height_px: int, width_px: int, outside: int
) -> NDArray[np.int8]:
    """Labels (H, W) transformed by an affine matrix, each taken from the nearest pixel.

    Args:
        labels: (H, W) int8.
        target_from_source: (2, 3) affine matrix.
        height_px: height of the result.
        width_px: width of the result.
        outside: label beyond the picture.
    """
    size = (width_px, height_px)
    return cv2.warpAffine(labels, target_from_source, size, flags=cv2.INTER_NEAREST, borderValue=outside)


def warp_bands(pixels: Plane, target_from_source: Matrix, bands: Sequence[range], width_px: int) -> Iterator[Plane]:
    """The result of `warp(..., edge="zero")` for a float picture, one band of rows at a time.

    A pixel does not depend on the band it is in, because its source coordinate is computed from its row in the whole.

    Args:
        pixels: (H, W, C) float32.
        target_from_source: (2, 3) affine matrix.
        bands: rows of the result, rising and without gaps from 0 to its height.
        width_px: width of the result.

    Yields:
        (rows, width_px, C) float32 for each band.
    """
    part, matrix = _cut(pixels, target_from_source, bands[-1].stop, width_px)
    find_places = (
        _coarse_places if pixels.shape[2] == 2 else _fine_places
    )  # as `warp` does: OpenCV rounds them differently
    for band in bands:
        x, y = (find_places(row, band, width_px) for row in invert(matrix))
        yield cv2.remap(part, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)


def _cut(pixels: AnyPixels, target_from_source: Matrix, height_px: int, width_px: int) -> tuple[AnyPixels, Matrix]:
    """The part of a picture that the result needs, shrunk against aliasing where necessary, and its matrix."""
    x0, y0, x1, y1 = corner_box(invert(target_from_source), height_px, width_px)
    left, top = max(0, math.floor(x0) - _BORDER_PX), max(0, math.floor(y0) - _BORDER_PX)
    right = max(left + 1, min(pixels.shape[1], math.ceil(x1) + _BORDER_PX))
    bottom = max(top + 1, min(pixels.shape[0], math.ceil(y1) + _BORDER_PX))
    left, top = min(left, pixels.shape[1] - 1), min(top, pixels.shape[0] - 1)
    part = pixels[top:bottom, left:right]
    matrix = np.asarray(target_from_source, np.float64).copy()
    matrix[:, 2] += matrix[:, :2] @ np.array([left, top], float)
    scale = scale_of(matrix)
    if scale < 0.75:
        height, width = part.shape[:2]
        small_height, small_width = max(1, round(height * scale)), max(1, round(width * scale))
        part = cv2.resize(part, (small_width, small_height), interpolation=cv2.INTER_AREA)
        factors = np.array([width / small_width, height / small_height])
        matrix[:, 2] += matrix[:, :2] @ ((factors - 1) / 2)
        matrix[:, :2] = matrix[:, :2] * factors
    return part, matrix


def _fine_places(row: NDArray[np.float64], band: range, width_px: int) -> Plane:
    """(rows, width_px) one source coordinate of every pixel, `row @ (x, y, 1)`, rounded like a fused multiply-add."""
    a, b, c = row.astype(np.float32)
    starts = b * np.array(band, np.float32) + c
    return (starts[:, None] + np.float64(a) * np.arange(width_px)).astype(np.float32)


def _coarse_places(row: NDArray[np.float64], band: range, width_px: int) -> Plane:
    """(rows, width_px) one source coordinate of every pixel in steps of 1/32 px, computed in steps of 1/1024 px."""
    starts = np.rint((row[1] * np.array(band) + row[2]) * 1024)
    return (np.floor((starts[:, None] + np.rint(row[0] * np.arange(width_px) * 1024) + 16) / 32) / 32).astype(
        np.float32
    )


def similarity_about_centre(
    side_px: float, *, scale: float = 1.0, degrees: float = 0.0, shift_px: NDArray[np.floating] | None = None
) -> Matrix:
    """(2, 3) similarity about the centre of a square of that side, counter-clockwise, then a shift (2,)."""
    matrix: Matrix = cv2.getRotationMatrix2D(((side_px - 1) / 2, (side_px - 1) / 2), degrees, scale)
    matrix[:, 2] += 0 if shift_px is None else shift_px
    return matrix


def sample(pixels: AnyPixels, places: Plane, *, cubic: bool = False) -> AnyPixels:
    """Picture whose pixel (x, y) is the source at `places[y, x]` (H, W, 2) px; the border is replicated.

    Floats are interpolated linearly, or by cubics where `cubic` is set; uint8 and uint16 always by cubics.
    """
    method = cv2.INTER_CUBIC if cubic or pixels.dtype != np.float32 else cv2.INTER_LINEAR
    return cv2.remap(pixels, places[..., 0], places[..., 1], method, borderMode=cv2.BORDER_REPLICATE)


def shift_pixels(pixels: AnyPixels, shift: Plane) -> AnyPixels:
    """Picture (H, W, C) whose pixel (x, y) is the source at (x, y) + shift (H, W, 2) px, see `sample`."""
    return sample(pixels, pixel_grid(*pixels.shape[:2]) + shift.astype(np.float32))


def pixel_grid(height_px: int, width_px: int) -> Plane:
    """(H, W, 2) the (x, y) of every pixel."""
    return np.stack(np.meshgrid(np.arange(width_px, dtype=np.float32), np.arange(height_px, dtype=np.float32)), -1)


def blur(plane: Plane, sigma_px: float, radius_px: int | None = None) -> Plane:
    """Gaussian blur of a float plane (H, W) or (H, W, C), by default with about four standard deviations as radius."""
    side = 0 if radius_px is None else 2 * radius_px + 1
    return cv2.GaussianBlur(plane, (side, side), sigma_px, borderType=cv2.BORDER_REFLECT_101)


def fill_polygon(points: NDArray[np.floating], height_px: int, width_px: int) -> Plane:
    """Mask (H, W) in {0, 1} of the convex hull of (N, 2) points."""
    mask = np.zeros((height_px, width_px), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(points).astype(np.int32)), 1)
    return mask.astype(np.float32)


def paint_triangles(corners: NDArray[np.floating], height_px: int, width_px: int) -> NDArray[np.int32]:
    """(H, W) the number of the last of the triangles (T, 3, 2) px that covers each pixel; -1 where none does."""
    painted = np.full((height_px, width_px), -1, np.int32)
    fixed_point = np.round(corners * 16).astype(np.int32)
    for number, triangle in enumerate(fixed_point):
        cv2.fillConvexPoly(painted, triangle, number, shift=4)
    return painted


def grow(mask: Plane, radius_px: float) -> Plane:
    """The mask dilated by a disc; a negative radius erodes it."""
    size = 2 * round(abs(radius_px)) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return cv2.dilate(mask, disc) if radius_px > 0 else cv2.erode(mask, disc)


def rotate_about_centre(pixels: Pixels, degrees: float) -> tuple[Pixels, Matrix]:
    """The whole picture turned counter-clockwise on a canvas that holds it, and its rotated_from_image matrix."""
    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    x0, y0, x1, y1 = corner_box(matrix, height, width)
    matrix[:, 2] -= (x0 + 0.5, y0 + 0.5)
    return cv2.warpAffine(pixels, matrix, (math.ceil(x1 - x0), math.ceil(y1 - y0)), flags=cv2.INTER_LINEAR), matrix


def fit_similarity(source: NDArray[np.floating], target: NDArray[np.floating]) -> Matrix:
    """Least-squares (2, 3) rotation, scale and shift that takes (N, 2) source points to target points (Umeyama)."""
    a = (source - source.mean(0)) @ np.array([1, 1j])
    b = (target - target.mean(0)) @ np.array([1, 1j])
    turn = (np.conj(a) @ b) / max(float((np.abs(a) ** 2).sum()), 1e-12)
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.hstack([linear, (target.mean(0) - linear @ source.mean(0))[:, None]])
