"""Reads picture files as a viewer shows them, and writes them with all that was read.

Convention:
    pixels RGB uint8 (H, W, 3), upright; alpha uint8 (H, W), 255 is opaque; sizes (height, width).
"""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
import PIL.Image

from reage.errors import ImageError
from reage.files import check_place, is_stream, open_whole, replace_file
from reage.images.formats import (
    FORMAT_OF,
    FORMATS,
    READ_SUFFIXES,
    SUFFIXES,
    Format,
    register_plugins,
    suffixes_that_keep,
)
from reage.images.memory import MAX_MEGAPIXELS, Limit
from reage.images.metadata import describe_losses
from reage.images.picture import Image
from reage.images.reading import find_format, read_picture
from reage.images.writing import write_picture
from reage.types import Plane


def load_image(source: str | Path, *, frame: int | None = 1, max_megapixels: float = MAX_MEGAPIXELS) -> Image:
    """The picture as a viewer would show it: upright, RGB, 8 bit, and beside it the samples of a file that has more.

    Reads JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF, JPEG 2000, HEIC with pillow-heif, JPEG XL with pillow-jxl-plugin, and
    camera raw files with rawpy. CMYK and LAB become sRGB, through the profile in the file where there is one; RGB
    pixels stay as they are and keep their profile. Floats (TIFF) are taken with 0 as black and 1 as white. The file is
    decoded in full, so that later steps cannot fail on it; a JPEG may lack its last 5 % of rows.

    Args:
        source: path of the file.
        frame: number, from 1, of the page or frame that is read; None reads all pages of a TIFF, and all frames of a
            GIF, WebP, APNG or AVIF, into `Image.more`.
        max_megapixels: size of the largest picture that is opened, all its frames together.

    Returns:
        The picture with its alpha and metadata, and notes on what was left out.

    Raises:
        ImageError: when the file is missing, may not be read, is no picture, is damaged, is too large for
            `max_megapixels` or for the free memory, has a side under `MIN_SIDE_PX` px, no such frame, or numbers
            without a known white.
    """
    path = Path(source)
    try:
        file = open_whole(path, ImageError)
    except (OSError, ValueError) as error:
        raise ImageError(_why_unreadable(path, error)) from error
    with file:
        return replace(_read(file, path, frame, max_megapixels), source=None if is_stream(path) else path)


def decode_image(
    file: bytes, *, name: str = "photo", frame: int | None = 1, max_megapixels: float = MAX_MEGAPIXELS
) -> Image:
    """The picture in the bytes of a file; see `load_image`, for the other arguments too.

    Args:
        file: its content.
        name: by which errors call it.
        frame: number of the page or frame; None for all.
        max_megapixels: size of the largest picture that is opened.

    Raises:
        ImageError: see `load_image`.
    """
    return _read(io.BytesIO(file), Path(name), frame, max_megapixels)


def load_mask(source: str | Path, photo: Image) -> Plane:
    """A mask (H, W) in [0, 1] for a photo, black 0 and white 1, read at 8 bit, upright.

    Args:
        source: path of the file.
        photo: whose size it must have.

    Raises:
        ImageError: when it cannot be read, or is not an opaque grey picture of that size.
    """
    mask = load_image(source)
    given, wanted = (f"{pixels.shape[1]} x {pixels.shape[0]} px" for pixels in (mask.pixels, photo.pixels))
    red, green, blue = np.moveaxis(mask.pixels, -1, 0)
    coloured = bool((red != green).any() or (green != blue).any())
    if given != wanted or coloured or mask.see_through:
        kind = "colour picture" if coloured else "picture with transparent parts" if mask.see_through else "picture"
        raise ImageError(
            f"The mask '{source}' is a {kind} of {given}; give an opaque grey picture of the photo's size, {wanted}."
        )
    return red.astype(np.float32) / np.float32(255)


