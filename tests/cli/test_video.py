"""`reage video`, and what `reage age`, `find` and `evaluate` do with videos."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reage.cli.request import parse_ages_over_time, parse_people
from reage.errors import PlanError
from reage.images import load_image
from reage.video.source import probe_video
from tests.cli.commands import assert_refused, call
from tests.video.clips import draw_wall, moving_face, write_clip


def test_a_person_reads_what_was_done(desk: Path) -> None:
    clip = write_clip(desk / "me.mp4", moving_face(3))
    done = call("video", clip, "--to", "70")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("person 1 from ")
    assert " to 70 in 3 of 3 frames, " in done.stdout
    assert done.stdout.rstrip().endswith(": me-70.mp4")
    report = call("evaluate", "--video", clip, "me-70.mp4", "-o", "report", "--json")
    assert report.exit_code == 0, report.output
    values = json.loads(report.stdout)
    assert values["frames"] == 3
    assert values["same_times"] is True
    assert values["face"]["pairs"] == 2
    assert 0 < values["face"]["flicker_levels"] < 20
    assert values["aged_years"] > values["source_years"] + 10
    text = Path("report/report.md").read_text()
    assert "flicker of the change" in text
    for name in ("flicker", "age", "identity"):
        assert f"]({name}.svg)" in text
        drawn = Path(f"report/{name}.svg").read_text()
        assert drawn.startswith("<svg ")
        assert "time, s" in drawn


def test_reage_age_hands_a_video_over(desk: Path) -> None:
    write_clip(desk / "me.mov", moving_face(2))
    done = call("age", "me.mov", "--to", "70", "--engine", "none", "--json")
    assert done.exit_code == 0, done.output
    assert done.stderr == "'me.mov' is a video, which `reage video` ages:\n"
    assert json.loads(done.stdout)["output"] == "me-70.mov"
    assert probe_video("me-70.mov").expect_frames() == 2
    for arguments in (("--mask", "m.png"), ("--sweep", "20:40:10"), ("--box", "1,2,3,4"), ("--jobs", "2")):
        assert_refused(desk, "age", "me.mov", "--to", "70", *arguments)


def test_people_are_listed(desk: Path) -> None:
    write_clip(desk / "me.mp4", moving_face(3), sound=None)
    done = call("find", "me.mp4", "--json")
    assert done.exit_code == 0, done.output
    (person,) = json.loads(done.stdout)["people"]
    assert person["frames"] == 3
    assert person["seconds"] == [[0.0, pytest.approx(0.096, abs=0.01)]]
    assert load_image("me-faces.png").pixels.shape[0] > 256
    assert_refused(desk, "find", "me.mp4", "--mesh")


def test_a_broken_video_keeps_what_it_could_and_exits_with_1(desk: Path) -> None:
    whole = write_clip(desk / "whole.mkv", moving_face(30))
    content = whole.read_bytes()
    (desk / "cut.mkv").write_bytes(content[: 2 * len(content) // 3])
    done = call("video", "cut.mkv", "--to", "70", "--engine", "none")
    assert done.exit_code == 1, done.output
    assert "Error: 'cut.mkv' " in done.stderr
    assert " kept.\n" in done.stderr
    assert 2 < probe_video("cut-70.mkv").seconds * 25 < 29


def test_what_cannot_be_done_is_refused(desk: Path) -> None:
    clip = write_clip(desk / "me.mp4", moving_face(2))
    wall = write_clip(desk / "wall.mp4", [draw_wall()] * 2, sound=None)
    hdr = write_clip(desk / "hdr.mp4", moving_face(2), colours=(9, 16, 9, 1), sound=None)
    (desk / "still.mp4").write_bytes((desk / "photos" / "me.png").read_bytes())
    for arguments in (
        (clip,),
        (clip, "--to", "170"),
        (clip, "--to", "70", "--age-over-time", "30:80"),
        (clip, "--age-over-time", "30"),
        (clip, "--person", "2=30", "--engine", "none"),
        (clip, "--person", "first=30"),
        (clip, "--to", "70", "--codec", "h266"),
        (clip, "--to", "70", "--quality", "best"),
        (clip, "--to", "70", "--preview", "0"),
        (clip, "--to", "70", "-o", clip),
        (clip, "--to", "70", "-o", "b.avi"),
        (clip, "--to", "70", "-o", "b.webm"),
        (clip, "--to", "70", "--engine", "nothing"),
        (wall, "--to", "70", "--engine", "none"),
        (hdr, "--to", "70"),
        ("still.mp4", "--to", "70"),
        ("missing.mp4", "--to", "70"),
    ):
        assert_refused(desk, "video", *arguments)


def test_people_and_ages_are_parsed() -> None:
    assert parse_people(["1=70", "2=30,3=5"]) == {1: 70.0, 2: 30.0, 3: 5.0}
    assert parse_ages_over_time("30:80") == (30.0, 80.0)
    assert parse_ages_over_time(None) is None
    for text in ("1", "0=70", "1=old", "1=70,1=30", "1=300"):
        with pytest.raises(PlanError):
            parse_people([text])
    for text in ("30", "30:", "30:200"):
        with pytest.raises(PlanError):
            parse_ages_over_time(text)


def test_a_clip_drives_a_photo(desk: Path) -> None:
    clip = write_clip(desk / "clip.mp4", moving_face(2))
    done = call("reenact", desk / "photos" / "me.png", "--like", clip, "-o", "out.mp4", "--json")
    assert done.exit_code == 0, done.output
    values = json.loads(done.stdout)
    assert (values["frames"], values["output"]) == (2, "out.mp4")
    assert probe_video("out.mp4").expect_frames() == 2
    photo = str(desk / "photos" / "me.png")
    for arguments in (
        ("--like", "clip.mp4", "--yaw", "5"),
        ("--like", "clip.mp4", "-o", "out.png"),
        ("--like", photo, "--to", "70"),
        ("--like", "clip.mp4", "--person", "4", "-o", "b.mp4"),
    ):
        assert_refused(desk, "reenact", photo, *arguments)


def test_live_says_what_is_missing(desk: Path) -> None:
    write_clip(desk / "me.mp4", moving_face(2))
    for arguments in (
        ("me.mp4", "--camera", "0"),
        ("none.mp4",),
        ("me.mp4", "--to", "400"),
        ("me.mp4", "--window"),
    ):
        assert_refused(desk, "live", *arguments)
