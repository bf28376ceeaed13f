"""How long a search among many faces takes, and how large the index is: random embeddings, no pictures.

python benchmarks/match_index.py --faces 100000 --write benchmarks/match_index.md
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from common.markdown import show, to_markdown

from reage.matching import FaceIndex, Row
from reage.matching.index import EXACT_FACES

DIMENSIONS = 128
QUERIES = 50
NOISE = 0.5
"""Distance of a probe from its face, in lengths of an embedding: about that of one person in dlib's and aifd's."""


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Query time and size of an index of faces.")
    parser.add_argument("--faces", type=int, default=100_000)
    parser.add_argument("--graph", action="store_true", help="also search by the graph that larger indices have")
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    given = parser.parse_args()
    generator = np.random.default_rng(0)
    vectors = generator.standard_normal((given.faces, DIMENSIONS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = [Row(f"{number:07d}.jpg", 1, 200_000, number) for number in range(given.faces)]
    asked = generator.choice(given.faces, QUERIES, replace=False)
    noise = generator.standard_normal((QUERIES, DIMENSIONS)).astype(np.float32) * np.float32(NOISE / DIMENSIONS**0.5)
    index = FaceIndex(rows, vectors, {"matcher": "random"})
    lines = [["every face compared", *measure(index, vectors[asked] + noise, asked)]]
    if given.graph:
        lines.append(["graph", *measure_graph(index, vectors[asked] + noise, asked)])
    headers = ["search", "ms a query, median", "ms, slowest", "found first", "made in s", "opened in s", "MB on disk"]
    note = (
        f"{given.faces:,} random embeddings of {DIMENSIONS} numbers, {QUERIES} queries for the first ten, one thread. "
        f"Every face is compared up to {EXACT_FACES:,}; the graph is for more."
    )
    show(to_markdown(f"Search among {given.faces:,} faces", note, headers, lines), given.write)


def measure(index: FaceIndex, probes: np.ndarray, asked: np.ndarray) -> list[str]:
    """Cells of a row for the index as it is on disk."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        path = index.save(Path(folder) / "faces.parquet")
        saved = time.perf_counter() - start
        start = time.perf_counter()
        read = FaceIndex.load(path)
        opened = time.perf_counter() - start
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
    return query(read, probes, asked, saved, opened, size)


def measure_graph(index: FaceIndex, probes: np.ndarray, asked: np.ndarray) -> list[str]:
    """The same by the graph, whatever the size of the index."""
    from reage.matching import index as module

    before, module.EXACT_FACES = module.EXACT_FACES, 0
    try:
        return measure(index, probes, asked)
    finally:
        module.EXACT_FACES = before


def query(index: FaceIndex, probes: np.ndarray, asked: np.ndarray, saved: float, opened: float, size: int) -> list[str]:
    """Query times and how often the right face comes first."""
    index.nearest(probes[0], 10)
    times, right = [], 0
    for probe, row in zip(probes, asked.tolist(), strict=True):
        start = time.perf_counter()
        found = index.nearest(probe, 10)
        times.append(1000 * (time.perf_counter() - start))
        right += found[0] == row
    return [
        f"{np.median(times):.1f}", f"{max(times):.1f}", f"{right / len(probes):.0%}", f"{saved:.1f}", f"{opened:.1f}",
        f"{size / 1e6:.0f}",
    ]  # fmt: skip


if __name__ == "__main__":
    main()
