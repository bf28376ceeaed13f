"""`reage forensic`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from reage.types import Pixels
from tests.cli.commands import assert_refused, call


def test_a_photo_goes_through_the_chain(me: Path) -> None:
    done = call("forensic", me, "--to", "25", "--engine", "deaging", "-o", "case")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("Looks ")
    assert "At 25: looks " in done.stdout
    names = {path.name for path in Path("case").iterdir()}
    assert names == {"photo.png", "aged-25.png", "sketch-25.png", "report.html", "report.pdf", "report.json"}
    assert json.loads(Path("case/report.json").read_text())["engine"] == "deaging"


def test_a_progression_has_every_age(me: Path) -> None:
    done = call("forensic", me, "--ages", "20,60", "--engine", "amgan", "--style", "composite", "-o", "case", "--json")
    assert done.exit_code == 0, done.output
    values = json.loads(done.stdout)
    assert [one["age_asked"] for one in values["drawn"]] == [20, 60]
    assert values["style"] == "composite"


def test_what_cannot_be_done_is_refused(desk: Path, write: Callable[[Pixels, Path], Path]) -> None:
    photo = desk / "photos" / "me.png"
    wall = write(np.full((128, 128, 3), 120, np.uint8), desk / "wall.png")
    for arguments in (
        (photo,),
        (photo, "--to", "25", "--ages", "20,30"),
        (photo, "--to", "0"),
        (photo, "--ages", "old"),
        (photo, "--to", "25", "--style", "oil"),
        (photo, "--to", "25", "--as", "sketch"),
        (photo, "--to", "25", "--engine", "amgan", "--reference", photo),
        (photo, "--to", "25", "--reference", wall),
        (wall, "--to", "25"),
    ):
        assert_refused(desk, "forensic", *arguments, "-o", "case")
