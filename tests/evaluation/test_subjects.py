"""Subjects: portraits of shards, and photos of a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reage.data.faces import portrait_to_face
from reage.data.shards import Portraits
from reage.errors import ImageError, ReageError
from reage.evaluation.subjects import PhotoSubjects, PortraitSubjects, pair_photos
from reage.faces.finder import FaceFinder
from reage.faces.segmentation import FaceParser
from reage.images import Image, save_image
from reage.types import Face, Pixels


@pytest.fixture(scope="module")
def portraits(make_portrait: Callable, to_columns: Callable, face: Face) -> Portraits:
    return to_columns([make_portrait(face.crop, age_years=38.0)])


def save(pixels: Pixels, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    save_image(Image(pixels=pixels), path)


def test_a_portrait_is_the_face_a_finder_cuts(portraits: Portraits, face: Face) -> None:
    found = portrait_to_face(portraits, 0, FaceParser.load())
    np.testing.assert_array_equal(found.crop, portraits.crops[0])
    for name in ("matte", "skin", "bare", "hair"):
        assert np.abs(getattr(found, name) - getattr(face, name)[::2, ::2]).mean() < 0.03


def test_portraits_have_names_and_ages(portraits: Portraits) -> None:
    subjects = PortraitSubjects(portraits, FaceParser.load())
    assert len(subjects) == 1
    subject = subjects[0]
    assert (subject.file, subject.person, subject.age_years, subject.sex) == ("P0-38.jpg", "P0", 38.0, "F")
    assert not subject.grey
    np.testing.assert_allclose(subject.points, portraits.landmarks[0], atol=1e-4)


def test_a_crop_stands_for_its_photo(face: Face) -> None:
    own = face.in_crop_frame()
    np.testing.assert_allclose(own.to_crop(own.landmarks), face.to_crop(face.landmarks), atol=1e-3)
    assert 0 < own.mesh[:, :2].min() < own.mesh[:, :2].max() < 512


def test_photos_without_a_face_are_no_subjects(photo: Pixels, finder: FaceFinder, tmp_path: Path) -> None:
    save(photo, tmp_path / "who" / "a.png")
    save(np.full((64, 64, 3), 128, np.uint8), tmp_path / "who" / "b.png")
    subjects = PhotoSubjects([tmp_path / "who" / name for name in ("a.png", "b.png")], finder)
    subject = subjects[0]
    assert subject is not None
    assert (subject.person, subject.sex, np.isnan(subject.age_years)) == ("a", "", True)
    assert subject.face_in_photo is not None
    assert subject.face.crop is subject.face_in_photo.crop
    assert subjects[1] is None


def test_pairs_are_matched_by_name(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for folder in ("before", "after"):
        for name in ("a", "b"):
            save(random.integers(0, 255, (16, 16, 3), dtype=np.uint8), tmp_path / folder / f"{name}.png")
    pairs = pair_photos(tmp_path / "before", tmp_path / "after")
    assert [(first.parent.name, first.name, second.name) for first, second in pairs] == [
        ("before", "a.png", "a.png"),
        ("before", "b.png", "b.png"),
    ]
    save(np.zeros((16, 16, 3), np.uint8), tmp_path / "after" / "c.png")
    with pytest.raises(ReageError, match=r"after/c\.\* has no partner in the other folder \(1 such in all\)"):
        pair_photos(tmp_path / "before", tmp_path / "after")
    save(np.zeros((16, 16, 3), np.uint8), tmp_path / "before" / "c.png")
    with pytest.raises(ReageError, match=r"before/c.png and .*after/c.png are one picture"):
        pair_photos(tmp_path / "before", tmp_path / "after")


def test_pairs_need_pictures_with_names_of_their_own(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot be read"):
        pair_photos(tmp_path / "no", tmp_path)
    with pytest.raises(ReageError, match="no pictures"):
        pair_photos(tmp_path, tmp_path)
    for ending in ("png", "bmp"):
        save(np.zeros((16, 16, 3), np.uint8), tmp_path / "double" / f"a.{ending}")
    with pytest.raises(ReageError, match="several pictures named a"):
        pair_photos(tmp_path / "double", tmp_path)
