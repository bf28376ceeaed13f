"""From a folder of photos and a table to shards."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from reage.data.prepare import COLUMNS, prepare, read_table
from reage.data.shards import Portraits, read_shards
from reage.data.split import split_of
from reage.errors import ImageError
from reage.images import Image, geometry, save_image
from reage.mesh_points import LANDMARK_POINTS
from reage.types import Pixels

CROP_PX = 96


def write_table(path: Path, rows: Sequence[Mapping[str, object]], columns: Sequence[str] = COLUMNS) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


def make_row(file: str, person: str = "P1", **changed: object) -> dict[str, object]:
    return {"file": file, "person": person, "age_years": 38, "gender": "F", "year": 1992, **changed}


def write_photo(pixels: Pixels, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    save_image(Image(pixels=np.ascontiguousarray(pixels)), path, altered=False)


@pytest.fixture(scope="module")
def prepared(photo: Pixels, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, list[str], Portraits]:
    """A colour photo, a grey one of twice the size, and a wall, prepared."""
    folder = tmp_path_factory.mktemp("collection")
    head = photo[:220, 110:330]
    grey = np.repeat(geometry.resize(head, 440, 440)[..., 1:2], 3, -1)
    write_photo(head, folder / "1992" / "colour.png")
    write_photo(np.full((80, 80, 3), 200, np.uint8), folder / "wall.png")
    write_photo(grey, folder / "grey.png")
    rows = [
        make_row("1992/colour.png"),
        make_row("wall.png"),
        make_row("grey.png", "P0", age_years="41.5", gender="M", year=1996),
    ]
    write_table(folder / "portraits.csv", rows)
    count, missed = prepare(folder, folder / "shards", crop_px=CROP_PX)
    return count, missed, read_shards(folder / "shards")


def test_every_face_becomes_a_row_and_the_rest_is_reported(prepared: tuple[int, list[str], Portraits]) -> None:
    count, missed, portraits = prepared
    assert count == len(portraits) == 2
    assert missed == ["wall.png"]
    assert portraits.file.tolist() == ["1992/colour.png", "grey.png"]


def test_what_the_table_says_is_kept(prepared: tuple[int, list[str], Portraits]) -> None:
    _, _, portraits = prepared
    assert portraits.person.tolist() == ["P1", "P0"]
    assert portraits.age_years.tolist() == [38, 41.5]
    assert portraits.sex.tolist() == ["F", "M"]
    assert portraits.year.tolist() == [1992, 1996]
    assert portraits.split.tolist() == [split_of("P1"), split_of("P0")] == ["train", "val"]
    assert portraits.grey.tolist() == [False, True]


def test_crops_and_points_are_those_of_a_finder(prepared: tuple[int, list[str], Portraits]) -> None:
    _, _, portraits = prepared
    assert portraits.crops.shape == (2, CROP_PX, CROP_PX, 3)
    eyes = portraits.landmarks[:, :4].mean(1)
    np.testing.assert_allclose(eyes, np.tile([0.5 * CROP_PX, 0.46 * CROP_PX], (2, 1)), atol=2.5)
    np.testing.assert_array_equal(portraits.mesh[:, list(LANDMARK_POINTS), :2], portraits.landmarks)
    assert portraits.image_px_per_crop_px[1] == pytest.approx(2 * portraits.image_px_per_crop_px[0], rel=0.05)
    assert portraits.image_px_per_crop_px[0] == pytest.approx(180 / CROP_PX, rel=0.05)
    assert (portraits.score > 0.4).all()
    np.testing.assert_allclose(portraits.box[1], 2 * portraits.box[0], atol=8)
    difference = portraits.crops[0, ..., 1].astype(int) - portraits.crops[1, ..., 1]
    assert np.abs(difference)[20:80, 20:80].mean() < 12


def test_missing_photo_is_named(tmp_path: Path) -> None:
    write_table(tmp_path / "portraits.csv", [make_row("nowhere.jpg")])
    with pytest.raises(ImageError, match=r"nowhere\.jpg"):
        prepare(tmp_path, tmp_path / "shards", crop_px=CROP_PX)


# read_table


def test_rows_are_read_as_they_stand(tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.csv", [make_row("a b,c.jpg"), make_row("ü.jpg", "P2")])
    rows = read_table(path)
    assert [row["file"] for row in rows] == ["a b,c.jpg", "ü.jpg"]
    assert set(rows[0]) == set(COLUMNS)


def test_more_columns_do_no_harm(tmp_path: Path) -> None:
    columns = [*reversed(COLUMNS), "source"]
    path = write_table(tmp_path / "t.csv", [make_row("a.jpg", source="web")], columns)
    assert read_table(path)[0]["file"] == "a.jpg"


def test_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"no table at .*t\.csv.*age_years.*\.$"):
        read_table(tmp_path / "t.csv")


def test_empty_table_is_refused(tmp_path: Path) -> None:
    for content in ("", ",".join(COLUMNS) + "\n"):
        (tmp_path / "t.csv").write_text(content)
        with pytest.raises(ImageError, match=r"\.$"):
            read_table(tmp_path / "t.csv")


def test_a_table_without_files_is_refused(tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.csv", [make_row("a.jpg")], ["person", "year"])
    with pytest.raises(ImageError, match="has no column file"):
        read_table(path)
    write_table(path, [make_row("a.jpg"), make_row("")])
    with pytest.raises(ImageError, match=r"Line 3 .* names no file"):
        read_table(path)


def test_only_the_file_must_be_known(tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.csv", [{"file": "people/a.b.jpg"}], ["file"])
    (row,) = read_table(path)
    assert row == {**dict.fromkeys(COLUMNS, ""), "file": "people/a.b.jpg", "person": "people/a.b"}
    write_table(path, [make_row("a.jpg", age_years="", gender="", year="")])
    (row,) = read_table(path)
    assert (row["person"], row["age_years"], row["gender"], row["year"]) == ("P1", "", "", "")


def test_pictures_of_unknown_people_become_portraits(photo: Pixels, tmp_path: Path) -> None:
    write_photo(photo[:220, 110:330], tmp_path / "tiles" / "a.png")
    row = {"file": "tiles/a.png", "model": "SDXL", "query": "a pilot", "age_prompted_years": "40"}
    write_table(tmp_path / "tiles.csv", [row], list(row))
    count, missed = prepare(
        tmp_path, tmp_path / "shards", table="tiles.csv", crop_px=CROP_PX, predict_age=lambda face: 33.5
    )
    assert (count, missed) == (1, [])
    portraits = read_shards(tmp_path / "shards")
    assert (portraits.person[0], portraits.query[0], portraits.sex[0]) == ("tiles/a", "a pilot", "")
    assert (portraits.year[0], portraits.age_prompted_years[0], portraits.age_predicted_years[0]) == (0, 40, 33.5)
    assert np.isnan(portraits.age_years[0])


@pytest.mark.parametrize(
    ("column", "value"),
    [("age_years", "old"), ("age_years", "nan"), ("age_prompted_years", "?"), ("year", "MCMXC"), ("gender", "x")],
)
def test_value_that_cannot_be_used_is_refused_before_any_photo_is_read(tmp_path: Path, column: str, value: str) -> None:
    write_table(tmp_path / "portraits.csv", [make_row("never-read.png", **{column: value})])
    with pytest.raises(ImageError) as refusal:
        prepare(tmp_path, tmp_path / "shards", crop_px=CROP_PX)
    assert column in str(refusal.value)
    assert str(refusal.value).endswith(".")
