"""Reading videos."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from reage.errors import VideoError
from reage.images import Image, save_image
from reage.video.frames import to_rgb
from reage.video.source import FrameReader, open_container, probe_video, read_frame
from tests.video.clips import FRAME_UNITS, TIME_BASE, draw_face, draw_wall, moving_face, write_clip


def test_a_probe_tells_what_a_file_holds(tmp_path: Path) -> None:
    source = probe_video(write_clip(tmp_path / "a.mp4", moving_face(4), rotation=90))
    assert (source.width_px, source.height_px, source.rotation_degrees) == (320, 240, 90)
    assert source.upright_size == (320, 240)
    assert source.sounds == ("aac",)
    assert source.bits == 8
    assert source.time_base == TIME_BASE
    assert not source.is_hdr
    assert source.expect_frames() == 4
    assert source.expect_frames(0.05) == 2


def test_frames_have_the_times_of_the_file(tmp_path: Path) -> None:
    pts = [0, 512, 1500, 1600, 3000]
    source = probe_video(write_clip(tmp_path / "a.mp4", moving_face(5), pts=pts))
    frames = list(FrameReader(source))
    assert [frame.pts for frame in frames] == pts
    assert [frame.number for frame in frames] == [0, 1, 2, 3, 4]
    assert frames[2].seconds == pytest.approx(1500 / 12800)


def test_a_preview_ends_early(tmp_path: Path) -> None:
    source = probe_video(write_clip(tmp_path / "a.mp4", moving_face(10)))
    assert len(list(FrameReader(source, seconds=0.2))) == 5


def test_pixels_are_upright(tmp_path: Path) -> None:
    pixels = draw_face()
    source = probe_video(write_clip(tmp_path / "a.mp4", [pixels] * 2, rotation=90))
    rgb = to_rgb(next(iter(FrameReader(source))).picture, source)
    assert rgb.shape == (320, 240, 3)
    assert np.abs(np.rot90(pixels).astype(int) - rgb).mean() < 4


def test_a_frame_is_found_by_its_time(tmp_path: Path) -> None:
    source = probe_video(write_clip(tmp_path / "a.mp4", moving_face(8)))
    frames = list(FrameReader(source))
    again = read_frame(source, frames[6].pts)
    np.testing.assert_array_equal(to_rgb(again, source), to_rgb(frames[6].picture, source))
    with pytest.raises(VideoError, match="gives other frames when it is read again"):
        read_frame(source, frames[6].pts + 1)


def test_a_file_that_ends_early_keeps_its_frames(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "a.mkv", [draw_face(60 + index) for index in range(50)])
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: len(whole.read_bytes()) // 2])
    source = probe_video(cut)
    reader = FrameReader(source)
    count = len(list(reader))
    assert 5 < count < 40
    assert "ends at " in reader.damage.describe(source) or "is broken at " in reader.damage.describe(source)


def test_a_whole_file_has_no_damage(tmp_path: Path) -> None:
    source = probe_video(write_clip(tmp_path / "a.mp4", moving_face(4)))
    reader = FrameReader(source)
    assert len(list(reader)) == 4
    assert reader.damage.describe(source) == ""


def test_broken_packets_are_counted(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv", [draw_face(60 + index) for index in range(30)], sound=None)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = bytes(3000)
    path.write_bytes(bytes(content))
    source = probe_video(path)
    reader = FrameReader(source)
    assert 0 < len(list(reader)) <= 30


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    still, empty, text = tmp_path / "still.mp4", tmp_path / "empty.mp4", tmp_path / "text.mp4"
    save_image(Image(pixels=draw_wall()), tmp_path / "still.png", altered=False)
    (tmp_path / "still.png").rename(still)
    empty.touch()
    text.write_text("no video at all")
    sound = tmp_path / "sound.m4a"
    with av.open(str(sound), "w", format="mp4") as container:
        tone = container.add_stream("aac", rate=48000)
        heard = av.AudioFrame.from_ndarray(np.zeros((1, 960), np.float32), format="fltp", layout="mono")
        heard.sample_rate = 48000
        container.mux([*tone.encode(heard), *tone.encode(None)])
    for path, words in (
        (still, "is a still picture"),
        (empty, "is empty"),
        (text, "is no video that can be read"),
        (sound, "has no video stream"),
        (tmp_path / "missing.mp4", "does not exist"),
        (tmp_path, "is a folder"),
        (Path("https://example.org/a.mp4"), "is an address"),
    ):
        with pytest.raises(VideoError, match=words):
            probe_video(path)


def test_a_tiny_video_is_refused(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv", [draw_wall(height=12, width=12)], codec="ffv1", sound=None)
    with pytest.raises(VideoError, match="12 x 12 px; the least is 16 px"):
        probe_video(path)


def test_covers_of_music_are_no_video(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", moving_face(2))
    with open_container(path) as container:
        assert container.streams.video[0].average_rate
    assert FRAME_UNITS == 512
