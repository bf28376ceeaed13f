"""HDR frames, PQ (SMPTE ST 2084) or HLG (ARIB STD-B67) with the colours of BT.2020, brought to SDR (BT.709).

Levels become linear light relative to the reference white of 203 cd/m² (ITU-R BT.2408). What is brighter is compressed
by an extended Reinhard curve (Reinhard et al., 2002) on the brightest channel, so that hues stay; colours beyond BT.709
are clipped.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reage.types import Plane
from reage.video.library import av

_PQ = 16
_BT709, _BT2020, _LIMITED = 1, 9, 1
_WHITE_NITS = 203.0
_PEAK = 1000.0 / _WHITE_NITS
"""Light that becomes white, of mastering displays."""
_KNEE = 0.75
"""Light, relative to white, up to which levels stay: skin lies below it."""
_LEVELS = 1024
_TO_BT709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)
"""Linear RGB of BT.2020 to that of BT.709 (ITU-R BT.2087)."""


def to_sdr(picture: av.VideoFrame) -> av.VideoFrame:
    """A decoded HDR frame as a frame of SDR, yuv420p with the tags of BT.709."""
    space = int(picture.colorspace) if int(picture.colorspace) not in (0, 2) else _BT2020
    rgb: NDArray[Any] = picture.reformat(format="rgb48le", src_colorspace=space, dst_colorspace=space).to_ndarray()
    light = _linear_light(int(picture.color_trc) == _PQ)[rgb >> 6]
    levels = (to_video_levels(map_tones(light @ _TO_BT709.T)) * 255).round().astype(np.uint8)
    made = av.VideoFrame.from_ndarray(levels, format="rgb24")
    frame = made.reformat(format="yuv420p", src_colorspace=_BT709, dst_colorspace=_BT709, dst_color_range=_LIMITED)
    frame.colorspace = frame.color_primaries = frame.color_trc = _BT709
    frame.color_range = _LIMITED
    frame.pts, frame.time_base = picture.pts, picture.time_base
    return frame


def map_tones(light: Plane) -> Plane:
    """Linear RGB (H, W, 3) relative to white, compressed to [0, 1]; what is below the knee stays."""
    light = np.maximum(light, 0)
    brightest = light.max(-1, keepdims=True)
    room, peak = 1 - _KNEE, (_PEAK - _KNEE) / (1 - _KNEE)
    above = np.maximum(brightest - _KNEE, 0) / room
    compressed = _KNEE + room * above * (1 + above / peak**2) / (1 + above)
    ratio = np.where(brightest > _KNEE, compressed / np.maximum(brightest, 1e-6), 1)
    return np.clip(light * ratio, 0, 1).astype(np.float32)


def to_video_levels(light: Plane) -> Plane:
    """Linear light in [0, 1] to levels in [0, 1], for a display of BT.1886 (gamma 2.4)."""
    levels: Plane = np.power(light, np.float32(1 / 2.4))
    return levels


@cache
def _linear_light(is_pq: bool) -> Plane:
    """(1024,) linear light relative to white, of levels of 10 bits."""
    level = np.arange(_LEVELS) / (_LEVELS - 1)
    if is_pq:
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
        root = level ** (1 / m2)
        nits = 10000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
        return (nits / _WHITE_NITS).astype(np.float32)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(level <= 0.5, level**2 / 3, (np.exp((level - c) / a) + b) / 12)
    return (1000 * scene**1.2 / _WHITE_NITS).astype(np.float32)  # the gamma of a display of 1000 cd/m2
