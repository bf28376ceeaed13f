"""The only room that opens, saves, resizes, warps, draws and converts pictures.

Pixels for nets are made by `reage.images.tensors`, which is imported by its own name because it needs torch.
"""

from reage.images.drawing import draw_faces, draw_sheet, draw_strip, draw_zones
from reage.images.files import (
    check_output,
    decode_image,
    encode_image,
    find_stream_suffix,
    find_suffix,
    is_picture,
    list_images,
    load_image,
    load_mask,
    save_image,
)
from reage.images.formats import READ_SUFFIXES, SUFFIXES
from reage.images.layers import check_layers, replace_layers
from reage.images.memory import MAX_MEGAPIXELS, MIN_SIDE_PX
from reage.images.metadata import describe_losses
from reage.images.picture import Image

__all__ = [
    "MAX_MEGAPIXELS",
    "MIN_SIDE_PX",
    "READ_SUFFIXES",
    "SUFFIXES",
    "Image",
    "check_layers",
    "check_output",
    "decode_image",
    "describe_losses",
    "draw_faces",
    "draw_sheet",
    "draw_strip",
    "draw_zones",
    "encode_image",
    "find_stream_suffix",
    "find_suffix",
    "is_picture",
    "list_images",
    "load_image",
    "load_mask",
    "replace_layers",
    "save_image",
]
