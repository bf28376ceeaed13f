"""The command line as a whole: help, version, and refusals that several commands share."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reage.types import Pixels
from tests.cli.commands import assert_refused, call

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


@pytest.mark.parametrize("command", [("age", "--to", 70), ("age", "--sweep", "30:70:20"), ("find",), ("zones",)])
@pytest.mark.parametrize(
    "name", ["missing.jpg", "empty.jpg", "text.jpg", "cut.png", "bomb.png", "none.png", "nobody.png"]
)
def test_unusable_picture_is_refused(
    desk: Path, command: tuple[object, ...], name: str, write: Callable[[Pixels, Path], Path]
) -> None:
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
