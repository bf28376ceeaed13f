"""The only room that opens, saves, resizes, warps, draws and converts pictures.

Pixels for nets are made by `reage.images.tensors`, which is imported by its own name because it needs torch.
"""

from reage.images.drawing import draw_faces, draw_sheet, draw_strip, draw_zones
from reage.images.files import (
    MAX_PIXELS,
    MIN_SIDE_PX,
    SUFFIXES,
    Image,
    check_output,
    find_suffix,
    is_picture,
    list_images,
    load_image,
    load_mask,
    save_image,
)
from reage.images.layers import check_layers, replace_layers

__all__ = [
    "MAX_PIXELS",
    "MIN_SIDE_PX",
    "SUFFIXES",
    "Image",
    "check_layers",
    "check_output",
    "draw_faces",
    "draw_sheet",
    "draw_strip",
    "draw_zones",
    "find_suffix",
    "is_picture",
    "list_images",
    "load_image",
    "load_mask",
    "replace_layers",
    "save_image",
]
