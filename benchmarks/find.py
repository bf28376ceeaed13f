"""Which faces are found: by size, tilt and light, and how many places without a face are called one; and the seconds.

Each photo shows one face. It is made so small that the face has a given height, and laid into a larger picture; or
rotated; or darkened. Patterns are pictures without a face.

    python benchmarks/find.py --photos faker/                              the table on the screen
    python benchmarks/find.py --photos faker/ --write benchmarks/find.md   and in a file
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from common.markdown import show, to_markdown

from reage.data.prepare import read_table
from reage.faces.detector import BlazeFaceDetector, Detection
from reage.images import geometry, load_image
from reage.types import Pixels

HEIGHTS_PX = (60, 40, 30, 24, 20, 16)
TILTS_DEGREES = (30, 45, 60, 90, 180)
LIGHTS = (0.3, 0.15, 0.06)
WIDE_PX = (1500, 2000)
"""Height and width of the picture that a small face is laid into."""
MEGAPIXELS = (1, 12, 48)
ROUNDS = 5


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Which faces are found, and how fast.")
    parser.add_argument("--photos", type=Path, required=True, help="folder of photos of one face each, with a table")
    parser.add_argument("--table", default="portraits.csv", help="name of the table")
    parser.add_argument("--count", type=int, default=40, help="number of photos")
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    arguments = parser.parse_args()
    files = [row["file"] for row in read_table(arguments.photos / arguments.table)]
    step = max(1, len(files) // arguments.count)
    photos = [load_image(arguments.photos / file).pixels for file in files[::step][: arguments.count]]
    detector = BlazeFaceDetector()
    rows = [*recall_rows(detector, photos), *pattern_rows(detector), *time_rows(detector, photos[0])]
    note = (
        f"{len(photos)} photos of {arguments.photos.name}; made by `python benchmarks/find.py` on {os.cpu_count()} CPU "
        f"cores ({platform.machine()}) at a load of {os.getloadavg()[0]:.0f}. Seconds are medians of {ROUNDS} rounds, "
        "detection and mesh."
    )
    show(to_markdown("Finding faces", note, ("what", "found", "of", "found besides"), rows), arguments.write)


def recall_rows(detector: BlazeFaceDetector, photos: list[Pixels]) -> Iterator[tuple[str, str, str, str]]:
    """Faces found as they are, small, tilted and in little light."""
    faces = [detector.detect(photo) for photo in photos]
    yield _row("as they are", [(photo, found[:1]) for photo, found in zip(photos, faces, strict=True)], detector)
    pairs = [(photo, found[0]) for photo, found in zip(photos, faces, strict=True) if found]
    for height_px in HEIGHTS_PX:
        yield _row(f"{height_px} px high", [lay_small(*pair, height_px) for pair in pairs], detector)
    for degrees in TILTS_DEGREES:
        yield _row(f"tilted by {degrees} degrees", [tilt(*pair, degrees) for pair in pairs], detector)
    for light in LIGHTS:
        dark = [((photo * light).astype(np.uint8), [face]) for photo, face in pairs]
        yield _row(f"{light:g} of the light", dark, detector)


def lay_small(photo: Pixels, face: Detection, height_px: float) -> tuple[Pixels, list[Detection]]:
    """The photo so small that its face has that height, in the middle of a grey picture; its face there."""
    factor = height_px / (face.box[3] - face.box[1])
    small = geometry.resize_by(photo, factor)
    picture = np.full((*WIDE_PX, 3), 128, np.uint8)
    small = small[: WIDE_PX[0], : WIDE_PX[1]]
    top, left = ((whole - part) // 2 for whole, part in zip(WIDE_PX, small.shape[:2], strict=True))
    picture[top : top + small.shape[0], left : left + small.shape[1]] = small
    return picture, [_moved(face, np.array([[factor, 0, left], [0, factor, top]]))]


def tilt(photo: Pixels, face: Detection, degrees: float) -> tuple[Pixels, list[Detection]]:
    """The photo rotated about its centre, and its face there."""
    rotated, rotated_from_photo = geometry.rotate_about_centre(photo, degrees)
    return rotated, [_moved(face, rotated_from_photo)]


def _moved(face: Detection, matrix: np.ndarray) -> Detection:
    x0, y0, x1, y1 = face.box
    centre = geometry.move_points(np.array([[(x0 + x1) / 2, (y0 + y1) / 2]]), matrix)[0]
    half = (y1 - y0) / 2 * geometry.scale_of(matrix)
    box = (float(centre[0] - half), float(centre[1] - half), float(centre[0] + half), float(centre[1] + half))
    return Detection(mesh=geometry.move_points(face.mesh, matrix), box=box, score=face.score)


def _row(
    name: str, cases: Iterable[tuple[Pixels, list[Detection]]], detector: BlazeFaceDetector
) -> tuple[str, str, str, str]:
    right = total = besides = 0
    for picture, wanted in cases:
        found = detector.detect(picture)
        hits = [any(_is_same(one, face) for face in wanted) for one in found]
        right, total, besides = right + any(hits), total + 1, besides + hits.count(False)
    return name, str(right), str(total), str(besides)


def _is_same(found: Detection, wanted: Detection) -> bool:
    """Whether the centres are closer than a third of the face's height."""
    a, b = (np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]) for box in (found.box, wanted.box))
    return bool(np.linalg.norm(a - b) < (wanted.box[3] - wanted.box[1]) / 3)


def pattern_rows(detector: BlazeFaceDetector) -> Iterator[tuple[str, str, str, str]]:
    """Noise, waves and random shapes, none of which is a face."""
    random = np.random.default_rng(0)
    patterns = [geometry.resize(random.integers(0, 256, (2**k, 2**k, 3), np.uint8), 800, 800) for k in range(4, 10)]
    x, y = np.meshgrid(np.arange(800), np.arange(600))
    for period in (11, 23, 37, 61):
        waves = [128 + 127 * np.sin(x / period + y / (period + 7 * channel)) for channel in range(3)]
        patterns.append(np.stack(waves, -1).astype(np.uint8))
    for _ in range(6):
        shapes = np.full((600, 800, 3), random.integers(60, 255, 3), np.uint8)
        for radius in random.integers(5, 80, 60):
            inside = (x - random.integers(800)) ** 2 + (y - random.integers(600)) ** 2 < radius**2
            shapes[inside] = random.integers(0, 256, 3)
        patterns.append(shapes)
    yield _row("patterns", [(pattern, []) for pattern in patterns], detector)


def time_rows(detector: BlazeFaceDetector, photo: Pixels) -> Iterator[tuple[str, str, str, str]]:
    """Seconds for one face that fills photos of several sizes as it fills the first one."""
    for megapixels in MEGAPIXELS:
        picture = geometry.resize_by(photo, (megapixels * 1e6 / (photo.shape[0] * photo.shape[1])) ** 0.5)
        seconds = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            found = detector.detect(picture)
            seconds.append(time.perf_counter() - start)
        yield f"{megapixels} megapixels, {statistics.median(seconds):.3f} s", str(len(found)), "1", "0"


if __name__ == "__main__":
    main()
