"""Reads the pages or frames of a picture file."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import PIL.Image
import PIL.ImageOps
from numpy.typing import NDArray
from PIL.ExifTags import IFD

from reage.errors import ImageError
from reage.images import deep, tiff
from reage.images.camera_raw import describe_raw, develop
from reage.images.colour import to_eight_bit
from reage.images.formats import JXL_REMEDY, READ_FORMATS, register_plugins
from reage.images.jpeg import LEAST_SHARE, mend_tail
from reage.images.memory import Limit
from reage.images.metadata import read_metadata
from reage.images.picture import Image
from reage.images.samples import to_eight_bits, to_sixteen_bits

_HEAD_BYTES = 4096
_ORIENTATION, _XMP = 274, 700
_JXL_STARTS = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
_ANIMATED = ("GIF", "PNG", "WEBP", "AVIF")
_NOT_OWN: dict[str, Any] = {"exif": None, "icc": None, "xmp": None, "iptc": None, "texts": {}, "dpi": None, "notes": ()}
_OPENING = threading.Lock()


@dataclass(frozen=True)
class _File:
    """An open file: the stream, its first bytes, its path, and the tags of its pages if it is a TIFF."""

    stream: IO[bytes]
    head: bytes
    path: Path
    directories: list[tiff.Tags]

    def read(self) -> bytes:
        self.stream.seek(0)
        return self.stream.read()


def read_picture(stream: IO[bytes], path: Path, frame: int | None, limit: Limit) -> Image:
    """The picture in an open file.

    Args:
        stream: the file, at its start.
        path: named in errors.
        frame: number, from 1, of the page or frame; None for all.
        limit: of its size.

    Raises:
        ImageError: see `reage.images.load_image`.
    """
    head = stream.read(_HEAD_BYTES)
    if not head:
        raise ImageError(f"'{path}' is empty; give a picture file.")
    file = _File(stream, head, path, tiff.read_directories(stream) if tiff.is_tiff(head) else [])
    if kind := describe_raw(head, file.directories[0] if file.directories else {}):
        return _read_raw(file, kind, limit)
    if file.directories:
        return _read_pages(file, frame, limit)
    return _read_frames(file, _open(file), frame, limit)


def find_format(stream: IO[bytes], path: Path) -> str:
    """Pillow's name of the format of an open file, by its content.

    Raises:
        ImageError: when it is no picture.
    """
    head = stream.read(_HEAD_BYTES)
    if tiff.is_tiff(head) and tiff.read_directories(stream):
        return "TIFF"
    return str(_open(_File(stream, head, path, [])).format)


def _open(file: _File) -> PIL.Image.Image:
    known = register_plugins()
    file.stream.seek(0)
    with _OPENING, warnings.catch_warnings():  # Pillow has one global limit; ours is checked right after
        warnings.simplefilter("ignore")
        largest, PIL.Image.MAX_IMAGE_PIXELS = PIL.Image.MAX_IMAGE_PIXELS, None
        try:
            return PIL.Image.open(file.stream, formats=[name for name in READ_FORMATS if name in known])
        except MemoryError:
            raise
        except Exception as error:
            raise ImageError(_why_unknown(file, known)) from error
        finally:
            PIL.Image.MAX_IMAGE_PIXELS = largest


def _why_unknown(file: _File, known: frozenset[str]) -> str:
    head, path = file.head, file.path
    if head[4:8] == b"ftyp" and head[8:11] in (b"hei", b"hev", b"mif") and "HEIF" not in known:
        return f"'{path}' is a HEIC picture; to read it, run pip install 'reage[heif]'."
    if head.startswith(_JXL_STARTS) and "JXL" not in known:
        return f"'{path}' is a JPEG XL picture; to read it, run {JXL_REMEDY}."
    formats = "JPEG, PNG, WebP, TIFF, BMP, GIF, HEIC, AVIF, JPEG 2000 or JPEG XL"
    return f"'{path}' is not a picture that reage can read; give an intact {formats}."


# Pages and frames


def _read_pages(file: _File, frame: int | None, limit: Limit) -> Image:
    """All pages of a TIFF but its thumbnails, or one."""
    numbers = [number for number, tags in enumerate(file.directories) if number == 0 or not tiff.is_thumbnail(tags)]
    chosen = _choose(numbers, frame, file.path, "page")
    has_deep = any(tiff.has_deep_samples(file.directories[number]) for number in chosen)
    limit.check([tiff.size_of(file.directories[number]) for number in chosen], file.path, deep=has_deep)
    picture, pages = None, []
    for number in chosen:
        tags = file.directories[number]
        if tiff.has_deep_samples(tags):
            pages.append(_read_deep_page(file, number))
        else:
            picture = picture or _open(file)
            picture.seek(number)
            pages.append(_decode(file, picture, tags=tags))
    first = replace(pages[0], more=tuple(pages[1:]))
    return _with_notes(first, _note_others(len(numbers), frame, "page"))


def _read_frames(file: _File, picture: PIL.Image.Image, frame: int | None, limit: Limit) -> Image:
    """All frames of an animation, or one; of a file that holds other pictures beside its main one, just one."""
    numbers = list(range(getattr(picture, "n_frames", 1)))
    animated = picture.format in _ANIMATED and len(numbers) > 1
    chosen = _choose(numbers, frame if animated or frame is not None else 1, file.path, "frame")
    limit.check([picture.size] * len(chosen), file.path, deep=deep.num_bits(picture, file.head) > 8)
    if not animated:
        if chosen[0] > 0:
            picture.seek(chosen[0])
        return _with_notes(_decode(file, picture), _note_beside(file, picture, len(numbers)))
    frames = []
    for number in chosen:
        picture.seek(number)
        decoded = _decode(file, picture, animated=True)
        frames.append(replace(decoded, duration_ms=float(picture.info.get("duration", 0))))
    if len(frames) == 1:
        return _with_notes(replace(frames[0], duration_ms=None), _note_others(len(numbers), frame, "frame"))
    loop = 0 if picture.format == "AVIF" else picture.info.get("loop")
    return replace(frames[0], more=tuple(replace(one, **_NOT_OWN) for one in frames[1:]), loop=loop)


def _choose(numbers: Sequence[int], frame: int | None, path: Path, word: str) -> Sequence[int]:
    if frame is None:
        return numbers
    if not 1 <= frame <= len(numbers):
        count = f"{len(numbers)} {word}s" if len(numbers) > 1 else f"one {word}"
        raise ImageError(f"'{path}' has {count}, and --frame is {frame}; give a number from 1 to {len(numbers)}.")
    return [numbers[frame - 1]]


def _note_others(count: int, frame: int | None, word: str) -> tuple[str, ...]:
    if count == 1 or frame is None:
        return ()
    return (f"The file has {count} {word}s, of which this is number {frame}.",)


def _note_beside(file: _File, picture: PIL.Image.Image, count: int) -> tuple[str, ...]:
    """What the file holds beside the picture and is not read: another view, a depth or a gain map, XMP of JPEG XL."""
    if picture.format == "JXL" and (b"xml " in (content := file.read()) or b"brob" in content):
        return ("The XMP of a JPEG XL picture is not read.",)
    maps = [name for name in ("depth_images", "aux") if picture.info.get(name)]
    if count == 1 and not maps:
        return ()
    beside = f"{count - 1} other picture{'s' if count > 2 else ''}" if count > 1 else "a depth or gain map"
    choice = "; --frame 2 reads the next" if count > 1 else ""
    return (f"The file also holds {beside} (such as another view, depth or gain map), which is left out{choice}.",)


def _with_notes(image: Image, notes: tuple[str, ...]) -> Image:
    return replace(image, notes=image.notes + notes)


# One frame


def _decode(
    file: _File, picture: PIL.Image.Image, *, tags: Mapping[int, Any] | None = None, animated: bool = False
) -> Image:
    """The frame that the picture is at."""
    tags = tags or {}
    picture, notes = _load(file, picture)
    exif, texts, mode = _read_exif(picture), getattr(picture, "text", {}), picture.mode
    orientation = exif.get(_ORIENTATION, 1) if exif is not None else 1
    if orientation != 1:
        if animated or tags:  # the file goes on with its next frame
            picture = PIL.ImageOps.exif_transpose(picture)
        else:
            PIL.ImageOps.exif_transpose(picture, in_place=True)
    info: Mapping[Any, Any] = picture.info
    if tags:  # a page without a profile keeps that of the page before
        info = {"xmp": info.get("xmp")} if _XMP in tags else {}
    metadata = read_metadata(info, exif, tags=tags, texts=texts)
    image, lost = _decode_pixels(file, picture, tags, 1 if picture.format == "HEIF" else orientation, animated)
    if mode in ("CMYK", "LAB"):
        metadata["icc"] = None
        lost += (f"It is converted from {mode} to sRGB.",)
    return replace(image, **{**metadata, "notes": (*notes, *lost, *metadata["notes"])})


def _decode_pixels(
    file: _File, picture: PIL.Image.Image, tags: Mapping[int, Any], orientation: object, animated: bool
) -> tuple[Image, tuple[str, ...]]:
    """The pixels of an upright picture, or the samples of its file, which are still to be turned; and notes."""
    bits = 8 if animated else deep.num_bits(picture, file.head)
    flat = to_eight_bit(picture, file.path, tiff_tags=tags)
    grey = flat.mode in ("L", "LA")
    samples = deep.read_samples(file.read(), str(picture.format), bits) if bits > 8 else None
    if samples is not None:
        return _from_samples(_turn(samples, orientation), grey), ()
    alpha = np.array(flat.getchannel("A")) if flat.mode in ("LA", "RGBA") else None
    image = Image(pixels=np.array(flat if flat.mode == "RGB" else flat.convert("RGB")), alpha=alpha, grey=grey)
    deeper = max(bits, *_bits_of(tags), 8) > 8 or (animated and deep.num_bits(picture, file.head) > 8)
    return image, ("It has more than 8 bits per channel, of which 8 are kept.",) if deeper else ()


def _load(file: _File, picture: PIL.Image.Image) -> tuple[PIL.Image.Image, tuple[str, ...]]:
    """The decoded picture, and a note if it is a JPEG of which the last bytes are missing."""
    try:
        picture.load()
        return picture, ()
    except OSError:
        mended = mend_tail(file.read()) if picture.format in ("JPEG", "MPO") else None
        if mended is None or mended[1] < LEAST_SHARE:
            raise
        lost = f"the last {100 * (1 - mended[1]):.1f} % of its rows are" if mended[1] < 1 else "no row is"
        return mended[0], (f"The file is cut short; {lost} lost.",)


def _read_exif(picture: PIL.Image.Image) -> PIL.Image.Exif | None:
    try:
        return picture.getexif()
    except Exception:  # a damaged block is worth less than the picture
        return None


def _bits_of(tags: Mapping[int, Any]) -> tuple[int, ...]:
    bits = tags.get(258, 8)
    return bits if isinstance(bits, tuple) else (int(bits),)


def _read_deep_page(file: _File, number: int) -> Image:
    """A page of a TIFF with 16-bit or float samples."""
    tags = file.directories[number]
    samples = tiff.read_samples(file.read(), number, tags, file.path)
    exif = _read_exif_of_page(file, tags)
    image = _from_samples(samples, samples.ndim == 2)
    return replace(image, **read_metadata({}, exif, tags=tags, texts={}))


def _read_exif_of_page(file: _File, tags: tiff.Tags) -> PIL.Image.Exif | None:
    exif = PIL.Image.Exif()
    try:
        exif.bigtiff, exif.endian = tags._bigtiff, tags._endian
        exif.load_from_fp(file.stream, tags.offset)
        for directory in (IFD.Exif, IFD.GPSInfo):
            exif.get_ifd(directory)
    except Exception:  # as in `_read_exif`
        return None
    return exif


def _from_samples(samples: NDArray[Any], grey: bool) -> Image:
    """The picture of samples (H, W) or (H, W, 3 or 4), uint16 or float32."""
    alpha = None
    if samples.shape[2:] == (4,):
        alpha = to_sixteen_bits(np.ascontiguousarray(samples[..., 3]))
    colour = np.repeat(samples[..., None], 3, axis=2) if samples.ndim == 2 else np.ascontiguousarray(samples[..., :3])
    return Image(pixels=to_eight_bits(colour), deep=colour, alpha=alpha, grey=grey)


def _turn(samples: NDArray[Any], orientation: object) -> NDArray[Any]:
    """Samples as they are shown, by the orientation of EXIF."""
    turned = {
        2: lambda: samples[:, ::-1],
        3: lambda: samples[::-1, ::-1],
        4: lambda: samples[::-1],
        5: lambda: samples.swapaxes(0, 1),
        6: lambda: np.rot90(samples, -1),
        7: lambda: samples[::-1, ::-1].swapaxes(0, 1),
        8: lambda: np.rot90(samples),
    }
    return np.ascontiguousarray(turned[orientation]()) if orientation in turned else samples


def _read_raw(file: _File, kind: str, limit: Limit) -> Image:
    """A camera raw file, developed."""
    if file.directories:
        largest = max((tiff.size_of(tags) for tags in file.directories), key=lambda size: size[0] * size[1])
        limit.check([(max(largest[0], 16), max(largest[1], 16))], file.path, deep=True)
    samples = develop(file.read(), file.path, kind)
    limit.check([(samples.shape[1], samples.shape[0])], file.path, deep=True)
    notes: tuple[str, ...] = (f"It is a camera raw file ({kind}), developed with the camera's white balance.",)
    image = _from_samples(samples, grey=False)
    if not file.directories:
        return replace(image, notes=(*notes, "Its EXIF is not read."))
    exif = _read_exif_of_page(file, file.directories[0])
    metadata = read_metadata({}, exif, tags={}, texts={})
    return replace(image, **{**metadata, "notes": notes + metadata["notes"]})
