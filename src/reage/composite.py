"""Composites an aged crop into its picture: only the change is applied, so unchanged pixels keep every bit.

    image + warp(matte * (aged - crop)), or, by gains, (image + floor) * exp(warp(log ratio)) - floor

Where the engine also moved the shape, the image is first warped by the shift at its own resolution, and the change is
taken against the warped crop, so that a face larger than the crop keeps its fine detail.

Convention: pictures are RGB (H, W, 3), uint8, uint16 or float32, see `reage.images.samples`; levels run from 0 to 255.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from reage.images import geometry
from reage.images.codec import to_sixteen_bit
from reage.images.regions import to_pixels
from reage.images.samples import from_levels, to_levels
from reage.types import GAIN_FLOOR, Aged, Face, Gain, Layers, Matrix, Pixels, Plane, Samples

AnySamples = TypeVar("AnySamples", bound=NDArray[Any])

Box = tuple[int, int, int, int]
"""Top, bottom, left and right px of a rectangle."""

BAND_PX = 2**17
"""Default number of image pixels in a band of `composite`."""
_STILL_PX = 0.01
"""Pixels with a smaller shift are copied, not resampled."""
_WHITE = 2**16 - 1


def composite(pixels: AnySamples, face: Face, aged: Aged, *, band_px: int = BAND_PX) -> AnySamples:
    """A copy of the image in which one face looks as in the aged crop.

    Args:
        pixels: (H, W, 3) image the face was found in, of any bit depth (other faces may have changed since).
        face: the face.
        aged: the engine's result for `face.crop`, of the same size.
        band_px: number of image pixels that are processed at once, which limits the memory; the result is the same.

    Returns:
        (H, W, 3) of the same bit depth; bit for bit the input where nothing changed.
    """
    result = pixels.copy()
    composite_into(result, pixels, face, aged, band_px=band_px)
    return result


def composite_into(
    result: AnySamples, pixels: AnySamples, face: Face, aged: Aged, *, band_px: int = BAND_PX
) -> Box | None:
    """Writes what one face changes into a copy of its image, and returns the rectangle that holds it.

    Args:
        result: (H, W, 3) copy of the image, of the same bit depth.
        pixels: as in `composite`, also for the following.
        face: the face.
        aged: the engine's result.
        band_px: as in `composite`.

    Returns:
        Top, bottom, left and right px; None where nothing changes.
    """
    places = []
    for part in _change(pixels, face, aged, band_px):
        result[part.place] = part.samples()
        places.append(part.place)
    if not places:
        return None
    return places[0][0].start, places[-1][0].stop, places[0][1].start, places[0][1].stop


def make_layers(pixels: Samples, changes: Sequence[tuple[Face, Aged]], *, band_px: int = BAND_PX) -> Layers:
    """The layers of the picture that `composite` makes of one face after the other; `flatten` joins them to it.

    Where the changes of two faces overlap, shapes move one after the other and gains add up; what this leaves to the
    picture, and what the rounding of float32 leaves at a half level, is in `added`.

    Args:
        pixels: (H, W, 3) image the faces were found in.
        changes: each face, and the engine's result for it, in the order in which they are put back.
        band_px: as in `composite`.
    """
    height, width = pixels.shape[:2]
    gain, added = np.zeros_like(pixels, np.float32), np.zeros_like(pixels, np.float32)
    skin, hair = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
    moved = result = pixels
    for face, aged in changes:
        before, moved = moved, moved.copy()
        for part in _change(before, face, aged, band_px):
            moved[part.place] = part.moved
            if part.gain is not None:
                gain[part.place] += part.gain
            if part.added is not None:
                added[part.place] += part.added
        result = composite(result, face, aged, band_px=band_px)
        for whole, matte in ((skin, face.skin), (hair, face.hair)):
            placed = matte if aged.shift is None else _moved(matte, aged.shift)
            image_from_crop = geometry.invert(face.crop_from_image)
            np.maximum(whole, geometry.warp(placed, image_from_crop, height, width, edge="zero"), out=whole)
    layers = Layers(moved=moved, gain=gain, added=added, skin=skin, hair=hair)
    for rows in _row_slices(pixels, band_px):
        levels = _flat_levels(layers, rows)
        other = from_levels(levels, pixels.dtype) != result[rows]
        added[rows][other] += (to_levels(result[rows]) - levels)[other]
    return layers


def flatten(layers: Layers, *, band_px: int = BAND_PX) -> Samples:
    """The picture (H, W, 3) that layers add up to."""
    result = np.empty_like(layers.moved)
    for rows in _row_slices(layers.moved, band_px):
        result[rows] = from_levels(_flat_levels(layers, rows), layers.moved.dtype)
    return result


def mask_change(before: AnySamples, after: AnySamples, mask: Plane, *, band_px: int = BAND_PX) -> AnySamples:
    """The changed picture where the mask is 1, bit for bit the earlier one where it is 0, blended linearly in between.

    Args:
        before: (H, W, 3).
        after: (H, W, 3) of the same bit depth.
        mask: (H, W) in [0, 1], rounded to 16 bit.
        band_px: as in `composite`.
    """
    result = np.empty_like(before)
    for rows in _row_slices(before, band_px):
        share = to_sixteen_bit(mask[rows]).astype(np.uint32)[..., None]
        if before.dtype == np.float32:
            part = share.astype(np.float32) / _WHITE
            result[rows] = before[rows] * (1 - part) + after[rows] * part
            continue
        result[rows] = (before[rows] * (_WHITE - share) + after[rows] * share + _WHITE // 2) // _WHITE
    return result


def apply_gains(pixels: Samples, gains: Sequence[Plane]) -> Plane:
    """Levels, not rounded, of RGB (H, W, 3) multiplied by gains: log ratios (H, W, 3), see `reage.types.Gain`."""
    floor = np.float32(255 * GAIN_FLOOR)
    levels: Plane = (to_levels(pixels) + floor) * np.exp(np.sum(gains, axis=0, dtype=np.float32)) - floor
    return levels


def apply_to_crop(crop: Pixels, gains: Sequence[Gain]) -> Pixels:
    """The crop (S, S, 3) multiplied by gains; what lies beyond it is cut off."""
    side = len(crop)
    changes = [geometry.warp(gain.log_ratio, gain.crop_from_gain(side), side, side, edge="zero") for gain in gains]
    return to_pixels(apply_gains(crop, changes))


def _flat_levels(layers: Layers, rows: slice) -> Plane:
    return apply_gains(layers.moved[rows], [layers.gain[rows]]) + layers.added[rows]


def _row_slices(pixels: Samples, band_px: int) -> list[slice]:
    height, width = pixels.shape[:2]
    return [slice(band.start, band.stop) for band in _split(height, width, band_px)]


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
    return geometry.shift_pixels(pixels, shift).astype(np.float32)


def _bounding_box(touched: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(touched.any(1)), np.flatnonzero(touched.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


@dataclass(frozen=True)
class _Placed:
    """A change (G, G, 3), the matrix from its px to crop px, and the box xyxy (crop px) in which it is not 0."""

    change: Plane
    crop_from_change: Matrix
    box: tuple[float, ...]


@dataclass(frozen=True)
class _Part:
    """A part of the image that changes.

    Args:
        place: its rows and columns.
        moved: (h, w, 3) after the change of shape.
        gain: (h, w, 3) log ratio, or None.
        added: (h, w, 3) levels, or None.
    """

    place: tuple[slice, slice]
    moved: Samples
    gain: Plane | None
    added: Plane | None

    def samples(self) -> Samples:
        """(h, w, 3) of the picture's bit depth."""
        levels = to_levels(self.moved) if self.gain is None else apply_gains(self.moved, [self.gain])
        if self.added is not None:
            levels = levels + self.added
        made = from_levels(levels, self.moved.dtype)
        return made if made.dtype != np.float32 else self._keep_floats(made)

    def _keep_floats(self, made: Samples) -> Samples:
        """The floats with those that nothing changed as they were, and none pushed below black."""
        changed = np.zeros(made.shape, bool)
        for change in (self.gain, self.added):
            if change is not None:
                changed |= change != 0
        return np.where(changed, np.maximum(made, np.minimum(self.moved, 0)), self.moved)


