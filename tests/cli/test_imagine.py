"""The command `reage imagine`: the files it writes, and one sentence for every mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reage.cli.request import parse_label
from reage.errors import PlanError
from reage.images import load_image
from tests.cli.commands import call


def test_rejected_pictures_are_kept_aside(mia: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = call("imagine", mia, "--as", 70, "-n", 3, "--steps", 2, "--json")
    assert done.exit_code == 1, done.output
    summary = json.loads(done.stdout)
    assert (summary["label"], summary["kept"], summary["output"]) == ("old", 0, "mia-old")
    assert summary == json.loads(Path("mia-old/samples.json").read_text())
    assert {path.name for path in Path("mia-old").iterdir()} == {"rejected", "samples.json", "sheet.jpg"}
    names = ["001-no-face.png", "002-no-face.png", "003-no-face.png"]
    assert sorted(path.name for path in Path("mia-old/rejected").iterdir()) == names
    assert load_image("mia-old/rejected/001-no-face.png").pixels.shape == (16, 16, 3)
    assert "None of the pictures holds" in done.stderr
    again = call("imagine", mia, "--as", "old", "-n", 1, "--steps", 2)
    assert again.exit_code == 2
    assert "already holds something" in again.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--as", "ancient"), "an age from 1 to 100, or one of child, teenager"),
        (("--as", "0"), "must be a number from 1 to 100"),
        (("--as", "old", "--steps", "0"), "0 denoising steps"),
        (("--as", "old", "--guidance-scale", "50"), "guidance scale is 50"),
        (("--as", "old", "--device", "warp"), "cannot be used"),
        (("--as", "old", "--base", "nowhere"), "no diffusion base 'nowhere'"),
    ],
)
def test_unusable_options_are_refused(
    options: tuple[str, ...], words: str, mia: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = call("imagine", mia, "-n", 1, *options)
    assert (done.exit_code, done.stdout) == (2, "")
    assert words in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "label"), [("elderly", "elderly"), ("70", "old"), ("35.9", "youngadults"), ("5", "child")]
)
def test_ages_stand_for_labels(text: str, label: str) -> None:
    assert parse_label(text) == label


@pytest.mark.parametrize("text", ["", "Old", "nan", "101"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(PlanError):
        parse_label(text)


def test_help_has_an_example() -> None:
    done = call("imagine", "--help")
    assert done.exit_code == 0
    assert "Example: reage imagine " in done.stdout
