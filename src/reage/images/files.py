"""Reads picture files as a viewer shows them, and writes them with their EXIF, colour profile and alpha.

Convention:
    pixels RGB uint8 (H, W, 3), upright; alpha uint8 (H, W), 255 is opaque; sizes (height, width).
"""

from __future__ import annotations

import os
import threading
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import PIL.Image
import PIL.ImageOps
import PIL.PngImagePlugin
from numpy.typing import NDArray

from reage.errors import ImageError
from reage.files import check_place, is_stream, open_whole, replace_file
from reage.images.colour import to_eight_bit
from reage.images.xmp import mark_altered
from reage.types import Pixels, Plane

MAX_PIXELS = 200_000_000
"""Largest picture that is opened; a larger one would not fit the memory of a common computer."""

MIN_SIDE_PX = 16
"""Smallest side of a picture that is opened; no face can be found in less."""

_FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".mpo": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".heic": "HEIF",
    ".heif": "HEIF",
    ".avif": "AVIF",
}
SUFFIXES: tuple[str, ...] = tuple(_FORMATS)
"""File name endings that are read and written, in lower case."""

_READ_FORMATS = (*dict.fromkeys(_FORMATS.values()), "MPO")
_ALPHA_FORMATS = ("PNG", "WEBP", "TIFF", "HEIF", "AVIF")
_GREY_FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "HEIF", "AVIF")
_GREY_ALPHA_FORMATS = ("PNG", "TIFF")
# The fast presets of HEIC and AVIF write 6 to 9 times sooner, at the same error and 2 to 5 % more bytes.
_LOSSY_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": "4:4:4"},
    "WEBP": {"quality": 95, "exact": True},
    "HEIF": {"quality": 95, "subsampling": "4:4:4", "enc_params": {"preset": "ultrafast"}},
    "AVIF": {"quality": 95, "subsampling": "4:4:4", "speed": 9},
}
_JPEG_BLOCK_BYTES = 65_500  # one marker holds 65533 bytes, the name of the block included
_ORIENTATION, _XMP = 274, 700
# Tags of a TIFF that say how its pixels are stored, or hold a second copy of the picture, its profile or its XMP.
_LAYOUT_TAGS = frozenset(
    [*range(254, 267), 273, *range(277, 282), 284, *range(288, 294), 301, *range(317, 334), *range(336, 348)]
).union([*range(512, 522), *range(529, 533), _XMP, 33723, 34377, 34675, 37724])
_OPENING = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Image:
    """A picture, with the metadata that is kept when it is saved.

    Args:
        pixels: (H, W, 3) RGB uint8, upright.
        alpha: (H, W) uint8, or None where the picture has none.
        exif: EXIF block with orientation 1, or None.
        icc: colour profile of the pixels, or None for sRGB.
        xmp: XMP packet, or None.
        grey: the file had one channel; it is saved with one again.
        source: the file it was read from, which is never overwritten.
    """

    pixels: Pixels
    alpha: NDArray[np.uint8] | None = None
    exif: bytes | None = None
    icc: bytes | None = None
    xmp: bytes | None = None
    grey: bool = False
    source: Path | None = None

    def __post_init__(self) -> None:
        assert self.pixels.ndim == 3, self.pixels.shape
        assert self.pixels.shape[2] == 3, self.pixels.shape
        assert self.pixels.dtype == np.uint8, self.pixels.dtype
        assert self.alpha is None or self.alpha.shape == self.pixels.shape[:2], self.alpha.shape
        assert self.alpha is None or self.alpha.dtype == np.uint8, self.alpha.dtype

    @property
    def see_through(self) -> bool:
        """Whether any pixel is not fully opaque."""
        return self.alpha is not None and bool((self.alpha < 255).any())

    def with_pixels(self, pixels: Pixels) -> Image:
        """The same picture showing other pixels, (H, W, 3) RGB uint8 of the same size."""
        assert pixels.shape == self.pixels.shape, (pixels.shape, self.pixels.shape)
        return replace(self, pixels=pixels)

    def save(self, path: str | Path, *, altered: bool = True) -> None:
        """Writes the picture; see `save_image`."""
        save_image(self, path, altered=altered)


def load_image(source: str | Path) -> Image:
    """The picture as a viewer would show it: upright, 8 bit, RGB.

    Reads JPEG, PNG, WebP, TIFF, BMP, AVIF, and HEIC with pillow-heif. Of an animation or a file of several pages the
    first picture is read. CMYK and LAB become sRGB, through the profile in the file where there is one; RGB pixels
    stay as they are and keep their profile. The file is decoded in full, so that later steps cannot fail on it.

    Args:
        source: path of the file.

    Returns:
        The picture with its alpha, EXIF, colour profile and XMP.

    Raises:
        ImageError: when the file is missing, may not be read, is no picture, is damaged, has more than `MAX_PIXELS`
            pixels or a side under `MIN_SIDE_PX` px, or holds numbers without a known white (float, 32 bit).
    """
    path = Path(source)
    try:
        file = open_whole(path, ImageError)
    except (OSError, ValueError) as error:
        raise ImageError(_why_unreadable(path, error)) from error
    with file:
        picture = _open(file, path)
        _check_size(picture, path)
        try:
            picture.load()
            return replace(_decode(picture, path), source=None if is_stream(path) else path)
        except ImageError:
            raise
        except Exception as error:  # the decoders raise a dozen kinds on damaged files
            raise ImageError(f"'{path}' is damaged or cut short and cannot be decoded; give an intact file.") from error


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


