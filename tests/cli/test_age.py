"""`reage age`: photos, sweeps and folders, every refusal; nothing is left behind or overwritten."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reage.engines import DEFAULT_ENGINE, load_engine
from reage.images import geometry, load_image
from reage.measure import AgeEstimator
from reage.types import Pixels, Reading
from reage.zones import ZONE_PRESETS
from tests.cli.commands import assert_refused, call, files_in

NO_CHANGE = ("--engine", "none")
FACE_ROWS, FACE_COLUMNS = slice(80, 160), slice(90, 165)
"""Of the face in the photo."""


# age


def test_aged_photo_goes_to_the_current_folder(desk: Path) -> None:
    done = call("age", "photos/me.png", "--to", 75)
    assert done.exit_code == 0, done.output
    assert "me-75.png" in done.stdout
    assert done.stderr == ""
    assert files_in(desk) == {"photos", "photos/me.png", "me-75.png"}
    source, aged = load_image("photos/me.png"), load_image("me-75.png")
    change = np.abs(aged.pixels.astype(int) - source.pixels).max(-1)
    assert change[FACE_ROWS, FACE_COLUMNS].mean() > 2
    assert change[240:].max() == 0
    assert b"compositeWithTrainedAlgorithmicMedia" in (aged.xmp or b"")


def test_the_engine_none_returns_the_photo(desk: Path) -> None:
    done = call("age", "photos/me.png", "--to", 75, *NO_CHANGE, "-o", "same.png")
    assert done.exit_code == 0, done.output
    np.testing.assert_array_equal(load_image("same.png").pixels, load_image("photos/me.png").pixels)


def test_json_is_all_there_is_on_stdout(desk: Path) -> None:
    done = call(
        *("age", "photos/me.png", "--to", 75, "--from", 40, "--zones", "crows_feet=0.9,forehead=0.2"),
        *("--strength", 0.5, "--seed", 3, "-o", "out.webp", "--json"),
    )
    assert done.exit_code == 0, done.output
    values = json.loads(done.stdout)
    assert (values["input"], values["output"], values["engine"]) == ("photos/me.png", "out.webp", DEFAULT_ENGINE)
    plan = values["faces"][0]["plan"]
    assert (plan["age"], plan["age_from"], plan["strength"], plan["seed"]) == (75, 40, 0.5, 3)
    assert plan["zones"].items() >= {"forehead": 0.2, "crows_feet.left": 0.9, "crows_feet.right": 0.9}.items()
    assert Path("out.webp").is_file()


@pytest.mark.parametrize("zones", ["all=0.9", *ZONE_PRESETS])
def test_zones_alone_are_enough(zones: str, desk: Path) -> None:
    done = call("age", "photos/me.png", "--zones", zones, *NO_CHANGE)
    assert done.exit_code == 0, done.output
    assert Path("me-aged.png").is_file()


def test_older_result_is_replaced(desk: Path) -> None:
    Path("me-75.png").write_text("an older result")
    assert call("age", "photos/me.png", "--to", 75, *NO_CHANGE).exit_code == 0
    assert load_image("me-75.png").pixels.shape == (256, 256, 3)


@pytest.mark.parametrize(("which", "count"), [("all", 2), ("largest", 1), ("2", 1), ("1,2", 2)])
def test_faces_can_be_chosen(pair: Path, which: str, count: int) -> None:
    done = call("age", pair, "--to", 75, "--face", which, "--json", *NO_CHANGE)
    assert done.exit_code == 0, done.output
    faces = json.loads(done.stdout)["faces"]
    assert len(faces) == count
    assert (faces[0]["box"][0] > 256) == (which == "2")


def test_a_face_can_be_given_by_hand(pair: Path) -> None:
    done = call("age", pair, "--to", 75, "--box", "310,60,430,180", "--json")
    assert done.exit_code == 0, done.output
    (face,) = json.loads(done.stdout)["faces"]
    assert face["box"][0] > 256
    source, aged = load_image(pair), load_image("pair-75.png")
    change = np.abs(aged.pixels.astype(int) - source.pixels).max(-1)
    assert change[:, :256].max() == 0
    assert change[:, 256:].max() > 10
    by_number = call("age", pair, "--to", 75, "--face", 2, "-o", "second.png")
    assert by_number.exit_code == 0, by_number.output
    difference = np.abs(load_image("second.png").pixels.astype(int) - aged.pixels)
    assert difference.mean() < 0.3 * change.mean()


def test_a_target_beyond_the_engine_is_noted(desk: Path) -> None:
    youngest, _ = load_engine(DEFAULT_ENGINE).ages
    assert youngest > 1
    done = call("age", "photos/me.png", "--to", 1)
    assert done.exit_code == 0, done.output
    assert done.stderr.startswith("Note: ")
    assert f"it uses {youngest:g}" in done.stderr
    assert done.stderr.count("\n") == 1


# Masks and layers


@pytest.fixture
def halves(desk: Path, write: Callable[[Pixels, Path], Path]) -> tuple[Path, Path]:
    """Masks of the photo's size: white on the left of the middle, and white in the uppermost 100 rows."""
    left, upper = np.zeros((2, 256, 256, 3), np.uint8)
    left[:, :128] = upper[:100] = 255
    return write(left, desk / "left.png"), write(upper, desk / "upper.png")


