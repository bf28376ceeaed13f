"""Which files of a folder are photos, what their results are called, what is left out and why."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from reage.errors import ImageError
from reage.folders import Listing, list_folder, list_photos


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with an empty folder `photos`."""
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name: str, file_format: str = "JPEG") -> Path:
    path = Path("photos", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(np.full((32, 32, 3), 99, np.uint8)).save(path, format=file_format)
    return path


def outputs(listing: Listing) -> dict[str, str]:
    """Names of photos and their results, below their folders."""
    return {str(photo.source.relative_to("photos")): str(photo.output.relative_to("aged")) for photo in listing.photos}


@pytest.mark.parametrize("name", ["a.jfif", "a.JPE", "a.mpo", "a.heif", "a.jpg", "a.TIFF"])
def test_every_suffix_of_a_picture_counts(folder: Path, name: str) -> None:
    write(name)
    assert outputs(list_folder("photos", "aged")) == {name: name}


def test_files_without_a_suffix_count_by_their_content(folder: Path) -> None:
    write("scan")
    write("drawing", "PNG")
    Path("photos/README").write_text("no picture")
    listing = list_folder("photos", "aged")
    assert outputs(listing) == {"drawing": "drawing.png", "scan": "scan.jpg"}
    assert listing.skipped == ((Path("photos/README"), "no picture by its content"),)


def test_no_two_results_have_one_name(folder: Path) -> None:
    for name in ("scan", "scan.jpg", "scan-2.jpg"):
        write(name)
    assert outputs(list_folder("photos", "aged")) == {
        "scan": "scan-3.jpg",
        "scan.jpg": "scan.jpg",
        "scan-2.jpg": "scan-2.jpg",
    }


def test_a_long_name_without_a_suffix_is_shortened(folder: Path) -> None:
    write("n" * 255)
    (result,) = outputs(list_folder("photos", "aged")).values()
    assert len(result) == 255
    assert result.endswith(".jpg")


def test_what_is_left_out_is_named_with_its_reason(folder: Path) -> None:
    write("me.jpg")
    write("inside/you.jpg")
    write(".hidden.jpg")
    Path("photos/notes.txt").write_text("no picture")
    Path("photos/gone.jpg").symlink_to("nowhere.jpg")
    os.mkfifo("photos/pipe.jpg")
    Path("photos/.reage-0-0-0.jpg").touch()
    listing = list_folder("photos", "aged")
    assert outputs(listing) == {"me.jpg": "me.jpg"}
    assert {path.name: reason for path, reason in listing.skipped} == {
        ".hidden.jpg": "hidden",
        "gone.jpg": "a broken link",
        "inside": "a folder, which --recursive looks into",
        "notes.txt": "no picture by its suffix .txt",
        "pipe.jpg": "no file",
    }


def test_a_tree_is_kept_and_the_results_inside_are_not_aged_again(folder: Path) -> None:
    for name in ("me.jpg", "2001/me.jpg", "2001/summer/scan", "aged/old.jpg", ".cache/me.jpg"):
        write(name)
    Path("photos/loop").symlink_to(Path("photos").resolve())
    listing = list_folder("photos", "photos/aged", recursive=True)
    assert [str(photo.output.relative_to("photos/aged")) for photo in listing.photos] == [
        "2001/me.jpg",
        "2001/summer/scan.jpg",
        "me.jpg",
    ]
    assert {path.name: reason for path, reason in listing.skipped} == {".cache": "hidden", "loop": "a link to a folder"}


@pytest.mark.parametrize(
    ("source", "output", "message"),
    [
        ("photos", "photos", "folder that is read"),
        ("photos", "photos/me.jpg", "is a file"),
        ("photos", "photos/me.jpg/aged", "is a file"),
        ("photos", "/proc/aged", "could not be written"),
        ("photos", "n" * 256, "256 bytes"),
        ("missing", "aged", "cannot be read"),
        ("empty", "aged", "--recursive"),
    ],
)
def test_unusable_folders_are_refused_before_the_work(folder: Path, source: str, output: str, message: str) -> None:
    write("me.jpg")
    Path("empty").mkdir()
    before = sorted(folder.rglob("*"))
    with pytest.raises(ImageError, match=message):
        list_folder(source, output)
    assert sorted(folder.rglob("*")) == before


def test_photos_of_one_name_are_refused(folder: Path) -> None:
    assert [photo.output for photo in list_photos(["a/me.jpg", "b/you.jpg"], "aged").photos] == [
        Path("aged/me.jpg"),
        Path("aged/you.jpg"),
    ]
    with pytest.raises(ImageError, match=r"called 'me\.png'"):
        list_photos(["photos/me.png", "more/me.png"], "aged")
