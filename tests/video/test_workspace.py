"""What a stopped run leaves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reage.errors import VideoError
from reage.types import Face
from reage.video.source import Damage
from reage.video.tracking import Track
from reage.video.workspace import Survey, Workspace


def test_the_same_order_goes_on_and_another_starts_anew(tmp_path: Path) -> None:
    output = tmp_path / "b.mp4"
    first = Workspace.open(output, {"age": 70})
    first.segment(0).write_bytes(b"frames")
    assert Workspace.open(output, {"age": 70}).segment(0).is_file()
    assert not Workspace.open(output, {"age": 60}).segment(0).exists()
    first.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_survey_is_kept(tmp_path: Path, face: Face) -> None:
    track = Track(
        first=3,
        seconds=np.array([0.1, 0.2]),
        meshes=np.stack([face.mesh, face.mesh]),
        qualities=np.array([0.5, 0.6], np.float32),
        lights=np.zeros((2, 2), np.float32),
        steps=np.tile(np.eye(2, 3), (2, 1, 1)),
        looks=np.zeros((0, 96, 96, 3), np.uint8),
        enters=True,
        leaves=False,
    )
    workspace = Workspace.open(tmp_path / "b.mp4", {})
    assert workspace.load_survey() is None
    pts, seconds = np.arange(5), np.arange(5) / 25
    workspace.save_survey(Survey(pts=pts, seconds=seconds, tracks=[track], cuts=[2], damage=Damage(3, 0.5, None)))
    found = workspace.load_survey()
    assert found is not None
    assert (found.tracks[0].first, found.tracks[0].enters, found.tracks[0].leaves) == (3, True, False)
    np.testing.assert_array_equal(found.tracks[0].meshes, track.meshes)
    assert (found.cuts, found.damage) == ([2], Damage(3, 0.5, None))


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="could not be written"):
        Workspace.open(tmp_path / "missing" / "b.mp4", {})
