"""Frames as upright RGB pixels, and back: only the rectangle that changed is written into the planes of the frame.

The rest of a frame keeps its levels bit for bit, whatever its pixel format.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reage.composite import Box
from reage.types import Pixels, Samples
from reage.video.library import av
from reage.video.source import VideoSource

_BT601, _BT709 = 5, 1
_UNSPECIFIED = 2
_LIMITED = 1
_HD_LINES = 576
"""More lines than these have the colours of HD where a file does not say."""
_DEEP_BITS = 8
_MARGIN_PX = 8


def to_rgb(picture: av.VideoFrame, source: VideoSource, *, deep: bool = False) -> Samples:
    """The upright pixels (H, W, 3) of a frame: uint8, or uint16 where `deep` and the frame has more than 8 bits."""
    form = "rgb48le" if deep and source.bits > _DEEP_BITS else "rgb24"
    space = _colour_space(picture)
    rgb: NDArray[Any] = picture.reformat(format=form, src_colorspace=space, dst_colorspace=space).to_ndarray()
    return np.ascontiguousarray(np.rot90(rgb, source.rotation_degrees // 90))


def from_rgb(pixels: Pixels, pixel_format: str) -> av.VideoFrame:
    """A frame of a picture (H, W, 3) in the pixel format of an encoder, with the colours of HD."""
    made = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
    frame = made.reformat(format=pixel_format, src_colorspace=_BT709, dst_colorspace=_BT709, dst_color_range=_LIMITED)
    frame.colorspace = frame.color_primaries = frame.color_trc = _BT709
    frame.color_range = _LIMITED
    return frame


def write_change(
    picture: av.VideoFrame, after: Samples, box: Box | None, source: VideoSource, pixel_format: str
) -> av.VideoFrame:
    """The frame in the pixel format of an encoder, with the pixels that changed.

    Args:
        picture: as it was decoded.
        after: (H, W, 3) its upright pixels, see `to_rgb`, as they became.
        box: the rectangle of them that changed; None where none did.
        source: the video.
        pixel_format: in which the frame is returned.
    """
    space = _colour_space(picture)
    base = picture.reformat(format=pixel_format, src_colorspace=space, dst_colorspace=space)
    if box is None:
        return base
    stored = np.rot90(after, -(source.rotation_degrees // 90))
    own = _turn_box(box, after.shape[:2], source.rotation_degrees // 90 % 4)
    around = _widen(own, stored.shape[:2])
    part: Any = np.ascontiguousarray(stored[around[0] : around[1], around[2] : around[3]])
    made = av.VideoFrame.from_ndarray(part, format="rgb48le" if part.dtype == np.uint16 else "rgb24")
    made.colorspace = space
    new = made.reformat(
        format=pixel_format, src_colorspace=space, dst_colorspace=space, dst_color_range=_range_of(base)
    )
    base = _copy(base) if base is picture else base
    _paste(base, new, own, (around[0], around[2]))
    return base


def _turn_box(box: Box, size: tuple[int, ...], turns: int) -> Box:
    """The rectangle in the picture (H, W) turned clockwise by so many quarters."""
    top, bottom, left, right = box
    height, width = size
    for _ in range(turns):
        top, bottom, left, right = left, right, height - bottom, height - top
        height, width = width, height
    return top, bottom, left, right


def _widen(box: Box, size: tuple[int, ...]) -> Box:
    """The rectangle with a margin, from even px, within a picture (H, W): chroma at its border is a mean."""
    top, bottom, left, right = box
    start = [max(0, first - _MARGIN_PX) // 2 * 2 for first in (top, left)]
    stop = [min(most, last + _MARGIN_PX) for last, most in zip((bottom, right), size, strict=True)]
    return start[0], stop[0], start[1], stop[1]


def _colour_space(picture: av.VideoFrame) -> int:
    """The matrix of a frame by its number in H.273; what is usual for its size where it does not say."""
    known = int(picture.colorspace)
    if known in (0, _UNSPECIFIED, 3):
        return _BT709 if picture.height > _HD_LINES else _BT601
    return known


def _range_of(picture: av.VideoFrame) -> int:
    return 2 if int(picture.color_range) == 2 or picture.format.name.startswith("yuvj") else _LIMITED


def _copy(picture: av.VideoFrame) -> av.VideoFrame:
    picture.make_writable()  # the decoder may still need its own
    return picture


def _plane(plane: Any, sample_bytes: int) -> NDArray[Any]:
    """(rows, samples) of a plane, a view."""
    flat = np.frombuffer(plane, np.uint8)
    rows = flat[: plane.line_size * plane.height].reshape(plane.height, plane.line_size)
    return rows.view(np.uint16 if sample_bytes == 2 else np.uint8)


def _paste(target: av.VideoFrame, source: av.VideoFrame, box: Box, corner: tuple[int, int]) -> None:
    """Copies a rectangle of all planes from a part of the picture that lies at a corner (y, x) of even px."""
    top, bottom, left, right = box
    sample_bytes = 2 if max(component.bits for component in target.format.components) > _DEEP_BITS else _LIMITED
    for mine, new in zip(target.planes, source.planes, strict=True):
        down = -(-target.height // mine.height)
        across = max(1, round(target.width / mine.width))
        y0, x0 = corner[0] // down, corner[1] // across
        y1, x1 = min(mine.height, -(-bottom // down)), min(mine.width, -(-right // across))
        y, x = top // down, left // across
        part = _plane(new, sample_bytes)[y - y0 : y1 - y0, x - x0 : x1 - x0]
        _plane(mine, sample_bytes)[y:y1, x:x1] = part
