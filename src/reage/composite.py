"""Puts an aged crop back: only the change is added, so what did not change keeps every bit.

    image + matte * (aged - crop), moved to the image's frame

Where the engine also moved the shape, the image itself is moved first at its own resolution, and the change is taken
against the moved crop: a face larger than the crop keeps its own pores and hairs, sharp and in the right place.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from reage.images import geometry
from reage.images.regions import to_pixels
from reage.types import Aged, Face, Matrix, Pixels, Plane

_BAND_PX = 2**17
"""About how many pixels of the image are worked on at once: the memory needed does not grow with the face."""
_STILL_PX = 0.01


def composite(pixels: Pixels, face: Face, aged: Aged) -> Pixels:
    """A copy of the image in which one face looks as in the aged crop.

    Args:
        pixels: (H, W, 3) RGB uint8 image the face was found in (other faces may have changed since).
        face: the face.
        aged: what an engine made of `face.crop`, of the same size.

    Returns:
        (H, W, 3) RGB uint8; bit for bit the input where nothing changed.
    """
    assert aged.crop.shape == face.crop.shape, (aged.crop.shape, face.crop.shape)
    source, matte = face.crop.astype(np.float32), face.matte
    if aged.shift is not None:  # eyes and teeth that moved are kept where they are now
        source, matte = _moved(face.crop, aged.shift), _moved(matte, aged.shift)
    change = (aged.crop.astype(np.float32) - source) * matte[..., None]
    touched = np.abs(change).max(-1) > 0
    if aged.shift is not None:
        touched |= np.abs(aged.shift).max(-1) > 0
    if not touched.any():
        return pixels.copy()
    return _add(pixels, face.crop_from_image, change, aged.shift, _box_of(touched))


def blend(face: Face, parts: Sequence[tuple[Aged, Plane]]) -> Aged:
    """One aged crop out of several, each weighted by a mask (S, S) in [0, 1]; the masks add up to at most 1."""
    shift = np.zeros((*face.crop.shape[:2], 2), np.float32)
    for aged, mask in parts:
        if aged.shift is not None:
            shift += mask[..., None] * aged.shift
    moved_anywhere = bool(np.abs(shift).max() > 0)
    crop = _moved(face.crop, shift) if moved_anywhere else face.crop.astype(np.float32)
    for aged, mask in parts:
        source = face.crop if aged.shift is None else _moved(face.crop, aged.shift)
        crop = crop + mask[..., None] * (aged.crop.astype(np.float32) - source)
    return Aged(crop=to_pixels(crop), shift=shift if moved_anywhere else None)


def _moved(pixels: geometry.AnyPixels, shift: Plane) -> Plane:
    places = geometry.pixel_grid(*pixels.shape[:2]) + shift
    return geometry.sample(pixels, places.astype(np.float32)).astype(np.float32)


def _box_of(touched: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(touched.any(1)), np.flatnonzero(touched.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _add(
    pixels: Pixels, crop_from_image: Matrix, change: Plane, shift: Plane | None, box: tuple[int, int, int, int]
) -> Pixels:
    """Works only on the part of the image that the touched box (crop px) reaches, a band of rows at a time."""
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
    bands = _split(bottom - top, right - left)
    if shift is None:
        parts: Iterator[Pixels] = (pixels[top + band.start : top + band.stop, left:right] for band in bands)
    else:
        parts = _move_part(pixels, (left, top), bands, right - left, shift, part_from_crop)
    changes = geometry.warp_bands(change, part_from_crop, bands, right - left)
    for band, part, added in zip(bands, parts, changes, strict=True):
        added += part
        result[top + band.start : top + band.stop, left:right] = to_pixels(added)
    return result


def _split(height_px: int, width_px: int) -> list[range]:
    """Bands of rows of about `_BAND_PX` pixels."""
    rows = max(1, _BAND_PX // width_px)
    return [range(first, min(height_px, first + rows)) for first in range(0, height_px, rows)]


def _move_part(
    pixels: Pixels, corner: tuple[int, int], bands: Sequence[range], width_px: int, shift: Plane, part_from_crop: Matrix
) -> Iterator[Pixels]:
    """The part of the image at a corner (x, y) after the shift; pixels that do not move are copied, not resampled."""
    left, top = corner
    turned = (shift @ part_from_crop[:, :2].T).astype(np.float32)
    reach = math.ceil(float(np.abs(turned).max())) + 4
    y0, x0 = max(0, top - reach), max(0, left - reach)
    around = pixels[y0 : top + bands[-1].stop + reach, x0 : left + width_px + reach]
    for band, moved in zip(bands, geometry.warp_bands(turned, part_from_crop, bands, width_px), strict=True):
        part = pixels[top + band.start : top + band.stop, left : left + width_px]
        still = (np.abs(moved[..., 0]) < _STILL_PX) & (np.abs(moved[..., 1]) < _STILL_PX)
        if still.all():
            yield part
            continue
        places = geometry.pixel_grid(len(band), width_px)
        places[..., 1] += band.start
        places += moved
        places += (left - x0, top - y0)
        first = max(0, band.start + top - y0 - reach)
        places[..., 1] -= first  # a whole number, so nothing is rounded: every height of band gives the same pixels
        sampled = geometry.sample(around[first : band.stop + top - y0 + reach], places)
        yield np.where(still[..., None], part, sampled)
