import subprocess
import sys

import numpy as np
import pytest

from reage.errors import ImageError
from reage.images import load_image
from tests.images.pictures import MAKE, assert_one_sentence, make_pixels, write_tiff

STARTS = {
    "Fujifilm": b"FUJIFILMCCD-RAW 0201FF389501",
    "Olympus": b"IIRO\x08\0\0\0",
    "Panasonic": b"IIU\0\x18\0\0\0",
    "Sigma": b"FOVb\0\0\x02\0",
    "Minolta": b"\0MRM\0\0\0\0",
    "Canon": b"\0\0\0\x18ftypcrx \0\0\0\x01",
}


def refuse(path):
    """The refusal of a file where rawpy is not installed."""
    script = """
import sys
sys.modules["rawpy"] = None
from reage.errors import ImageError
from reage.images import load_image
try:
    load_image(sys.argv[1])
except ImageError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("brand", STARTS)
def test_raw_files_are_told_by_how_they_start(tmp_path, brand, monkeypatch):
    monkeypatch.setitem(sys.modules, "rawpy", None)
    (tmp_path / "a.jpg").write_bytes(STARTS[brand] + bytes(200))
    with pytest.raises(ImageError) as refusal:
        load_image(tmp_path / "a.jpg")
    assert_one_sentence(refusal, f"{brand} raw", "thumbnail", ".tif", "reage[raw]")


@pytest.mark.parametrize(
    ("tags", "kind"),
    [
        ({50706: (1, 4)}, "DNG"),
        ({254: 1, MAKE: "NIKON CORPORATION"}, "Nikon raw"),
        ({254: 1, MAKE: "SONY"}, "Sony raw"),
        ({262: 32803}, "raw"),
        ({262: 34892, MAKE: "Leica Camera"}, "Leica raw"),
    ],
)
def test_raw_files_are_told_by_their_tags(tmp_path, tags, kind, monkeypatch):
    monkeypatch.setitem(sys.modules, "rawpy", None)
    write_tiff(tmp_path / "a.tif", make_pixels(), tags=tags)
    with pytest.raises(ImageError) as refusal:
        load_image(tmp_path / "a.tif")
    assert_one_sentence(refusal, f"({kind})", "thumbnail")


def test_a_plain_tiff_is_no_raw_file_whatever_its_name(tmp_path):
    write_tiff(tmp_path / "a.dng", make_pixels(), tags={254: 0})
    np.testing.assert_array_equal(load_image(tmp_path / "a.dng").pixels, make_pixels())


def test_the_advice_names_the_file_and_the_extra(tmp_path):
    write_tiff(tmp_path / "a.dng", make_pixels(), tags={50706: (1, 4)})
    text = refuse(tmp_path / "a.dng")
    assert "a.dng" in text
    assert "pip install 'reage[raw]'" in text


def test_a_raw_file_is_developed(tmp_path):
    pytest.importorskip("rawpy")
    sensor = np.random.default_rng(0).integers(200, 4000, (60, 80, 1)).astype(np.uint16)
    write_tiff(tmp_path / "a.dng", sensor, tags=DNG_TAGS)
    image = load_image(tmp_path / "a.dng")
    assert image.deep.shape == (80, 60, 3)
    assert image.deep.dtype == np.uint16
    assert "DNG" in image.notes[0]
    assert b"Leica" in image.exif


def test_a_raw_file_that_cannot_be_developed_is_refused(tmp_path):
    pytest.importorskip("rawpy")
    (tmp_path / "a.raf").write_bytes(STARTS["Fujifilm"] + bytes(200))
    with pytest.raises(ImageError) as refusal:
        load_image(tmp_path / "a.raf")
    assert_one_sentence(refusal, "Fujifilm raw", "rawpy cannot read")


DNG_TAGS = {
    50706: bytes([1, 4, 0, 0]), 50708: "Leica M", MAKE: "Leica", 262: 32803, 33421: (2, 2),
    33422: bytes([0, 1, 1, 2]), 274: 6,
}  # fmt: skip
