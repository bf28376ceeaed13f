"""HDR brought to SDR."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reage.pipeline import Reager
from reage.types import Plan
from reage.video.aging import VideoReager
from reage.video.order import VideoOrder
from reage.video.source import FrameReader, probe_video
from reage.video.tone_mapping import _linear_light, map_tones
from tests.video.clips import moving_face, write_clip


def test_reference_white_is_203_nits_in_both_curves() -> None:
    for is_pq, level in ((True, 0.5807), (False, 0.75)):
        assert _linear_light(is_pq)[round(level * 1023)] == pytest.approx(1.0, abs=0.02)


def test_skin_stays_and_highlights_are_compressed() -> None:
    light = np.array([[[0.3, 0.2, 0.1], [1.0, 1.0, 1.0], [4.9, 4.9, 4.9], [2.0, 1.0, 0.5]]], np.float32)
    mapped = map_tones(light)
    np.testing.assert_array_equal(mapped[0, 0], light[0, 0])
    assert 0.8 < mapped[0, 1, 0] < 0.95
    assert mapped[0, 2, 0] == pytest.approx(1.0, abs=0.01)
    np.testing.assert_allclose(mapped[0, 3] / mapped[0, 3, 0], light[0, 3] / 2.0, atol=1e-5)


@pytest.mark.parametrize("curve", [16, 18])
def test_an_hdr_video_becomes_sdr(tmp_path: Path, curve: int) -> None:
    path = write_clip(tmp_path / "hdr.mp4", moving_face(2), colours=(9, curve, 9, 1), sound=None)
    order = VideoOrder(plan=Plan(age=70), tone_map=True)
    done = VideoReager(Reager("none")).age(path, order, tmp_path / "sdr.mp4")
    assert done.num_frames == 2
    source = probe_video(done.output)
    assert not source.is_hdr
    frames = [frame.picture for frame in FrameReader(source)]
    assert [int(frames[0].color_trc), int(frames[0].color_primaries), int(frames[0].colorspace)] == [1, 1, 1]