def save_image(image: Image, path: str | Path, *, altered: bool = True) -> tuple[str, ...]:
    """Writes the picture whole or not at all, in the format of the suffix, with all its frames.

    JPEG, WebP, HEIC and AVIF are written at quality 95 without thinning colour (WebP always thins it), the others
    without loss, but for GIF, which has 256 colours. WebP has no grey pictures, and HEIC and AVIF none with alpha:
    there they become RGB. What a format keeps stands in docs/formats.md.

    Args:
        image: what to write; a colour profile that does not fit the pixels written is left out.
        path: of the file; another file there is replaced, except `image.source`.
        altered: whether to add XMP that says so: the IPTC digital source type "composite with trained algorithmic
            media", and the creator tool. False keeps the XMP as it was.

    Returns:
        A sentence for each thing that the file does not keep.

    Raises:
        ImageError: see `check_output`; also when the disk or the format refuses the picture.
    """
    path = Path(path)
    check_output(path, source=image)
    losses = describe_losses(image, path.suffix, altered=altered)
    with replace_file(path, ImageError) as unfinished:
        return losses + _write(image, unfinished, path, altered=altered)


def encode_image(image: Image, suffix: str, *, altered: bool = True) -> bytes:
    """The bytes of the file that `save_image` writes under a name with this suffix.

    Raises:
        ImageError: on an unknown suffix, or a format that cannot keep the alpha or the frames, or refuses the picture.
    """
    path = Path(f"picture{suffix}")
    _check_keeps(path, image, _check_format(path))
    stream = io.BytesIO()
    _write(image, stream, path, altered=altered)
    return stream.getvalue()


def _write(image: Image, target: Path | io.BytesIO, path: Path, *, altered: bool) -> tuple[str, ...]:
    """Writes the picture in the format of `path`, without EXIF that it cannot hold; returns a sentence on that."""
    file_format = FORMAT_OF[path.suffix.lower()]
    try:
        write_picture(image, target, file_format, altered=altered)
    except (OSError, MemoryError):
        raise
    except Exception as error:
        if image.exif is None:
            raise _refused(path, error) from error
        if isinstance(target, io.BytesIO):
            target.seek(0)
            target.truncate()
        try:
            write_picture(replace(image, exif=None), target, file_format, altered=altered)
        except Exception:
            raise _refused(path, error) from error
        return (f"The EXIF cannot be stored in {path.suffix} and is left out.",)
    return ()


def _refused(path: Path, error: Exception) -> ImageError:
    return ImageError(f"'{path}' cannot hold this picture ({_one_line(error)}); try .png.")


def check_output(path: str | Path, *, source: Image | str | Path | None = None) -> None:
    """Checks that a picture can be written at `path`, before minutes of work are spent on it.

    Args:
        path: of the file that will be written.
        source: the picture that is edited, or its path; it may not be overwritten. With an `Image` it is also checked
            that the format can keep its alpha and all its frames.

    Raises:
        ImageError: on an unknown suffix, a missing or closed folder, the path of a folder, the path of the source, a
            format without alpha for a picture with transparent parts, one without pages or animation for a picture
            with several, or a format this computer cannot write.
    """
    path = Path(path)
    file_format = _check_format(path)
    origin = source.source if isinstance(source, Image) else source
    if not os.path.isdir(path.parent):
        raise ImageError(
            f"The folder '{path.parent}' is not there; make it first, or choose another for '{path.name}'."
        )
    if not os.access(path.parent, os.W_OK):
        raise ImageError(f"The folder '{path.parent}' cannot be written to; choose another for '{path.name}'.")
    if os.path.isdir(path):
        raise ImageError(f"'{path}' is a folder; give the name of a picture file.")
    if origin is not None and _is_same_file(path, Path(origin)):
        raise ImageError(f"'{path}' is the picture that was read, which is never written over; choose another name.")
    if isinstance(source, Image):
        _check_keeps(path, source, file_format)
    check_place(path, ImageError)


