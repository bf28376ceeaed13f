"""Turns pictures of faces into shards: each face is found once, so that all recipes share the same aligned crops."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePath

import numpy as np

from reage.data.shards import Portrait, write_shards
from reage.data.split import split_of
from reage.errors import ImageError
from reage.faces.finder import FaceFinder, FaceFinderConfig
from reage.images import load_image
from reage.types import Face

CROP_PX = 384
COLUMNS = ("file", "person", "age_years", "age_prompted_years", "gender", "year", "query")
"""Columns of the table of portraits, of which only `file` must be there: path below the folder, id of the person, true
age, age that a generated picture was asked for, "M" or "F", year of the photo, text that a generated picture was asked
for. An empty cell is not known."""

_NUMBERS: Mapping[str, Callable[[str], float]] = {"age_years": float, "age_prompted_years": float, "year": int}
_SEXES = ("M", "F")


def prepare(
    folder: str | Path,
    out: str | Path,
    *,
    table: str = "portraits.csv",
    crop_px: int = CROP_PX,
    predict_age: Callable[[Face], float] | None = None,
) -> tuple[int, list[str]]:
    """Writes shards of all portraits in a table.

    Args:
        folder: holds the pictures and the table.
        out: folder of the shards.
        table: CSV file with some of `COLUMNS`, in the folder of the pictures.
        crop_px: side of the stored crops.
        predict_age: reads the `age_predicted_years` of a face, for example `AgePredictor.predict`.

    Returns:
        The number of portraits that were written, and the files in which no face was found.

    Raises:
        ImageError: when the table or a picture cannot be read.
    """
    missed: list[str] = []
    written = 0

    def counted() -> Iterator[Portrait]:
        nonlocal written
        finder = FaceFinder(FaceFinderConfig(crop_px=crop_px))
        for row in read_table(Path(folder) / table):
            faces = finder.find(load_image(Path(folder) / row["file"]).pixels)
            if not faces:
                missed.append(row["file"])
                continue
            written += 1
            yield _to_portrait(row, faces[0], predict_age(faces[0]) if predict_age else math.nan)

    write_shards(counted(), out)
    return written, missed


def read_table(path: Path) -> list[dict[str, str]]:
    """Reads the rows of a table of portraits, with all `COLUMNS`; what the table does not have is "".

    Without a person, each file is a person of its own, named by the path without its ending.

    Raises:
        ImageError: when the table is missing, has no rows or no column `file`, or has a value that cannot be used.
    """
    if not path.is_file():
        raise ImageError(
            f"There is no table at {path}; give a CSV file with the column file and some of {', '.join(COLUMNS[1:])}."
        )
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or "file" not in rows[0]:
        raise ImageError(f"The table {path} has no column file or no rows; it needs a row for each picture.")
    return [_read_row(row, f"Line {number} of {path}") for number, row in enumerate(rows, 2)]


def _read_row(row: Mapping[str, str | None], where: str) -> dict[str, str]:
    known = {column: row.get(column) or "" for column in COLUMNS}
    if not known["file"]:
        raise ImageError(f"{where} names no file; give its path below the folder.")
    for column, kind in _NUMBERS.items():
        if known[column] and not _is_number(known[column], kind):
            raise ImageError(f"{where} has {column} {known[column]!r}; it must be a number, or empty.")
    if known["gender"] and known["gender"] not in _SEXES:
        raise ImageError(f"{where} has gender {known['gender']!r}; it must be M, F, or empty.")
    known["person"] = known["person"] or PurePath(known["file"]).with_suffix("").as_posix()
    return known


def _is_number(text: str, kind: Callable[[str], float]) -> bool:
    try:
        return math.isfinite(kind(text))
    except ValueError:
        return False


def _to_portrait(row: Mapping[str, str], face: Face, age_predicted_years: float) -> Portrait:
    return Portrait(
        file=row["file"],
        person=row["person"],
        age_years=float(row["age_years"] or math.nan),
        age_prompted_years=float(row["age_prompted_years"] or math.nan),
        age_predicted_years=age_predicted_years,
        sex=row["gender"],
        year=int(row["year"] or 0),
        query=row["query"],
        split=split_of(row["person"]),
        grey=bool(np.ptp(face.crop.astype(int), axis=-1).max() == 0),
        crop=face.crop,
        landmarks=face.to_crop(face.landmarks),
        mesh=face.to_crop(face.mesh),
        image_px_per_crop_px=face.image_px_per_crop_px,
        score=face.score,
        box=face.box,
    )
