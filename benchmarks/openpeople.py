"""Cuts the sheets of openpeople into one photo for each face, with the table that `reage training prepare` reads.

openpeople (MIT, PyPI openpeople 0.1.2) shows ten synthetic people with 16 expressions each.

    python benchmarks/openpeople.py openpeople/ -o expressions/
    reage training prepare expressions/ -o shards/openpeople/ --crop-px 640
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

from reage.faces.finder import FaceFinder
from reage.images import Image, load_image, save_image

_SIDES, _ABOVE, _BELOW = 1.3, 0.9, 0.8
"""Distances of the borders of a photo from the middle of the face, heights of the face."""
_GRID = 4
SHEET, PHOTOS = "emotions_sheet.jpg", ("studio_portrait.jpg", "amateur_selfie.jpg")


def cut(person: Path, finder: FaceFinder, output: Path) -> list[str]:
    """Writes the photos of a person, numbered as the cells of the sheet; returns their names."""
    pixels = load_image(person / SHEET).pixels
    height, width = pixels.shape[:2]
    names = []
    for face in finder.find(pixels):
        x, y = np.array(face.box).reshape(2, 2).mean(0)
        x0, x1 = (int(max(0, x + side * face.height_px)) for side in (-_SIDES, _SIDES))
        y0, y1 = (int(max(0, y + side * face.height_px)) for side in (-_ABOVE, _BELOW))
        cell = int(y / height * _GRID) * _GRID + int(x / width * _GRID)
        names.append(f"{person.name}-{cell:02}.png")
        save_image(Image(pixels=np.ascontiguousarray(pixels[y0:y1, x0:x1])), output / names[-1], altered=False)
    for name in PHOTOS:
        names.append(f"{person.name}-{Path(name).stem}.png")
        save_image(Image(pixels=load_image(person / name).pixels), output / names[-1], altered=False)
    return names


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Cuts the sheets of openpeople into photos.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    finder = FaceFinder()
    with (options.output / "portraits.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "person"])
        for person in sorted(path for path in options.folder.iterdir() if (path / SHEET).is_file()):
            rows.writerows([name, person.name] for name in cut(person, finder, options.output))


if __name__ == "__main__":
    main()