def save_image(image: Image, path: str | Path, *, altered: bool = True) -> None:
    """Writes the picture whole or not at all, in the format of the suffix.

    JPEG, WebP, HEIC and AVIF are written at quality 95 without thinning colour (WebP always thins it), the others
    without loss. EXIF, profile and XMP are kept where the format has a place for them: BMP has none, and JPEG leaves
    out a block above 64 kB. WebP has no grey pictures, and HEIC and AVIF none with alpha: there they become RGB.

    Args:
        image: what to write; a colour profile that does not fit the pixels written is left out.
        path: of the file; another file there is replaced, except `image.source`.
        altered: whether to add XMP that says so: the IPTC digital source type "composite with trained algorithmic
            media", and the creator tool. False keeps the XMP as it was.

    Raises:
        ImageError: see `check_output`; also when the disk or the format refuses the picture.
    """
    path = Path(path)
    check_output(path, source=image)
    file_format = _FORMATS[path.suffix.lower()]
    picture = _encodable(image, file_format)
    options = _save_options(image, picture, file_format, altered)
    with replace_file(path, ImageError) as unfinished:
        try:
            picture.save(unfinished, format=file_format, **options)
        except OSError:
            raise
        except Exception as error:
            raise ImageError(f"'{path}' cannot hold this picture ({_one_line(error)}); try .png.") from error


