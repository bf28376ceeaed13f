"""Codecs and containers."""

from __future__ import annotations

from pathlib import Path

import pytest

from reage.errors import VideoError
from reage.files import VIDEO_SUFFIXES, is_video
from reage.video.codecs import CODECS, CONTAINERS, choose_encoding, find_encoder
from reage.video.source import probe_video
from tests.video.clips import draw_face, moving_face, write_clip


def test_the_suffix_chooses_the_codec(tmp_path: Path) -> None:
    source = probe_video(write_clip(tmp_path / "a.mp4", moving_face(2), sound=None))
    chosen = {suffix: choose_encoding(source, Path(f"b{suffix}")).codec for suffix in CONTAINERS}
    assert chosen == {".mp4": "h264", ".m4v": "h264", ".mov": "h264", ".mkv": "h264", ".webm": "vp9"}


def test_a_better_quality_has_a_lower_rate_factor(tmp_path: Path) -> None:
    source = probe_video(write_clip(tmp_path / "a.mp4", moving_face(2)))
    factors = [int(choose_encoding(source, Path("b.mp4"), quality=name).options["crf"]) for name in ("high", "small")]
    assert factors[0] < factors[1]
    assert choose_encoding(source, Path("b.mp4"), quality="lossless").options["qp"] == "0"


def test_ten_bits_are_kept(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv", moving_face(2), pixel_format="yuv420p10le", sound=None)
    source = probe_video(path)
    assert source.bits == 10
    assert choose_encoding(source, Path("b.mkv")).pixel_format == "yuv420p10le"


@pytest.mark.parametrize(
    ("name", "codec", "quality", "words"),
    [
        ("b.avi", None, "high", "cannot be written as '.avi'"),
        ("b.mp4", "h266", "high", "There is no codec 'h266'"),
        ("b.webm", "h264", "high", "A .webm file cannot hold h264"),
        ("b.webm", None, "high", "cannot hold the sound"),
        ("b.mp4", None, "best", "The quality is 'best'"),
        ("b.mp4", "av1", "lossless", "is not written lossless"),
    ],
)
def test_what_cannot_be_written_is_refused(
    tmp_path: Path, name: str, codec: str | None, quality: str, words: str
) -> None:
    source = probe_video(write_clip(tmp_path / "a.mp4", moving_face(2)))
    with pytest.raises(VideoError, match=words):
        choose_encoding(source, Path(name), codec, quality)


def test_odd_sides_need_another_codec(tmp_path: Path) -> None:
    frame = draw_face(height=241, width=321)
    path = write_clip(tmp_path / "a.webm", [frame] * 2, codec="libvpx-vp9", sound=None)
    source = probe_video(path)
    with pytest.raises(VideoError, match="321 x 241 px, and h264 stores even sides only"):
        choose_encoding(source, Path("b.mp4"))
    assert choose_encoding(source, Path("b.webm")).codec == "vp9"


def test_an_encoder_that_the_build_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reage.video.codecs._has_encoder", lambda name: name == "libx264")
    assert find_encoder("h264") == "libx264"
    with pytest.raises(VideoError, match="The installed av cannot write av1; use --codec h264"):
        find_encoder("av1")


def test_all_that_is_written_is_taken_for_a_video() -> None:
    assert set(CONTAINERS) <= set(VIDEO_SUFFIXES)
    assert is_video("A.MP4")
    assert not is_video("a.gif")
    assert {codec for codecs in CONTAINERS.values() for codec in codecs} == set(CODECS)
