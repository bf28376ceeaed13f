"""Pictures to and from the bytes of PNG and JPEG files, for shards and reports."""

from __future__ import annotations

import cv2
import numpy as np

from reage.types import Pixels


def encode_png(pixels: Pixels) -> bytes:
    """(H, W, 3) RGB uint8 -> a PNG file's bytes."""
    done, encoded = cv2.imencode(".png", pixels[..., ::-1])
    assert done
    return encoded.tobytes()


def decode(picture: bytes) -> Pixels:
    """A PNG or JPEG file's bytes -> (H, W, 3) RGB uint8."""
    pixels = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return np.ascontiguousarray(pixels[..., ::-1])


def encode_jpeg(pixels: Pixels, quality: int = 88) -> bytes:
    """(H, W, 3) RGB uint8 -> a JPEG file's bytes; lossy, so only for viewing."""
    done, encoded = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return encoded.tobytes()
