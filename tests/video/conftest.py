"""Clips of the demo photo that several tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.video.clips import draw_face, draw_wall, moving_face, write_clip


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six frames in which the demo face moves, at uneven times, with sound."""
    return write_clip(tmp_path_factory.mktemp("clips") / "me.mp4", moving_face(6))


@pytest.fixture(scope="session")
def cut_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three frames of the demo face, three of a wall, and three of the face again."""
    frames = [*moving_face(3), *(draw_wall(200),) * 3, *(draw_face(120 - 3 * index) for index in range(3))]
    return write_clip(tmp_path_factory.mktemp("clips") / "cut.mp4", frames, sound=None)
