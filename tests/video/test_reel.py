"""Reels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.data

from reage.errors import PlanError, VideoError
from reage.images import Image, load_image, save_image
from reage.pipeline import Reager
from reage.video.frames import to_rgb
from reage.video.reel import ReelOrder, make_reel
from reage.video.source import FrameReader, probe_video


@pytest.fixture
def me(tmp_path: Path) -> Path:
    path = tmp_path / "me.png"
    pixels = np.ascontiguousarray(skimage.data.astronaut()[:256, 96:352])
    save_image(Image(pixels=pixels), path, altered=False)
    return path


def test_a_reel_ages_smoothly(me: Path, tmp_path: Path) -> None:
    order = ReelOrder(first=45, last=60, seconds=0.3, hold_seconds=0.1)
    path = make_reel(Reager(), me, order, tmp_path / "me.mp4")
    source = probe_video(path)
    frames = [to_rgb(frame.picture, source).astype(int) for frame in FrameReader(source)]
    assert len(frames) == 9 + 2 * 3
    away = [float(np.abs(frame - frames[0])[60:160, 80:180].mean()) for frame in frames]
    assert away[-1] > 2
    assert max(np.diff(away)) < 0.5 * away[-1]


def test_an_animated_picture_has_labels(me: Path, tmp_path: Path) -> None:
    order = ReelOrder(first=45, last=50, seconds=0.3, hold_seconds=0.0, labels=True)
    path = make_reel(Reager("none"), me, order, tmp_path / "me.gif")
    image = load_image(path, frame=None)
    assert len(image.frames) >= 2
    assert image.pixels.shape[0] > 256


def test_what_makes_no_sense_is_refused(me: Path, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="starts and ends at 30"):
        ReelOrder(first=30, last=30)
    with pytest.raises(PlanError, match="0 s long"):
        ReelOrder(first=30, last=40, seconds=0)
    order = ReelOrder(first=20, last=80)
    with pytest.raises(VideoError, match=r"cannot be written as '\.avi'"):
        make_reel(Reager("none"), me, order, tmp_path / "me.avi")


def test_ages_rise_from_hold_to_hold() -> None:
    ages = ReelOrder(first=20, last=80, seconds=1, hold_seconds=0.5).ages(10)
    assert len(ages) == 20
    assert ages[:5] == [20.0] * 5
    assert ages[-5:] == [80.0] * 5
    assert (np.diff(ages) >= 0).all()
