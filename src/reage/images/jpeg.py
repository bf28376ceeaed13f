"""JPEG files whose last bytes are missing."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image

LEAST_SHARE = 0.95
"""Share of the rows that must be decoded for a picture that is cut short to be used."""

_END = b"\xff\xd9"
_NUM_OTHER_BYTES = 20_000


def mend_tail(file: bytes) -> tuple[PIL.Image.Image, float] | None:
    """A sequential JPEG that is cut short, decoded as far as it goes, and the share of rows that its bytes hold.

    The file is decoded twice, as it is and with other bytes after it: the rows that are the same in both are its own.
    None for a progressive JPEG, in which the missing bytes belong to the whole picture.
    """
    whole = _decode(file.rstrip(b"\xff") + _END)
    if whole.info.get("progressive"):
        return None
    other_bytes = np.random.default_rng(0).integers(0, 255, _NUM_OTHER_BYTES, np.uint8).tobytes()
    other = _decode(file.rstrip(b"\xff") + other_bytes + _END)
    differ = (np.asarray(whole) != np.asarray(other)).reshape(whole.height, -1).any(1)
    num_own = int(np.argmax(differ)) if differ.any() else whole.height
    return whole, num_own / whole.height


def _decode(file: bytes) -> PIL.Image.Image:
    picture = PIL.Image.open(io.BytesIO(file), formats=["JPEG"])
    picture.load()
    return picture