def list_images(folder: str | Path) -> list[Path]:
    """The picture files of a folder, sorted by name: by suffix, and by content those that have none.

    Hidden ones and folders inside are left out.

    Raises:
        ImageError: when the folder is missing or may not be read.
    """
    folder = Path(folder)
    try:
        found = [path for path in folder.iterdir() if not path.name.startswith(".") and path.is_file()]
    except OSError as error:
        raise ImageError(f"The folder '{folder}' cannot be read: {_one_line(error.strerror or error)}.") from error
    return sorted(path for path in found if is_picture(path))


def is_picture(path: Path) -> bool:
    """Whether a file is called like a picture that can be read or, without a suffix, has the content of one."""
    return path.suffix.lower() in READ_SUFFIXES if path.suffix else find_suffix(path) != ""


def find_suffix(path: Path) -> str:
    """The suffix, such as ".jpg", for the content of a file whatever its name; "" for no picture.

    A format that is read and not written has ".png".
    """
    try:
        with path.open("rb") as file:
            return find_stream_suffix(file)
    except (OSError, ValueError):
        return ""


def find_stream_suffix(stream: IO[bytes]) -> str:
    """The suffix for the content of an open file, as `find_suffix` tells it."""
    try:
        found = find_format(stream, Path("picture"))
    except ImageError:
        return ""
    return next((one.suffixes[0] for one in FORMATS if one.name == found), ".jpg" if found == "MPO" else ".png")


# Reading


def _read(file: IO[bytes], path: Path, frame: int | None, max_megapixels: float) -> Image:
    """The picture in an open file, which errors call `path`."""
    limit = Limit(max_megapixels)
    try:
        return read_picture(file, path, frame, limit)
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError(limit.describe_lack(path)) from error
    except Exception as error:  # the decoders raise a dozen kinds on damaged files
        raise ImageError(f"'{path}' is damaged or cut short and cannot be decoded; give an intact file.") from error


def _why_unreadable(path: Path, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"'{path}' is not there; give the path of a picture file."
    if isinstance(error, IsADirectoryError):
        return f"'{path}' is a folder; give the path of a picture file."
    if isinstance(error, PermissionError):
        return f"'{path}' may not be read by you; change its permissions or copy it."
    return f"'{path}' cannot be opened: {_one_line(getattr(error, 'strerror', None) or error)}."


# Writing


def _check_format(path: Path) -> Format:
    file_format = FORMAT_OF.get(path.suffix.lower())
    if file_format is None:
        raise ImageError(f"'{path.name}' does not end in a picture format; use one of {' '.join(SUFFIXES)}.")
    register_plugins()
    if file_format.name not in PIL.Image.SAVE:
        raise ImageError(
            f"{path.suffix} files cannot be written on this computer; run {file_format.remedy}, or use .png."
        )
    return file_format


def _check_keeps(path: Path, image: Image, file_format: Format) -> None:
    """Checks that a format holds the transparent parts and the frames of a picture."""
    if image.see_through and "alpha" not in file_format.keeps:
        raise ImageError(
            f"The picture has transparent parts, which {path.suffix} cannot keep; save as .png, .webp or .tiff."
        )
    if image.more:
        _check_frames(path, image, file_format)


def _check_frames(path: Path, image: Image, file_format: Format) -> None:
    """Checks that a format holds the pages or the animation."""
    kind, word = ("pages", "pages") if image.duration_ms is None else ("animation", "frames")
    sizes = {frame.pixels.shape for frame in image.frames}
    if kind in file_format.keeps and (kind == "pages" or len(sizes) == 1):
        return
    others = " or ".join(suffixes_that_keep(frozenset({kind})))
    raise ImageError(
        f"The picture has {len(image.frames)} {word}, which {path.suffix} cannot keep; save as {others}, or choose one "
        "with --frame."
    )


def _is_same_file(path: Path, origin: Path) -> bool:
    try:
        return path.samefile(origin)
    except OSError:
        return path.resolve() == origin.resolve()


def _one_line(reason: object) -> str:
    return " ".join(str(reason).split()).rstrip(".") or "the system gives no reason"
