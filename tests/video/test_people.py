"""People: identity, best frames, stretches of one light."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reage.pipeline import Reager
from reage.types import Face, Reading
from reage.video.aging import VideoReager
from reage.video.people import Person, Stretch, best_frames, find_stretches, split_by_light
from reage.video.source import probe_video
from reage.video.tracking import Track


def make_track(face: Face, lights: list[float], first: int = 0) -> Track:
    count = len(lights)
    return Track(
        first=first,
        seconds=(first + np.arange(count)) / 10,
        meshes=np.repeat(face.mesh[None], count, 0),
        qualities=np.linspace(0, 1, count).astype(np.float32),
        lights=np.repeat(np.array(lights, np.float32)[:, None], 2, 1),
        steps=np.tile(np.eye(2, 3), (count, 1, 1)),
        looks=np.zeros((0, 96, 96, 3), np.uint8),
        enters=False,
        leaves=False,
    )


def test_who_returns_is_one_person(cut_clip: Path) -> None:
    _, people = VideoReager(Reager("none")).find_people(probe_video(cut_clip))
    (person,) = people
    assert [(track.first, track.last) for track in person.tracks] == [(0, 2), (6, 8)]
    assert person.num_frames == 6
    assert 25 < person.reading.age_years < 60
    assert person.mesh_at(4) is None
    values = person.to_json()
    assert values["person"] == 1
    assert values["frames"] == 6


def test_the_best_frames_lie_apart(face: Face) -> None:
    track = make_track(face, [0.0] * 10)
    assert best_frames([track], 3) == [9, 6, 3]


def test_a_new_light_is_learned_anew(face: Face) -> None:
    track = make_track(face, [0.0] * 20 + [-1.0] * 20)
    assert split_by_light(track.lights, track.seconds) == [(0, 19), (20, 39)]
    stretches = list(find_stretches([track], 39))
    assert [stretch.reference for stretch in stretches][-1] == 39
    assert stretches[0].reference < 20
    assert [(one.first, one.last) for one in stretches][-1][1] == 39


def test_one_light_has_one_reference(face: Face) -> None:
    tracks = [make_track(face, [0.0] * 10), make_track(face, [0.05] * 10, first=30)]
    assert [one.reference for one in find_stretches(tracks, 4)] == [4, 4]


def test_one_change_is_faded_into_the_next(face: Face) -> None:
    track = make_track(face, [0.0] * 40)
    person = Person(
        number=1,
        tracks=(track,),
        reading=Reading(age_years=30, age_std_years=3, masculinity=0.5),
        stretches=(Stretch(0, 19, 5), Stretch(20, 39, 30)),
        best=5,
    )

    def seconds_of(frame: int) -> float:
        return frame / 10

    assert person.references_at(3, seconds_of) == [(5, 1.0)]
    (before, share), (after, rest) = person.references_at(19, seconds_of)
    assert (before, after) == (5, 30)
    assert share + rest == pytest.approx(1)
    assert person.references_at(20, seconds_of)[0][0] == 30
