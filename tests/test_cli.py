"""The command line: every command, every refusal, and that nothing is ever left behind or written over."""

from __future__ import annotations

import json
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from typer.testing import CliRunner

from reage.cli import app
from reage.cli.request import parse_sweep
from reage.engines import DEFAULT_ENGINE, ENGINES, load_engine
from reage.images import Image, geometry, load_image, save_image
from reage.types import Pixels
from reage.zones import ZONE_PRESETS, ZONES

IDENTITY = ("--engine", "identity")
FACE_ROWS, FACE_COLUMNS = slice(80, 160), slice(90, 165)
"""Of the face in the photo."""


def make_photo() -> Pixels:
    """(256, 256, 3) head and shoulders out of the demo photo."""
    return skimage.data.astronaut()[:256, 96:352].copy()


def call(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def write(pixels: Pixels, path: Path) -> Path:
    save_image(Image(pixels=pixels), path, altered=False)
    return path


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with photos/me.png in it; nothing may change the photos."""
    (tmp_path / "photos").mkdir()
    write(make_photo(), tmp_path / "photos" / "me.png")
    monkeypatch.chdir(tmp_path)
    before = (tmp_path / "photos" / "me.png").read_bytes()
    yield tmp_path
    assert (tmp_path / "photos" / "me.png").read_bytes() == before


@pytest.fixture
def pair(desk: Path) -> Path:
    """A photo with two faces, the second smaller."""
    person = make_photo()
    smaller = np.full_like(person, person[0, 0])
    smaller[20:220, 20:220] = geometry.resize(person, 200, 200)
    return write(np.hstack([person, smaller]), desk / "pair.png")


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


def test_identity_returns_the_photo(desk: Path) -> None:
    done = call("age", "photos/me.png", "--to", 75, *IDENTITY, "-o", "same.png")
    assert done.exit_code == 0, done.output
    np.testing.assert_array_equal(load_image("same.png").pixels, load_image("photos/me.png").pixels)


def test_json_is_all_there_is_on_stdout(desk: Path) -> None:
    done = call(
        *("age", "photos/me.png", "--to", 75, "--from", 40, "--zones", "crows_feet=0.9,forehead=0.2"),
        *("--strength", 0.5, "--seed", 3, "-o", "out.webp", "--json"),
    )
    assert done.exit_code == 0, done.output
    story = json.loads(done.stdout)
    assert (story["input"], story["output"], story["engine"]) == ("photos/me.png", "out.webp", DEFAULT_ENGINE)
    plan = story["faces"][0]["plan"]
    assert (plan["age"], plan["age_from"], plan["strength"], plan["seed"]) == (75, 40, 0.5, 3)
    assert plan["zones"].items() >= {"forehead": 0.2, "crows_feet.left": 0.9, "crows_feet.right": 0.9}.items()
    assert Path("out.webp").is_file()


@pytest.mark.parametrize("zones", ["all=0.9", *ZONE_PRESETS])
def test_zones_alone_are_an_order(zones: str, desk: Path) -> None:
    done = call("age", "photos/me.png", "--zones", zones, *IDENTITY)
    assert done.exit_code == 0, done.output
    assert Path("me-aged.png").is_file()


def test_older_result_is_replaced(desk: Path) -> None:
    Path("me-75.png").write_text("an older result")
    assert call("age", "photos/me.png", "--to", 75, *IDENTITY).exit_code == 0
    assert load_image("me-75.png").pixels.shape == (256, 256, 3)


@pytest.mark.parametrize(("which", "count"), [("all", 2), ("largest", 1), ("2", 1)])
def test_faces_can_be_chosen(pair: Path, which: str, count: int) -> None:
    done = call("age", pair, "--to", 75, "--face", which, "--json", *IDENTITY)
    assert done.exit_code == 0, done.output
    faces = json.loads(done.stdout)["faces"]
    assert len(faces) == count
    assert (faces[0]["box"][0] > 256) == (which == "2")


def test_target_beyond_the_engine_is_told(desk: Path) -> None:
    youngest, _ = load_engine(DEFAULT_ENGINE).ages
    assert youngest > 1
    done = call("age", "photos/me.png", "--to", 1)
    assert done.exit_code == 0, done.output
    assert done.stderr.startswith("Note: ")
    assert f"it uses {youngest:g}" in done.stderr
    assert done.stderr.count("\n") == 1


# age --sweep


def test_sweep_writes_pictures_and_strip(desk: Path) -> None:
    done = call("age", "photos/me.png", "--sweep", "30:70:20", "--json")
    assert done.exit_code == 0, done.output
    story = json.loads(done.stdout)
    assert story["output"] == "me-30-70.png"
    assert [picture["output"] for picture in story["pictures"]] == ["me-30.png", "me-50.png", "me-70.png"]
    assert [picture["faces"][0]["plan"]["age"] for picture in story["pictures"]] == [30, 50, 70]
    assert files_in(desk) == {"photos", "photos/me.png", "me-30.png", "me-50.png", "me-70.png", "me-30-70.png"}
    strip = load_image("me-30-70.png").pixels
    assert strip.shape[1] > 3.9 * 512
    alone = call("age", "photos/me.png", "--to", 50, "-o", "alone.png")
    assert alone.exit_code == 0, alone.output
    np.testing.assert_array_equal(load_image("alone.png").pixels, load_image("me-50.png").pixels)


def test_sweep_of_two_faces_has_two_rows(pair: Path) -> None:
    Path("out").mkdir()
    done = call("age", pair, "--sweep", "30:70:40", "-o", "out/strip.jpg", *IDENTITY)
    assert done.exit_code == 0, done.output
    assert done.stdout.split() == ["out/pair-30.png", "out/pair-70.png", "out/strip.jpg"]
    strip = load_image("out/strip.jpg").pixels
    assert strip.shape[0] > 2 * 256
    assert strip.shape[1] > 3 * 256


@pytest.mark.parametrize(
    ("text", "ages"),
    [("20:80:30", (20, 50, 80)), ("20:79:30", (20, 50)), ("40:40:5", (40,)), ("20.5:21.5:0.5", (20.5, 21, 21.5))],
)
def test_sweep_ages(text: str, ages: tuple[float, ...]) -> None:
    assert parse_sweep(text) == ages


def test_interrupt_leaves_nothing(desk: Path) -> None:
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); import reage.cli; reage.cli.main()"
    arguments = ["age", "photos/me.png", "--sweep", "1:100:1", *IDENTITY]
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


# age FOLDER


def test_folder_goes_on_after_a_bad_file(desk: Path) -> None:
    write(np.full((64, 64, 3), 200, np.uint8), desk / "photos" / "nobody.png")
    (desk / "photos" / "broken.jpg").write_bytes(b"no picture")
    (desk / "photos" / "notes.txt").write_text("left out")
    done = call("age", "photos", "--to", 75, "-o", "aged/at-75", *IDENTITY)
    assert done.exit_code == 1
    assert files_in(desk / "aged") == {"at-75", "at-75/me.png"}
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["broken.jpg", "nobody.png"]
    assert "pictures failed" in done.stdout
    story = json.loads(call("age", "photos", "--to", 75, "-o", "aged/at-75", "--json", *IDENTITY).stdout)
    assert story["failed"] == 2
    assert ["error" in picture for picture in story["pictures"]] == [True, False, True]


def test_folder_without_a_bad_file_succeeds(desk: Path) -> None:
    done = call("age", "photos", "--to", 75, "-o", "aged", *IDENTITY)
    assert (done.exit_code, done.stderr) == (0, "")


# find, zones, engines


def test_find_draws_and_lists(pair: Path) -> None:
    done = call("find", pair)
    assert done.exit_code == 0, done.output
    assert "score" in done.stdout
    assert "pair-faces.png" in done.stdout
    assert load_image("pair-faces.png").pixels.shape == load_image(pair).pixels.shape


def test_find_json_has_the_68_landmarks_on_request(desk: Path) -> None:
    done = call("find", "photos/me.png", "--dense", "--json", "-o", "boxes.png")
    assert done.exit_code == 0, done.output
    story = json.loads(done.stdout)
    (face,) = story["faces"]
    assert story["output"] == "boxes.png"
    assert face["number"] == 1
    assert np.shape(face["landmarks"]) == (5, 2)
    assert np.shape(face["dense_landmarks"]) == (68, 2)


def test_zones_are_listed_and_drawn(pair: Path) -> None:
    assert all(zone in call("zones").stdout for zone in ZONES)
    story = json.loads(call("zones", "--json").stdout)
    assert story["zones"] == list(ZONES)
    assert story["groups"]["crows_feet"] == ["crows_feet.left", "crows_feet.right"]
    done = call("zones", pair)
    assert done.exit_code == 0, done.output
    drawing = load_image("pair-zones.png").pixels
    assert drawing.shape[1] > 1.7 * drawing.shape[0]


def test_engines_are_listed() -> None:
    assert all(name in call("engines").stdout for name in ENGINES)
    story = json.loads(call("engines", "--json").stdout)
    assert [engine["name"] for engine in story["engines"]] == list(ENGINES)
    assert [engine["name"] for engine in story["engines"] if engine["default"]] == [DEFAULT_ENGINE]
    assert all({"summary", "accepts", "ages", "weights_hash"} <= engine.keys() for engine in story["engines"])


# help


@pytest.mark.parametrize("command", [(), ("age",), ("find",), ("engines",), ("zones",)])
def test_help_has_an_example(command: tuple[str, ...]) -> None:
    done = call(*command, "--help")
    assert done.exit_code == 0
    assert "Example: reage " in done.stdout


def test_module_and_version() -> None:
    command = [sys.executable, "-m", "reage", "--version"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.startswith("reage ")


# Refusals


def png_of_size(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds no pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def assert_refused(desk: Path, *arguments: object) -> None:
    before = files_in(desk)
    done = call(*arguments)
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert done.stderr.startswith("Error: "), done.stderr
    assert done.stderr.endswith(".\n"), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert files_in(desk) == before


@pytest.mark.parametrize("command", [("age", "--to", 70), ("age", "--sweep", "30:70:20"), ("find",), ("zones",)])
@pytest.mark.parametrize(
    "name", ["missing.jpg", "empty.jpg", "text.jpg", "cut.png", "bomb.png", "none.png", "nobody.png"]
)
def test_unusable_picture_is_refused(desk: Path, command: tuple[object, ...], name: str) -> None:
    content = {
        "empty.jpg": b"",
        "text.jpg": b"Dear diary, today I took no photo.",
        "cut.png": (desk / "photos" / "me.png").read_bytes()[:20_000],
        "bomb.png": png_of_size(100_000, 100_000),
        "none.png": png_of_size(0, 0),
    }
    if name in content:
        Path(name).write_bytes(content[name])
    elif name == "nobody.png":
        write(np.full((64, 64, 3), 200, np.uint8), desk / name)
    assert_refused(desk, command[0], name, *command[1:])


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
        ("--to", 70, "--engine", "magic"),
        ("--to", 70, "--device", "warp"),
        ("--zones", "nose=0.5"),
        ("--zones", "forehead"),
        ("--zones", "forehead=much"),
        ("--zones", "forehead=1.5"),
        ("--zones", ""),
        ("--to", 70, "--guidance", 3),
        ("--to", 70, "--engine", "ldla", "--guidance", 50),
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
def test_unusable_order_is_refused(desk: Path, options: tuple[object, ...]) -> None:
    assert_refused(desk, "age", "photos/me.png", *options)


def test_settings_of_diffusion_are_refused_before_a_base_is_read(desk: Path) -> None:
    done = call("age", "photos/me.png", "--to", 70, "--engine", "ldla", "--base", "nowhere", "--guidance", 50)
    assert done.exit_code == 2
    assert "guidance is 50" in done.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("photos", "--to", 70),
        ("photos", "--to", 70, "-o", "photos"),
        ("photos", "--to", 70, "-o", "photos/me.png"),
        ("photos", "--to", 70, "-o", "photos/me.png/aged"),
        ("photos", "--to", 70, "-o", "aged", "--engine", "magic"),
        ("photos", "--sweep", "20:80:10", "-o", "aged"),
        ("empty", "--to", 70, "-o", "aged"),
    ],
)
def test_unusable_folder_is_refused(desk: Path, options: tuple[object, ...]) -> None:
    (desk / "empty").mkdir()
    assert_refused(desk, "age", *options)


@pytest.mark.parametrize("command", ["find", "zones"])
@pytest.mark.parametrize("output", ["photos/me.png", "missing/x.png", "x.txt", "photos"])
def test_unusable_drawing_is_refused(desk: Path, command: str, output: str) -> None:
    assert_refused(desk, command, "photos/me.png", "-o", output)


def test_drawing_zones_needs_a_photo(desk: Path) -> None:
    assert_refused(desk, "zones", "-o", "map.png")


@pytest.mark.parametrize(
    "arguments", [("age",), ("age", "me.png", "--to", "old"), ("find",), ("paint",), ("age", "--x")]
)
def test_unusable_usage_exits_with_2(desk: Path, arguments: tuple[str, ...]) -> None:
    done = call(*arguments)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
