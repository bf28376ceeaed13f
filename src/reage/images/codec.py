"""Pictures to and from the bytes of PNG, JPEG and TIFF files, for shards, reports and layers."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from reage.types import Pixels, Plane

_DEFLATE, _NO_PREDICTOR = 8, 1  # the form of a compressed float TIFF that most programs read


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


def to_sixteen_bit(matte: Plane) -> NDArray[np.uint16]:
    """A matte (H, W) in [0, 1], rounded to steps of 1 / 65535."""
    return np.rint(np.clip(matte, 0, 1) * np.float32(65535)).astype(np.uint16)


def encode_png_of_sixteen_bit(values: NDArray[np.uint16]) -> bytes:
    """(H, W) grey or (H, W, 3) RGB uint16 -> a PNG file's bytes."""
    done, encoded = cv2.imencode(".png", values if values.ndim == 2 else values[..., ::-1])
    assert done
    return encoded.tobytes()


def encode_float_tiff(values: Plane) -> bytes:
    """(H, W, 3) RGB float32 -> the bytes of a TIFF file of 32-bit floats, compressed without loss by Deflate."""
    options = [cv2.IMWRITE_TIFF_COMPRESSION, _DEFLATE, cv2.IMWRITE_TIFF_PREDICTOR, _NO_PREDICTOR]
    done, encoded = cv2.imencode(".tiff", values[..., ::-1], options)
    assert done
    return encoded.tobytes()
