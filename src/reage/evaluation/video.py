"""Measures an aged video beside its source: flicker, identity and age over time.

The faces of the source are followed, and both videos are brought along the same meshes into a plane in which a face
stands still. There the change is the aged frame less the source; flicker is how much it differs from frame to frame.

Convention: flicker and noise in grey levels, 0 to 255; times in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from reage.errors import FaceNotFound, VideoError, WeightsError
from reage.face_classes import CLASSES
from reage.faces.common_face import fit_common_face
from reage.faces.detector import align
from reage.faces.segmentation import FaceParser
from reage.faces.skin_detail import skin_region
from reage.images import geometry
from reage.measure import AgeEstimator, DlibRecognizer, identity_distance
from reage.mesh_points import LANDMARK_POINTS
from reage.types import Pixels, Plane
from reage.video.aging import Progress, follow_faces
from reage.video.frames import to_rgb
from reage.video.looking import find_shares, place_window
from reage.video.source import FrameReader, VideoSource, probe_video
from reage.video.steadying import smooth_mesh
from reage.video.tracking import Track

PLANE_PX = 256
"""Side of the plane of the face, and of the head."""
_FINE_PX = 3 * PLANE_PX
HEAD_CROPS = 1.6
"""Side of the plane of the head, crop sides."""
_SAMPLE_SECONDS = 0.4
"""Time between the frames in which age and identity are read."""
_CHIP_PX = 512


@dataclass
class Steadiness:
    """Differences of pairs of neighbouring frames.

    Args:
        seconds: time of the second frame of each pair.
        flicker: of the change.
        source_noise: the same difference of the source itself.
        aged_noise: and of the aged video.
    """

    seconds: list[float] = field(default_factory=list)
    flicker: list[float] = field(default_factory=list)
    source_noise: list[float] = field(default_factory=list)
    aged_noise: list[float] = field(default_factory=list)

    def add(self, seconds: float, before: tuple[Plane, Plane], after: tuple[Plane, Plane], weight: Plane) -> None:
        """Adds a pair of frames, source and aged (N, N, 3) each, with the weight (N, N) of their pixels."""
        total = max(float(weight.sum()), 1e-6)

        def mean(difference: Plane) -> float:
            return float((np.abs(difference).mean(-1) * weight).sum() / total)

        self.seconds.append(seconds)
        self.flicker.append(mean((after[1] - after[0]) - (before[1] - before[0])))
        self.source_noise.append(mean(after[0] - before[0]))
        self.aged_noise.append(mean(after[1] - before[1]))

    def to_json(self) -> dict[str, float]:
        """Means over the pairs."""

        def mean(values: list[float]) -> float:
            return round(float(np.mean(values)), 4) if values else 0.0

        return {
            "flicker_levels": mean(self.flicker),
            "source_noise_levels": mean(self.source_noise),
            "aged_noise_levels": mean(self.aged_noise),
            "pairs": len(self.seconds),
        }


@dataclass
class VideoReport:
    """What was measured.

    Args:
        source: the video before.
        aged: the video after.
        frames: of both.
        same_times: whether every frame has the same time in both.
        face: steadiness of the skin in the common face.
        head: steadiness in a square around the head, with the hair.
        readings: for each sampled frame its time, the ages read before and after, and the distance of identity between
            both, and of the aged face from that of the first sample.
    """

    source: Path
    aged: Path
    frames: int = 0
    same_times: bool = True
    face: Steadiness = field(default_factory=Steadiness)
    head: Steadiness = field(default_factory=Steadiness)
    readings: list[dict[str, float]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        columns = {name: np.array([one[name] for one in self.readings]) for name in (self.readings or [{}])[0]}
        summary = {}
        if self.readings:
            ages = columns["aged_years"]
            summary = {
                "source_years": round(float(np.median(columns["source_years"])), 2),
                "aged_years": round(float(np.median(ages)), 2),
                "aged_years_spread": round(float(ages.std()), 2),
                "source_years_spread": round(float(columns["source_years"].std()), 2),
                "aged_years_farthest": round(float(np.abs(ages - np.median(ages)).max()), 2),
                "identity_distance": round(float(columns["identity_distance"].mean()), 4),
                "identity_drift": round(float(columns["identity_drift"].mean()), 4),
            }
        return {
            "source": str(self.source),
            "aged": str(self.aged),
            "frames": self.frames,
            "same_times": self.same_times,
            "face": self.face.to_json(),
            "head": self.head.to_json(),
            **summary,
            "readings": self.readings,
        }


def judge_video(source: str | Path, aged: str | Path, progress: Progress | None = None) -> VideoReport:
    """Measures an aged video beside its source, on the face that is seen most.

    Args:
        source: the video before.
        aged: the video after.
        progress: called after each frame.

    Raises:
        VideoError: when a video cannot be read, or the two differ in size or number of frames.
        FaceNotFound: when the source shows no face.
    """
    before, after = probe_video(source), probe_video(aged)
    if before.upright_size != after.upright_size:
        raise VideoError(
            f"'{source}' is {_size(before)} px and '{aged}' {_size(after)} px; give an aged video of the same size."
        )
    survey = follow_faces(before, None, progress)
    if not survey.tracks:
        raise FaceNotFound(f"No face was found in '{source}'; give a video in which one can be seen.")
    track = max(survey.tracks, key=lambda one: len(one) * one.height_px**2)
    judge = _Judge(VideoReport(before.path, after.path), track)
    total = len(survey.pts)
    for number, seconds, source_frame, aged_frame in _pairs(before, after, judge.report):
        judge.add(number, seconds, source_frame, aged_frame)
        if progress is not None:
            progress("compare", number + 1, total)
    if judge.report.frames != total:
        raise VideoError(f"'{aged}' has {judge.report.frames} frames, and '{source}' {total}; give the whole of both.")
    return judge.report


def _size(source: VideoSource) -> str:
    height, width = source.upright_size
    return f"{width} x {height}"


def _pairs(
    before: VideoSource, after: VideoSource, report: VideoReport
) -> Iterator[tuple[int, float, Callable[[], Pixels], Callable[[], Pixels]]]:
    """Number, time and both frames, which are converted when they are called for."""
    for one, other in zip(FrameReader(before), FrameReader(after), strict=False):
        step = float(max(before.time_base, after.time_base))
        report.same_times = report.same_times and abs(one.seconds - other.seconds) <= step
        report.frames += 1

        def convert(frame: Any, source: VideoSource) -> Callable[[], Pixels]:
            return lambda: np.asarray(to_rgb(frame.picture, source), np.uint8)

        yield one.number, one.seconds, convert(one, before), convert(other, after)


class _Judge:
    """Measures frame after frame.

    Args:
        report: is filled.
        track: the face.
    """

    def __init__(self, report: VideoReport, track: Track) -> None:
        self.report, self._track = report, track
        self._meshes = smooth_mesh(track.meshes, track.seconds, track.steps)
        self._face: tuple[Plane, Plane] | None = None
        self._head: tuple[Plane, Plane] | None = None
        self._skin = np.zeros((PLANE_PX, PLANE_PX), np.float32)
        self._parser = FaceParser.load()
        self._next_reading = -np.inf
        self._ages, self._recognizer = _load_age_judge(), DlibRecognizer.load()
        self._first: Plane | None = None

    def add(self, number: int, seconds: float, source: Callable[[], Pixels], aged: Callable[[], Pixels]) -> None:
        """Takes the next frame."""
        if not self._track.first <= number <= self._track.last:
            self._face = self._head = None
            return
        mesh = self._meshes[number - self._track.first]
        pictures = (source(), aged())
        common = fit_common_face(mesh)
        places = common.straighten(_FINE_PX)
        face = _both(lambda picture: _shrink(geometry.sample(picture, places)), pictures)
        head = _both(lambda picture: _cut_head(picture, mesh), pictures)
        skin = common.visibility(PLANE_PX) * skin_region(PLANE_PX) * self._find_skin(pictures[0], mesh, places)
        if self._face is not None and self._head is not None:
            self.report.face.add(seconds, self._face, face, np.minimum(skin, self._skin))
            self.report.head.add(seconds, self._head, head, np.ones((PLANE_PX, PLANE_PX), np.float32))
        self._face, self._head, self._skin = face, head, skin
        if seconds >= self._next_reading:
            self._next_reading = seconds + _SAMPLE_SECONDS
            self._read(seconds, pictures, mesh)

    def _find_skin(self, source: Pixels, mesh: Plane, places: Plane) -> Plane:
        """(N, N) share of skin at the pixels of the plane, whose places (F, F, 2) are px of the frame."""
        share = find_shares(source, mesh, self._parser)[CLASSES.index("skin")]
        coarse = geometry.resize(places, PLANE_PX, PLANE_PX)
        in_window = geometry.move_points(coarse.reshape(-1, 2), place_window(mesh, len(share)))
        return geometry.sample(share, in_window.reshape(coarse.shape))

    def _read(self, seconds: float, pictures: tuple[Pixels, Pixels], mesh: Plane) -> None:
        landmarks = mesh[list(LANDMARK_POINTS), :2]
        crop_from_image = align(landmarks, _CHIP_PX)
        crops = np.stack([geometry.warp(picture, crop_from_image, _CHIP_PX, _CHIP_PX) for picture in pictures])
        before, after = (one.age_years for one in self._ages.measure_crops(crops))
        looks = [self._recognizer.embed(picture, landmarks) for picture in pictures]
        self._first = looks[1] if self._first is None else self._first
        self.report.readings.append(
            {
                "seconds": round(seconds, 3),
                "source_years": round(before, 2),
                "aged_years": round(after, 2),
                "identity_distance": round(float(identity_distance(looks[0], looks[1])), 4),
                "identity_drift": round(float(identity_distance(self._first, looks[1])), 4),
            }
        )


def _both(cut: Callable[[Pixels], Plane], pictures: tuple[Pixels, Pixels]) -> tuple[Plane, Plane]:
    return cut(pictures[0]), cut(pictures[1])


def _shrink(picture: Pixels) -> Plane:
    """(N, N, 3) levels: the mean over the area of each pixel of the plane, so that no texture is aliased."""
    return geometry.resize(picture.astype(np.float32), PLANE_PX, PLANE_PX)


def _cut_head(picture: Pixels, mesh: Plane) -> Plane:
    """(N, N, 3) the head, turned and scaled like a crop."""
    inner = PLANE_PX / HEAD_CROPS
    matrix = align(mesh[list(LANDMARK_POINTS), :2], 1024) * (inner / 1024)
    matrix[:, 2] += (PLANE_PX - inner) / 2
    return geometry.warp(picture, matrix, PLANE_PX, PLANE_PX).astype(np.float32)


def _load_age_judge() -> AgeEstimator:
    """The estimator of age from which no engine learned; the other one where it is not installed."""
    try:
        return AgeEstimator.load("age-b")
    except WeightsError:
        return AgeEstimator.load()


def describe_report(report: VideoReport) -> list[tuple[str, str, str]]:
    """What was measured in words, for the face and for the head; "" where it is of neither."""
    values = report.to_json()
    face, head = values["face"], values["head"]
    rows = [
        ("flicker of the change, grey levels", f"{face['flicker_levels']:.2f}", f"{head['flicker_levels']:.2f}"),
        ("noise of the source", f"{face['source_noise_levels']:.2f}", f"{head['source_noise_levels']:.2f}"),
        ("noise of the aged video", f"{face['aged_noise_levels']:.2f}", f"{head['aged_noise_levels']:.2f}"),
        ("frames", str(report.frames), ""),
        ("every frame at its time", "yes" if report.same_times else "no", ""),
    ]
    if report.readings:
        rows += [
            ("age of the source, years", f"{values['source_years']:.1f} ± {values['source_years_spread']:.1f}", ""),
            ("age of the aged video, years", f"{values['aged_years']:.1f} ± {values['aged_years_spread']:.1f}", ""),
            ("identity: distance from the source", f"{values['identity_distance']:.2f}", ""),
            ("identity: distance from its first frame", f"{values['identity_drift']:.2f}", ""),
        ]
    return rows
