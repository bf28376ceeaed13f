"""Calling reage in the tests of its commands, and what is expected of every refusal."""

from __future__ import annotations

from pathlib import Path

from click.testing import Result
from typer.testing import CliRunner

from reage.cli import app


def call(*arguments: object) -> Result:
    """The result of `reage` with these arguments."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def files_in(folder: Path) -> set[str]:
    """All files and folders below a folder, relative to it."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def assert_refused(desk: Path, *arguments: object) -> None:
    """`reage` refuses these arguments in one sentence, and leaves the folder as it was."""
    before = files_in(desk)
    done = call(*arguments)
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert done.stderr.startswith("Error: "), done.stderr
    assert done.stderr.endswith(".\n"), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert files_in(desk) == before
