"""Searching a gallery for the person of a photo or a sketch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import skimage.data

from reage.errors import FaceNotFound, ImageError, ReageError
from reage.images import Image, save_image
from reage.matching import FaceIndex, Matcher
from reage.matching.search import choose_mode
from reage.sketch import Sketcher


@pytest.fixture(scope="module")
def matcher(sketcher: Sketcher) -> Matcher:
    return Matcher("dlib", sketcher=sketcher)


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    """A photo with a face, the same turned a little darker, and a wall."""
    folder = tmp_path / "gallery"
    folder.mkdir()
    person = skimage.data.astronaut()[:256, 96:352]
    pictures = {"her.png": person, "darker.png": (person * 0.7).astype(np.uint8), "wall.png": np.full_like(person, 99)}
    for name, pixels in pictures.items():
        save_image(Image(pixels=np.ascontiguousarray(pixels)), folder / name, altered=False)
    return folder


def test_the_person_is_found_first(matcher: Matcher, gallery: Path) -> None:
    found = matcher.match(gallery / "her.png", gallery)
    assert [one.file.name for one in found.matches] == ["her.png", "darker.png"]
    assert all(one.same for one in found.matches)
    assert found.matches[0].score == pytest.approx(0, abs=1e-3)
    assert (found.kind, found.mode, found.found, found.missed) == ("photo", "direct", True, ("wall.png",))
    assert found.matches[0].file.is_file()
    values = found.to_json()
    assert list(values["matches"][0])[:3] == ["file", "score", "same"]


@pytest.mark.parametrize("mode", ["direct", "synthesis", "reverse"])
def test_a_sketch_is_compared_in_every_way(matcher: Matcher, gallery: Path, mode: str) -> None:
    found = matcher.match(gallery / "her.png", gallery, mode=mode, given_as="sketch", top=1)
    assert (found.mode, found.kind, len(found.matches), found.num_faces) == (mode, "sketch", 1, 2)


def test_an_index_is_kept_and_only_changes_are_read(matcher: Matcher, gallery: Path, tmp_path: Path) -> None:
    index, read = tmp_path / "faces.parquet", []

    def track(files: Sequence[Path]) -> Sequence[Path]:
        read.append([file.name for file in files])
        return files

    first = matcher.match(gallery / "her.png", gallery, index=index, track=track)
    written = index.stat().st_mtime_ns
    again = matcher.match(gallery / "her.png", gallery, index=index)
    assert again.to_json() == first.to_json()
    assert index.stat().st_mtime_ns == written
    (gallery / "darker.png").unlink()
    fewer = matcher.match(gallery / "her.png", gallery, index=index)
    assert fewer.num_faces == 1
    assert [row.file for row in FaceIndex.load(index).rows] == ["her.png"]
    from_file = matcher.match(gallery / "her.png", index)
    assert from_file.num_faces == 1
    os.utime(gallery / "her.png")


def test_what_cannot_be_searched_is_refused(
    matcher: Matcher, sketcher: Sketcher, gallery: Path, tmp_path: Path
) -> None:
    probe = gallery / "her.png"
    index = tmp_path / "faces.parquet"
    matcher.match(probe, gallery, index=index)
    with pytest.raises(ImageError, match="made with matcher dlib, and matcher aifd is asked for"):
        Matcher("aifd", sketcher=sketcher).match(probe, gallery, index=index)
    with pytest.raises(ImageError, match="made with sketches none, and sketches pencil-2"):
        matcher.match(probe, gallery, index=index, mode="synthesis", given_as="sketch")
    with pytest.raises(ReageError, match="looks like a photo, and 'reverse' is for sketches"):
        matcher.match(probe, gallery, mode="reverse")
    with pytest.raises(ReageError, match="no kind of picture 'drawing'; use photo or sketch"):
        matcher.match(probe, gallery, given_as="drawing")
    with pytest.raises(FaceNotFound, match="No face was found in the picture"):
        matcher.match(gallery / "wall.png", gallery)
    for name in ("her.png", "darker.png"):
        (gallery / name).rename(tmp_path / name)
    with pytest.raises(FaceNotFound, match="No face was found in the 1 pictures"):
        matcher.match(tmp_path / "her.png", gallery)
    (gallery / "wall.png").unlink()
    with pytest.raises(ImageError, match="holds no pictures"):
        matcher.match(tmp_path / "her.png", gallery)
    with pytest.raises(ImageError, match="There is no folder"):
        matcher.match(tmp_path / "her.png", gallery / "none")


def test_modes_suit_the_kind() -> None:
    assert choose_mode(None, "photo") == "direct"
    assert choose_mode("reverse", "sketch") == "reverse"
    with pytest.raises(ReageError, match="no way to match 'best'"):
        choose_mode("best", "sketch")