def test_mask_and_protect_keep_every_bit(desk: Path, halves: tuple[Path, Path]) -> None:
    options = {"whole": (), "left": ("--mask", "left.png"), "both": ("--mask", "left.png", "--protect", "upper.png")}
    shown = {}
    for name, masks in options.items():
        done = call("age", "photos/me.png", "--to", 75, "-o", f"{name}-75.png", *masks)
        assert done.exit_code == 0, done.output
        shown[name] = load_image(f"{name}-75.png").pixels
    source = load_image("photos/me.png").pixels
    np.testing.assert_array_equal(shown["left"][:, :128], shown["whole"][:, :128])
    np.testing.assert_array_equal(shown["left"][:, 128:], source[:, 128:])
    np.testing.assert_array_equal(shown["both"][100:, :128], shown["whole"][100:, :128])
    np.testing.assert_array_equal(shown["both"][:100], source[:100])
    assert (shown["both"] != source).any()


def test_a_mask_of_another_size_is_refused_with_both_sizes(desk: Path, write: Callable[[Pixels, Path], Path]) -> None:
    write(np.zeros((40, 60, 3), np.uint8), desk / "small.png")
    assert_refused(desk, "age", "photos/me.png", "--to", 70, "--mask", "small.png")
    done = call("age", "photos/me.png", "--to", 70, "--protect", "small.png")
    assert "60 x 40 px" in done.stderr
    assert "256 x 256 px" in done.stderr


def test_masks_are_not_overwritten(desk: Path, halves: tuple[Path, Path]) -> None:
    assert_refused(desk, "age", "photos/me.png", "--to", 70, "--mask", "left.png", "-o", "left.png")
    assert_refused(desk, "age", "photos/me.png", "--sweep", "20:80:60", "--protect", "upper.png", "-o", "upper.png")
    halves[0].rename(desk / "mask.png")
    assert_refused(desk, "age", "photos/me.png", "--to", 70, "--mask", "mask.png", "--layers", ".")


def test_a_sweep_takes_a_mask(desk: Path, halves: tuple[Path, Path]) -> None:
    done = call("age", "photos/me.png", "--sweep", "30:70:40", "--mask", "left.png")
    assert done.exit_code == 0, done.output
    source = load_image("photos/me.png").pixels
    for name in ("me-30.png", "me-70.png"):
        pixels = load_image(name).pixels
        np.testing.assert_array_equal(pixels[:, 128:], source[:, 128:])
        assert (pixels != source).any()


def test_layers_are_written_beside_the_result(desk: Path, halves: tuple[Path, Path]) -> None:
    done = call("age", "photos/me.png", "--to", 75, "--layers", "layers", "--protect", "upper.png", "-o", "out.png")
    assert done.exit_code == 0, done.output
    assert done.stdout.endswith(": out.png, layers in layers\n")
    names = {"moved.png", "gain.tiff", "added.tiff", "skin.png", "hair.png", "mask.png", "README.txt"}
    assert files_in(desk / "layers") == names
    np.testing.assert_array_equal(load_image("layers/mask.png").pixels, 255 - load_image("upper.png").pixels)
    photo, moved = (load_image(file).pixels.astype(int) for file in ("photos/me.png", "layers/moved.png"))
    assert 0 < (moved != photo).any(-1).mean() < 0.5
    again = call("age", "photos/me.png", "--to", 75, "--layers", "layers", "-o", "out.png", "--json")
    assert json.loads(again.stdout)["layers"] == "layers"
    assert load_image("layers/mask.png").pixels.min() == 255
    assert files_in(desk / "layers") == names


