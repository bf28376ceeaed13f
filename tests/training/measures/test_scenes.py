"""Labelled photos: from a folder of photos and a table, through Parquet, to scenes."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from reage.cli import app
from reage.data.split import split_of
from reage.errors import ImageError
from reage.face_classes import CLASSES
from reage.faces.detector import BlazeFaceDetector, align
from reage.images import Image, geometry, save_image
from reage.mesh_points import EYE_OUTLINES
from reage.training.measures import scenes
from reage.training.measures.losses import UNLABELLED
from reage.training.measures.occlusions import Scene
from reage.training.measures.scenes import (
    WIDE_PX,
    LabelledScenes,
    draw_polygons,
    hand_labels,
    label_photos,
    read_scenes,
    wide_from_crop,
)
from reage.training.measures.segmentation_labels import label_wide_crop
from reage.types import Matrix, Pixels, Plane

HEAD = np.s_[:220, 110:330]
TRAIN, VAL = (next(name for number in range(99) if split_of(name := f"P{number}") == side) for side in ("train", "val"))
FACE, HAT = (70.0, 50.0, 150.0, 150.0), (60.0, 10.0, 160.0, 40.0)
"""Boxes that were drawn by hand, xyxy px of the head."""
TABLE = (
    {"file": "plain.png", "person": TRAIN, "query": "smiling"},
    {"file": "glasses.png", "person": TRAIN, "query": "round glasses"},
    {"file": "cap.png", "person": TRAIN, "query": "a red cap"},
    {"file": "unsure.png", "person": TRAIN, "query": ""},
    {"file": "drawn.png", "person": TRAIN, "query": "round glasses"},
    {"file": "held-out.png", "person": VAL, "query": ""},
    {"file": "held-out-drawn.png", "person": VAL, "query": ""},
    {"file": "wall.png", "person": TRAIN, "query": ""},
)
STORED = ("plain", "glasses", "cap", "unsure", "drawn", "held-out-drawn")


def box_outline(box: tuple[float, float, float, float]) -> list[list[float]]:
    x0, y0, x1, y1 = box
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]


DRAWN = [
    {"class": "skin", "points": box_outline(FACE)},
    {"class": "hat", "points": box_outline(HAT)},
    {"class": "glasses", "points": [[80.0, 60.0], [140.0, 60.0], [110.0, 80.0]]},
]
HAND_LABELS = {
    "polygons": {"tiny/drawn.png": DRAWN, "tiny/held-out-drawn.png": DRAWN[:2]},
    "unsure_hair_queries": ["cap"],
    "unsure_hair_files": ["tiny/unsure.png"],
    "covered_hair_files": ["tiny/covered.png"],
}


@pytest.fixture(autouse=True, scope="module")
def drawn_by_hand() -> Iterator[None]:
    """What was drawn by hand in the photos of these tests, instead of the labels of reage."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scenes, "hand_labels", lambda: HAND_LABELS)
        yield


@pytest.fixture(scope="module")
def head(photo: Pixels) -> Pixels:
    return np.ascontiguousarray(photo[HEAD])


@pytest.fixture(scope="module")
def matte() -> Plane:
    """(256, 256) a head and shoulders."""
    x, y = np.moveaxis(geometry.pixel_grid(256, 256), -1, 0)
    head = np.hypot((x - 128) / 50, (y - 118) / 60) < 1
    shoulders = np.hypot((x - 128) / 100, (y - 256) / 75) < 1
    return geometry.blur((head | shoulders).astype(np.float32), 3)


