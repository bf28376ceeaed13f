"""An index of faces on disk: embeddings in a Parquet file, and beside a large one a graph for fast search.

Convention: embeddings (N, D) float32; a similarity is higher for more similar faces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from reage.errors import ImageError
from reage.files import replace_file
from reage.types import Plane

EXACT_FACES = 300_000
"""Faces up to which every one is compared; beyond, a graph finds the candidates."""
GRAPH_SUFFIX = ".hnsw"
_LINKS, _EF_CONSTRUCTION, _EF_SEARCH = 32, 80, 128
_FORMAT = "1"


@dataclass(frozen=True)
class Row:
    """A face of a gallery.

    Args:
        file: of the picture, below the folder of the gallery.
        face: its number in the picture, from 1, the largest first.
        size: of the file, bytes; with `changed_ns` it tells whether the file is still the same.
        changed_ns: time of the last change of the file, ns.
    """

    file: str
    face: int = 1
    size: int = 0
    changed_ns: int = 0


class FaceIndex:
    """The faces of a gallery, embedded by one recognizer.

    Args:
        rows: one for each face.
        embeddings: (N, D).
        made_by: what embedded them: recognizer, way of matching and the like; an index of another kind is refused.

    Example:
        >>> index = FaceIndex([Row("a.jpg"), Row("b.jpg")], np.eye(2, 128, dtype=np.float32), {"recognizer": "dlib"})
        >>> index.nearest(np.eye(2, 128, dtype=np.float32)[1], 1)
        [1]
    """

    def __init__(self, rows: Sequence[Row], embeddings: Plane, made_by: dict[str, str]) -> None:
        assert len(rows) == len(embeddings), (len(rows), embeddings.shape)
        self.rows = list(rows)
        self.embeddings = np.ascontiguousarray(embeddings, np.float32)
        self.made_by = made_by
        self._squares = (self.embeddings**2).sum(1)
        self._graph: Any = None

    def __len__(self) -> int:
        return len(self.rows)

    def nearest(self, probe: Plane, num: int) -> list[int]:
        """Row numbers of the nearest faces (by Euclidean distance) of an embedding (D,), the nearest first."""
        num = min(num, len(self))
        if self._graph is not None and len(self) > EXACT_FACES:
            return [int(row) for row in self._graph.search(probe[None].astype(np.float32), num)[1][0] if row >= 0]
        distances = self._squares - 2 * (self.embeddings @ probe.astype(np.float32))
        best = np.argpartition(distances, num - 1)[:num]
        return [int(row) for row in best[np.argsort(distances[best], kind="stable")]]

    def save(self, path: str | Path) -> Path:
        """Writes the Parquet file and, for more than `EXACT_FACES`, the graph beside it, each whole or not at all.

        Raises:
            ImageError: when they cannot be written.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = Path(path)
        columns = {
            "file": pa.array([row.file for row in self.rows], pa.string()),
            "face": pa.array([row.face for row in self.rows], pa.int32()),
            "size": pa.array([row.size for row in self.rows], pa.int64()),
            "changed_ns": pa.array([row.changed_ns for row in self.rows], pa.int64()),
            "embedding": pa.FixedSizeListArray.from_arrays(
                pa.array(self.embeddings.ravel(), pa.float32()), self.embeddings.shape[1]
            ),
        }
        table = pa.table(columns).replace_schema_metadata({"reage_index": _FORMAT, **self.made_by})
        if len(self) > EXACT_FACES:
            self.build_graph()
            import faiss

            with replace_file(graph_of(path), ImageError) as unfinished:
                faiss.write_index(self._graph, str(unfinished))
        with replace_file(path, ImageError) as unfinished:
            pq.write_table(table, unfinished, compression="zstd", column_encoding=None)
        return path

    def build_graph(self) -> None:
        """Makes the graph: hierarchical navigable small worlds (Malkov and Yashunin, 2018) of faiss."""
        import faiss

        self._graph = faiss.IndexHNSWFlat(self.embeddings.shape[1], _LINKS)
        self._graph.hnsw.efConstruction = _EF_CONSTRUCTION
        self._graph.hnsw.efSearch = _EF_SEARCH
        self._graph.add(self.embeddings)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Reads an index.

        Raises:
            ImageError: when the file is missing, damaged, cut short or no index.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = Path(path)
        if not path.is_file():
            raise ImageError(f"There is no index at {path}; make one with reage match PROBE GALLERY/ --index {path}.")
        try:
            table = pq.read_table(path)
            metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
            columns = {name: table[name].to_pylist() for name in ("file", "face", "size", "changed_ns")}
            stored = table["embedding"].combine_chunks()
            embeddings = np.array(stored.flatten(), np.float32).reshape(len(table), -1)
        except (pa.ArrowException, OSError, KeyError, ValueError) as error:
            raise ImageError(
                f"The index {path} is damaged or cut short, or is no index; delete it, and it is made anew."
            ) from error
        if metadata.pop("reage_index", "") != _FORMAT:
            raise ImageError(f"{path} is a Parquet file, but no index of this version; delete it, and it is made anew.")
        made_by = {key: value for key, value in metadata.items() if key.isidentifier()}
        index = cls([Row(*values) for values in zip(*columns.values(), strict=True)], embeddings, made_by)
        index._read_graph(path)
        return index

    def _read_graph(self, path: Path) -> None:
        if len(self) <= EXACT_FACES or not graph_of(path).is_file():
            return
        import faiss

        try:
            self._graph = faiss.read_index(str(graph_of(path)))
        except RuntimeError as error:
            raise ImageError(
                f"The graph {graph_of(path)} is damaged or cut short; delete it, and every face is compared."
            ) from error
        if self._graph.ntotal != len(self):
            raise ImageError(f"The graph {graph_of(path)} belongs to another index; delete it.")
        self._graph.hnsw.efSearch = _EF_SEARCH

    def check_made_by(self, wanted: dict[str, str], path: str | Path) -> None:
        """Checks that an index was made by the wanted recognizer and way.

        Raises:
            ImageError: when it was not.
        """
        other = {key: self.made_by.get(key, "nothing") for key in wanted if self.made_by.get(key) != wanted[key]}
        if other:
            had, asked = (", ".join(f"{key} {values[key]}" for key in other) for values in (other, wanted))
            raise ImageError(
                f"The index {path} was made with {had}, and {asked} is asked for; name another file with --index, or "
                "ask for what it was made with."
            )


def graph_of(path: Path) -> Path:
    """The file of the graph of an index."""
    return path.with_suffix(GRAPH_SUFFIX)
