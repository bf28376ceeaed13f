"""The photos of a place, each with the name of its result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from reage.cluster.places import Place, StoredFile
from reage.errors import ImageError
from reage.images import READ_SUFFIXES, SUFFIXES

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One photo of a place.

    Args:
        file: where it is.
        output: name of its result.
    """

    file: StoredFile
    output: str


@dataclass(frozen=True, kw_only=True)
class PictureList:
    """The content of a place.

    Args:
        pictures: sorted by name.
        left_out: names of files that are not aged, each with the reason.
    """

    pictures: tuple[Picture, ...]
    left_out: tuple[tuple[str, str], ...] = ()


def list_pictures(source: Place, output: Place) -> PictureList:
    """The photos below a place, in all its folders; a photo is a file with the suffix of a picture.

    A result has the name of its photo; one whose format is not written gets .png after it. Results that lie inside the
    place are left out.

    Raises:
        ImageError: when there is no photo, or the results would lie among the photos.
    """
    if source.address == output.address:
        raise ImageError(f"'{output.address}' is the place that is read, which is never written to; choose another.")
    own = f"{output.address[len(source.address) + 1 :]}/" if source.contains(output) else ""
    files = [file for file in source.list_files() if not (own and file.name.startswith(own))]
    names = {file.name for file in files}
    pictures, left_out = [], []
    for file in files:
        result = _name_result(file.name)
        if reason := _why_left_out(file.name, result, names):
            left_out.append((file.name, reason))
        else:
            pictures.append(Picture(file=file, output=result))
    if not pictures:
        raise ImageError(f"'{source.address}' holds no pictures; they end in {' '.join(READ_SUFFIXES)}.")
    return PictureList(pictures=tuple(pictures), left_out=tuple(left_out))


def make_blocks(pictures: Sequence[Picture], num_pictures: int) -> Iterator[pa.Table]:
    """Tables of so many pictures each, with the number of the block from 0 beside them; see `read_block`."""
    import pyarrow as pa

    for number, start in enumerate(range(0, len(pictures), num_pictures)):
        part = pictures[start : start + num_pictures]
        yield pa.table(
            {
                "block": pa.array([number] * len(part), pa.int64()),
                "name": [one.file.name for one in part],
                "num_bytes": [one.file.num_bytes for one in part],
                "stamp": [one.file.stamp for one in part],
                "output": [one.output for one in part],
            }
        )


def read_block(table: pa.Table) -> tuple[int, list[Picture]]:
    """The number and the pictures of a table of `make_blocks`."""
    rows = table.to_pylist()
    assert len({row["block"] for row in rows}) == 1
    pictures = [
        Picture(file=StoredFile(name=row["name"], num_bytes=row["num_bytes"], stamp=row["stamp"]), output=row["output"])
        for row in rows
    ]
    return rows[0]["block"], pictures


def _name_result(name: str) -> str:
    return name if PurePosixPath(name).suffix.lower() in SUFFIXES else f"{name}.png"


def _why_left_out(name: str, result: str, names: set[str]) -> str:
    path = PurePosixPath(name)
    if any(part.startswith(".") for part in path.parts):
        return "hidden"
    if path.suffix.lower() not in READ_SUFFIXES:
        return f"no picture by its suffix {path.suffix}" if path.suffix else "without a suffix"
    if result != name and result in names:
        return f"its result would have the name of the photo {result}"
    return ""
