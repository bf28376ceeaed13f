"""`reage age` on files of more than 8 bits, of several frames, with metadata, and too large: what it says and keeps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from reage.images import Image, load_image, save_image
from tests.cli.commands import assert_refused, call, files_in
from tests.cli.conftest import make_photo

NO_CHANGE = ("--engine", "none")


def save_animation(path: Path) -> None:
    frames = [np.ascontiguousarray(np.roll(make_photo(), shift, axis=1)) for shift in (0, 2, 4)]
    first, *others = [Image(pixels=frame, duration_ms=80) for frame in frames]
    save_image(Image(**{**vars(first), "more": tuple(others), "loop": 0}), path, altered=False)


def test_an_animation_stays_one(desk: Path) -> None:
    save_animation(Path("walk.webp"))
    done = call("age", "walk.webp", "--to", 75)
    assert done.exit_code == 0, done.output
    assert "3 faces of 3 frames aged from" in done.stdout
    assert done.stderr == ""
    aged = load_image("walk-75.webp", frame=None)
    assert [frame.duration_ms for frame in aged.frames] == [80, 80, 80]
    before = load_image("walk.webp", frame=None)
    for old, new in zip(before.frames, aged.frames, strict=True):
        assert np.abs(old.pixels.astype(int) - new.pixels)[80:160, 90:165].mean() > 2


def test_one_frame_is_aged_and_noted(desk: Path) -> None:
    save_animation(Path("walk.webp"))
    done = call("age", "walk.webp", "--to", 75, "--frame", 2, "-o", "second.jpg", *NO_CHANGE)
    assert done.exit_code == 0, done.output
    assert done.stderr == "Note: The file has 3 frames, of which this is number 2.\n"
    assert load_image("second.jpg").pixels.shape == (256, 256, 3)


def test_frames_that_would_be_lost_are_refused_before_the_work(desk: Path) -> None:
    save_animation(Path("walk.webp"))
    for arguments in (
        ("-o", "walk.jpg"),
        ("--frame", 4),
        ("--layers", "layers"),
        ("--box", "90,60,180,160"),
        ("--max-megapixels", 0.1),
    ):
        assert_refused(desk, "age", "walk.webp", "--to", 75, *arguments)
    assert_refused(desk, "age", "photos", "--to", 75, "-o", "aged", "--frame", 1)


def test_16_bits_go_in_and_16_bits_come_out(desk: Path) -> None:
    deep = make_photo() * np.uint16(256) + np.uint16(77)
    save_image(Image(pixels=make_photo(), deep=deep), "me.tif", altered=False)
    assert call("age", "me.tif", "--to", 75).stderr == ""
    aged = load_image("me-75.tif").deep
    assert aged is not None
    assert aged.dtype == np.uint16
    np.testing.assert_array_equal(aged[240:], deep[240:])
    assert len(np.unique(aged & 255)) > 200
    assert call("age", "me.tif", "--to", 75, "-o", "me.jpg", *NO_CHANGE).stderr == (
        "Note: .jpg cannot keep the 16 bits per channel; .png or .tif can.\n"
    )


def test_what_the_format_cannot_keep_is_said_and_in_the_json(desk: Path) -> None:
    image = Image(pixels=make_photo(), texts={"Title": "Grandma"}, dpi=(300, 300))
    save_image(image, "me.png", altered=False)
    done = call("age", "me.png", "--to", 75, "-o", "me.jpg", "--json", *NO_CHANGE)
    note = ".jpg cannot keep the texts (Title); .png can."
    assert done.stderr == f"Note: {note}\n"
    assert json.loads(done.stdout)["notes"] == [note]
    assert load_image("me.jpg").dpi == (300, 300)


def test_notes_of_a_folder_name_the_photo(desk: Path) -> None:
    photo = PIL.Image.fromarray(make_photo()).convert("CMYK")
    photo.save("photos/press.jpg")
    done = call("age", "photos", "--to", 75, "-o", "aged", "--jobs", 1, *NO_CHANGE)
    assert done.exit_code == 0, done.output
    assert "Note: press.jpg: It is converted from CMYK to sRGB." in done.stderr
    Path("photos/press.jpg").unlink()


@pytest.mark.parametrize(("to", "used", "engine"), [(3, 5, "exemplar"), (5, 25, "deaging")])
def test_the_age_really_used_is_named_and_said(desk: Path, to: float, used: float, engine: str) -> None:
    done = call("age", "photos/me.png", "--to", to, "--engine", engine, "--json")
    assert done.exit_code == 0, done.output
    values = json.loads(done.stdout)
    assert values["output"] == f"me-{used}.png"
    assert values["faces"][0]["plan"]["age"] == used
    assert f"instead of {to} it uses {used}" in values["notes"][0]
    assert done.stderr == f"Note: {values['notes'][0]}\n"
    assert files_in(desk) == {"photos", "photos/me.png", f"me-{used}.png"}


def test_a_sweep_beyond_the_engine_makes_each_age_once(desk: Path) -> None:
    done = call("age", "photos/me.png", "--sweep", "10:25:5", "--engine", "amgan")
    assert done.exit_code == 0, done.output
    assert "instead of 10, 15 it uses 18, 18" in done.stderr
    assert files_in(desk) == {"photos", "photos/me.png", "me-18.png", "me-20.png", "me-25.png", "me-18-25.png"}


def test_pictures_too_large_are_told_what_they_need(desk: Path) -> None:
    done = call("age", "photos/me.png", "--to", 75, "--max-megapixels", 0.05)
    assert done.exit_code == 2
    assert "more than the 0.05 megapixels that are allowed" in done.stderr
    assert "--max-megapixels" in done.stderr
    folder = call("age", "photos", "--to", 75, "-o", "aged", "--max-megapixels", 0.05, "--jobs", 1, *NO_CHANGE)
    assert folder.exit_code == 1
    assert "0.05 megapixels" in folder.stderr


def test_a_raw_file_and_gif_and_jpeg_2000(desk: Path) -> None:
    for name in ("me.gif", "me.jp2"):
        save_image(Image(pixels=make_photo()), name, altered=False)
        done = call("age", name, "--to", 75, *NO_CHANGE)
        assert done.exit_code == 0, done.output
        assert Path(f"me-75{Path(name).suffix}").is_file()
    Path("me.raf").write_bytes(b"FUJIFILMCCD-RAW " + bytes(200))
    assert_refused(desk, "age", "me.raf", "--to", 75)
