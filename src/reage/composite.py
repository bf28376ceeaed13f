"""Composites an aged crop into its picture: only the change is applied, so unchanged pixels keep every bit.

    image + warp(matte * (aged - crop)), or, by gains, (image + floor) * exp(warp(log ratio)) - floor

Where the engine also moved the shape, the image is first warped by the shift at its own resolution, and the change is
taken against the warped crop, so that a face larger than the crop keeps its fine detail.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reage.images import geometry
from reage.images.regions import to_pixels
from reage.types import GAIN_FLOOR, Aged, Face, Matrix, Pixels, Plane

BAND_PX = 2**17
"""Default number of image pixels in a band of `composite`."""
_STILL_PX = 0.01
"""Pixels with a smaller shift are copied, not resampled."""


def composite(pixels: Pixels, face: Face, aged: Aged, *, band_px: int = BAND_PX) -> Pixels:
    """A copy of the image in which one face looks as in the aged crop.

    Args:
        pixels: (H, W, 3) RGB uint8 image the face was found in (other faces may have changed since).
        face: the face.
        aged: the engine's result for `face.crop`, of the same size.
        band_px: number of image pixels that are processed at once, which limits the memory; the result is the same.

    Returns:
        (H, W, 3) RGB uint8; bit for bit the input where nothing changed.
    """
    assert aged.crop.shape == face.crop.shape, (aged.crop.shape, face.crop.shape)
    if aged.gains:
        return _apply(pixels, face, aged, band_px)
    source, matte = face.crop.astype(np.float32), face.matte
    if aged.shift is not None:  # the matte moves too, so that eyes and teeth stay protected
        source, matte = _moved(face.crop, aged.shift), _moved(matte, aged.shift)
    change = (aged.crop.astype(np.float32) - source) * matte[..., None]
    touched = np.abs(change).max(-1) > 0
    if aged.shift is not None:
        touched |= np.abs(aged.shift).max(-1) > 0
    if not touched.any():
        return pixels.copy()
    box = _bounding_box(touched)
    placed = _Placed(change, np.eye(2, 3))
    return _change(pixels, face.crop_from_image, [placed], aged.shift, box, band_px, _add)


def apply_gains(pixels: Pixels, gains: Sequence[Plane]) -> Plane:
    """Levels, not rounded, of RGB uint8 (H, W, 3) multiplied by gains: log ratios (H, W, 3), see `reage.types.Gain`."""
    floor = np.float32(255 * GAIN_FLOOR)
    levels: Plane = (pixels + floor) * np.exp(np.sum(gains, axis=0, dtype=np.float32)) - floor
    return levels


def _add(pixels: Pixels, changes: Sequence[Plane]) -> Plane:
    return changes[0] + pixels


def _apply(pixels: Pixels, face: Face, aged: Aged, band_px: int) -> Pixels:
    """The image multiplied by the gains, where the shape has moved."""
    side, placed, boxes = len(face.crop), [], []
    for gain in aged.gains:
        touched = np.logical_or.reduce([gain.log_ratio[..., channel] != 0 for channel in range(3)])
        if touched.any():
            crop_from_gain = gain.crop_from_gain(side)
            x0, y0, x1, y1 = _bounding_box(touched)
            corners = geometry.move_points(np.array([(x0, y0), (x1, y1)], float), crop_from_gain)
            boxes.append(corners.ravel())
            placed.append(_Placed(gain.log_ratio, crop_from_gain))
    if aged.shift is not None and (moved := np.abs(aged.shift).max(-1) > 0).any():
        boxes.append(np.array(_bounding_box(moved), np.float32))
    if not boxes:
        return pixels.copy()
    edges = np.stack(boxes)
    box = (*edges[:, :2].min(0).tolist(), *edges[:, 2:].max(0).tolist())
    return _change(pixels, face.crop_from_image, placed, aged.shift, box, band_px, apply_gains)


def blend(face: Face, layers: Sequence[tuple[Aged, Plane]]) -> Aged:
    """One aged crop of several, each weighted by a mask (S, S) in [0, 1]; the masks add up to at most 1."""
    shift = np.zeros((*face.crop.shape[:2], 2), np.float32)
    for aged, mask in layers:
        if aged.shift is not None:
            shift += mask[..., None] * aged.shift
    moved_anywhere = bool(np.abs(shift).max() > 0)
    crop = _moved(face.crop, shift) if moved_anywhere else face.crop.astype(np.float32)
    for aged, mask in layers:
        source = face.crop if aged.shift is None else _moved(face.crop, aged.shift)
        crop = crop + mask[..., None] * (aged.crop.astype(np.float32) - source)
    return Aged(crop=to_pixels(crop), shift=shift if moved_anywhere else None)


def _moved(pixels: geometry.AnyPixels, shift: Plane) -> Plane:
    places = geometry.pixel_grid(*pixels.shape[:2]) + shift
    return geometry.sample(pixels, places.astype(np.float32)).astype(np.float32)


def _bounding_box(touched: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(touched.any(1)), np.flatnonzero(touched.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


@dataclass(frozen=True)
class _Placed:
    """A change (G, G, 3) and the matrix from its px to crop px."""

    change: Plane
    crop_from_change: Matrix


def _change(
    pixels: Pixels,
    crop_from_image: Matrix,
    placed: Sequence[_Placed],
    shift: Plane | None,
    box: tuple[float, float, float, float],
    band_px: int,
    combine: Callable[[Pixels, Sequence[Plane]], Plane],
) -> Pixels:
    """The image with changes combined with it within a box xyxy (crop px), computed one band of rows at a time."""
    height, width = pixels.shape[:2]
    image_from_crop = geometry.invert(crop_from_image)
    corners = np.array([(x, y) for x in (box[0] - 2, box[2] + 2) for y in (box[1] - 2, box[3] + 2)], float)
    moved = geometry.move_points(corners, image_from_crop)
    left, top = np.maximum(np.floor(moved.min(0)).astype(int) - 1, 0).tolist()
    right, bottom = np.minimum(np.ceil(moved.max(0)).astype(int) + 2, [width, height]).tolist()
    result = pixels.copy()
    if left >= right or top >= bottom:
        return result
    part_from_crop = image_from_crop.copy()
    part_from_crop[:, 2] -= (left, top)
    bands = _split(bottom - top, right - left, band_px)
    if shift is None:
        parts: Iterator[Pixels] = (pixels[top + band.start : top + band.stop, left:right] for band in bands)
    else:
        parts = _move_part(pixels, (left, top), bands, right - left, shift, part_from_crop)
    squared = np.vstack([part_from_crop, [0, 0, 1]])
    changes = [
        geometry.warp_bands(
            one.change, (squared @ np.vstack([one.crop_from_change, [0, 0, 1]]))[:2], bands, right - left
        )
        for one in placed
    ]
    for band, part in zip(bands, parts, strict=True):
        combined = combine(part, [next(change) for change in changes])
        result[top + band.start : top + band.stop, left:right] = to_pixels(combined)
    return result


def _split(height_px: int, width_px: int, band_px: int) -> list[range]:
    """Bands of rows of about `band_px` pixels."""
    rows = max(1, band_px // width_px)
    return [range(first, min(height_px, first + rows)) for first in range(0, height_px, rows)]


def _move_part(
    pixels: Pixels, corner: tuple[int, int], bands: Sequence[range], width_px: int, shift: Plane, part_from_crop: Matrix
) -> Iterator[Pixels]:
    """Bands of the part of the image at a corner (x, y), warped by the shift; pixels that do not move are copied."""
    left, top = corner
    shift_in_image = (shift @ part_from_crop[:, :2].T).astype(np.float32)
    margin = math.ceil(float(np.abs(shift_in_image).max())) + 4
    y0, x0 = max(0, top - margin), max(0, left - margin)
    around = pixels[y0 : top + bands[-1].stop + margin, x0 : left + width_px + margin]
    for band, moved in zip(bands, geometry.warp_bands(shift_in_image, part_from_crop, bands, width_px), strict=True):
        part = pixels[top + band.start : top + band.stop, left : left + width_px]
        still = (np.abs(moved[..., 0]) < _STILL_PX) & (np.abs(moved[..., 1]) < _STILL_PX)
        if still.all():
            yield part
            continue
        places = geometry.pixel_grid(len(band), width_px)
        places[..., 1] += band.start
        places += moved
        places += (left - x0, top - y0)
        first = max(0, band.start + top - y0 - margin)
        places[..., 1] -= (
            first  # a whole number, so the coordinates stay exact: bands of any height give the same pixels
        )
        sampled = geometry.sample(around[first : band.stop + top - y0 + margin], places)
        yield np.where(still[..., None], part, sampled)
