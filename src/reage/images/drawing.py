"""Draws faces and zones into a photo, and joins pictures to labelled strips and contact sheets.

Convention:
    pixels RGB uint8 (H, W, 3); points (x, y) px; masks float32 (H, W) in [0, 1].
    Every mark is bright with a dark edge, so that it can be seen on any photo.
"""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import PIL.Image
import PIL.ImageFilter
from PIL.ImageDraw import Draw, ImageDraw
from PIL.ImageFont import FreeTypeFont, load_default

from reage.types import Face, Pixels, Plane

Colour = tuple[int, int, int]

_BOX_COLOUR: Colour = (255, 214, 10)
_POINT_COLOUR: Colour = (64, 224, 255)
_MESH_COLOUR: Colour = (120, 255, 120)
_PAPER: Colour = (255, 255, 255)
_INK: Colour = (20, 20, 20)
_EDGE: Colour = (0, 0, 0)

_TINT = 0.4
_READABLE_SIDE_PX = 768


def draw_faces(pixels: Pixels, faces: Sequence[Face], *, mesh: bool = False) -> Pixels:
    """The photo with each face's box, five points, mesh where it is asked for, number from 1, and score."""
    picture = PIL.Image.fromarray(pixels)
    draw = Draw(picture)
    line = max(1, round(max(picture.size) / 500))
    for face in faces:
        thin = int(np.clip(face.height_px / 40, 1, line))  # marks do not hide a small face
        _draw_box(draw, face.box, thin)
        if mesh:
            _draw_points(draw, face.mesh[:, :2], thin, _MESH_COLOUR)
        _draw_points(draw, face.landmarks, 2 * thin, _POINT_COLOUR)
    for number, face in enumerate(faces, start=1):  # above all boxes
        size_px = float(np.clip(face.height_px / 6, 10 * line, 16 * line))
        _draw_tag(draw, f"{number}  {face.score:.2f}", (face.box[0], face.box[1]), max(12, size_px))
    return np.array(picture)


