"""Pages of text and pictures, and PDF files made of them.

Convention: pages RGB uint8 (H, W, 3), A4 upright at `DPI`.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import PIL.Image
from PIL.ImageDraw import Draw, ImageDraw
from PIL.ImageFont import FreeTypeFont, load_default

from reage.types import Pixels

DPI = 150
_PAGE_PX = (1754, 1240)
_MARGIN_PX, _GAP_PX, _LABEL_PX = 80, 16, 30
_TEXT_PX = 20
_WARNING = (160, 0, 0)
_INK = (25, 25, 25)


@dataclass(frozen=True)
class TextLine:
    """A paragraph of a page.

    Args:
        text: is broken into lines; one with tabs is a row of a table, whose columns are equally wide.
        size: relative to that of plain text.
        boxed: whether it stands in a red frame.
    """

    text: str
    size: float = 1.0
    boxed: bool = False


def draw_page(above: Sequence[TextLine], pictures: Sequence[tuple[Pixels, str]], below: Sequence[TextLine]) -> Pixels:
    """A page: paragraphs, pictures with labels in rows, paragraphs; what does not fit is cut off.

    Args:
        above: paragraphs above the pictures.
        pictures: of any size, with their labels; the more there are the smaller they get.
        below: paragraphs below the pictures.
    """
    height, width = _PAGE_PX
    page = PIL.Image.new("RGB", (width, height), (255, 255, 255))
    draw = Draw(page)
    y = float(_MARGIN_PX)
    for line in above:
        y = _write(draw, line, y, width)
    columns = 3 if len(pictures) <= 6 else 5
    cell = (width - 2 * _MARGIN_PX - (columns - 1) * _GAP_PX) // columns
    for number, (pixels, label) in enumerate(pictures):
        x = _MARGIN_PX + (number % columns) * (cell + _GAP_PX)
        top = round(y) + (number // columns) * (cell + _LABEL_PX + _GAP_PX)
        page.paste(PIL.Image.fromarray(pixels).resize((cell, cell), PIL.Image.Resampling.LANCZOS), (x, top))
        draw.text((x, top + cell + 4), label, fill=_INK, font=_font(0.8))
    y += -(-len(pictures) // columns) * (cell + _LABEL_PX + _GAP_PX) + _GAP_PX
    for line in below:
        y = _write(draw, line, y, width)
    return np.array(page)


def encode_pdf(pages: Sequence[Pixels], title: str) -> bytes:
    """The bytes of a PDF file of pages, as pictures."""
    first, *others = (PIL.Image.fromarray(page) for page in pages)
    stored = io.BytesIO()
    first.save(
        stored, "PDF", resolution=DPI, save_all=True, append_images=others, title=title, producer="reage", quality=92
    )
    return stored.getvalue()


def _write(draw: ImageDraw, line: TextLine, y: float, width: int) -> float:
    """Writes a paragraph at a height; returns the height below it."""
    font = _font(line.size)
    pad = 12 if line.boxed else 0
    room = width - 2 * (_MARGIN_PX + pad)
    step = 1.4 * font.size
    rows = _break(line.text, font, room)
    if line.boxed:
        frame = (_MARGIN_PX, y, width - _MARGIN_PX, y + step * len(rows) + 2 * pad)
        draw.rectangle(frame, outline=_WARNING, width=3)
    for number, row in enumerate(rows):
        cells = row.split("\t")
        for column, cell in enumerate(cells):
            x = _MARGIN_PX + pad + column * room / len(cells)
            draw.text((x, y + pad + number * step), cell, fill=_INK, font=font)
    return y + step * len(rows) + 2 * pad + (14 if line.boxed or line.size > 1 else 0)


def _break(text: str, font: FreeTypeFont, room: float) -> list[str]:
    if "\t" in text:
        return [text]
    rows, row = [], ""
    for word in text.split(" "):
        longer = f"{row} {word}" if row else word
        if row and font.getlength(longer) > room:
            rows.append(row)
            row = word
        else:
            row = longer
    return [*rows, row]


def _font(size: float) -> FreeTypeFont:
    font = load_default(size=_TEXT_PX * size)
    assert isinstance(font, FreeTypeFont), "Pillow was built without FreeType"
    return font
