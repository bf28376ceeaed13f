"""The people of a video: which tracks are one person, how old each looks, and which frames a change is learned from.

Convention: frames by their numbers, from 0; people from 1, the one who is seen most first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reage.faces.detector import Detection, face_box
from reage.faces.finder import FaceFinder
from reage.measure import AgeEstimator, DlibRecognizer, ZoneScorer, identity_distance, measure_face
from reage.measure.recognizers import SAME_PERSON_DISTANCE
from reage.mesh_points import LANDMARK_POINTS
from reage.types import Face, Pixels, Plane, Reading
from reage.video.steadying import smooth_mesh
from reage.video.tracking import Track

_LOOKS, _READ_FRAMES = 3, 5
"""Frames of a track by which a person is recognized, and frames of a person by which the age is read."""
_APART_SECONDS = 0.3
_LIGHT_MOVED = 0.45
"""Change of the log luminance of a cheek from which the change of the face is learned anew."""
_LIGHT_SECONDS = 0.8
"""Time over which the light is taken, and shortest time for which a change is learned anew."""
_FADE_SECONDS = 0.5

ReadFrame = Callable[[int], Pixels]
"""Frame number -> its upright pixels (H, W, 3) uint8."""


@dataclass(frozen=True)
class Stretch:
    """Frames of a track that share the frame from which the change of the face is learned.

    Args:
        first: number of the first frame.
        last: of the last.
        reference: of the frame to learn from.
    """

    first: int
    last: int
    reference: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Person:
    """A person in a video.

    Args:
        number: from 1.
        tracks: in the order of time; meshes are steadied.
        reading: the median over the best frames.
        stretches: of all tracks, in the order of time.
        best: number of the frame that shows the person best.
    """

    number: int
    tracks: tuple[Track, ...]
    reading: Reading
    stretches: tuple[Stretch, ...]
    best: int

    @property
    def height_px(self) -> float:
        """Median height of the face."""
        return float(np.median([track.height_px for track in self.tracks]))

    @property
    def num_frames(self) -> int:
        """In which the person is seen."""
        return sum(map(len, self.tracks))

    @property
    def times(self) -> list[tuple[float, float]]:
        """First and last second of each track."""
        return [(float(track.seconds[0]), float(track.seconds[-1])) for track in self.tracks]

    def mesh_at(self, frame: int) -> tuple[Track, Plane] | None:
        """The track and the mesh in a frame; None where the person is not seen."""
        for track in self.tracks:
            if track.first <= frame <= track.last:
                return track, track.meshes[frame - track.first]
        return None

    def references_at(self, frame: int, seconds_of: Callable[[int], float]) -> list[tuple[int, float]]:
        """Frames to learn from, with their weights, for a frame; two while one is faded into the other."""
        index = next(i for i, one in enumerate(self.stretches) if one.first <= frame <= one.last)
        here = self.stretches[index]
        for other_index, border in ((index - 1, here.first), (index + 1, here.last)):
            if not 0 <= other_index < len(self.stretches):
                continue
            other = self.stretches[other_index]
            touches = other.last + 1 == here.first or here.last + 1 == other.first
            away = abs(seconds_of(frame) - seconds_of(border))
            if touches and other.reference != here.reference and away < _FADE_SECONDS / 2:
                share = 0.5 - away / _FADE_SECONDS
                return [(here.reference, 1 - share), (other.reference, share)]
        return [(here.reference, 1.0)]

    def to_json(self) -> dict[str, Any]:
        """Number, age, times, number of frames and height of the face, as plain values."""
        return {
            "person": self.number,
            "age_years": round(self.reading.age_years, 1),
            "age_std_years": round(self.reading.age_std_years, 1),
            "frames": self.num_frames,
            "face_height_px": round(self.height_px, 1),
            "seconds": [[round(first, 3), round(last, 3)] for first, last in self.times],
            "best_frame": self.best,
        }


@dataclass
class Identities:
    """Tells people apart and reads their ages.

    Args:
        read_frame: gives the frames to look at.
        finder: cuts faces.
        age_estimator: reads ages.
        zone_scorer: scores zones; None to leave them out.
        recognizer: tells people apart.
    """

    read_frame: ReadFrame
    finder: FaceFinder
    age_estimator: AgeEstimator
    zone_scorer: ZoneScorer | None = None
    recognizer: DlibRecognizer = field(default_factory=DlibRecognizer.load)

    def find(self, tracks: Sequence[Track]) -> list[Person]:
        """The people of the tracks."""
        groups: list[tuple[list[Track], list[Plane]]] = []
        for track in tracks:
            looks = self._embed(track)
            group = self._match(track, looks, groups)
            if group is None:
                groups.append(([track], list(looks)))
            else:
                group[0].append(track)
                group[1].extend(looks)
        groups.sort(key=lambda group: -sum(len(track) * track.height_px**2 for track in group[0]))
        return [self._describe(number, group[0]) for number, group in enumerate(groups, 1)]

    def _embed(self, track: Track) -> Plane:
        """(K, 128) of the best frames."""
        found = []
        for frame in best_frames([track], _LOOKS):
            mesh = track.meshes[frame - track.first]
            found.append(self.recognizer.embed(self.read_frame(frame), mesh[list(LANDMARK_POINTS), :2]))
        return np.stack(found)

    def _match(
        self, track: Track, looks: Plane, groups: list[tuple[list[Track], list[Plane]]]
    ) -> tuple[list[Track], list[Plane]] | None:
        """The group of the same person: the nearest that is never seen together with the track."""
        nearest, found = SAME_PERSON_DISTANCE, None
        for group in groups:
            if any(one.first <= track.last and track.first <= one.last for one in group[0]):
                continue
            distances = identity_distance(looks[:, None], np.stack(group[1])[None])
            distance = float(np.sort(distances.min(1))[0])
            if distance < nearest:
                nearest, found = distance, group
        return found

    def _describe(self, number: int, raw_tracks: list[Track]) -> Person:
        tracks = tuple(
            replace(track, meshes=smooth_mesh(track.meshes, track.seconds, track.steps))
            for track in sorted(raw_tracks, key=lambda track: track.first)
        )
        frames = best_frames(tracks, _READ_FRAMES)
        readings = [self._read(tracks, frame, index == 0) for index, frame in enumerate(frames)]
        reading = replace(
            readings[0],
            age_years=float(np.median([one.age_years for one in readings])),
            age_std_years=float(np.median([one.age_std_years for one in readings])),
            masculinity=float(np.median([one.masculinity for one in readings])),
        )
        stretches = tuple(find_stretches(tracks, frames[0]))
        return Person(number=number, tracks=tracks, reading=reading, stretches=stretches, best=frames[0])

    def _read(self, tracks: Sequence[Track], frame: int, whole: bool) -> Reading:
        face = cut_face(self.finder, self.read_frame(frame), mesh_in(tracks, frame))
        return measure_face(face, self.age_estimator, self.zone_scorer if whole else None)


def mesh_in(tracks: Sequence[Track], frame: int) -> Plane:
    """The mesh of one of the tracks in a frame."""
    return next(track.meshes[frame - track.first] for track in tracks if track.first <= frame <= track.last)


def cut_face(finder: FaceFinder, pixels: Pixels, mesh: Plane) -> Face:
    """The face with a mesh in a picture, as a `FaceFinder` finds it."""
    box = face_box(mesh[list(LANDMARK_POINTS), :2])
    return finder.cut(pixels, Detection(mesh, box, 1.0))


def best_frames(tracks: Sequence[Track], count: int) -> list[int]:
    """Numbers of the frames that show a face best, some time apart where there are enough; the best first."""
    ranked = sorted(
        ((float(q), float(s), f) for track in tracks for q, s, f in _frames_of(track)), key=lambda one: -one[0]
    )
    chosen: list[tuple[float, float, int]] = []
    for one in ranked:
        if len(chosen) < count and all(abs(one[1] - other[1]) >= _APART_SECONDS for other in chosen):
            chosen.append(one)
    return [frame for _, _, frame in chosen]


def _frames_of(track: Track) -> Iterator[tuple[float, float, int]]:
    return zip(track.qualities.tolist(), track.seconds.tolist(), track.frames, strict=True)


def find_stretches(tracks: Sequence[Track], best: int) -> Iterator[Stretch]:
    """The stretches of a person's tracks: all of them share the best frame, unless the light is another.

    Args:
        tracks: of one person.
        best: number of the frame that shows the person best.
    """
    home = next(track for track in tracks if track.first <= best <= track.last)
    light_of_best = _steady_light(home)[best - home.first]
    known = [(best, light_of_best)]
    for track in tracks:
        lights = _steady_light(track)
        for first, last in split_by_light(lights, track.seconds):
            light = np.median(lights[first : last + 1], axis=0)
            near = min(known, key=lambda one: float(np.abs(one[1] - light).max()))
            if float(np.abs(near[1] - light).max()) > _LIGHT_MOVED:
                near = (track.first + first + int(np.argmax(track.qualities[first : last + 1])), light)
                known.append(near)
            yield Stretch(track.first + first, track.first + last, near[0])


def _steady_light(track: Track) -> Plane:
    """(T, 2) the light of a track, a median over `_LIGHT_SECONDS`."""
    if len(track) < 3:
        return track.lights
    step = max(float(np.median(np.diff(track.seconds))), 1e-3)
    reach = max(1, round(_LIGHT_SECONDS / step / 2))
    padded = np.pad(track.lights, ((reach, reach), (0, 0)), mode="edge")
    windows: NDArray[Any] = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=0)
    return np.median(windows, axis=-1).astype(np.float32)


def split_by_light(lights: Plane, seconds: NDArray[np.floating]) -> list[tuple[int, int]]:
    """First and last index of the parts of a track (T, 2) within which the light stays about the same."""
    parts, start, reference = [], 0, lights[0]
    for index in range(1, len(lights)):
        moved = float(np.abs(lights[index] - reference).max()) > _LIGHT_MOVED
        if moved and seconds[index] - seconds[start] >= _LIGHT_SECONDS:
            parts.append((start, index - 1))
            start, reference = index, lights[index]
    parts.append((start, len(lights) - 1))
    return parts
