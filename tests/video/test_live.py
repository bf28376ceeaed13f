"""Live: a file as a camera."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reage.errors import PlanError, VideoError
from reage.pipeline import Reager
from reage.video.live import LiveReager, LiveSession, Newest, read_as_camera, read_camera
from tests.video.clips import draw_face, draw_wall


@pytest.fixture(scope="module")
def live() -> LiveReager:
    return LiveReager(Reager(), 75)


def test_the_face_is_aged_at_once_and_the_age_may_change(live: LiveReager) -> None:
    wall = draw_wall()
    assert live.add(wall, 0.0) is wall
    frames = [draw_face(60 + 3 * index) for index in range(4)]
    aged = [live.add(frame, 1 + index / 25) for index, frame in enumerate(frames[:2])]
    changes = [
        np.abs(one.astype(int) - frame)[70:150, 130:190].mean() for one, frame in zip(aged, frames, strict=False)
    ]
    assert min(changes) > 4
    assert live.reading is not None
    assert live.shown_age == 75
    live.age = live.reading.age_years
    same = live.add(frames[2], 1.2)
    assert live.shown_age == pytest.approx(live.reading.age_years)
    assert np.abs(same.astype(int) - frames[2])[70:150, 130:190].mean() < 1
    with pytest.raises(PlanError):
        live.age = 400


def test_only_the_newest_is_taken() -> None:
    newest: Newest[int] = Newest()
    for value in (1, 2, 3):
        newest.put(value)
    assert newest.take() == (3, 3)
    assert newest.dropped == 2
    assert newest.take(3, timeout_seconds=0.01) is None
    newest.close()
    assert newest.take(3) is None


def test_a_session_shows_the_newest_frame_and_ends_with_the_camera(clip: Path) -> None:
    waits: list[float] = []
    session = LiveSession(read_as_camera(clip, again=False, sleep=waits.append), LiveReager(Reager("none"), 70))
    session.start()
    number = 0
    while (found := session.shown.take(number, timeout_seconds=60)) is not None:
        number, (before, after) = found
    session.stop()
    session.raise_error()
    assert before.shape == after.shape
    assert len(waits) == 6
    assert max(waits) > 0.03
    state = session.to_json()
    assert state["error"] is None
    assert number + state["dropped"] <= 6


def test_what_is_no_camera_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="Camera 97 cannot be read"):
        next(read_camera(97))
    session = LiveSession(read_as_camera(tmp_path / "none.mp4"), LiveReager(Reager("none"), 70))
    session.start()
    assert session.shown.take(0) is None
    with pytest.raises(VideoError, match="does not exist"):
        session.raise_error()
    session.stop()
