"""Class images for prior preservation: faces of other people, captioned with their age group.

Without them the base may draw every face as the person it learns. A set is a folder of square pictures with a table
captions.csv (file, caption). Without a table, the captions are read from the file names, as in the published code:
elderly_12.jpg is captioned "A photo of a elderly".
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reage.data.shards import Portraits
from reage.errors import ImageError
from reage.faces.patches import FACE, cut_patches
from reage.files import replace_file
from reage.images import Image, list_images, load_image, save_image
from reage.images.geometry import resize
from reage.prompts import AGE_LABELS, label_of, label_prompt
from reage.types import Pixels

TABLE = "captions.csv"
COLUMNS = ("file", "caption")


@dataclass(frozen=True, kw_only=True)
class ClassImages:
    """Faces of other people, (N, P, P, 3), and their N captions."""

    images: Pixels
    captions: Sequence[str]


def choose_rows(portraits: Portraits, count: int, without: Collection[str] = (), seed: int = 0) -> dict[str, list[int]]:
    """Label -> rows of portraits, as many of each age group as there are, at most `count` in all.

    Args:
        portraits: to choose from.
        count: pictures wanted.
        without: people who are left out.
        seed: decides who is chosen.
    """
    random = np.random.default_rng(seed)
    groups: dict[str, list[int]] = {}
    for row in random.permutation(len(portraits)).tolist():
        if str(portraits.person[row]) not in without:
            groups.setdefault(label_of(float(portraits.age_years[row])), []).append(row)
    chosen: dict[str, list[int]] = {}
    left = count
    for place, (label, rows) in enumerate(sorted(groups.items(), key=lambda group: len(group[1]))):
        chosen[label] = sorted(rows[: left // (len(groups) - place)])
        left -= len(chosen[label])
    return {label: chosen[label] for label in AGE_LABELS if label in chosen}


def write_class_images(
    portraits: Portraits,
    rows: dict[str, list[int]],
    folder: Path,
    patch_px: int,
    track: Callable[[list[int]], Iterable[int]] = iter,
) -> int:
    """Writes the chosen portraits and their captions; the table is written last, so a set without one is unfinished.

    Args:
        portraits: to cut from.
        rows: label -> rows, see `choose_rows`.
        folder: new or empty.
        patch_px: side of the pictures.
        track: wraps the rows in a progress bar.

    Returns:
        The number of pictures written.

    Raises:
        ImageError: when the folder already holds something, or may not be written.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ImageError(f"The folder {folder} is not empty; name a new one for the set.")
    folder.mkdir(parents=True, exist_ok=True)
    label_of_row = {row: label for label, group in rows.items() for row in group}
    lines = []
    for number, row in enumerate(track(list(label_of_row))):
        label = label_of_row[row]
        name = f"{label}_{number:04}.png"
        (patch,) = cut_patches(portraits.crops[row], portraits.landmarks[row], [FACE], patch_px)
        save_image(Image(pixels=patch), folder / name, altered=False)
        lines.append((name, label_prompt(label)))
    with replace_file(folder / TABLE, ImageError) as unfinished, unfinished.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *lines])
    return len(lines)


def read_class_images(folder: Path, patch_px: int) -> ClassImages:
    """The pictures of a set, resized to `patch_px`, with their captions.

    Raises:
        ImageError: when there are none, one cannot be read, or its caption is not known.
    """
    captions = _read_table(folder / TABLE) if (folder / TABLE).is_file() else _read_names(folder)
    if not captions:
        raise ImageError(f"There is no picture in {folder}; make a set with reage training class-images.")
    images = [resize(load_image(folder / name).pixels, patch_px, patch_px) for name in captions]
    return ClassImages(images=np.stack(images), captions=list(captions.values()))


def _read_table(path: Path) -> dict[str, str]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if any(not row.get(column) for row in rows for column in COLUMNS):
        raise ImageError(f"The table {path} must have a {' and a '.join(COLUMNS)} in every line.")
    return {row["file"]: row["caption"] for row in rows}


def _read_names(folder: Path) -> dict[str, str]:
    captions = {}
    for path in list_images(folder):
        label = path.name.partition("_")[0]
        if label not in AGE_LABELS:
            raise ImageError(
                f"{path.name} does not say what it shows; call it LABEL_ANYTHING with one of {', '.join(AGE_LABELS)}, "
                f"or add a {TABLE} with the columns {', '.join(COLUMNS)}."
            )
        captions[path.name] = label_prompt(label)
    return captions
