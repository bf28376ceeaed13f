"""Small pictures in every format that reage reads, and ways to damage them."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageCms
import PIL.PngImagePlugin
import skimage.data

SIDE_PX = 96
"""Side of the seeds: small, so that a mutation often meets what a decoder parses."""


def make_seeds() -> dict[str, bytes]:
    """File name -> content: each readable format, with EXIF, a profile, XMP, alpha, 16 bits, pages and frames."""
    face = PIL.Image.fromarray(skimage.data.astronaut()[40:200, 140:300]).resize((SIDE_PX, SIDE_PX))
    seeds: dict[str, bytes] = {}
    for name, (picture, options) in _pictures(face).items():
        try:
            seeds[name] = _encode(picture, **options)
        except (OSError, KeyError, ValueError):  # a format that this computer cannot write
            continue
    return seeds


def _encode(picture: PIL.Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    frames = [frame.copy() for frame in options.pop("append_images", ())]
    if frames:
        options["append_images"] = frames
    picture.copy().save(file, **options)  # copies, because saving leaves settings of the format in a picture
    return file.getvalue()


def _pictures(face: PIL.Image.Image) -> dict[str, tuple[PIL.Image.Image, dict[str, Any]]]:
    """File name -> picture, and how it is saved."""
    _register_heif()
    exif, icc = _make_exif(), PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    tagged = {"exif": exif, "icc_profile": icc}
    grey, clear = face.convert("L"), face.copy()
    clear.putalpha(grey)
    sixteen = PIL.Image.fromarray(np.asarray(grey, np.uint16) * 257)
    frames = {"save_all": True, "append_images": [face.rotate(90), face.rotate(180)]}
    text = PIL.PngImagePlugin.PngInfo()
    text.add_text("Comment", "a photo")
    text.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta xmlns:x='adobe:ns:meta/'/>")
    return {
        "plain.jpg": (face, {"format": "JPEG", "quality": 90, **tagged}),
        "progressive.jpg": (face, {"format": "JPEG", "progressive": True, "comment": b"a photo", "dpi": (300, 300)}),
        "grey.jpg": (grey, {"format": "JPEG"}),
        "cmyk.jpg": (face.convert("CMYK"), {"format": "JPEG"}),
        "stereo.mpo": (face, {"format": "MPO", **frames}),
        "plain.png": (face, {"format": "PNG", "pnginfo": text, **tagged}),
        "palette.png": (face.convert("P"), {"format": "PNG", "transparency": 3}),
        "clear.png": (clear, {"format": "PNG"}),
        "sixteen.png": (sixteen, {"format": "PNG"}),
        "moving.png": (face, {"format": "PNG", **frames}),
        "plain.webp": (face, {"format": "WEBP", **tagged}),
        "lossless.webp": (clear, {"format": "WEBP", "lossless": True}),
        "moving.webp": (face, {"format": "WEBP", **frames}),
        "plain.tif": (face, {"format": "TIFF", **tagged}),
        "lzw.tif": (face, {"format": "TIFF", "compression": "tiff_lzw"}),
        "jpeg.tif": (face, {"format": "TIFF", "compression": "jpeg"}),
        "sixteen.tif": (sixteen, {"format": "TIFF"}),
        "pages.tif": (face, {"format": "TIFF", **frames}),
        "big.tif": (face, {"format": "TIFF", "big_tiff": True}),
        "plain.bmp": (face, {"format": "BMP"}),
        "plain.gif": (face, {"format": "GIF", **frames}),
        "plain.jp2": (face, {"format": "JPEG2000"}),
        "plain.jxl": (face, {"format": "JXL"}),
        "plain.heic": (face, {"format": "HEIF", **tagged}),
        "plain.avif": (face, {"format": "AVIF", **tagged}),
        "moving.avif": (face, {"format": "AVIF", **frames}),
    }


def _register_heif() -> None:
    PIL.Image.init()
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return
    register_heif_opener()


def _make_exif() -> bytes:
    exif = PIL.Image.Exif()
    exif[271], exif[274] = "Leica", 6
    exif.get_ifd(34665)[36867] = "1999:12:31 23:59:59"
    exif.get_ifd(34853)[1] = "N"
    return exif.tobytes()


Mutation = Callable[[bytearray, random.Random, Mapping[str, bytes]], None]
"""Changes a file's content in place; the seeds are there to take parts of others from."""

_HEAD_BYTES = 512
"""Most of what a decoder parses stands in so many first bytes; half of all damage is done there."""
_LENGTHS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


def _place(content: bytearray, rng: random.Random) -> int:
    end = len(content) if rng.random() < 0.5 else min(_HEAD_BYTES, len(content))
    return rng.randrange(max(1, end))


def _flip_bits(content: bytearray, rng: random.Random, seeds: Mapping[str, bytes]) -> None:
    for _ in range(rng.choice((1, 2, 8, 64))):
        content[_place(content, rng)] ^= 1 << rng.randrange(8)


def _set_bytes(content: bytearray, rng: random.Random, seeds: Mapping[str, bytes]) -> None:
    for _ in range(rng.choice((1, 2, 8))):
        content[_place(content, rng)] = rng.choice((0, 0xFF, 0x7F, rng.randrange(256)))


def _set_length(content: bytearray, rng: random.Random, seeds: Mapping[str, bytes]) -> None:
    place, width = _place(content, rng), rng.choice((2, 4))
    value = rng.choice(_LENGTHS) & (256**width - 1)
    content[place : place + width] = value.to_bytes(width, rng.choice(("big", "little")))


def _cut_end(content: bytearray, rng: random.Random, seeds: Mapping[str, bytes]) -> None:
    del content[rng.randrange(1, len(content) + 1) :]


def _cut_part(content: bytearray, rng: random.Random, seeds: Mapping[str, bytes]) -> None:
    place = _place(content, rng)
    del content[place : place + rng.choice((1, 4, 64, 1024))]


def _repeat_part(content: bytearray, rng: random.Random, seeds: Mapping[str, bytes]) -> None:
    place = _place(content, rng)
    part = bytes(content[place : place + rng.choice((4, 64, 1024))])
    content[place:place] = part * rng.choice((1, 3, 50))


def _fill_part(content: bytearray, rng: random.Random, seeds: Mapping[str, bytes]) -> None:
    place, length = _place(content, rng), rng.choice((4, 64, 1024))
    content[place : place + length] = rng.randbytes(length)


def _splice(content: bytearray, rng: random.Random, seeds: Mapping[str, bytes]) -> None:
    other = seeds[rng.choice(sorted(seeds))]
    content[_place(content, rng) :] = other[rng.randrange(len(other)) :]


def _append(content: bytearray, rng: random.Random, seeds: Mapping[str, bytes]) -> None:
    content.extend(rng.randbytes(rng.choice((1, 1000, 100_000))))


MUTATIONS: Mapping[str, Mutation] = MappingProxyType(
    {
        "flip bits": _flip_bits,
        "set bytes": _set_bytes,
        "set a length": _set_length,
        "cut the end": _cut_end,
        "cut a part": _cut_part,
        "repeat a part": _repeat_part,
        "fill a part": _fill_part,
        "splice": _splice,
        "append": _append,
    }
)
"""Name -> how a file is damaged."""


def mutate(content: bytes, names: list[str], seed: int, seeds: Mapping[str, bytes]) -> bytes:
    """The content after mutations by their names, drawn from a seed."""
    rng, damaged = random.Random(seed), bytearray(content)
    for name in names:
        if damaged:
            MUTATIONS[name](damaged, rng, seeds)
    return bytes(damaged)
