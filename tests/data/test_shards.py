import math
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reage.data.shards import Portrait, has_shards, read_shards, write_shards
from reage.data.split import split_of
from reage.errors import ImageError
from reage.mesh_points import NUM_POINTS

SIDE = 16


def make_portrait(number: int, side: int = SIDE) -> Portrait:
    rng = np.random.default_rng(number)
    person = f"P{number // 2:03d}"
    return Portrait(
        file=f"2011/{number:04d}.jpg",
        person=person,
        age_years=30.5 + number,
        sex="MF"[number % 2],
        year=2011,
        split=split_of(person),
        grey=number % 3 == 0,
        crop=rng.integers(0, 256, (side, side, 3), np.uint8),
        landmarks=rng.random((5, 2), np.float32) * side,
        mesh=rng.random((NUM_POINTS, 3), np.float32) * side,
        image_px_per_crop_px=0.75,
        score=1.25,
        box=(1.0, 2.0, 11.0, 12.0),
    )


def test_portraits_come_back_in_order(tmp_path: Path) -> None:
    written = [make_portrait(number) for number in range(7)]
    files = write_shards(written, tmp_path / "shards", rows_per_shard=3)
    assert [file.name for file in files] == [f"portraits-{number:05d}.parquet" for number in range(3)]
    read = read_shards(tmp_path / "shards")
    assert len(read) == 7
    assert read.crops.shape == (7, SIDE, SIDE, 3)
    assert read.crops.dtype == np.uint8
    for row, portrait in enumerate(written):
        for field in fields(Portrait):
            column = "crops" if field.name == "crop" else field.name
            np.testing.assert_array_equal(getattr(read, column)[row], getattr(portrait, field.name))


def test_rows_are_picked_by_mask_and_by_number(tmp_path: Path) -> None:
    write_shards([make_portrait(number) for number in range(5)], tmp_path)
    read = read_shards(tmp_path)
    women = read.pick(read.sex == "F")
    assert women.file.tolist() == ["2011/0001.jpg", "2011/0003.jpg"]
    assert women.mesh.shape == (2, NUM_POINTS, 3)
    assert read.pick(np.array([4, 0])).age_years.tolist() == [34.5, 30.5]


def test_what_is_not_known_comes_back_as_unknown(tmp_path: Path) -> None:
    known = make_portrait(0)
    unknown = replace(make_portrait(1), age_years=math.nan, sex="", year=0)
    generated = replace(unknown, age_prompted_years=22, age_predicted_years=30.5, query="earrings", sex="F")
    write_shards([known, unknown, generated], tmp_path)
    read = read_shards(tmp_path)
    assert np.isnan(read.age_years).tolist() == [False, True, True]
    assert read.age_prompted_years[2] == 22
    assert read.age_predicted_years[2] == 30.5
    assert read.query.tolist() == ["", "", "earrings"]
    assert read.with_known_age().file.tolist() == [known.file]
    with pytest.raises(ImageError, match="are known; use photos of known age"):
        read.pick(np.array([1, 2])).with_known_age()


def test_writing_again_leaves_no_old_shards(tmp_path: Path) -> None:
    write_shards((make_portrait(number) for number in range(6)), tmp_path, rows_per_shard=2)
    write_shards([make_portrait(9)], tmp_path)
    assert read_shards(tmp_path).file.tolist() == ["2011/0009.jpg"]


def test_collections_in_folders_are_read_together(tmp_path: Path) -> None:
    for name, numbers in (("sfhq", (4, 5)), ("congress", (0, 1)), ("congress/2011", (2,))):
        write_shards([make_portrait(number) for number in numbers], tmp_path / name)
    read = read_shards(tmp_path)
    assert sorted(read.file.tolist()) == [f"2011/{number:04d}.jpg" for number in (0, 1, 2, 4, 5)]
    np.testing.assert_array_equal(read_shards(tmp_path).file, read.file)
    assert read_shards(tmp_path / "sfhq").file.tolist() == ["2011/0004.jpg", "2011/0005.jpg"]
    assert has_shards(tmp_path)
    assert not has_shards(tmp_path / "faker")
    (tmp_path / "empty").mkdir()
    assert not has_shards(tmp_path / "empty")


def test_writing_leaves_the_collections_in_folders_alone(tmp_path: Path) -> None:
    write_shards([make_portrait(0)], tmp_path / "congress")
    write_shards([make_portrait(1)], tmp_path)
    assert read_shards(tmp_path).file.tolist() == ["2011/0000.jpg", "2011/0001.jpg"]


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no portraits in"):
        read_shards(tmp_path)


def test_a_damaged_shard_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "portraits-00000.parquet").write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(ImageError, match="damaged"):
        read_shards(tmp_path)


@pytest.mark.parametrize("split", [None, "train"])
def test_a_file_of_another_kind_is_an_error(split: str | None, tmp_path: Path) -> None:
    for columns in ({"file": ["1.jpg"], "split": ["train"]}, {"file": ["1.jpg"]}):
        pq.write_table(pa.table(columns), tmp_path / "portraits-00000.parquet")
        with pytest.raises(ImageError, match="damaged or of another kind"):
            read_shards(tmp_path, split)


def test_crops_of_two_sizes_are_an_error(tmp_path: Path) -> None:
    write_shards([make_portrait(0), make_portrait(1, side=24)], tmp_path)
    with pytest.raises(ImageError, match="differ in size"):
        read_shards(tmp_path)
