"""Shards of portraits: Parquet files with one row for each aligned crop, its landmarks and its labels.

Convention:
    crops RGB uint8 (N, S, S, 3), stored as PNG; points (x, y) in crop px; boxes xyxy in px of the photo. What is not
    known is NaN, an empty text, or the year 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from reage.errors import ImageError
from reage.files import replace_file
from reage.images.codec import decode, encode_png
from reage.mesh_points import NUM_POINTS
from reage.types import Pixels, Plane

_SHARDS = "portraits-*.parquet"
ROWS_PER_SHARD = 512
"""Portraits in one file, unless `write_shards` is given another number."""


def _floats(size: int) -> pa.DataType:
    return pa.list_(pa.float32(), size)


SCHEMA = pa.schema(
    {
        "file": pa.string(),
        "person": pa.string(),
        "age_years": pa.float32(),
        "age_prompted_years": pa.float32(),
        "age_predicted_years": pa.float32(),
        "sex": pa.string(),
        "year": pa.int32(),
        "query": pa.string(),
        "split": pa.string(),
        "grey": pa.bool_(),
        "crop_png": pa.binary(),
        "landmarks": _floats(10),
        "mesh": _floats(3 * NUM_POINTS),
        "image_px_per_crop_px": pa.float32(),
        "score": pa.float32(),
        "box": _floats(4),
    }
)


@dataclass(frozen=True, kw_only=True)
class Portrait:
    """One portrait: an aligned crop with its landmarks and labels.

    Args:
        file: name of the photo in its collection.
        person: id of the person; all pictures of a person share it.
        age_years: true age of the person in the photo; NaN when it is not known.
        age_prompted_years: age that a generated picture was asked for; NaN for a photo.
        age_predicted_years: what an age predictor reads; NaN without one.
        sex: "M", "F", or "" when it is not known.
        year: in which the photo was taken; 0 when it is not known.
        query: text that a generated picture was asked for; "" for a photo.
        split: "train" or "val", from `split_of(person)`.
        grey: the photo has no colour.
        crop: (S, S, 3) aligned as `Face.crop`.
        landmarks: (5, 2) crop px, in the order of `Face.landmarks`.
        mesh: (478, 3) crop px, see `Face.mesh`.
        image_px_per_crop_px: px of the photo that one crop px covers; below 1 the crop is finer than the photo.
        score: confidence of the face detector.
        box: xyxy of the face, px in the photo.
    """

    file: str
    person: str
    age_years: float = math.nan
    age_prompted_years: float = math.nan
    age_predicted_years: float = math.nan
    sex: str = ""
    year: int = 0
    query: str = ""
    split: str
    grey: bool
    crop: Pixels
    landmarks: Plane
    mesh: Plane
    image_px_per_crop_px: float
    score: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class Portraits:
    """Portraits as columns; each is described in `Portrait`.

    Args:
        file: (N,) str.
        person: (N,) str.
        age_years: (N,) float32.
        age_prompted_years: (N,) float32.
        age_predicted_years: (N,) float32.
        sex: (N,) str.
        year: (N,) int32.
        query: (N,) str.
        split: (N,) str.
        grey: (N,) bool.
        crops: (N, S, S, 3) uint8.
        landmarks: (N, 5, 2) float32.
        mesh: (N, 478, 3) float32.
        image_px_per_crop_px: (N,) float32.
        score: (N,) float32.
        box: (N, 4) float32.
    """

    file: NDArray[np.str_]
    person: NDArray[np.str_]
    age_years: Plane
    age_prompted_years: Plane
    age_predicted_years: Plane
    sex: NDArray[np.str_]
    year: NDArray[np.int32]
    query: NDArray[np.str_]
    split: NDArray[np.str_]
    grey: NDArray[np.bool_]
    crops: Pixels
    landmarks: Plane
    mesh: Plane
    image_px_per_crop_px: Plane
    score: Plane
    box: Plane

    def __len__(self) -> int:
        return len(self.file)

    def pick(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Portraits:
        """The portraits of a mask (N,) or of an array of row numbers."""
        return Portraits(**{column.name: getattr(self, column.name)[rows] for column in fields(self)})

    def with_known_age(self) -> Portraits:
        """The portraits whose true age and sex are known.

        Raises:
            ImageError: when there are none.
        """
        known = ~np.isnan(self.age_years) & (self.sex != "")
        if not known.any():
            raise ImageError("The age and sex of nobody in these portraits are known; use photos of known age.")
        return self if known.all() else self.pick(known)


def write_shards(portraits: Iterable[Portrait], folder: str | Path, rows_per_shard: int = ROWS_PER_SHARD) -> list[Path]:
    """Writes `portraits-00000.parquet` and so on into the folder; older shards there are deleted first.

    Args:
        portraits: in the order in which they are written.
        folder: made when it is not there.
        rows_per_shard: portraits in one file.

    Returns:
        The files, in order; `read_shards` keeps the order of the rows.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(_SHARDS):
        old.unlink()
    files: list[Path] = []
    rows: list[dict[str, object]] = []
    for portrait in portraits:
        rows.append(_to_row(portrait))
        if len(rows) == rows_per_shard:
            files.append(_write_shard(rows, folder, len(files)))
            rows = []
    if rows:
        files.append(_write_shard(rows, folder, len(files)))
    return files


