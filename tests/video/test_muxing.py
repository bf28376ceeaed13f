"""Writing videos: only the pixels change."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from reage.video.codecs import choose_encoding
from reage.video.encoding import SegmentEncoder, read_segment
from reage.video.frames import to_rgb, write_change
from reage.video.muxing import PROVENANCE, MuxedFrames, mux
from reage.video.source import FrameReader, probe_video
from tests.video.clips import draw_face, moving_face, read_sound, write_clip


def rewrite(clip: Path, output: Path, codec: str | None = None, quality: str = "high") -> list[str]:
    """Writes a clip with a red square in each frame, in segments of three frames."""
    source = probe_video(clip)
    encoding = choose_encoding(source, output, codec, quality)
    segments, pts, encoder = [], [], None
    for frame in FrameReader(source):
        encoder = encoder or SegmentEncoder(source, encoding, frame.picture)
        before = to_rgb(frame.picture, source)
        after = before.copy()
        after[20:60, 40:80] = (255, 0, 0)
        encoder.add(write_change(frame.picture, after, (20, 60, 40, 80), source, encoding.pixel_format))
        pts.append(frame.pts)
        if encoder.count == 3:
            segments.append(output.with_name(f"{len(segments)}.packets"))
            encoder.finish(segments[-1])
            encoder = None
    if encoder is not None:
        segments.append(output.with_name("last.packets"))
        encoder.finish(segments[-1])
    return mux(source, encoding, MuxedFrames(segments=segments, pts=pts), output)


@pytest.mark.parametrize(
    ("suffix", "codec", "sound", "written"),
    [
        (".mp4", "libx264", "aac", "h264"),
        (".mp4", "libx264", "aac", "vp9"),
        (".mov", "libx264", "aac", "h265"),
        (".webm", "libvpx-vp9", "libopus", "vp9"),
    ],
)
def test_frames_times_and_sound_are_those_of_the_source(
    tmp_path: Path, suffix: str, codec: str, sound: str, written: str
) -> None:
    clip = write_clip(tmp_path / f"a{suffix}", moving_face(8), codec=codec, sound=sound)
    output = tmp_path / f"b{suffix}"
    assert rewrite(clip, output, written) == []
    before, after = probe_video(clip), probe_video(output)
    times = [[frame.seconds for frame in FrameReader(one)] for one in (before, after)]
    assert times[0] == times[1]
    assert read_sound(clip) == read_sound(output)
    rgb = to_rgb(next(iter(FrameReader(after))).picture, after)
    assert np.abs(rgb[30:50, 50:70].mean((0, 1)) - (254, 0, 0)).max() < 4


def test_rotation_chapters_colours_and_metadata_are_kept(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", moving_face(4), rotation=270, chapters=True, colours=(1, 1, 1, 1))
    output = tmp_path / "b.mp4"
    assert rewrite(clip, output) == []
    assert probe_video(output).rotation_degrees == 270
    with av.open(str(output)) as container:
        frame = next(container.decode(video=0))
        assert (frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range) == (1, 1, 1, 1)
        assert container.metadata["title"] == "a title"
        assert container.metadata["comment"] == PROVENANCE
        assert container.chapters()[0]["metadata"] == {"title": "one"}


def test_what_a_container_cannot_hold_is_named(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", moving_face(3))
    with_text = tmp_path / "text.mkv"
    with av.open(str(clip)) as old, av.open(str(with_text), "w") as new:
        streams = [new.add_stream_from_template(stream) for stream in old.streams]
        text = new.add_mux_stream("subrip")
        for packet in old.demux():
            if packet.size:
                packet.stream = streams[packet.stream_index]
                new.mux(packet)
        line = av.Packet(b"hello")
        line.stream, line.pts, line.dts, line.duration = text, 0, 0, 100
        new.mux(line)
    assert rewrite(with_text, tmp_path / "b.mp4") == ["The new file cannot hold the subtitles (srt) of the source."]
    assert rewrite(with_text, tmp_path / "b.mkv") == []
    assert probe_video(tmp_path / "b.mkv").subtitles == ("srt",)


def test_pixels_outside_the_change_keep_their_levels(tmp_path: Path) -> None:
    source = probe_video(write_clip(tmp_path / "a.mp4", [draw_face()] * 2))
    frame = next(iter(FrameReader(source)))
    planes = frame.picture.to_ndarray().copy()
    before = to_rgb(frame.picture, source)
    after = before.copy()
    after[100:120, 40:60] += 20
    changed = write_change(frame.picture, after, (100, 120, 40, 60), source, "yuv420p").to_ndarray()
    rows, columns = np.nonzero(planes[:240] != changed[:240])
    assert rows.min() >= 100
    assert rows.max() < 120
    assert columns.min() >= 40
    assert columns.max() < 60


def test_a_lossless_video_keeps_every_level_outside(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", moving_face(3))
    rewrite(clip, tmp_path / "b.mp4", quality="lossless")
    frames = [next(iter(FrameReader(probe_video(path)))).picture for path in (clip, tmp_path / "b.mp4")]
    np.testing.assert_array_equal(*(frame.to_ndarray()[100:240] for frame in frames))


def test_segments_are_whole_or_not_there(tmp_path: Path) -> None:
    source = probe_video(write_clip(tmp_path / "a.mp4", moving_face(3)))
    encoding = choose_encoding(source, tmp_path / "b.mp4")
    frames = list(FrameReader(source))
    encoder = SegmentEncoder(source, encoding, frames[0].picture)
    for frame in frames:
        encoder.add(frame.picture)
    encoder.finish(tmp_path / "s.packets")
    packets = list(read_segment(tmp_path / "s.packets"))
    assert [packet.number for packet in packets] == [0, 1, 2]
    assert packets[0].is_key
    assert {path.name for path in tmp_path.iterdir()} == {"a.mp4", "s.packets"}
