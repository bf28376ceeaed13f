"""A photo belongs to one process at a time, and a process that is killed leaves no claim."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reage.folders.claims import Claims

fcntl = pytest.importorskip("fcntl")

HOLD = """
import sys
from pathlib import Path
from reage.folders.claims import Claims
folder = Path(sys.argv[1])
with Claims(folder, sys.argv[2]) as claims, claims.claim(folder / "me.jpg") as is_ours:
    print(is_ours, flush=True)
    sys.stdin.readline()
    (folder / "me.jpg").touch()
"""


def hold(folder: Path, settings: str) -> subprocess.Popen[str]:
    """Another process that holds the claim on me.jpg until it reads a line, then makes it."""
    command = [sys.executable, "-c", HOLD, folder, settings]
    running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    assert running.stdout.readline() == "True\n"
    return running


def test_a_photo_belongs_to_one_process(tmp_path: Path) -> None:
    other = hold(tmp_path, "at 70")
    with Claims(tmp_path, "at 70") as claims:
        with claims.claim(tmp_path / "me.jpg") as is_ours:
            assert not is_ours
        with claims.claim(tmp_path / "you.jpg") as is_ours:
            assert is_ours
        assert not claims.is_made(tmp_path / "me.jpg")
        time.sleep(0.05)  # the clock of a file system is coarse
        other.communicate("\n", timeout=60)
        assert claims.is_made(tmp_path / "me.jpg")
        with claims.claim(tmp_path / "me.jpg") as is_ours:
            assert is_ours
    assert os.listdir(tmp_path) == ["me.jpg"]


def test_other_settings_and_earlier_results_are_no_claim(tmp_path: Path) -> None:
    (tmp_path / "you.jpg").touch()
    os.utime(tmp_path / "you.jpg", (1, 1))
    other = hold(tmp_path, "at 70")
    with Claims(tmp_path, "at 30") as claims:
        with claims.claim(tmp_path / "me.jpg") as is_ours:
            assert is_ours
        assert not claims.is_made(tmp_path / "you.jpg")
    other.communicate("\n", timeout=60)


def test_a_killed_process_leaves_no_claim(tmp_path: Path) -> None:
    other = hold(tmp_path, "at 70")
    other.kill()
    other.wait()
    with Claims(tmp_path, "at 70") as claims, claims.claim(tmp_path / "me.jpg") as is_ours:
        assert is_ours
    assert os.listdir(tmp_path) == []


def test_without_locks_every_photo_is_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    with Claims(tmp_path, "at 70") as claims, claims.claim(tmp_path / "me.jpg") as is_ours:
        assert is_ours
        assert not claims.is_made(tmp_path / "me.jpg")
