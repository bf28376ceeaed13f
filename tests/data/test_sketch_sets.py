"""Artists' pairs in the layouts of the published sets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from reage.data.sketch_sets import read_pairs, read_sketch_set
from reage.errors import ImageError
from reage.images.codec import encode_png


def put(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(np.zeros((64, 64, 3), np.uint8)))


def test_cuhk_is_paired_by_name_and_split_by_folder(tmp_path: Path) -> None:
    for part, name in (("training", "f-005-01"), ("testing", "m-008-01"), ("testing", "f1-001-01")):
        put(tmp_path / f"CUHK_{part}_photo" / "photo" / f"{name}.jpg")
    put(tmp_path / "CUHK_training_sketch" / "sketch" / "F2-005-01-sz1.jpg")
    put(tmp_path / "CUHK_testing_sketch" / "sketch" / "M-008-01-sz1.jpg")
    put(tmp_path / "CUHK_testing_sketch" / "sketch" / "f1-001-01-sz1.jpg")
    pairs = read_sketch_set(tmp_path, "cuhk")
    assert [(pair.name, pair.split) for pair in pairs] == [
        ("f-005-01", "train"),
        ("f1-001-01", "test"),
        ("m-008-01", "test"),
    ]


@pytest.mark.parametrize(("name", "num_training"), [("ar", 80), ("xm2vts", 100), ("cuhk", 88)])
def test_without_such_folders_the_first_are_for_training(tmp_path: Path, name: str, num_training: int) -> None:
    for number in range(num_training + 3):
        put(tmp_path / "photos" / f"m-{number:03d}-01.jpg")
        put(tmp_path / "sketches" / f"M-{number:03d}-01-sz1.jpg")
    splits = [pair.split for pair in read_sketch_set(tmp_path, name)]
    assert splits == ["train"] * num_training + ["test"] * 3


def test_cufsf_is_paired_by_the_number_of_the_person(tmp_path: Path) -> None:
    put(tmp_path / "photos" / "00001fa010_930831.jpg")
    put(tmp_path / "sketches" / "00001.jpg")
    (pair,) = read_sketch_set(tmp_path, "cufsf")
    assert (pair.name, pair.photo.name, pair.sketch.name) == ("00001", "00001fa010_930831.jpg", "00001.jpg")


def test_fs2k_is_split_by_its_annotations(tmp_path: Path) -> None:
    for split, style, number in (("train", 1, "0110"), ("test", 3, "0009")):
        put(tmp_path / "photo" / f"photo{style}" / f"image{number}.jpg")
        put(tmp_path / "sketch" / f"sketch{style}" / f"sketch{number}.png")
        names = [{"image_name": f"photo{style}/image{number}"}, {"image_name": f"photo{style}/image9999"}]
        (tmp_path / f"anno_{split}.json").write_text(json.dumps(names))
    pairs = read_sketch_set(tmp_path, "fs2k")
    assert [(pair.split, pair.style, pair.sketch.suffix) for pair in pairs] == [
        ("train", 1, ".png"),
        ("test", 3, ".png"),
    ]


def test_pairs_of_one_name_are_read(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        put(tmp_path / "photos" / name)
    put(tmp_path / "sketches" / "b.jpg")
    assert [pair.name for pair in read_pairs(tmp_path / "photos", tmp_path / "sketches")] == ["b"]
    with pytest.raises(ImageError, match="has a sketch of its name"):
        read_pairs(tmp_path / "photos", tmp_path / "nowhere")


def test_what_is_no_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no sketch set 'cufs'; use one of cuhk, ar,"):
        read_sketch_set(tmp_path, "cufs")
    with pytest.raises(ImageError, match="holds no pairs in the layout of ar"):
        read_sketch_set(tmp_path, "ar")
    (tmp_path / "anno_test.json").write_text("[{")
    with pytest.raises(ImageError, match=r"anno_test.json' is damaged"):
        read_sketch_set(tmp_path, "fs2k")
