"""How much of a photo changes that should not: background, clothes, hats, glasses, eyes, teeth, and things in front.

The photos are those of the held-out people that were labelled by hand. A pixel counts when one of its levels changes by
more than 4 of 255, and when it is further than 2 % of the face's height from everything that may change: skin, hair,
beard and brows. Shares are of the whole photo.

    python benchmarks/untouched.py --photos data/                                   the table on the screen
    python benchmarks/untouched.py --photos data/ --write benchmarks/untouched.md   and in a file
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

import numpy as np
from common.markdown import show, to_markdown

from reage import Plan, Reager
from reage.data.split import split_of
from reage.engines import DEFAULT_ENGINE
from reage.face_classes import CLASSES
from reage.images import geometry, load_image
from reage.training.measures.scenes import draw_polygons, hand_labels

AGES = (25, 75)
MAY_CHANGE = [CLASSES.index(name) for name in ("skin", "hair", "facial_hair")]
MAX_LEVELS, BORDER = 4, 0.02
PEOPLE = {"congress": lambda file: Path(file).stem, "faker": lambda file: file.replace("/", "-")[:-4]}
"""How a collection names the person of a file; others name it by the file."""


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="How much of a photo changes that should not.")
    parser.add_argument("--photos", type=Path, required=True, help="folder of the collections that were labelled")
    parser.add_argument("--engine", default=DEFAULT_ENGINE, help="engine that ages the photos")
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    arguments = parser.parse_args()
    reager = Reager(arguments.engine)
    found = [
        (key, measure(reager, arguments.photos / key, polygons))
        for key, polygons in hand_labels()["polygons"].items()
        if is_held_out(key)
    ]
    columns = ("photo", *(f"at {age}, % of the photo" for age in AGES))
    rows = [(key, *(f"{100 * share:.3f}" for share in shares)) for key, shares in found]
    for name, statistic in (("median", statistics.median), ("largest", max)):
        rows.append((name, *(f"{100 * statistic(column):.3f}" for column in zip(*(s for _, s in found), strict=True))))
    many = sum(max(shares) > 0.001 for _, shares in found)
    note = (
        f"`{arguments.engine}`. In {many} of {len(found)} photos more than 0.1 % changes. Made by "
        "`python benchmarks/untouched.py`; the photos are not part of the repository."
    )
    show(to_markdown("What should stay untouched", note, columns, rows), arguments.write)


def is_held_out(key: str) -> bool:
    """Whether the person of COLLECTION/FILE is held out from training."""
    collection, file = key.split("/", 1)
    person = PEOPLE.get(collection, lambda file: file[:-4])(file)
    return split_of(person) == "val"


def measure(reager: Reager, path: Path, polygons: list[dict[str, Any]]) -> list[float]:
    """The share of a photo that wrongly changes, at each of `AGES`."""
    photo = load_image(path)
    faces = reager.find(photo)[:1]
    height, width = photo.pixels.shape[:2]
    labels = draw_polygons(polygons, height, width)
    matrix = np.array([[0.25, 0, -0.375], [0, 0.25, -0.375]])
    labels = geometry.warp_labels(labels, matrix, height, width, 0)
    may_change = np.isin(labels, MAY_CHANGE).astype(np.float32)
    border_px = max(1.0, BORDER * faces[0].height_px) if faces else 1.0
    outside = geometry.grow(may_change, border_px) == 0
    shares = []
    for age in AGES:
        aged = reager(photo, Plan(age=age), faces=faces).image.pixels
        changed = np.abs(aged.astype(int) - photo.pixels).max(-1) > MAX_LEVELS
        shares.append(float((changed & outside).mean()))
    return shares


if __name__ == "__main__":
    main()
