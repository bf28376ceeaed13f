"""Camera raw files, which are told by their content: most are TIFF files whose first picture is a thumbnail."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reage.errors import ImageError

_STARTS = {
    b"FUJIFILMCCD-RAW": "Fujifilm",
    b"IIRO": "Olympus",
    b"IIRS": "Olympus",
    b"MMOR": "Olympus",
    b"IIU\0": "Panasonic",
    b"FOVb": "Sigma",
    b"\0MRM": "Minolta",
}
_DNG_VERSION, _NEW_SUBFILE_TYPE, _PHOTOMETRIC = 50706, 254, 262
_SENSOR_PHOTOMETRIC = (32803, 34892)  # a colour filter array, or linear sensor values


def describe_raw(head: bytes, tags: Mapping[int, Any]) -> str:
    """What camera raw file this is, such as "Canon raw"; "" for any other file.

    Args:
        head: the first 16 bytes.
        tags: tag -> value of the first directory of a TIFF file; empty for other files.
    """
    for start, brand in _STARTS.items():
        if head.startswith(start):
            return f"{brand} raw"
    if head[4:12] == b"ftypcrx " or (tags and head[8:10] == b"CR") or head[6:14] == b"HEAPCCDR":
        return "Canon raw"
    if _DNG_VERSION in tags:
        return "DNG"
    if tags.get(_NEW_SUBFILE_TYPE) == 1 or tags.get(_PHOTOMETRIC) in _SENSOR_PHOTOMETRIC:
        brand = str(tags.get(271, "")).strip("\0 ").split(" ")[0].capitalize()
        return f"{brand} raw".strip()
    return ""


def develop(file: bytes, path: Path, kind: str) -> NDArray[np.uint16]:
    """The picture (H, W, 3) of a camera raw file, upright, with the camera's white balance, in sRGB.

    Raises:
        ImageError: when rawpy is not installed or cannot read the file.
    """
    try:
        import rawpy
    except ImportError as error:
        raise ImageError(
            f"'{path}' is a camera raw file ({kind}), of which reage would see just the thumbnail; develop it to .tif "
            "or .jpg first, or run pip install 'reage[raw]'."
        ) from error
    try:
        with rawpy.imread(io.BytesIO(file)) as raw:
            developed = np.asarray(raw.postprocess(use_camera_wb=True, output_bps=16), np.uint16)
    except rawpy.LibRawError as error:
        raise ImageError(
            f"'{path}' is a camera raw file ({kind}) that rawpy cannot read; develop it to .tif or .jpg first."
        ) from error
    return developed
