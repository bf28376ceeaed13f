"""Pictures as PNG bytes, for shards and reports."""

from __future__ import annotations

import cv2
import numpy as np

from reage.types import Pixels


def encode_png(pixels: Pixels) -> bytes:
    """(H, W, 3) RGB uint8 -> a PNG file's bytes."""
    done, encoded = cv2.imencode(".png", pixels[..., ::-1])
    assert done
    return encoded.tobytes()


def decode_png(png: bytes) -> Pixels:
    """A PNG file's bytes -> (H, W, 3) RGB uint8."""
    pixels = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return np.ascontiguousarray(pixels[..., ::-1])
