"""Help and messages in terminals of other encodings and widths."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from reage.cli import app

COMMANDS = sorted(get_command(app).commands)  # type: ignore[attr-defined]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "reage", *arguments]
    return subprocess.run(command, capture_output=True, env={**os.environ, **environment}, check=False)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437"])
def test_help_survives_other_encodings(encoding: str) -> None:
    done = run("age", "--help", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode(encoding)
    assert "--noise-strength" in text
    assert "Example: reage age" in text


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_messages_survive_other_encodings(encoding: str, tmp_path: Path) -> None:
    name = "großmutter \u0394 \udcff.jpg"
    done = run("find", str(tmp_path / name), PYTHONIOENCODING=encoding)
    assert done.returncode == 2
    assert done.stderr.startswith(b"Error: ")
    assert done.stderr.count(b"\n") == 1
    assert rb"\u0394 \udcff.jpg" in done.stderr
    assert rb"gro\xdfmutter" in done.stderr if encoding == "ascii" else b"gro\xdfmutter" in done.stderr


def test_signs_that_an_encoding_lacks_are_spelled() -> None:
    code = "from reage.cli.console import adapt_streams; adapt_streams(); print('38 \u00b1 12 \u2026')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"}
    )
    assert done.stdout == b"38 +/- 12 ...\n"


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_help_fits_the_terminal_and_cuts_no_option(columns: int) -> None:
    done = run("age", "--help", COLUMNS=str(columns), PYTHONIOENCODING="utf-8")
    lines = done.stdout.decode().splitlines()
    assert max(map(len, lines)) <= columns
    text = " ".join(done.stdout.decode().split())
    for flag in ("--noise-strength", "--guidance-scale", "--skip-existing", "--recursive", "--output"):
        assert flag in text, (columns, flag)


def test_refusals_fit_a_narrow_terminal() -> None:
    done = run("age", "--unknown", COLUMNS="40")
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert b"--unknown" in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_written_in_latin_letters(command: str) -> None:
    found = get_command(app).commands[command]  # type: ignore[attr-defined]
    texts = [found.help or "", found.epilog or "", *(getattr(option, "help", "") or "" for option in found.params)]
    assert all(ord(letter) < 128 for text in texts for letter in text), texts


def test_no_colour_is_printed_where_none_is_wanted() -> None:
    coloured = {"FORCE_COLOR": "1", "TERM": "xterm-256color"}
    assert b"\x1b[3" in run("find", "--help", **coloured).stdout
    assert b"\x1b[3" not in run("find", "--help", **coloured, NO_COLOR="1").stdout
