"""Measures by round trips what each format keeps, and writes the table into docs/formats.md.

python -m tests.images.format_table
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from reage.errors import ImageError
from reage.images import Image, load_image, save_image
from reage.images.formats import FORMATS, Format
from tests.images.pictures import OLD_PACKET, make_exif, make_pixels, make_srgb

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"
START, END = "<!-- table: made by python -m tests.images.format_table -->", "<!-- end of table -->"

NAMES = {"JPEG2000": "JPEG 2000", "HEIF": "HEIC", "WEBP": "WebP"}
IPTC = b"\x1c\x02x\x00\x07Grandma"
DEEP = make_pixels() * np.uint16(257) + np.uint16(31)
PLAIN = Image(pixels=make_pixels())
GREY = Image(pixels=make_pixels()[..., :1].repeat(3, -1), grey=True)
_Y, _X = np.mgrid[0:24, 0:32]
ALPHA = np.where((_X - 16) ** 2 + (_Y - 12) ** 2 < 100, 255, 0).astype(np.uint8)
OTHER = np.roll(make_pixels(), 9, axis=1)


def keeps_pixels(back: Image) -> bool:
    return bool((back.pixels == PLAIN.pixels).all())


def keeps_all_frames(back: Image) -> bool:
    return [frame.duration_ms for frame in back.frames] == [80, 120]


def near(first: np.ndarray | None, second: np.ndarray) -> bool:
    return first is not None and first.shape == second.shape and float(np.abs(first - second.astype(float)).mean()) < 9


COLUMNS: dict[str, tuple[Image, Callable[[Image], object]]] = {
    "lossless": (PLAIN, keeps_pixels),
    "16 bits": (replace(PLAIN, deep=DEEP), lambda back: back.deep is not None),
    "floats": (replace(PLAIN, deep=DEEP / np.float32(65535)), lambda back: back.samples.dtype == np.float32),
    "alpha": (replace(PLAIN, alpha=ALPHA), lambda back: near(back.alpha, ALPHA)),
    "grey": (GREY, lambda back: back.grey),
    "EXIF": (replace(PLAIN, exif=make_exif()), lambda back: b"Leica" in (back.exif or b"")),
    "profile": (replace(PLAIN, icc=make_srgb()), lambda back: back.icc == make_srgb()),
    "XMP": (replace(PLAIN, xmp=OLD_PACKET), lambda back: back.xmp == OLD_PACKET),
    "IPTC": (replace(PLAIN, iptc=IPTC), lambda back: back.iptc == IPTC),
    "texts": (replace(PLAIN, texts={"Title": "Grandma"}), lambda back: back.texts.get("Title") == "Grandma"),
    "comment": (replace(PLAIN, texts={"Comment": "1944"}), lambda back: back.texts.get("Comment") == "1944"),
    "dpi": (replace(PLAIN, dpi=(300, 300)), lambda back: back.dpi is not None and abs(back.dpi[0] - 300) < 0.1),
    "pages": (replace(PLAIN, more=(Image(pixels=OTHER[:20]),)), lambda back: len(back.more) == 1),
    "animation": (
        replace(PLAIN, duration_ms=80, loop=0, more=(Image(pixels=OTHER, duration_ms=120),)),
        keeps_all_frames,
    ),
}  # fmt: skip
"""Column -> a picture that has something, and whether it has come back."""


def measure(file_format: Format, folder: Path) -> dict[str, bool]:
    """Column -> whether a file of the format kept it."""
    kept = {}
    for number, (column, (image, came_back)) in enumerate(COLUMNS.items()):
        path = folder / f"{number}{file_format.suffixes[0]}"
        try:
            save_image(image, path, altered=False)
            kept[column] = bool(came_back(load_image(path, frame=None)))
        except ImageError:  # pages, animations and transparent parts are refused where they would be lost
            kept[column] = False
    return kept


def table_lines(folder: Path) -> Iterator[str]:
    """The table, a line each."""
    yield "| format | " + " | ".join(COLUMNS) + " |"
    yield "|---|" + "---|" * len(COLUMNS)
    for one in FORMATS:
        kept = measure(one, folder)
        cells = " | ".join("yes" if kept[column] else "-" for column in COLUMNS)
        yield f"| {NAMES.get(one.name, one.name)} | {cells} |"
    yield ""
    yield "| format | names end in |"
    yield "|---|---|"
    for one in FORMATS:
        yield f"| {NAMES.get(one.name, one.name)} | {' '.join(one.suffixes)} |"


def make_page(folder: Path) -> str:
    """The page with its table as it is now."""
    page = PAGE.read_text()
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    return "\n".join([before + START, "", *table_lines(folder), "", END + after])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        PAGE.write_text(make_page(Path(temporary)))