def _place_difference(face: Face, aged: Aged) -> list[_Placed]:
    """The difference of the crops times the matte; empty when there is none."""
    source, matte = face.crop.astype(np.float32), face.matte
    if aged.shift is not None:  # the matte moves too, so that eyes and teeth stay protected
        source, matte = _moved(face.crop, aged.shift), _moved(matte, aged.shift)
    change = (aged.crop.astype(np.float32) - source) * matte[..., None]
    touched = np.abs(change).max(-1) > 0
    return [_Placed(change, np.eye(2, 3), _bounding_box(touched))] if touched.any() else []


def _place_gains(face: Face, aged: Aged) -> list[_Placed]:
    """The gains that change anything."""
    placed = []
    for gain in aged.gains:
        touched = np.logical_or.reduce([gain.log_ratio[..., channel] != 0 for channel in range(3)])
        if touched.any():
            crop_from_gain = gain.crop_from_gain(len(face.crop))
            x0, y0, x1, y1 = _bounding_box(touched)
            corners = geometry.move_points(np.array([(x0, y0), (x1, y1)], float), crop_from_gain)
            placed.append(_Placed(gain.log_ratio, crop_from_gain, tuple(corners.ravel().tolist())))
    return placed


def _change(pixels: Samples, face: Face, aged: Aged, band_px: int) -> Iterator[_Part]:
    """The parts of the image that one face changes, one band of rows after the other."""
    assert aged.crop.shape == face.crop.shape, (aged.crop.shape, face.crop.shape)
    placed = _place_gains(face, aged) if aged.gains else _place_difference(face, aged)
    boxes: list[tuple[float, ...]] = [one.box for one in placed]
    if aged.shift is not None and (shifted := (aged.shift[..., 0] != 0) | (aged.shift[..., 1] != 0)).any():
        boxes.append(_bounding_box(shifted))
    if not boxes:
        return
    edges = np.array(boxes, float)
    (x0, y0), (x1, y1) = edges[:, :2].min(0).tolist(), edges[:, 2:].max(0).tolist()
    height, width = pixels.shape[:2]
    image_from_crop = geometry.invert(face.crop_from_image)
    corners = np.array([(x, y) for x in (x0 - 2, x1 + 2) for y in (y0 - 2, y1 + 2)], float)
    around = geometry.move_points(corners, image_from_crop)
    left, top = np.maximum(np.floor(around.min(0)).astype(int) - 1, 0).tolist()
    right, bottom = np.minimum(np.ceil(around.max(0)).astype(int) + 2, [width, height]).tolist()
    if left >= right or top >= bottom:
        return
    part_from_crop = image_from_crop.copy()
    part_from_crop[:, 2] -= (left, top)
    bands = _split(bottom - top, right - left, band_px)
    if aged.shift is None:
        parts: Iterator[Samples] = (pixels[top + band.start : top + band.stop, left:right] for band in bands)
    else:
        parts = _move_part(pixels, (left, top), bands, right - left, aged.shift, part_from_crop)
    squared = np.vstack([part_from_crop, [0, 0, 1]])
    warped = [
        geometry.warp_bands(
            one.change, (squared @ np.vstack([one.crop_from_change, [0, 0, 1]]))[:2], bands, right - left
        )
        for one in placed
    ]
    for band, moved in zip(bands, parts, strict=True):
        changes = [next(change) for change in warped]
        total: Plane | None = np.sum(changes, axis=0, dtype=np.float32) if changes else None
        gain, added = (total, None) if aged.gains else (None, total)
        yield _Part((slice(top + band.start, top + band.stop), slice(left, right)), moved, gain, added)


def _split(height_px: int, width_px: int, band_px: int) -> list[range]:
    """Bands of rows of about `band_px` pixels."""
    rows = max(1, band_px // width_px)
    return [range(first, min(height_px, first + rows)) for first in range(0, height_px, rows)]


def _move_part(
    pixels: NDArray[Any],
    corner: tuple[int, int],
    bands: Sequence[range],
    width_px: int,
    shift: Plane,
    part_from_crop: Matrix,
) -> Iterator[Samples]:
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
        sampled = geometry.sample(around[first : band.stop + top - y0 + margin], places, cubic=True)
        yield np.where(still[..., None], part, sampled)
