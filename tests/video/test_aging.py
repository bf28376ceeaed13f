"""Ageing whole videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reage.errors import FaceNotFound, PlanError, VideoError
from reage.pipeline import Reager
from reage.types import Plan
from reage.video.aging import VideoReager
from reage.video.frames import to_rgb
from reage.video.order import VideoOrder, name_video
from reage.video.source import FrameReader, probe_video
from tests.video.clips import draw_face, draw_wall, moving_face, read_sound, write_clip


@pytest.fixture(scope="module")
def ager() -> VideoReager:
    return VideoReager(Reager())


def read_pixels(path: Path) -> np.ndarray:
    source = probe_video(path)
    return np.stack([to_rgb(frame.picture, source) for frame in FrameReader(source)])


def test_every_frame_is_aged_and_the_rest_is_kept(ager: VideoReager, clip: Path, tmp_path: Path) -> None:
    steps = []
    done = ager.age(clip, VideoOrder(plan=Plan(age=75)), tmp_path / "b.mp4", progress=lambda *step: steps.append(step))
    assert (done.num_frames, done.num_aged, done.broken) == (6, 6, "")
    assert done.targets == {1: (75.0, 75.0)}
    assert {step for step, _, _ in steps} == {"find", "render"}
    assert list(tmp_path.iterdir()) == [tmp_path / "b.mp4"]
    assert read_sound(clip) == read_sound(done.output)
    times = [[frame.pts for frame in FrameReader(probe_video(path))] for path in (clip, done.output)]
    assert times[0] == times[1]
    change = np.abs(read_pixels(done.output).astype(int) - read_pixels(clip)).mean(-1)
    for index in range(6):
        assert change[index, 70:150, 130 - 3 * index : 190 - 3 * index].mean() > 4
        assert change[index, 215:, 280:].mean() < 3


def test_a_run_that_was_stopped_ends_in_the_same_frames(
    ager: VideoReager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reage.video.aging._SEGMENT_FRAMES", (2, 2))
    clip = write_clip(tmp_path / "a.mp4", moving_face(5))
    order = VideoOrder(plan=Plan(age=70))
    whole = ager.age(clip, order, tmp_path / "whole.mp4").output.read_bytes()

    def stop(step: str, done: int, total: int) -> None:
        if step == "render" and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ager.age(clip, order, tmp_path / "b.mp4", progress=stop)
    folder = tmp_path / "b.mp4.unfinished"
    assert sorted(path.name for path in folder.iterdir()) == ["run.json", "segment-00000.packets", "tracks.npz"]
    assert not (tmp_path / "b.mp4").exists()
    steps = []
    again = ager.age(clip, order, tmp_path / "b.mp4", progress=lambda *step: steps.append(step))
    assert steps[0] == ("render", 3, 5)
    assert again.output.read_bytes() == whole
    assert not folder.exists()


def test_ages_change_along_the_video(ager: VideoReager, clip: Path, tmp_path: Path) -> None:
    order = VideoOrder(plan=Plan(age=42), over_time=(42, 80))
    done = ager.age(clip, order, tmp_path / "b.mp4")
    assert done.targets == {1: (42.0, 80.0)}
    change = np.abs(read_pixels(done.output).astype(int) - read_pixels(clip)).mean(-1)
    first, last = (change[index, 70:150, 130 - 3 * index : 190 - 3 * index].mean() for index in (0, 5))
    assert last > 1.5 * first


def test_an_engine_that_changes_nothing_marks_nothing(clip: Path, tmp_path: Path) -> None:
    done = VideoReager(Reager("none")).age(clip, VideoOrder(plan=Plan(age=70), quality="lossless"), tmp_path / "b.mp4")
    np.testing.assert_array_equal(read_pixels(done.output), read_pixels(clip))
    assert b"Altered by AI" not in done.output.read_bytes()


def test_one_frame_and_a_preview(clip: Path, tmp_path: Path) -> None:
    ager = VideoReager(Reager("none"))
    one = write_clip(tmp_path / "one.mp4", [draw_face()], sound=None)
    assert ager.age(one, VideoOrder(plan=Plan(age=70)), tmp_path / "b.mp4").num_aged == 1
    short = ager.age(clip, VideoOrder(plan=Plan(age=70), seconds=0.1), tmp_path / "c.mp4")
    assert short.num_frames == 3
    assert read_sound(short.output)[-1][0] < 0.2


def test_people_are_left_as_they_are_unless_they_are_asked_for(clip: Path, tmp_path: Path) -> None:
    ager = VideoReager(Reager("none"))
    with pytest.raises(FaceNotFound, match="There is no person 2: 1 was found"):
        ager.age(clip, VideoOrder(plan=None, ages={2: 30}), tmp_path / "b.mp4")
    assert list(tmp_path.iterdir()) == []


def test_a_video_without_faces_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    wall = write_clip(tmp_path / "wall.mp4", [draw_wall()] * 3, sound=None)
    with pytest.raises(FaceNotFound, match="No face was found in "):
        VideoReager(Reager("none")).age(wall, VideoOrder(plan=Plan(age=70)), tmp_path / "b.mp4")
    assert list(tmp_path.iterdir()) == [wall]


def test_hdr_is_refused(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "hdr.mp4", moving_face(2), colours=(9, 16, 9, 1), sound=None)
    with pytest.raises(VideoError, match="is HDR"):
        VideoReager(Reager("none")).age(path, VideoOrder(plan=Plan(age=70)), tmp_path / "b.mp4")


def test_the_source_is_never_overwritten(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", moving_face(2), sound=None)
    ager = VideoReager(Reager("none"))
    order = VideoOrder(plan=Plan(age=70))
    for output, words in ((path, "is the source"), (tmp_path, "a folder|cannot be written"), ("b.avi", "'.avi'")):
        with pytest.raises(VideoError, match=words):
            ager.age(path, order, output)
    with pytest.raises(VideoError, match="could not be written"):
        ager.age(path, order, tmp_path / "missing" / "b.mp4")


def test_orders_that_make_no_sense_are_refused() -> None:
    with pytest.raises(PlanError, match="Nothing is asked for"):
        VideoOrder(plan=None)
    with pytest.raises(PlanError, match="preview is 0 s"):
        VideoOrder(plan=Plan(age=70), seconds=0)
    with pytest.raises(PlanError, match="hold for everybody"):
        VideoOrder(plan=Plan(age=70), ages={1: 30}, over_time=(30, 80))


def test_names_tell_what_was_done() -> None:
    assert name_video(Path("me.mov"), VideoOrder(plan=Plan(age=70))) == "me-70.mov"
    assert name_video(Path("me.avi"), VideoOrder(plan=Plan(age=30), over_time=(30, 80), seconds=5)) == (
        "me-30-80-preview.mp4"
    )
    assert name_video(Path("us.mkv"), VideoOrder(plan=None, ages={1: 70, 2: 30})) == "us-70-30.mkv"
