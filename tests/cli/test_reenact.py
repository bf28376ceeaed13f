"""`reage reenact`, and `reage age --like`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reage.images import load_image
from reage.types import Pixels
from tests.cli.commands import assert_refused, call


def test_a_person_reads_what_was_done(me: Path) -> None:
    done = call("reenact", me, "--expression", "smile=0.2,jaw_open=0.4", "--yaw", "12")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("1 face turned to yaw 12, pitch ")
    assert done.stdout.rstrip().endswith(": me-reenacted.png")
    assert (load_image("me-reenacted.png").pixels != load_image(me).pixels).any()


def test_a_program_reads_json_and_notes_stay_on_stderr(me: Path) -> None:
    done = call("reenact", me, "--like", me, "--yaw", "80", "-o", "out.jpg", "--json")
    assert done.exit_code == 0, done.output
    values = json.loads(done.stdout)
    assert values["input"] == values["like"] == "me.png"
    assert values["output"] == "out.jpg"
    assert set(values["after"]) == {"pose_degrees", "expression"}
    assert len(values["after"]["expression"]) == 52
    assert "Note: The face was asked to turn from yaw" in done.stderr
    assert Path("out.jpg").is_file()


def test_what_cannot_be_done_is_refused(desk: Path, write: Callable[[Pixels, Path], Path]) -> None:
    photo = desk / "photos" / "me.png"
    wall = write(np.full((128, 128, 3), 120, np.uint8), desk / "wall.png")
    for arguments in (
        (),
        ("--expression", "grin=1"),
        ("--expression", "smile"),
        ("--expression", "smile=3"),
        ("--yaw", "100"),
        ("--like", wall),
        ("--like", "missing.png"),
        ("--like", wall, "--take", "nose"),
        ("--yaw", "10", "--face", "2"),
        ("--yaw", "10", "--face", "1,2"),
        ("--yaw", "10", "-o", "missing/out.png"),
        ("--like", photo, "-o", photo),
    ):
        assert_refused(desk, "reenact", photo, *arguments)


def test_the_face_to_be_like_is_not_written_over(desk: Path, write: Callable[[Pixels, Path], Path]) -> None:
    photo = desk / "photos" / "me.png"
    other = write(load_image(photo).pixels, desk / "other.png")
    assert_refused(desk, "reenact", photo, "--like", other, "-o", other)
    assert_refused(desk, "age", photo, "--to", "70", "--like", other, "-o", other)


def test_a_face_is_aged_and_then_takes_an_expression(me: Path) -> None:
    opened = call("reenact", me, "--expression", "jaw_open=0.6", "-o", "open.png")
    assert opened.exit_code == 0, opened.output
    done = call("age", me, "--to", "70", "--like", "open.png", "-o", "old.png", "--json")
    assert done.exit_code == 0, done.output
    values = json.loads(done.stdout)
    assert values["seconds"]["reenact"] > 0
    assert values["faces"][0]["plan"]["age"] == 70
    alone = call("age", me, "--to", "70", "-o", "alone.png")
    assert alone.exit_code == 0, alone.output
    found = call("reenact", "old.png", "--like", "alone.png", "-o", "back.png", "--json")
    before = json.loads(found.stdout)["before"]["expression"]
    assert before["jaw_open"] > 0.1


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--sweep", "20:40:10"),
        ("--to", "70", "--layers", "layers"),
        ("--to", "70", "--mask", "photos/me.png"),
        ("--to", "70", "--face", "1,2"),
    ],
)
def test_what_excludes_a_face_to_be_like_is_refused(desk: Path, arguments: tuple[str, ...]) -> None:
    photo = desk / "photos" / "me.png"
    assert_refused(desk, "age", photo, "--like", photo, *arguments)


def test_a_folder_has_no_face_to_be_like(desk: Path) -> None:
    assert_refused(desk, "age", desk / "photos", "--to", "70", "--like", desk / "photos" / "me.png", "-o", "out")
