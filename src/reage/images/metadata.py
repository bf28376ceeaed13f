"""The metadata of a picture file: read from what Pillow found, and written as options of Pillow's writers.

Convention:
    EXIF blocks start with b"Exif" and have orientation 1; IPTC records are the bytes of an IIM data set; the comment
    of a JPEG or GIF is the text "Comment"; dpi is pixels per inch, across and down.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import PIL.Image
import PIL.PngImagePlugin
from PIL.ExifTags import IFD

from reage.images import tiff
from reage.images.formats import FORMAT_OF, Format, suffixes_that_keep
from reage.images.picture import Image
from reage.images.xmp import can_mark, mark_altered

_ORIENTATION, _XMP, _IPTC, _PHOTOSHOP, _ICC = 274, 700, 33723, 34377, 34675
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 282, 283, 296
_CM_PER_INCH = 2.54
# Tags of a TIFF that say how its pixels are stored, or hold a second copy of the picture, its profile or its XMP.
_LAYOUT_TAGS = frozenset(
    [*range(254, 267), 273, *range(277, 282), 284, *range(288, 294), 301, *range(317, 334), *range(336, 348)]
).union([*range(512, 522), *range(529, 533), _XMP, _IPTC, _PHOTOSHOP, _ICC, 37724])
_IPTC_START = b"\x1c"
_IPTC_RESOURCE = 1028  # of Photoshop's image resource blocks
_JPEG_BLOCK_BYTES = 65_500  # one marker holds 65533 bytes, the name of the block included
_EMPTY_EXIF_BYTES = 24
_COMMENT = "Comment"
_DPI_IN_EXIF = ("WEBP", "HEIF", "AVIF")
_ENCODER_COMMENT = b"Created by OpenJPEG"
_COPIES = ("XML:com.adobe.xmp", "Raw profile type ")

# Reading


def read_metadata(
    info: Mapping[Any, Any], exif: PIL.Image.Exif | None, *, tags: Mapping[int, Any], texts: Mapping[str, str]
) -> dict[str, Any]:
    """The arguments of `Image` that are metadata, and "notes".

    Args:
        info: of Pillow.
        exif: of Pillow; None when the file's cannot be read.
        tags: tag -> value of a TIFF page; empty for other formats.
        texts: of a PNG; empty for other formats.
    """
    block, notes = _store_exif(exif, info.get("exif") or b"")
    xmp = info.get("xmp") or tags.get(_XMP)
    return {
        "exif": block,
        "icc": info.get("icc_profile") or tags.get(_ICC),
        "xmp": xmp.encode() if isinstance(xmp, str) else xmp,
        "iptc": _read_iptc(info, tags),
        "texts": _read_texts(texts, info.get("comment")),
        "dpi": _read_dpi(info, exif),
        "notes": notes,
    }


def _store_exif(exif: PIL.Image.Exif | None, stored: bytes) -> tuple[bytes | None, tuple[str, ...]]:
    """The EXIF block with orientation 1, without the thumbnail, which shows the old face, and notes on lost tags."""
    if exif is None or (len(stored) > _EMPTY_EXIF_BYTES and not exif):
        return None, ("The EXIF is damaged and was left out.",)
    for tag in _LAYOUT_TAGS.intersection(exif):
        del exif[tag]
    if not exif and not stored:
        return None, ()
    exif[_ORIENTATION] = 1
    exif.bigtiff = False
    lost = []
    for tag in list(exif):
        if _to_bytes(exif) is not None:
            break
        alone = PIL.Image.Exif()
        alone[tag] = exif.get_ifd(tag) if tag in (IFD.Exif, IFD.GPSInfo, IFD.Interop) else exif[tag]
        if _to_bytes(alone) is None:
            del exif[tag]
            lost.append(f"{tag}")
    block = _to_bytes(exif)
    if block is None:
        return None, ("The EXIF is damaged and was left out.",)
    note = f"EXIF that cannot be stored was left out (tag {', '.join(lost)})."
    return block, (note,) if lost else ()


def _to_bytes(exif: PIL.Image.Exif) -> bytes | None:
    try:
        return exif.tobytes()
    except Exception:  # any kind, by the type of the damaged value
        return None


def _read_iptc(info: Mapping[Any, Any], tags: Mapping[int, Any]) -> bytes | None:
    resources = info.get("photoshop")
    records = resources.get(_IPTC_RESOURCE) if isinstance(resources, Mapping) else None
    if not isinstance(records, bytes):
        records = tiff.read_bytes(tags, _IPTC).rstrip(b"\0")
    return records if records.startswith(_IPTC_START) else None


def _read_texts(texts: Mapping[str, str], comment: object) -> dict[str, str]:
    kept = {key: text for key, text in texts.items() if not key.startswith(_COPIES)}
    if isinstance(comment, str):
        comment = comment.encode()
    if isinstance(comment, bytes) and comment and not comment.startswith(_ENCODER_COMMENT):
        kept.setdefault(_COMMENT, comment.decode(errors="surrogateescape"))
    return kept


def _read_dpi(info: Mapping[Any, Any], exif: PIL.Image.Exif | None) -> tuple[float, float] | None:
    """The resolution of the file, or of its EXIF in formats that have no other place for it."""
    try:
        if info.get("jfif_unit") in (1, 2) or "jfif_unit" not in info:
            dpi = info.get("dpi")
            if dpi:
                across, down = (round(float(value), 2) for value in dpi)
                return (across, down) if across > 1 and down > 1 else None
        if exif is None or "jfif_unit" in info or _X_RESOLUTION not in exif:
            return None
        scale = _CM_PER_INCH if exif.get(_RESOLUTION_UNIT) == 3 else 1
        across, down = (round(float(exif[tag]) * scale, 2) for tag in (_X_RESOLUTION, _Y_RESOLUTION))
        return (across, down) if across > 1 and down > 1 else None
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None


# Writing


def writes_grey(image: Image, file_format: Format) -> bool:
    """Whether the picture is written with one colour channel."""
    with_alpha = image.alpha is not None and "alpha" in file_format.keeps
    return image.grey and ("grey_alpha" if with_alpha else "grey") in file_format.keeps


def save_options(image: Image, file_format: Format, *, altered: bool) -> dict[str, Any]:
    """The options of Pillow's writer that hold the metadata, as far as the format can keep it.

    Args:
        image: what is written.
        file_format: of the file.
        altered: whether the XMP is to say so.
    """
    name, keeps = file_format.name, file_format.keeps
    options: dict[str, Any] = {}
    if "icc" in keeps and _profile_fits(image, file_format):
        options["icc_profile"] = image.icc
    if "dpi" in keeps and image.dpi and name not in _DPI_IN_EXIF:
        options["dpi"] = image.dpi
    comment = image.texts.get(_COMMENT)
    if comment and "comment" in keeps and name != "PNG":
        options["comment"] = comment.encode(errors="surrogateescape")
    exif = image.exif if "exif" in keeps and image.exif and _fits(image.exif, name) else None
    if name in _DPI_IN_EXIF and image.dpi:
        exif = _with_dpi(exif, image.dpi)
    xmp = _choose_xmp(image.xmp, name, altered) if "xmp" in keeps else None
    if name == "JPEG" and image.iptc and _fits(image.iptc, name):
        options["extra"] = _photoshop_segment(image.iptc)
    if name == "TIFF":
        return options | {"exif": _tiff_tags(exif, xmp, image.iptc)}
    if name == "PNG":
        options["pnginfo"] = _png_texts(image.texts, xmp)
        return options | ({"exif": exif} if exif else {})
    return options | {key: block for key, block in (("exif", exif), ("xmp", xmp)) if block}


def _profile_fits(image: Image, file_format: Format) -> bool:
    """Whether the colour profile is one of the pixels written."""
    space = b"GRAY" if writes_grey(image, file_format) else b"RGB "
    return image.icc is not None and image.icc[16:20] == space


def _fits(block: bytes, name: str) -> bool:
    return name != "JPEG" or len(block) <= _JPEG_BLOCK_BYTES


def _choose_xmp(packet: bytes | None, name: str, altered: bool) -> bytes | None:
    marked = mark_altered(packet) if altered else packet
    if marked is None or _fits(marked, name):
        return marked
    return mark_altered(None) if altered else None


def _with_dpi(block: bytes | None, dpi: tuple[float, float]) -> bytes:
    exif = PIL.Image.Exif()
    exif.load(block or b"")
    exif[_X_RESOLUTION], exif[_Y_RESOLUTION], exif[_RESOLUTION_UNIT] = (*dpi, 2)
    return exif.tobytes()


def _tiff_tags(block: bytes | None, xmp: bytes | None, iptc: bytes | None) -> PIL.Image.Exif:
    tags = PIL.Image.Exif()
    tags.load(block or b"")
    for tag, value in ((_XMP, xmp), (_IPTC, iptc)):
        if value:
            tags[tag] = value
    return tags


def _png_texts(texts: Mapping[str, str], xmp: bytes | None) -> PIL.PngImagePlugin.PngInfo:
    chunks = PIL.PngImagePlugin.PngInfo()
    for key, text in texts.items():
        clean = text.encode(errors="surrogateescape").decode(errors="replace")
        chunks.add_text(key, text if isinstance(text, PIL.PngImagePlugin.iTXt) else clean)
    if xmp:
        chunks.add_itxt("XML:com.adobe.xmp", xmp.decode(errors="replace"))
    return chunks


def _photoshop_segment(iptc: bytes) -> bytes:
    """The JPEG segment APP13 with IPTC records."""
    block = b"Photoshop 3.0\0" + b"8BIM" + struct.pack(">HHI", _IPTC_RESOURCE, 0, len(iptc)) + iptc
    block += b"\0" * (len(iptc) % 2)
    return b"\xff\xed" + struct.pack(">H", len(block) + 2) + block


# What is lost


def describe_losses(image: Image, suffix: str, *, altered: bool = True) -> tuple[str, ...]:
    """A sentence for each thing that a file with this suffix cannot keep of the picture; empty when it keeps all.

    Args:
        image: that will be saved.
        suffix: of the file, one of `SUFFIXES`.
        altered: whether the XMP will be changed.
    """
    file_format = FORMAT_OF[suffix.lower()]
    lost = {need: words for need, words in _needs(image, file_format, altered).items() if need not in file_format.keeps}
    sentences = []
    if lost:
        others = [other for other in suffixes_that_keep(frozenset(lost)) if other != suffix.lower()]
        advice = f"; {' or '.join(others[:2])} can" if others else ""
        sentences.append(f"{suffix} cannot keep the {_join(list(lost.values()))}{advice}.")
    too_large = [
        words
        for words, block in (("EXIF", image.exif), ("XMP", image.xmp), ("IPTC records", image.iptc))
        if block and not _fits(block, file_format.name)
    ]
    if file_format.name == "GIF":
        sentences.append("GIF has 256 colours a frame; .png, .webp and .avif keep all.")
        if any(_has_half_alpha(frame) for frame in image.frames):
            sentences.append("GIF has no half-transparent pixels; .png, .webp and .avif do.")
    if file_format.name == "AVIF" and image.more and image.loop != 0:
        sentences.append("AVIF plays an animation for ever; .png, .webp and .gif keep how often.")
    if too_large:
        sentences.append(f"The {_join(too_large)} of more than 64 kB cannot be kept in {suffix}; .png or .tif can.")
    if image.icc and "icc" in file_format.keeps and not _profile_fits(image, file_format):
        sentences.append("The colour profile does not fit the pixels and is left out.")
    if altered and image.xmp and "xmp" in file_format.keeps and not can_mark(image.xmp):
        sentences.append("The XMP is damaged and is replaced.")
    return tuple(sentences)


def _needs(image: Image, file_format: Format, altered: bool) -> dict[str, str]:
    """What a format must keep for the picture -> its name in a sentence."""
    comment = _COMMENT in image.texts
    needs = {
        "exif": ("EXIF", bool(image.exif)),
        "icc": ("colour profile", bool(image.icc)),
        "xmp": ("XMP" if image.xmp else "mark that it was altered", bool(image.xmp) or altered),
        "iptc": ("IPTC caption and keywords", bool(image.iptc)),
        "texts": (f"texts ({', '.join(key for key in image.texts if key != _COMMENT)})", len(image.texts) > comment),
        "comment": ("comment", comment),
        "dpi": ("resolution in dpi", bool(image.dpi) and not (image.exif and "exif" in file_format.keeps)),
    }
    found = {need: words for need, (words, there) in needs.items() if there}
    if image.deep is not None:
        is_float = image.deep.dtype.kind == "f"
        found |= {"float": "float samples"} if is_float else {"sixteen_bit": "16 bits per channel"}
    return found


def _has_half_alpha(image: Image) -> bool:
    if image.alpha is None:
        return False
    return bool(((image.alpha > 0) & (image.alpha < np.iinfo(image.alpha.dtype).max)).any())


def _join(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
