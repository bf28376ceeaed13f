"""`reage age FOLDER`: what it prints and leaves, interrupted, continued, and several times at once."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reage.images import load_image
from reage.types import Pixels
from tests.cli.commands import assert_refused, call, files_in

NO_CHANGE = ("--engine", "none")


@pytest.fixture
def nobody(desk: Path, write: Callable[[Pixels, Path], Path]) -> None:
    """Photos of nobody, which fail fast, and two files that are none."""
    for name in ("nobody.png", "empty.jfif"):
        write(np.full((64, 64, 3), 200, np.uint8), desk / "photos" / name)
    (desk / "photos" / "broken.jpg").write_bytes(b"no picture")
    (desk / "photos" / "notes.txt").write_text("left out")
    (desk / "photos" / "inside").mkdir()
    (desk / "photos" / "inside" / "me.png").write_bytes((desk / "photos" / "me.png").read_bytes())


@pytest.mark.usefixtures("nobody")
def test_folder_goes_on_after_a_bad_file(desk: Path) -> None:
    done = call("age", "photos", "--to", 75, "-o", "aged/at-75", *NO_CHANGE)
    assert done.exit_code == 1
    assert files_in(desk / "aged") == {"at-75", "at-75/me.png"}
    lines = done.stderr.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "1/4 broken.jpg",
        "2/4 empty.jfif",
        "3/4 me.png",
        "4/4 nobody.png",
    ]
    assert "1 face in" in lines[2]
    assert ["failed" in line for line in lines] == [True, True, False, True]
    assert "pictures failed" in done.stdout
    short = call("age", "photos", "--to", 75, "-o", "aged/at-75", "--quiet", *NO_CHANGE)
    assert len(short.stderr.splitlines()) == 3


@pytest.mark.usefixtures("nobody")
def test_json_and_json_lines(desk: Path) -> None:
    arguments = ("age", "photos", "--to", 75, "-o", "aged", "--recursive", *NO_CHANGE)
    values = json.loads(call(*arguments, "--json").stdout)
    assert (values["failed"], values["skipped"]) == (3, 0)
    assert ["error" in picture for picture in values["pictures"]] == [True, True, False, False, True]
    assert [one["input"] for one in values["left_out"]] == ["notes.txt"]
    lines = [json.loads(line) for line in call(*arguments, "--jsonl").stdout.splitlines()]
    assert [line["input"] for line in lines] == [picture["input"] for picture in values["pictures"]]
    assert files_in(desk / "aged") == {"me.png", "inside", "inside/me.png"}
    again = [json.loads(line) for line in call(*arguments, "--jsonl", "--skip-existing").stdout.splitlines()]
    assert sum("skipped" in line for line in again) == 2


@pytest.mark.usefixtures("nobody")
def test_what_is_left_out_is_counted_and_named_on_request(desk: Path) -> None:
    arguments = ("age", "photos", "--to", 75, "-o", "aged", *NO_CHANGE)
    done = call(*arguments)
    assert "files left out" in done.stdout.replace("\n", " ")
    assert "notes.txt" not in done.stderr
    verbose = call(*arguments, "--verbose", "--skip-existing")
    assert "Left out: notes.txt: no picture by its suffix .txt\n" in verbose.stderr
    assert "Left out: inside: a folder, which --recursive looks into\n" in verbose.stderr
    assert "me.png: skipped: its result is there\n" in verbose.stderr


def test_an_unforeseen_error_is_the_line_of_its_photo(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from reage.pipeline import Reager

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr(Reager, "__call__", fail)
    for arguments in (("photos", "-o", "aged"), ("photos/me.png", "-o", "me-70.png")):
        done = call("age", *arguments, "--to", 75, *NO_CHANGE)
        assert done.exit_code == 1
        assert "ZeroDivisionError (of all things)" in done.stderr
        assert "please report it" in done.stderr
        assert "Traceback" not in done.stderr
    assert "in fail" in call("age", "photos", "-o", "aged", "--to", 75, "--verbose", *NO_CHANGE).stderr
    assert files_in(desk) == {"photos", "photos/me.png", "aged"}


@pytest.mark.parametrize("options", [("--recursive",), ("--skip-existing",), ("--resume", "run.jsonl"), ("--jobs", 2)])
def test_options_of_folders_are_refused_for_a_photo(desk: Path, options: tuple[object, ...]) -> None:
    assert_refused(desk, "age", "photos/me.png", "--to", 70, *options)


@pytest.mark.parametrize("options", [("--resume", "photos/me.png"), ("--resume", "missing/x"), ("--json", "--jsonl")])
def test_unusable_options_are_refused_for_a_folder(desk: Path, options: tuple[object, ...]) -> None:
    assert_refused(desk, "age", "photos", "-o", "aged", "--to", 70, *options)


# Long runs


def start(*arguments: object, stderr: int = subprocess.PIPE) -> subprocess.Popen[str]:
    """A running `reage`, which can be interrupted even where the tests run in the background."""
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); import reage.cli; reage.cli.main()"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)


def copy_photos(desk: Path, count: int) -> None:
    """Several copies of the photo of one face."""
    for number in range(count - 1):
        (desk / "photos" / f"{number:02}.png").write_bytes((desk / "photos" / "me.png").read_bytes())


def test_an_interrupted_run_says_how_far_it_came_and_goes_on(desk: Path) -> None:
    copy_photos(desk, 16)
    arguments = ("age", "photos", "--to", 75, "-o", "aged", "--resume", "run.jsonl", *NO_CHANGE)
    running = start(*arguments, "--jobs", 2)
    deadline = time.monotonic() + 60
    while len(list(desk.glob("aged/[!.]*.png"))) < 3:
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    _, stderr = running.communicate(timeout=60)
    assert running.returncode == 130
    assert stderr.splitlines()[-1].startswith("Stopped: ")
    assert " of 16 pictures are done. To go on, repeat the command." in stderr
    assert "Traceback" not in stderr
    made = {path: path.stat().st_mtime_ns for path in (desk / "aged").iterdir()}
    assert 3 <= len(made) < 16
    assert all(load_image(path).pixels.shape == (256, 256, 3) for path in made)
    noted = len(Path("run.jsonl").read_text().splitlines()) - 1
    values = json.loads(call(*arguments, "--json").stdout)
    assert (len(values["pictures"]), values["failed"], values["skipped"]) == (16, 0, noted)
    assert len(os.listdir(desk / "aged")) == 16


def test_four_runs_share_the_photos_of_a_folder(desk: Path) -> None:
    copy_photos(desk, 6)
    runs = [start("age", "photos", "--to", 75, "-o", "aged", "--jsonl", *NO_CHANGE) for _ in range(4)]
    lines = [json.loads(line) for run in runs for line in run.communicate(timeout=120)[0].splitlines()]
    assert [run.returncode for run in runs] == [0] * 4
    made = [line["input"] for line in lines if "skipped" not in line]
    assert sorted(made) == sorted(str(path.relative_to(desk)) for path in (desk / "photos").iterdir())
    assert len(lines) == 4 * 6
    assert call("age", "photos/me.png", "--to", 75, "-o", "alone.png", *NO_CHANGE).exit_code == 0
    assert sorted(os.listdir("aged")) == sorted(os.listdir("photos"))
    alone = Path("alone.png").read_bytes()
    assert all(path.read_bytes() == alone for path in Path("aged").iterdir())


@pytest.mark.usefixtures("nobody")
def test_a_terminal_shows_a_bar_with_rate_and_failures(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "70")
    ours, theirs = pty.openpty()
    running = start("age", "photos", "--to", 75, "-o", "aged", *NO_CHANGE, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:  # the other end is closed
        pass
    running.communicate(timeout=60)
    text = shown.decode()
    assert running.returncode == 1
    assert "4/4" in text
    assert "3 failed" in text
    assert "1/4 broken.jpg: failed:" in text
    assert "1 face in" not in text
    assert "\x1b[3" not in text  # colours
