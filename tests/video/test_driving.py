"""A clip as the driver."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reage.errors import FaceNotFound, PlanError, VideoError
from reage.faces.expression_transfer import ExpressionTransfer
from reage.faces.head_pose import fit_pose, turn_mesh
from reage.images import Image
from reage.pipeline import Reager
from reage.reenactment import Reenactor
from reage.types import Face
from reage.video.aging import VideoReager
from reage.video.driving import DriveOrder, RelativeMovement, check_driven, find_calmest, reenact_like_clip
from reage.video.source import FrameReader, probe_video
from tests.video.clips import draw_face, draw_wall, read_sound, write_clip


def test_the_photo_follows_a_clip(clip: Path, tmp_path: Path) -> None:
    photo, path = Image(pixels=draw_face(80)), tmp_path / "out.mp4"
    steps = []
    done = reenact_like_clip(
        Reager(), Reenactor.load(), photo, clip, DriveOrder(age=70), path, progress=lambda *step: steps.append(step)
    )
    assert done.num_frames == 6
    assert {step for step, _, _ in steps} == {"find", "render"}
    assert list(tmp_path.iterdir()) == [path]
    source = probe_video(path)
    assert (source.width_px, source.height_px) == (320, 240)
    assert [frame.pts for frame in FrameReader(source)] == [frame.pts for frame in FrameReader(probe_video(clip))]
    assert read_sound(path) == read_sound(clip)
    assert b"Altered by AI" in path.read_bytes()
    ((person,),) = [VideoReager(Reager("none")).find_people(source)[1]]
    assert person.reading.age_years > 50


def test_movement_is_relative_to_the_calm_frame(face: Face) -> None:
    transfer = ExpressionTransfer.load()
    calm = turn_mesh(face.mesh, (8.0, 0.0, 0.0))
    movement = RelativeMovement(transfer, face.mesh, calm)
    np.testing.assert_allclose(movement.to(calm), face.mesh, atol=0.05)
    turned = fit_pose(movement.to(turn_mesh(face.mesh, (18.0, 0.0, 0.0)))).angles
    assert turned[0] - fit_pose(face.mesh).angles[0] == pytest.approx(10, abs=1)
    stays = RelativeMovement(transfer, face.mesh, calm, "expression").to(turn_mesh(face.mesh, (18.0, 0.0, 0.0)))
    assert fit_pose(stays).angles[0] == pytest.approx(fit_pose(face.mesh).angles[0], abs=1)
    assert not movement.is_limited
    movement.to(turn_mesh(face.mesh, (60.0, 0.0, 0.0)))
    assert movement.is_limited


def test_the_calmest_frame_looks_at_the_camera(clip: Path) -> None:
    (person,) = VideoReager(Reager("none")).find_people(probe_video(clip))[1]
    assert 0 <= find_calmest(person) < 6


def test_what_cannot_be_followed_is_refused(clip: Path, tmp_path: Path) -> None:
    wall = write_clip(tmp_path / "wall.mp4", [draw_wall()] * 3, sound=None)
    reenactor, photo = Reenactor.load(), Image(pixels=draw_face(80))
    with pytest.raises(FaceNotFound, match="No face was found in "):
        reenact_like_clip(Reager("none"), reenactor, photo, wall, output=tmp_path / "b.mp4")
    with pytest.raises(FaceNotFound, match="There is no person 2"):
        reenact_like_clip(Reager("none"), reenactor, photo, clip, DriveOrder(person=2), tmp_path / "b.mp4")
    assert list(tmp_path.iterdir()) == [wall]
    with pytest.raises(VideoError, match="makes a video"):
        check_driven(probe_video(clip), tmp_path / "me.jpg", "b.png")
    with pytest.raises(PlanError, match="What to take"):
        DriveOrder(take="hair")
