"""Following faces."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reage.types import Face, Pixels
from reage.video.aging import follow_faces
from reage.video.source import probe_video
from reage.video.tracking import Track, Tracker, is_cut, join_tracks, measure_frame
from tests.video.clips import draw_face, draw_wall


def test_a_face_is_followed_through_every_frame(clip: Path) -> None:
    survey = follow_faces(probe_video(clip))
    (track,) = survey.tracks
    assert list(track.frames) == list(range(6))
    assert (track.enters, track.leaves) == (False, False)
    moved = track.meshes[:, :, 0].mean(1)
    np.testing.assert_allclose(moved - moved[0], -3.0 * np.arange(6), atol=0.8)
    assert 70 < track.height_px < 110


def test_a_cut_ends_a_track(cut_clip: Path) -> None:
    survey = follow_faces(probe_video(cut_clip))
    assert survey.cuts == [3, 6]
    assert [(track.first, track.last) for track in survey.tracks] == [(0, 2), (6, 8)]
    assert not any(track.leaves or track.enters for track in survey.tracks)


def test_a_face_that_a_key_frame_finds_is_followed_backwards() -> None:
    tracker = Tracker()
    for number in range(12):
        pixels = draw_wall(150) if number < 4 else draw_face()
        pixels = pixels if number else draw_wall(150)
        tracker._thumbnail = None  # no cut is seen
        tracker.add(number, number / 25, pixels)
    (track,) = tracker.finish()
    assert track.first == 4
    assert track.enters


def test_movement_is_no_cut(photo: Pixels) -> None:
    first, second = draw_face(60), draw_face(90)
    assert not is_cut(first[::6, ::5], second[::6, ::5])
    assert is_cut(first[::6, ::5], draw_wall(200)[::6, ::5])


def test_short_gaps_are_closed(face: Face) -> None:
    def track(first: int, shift: float) -> Track:
        seconds = (first + np.arange(3)) / 25
        meshes = np.repeat((face.mesh + np.array([shift, 0, 0], np.float32))[None], 3, 0)
        ones = np.ones(3, np.float32)
        return Track(
            first=first,
            seconds=seconds,
            meshes=meshes,
            qualities=ones,
            lights=np.zeros((3, 2), np.float32),
            steps=np.tile(np.eye(2, 3), (3, 1, 1)),
            looks=np.zeros((0, 96, 96, 3), np.uint8),
            enters=True,
            leaves=True,
        )

    one, other = track(0, 0.0), track(5, 6.0)
    (joined,) = join_tracks([one, other], [])
    assert list(joined.frames) == list(range(8))
    np.testing.assert_allclose(joined.meshes[3], face.mesh + np.array([2.0, 0, 0]), atol=1e-3)
    assert len(join_tracks([one, other], [4])) == 2
    assert len(join_tracks([one, track(40, 0.0)], [])) == 2
    assert len(join_tracks([one, track(5, 400.0)], [])) == 2
    assert replace(one, leaves=False).last == 2


def test_a_sharper_frame_shows_a_face_better(photo: Pixels, face: Face) -> None:
    soft = np.repeat(np.repeat(photo[::6, ::6], 6, 0), 6, 1)[:512, :512]
    sharp, blurred = measure_frame(photo, face.mesh), measure_frame(soft, face.mesh)
    assert sharp[0] != blurred[0]
    darker = measure_frame((photo // 2).astype(np.uint8), face.mesh)
    assert darker[1] == pytest.approx(sharp[1] - np.log(2), abs=0.1)