def read_shards(folder: str | Path, split: str | None = None) -> Portraits:
    """Reads the portraits of all shards of a folder into memory; a crop of 256 px takes 0.2 MB.

    Args:
        folder: of the shards; those in folders inside it are read too, so that collections can lie side by side.
        split: "train" or "val" reads that side alone; None reads both.

    Raises:
        ImageError: when there are no shards, one is damaged, or the crops differ in size.
    """
    files = _shard_files(Path(folder))
    if not files:
        raise ImageError(f"There are no portraits in {folder}; give a folder of portraits-*.parquet files.")
    try:
        filters = None if split is None else [("split", "=", split)]
        table = pa.concat_tables([pq.read_table(file, filters=filters).cast(SCHEMA) for file in files])
    except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: other columns
        raise ImageError(f"A shard in {folder} is damaged or of another kind; prepare the portraits again.") from error
    crops = [decode(png) for png in table["crop_png"].to_pylist()]
    if not crops:
        raise ImageError(f"The shards in {folder} hold nobody of the split '{split}'; prepare more people.")
    if len({crop.shape for crop in crops}) != 1:
        raise ImageError(f"The crops in {folder} differ in size; prepare all portraits in one go.")
    return _to_columns(table, np.stack(crops))


def has_shards(folder: str | Path) -> bool:
    """Whether a folder holds shards."""
    return bool(_shard_files(Path(folder)))


def _shard_files(folder: Path) -> list[Path]:
    return sorted(folder.rglob(_SHARDS))


def _write_shard(rows: list[dict[str, object]], folder: Path, number: int) -> Path:
    path = folder / f"portraits-{number:05d}.parquet"
    with replace_file(path, ImageError) as unfinished:
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), unfinished)
    return path


def _to_row(portrait: Portrait) -> dict[str, object]:
    row = {field.name: getattr(portrait, field.name) for field in fields(portrait) if field.name != "crop"}
    points = {name: np.ravel(row[name]).tolist() for name in ("landmarks", "mesh", "box")}
    return {**row, **points, "crop_png": encode_png(portrait.crop)}


def _to_columns(table: pa.Table, crops: Pixels) -> Portraits:
    column = {name: table[name].combine_chunks() for name in table.column_names if name != "crop_png"}
    plain = {name: values.to_numpy(zero_copy_only=False) for name, values in column.items() if not _is_list(values)}
    lists = {name: np.array(values.flatten()) for name, values in column.items() if _is_list(values)}
    text = {name: plain[name].astype(str) for name in ("file", "person", "sex", "query", "split")}
    return Portraits(
        **{**plain, **text},
        crops=crops,
        landmarks=lists["landmarks"].reshape(-1, 5, 2),
        mesh=lists["mesh"].reshape(-1, NUM_POINTS, 3),
        box=lists["box"].reshape(-1, 4),
    )


def _is_list(values: pa.Array) -> bool:
    return pa.types.is_fixed_size_list(values.type)
