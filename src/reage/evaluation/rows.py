"""What was measured, picture by picture: the table of rows that every number of a report is computed from.

Convention:
    one row for each source photo and each picture made from it. NaN where a number is not known or no face was found;
    an empty list where a net was not given.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from reage.errors import ReageError
from reage.faces.skin_detail import NUM_BANDS, PATCHES
from reage.files import replace_file
from reage.zones import ZONES

Kind = Literal["source", "aged", "zone"]
"""A source photo; its face at a target age; its face with one zone at a requested score."""

_FLOATS = pa.list_(pa.float32())
_SCORES = pa.list_(pa.float32(), len(ZONES))
_ENERGIES = pa.list_(pa.float32(), len(PATCHES) * NUM_BANDS)

SCHEMA = pa.schema(
    {
        "file": pa.string(),
        "person": pa.string(),
        "kind": pa.string(),
        "true_years": pa.float32(),
        "sex": pa.string(),
        "grey": pa.bool_(),
        "tone_degrees": pa.float32(),
        "px_per_face_unit": pa.float32(),
        "target": pa.float32(),
        "zone": pa.string(),
        "score": pa.float32(),
        "years": pa.float32(),
        "years_std": pa.float32(),
        "second_years": pa.float32(),
        "identity": _FLOATS,
        "second_identity": _FLOATS,
        "zones": _SCORES,
        "second_zones": _SCORES,
        "features": _FLOATS,
        "fine_features": _FLOATS,
        "inception": _FLOATS,
        "backdrop_changed": pa.float32(),
        "background_l1": pa.float32(),
        "background_psnr": pa.float32(),
        "background_share_of_change": pa.float32(),
        "outside_changed": pa.float32(),
        "hue_shift_degrees": pa.float32(),
        "band_energy": _ENERGIES,
        "ssim": pa.float32(),
        "psnr": pa.float32(),
        "l1": pa.float32(),
        "seconds": pa.float32(),
        "thumbnail": pa.binary(),
    }
)
"""Columns of a row.

    file, person, true_years, sex ("M", "F" or ""), grey: of the source; tone_degrees: individual typology angle of its
        skin, NaN when grey; px_per_face_unit: px between the eyes in the photo, at most those in the crop.
    target: years asked for, NaN unless aged.
    zone, score: zone that was asked for and its requested score, "" and NaN unless the row is of kind "zone".
    years, years_std: read by the judges' age estimator; second_years: by their second one.
    identity: 128 numbers of dlib's net; second_identity: those of the second recognizer; both empty without a face.
    zones: scores of `ZONES` by the judges' zone scorer; second_zones: by their second one.
    features: of the judges' age estimator; fine_features: of the same net on larger crops, see
        `reage.evaluation.judges.FINE_CROP_PX`; inception: of an Inception net.
    backdrop_changed: share of the pixels of a plain backdrop that changed by more than 4 of 255.
    background_l1, background_psnr, background_share_of_change: see `reage.evaluation.metrics.image_similarity`; the
        background is all but skin and hair, of a zone request all but the zone.
    outside_changed: share of the pixels outside skin, hair, brows and beard that changed by more than 2 of 255.
    hue_shift_degrees: see `reage.evaluation.metrics.skin`; NaN when grey.
    band_energy: of `PATCHES` by frequency band of `reage.faces.skin_detail`, the bands of a patch side by side.
    l1, psnr, ssim: of the whole crop beside the source's.
    seconds: that making the picture took; thumbnail: JPEG.
"""

_TEXT = ("file", "person", "kind", "sex", "zone")


class Rows:
    """Rows as columns; `rows["years"]` is an array, and lists of one length a matrix."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self._columns: dict[str, NDArray[Any]] = {}

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._columns:
            self._columns[name] = self._read(name)
        return self._columns[name]

    def _read(self, name: str) -> NDArray[Any]:
        column = self.table[name].combine_chunks()
        if name in _TEXT:
            return np.array(column.to_pylist(), str)
        if not pa.types.is_list(column.type) and not pa.types.is_fixed_size_list(column.type):
            return np.asarray(column.to_numpy(zero_copy_only=False))
        lists = column.to_pylist()
        width = max(map(len, lists), default=0)
        return np.array([values or [math.nan] * width for values in lists], np.float64).reshape(len(lists), width)

    def pick(self, where: NDArray[np.bool_] | NDArray[np.intp]) -> Rows:
        """The rows of a mask (N,) or of a list of indices, which may repeat."""
        indices = np.flatnonzero(where) if np.asarray(where).dtype == bool else np.asarray(where)
        return Rows(self.table.take(pa.array(indices, pa.int64())))

    def of_kind(self, kind: Kind) -> Rows:
        """The rows of the sources, the aged pictures, or the zone requests."""
        return self.pick(self["kind"] == kind)

    def at(self, target: float) -> Rows:
        """The aged pictures at one target age."""
        return self.pick((self["kind"] == "aged") & np.isclose(self["target"], target))

    @property
    def targets(self) -> list[float]:
        """The target ages that occur, rising."""
        found = self["target"][self["kind"] == "aged"]
        return sorted({round(float(target), 3) for target in found})


def to_table(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows as dictionaries -> a table; names that are left out get NaN, "" or an empty list."""
    empty = {field.name: _missing_value(field.type) for field in SCHEMA}
    return pa.Table.from_pylist([{**empty, **row} for row in rows], SCHEMA)


def _missing_value(kind: pa.DataType) -> Any:
    if pa.types.is_fixed_size_list(kind):
        return [math.nan] * kind.list_size
    if pa.types.is_list(kind):
        return []
    return {pa.string(): "", pa.binary(): b"", pa.bool_(): False}.get(kind, math.nan)


def write_rows(table: pa.Table, path: Path, key: str = "") -> None:
    """Writes a Parquet file whole or not at all; `key` names the run it belongs to."""
    with replace_file(path) as unfinished:
        pq.write_table(table.replace_schema_metadata({"reage": key}), unfinished, compression="zstd")


def read_rows(*paths: Path) -> Rows:
    """Rows of one or several files, in their order.

    Raises:
        ReageError: when a file is missing or holds something else.
    """
    try:
        return Rows(pa.concat_tables([pq.read_table(path, schema=SCHEMA) for path in paths]))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ReageError(f"{paths[0].parent} holds no rows of an evaluation; run `reage evaluate` again.") from error