def write_folder(folder: Path, pictures: Mapping[str, Pixels], rows: Sequence[Mapping[str, str]]) -> Path:
    folder.mkdir()
    for file, pixels in pictures.items():
        save_image(Image(pixels=pixels), folder / file, altered=False)
    with (folder / "portraits.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ("file", "person", "query"))
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture(scope="module")
def out(head: Pixels, matte: Plane, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the labelled photos."""
    pictures = {row["file"]: head for row in TABLE}
    pictures["wall.png"] = np.full((80, 80, 3), 200, np.uint8)
    folder = write_folder(tmp_path_factory.mktemp("photos") / "tiny", pictures, TABLE)
    seen: list[int] = []

    def track(rows: Sequence[Any]) -> Iterator[Any]:
        seen.append(len(rows))
        return iter(rows)

    out = folder.parent / "new" / "scenes"
    assert label_photos(folder, out, lambda pixels: matte, track=track) == len(STORED)
    assert seen == [len(TABLE)]
    return out


@pytest.fixture(scope="module")
def labelled(out: Path) -> LabelledScenes:
    assert [path.name for path in out.iterdir()] == ["scenes-tiny.parquet"]
    assert pq.read_table(out / "scenes-tiny.parquet")["file"].to_pylist() == [f"{name}.png" for name in STORED]
    read = read_scenes(out)
    assert len(read) == len(STORED)
    return read


def scene_of(labelled: LabelledScenes, name: str) -> Scene:
    return labelled.scenes[STORED.index(name)]


@pytest.fixture(scope="module")
def wide_from_head(head: Pixels) -> Matrix:
    (found,) = BlazeFaceDetector().detect(head)
    return wide_from_crop(align(found.landmarks, WIDE_PX // 2))


# Photos


def test_held_out_people_come_only_with_labels_drawn_by_hand(labelled: LabelledScenes) -> None:
    assert labelled.split.tolist() == ["train"] * 5 + ["val"]
    assert labelled.by_hand.tolist() == [name in ("drawn", "held-out-drawn") for name in STORED]
    assert set(labelled.collection.tolist()) == {"tiny"}


def test_glasses_are_known_by_the_query_or_from_the_drawing(labelled: LabelledScenes) -> None:
    assert labelled.has_glasses.tolist() == [name in ("glasses", "drawn") for name in STORED]


def test_a_scene_is_the_wide_crop_of_the_photo(labelled: LabelledScenes, head: Pixels, wide_from_head: Matrix) -> None:
    expected = geometry.warp(head, wide_from_head, WIDE_PX, WIDE_PX)
    for scene in labelled.scenes:
        np.testing.assert_array_equal(scene.pixels, expected)
        assert scene.labels.shape == scene.person.shape == (WIDE_PX, WIDE_PX)
        assert (scene.labels.dtype, scene.person.dtype, scene.mesh.dtype) == (np.int8, np.uint8, np.float32)
        assert scene.mesh.shape == (478, 2)
    corners = scene_of(labelled, "plain").mesh[[33, 133, 362, 263]]
    middle = WIDE_PX * (0.5 + (0.46 - 0.5) / 2)
    assert np.abs(corners.mean(0) - (WIDE_PX / 2, middle)).max() < 5


def test_crop_and_wide_crop_have_one_centre_and_scale() -> None:
    crop_from_image = np.array([[2.0, 0.3, 7], [-0.3, 2.0, 9]])
    points = geometry.move_points(np.array([[10.0, 20], [50, 60]]), crop_from_image)
    wide = geometry.move_points(np.array([[10.0, 20], [50, 60]]), wide_from_crop(crop_from_image))
    np.testing.assert_allclose(wide - points, WIDE_PX / 4)


def test_automatic_labels_are_those_of_the_wide_crop(
    labelled: LabelledScenes, head: Pixels, matte: Plane, wide_from_head: Matrix
) -> None:
    scene = scene_of(labelled, "plain")
    white = geometry.warp(np.full(head.shape, 255, np.uint8), wide_from_head, WIDE_PX, WIDE_PX, edge="zero")
    expected = label_wide_crop(scene.pixels, scene.mesh, matte, white[..., 0] > 127)
    np.testing.assert_array_equal(scene.labels[1::2, 1::2], expected)
    np.testing.assert_array_equal(scene.labels[::2, ::2], expected)
    outside = geometry.grow((white[..., 0] > 0).astype(np.float32), 3) == 0
    assert outside.mean() > 0.2
    assert (scene.labels[outside] == UNLABELLED).all()
    for name in ("background", "skin", "hair", "eyes"):
        assert (scene.labels == CLASSES.index(name)).sum() > 100, name
    np.testing.assert_allclose(scene.person[1::2, 1::2] / 255, matte, atol=0.06)


def test_hair_is_unlabelled_where_it_may_be_a_hat(labelled: LabelledScenes) -> None:
    plain, hair = scene_of(labelled, "plain").labels, CLASSES.index("hair")
    for name in ("cap", "unsure"):
        labels = scene_of(labelled, name).labels
        assert (labels[plain == hair] == UNLABELLED).all()
        np.testing.assert_array_equal(labels[plain != hair], plain[plain != hair])


def test_what_glasses_hide_is_unlabelled(labelled: LabelledScenes) -> None:
    scene = scene_of(labelled, "glasses")
    for outline in EYE_OUTLINES:
        x, y = np.rint(scene.mesh[list(outline)].mean(0)).astype(int)
        assert scene.labels[y, x] == UNLABELLED
        assert scene_of(labelled, "plain").labels[y, x] == CLASSES.index("eyes")


# Labels drawn by hand


def places_in_photo(wide_from_image: Matrix) -> Plane:
    """(S, S, 2) px of the photo that each pixel of the wide crop shows."""
    grid = geometry.pixel_grid(WIDE_PX, WIDE_PX).reshape(-1, 2)
    return geometry.move_points(grid, geometry.invert(wide_from_image)).reshape(WIDE_PX, WIDE_PX, 2)


def lies_in(places: Plane, box: tuple[float, float, float, float], margin: float) -> np.ndarray:
    x, y = np.moveaxis(places, -1, 0)
    x0, y0, x1, y1 = box
    return (x > x0 + margin) & (x < x1 - margin) & (y > y0 + margin) & (y < y1 - margin)


def test_polygons_are_drawn_where_they_are_in_the_photo(labelled: LabelledScenes, wide_from_head: Matrix) -> None:
    scene, places = scene_of(labelled, "held-out-drawn"), places_in_photo(wide_from_head)
    photo = (0.0, 0.0, 219.0, 219.0)
    assert (scene.labels[lies_in(places, FACE, 0.25)] == CLASSES.index("skin")).all()
    assert (scene.labels[lies_in(places, HAT, 0.25)] == CLASSES.index("hat")).all()
    elsewhere = lies_in(places, photo, 0) & ~lies_in(places, FACE, -0.5) & ~lies_in(places, HAT, -0.5)
    assert elsewhere.mean() > 0.1
    assert (scene.labels[elsewhere] == CLASSES.index("background")).all()
    assert (scene.labels[~lies_in(places, photo, -1)] == UNLABELLED).all()


def test_the_person_of_a_drawing_is_all_that_was_drawn(labelled: LabelledScenes, wide_from_head: Matrix) -> None:
    scene, places = scene_of(labelled, "drawn"), places_in_photo(wide_from_head)
    for box in (FACE, HAT):
        assert (scene.person[lies_in(places, box, 4)] == 255).all()
    away = ~lies_in(places, FACE, -4) & ~lies_in(places, HAT, -4)
    assert (scene.person[away] == 0).all()


def test_later_polygons_lie_over_earlier_ones() -> None:
    polygons = [
        {"class": "hair", "points": box_outline((2, 2, 8, 8))},
        {"class": "other", "points": box_outline((5, 5, 11, 11))},
    ]
    for order, corner in ((polygons, "other"), (polygons[::-1], "hair")):
        labels = draw_polygons(order, 12, 16)
        assert labels.shape == (48, 64)
        assert labels.dtype == np.int8
        assert CLASSES[labels[26, 26]] == corner
        assert CLASSES[labels[14, 14]] == "hair"
        assert CLASSES[labels[40, 40]] == "other"
        assert CLASSES[labels[46, 60]] == "background"
    np.testing.assert_array_equal(np.argwhere(labels == CLASSES.index("hair")).min(0), (10, 10))


def test_the_labels_of_reage_name_classes_and_are_outlines() -> None:
    labels = hand_labels()
    assert len(labels["polygons"]) >= 100
    assert all(
        key.count("/") >= 1
        for key in (*labels["polygons"], *labels["unsure_hair_files"], *labels["covered_hair_files"])
    )
    used = set()
    for key, polygons in labels["polygons"].items():
        for polygon in polygons:
            assert set(polygon) == {"class", "points"}, key
            assert np.array(polygon["points"], float).shape[1:] == (2,), key
            assert len(polygon["points"]) >= 3, key
            used.add(polygon["class"])
    assert used <= set(CLASSES)
    assert {*CLASSES} - {"background"} <= used


# Files


def test_scenes_are_picked_by_a_mask(labelled: LabelledScenes) -> None:
    val = labelled.pick(labelled.split == "val")
    assert len(val) == len(val.scenes) == 1
    assert val.scenes[0] is scene_of(labelled, "held-out-drawn")
    assert (val.split.tolist(), val.by_hand.tolist(), val.has_glasses.tolist()) == (["val"], [True], [False])
    assert len(labelled.pick(np.zeros(len(labelled), bool))) == 0


def test_collections_are_read_together(head: Pixels, matte: Plane, tmp_path: Path) -> None:
    for name in ("one", "two"):
        folder = write_folder(tmp_path / name, {"me.png": head}, [{"file": "me.png", "person": TRAIN, "query": ""}])
        assert label_photos(folder, tmp_path / "scenes", lambda pixels: matte) == 1
    read = read_scenes(tmp_path / "scenes")
    assert read.collection.tolist() == ["one", "two"]
    np.testing.assert_array_equal(read.scenes[0].labels, read.scenes[1].labels)


def test_missing_photos_and_tables_are_refused(head: Pixels, matte: Plane, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "one", {"me.png": head}, [{"file": "you.png", "person": TRAIN, "query": ""}])
    with pytest.raises(ImageError, match=r"you\.png"):
        label_photos(folder, tmp_path / "scenes", lambda pixels: matte)
    with pytest.raises(ImageError, match=r"no table at .*people\.csv"):
        label_photos(folder, tmp_path / "scenes", lambda pixels: matte, table="people.csv")
    assert not (tmp_path / "scenes").exists()


def test_a_folder_without_scenes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"no labelled photos in .*; make them with `reage training label`\.$"):
        read_scenes(tmp_path)


@pytest.mark.parametrize("damage", ["cut", "text", "other columns"])
def test_a_damaged_file_is_refused(damage: str, head: Pixels, matte: Plane, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "one", {"me.png": head}, [{"file": "me.png", "person": TRAIN, "query": ""}])
    label_photos(folder, tmp_path, lambda pixels: matte)
    path = tmp_path / "scenes-one.parquet"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-1000])
    elif damage == "text":
        path.write_text("no scenes")
    else:
        pq.write_table(pa.table({"file": ["me.png"], "split": ["train"]}), path)
    with pytest.raises(ImageError, match=r"A file of labelled photos in .* is damaged; label the photos again\.$"):
        read_scenes(tmp_path)


@pytest.mark.parametrize("options", [(), ("--net-alone",)])
def test_the_shipped_parser_is_judged_on_held_out_people_labelled_by_hand(options: tuple[str, ...], out: Path) -> None:
    done = CliRunner().invoke(app, ["training", "judge-face-parser", "--shards", str(out), *options])
    assert done.exit_code == 0, done.output
    assert "IoU on 1 photos" in done.output
    overlaps = {
        cells[1].strip(): float(cells[2])
        for line in done.output.splitlines()
        if len(cells := line.split("│")) == 4 and cells[1].strip() in (*CLASSES, "mean")
    }
    assert list(overlaps) == [*CLASSES, "mean"]
    assert 0.2 < overlaps["skin"] < 0.95  # the drawing is a box
    assert overlaps["mean"] == pytest.approx(np.mean([overlaps[name] for name in CLASSES]), abs=1e-3)