def check_output(path: str | Path, *, source: Image | str | Path | None = None) -> None:
    """Checks that a picture can be written at `path`, before minutes of work are spent on it.

    Args:
        path: of the file that will be written.
        source: the picture that is edited, or its path; it may not be overwritten. With an `Image` it is also checked
            that the format can keep its alpha.

    Raises:
        ImageError: on an unknown suffix, a missing or closed folder, the path of a folder, the path of the source, a
            format without alpha for a picture with transparent parts, or a format this computer cannot write.
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
    if isinstance(source, Image) and source.see_through and file_format not in _ALPHA_FORMATS:
        raise ImageError(
            f"The picture has transparent parts, which {path.suffix} cannot keep; save as .png, .webp or .tiff."
        )
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
    return path.suffix.lower() in SUFFIXES if path.suffix else find_suffix(path) != ""


def find_suffix(path: Path) -> str:
    """The suffix, such as ".jpg", for the content of a file whatever its name; "" for no picture.

    A format that is read and not written has ".png".
    """
    try:
        with path.open("rb") as file:
            found = _open(file, path).format
    except (ImageError, OSError, ValueError):
        return ""
    return next((suffix for suffix, name in _FORMATS.items() if name == found), ".jpg" if found == "MPO" else ".png")


# Reading


def _open(file: IO[bytes], path: Path) -> PIL.Image.Image:
    head = file.read(12)
    if not head:
        raise ImageError(f"'{path}' is empty; give a picture file.")
    file.seek(0)
    has_heif = _register_heif()
    with _OPENING, warnings.catch_warnings():  # Pillow has one global limit; ours is checked right after
        warnings.simplefilter("ignore")
        limit, PIL.Image.MAX_IMAGE_PIXELS = PIL.Image.MAX_IMAGE_PIXELS, None
        try:
            return PIL.Image.open(file, formats=[name for name in _READ_FORMATS if name in PIL.Image.OPEN])
        except Exception as error:
            if head[4:8] == b"ftyp" and head[8:11] in (b"hei", b"hev", b"mif") and not has_heif:
                raise ImageError(f"'{path}' is a HEIC picture; to read it, run pip install 'reage[heif]'.") from error
            known = "JPEG, PNG, WebP, TIFF, BMP, HEIC or AVIF"
            raise ImageError(f"'{path}' is not a picture that reage can read; give an intact {known}.") from error
        finally:
            PIL.Image.MAX_IMAGE_PIXELS = limit


def _register_heif() -> bool:
    """Lets Pillow know all its formats, and HEIC where pillow-heif is installed; returns whether it is."""
    PIL.Image.init()
    if "HEIF" in PIL.Image.OPEN:
        return True
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True


def _why_unreadable(path: Path, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"'{path}' is not there; give the path of a picture file."
    if isinstance(error, IsADirectoryError):
        return f"'{path}' is a folder; give the path of a picture file."
    if isinstance(error, PermissionError):
        return f"'{path}' may not be read by you; change its permissions or copy it."
    return f"'{path}' cannot be opened: {_one_line(getattr(error, 'strerror', None) or error)}."


def _check_size(picture: PIL.Image.Image, path: Path) -> None:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        allowed = f"more than the {MAX_PIXELS // 1_000_000} million pixels that are allowed"
        raise ImageError(f"'{path}' is {width} x {height} px, {allowed}; make it smaller first.")
    if min(width, height) < MIN_SIDE_PX:
        raise ImageError(f"'{path}' is {width} x {height} px; each side must have at least {MIN_SIDE_PX} px.")


def _decode(picture: PIL.Image.Image, path: Path) -> Image:
    PIL.ImageOps.exif_transpose(picture, in_place=True)
    flat = to_eight_bit(picture, path, tiff_tags=getattr(picture, "tag_v2", {}))
    icc, xmp = picture.info.get("icc_profile"), picture.info.get("xmp")
    return Image(
        pixels=np.array(flat.convert("RGB")),
        alpha=np.array(flat.getchannel("A")) if flat.mode in ("LA", "RGBA") else None,
        exif=_read_exif(picture),
        icc=icc if icc and picture.mode not in ("CMYK", "LAB") else None,
        xmp=xmp.encode() if isinstance(xmp, str) else xmp,
        grey=flat.mode in ("L", "LA"),
    )


def _read_exif(picture: PIL.Image.Image) -> bytes | None:
    """The EXIF block with orientation 1, without the thumbnail, which shows the old face."""
    try:
        exif = picture.getexif()
        for tag in _LAYOUT_TAGS.intersection(exif):
            del exif[tag]
        if not exif and not picture.info.get("exif"):
            return None
        exif[_ORIENTATION] = 1
        return exif.tobytes()
    except Exception:  # a damaged block is worth less than the picture
        return None


# Writing


def _check_format(path: Path) -> str:
    file_format = _FORMATS.get(path.suffix.lower())
    if file_format is None:
        raise ImageError(f"'{path.name}' does not end in a picture format; use one of {' '.join(SUFFIXES)}.")
    _register_heif()
    if file_format not in PIL.Image.SAVE:
        remedy = "pip install 'reage[heif]'" if file_format == "HEIF" else "pip install -U pillow"
        raise ImageError(f"{path.suffix} files cannot be written on this computer; run {remedy}, or use .png.")
    return file_format


def _is_same_file(path: Path, origin: Path) -> bool:
    try:
        return path.samefile(origin)
    except OSError:
        return path.resolve() == origin.resolve()


def _encodable(image: Image, file_format: str) -> PIL.Image.Image:
    """The picture with the channels that are written."""
    alpha = image.alpha if file_format in _ALPHA_FORMATS else None
    grey = image.grey and file_format in (_GREY_FORMATS if alpha is None else _GREY_ALPHA_FORMATS)
    picture = PIL.Image.fromarray(image.pixels).convert("L" if grey else "RGB")
    if alpha is not None:
        picture.putalpha(PIL.Image.fromarray(alpha))
    return picture


def _save_options(image: Image, picture: PIL.Image.Image, file_format: str, altered: bool) -> dict[str, Any]:
    options = dict(_LOSSY_OPTIONS.get(file_format, {}))
    grey = picture.mode in ("L", "LA")
    if grey:
        options.pop("subsampling", None)
    if image.icc and image.icc[16:20] == (b"GRAY" if grey else b"RGB "):
        options["icc_profile"] = image.icc
    exif = image.exif if image.exif and _fits(image.exif, file_format) else None
    return options | _metadata_options(exif, _choose_xmp(image.xmp, file_format, altered), file_format)


def _choose_xmp(packet: bytes | None, file_format: str, altered: bool) -> bytes | None:
    marked = mark_altered(packet) if altered else packet
    if marked is None or _fits(marked, file_format):
        return marked
    return mark_altered(None) if altered else None


def _fits(block: bytes, file_format: str) -> bool:
    return file_format != "JPEG" or len(block) <= _JPEG_BLOCK_BYTES


def _metadata_options(exif: bytes | None, xmp: bytes | None, file_format: str) -> dict[str, Any]:
    options: dict[str, Any] = {"exif": exif} if exif else {}
    if xmp and file_format == "TIFF":
        tags = PIL.Image.Exif()
        tags.load(exif or b"")
        tags[_XMP] = xmp
        return {"exif": tags}
    if xmp and file_format == "PNG":
        chunks = PIL.PngImagePlugin.PngInfo()
        chunks.add_itxt("XML:com.adobe.xmp", xmp.decode(errors="replace"))
        return {**options, "pnginfo": chunks}
    return {**options, "xmp": xmp} if xmp else options


def _one_line(reason: object) -> str:
    return " ".join(str(reason).split()).rstrip(".") or "the system gives no reason"
