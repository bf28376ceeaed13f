"""The manifest of a run: a row for each photo, as Parquet, in the place of the results.

While a run works, each block of photos has a file of its own in `manifest-parts/`; at the end they are joined with the
rows of earlier runs into `manifest.parquet`, and deleted. What a killed run has left there is joined by the next one.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from reage.cluster.pictures import Picture
from reage.cluster.places import Place
from reage.errors import ImageError

if TYPE_CHECKING:
    import pyarrow as pa

MANIFEST_NAME = "manifest.parquet"
PARTS_FOLDER = "manifest-parts"
_KEY = b"reage_manifest"
_PARTS_AT_ONCE = 1000


def manifest_schema() -> pa.Schema:
    """The columns: those of the photo, of what became of it, and of how it was done.

    Convention:
        `source` and `output` are names below the places; `source_hash` is SHA-256 in hex; `faces` counts aged faces,
        each with its box (px), years read and asked, and identity distance in `readings`; `identity_distance` is the
        largest of them; `seconds` are those of one worker; `finished` is UTC.
    """
    import pyarrow as pa

    reading = pa.struct(
        {
            "box": pa.list_(pa.float32()),
            "age_years": pa.float32(),
            "age_std_years": pa.float32(),
            "target_years": pa.float32(),
            "identity_distance": pa.float32(),
            "doubts": pa.list_(pa.string()),
        }
    )
    return pa.schema(
        {
            "source": pa.string(),
            "source_hash": pa.string(),
            "source_bytes": pa.int64(),
            "source_stamp": pa.string(),
            "output": pa.string(),
            "status": pa.string(),
            "error": pa.string(),
            "faces": pa.int32(),
            "readings": pa.list_(reading),
            "identity_distance": pa.float32(),
            "seconds": pa.float32(),
            "notes": pa.list_(pa.string()),
            "weights_hash": pa.string(),
            "worker": pa.string(),
            "finished": pa.timestamp("ms"),
        }
    )


def make_row(picture: Picture, record: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a photo.

    Args:
        picture: the photo.
        record: what a worker says of it, see `reage.cluster.worker.BlockWorker`.
    """
    values = record["outcome"]["values"]
    readings = [
        {
            **{name: face[name] for name in ("box", "age_years", "age_std_years", "identity_distance", "doubts")},
            "target_years": face["plan"]["age"],
        }
        for face in values.get("faces", ())
    ]
    return {
        "source": picture.file.name,
        "source_hash": record["source_hash"],
        "source_bytes": picture.file.num_bytes,
        "source_stamp": picture.file.stamp,
        "output": picture.output,
        "status": record["outcome"]["status"],
        "error": record["outcome"]["reason"] or None,
        "faces": len(readings),
        "readings": readings,
        "identity_distance": max((one["identity_distance"] for one in readings), default=None),
        "seconds": record["seconds"],
        "notes": values.get("notes", []),
        "weights_hash": values.get("weights_hash"),
        "worker": record["worker"],
        "finished": int(1000 * record["finished"]),
    }


class Manifest:
    """The manifest in a place of results.

    Args:
        place: of the results.
        settings: a text that is the same for the same source, plan, engine and options.
        description: plain values about the run, stored beside the rows.

    Raises:
        ImageError: when the manifest that is there cannot be read, or belongs to a run with other settings.
    """

    def __init__(self, place: Place, settings: str, description: Mapping[str, Any]) -> None:
        self._place = place
        self._head = {"settings": hashlib.sha256(settings.encode()).hexdigest()[:16], **description}
        self._check()

    def compact(self) -> None:
        """Joins the parts with the rows of earlier runs; the newest row of a photo stays.

        Raises:
            ImageError: when the place cannot be read or written.
        """
        names = self._list_parts()
        if not names:
            return
        import pyarrow as pa

        rows = pa.concat_tables([self.read(), *map(self._parse, self._read_parts(names))])
        newest = {source: number for number, source in enumerate(rows["source"].to_pylist())}
        self._place.write(MANIFEST_NAME, self._encode(rows.take(sorted(newest.values())).sort_by("source")))
        self._place.remove(names)

    def read(self) -> pa.Table:
        """The rows of `manifest.parquet`; none where there is no such file.

        Raises:
            ImageError: when it cannot be read.
        """
        if not self._place.holds(MANIFEST_NAME):
            return manifest_schema().empty_table()
        return self._parse(self._place.read(MANIFEST_NAME))

    def find_finished(self) -> dict[str, str]:
        """The stamp of each photo that is aged and whose result is there, by its name.

        Raises:
            ImageError: when the place cannot be read.
        """
        rows = self.read().select(["source", "source_stamp", "output", "status"]).to_pylist()
        there = {file.name for file in self._place.list_files()} if rows else set()
        return {
            row["source"]: row["source_stamp"] for row in rows if row["status"] == "aged" and row["output"] in there
        }

    def write_part(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Writes the rows of a block; an earlier part of the same name is replaced.

        Raises:
            ImageError: when it cannot be written.
        """
        import pyarrow as pa

        self._place.write(f"{PARTS_FOLDER}/{name}.parquet", self._encode(pa.Table.from_pylist(rows, manifest_schema())))

    def _check(self) -> None:
        if self._place.holds(MANIFEST_NAME):
            self._parse(self._place.read(MANIFEST_NAME))
        elif names := self._list_parts():
            self._parse(self._place.read(names[0]))

    def _list_parts(self) -> list[str]:
        """The names of the parts, the oldest run first."""
        folder = Place(self._place.address_of(PARTS_FOLDER))
        return [f"{PARTS_FOLDER}/{file.name}" for file in folder.list_files() if file.name.endswith(".parquet")]

    def _read_parts(self, names: Sequence[str]) -> Iterator[bytes]:
        for start in range(0, len(names), _PARTS_AT_ONCE):
            yield from self._place.read_several(names[start : start + _PARTS_AT_ONCE])

    def _encode(self, rows: pa.Table) -> bytes:
        import pyarrow.parquet as pq

        written = io.BytesIO()
        pq.write_table(
            rows.replace_schema_metadata({_KEY: json.dumps(self._head)}), written, compression="zstd", version="2.6"
        )
        return written.getvalue()

    def _parse(self, content: bytes) -> pa.Table:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            rows = pq.read_table(io.BytesIO(content))
            head = json.loads((rows.schema.metadata or {}).get(_KEY, b"{}"))
            rows = rows.replace_schema_metadata(None).cast(manifest_schema())
        except (pa.ArrowException, ValueError, OSError) as error:
            raise ImageError(
                f"'{self._place.address_of(MANIFEST_NAME)}' is no manifest of reage, or damaged; move it away."
            ) from error
        if head.get("settings") != self._head["settings"]:
            raise ImageError(
                f"'{self._place.address}' holds the manifest of a run with other options or of another place; repeat "
                "its command, or give another -o."
            )
        return rows
