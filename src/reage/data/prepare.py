"""Turns photos of known age into shards: each face is found once, so that all recipes share the same aligned crops."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from reage.data.shards import Portrait, write_shards
from reage.data.split import split_of
from reage.errors import ImageError
from reage.faces.finder import FaceFinder, FaceFinderConfig
from reage.images import load_image

CROP_PX = 384
COLUMNS = ("file", "person", "age_years", "gender", "year")
"""Columns of the table of portraits: path below the folder, id of the person, age, "M" or "F", year of the photo."""


def prepare(
    folder: str | Path, out: str | Path, *, table: str = "portraits.csv", crop_px: int = CROP_PX
) -> tuple[int, list[str]]:
    """Writes shards of all portraits in a table.

    Args:
        folder: holds the photos and the table.
        out: folder of the shards.
        table: CSV file with `COLUMNS`, in the folder of the photos.
        crop_px: side of the stored crops.

    Returns:
        The number of portraits that were written, and the files in which no face was found.

    Raises:
        ImageError: when the table or a photo cannot be read.
    """
    missed: list[str] = []
    written = 0

    def counted() -> Iterator[Portrait]:
        nonlocal written
        for portrait in _portraits(Path(folder), table, crop_px, missed):
            written += 1
            yield portrait

    write_shards(counted(), out)
    return written, missed


def read_table(path: Path) -> list[dict[str, str]]:
    """Reads the rows of a table of portraits.

    Raises:
        ImageError: when the table is missing, lacks a column, or has a value that cannot be used.
    """
    if not path.is_file():
        raise ImageError(f"There is no table at {path}; give a CSV file with the columns {', '.join(COLUMNS)}.")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    missing = [column for column in COLUMNS if not rows or column not in rows[0]]
    if missing:
        raise ImageError(f"The table {path} lacks {', '.join(missing)}; it needs the columns {', '.join(COLUMNS)}.")
    for number, row in enumerate(rows, 2):
        _check_row(row, f"Line {number} of {path}")
    return rows


def _check_row(row: dict[str, str], where: str) -> None:
    for column, kind in (("age_years", float), ("year", int)):
        try:
            kind(row[column])
        except (TypeError, ValueError):
            raise ImageError(f"{where} has {column} {row[column]!r}; it must be a number.") from None
    if row["gender"] not in ("M", "F"):
        raise ImageError(f"{where} has gender {row['gender']!r}; it must be M or F.")


def _portraits(folder: Path, table: str, crop_px: int, missed: list[str]) -> Iterator[Portrait]:
    finder = FaceFinder(FaceFinderConfig(crop_px=crop_px))
    for row in read_table(folder / table):
        faces = finder.find(load_image(folder / row["file"]).pixels, dense_landmarks=True)
        if not faces:
            missed.append(row["file"])
            continue
        face = faces[0]
        assert face.dense_landmarks is not None
        yield Portrait(
            file=row["file"],
            person=row["person"],
            age_years=float(row["age_years"]),
            sex=row["gender"],
            year=int(row["year"]),
            split=split_of(row["person"]),
            grey=bool(np.ptp(face.crop.astype(int), axis=-1).max() == 0),
            crop=face.crop,
            landmarks=face.to_crop(face.landmarks),
            dense_landmarks=face.to_crop(face.dense_landmarks),
            image_px_per_crop_px=face.image_px_per_crop_px,
            score=face.score,
            box=face.box,
        )