# Doubts


@pytest.fixture
def unsure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every face reads 38 years, within 12."""
    reading = Reading(age_years=38.0, age_std_years=12.0, masculinity=0.1)
    monkeypatch.setattr(AgeEstimator, "measure", lambda estimator, face: reading)


NOTE = "looks 38 ± 12 years, but it is read within 12 years only; give the real age with --from.\n"


@pytest.mark.usefixtures("unsure")
def test_an_age_that_may_be_read_wrong_is_noted(desk: Path) -> None:
    done = call("age", "photos/me.png", "--to", 75, *NO_CHANGE)
    assert done.exit_code == 0, done.output
    assert done.stderr == f"Note: face 1 {NOTE}"
    assert "Note" not in done.stdout
    assert Path("me-75.png").is_file()


@pytest.mark.usefixtures("unsure")
def test_each_face_has_its_note_and_json_its_doubts(pair: Path) -> None:
    done = call("age", pair, "--to", 75, "--json", *NO_CHANGE)
    assert done.exit_code == 0, done.output
    assert done.stderr == f"Note: face 1 {NOTE}Note: face 2 {NOTE}"
    assert [face["doubts"] for face in json.loads(done.stdout)["faces"]] == [["read within 12 years only"]] * 2


@pytest.mark.usefixtures("unsure")
def test_notes_number_the_faces_as_find_does(pair: Path) -> None:
    done = call("age", pair, "--to", 75, "--face", 2, *NO_CHANGE)
    assert done.stderr == f"Note: face 2 {NOTE}"
    assert (
        call("age", pair, "--to", 75, "--face", "2,1", *NO_CHANGE).stderr == f"Note: face 1 {NOTE}Note: face 2 {NOTE}"
    )


@pytest.mark.usefixtures("unsure")
def test_a_given_age_is_not_doubted(desk: Path) -> None:
    done = call("age", "photos/me.png", "--to", 75, "--from", 45, "--json", *NO_CHANGE)
    assert (done.exit_code, done.stderr) == (0, "")
    (face,) = json.loads(done.stdout)["faces"]
    assert face["doubts"] == []
    assert face["age_std_years"] == 12


def test_all_that_is_wrong_stands_in_one_line(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = Reading(age_years=7.0, age_std_years=11.0, masculinity=0.1)
    monkeypatch.setattr(AgeEstimator, "measure", lambda estimator, face: reading)
    done = call("age", "photos/me.png", "--to", 75, *NO_CHANGE)
    assert done.stderr.startswith("Note: face 1 looks 7 ± 11 years, but it is a child's and read within 11 years only;")
    assert done.stderr.count("\n") == 1


def test_a_face_that_was_read_well_has_no_doubts(desk: Path) -> None:
    done = call("age", "photos/me.png", "--to", 75, "--json", *NO_CHANGE)
    assert (done.exit_code, done.stderr) == (0, "")
    assert json.loads(done.stdout)["faces"][0]["doubts"] == []


# age --sweep


def test_sweep_writes_pictures_and_strip(desk: Path) -> None:
    done = call("age", "photos/me.png", "--sweep", "30:70:20", "--json")
    assert done.exit_code == 0, done.output
    values = json.loads(done.stdout)
    assert values["output"] == "me-30-70.png"
    assert [picture["output"] for picture in values["pictures"]] == ["me-30.png", "me-50.png", "me-70.png"]
    assert [picture["faces"][0]["plan"]["age"] for picture in values["pictures"]] == [30, 50, 70]
    assert files_in(desk) == {"photos", "photos/me.png", "me-30.png", "me-50.png", "me-70.png", "me-30-70.png"}
    strip = load_image("me-30-70.png").pixels
    assert strip.shape[1] > 3.9 * 512
    alone = call("age", "photos/me.png", "--to", 50, "-o", "alone.png")
    assert alone.exit_code == 0, alone.output
    np.testing.assert_array_equal(load_image("alone.png").pixels, load_image("me-50.png").pixels)


def test_sweep_of_two_faces_has_two_rows(pair: Path) -> None:
    Path("out").mkdir()
    done = call("age", pair, "--sweep", "30:70:40", "-o", "out/strip.jpg", *NO_CHANGE)
    assert done.exit_code == 0, done.output
    assert done.stdout.split() == ["out/pair-30.png", "out/pair-70.png", "out/strip.jpg"]
    strip = load_image("out/strip.jpg").pixels
    assert strip.shape[0] > 2 * 256
    assert strip.shape[1] > 3 * 256


def test_sweep_of_a_face_by_hand_has_one_row(pair: Path) -> None:
    done = call("age", pair, "--sweep", "30:70:40", "-o", "strip.png", "--box", "310,60,430,180", *NO_CHANGE, "--json")
    assert done.exit_code == 0, done.output
    for picture in json.loads(done.stdout)["pictures"]:
        (face,) = picture["faces"]
        assert face["box"][0] > 256
    strip = load_image("strip.png").pixels
    assert strip.shape[0] < 1.2 * 512


def test_interrupt_leaves_nothing(desk: Path) -> None:
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); import reage.cli; reage.cli.main()"
    arguments = ["age", "photos/me.png", "--sweep", "1:100:1", *NO_CHANGE]
    running = subprocess.Popen([sys.executable, "-c", code, *arguments], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not any(path.is_file() for path in desk.glob(".reage-*/*")):
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    _, stderr = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Traceback" not in stderr
    assert files_in(desk) == {"photos", "photos/me.png"}


# Pipes


def pipe(desk: Path, *arguments: object, stdin: bytes) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "reage", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, cwd=desk)


@pytest.mark.parametrize("output", [(), ("-o", "-"), ("-o", "out.png")])
def test_a_photo_comes_through_a_pipe(desk: Path, output: tuple[str, ...]) -> None:
    done = pipe(desk, "age", "-", "--to", 75, *NO_CHANGE, *output, stdin=Path("photos/me.png").read_bytes())
    assert (done.returncode, done.stderr) == (0, b"")
    if "out.png" not in output:
        Path("out.png").write_bytes(done.stdout)
    np.testing.assert_array_equal(load_image("out.png").pixels, load_image("photos/me.png").pixels)
    assert files_in(desk) == {"photos", "photos/me.png", "out.png"}


def test_standard_output_has_the_format_of_the_photo(desk: Path) -> None:
    Path("me.webp").write_bytes(b"")
    load_image("photos/me.png").save("me.webp", altered=False)
    done = pipe(desk, "age", "me.webp", "--to", 75, *NO_CHANGE, "-o", "-", stdin=b"")
    assert done.stdout[8:12] == b"WEBP"


def test_devices_and_named_pipes_are_read_whole(desk: Path) -> None:
    content = Path("photos/me.png").read_bytes()
    done = pipe(desk, "age", "/dev/stdin", "--to", 75, *NO_CHANGE, "-o", "out.png", stdin=content)
    assert done.returncode == 0, done.stderr
    os.mkfifo("photo.fifo")
    running = subprocess.Popen([sys.executable, "-m", "reage", "find", "photo.fifo", "-o", "faces.png"])
    with open("photo.fifo", "wb") as fifo:
        fifo.write(content)
    assert running.wait(60) == 0
    assert files_in(desk) == {"photos", "photos/me.png", "out.png", "photo.fifo", "faces.png"}


def test_what_a_pipe_cannot_hold_is_refused(desk: Path) -> None:
    for arguments, stdin in ((("-",), b""), (("-",), b"no picture"), (("photos/me.png", "-o", "-", "--json"), b"")):
        done = pipe(desk, "age", *arguments, "--to", 75, *NO_CHANGE, stdin=stdin)
        assert (done.returncode, done.stdout) == (2, b"")
        assert done.stderr.startswith(b"Error: ")
        assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("address", ["https://example.org/me.jpg", "http://example.org/me.jpg", "s3://photos/me.jpg"])
def test_an_address_is_told_from_a_file(desk: Path, address: str) -> None:
    assert_refused(desk, "age", address, "--to", 70)
    assert "fetch it first" in call("age", address, "--to", 70).stderr
    assert "fetch it first" in call("find", address).stderr


def test_a_name_that_is_too_long_is_refused_before_the_work(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reage.cli.request.AgeRequest.load_reager", lambda request: 1 / 0)
    assert_refused(desk, "age", "photos/me.png", "--to", 70, "-o", "n" * 252 + ".png")


# Refusals


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--to", 101),
        ("--to", 0),
        ("--to", "nan"),
        ("--to", 70, "--from", 200),
        ("--to", 70, "--strength", 2),
        ("--to", 70, "--seed", -1),
        ("--to", 70, "--face", 9),
        ("--to", 70, "--face", 0),
        ("--to", 70, "--face", "mine"),
        ("--to", 70, "--face", ""),
        ("--to", 70, "--face", "1,9"),
        ("--to", 70, "--face", "1,"),
        ("--to", 70, "--face", "1,all"),
        ("--to", 70, "--mask", "missing.png"),
        ("--to", 70, "--mask", "photos/me.png"),
        ("--to", 70, "--protect", "photos/me.png"),
        ("--to", 70, "--layers", "photos/me.png"),
        ("--to", 70, "--layers", "missing/layers"),
        ("--to", 70, "--layers", "photos", "-o", "photos/skin.png"),
        ("--to", 70, "--layers", "layers", "--face", 9),
        ("--sweep", "20:80:60", "--layers", "layers"),
        ("--to", 70, "--box", "10,20,30"),
        ("--to", 70, "--box", "10,20,30,much"),
        ("--to", 70, "--box", "10,20,30,inf"),
        ("--to", 70, "--box", "180,60,70,180"),
        ("--to", 70, "--box", "300,60,400,180"),
        ("--to", 70, "--box", "0,180,70,250"),
        ("--to", 70, "--box", "70,60,180,180", "--face", "all"),
        ("--sweep", "20:80:60", "--box", "0,180,70,250"),
        ("--to", 70, "--engine", "magic"),
        ("--to", 70, "--device", "warp"),
        ("--zones", "nose=0.5"),
        ("--zones", "forehead"),
        ("--zones", "forehead=much"),
        ("--zones", "forehead=1.5"),
        ("--zones", ""),
        ("--to", 70, "--guidance-scale", 3),
        ("--to", 70, "--engine", "ldla", "--guidance-scale", 50),
        ("--to", 70, "--engine", "ldla", "--base", "nowhere"),
        ("--to", 70, "--weights", "none.safetensors"),
        ("--sweep", "20-80"),
        ("--sweep", "20:80:x"),
        ("--sweep", "80:20:10"),
        ("--sweep", "20:80:0"),
        ("--sweep", "1:100:0.5"),
        ("--sweep", "0:80:10"),
        ("--sweep", "20:120:10"),
        ("--sweep", "20:80:10", "--to", 70),
        ("--sweep", "20:80:60", "-o", "me-80.png"),
        ("--sweep", "20:80:60", "-o", "photos/x.png", "--face", 9),
        ("--to", 70, "-o", "photos/me.png"),
        ("--to", 70, "-o", "missing/me.png"),
        ("--to", 70, "-o", "photos"),
        ("--to", 70, "-o", "me.txt"),
        ("--to", 70, "-o", "me"),
    ],
)
def test_unusable_options_are_refused(desk: Path, options: tuple[object, ...]) -> None:
    assert_refused(desk, "age", "photos/me.png", *options)


def test_sampling_options_are_refused_before_a_base_is_read(desk: Path) -> None:
    done = call("age", "photos/me.png", "--to", 70, "--engine", "ldla", "--base", "nowhere", "--guidance-scale", 50)
    assert done.exit_code == 2
    assert "guidance scale is 50" in done.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("photos", "--to", 70),
        ("photos", "--to", 70, "-o", "photos"),
        ("photos", "--to", 70, "-o", "photos/me.png"),
        ("photos", "--to", 70, "-o", "photos/me.png/aged"),
        ("photos", "--to", 70, "-o", "aged", "--engine", "magic"),
        ("photos", "--sweep", "20:80:10", "-o", "aged"),
        ("photos", "--to", 70, "-o", "aged", "--box", "70,60,180,180"),
        ("photos", "--to", 70, "-o", "aged", "--mask", "photos/me.png"),
        ("photos", "--to", 70, "-o", "aged", "--protect", "photos/me.png"),
        ("photos", "--to", 70, "-o", "aged", "--layers", "layers"),
        ("empty", "--to", 70, "-o", "aged"),
    ],
)
def test_unusable_folder_is_refused(desk: Path, options: tuple[object, ...]) -> None:
    (desk / "empty").mkdir()
    assert_refused(desk, "age", *options)


# References


@pytest.fixture
def youth(desk: Path, write: Callable[[Pixels, Path], Path]) -> Path:
    """A folder of photos: the person in another light, somebody of other proportions, and a wall."""
    person = load_image("photos/me.png").pixels
    folder = desk / "youth"
    folder.mkdir()
    bright = np.clip(person[:, ::-1] * 1.15, 0, 255).astype(np.uint8)
    write(np.ascontiguousarray(bright), folder / "me.png")
    write(geometry.resize(person, 150, 256), folder / "other.png")
    write(np.full((64, 64, 3), 90, np.uint8), folder / "wall.png")
    return folder


def test_references_are_told_and_change_the_result(desk: Path, youth: Path) -> None:
    assert call("age", "photos/me.png", "--to", 25, "-o", "without.png").exit_code == 0
    done = call("age", "photos/me.png", "--to", 25, "--reference", "youth", "-o", "with.png", "--json")
    assert done.exit_code == 0, done.output
    assert done.stderr == (
        "Note: face 1 is aged by 1 of 3 references; left out: other.png (it shows another person), "
        "wall.png (no face was found in it).\n"
    )
    used, other, wall = json.loads(done.stdout)["faces"][0]["references"]
    assert (used["file"], used["used"]) == ("youth/me.png", True)
    assert used["identity_distance"] < 0.4
    assert 20 < used["age_years"] < 70
    assert (other["used"], other["left_out"]) == (False, "it shows another person")
    assert "age_years" not in wall
    without, with_references = (load_image(name).pixels for name in ("without.png", "with.png"))
    assert (without != with_references).any()


def test_references_serve_a_sweep_and_a_folder(desk: Path, youth: Path) -> None:
    done = call("age", "photos/me.png", "--sweep", "25:30:5", "--reference", youth / "me.png", "-o", "strip.png")
    assert done.exit_code == 0, done.output
    done = call("age", "photos", "--to", 25, "--reference", youth / "me.png", "-o", "out", "--json")
    assert done.exit_code == 0, done.output
    (picture,) = json.loads(done.stdout)["pictures"]
    assert picture["faces"][0]["references"][0]["used"] is True
    np.testing.assert_array_equal(load_image("out/me.png").pixels, load_image("me-25.png").pixels)


def test_wrong_references_are_refused(desk: Path, youth: Path) -> None:
    for wrong in (youth / "other.png", youth / "wall.png", "nowhere", "photos/none.png"):
        assert_refused(desk, "age", "photos/me.png", "--to", 25, "--reference", wrong)
    assert_refused(desk, "age", "photos/me.png", "--to", 25, "--reference", youth, *NO_CHANGE)


# Skin


def test_skin_alone_is_changed_and_its_mistakes_are_refused(me: Path) -> None:
    done = call("age", me, "--skin", "redness=0.95", "-o", "red.png")
    assert done.exit_code == 0, done.output
    assert "changed redness" in done.stdout
    for wish, words in (("freckles=0.5", "dark_spots or redness"), ("redness=2", "0 to 1"), ("redness", "NAME=SCORE")):
        refused = call("age", me, "--skin", wish, "-o", "no.png")
        assert refused.exit_code == 2
        assert words in " ".join(refused.stderr.split())
    other = call("age", me, "--skin", "redness=0.5", "--engine", "deaging", "-o", "no.png")
    assert other.exit_code == 2
    assert "cannot change redness" in other.stderr
    assert not Path("no.png").exists()
