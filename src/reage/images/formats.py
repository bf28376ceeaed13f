"""The picture formats that are read and written, and what each of them can keep."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module

import PIL.Image

_ALL = frozenset({"exif", "icc", "xmp", "dpi"})


@dataclass(frozen=True)
class Format:
    """A file format.

    Args:
        name: Pillow's name of it.
        suffixes: endings of its file names, in lower case; the first is the usual one.
        keeps: what is written: "alpha", "grey", "grey_alpha", "sixteen_bit", "float", "exif", "icc", "xmp", "iptc",
            "texts", "comment", "dpi", "pages", "animation".
        remedy: command that makes this computer read and write it.
    """

    name: str
    suffixes: tuple[str, ...]
    keeps: frozenset[str]
    remedy: str = "pip install -U pillow"


FORMATS: tuple[Format, ...] = (
    Format("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), _ALL | {"grey", "iptc", "comment"}),
    Format(
        "PNG",
        (".png", ".apng"),
        _ALL | {"alpha", "grey", "grey_alpha", "sixteen_bit", "texts", "comment", "animation"},
    ),
    Format("WEBP", (".webp",), _ALL | {"alpha", "animation"}),
    Format("TIFF", (".tif", ".tiff"), _ALL | {"alpha", "grey", "grey_alpha", "sixteen_bit", "float", "iptc", "pages"}),
    Format("BMP", (".bmp",), frozenset({"grey", "dpi"})),
    Format("HEIF", (".heic", ".heif", ".hif"), _ALL | {"alpha", "grey", "sixteen_bit"}, "pip install 'reage[heif]'"),
    Format("AVIF", (".avif",), _ALL | {"alpha", "grey", "animation"}),
    Format("GIF", (".gif",), frozenset({"alpha", "comment", "animation"})),
    Format("JPEG2000", (".jp2", ".j2k"), frozenset({"alpha", "grey", "grey_alpha", "comment"})),
)
"""The formats that are written; they are read as well."""

FORMAT_OF = {suffix: one for one in FORMATS for suffix in one.suffixes}
"""Suffix -> format."""

SUFFIXES: tuple[str, ...] = tuple(FORMAT_OF)
"""File name endings that are read and written, in lower case."""

READ_SUFFIXES: tuple[str, ...] = (*SUFFIXES, ".jxl")
"""File name endings of pictures that are read, in lower case; camera raw files are told by their content."""

READ_FORMATS = (*(one.name for one in FORMATS), "MPO", "JXL")
"""Pillow's names of the formats that are read."""

JXL_REMEDY = "pip install 'reage[jxl]'"


def register_plugins() -> frozenset[str]:
    """Lets Pillow know all its formats, and HEIC and JPEG XL where their packages are; returns the names it reads."""
    PIL.Image.init()
    if "HEIF" not in PIL.Image.OPEN:
        with suppress(ImportError):
            from pillow_heif import register_heif_opener

            register_heif_opener()
    if "JXL" not in PIL.Image.OPEN:
        with suppress(ImportError):
            import_module("pillow_jxl")  # it registers itself
    return frozenset(READ_FORMATS) & frozenset(PIL.Image.OPEN)


def suffixes_that_keep(needs: frozenset[str]) -> list[str]:
    """The usual suffix of each format that keeps all of `needs`."""
    return [one.suffixes[0] for one in FORMATS if needs <= one.keeps]
