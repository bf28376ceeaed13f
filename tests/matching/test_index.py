"""The index of a gallery: search, files, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reage.errors import ImageError
from reage.matching import index as index_module
from reage.matching.index import FaceIndex, Row, graph_of

MADE_BY = {"matcher": "dlib", "sketches": "none"}


def make_index(num: int = 50) -> FaceIndex:
    embeddings = np.random.default_rng(0).standard_normal((num, 16)).astype(np.float32)
    return FaceIndex([Row(f"{number}.jpg", 1, number, 7) for number in range(num)], embeddings, MADE_BY)


def test_the_nearest_come_first() -> None:
    index = make_index()
    probe = index.embeddings[7] + 0.01
    expected = np.argsort(np.linalg.norm(index.embeddings - probe, axis=1))[:5]
    assert index.nearest(probe, 5) == expected.tolist()
    assert len(index.nearest(probe, 500)) == 50


def test_an_index_is_read_as_it_was_written(tmp_path: Path) -> None:
    index = make_index()
    read = FaceIndex.load(index.save(tmp_path / "faces.parquet"))
    assert read.rows == index.rows
    assert read.made_by == MADE_BY
    np.testing.assert_array_equal(read.embeddings, index.embeddings)
    assert [path.name for path in tmp_path.iterdir()] == ["faces.parquet"]


def test_a_large_index_has_a_graph_that_finds_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "EXACT_FACES", 40)
    index = make_index()
    exact = [index.nearest(probe, 3) for probe in index.embeddings[:10]]
    path = index.save(tmp_path / "faces.parquet")
    assert graph_of(path).is_file()
    read = FaceIndex.load(path)
    assert [read.nearest(probe, 3) for probe in index.embeddings[:10]] == exact
    graph_of(path).write_bytes(graph_of(path).read_bytes()[:300])
    with pytest.raises(ImageError, match="damaged or cut short; delete it, and every face"):
        FaceIndex.load(path)
    graph_of(path).unlink()
    assert FaceIndex.load(path).nearest(index.embeddings[3], 1) == [3]


def test_what_is_no_whole_index_is_refused(tmp_path: Path) -> None:
    path = make_index().save(tmp_path / "faces.parquet")
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(ImageError, match="damaged or cut short, or is no index; delete it"):
        FaceIndex.load(path)
    with pytest.raises(ImageError, match="There is no index at"):
        FaceIndex.load(tmp_path / "other.parquet")


def test_an_index_of_another_recognizer_is_refused() -> None:
    index = make_index()
    index.check_made_by(MADE_BY, "faces.parquet")
    with pytest.raises(
        ImageError, match="was made with matcher dlib, and matcher aifd is asked for; name another file"
    ):
        index.check_made_by({**MADE_BY, "matcher": "aifd"}, "faces.parquet")
