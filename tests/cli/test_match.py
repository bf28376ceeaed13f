"""`reage match`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from reage.images import load_image
from reage.types import Pixels
from tests.cli.commands import assert_refused, call


def test_a_person_reads_who_is_similar(desk: Path) -> None:
    done = call("match", "photos/me.png", "photos", "-o", "sheet.png")
    assert done.exit_code == 0, done.output
    assert "me.png" in done.stdout
    assert "1 of the 1 shown matches among 1 faces by aifd, direct." in done.stdout
    assert load_image("sheet.png").pixels.shape[1] > 512


def test_a_program_reads_json(desk: Path) -> None:
    done = call("match", "photos/me.png", "photos", "--matcher", "dlib", "--index", "faces.parquet", "--json")
    assert done.exit_code == 0, done.output
    values = json.loads(done.stdout)
    assert values["matches"][0]["file"] == "photos/me.png"
    assert values["matches"][0]["same"] is True
    assert values["found"] is True
    assert Path("faces.parquet").is_file()


def test_what_cannot_be_done_is_refused(desk: Path, write: Callable[[Pixels, Path], Path]) -> None:
    photo = desk / "photos" / "me.png"
    (desk / "walls").mkdir()
    wall = write(np.full((128, 128, 3), 120, np.uint8), desk / "walls" / "wall.png")
    (desk / "cut.parquet").write_bytes(b"PAR1")
    for arguments in (
        (wall, "photos"),
        (photo, "walls"),
        (photo, "missing"),
        (photo, "cut.parquet"),
        (photo, "photos", "--index", "cut.parquet"),
        (photo, "photos", "--mode", "reverse"),
        (photo, "photos", "--mode", "best"),
        (photo, "photos", "--matcher", "missing.onnx"),
        (photo, "photos", "-o", "missing/sheet.png"),
    ):
        assert_refused(desk, "match", *arguments)
