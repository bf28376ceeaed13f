"""`reage measure`: what it prints, draws and refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reage.images import geometry, load_image
from reage.measure import AgeEstimator
from reage.types import Pixels, Reading
from reage.zones import ZONES
from tests.cli.commands import call


def test_each_face_has_an_age_and_its_flags(me: Path) -> None:
    done = call("measure", me, "--json")
    assert done.exit_code == 0, done.output
    (face,) = json.loads(done.stdout)["faces"]
    assert set(face) == {"box", "age_years", "age_std_years", "zones", "skin", "quality", "doubts"}
    assert len(face["box"]) == 4
    assert set(face["zones"]) <= set(ZONES)
    assert len(face["zones"]) >= 10
    assert all(0 <= score <= 1 for score in face["zones"].values())
    assert set(face["skin"]) == {"redness"}  # the face is too small to show dark spots
    assert 0 <= face["skin"]["redness"] <= 1
    assert 25 < face["age_years"] < 60
    assert 1 < face["age_std_years"] < 25
    assert not any(face["quality"][flag] for flag in ("too_small", "blurred", "turned_away"))
    assert face["doubts"] == []
    assert [path.name for path in me.parent.iterdir()] == ["me.png"]


def test_the_scores_to_expect_at_an_age_stand_beside_those_of_now(me: Path) -> None:
    done = call("measure", me, "--to", 80, "--json")
    assert done.exit_code == 0, done.output
    (face,) = json.loads(done.stdout)["faces"]
    assert set(face["zones_at"]) == set(face["zones"])
    assert all(face["zones_at"][zone] >= score for zone, score in face["zones"].items())
    assert sum(face["zones_at"].values()) > sum(face["zones"].values()) + 1
    table = call("measure", me, "--to", 80).stdout
    assert "now → at 80" in table
    (row,) = (line for line in table.splitlines() if "glabella" in line)
    shown = [float(number) for number in re.findall(r"\d\.\d\d", row)]
    assert shown == pytest.approx([face["zones"]["glabella"], face["zones_at"]["glabella"]], abs=0.006)
    assert "--to 70" in call("measure", "--help").stdout


def test_an_age_beyond_the_range_is_refused(me: Path) -> None:
    done = call("measure", me, "--to", 300)
    assert done.exit_code == 2
    assert "1 to 100" in done.stderr


def test_a_person_gets_a_table(me: Path) -> None:
    done = call("measure", me)
    assert done.exit_code == 0, done.output
    assert "±" in done.stdout
    assert "good" in done.stdout
    assert all(zone in done.stdout for zone in ZONES)
    (spots,) = (line for line in done.stdout.splitlines() if "dark spots" in line)
    assert "not shown" in spots
    assert done.stderr == ""


def test_a_small_blurred_face_is_flagged(me: Path, write: Callable[[Pixels, Path], Path]) -> None:
    pixels = load_image(me).pixels
    tiny = geometry.resize(pixels, 96, 96)
    done = call("measure", write(tiny, Path("tiny.png")))
    assert done.exit_code == 0, done.output
    assert "too small" in done.stdout
    soft = np.clip(geometry.blur(geometry.resize(pixels, 768, 768).astype(np.float32), 6), 0, 255).astype(np.uint8)
    assert "blurred" in call("measure", write(soft, Path("soft.png"))).stdout


def test_why_the_age_may_be_wrong_stands_in_the_table_and_in_the_json(
    me: Path, write: Callable[[Pixels, Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    child = Reading(age_years=9.0, age_std_years=12.0, masculinity=0.5)
    monkeypatch.setattr(AgeEstimator, "measure", lambda estimator, face: child)
    doubts = ["a child's", "read within 12 years only"]
    tiny = write(geometry.resize(load_image(me).pixels, 96, 96), Path("tiny.png"))
    for photo in (me, tiny):
        done = call("measure", photo, "--json")
        assert done.exit_code == 0, done.output
        (face,) = json.loads(done.stdout)["faces"]
        assert ("too small" in face["doubts"]) == face["quality"]["too_small"] == (photo == tiny)
        assert [doubt for doubt in face["doubts"] if doubt in doubts] == doubts
    table = call("measure", me).stdout
    assert "good" not in table
    assert "9 ± 12" in table
    assert "a child's, read within 12 years only" in " ".join(table.replace("│", " ").split())


def test_the_drawing_is_written_to_the_output(me: Path) -> None:
    done = call("measure", me, "-o", "drawn.png", "--json")
    assert done.exit_code == 0, done.output
    json.loads(done.stdout)
    assert min(load_image("drawn.png").pixels.shape[:2]) >= 512


def test_the_photo_is_not_drawn_over(me: Path) -> None:
    done = call("measure", me, "-o", me)
    assert done.exit_code == 2
    assert done.stderr.startswith("Error: ")


def test_a_face_by_hand_is_measured(me: Path) -> None:
    (found,) = json.loads(call("measure", me, "--json").stdout)["faces"]
    done = call("measure", me, "--box", "70,60,180,180", "--json")
    assert done.exit_code == 0, done.output
    (by_hand,) = json.loads(done.stdout)["faces"]
    np.testing.assert_allclose(by_hand["box"], found["box"], atol=1)
    assert abs(by_hand["age_years"] - found["age_years"]) < 2


def test_photo_without_a_face_is_refused(me: Path, write: Callable[[Pixels, Path], Path]) -> None:
    done = call("measure", write(np.full((128, 128, 3), 120, np.uint8), Path("wall.png")))
    assert done.exit_code == 2
    assert "face" in done.stderr
    assert done.stdout == ""