def draw_strip(crops: Sequence[Pixels], labels: Sequence[str], *, height_px: int = 512) -> Pixels:
    """One row of pictures, each scaled to `height_px`, with its label in a band above it.

    Args:
        crops: one or more, of any size.
        labels: one for each; all shrink where one is wider than its picture.
        height_px: of the pictures; the band comes on top.

    Returns:
        (height_px + band, W, 3) RGB uint8.
    """
    assert len(crops) == len(labels) > 0, (len(crops), len(labels))
    pictures = [_fit(crop, height_px=height_px) for crop in crops]
    band, gap = max(16, height_px // 10), max(2, height_px // 64)
    width = sum(picture.width for picture in pictures) + gap * (len(pictures) - 1)
    strip = PIL.Image.new("RGB", (width, height_px + band), _PAPER)
    size_px = _common_size(labels, [picture.width for picture in pictures], band * 0.6)
    x = 0
    for picture, label in zip(pictures, labels, strict=True):
        strip.paste(picture, (x, band))
        _write(Draw(strip), label, (x, 0, x + picture.width, band), size_px)
        x += picture.width + gap
    return np.array(strip)


def draw_sheet(
    rows: Sequence[Sequence[Pixels]], column_labels: Sequence[str], row_labels: Sequence[str], *, cell_px: int = 192
) -> Pixels:
    """A contact sheet: rows of pictures, labels above the columns and left of the rows.

    Args:
        rows: pictures of any size, fitted whole into square cells; a short row leaves cells empty.
        column_labels: one for each column.
        row_labels: one for each row.
        cell_px: side of a cell.

    Returns:
        (H, W, 3) RGB uint8, white where there is no picture.
    """
    assert len(rows) == len(row_labels), (len(rows), len(row_labels))
    assert all(len(row) <= len(column_labels) for row in rows)
    band, gap = max(16, cell_px // 7), max(2, cell_px // 48)
    pitch = cell_px + gap
    size_px = _common_size(column_labels, [cell_px] * len(column_labels), band * 0.6)
    longest = max((_font(size_px).getlength(label) for label in row_labels), default=0)
    margin = min(2 * cell_px, round(longest) + band)
    sheet = PIL.Image.new("RGB", (margin + pitch * len(column_labels), band + pitch * len(rows)), _PAPER)
    draw = Draw(sheet)
    for column, label in enumerate(column_labels):
        _write(draw, label, (margin + column * pitch, 0, margin + column * pitch + cell_px, band), size_px)
    for line, (row, label) in enumerate(zip(rows, row_labels, strict=True)):
        y = band + line * pitch
        _write(draw, label, (0, y, margin, y + cell_px), size_px)
        for column, crop in enumerate(row):
            picture = _fit(crop, height_px=cell_px, width_px=cell_px)
            x = margin + column * pitch + (cell_px - picture.width) // 2
            sheet.paste(picture, (x, y + (cell_px - picture.height) // 2))
    return np.array(sheet)


def draw_zones(pixels: Pixels, masks: Mapping[str, Plane], labels: Mapping[str, str] | None = None) -> Pixels:
    """The picture with each zone tinted and outlined in its own colour, its name at its centre.

    A picture with a side under 768 px is enlarged by a whole factor, so that the names can be read; names that would
    cover each other are moved apart. Draw on the crop of a face rather than on a whole photo.

    Args:
        pixels: (H, W, 3) RGB uint8.
        masks: zone name -> (H, W) share in [0, 1], in the frame of `pixels`.
        labels: zone name -> text to show instead of the name.

    Returns:
        (kH, kW, 3) RGB uint8, k the whole factor of enlargement.
    """
    factor = max(1, round(_READABLE_SIDE_PX / min(pixels.shape[:2])))
    height, width = pixels.shape[0] * factor, pixels.shape[1] * factor
    picture = _fit(pixels, height_px=height, width_px=width)
    large = {name: _enlarge(mask, width, height) for name, mask in masks.items() if mask.max() > 0}
    colours = dict(zip(large, _make_colours(len(large)), strict=True))
    line = 2 * round(min(height, width) / 300) + 1
    for name, mask in large.items():
        picture.paste(colours[name], mask=mask.point(lambda level: round(level * _TINT)))
    for name, mask in large.items():
        picture.paste(colours[name], mask=_outline(mask, line))
    _write_names(Draw(picture), large, colours, labels or {}, min(height, width) / 42)
    return np.array(picture)


def draw_lines(lines: Sequence[Plane], height_px: int, width_px: int, line_px: int) -> Pixels:
    """(H, W) uint8 white lines with smooth edges on black.

    Args:
        lines: (N, 2) px, the points that each line joins.
        height_px: of the picture.
        width_px: of the picture.
        line_px: width of the lines.
    """
    drawn = np.zeros((height_px, width_px), np.uint8)
    fixed_point = [np.round(points * 16).astype(np.int32) for points in lines]
    cv2.polylines(drawn, fixed_point, False, 255, line_px, cv2.LINE_AA, 4)
    return drawn


# Marks


def _draw_box(draw: ImageDraw, box: tuple[float, float, float, float], line: int) -> None:
    x0, y0, x1, y1 = (round(side) for side in box)
    draw.rectangle((x0 - line, y0 - line, x1 + line, y1 + line), outline=_EDGE, width=4 * line)
    draw.rectangle((x0, y0, x1, y1), outline=_BOX_COLOUR, width=2 * line)


def _draw_points(draw: ImageDraw, points: Plane, radius: float, colour: Colour) -> None:
    for x, y in points.tolist():
        for size, fill in ((radius + max(1, radius / 2), _EDGE), (radius, colour)):
            draw.ellipse((x - size, y - size, x + size, y + size), fill=fill)


def _draw_tag(draw: ImageDraw, text: str, corner: tuple[float, float], size_px: float) -> None:
    """Text on a dark background above `corner`, moved inside the picture."""
    font, pad = _font(size_px), size_px / 4
    width, height = font.getlength(text) + 2 * pad, size_px + 2 * pad
    room_x, room_y = draw.im.size[0] - width, draw.im.size[1] - height
    x, y = max(0.0, min(corner[0], room_x)), max(0.0, min(corner[1] - height, room_y))
    draw.rectangle((x, y, x + width, y + height), fill=_EDGE)
    draw.text((x + pad, y + height / 2), text, fill=_BOX_COLOUR, font=font, anchor="lm")


# Text


def _font(size_px: float) -> FreeTypeFont:
    font = load_default(size=max(8.0, size_px))
    assert isinstance(font, FreeTypeFont), "Pillow was built without FreeType"
    return font


def _common_size(labels: Sequence[str], widths: Sequence[int], size_px: float) -> float:
    """The largest size up to `size_px` at which every label fits its width."""
    needed = [_font(size_px).getlength(label) for label in labels]
    return size_px * min(
        [1.0, *(0.94 * width / length for width, length in zip(widths, needed, strict=True) if length)]
    )


def _write(draw: ImageDraw, text: str, box: tuple[int, int, int, int], size_px: float) -> None:
    """Text centred in a box; what does not fit is cut off."""
    x0, y0, x1, y1 = box
    font = _font(size_px)
    while font.getlength(text) > x1 - x0:
        text = text[:-1]
    draw.text(((x0 + x1) / 2, (y0 + y1) / 2), text, fill=_INK, font=font, anchor="mm")


def _write_names(
    draw: ImageDraw,
    masks: Mapping[str, PIL.Image.Image],
    colours: Mapping[str, Colour],
    labels: Mapping[str, str],
    size_px: float,
) -> None:
    font, edge = _font(size_px), max(2, round(size_px / 7))
    taken: list[tuple[float, float, float, float]] = []
    for name in sorted(masks, key=lambda zone: _centre(masks[zone])[1]):
        text = labels.get(name, name)
        x, y = _centre(masks[name])
        half = font.getlength(text) / 2 + edge
        x = float(np.clip(x, half, max(half, draw.im.size[0] - half)))
        while any(abs(x - x2) < half + half2 and abs(y - y2) < step for x2, y2, half2, step in taken):
            y += 1
        taken.append((x, y, half, size_px * 1.25))
        pale = tuple((level + 255) // 2 for level in colours[name])
        draw.text((x, y), text, fill=pale, font=font, anchor="mm", stroke_width=edge, stroke_fill=_EDGE)


# Zones


def _make_colours(count: int) -> list[Colour]:
    """Bright colours; consecutive ones differ strongly in hue."""
    hues = [(index * 0.381966) % 1.0 for index in range(count)]
    bright = [colorsys.hls_to_rgb(hue, 0.68, 1.0) for hue in hues]
    return [(round(red * 255), round(green * 255), round(blue * 255)) for red, green, blue in bright]


def _enlarge(mask: Plane, width: int, height: int) -> PIL.Image.Image:
    levels = PIL.Image.fromarray((mask.clip(0, 1) * 255).round().astype(np.uint8))
    return levels.resize((width, height), PIL.Image.Resampling.BILINEAR)


def _outline(mask: PIL.Image.Image, line: int) -> PIL.Image.Image:
    inside = mask.point(lambda level: 255 if level >= 128 else 0)
    core = inside.filter(PIL.ImageFilter.MinFilter(line))
    return PIL.Image.fromarray(np.asarray(inside) - np.asarray(core))


def _centre(mask: PIL.Image.Image) -> tuple[float, float]:
    weights = np.asarray(mask, np.float64)
    height, width = weights.shape
    total = weights.sum()
    return float(weights.sum(0) @ np.arange(width) / total), float(weights.sum(1) @ np.arange(height) / total)


def _fit(crop: Pixels, *, height_px: int, width_px: int | None = None) -> PIL.Image.Image:
    """The whole picture scaled to fit the height, and the width where one is given."""
    scale = height_px / crop.shape[0]
    if width_px is not None:
        scale = min(scale, width_px / crop.shape[1])
    size = (max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale)))
    picture = PIL.Image.fromarray(crop)
    return picture if picture.size == size else picture.resize(size, PIL.Image.Resampling.LANCZOS)
