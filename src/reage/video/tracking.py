"""Follows faces from frame to frame by their meshes; a detector looks for new ones on key frames and where one is lost.

A face that a key frame finds is followed backwards too, to the key frame before, so that no frame is missed.

Convention: meshes (478, 3) px of the upright frame; times in seconds.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from reage.faces.blazeface import BlazeFaceConfig, overlap
from reage.faces.common_face import mean_mesh
from reage.faces.detector import BlazeFaceDetector, Detection, DetectorConfig, align, face_box
from reage.faces.mesh import FaceMesh, fit_mesh
from reage.images import geometry, regions
from reage.images.motion import fit_affine, follow_points
from reage.mesh_points import LANDMARK_POINTS, NUM_SURFACE, measure_pose
from reage.types import Matrix, Pixels, Plane
from reage.video.occlusion import LOOK_PX, look_straight

_CHIP_PX = 64
_CHEEKS = (np.s_[34:48, 17:26], np.s_[34:48, 38:47])
"""Left and right cheek in an aligned face of `_CHIP_PX`."""
_INNER = np.s_[14:54, 14:50]
_FLOW_PX, _FLOW_MARGIN_PX, _FLOW_REACH_PX = 200, 24, 8
"""Side of the face in which its movement is measured, margin around it, and most distance from where its mesh is."""
_MOST_LOOKS = 48
_CUT_BINS, _CUT_HISTOGRAM, _CUT_LEVELS = 6, 0.75, 14.0
"""Bins of a channel; distance of the histograms, 0 to 2, and mean change in levels, from which there is a cut."""


@dataclass(frozen=True, kw_only=True)
class TrackerConfig:
    """Settings of `Tracker`.

    Args:
        key_seconds: time between two key frames.
        max_key_frames: most frames between them.
        search_px: longest side of the frame in which faces are searched for and followed.
        min_presence: presence score of a mesh, 0 to 1, below which the face is lost.
        max_jump: most movement and change of size from frame to frame, heights of the face.
        max_unseen_seconds: time that a track lasts while the detector does not see a face there.
        max_overlap: share of the smaller box from which two faces are one.
        min_seconds: shortest track that is kept, unless the clip or the shot is shorter.
    """

    key_seconds: float = 0.4
    max_key_frames: int = 12
    search_px: int = 1280
    min_presence: float = 0.5
    max_jump: float = 0.5
    max_unseen_seconds: float = 2.5
    max_overlap: float = 0.4
    min_seconds: float = 0.12


@dataclass(frozen=True, kw_only=True, eq=False)
class Track:
    """A face followed through frames without a gap.

    Args:
        first: number of the first frame.
        seconds: (T,) time of each frame.
        meshes: (T, 478, 3) px, as found.
        qualities: (T,) how well each frame shows the face: sharp, large and from the front; the higher, the better.
        lights: (T, 2) log luminance of the left and the right cheek.
        steps: (T, 2, 3) matrix by which the skin moved from the frame before, px, see `measure_step`.
        looks: (K, N, N, 3) some frames in the common face, see `reage.video.occlusion`.
        enters: whether it starts amid a shot.
        leaves: whether it ends amid a shot.
    """

    first: int
    seconds: NDArray[np.float64]
    meshes: Plane
    qualities: Plane
    lights: Plane
    steps: NDArray[np.float64]
    looks: Pixels
    enters: bool
    leaves: bool

    def __len__(self) -> int:
        return len(self.meshes)

    @property
    def last(self) -> int:
        """Number of the last frame."""
        return self.first + len(self) - 1

    @property
    def frames(self) -> range:
        """Numbers of its frames."""
        return range(self.first, self.last + 1)

    @property
    def height_px(self) -> float:
        """Median height of the face, brow to chin."""
        boxes = np.array([face_box(mesh[list(LANDMARK_POINTS), :2]) for mesh in self.meshes[:: max(1, len(self) // 9)]])
        return float(np.median(boxes[:, 3] - boxes[:, 1]))


@dataclass
class _Active:
    """A track that goes on."""

    first: int
    enters: bool
    seconds: list[float] = field(default_factory=list)
    meshes: list[Plane] = field(default_factory=list)
    qualities: list[float] = field(default_factory=list)
    lights: list[Plane] = field(default_factory=list)
    steps: list[Matrix] = field(default_factory=list)
    looks: list[Pixels] = field(default_factory=list)
    look_step: int = 2
    seen_seconds: float = 0.0
    last: Pixels | None = None

    def add(self, seconds: float, mesh: Plane, pixels: Pixels) -> None:
        quality, light = measure_frame(pixels, mesh)
        still = np.eye(2, 3)
        self.steps.append(still if self.last is None else measure_step(self.last, pixels, self.meshes[-1], mesh))
        self.last = pixels
        if len(self.seconds) % self.look_step == 0:
            self.looks.append(look_straight(pixels, mesh))
        if len(self.looks) > _MOST_LOOKS:
            self.looks, self.look_step = self.looks[1::2], 2 * self.look_step
        self.seconds.append(seconds)
        self.meshes.append(mesh)
        self.qualities.append(quality)
        self.lights.append(light)

    def finish(self, leaves: bool, factor: float) -> Track:
        return Track(
            first=self.first,
            seconds=np.array(self.seconds),
            meshes=_scaled(np.stack(self.meshes), factor),
            qualities=np.array(self.qualities, np.float32),
            lights=np.stack(self.lights).astype(np.float32),
            steps=_scaled_steps(np.stack(self.steps), factor),
            looks=np.stack(self.looks) if self.looks else np.zeros((0, LOOK_PX, LOOK_PX, 3), np.uint8),
            enters=self.enters,
            leaves=leaves,
        )


@dataclass(frozen=True)
class _Kept:
    """A frame since the last key frame."""

    number: int
    seconds: float
    pixels: Pixels


class Tracker:
    """Follows the faces of a video; `add` its frames in order, then `finish`.

    Args:
        config: settings.

    Raises:
        WeightsError: when a net is missing.
    """

    def __init__(self, config: TrackerConfig = TrackerConfig()) -> None:
        self.config = config
        self._thorough = BlazeFaceDetector()
        quick = BlazeFaceConfig(search_px=(576, 1152))
        self._quick = BlazeFaceDetector(DetectorConfig(blazeface=quick, rotations_degrees=()))
        self._active: list[_Active] = []
        self._done: list[Track] = []
        self._kept: deque[_Kept] = deque(maxlen=config.max_key_frames)
        self._thumbnail: Pixels | None = None
        self._shot_first, self._key_seconds, self._factor = 0, -math.inf, 1.0
        self.cuts: list[int] = []
        """Numbers of the frames with which a shot starts, without the first."""

    def add(self, number: int, seconds: float, pixels: Pixels) -> None:
        """Follows the faces into the next frame (H, W, 3)."""
        longest = max(pixels.shape[:2])
        self._factor = max(1.0, longest / self.config.search_px)
        small = geometry.resize_by(pixels, 1 / self._factor)
        is_cut = self._find_cut(small) or number == 0
        if is_cut:
            self._end_shot(number)
        lost = [] if is_cut else self._follow(seconds, small)
        due = seconds - self._key_seconds >= self.config.key_seconds or len(self._kept) >= self.config.max_key_frames
        if is_cut or due or lost:
            self._detect(number, seconds, small, thorough=is_cut)
        self._kept.append(_Kept(number, seconds, small))

    def finish(self) -> list[Track]:
        """The tracks, in the order of their first frames."""
        for active in self._active:
            self._close(active, leaves=False)
        self._active = []
        return sorted(self._done, key=lambda track: (track.first, -track.height_px))

    def _find_cut(self, small: Pixels) -> bool:
        thumbnail = geometry.resize(small, 36, 64)
        before, self._thumbnail = self._thumbnail, thumbnail
        return before is not None and is_cut(before, thumbnail)

    def _end_shot(self, number: int) -> None:
        for active in self._active:
            self._close(active, leaves=False)
        self._active = []
        self._kept.clear()
        self._shot_first = number
        if number:
            self.cuts.append(number)

    def _close(self, active: _Active, leaves: bool) -> None:
        long = active.seconds[-1] - active.seconds[0] >= self.config.min_seconds
        if long or not (active.enters and leaves):
            self._done.append(active.finish(leaves, self._factor))

    def _follow(self, seconds: float, small: Pixels) -> list[_Active]:
        """Follows every face; returns those that were lost."""
        lost, boxes = [], list[tuple[float, float, float, float]]()
        for active in self._active:
            mesh = follow(small, active.meshes, self.config)
            box = None if mesh is None else _box_of(mesh)
            unseen = seconds - active.seen_seconds > self.config.max_unseen_seconds
            double = box is not None and any(overlap(box, other) > self.config.max_overlap for other in boxes)
            if mesh is None or box is None or unseen or double:
                lost.append(active)
                continue
            boxes.append(box)
            active.add(seconds, mesh, small)
        for active in lost:
            self._close(active, leaves=True)
        self._active = [active for active in self._active if active not in lost]
        return lost

    def _detect(self, number: int, seconds: float, small: Pixels, *, thorough: bool) -> None:
        found = (self._thorough if thorough else self._quick).detect(small)
        for detection in found:
            same = [one for one in self._active if overlap(_box_of(one.meshes[-1]), detection.box) > 0.25]
            for active in same:
                active.seen_seconds = seconds
            if not same:
                self._active.append(self._start(number, seconds, small, detection))
        self._key_seconds = seconds
        self._kept.clear()

    def _start(self, number: int, seconds: float, small: Pixels, detection: Detection) -> _Active:
        """A new track, with the frames before in which the face is seen already."""
        earlier: list[tuple[_Kept, Plane]] = []
        meshes = [detection.mesh]
        taken = [_box_of(one.meshes[-1]) for one in self._active]
        for kept in reversed(self._kept):
            mesh = follow(kept.pixels, meshes, self.config)
            if mesh is None or any(overlap(_box_of(mesh), box) > self.config.max_overlap for box in taken):
                break
            meshes.append(mesh)
            earlier.append((kept, mesh))
        first = earlier[-1][0].number if earlier else number
        active = _Active(first=first, enters=first > self._shot_first, seen_seconds=seconds)
        for kept, mesh in reversed(earlier):
            active.add(kept.seconds, mesh, kept.pixels)
        active.add(seconds, detection.mesh, small)
        return active


def follow(pixels: Pixels, meshes: list[Plane], config: TrackerConfig = TrackerConfig()) -> Plane | None:
    """The mesh of a face in the next frame; None where it is lost.

    Args:
        pixels: (H, W, 3) the next frame.
        meshes: of the frames before, one or more; its movement is expected to go on.
        config: when it is lost.
    """
    last = meshes[-1]
    step = last[:NUM_SURFACE, :2].mean(0) - meshes[-2][:NUM_SURFACE, :2].mean(0) if len(meshes) > 1 else np.zeros(2)
    for passes, moved in ((1, step), (3, np.zeros(2))):
        found = _fit(pixels, last, moved, passes)
        if found.presence >= config.min_presence and _is_near(found.points, last, config.max_jump):
            return found.points
    return None


def _fit(pixels: Pixels, last: Plane, step: NDArray[np.floating], passes: int) -> FaceMesh:
    points = last[:, :2]
    low, high = points.min(0), points.max(0)
    across = points[263] - points[33]
    roll = math.degrees(math.atan2(float(across[1]), float(across[0])))
    return fit_mesh(pixels, ((low + high) / 2 + step).astype(np.float32), float((high - low).max()), roll, passes)


def _is_near(mesh: Plane, last: Plane, max_jump: float) -> bool:
    height, before = float(np.ptp(mesh[:, 1])), float(np.ptp(last[:, 1]))
    away = float(np.linalg.norm(mesh[:, :2].mean(0) - last[:, :2].mean(0)))
    return away < max_jump * before and abs(math.log(max(height, 1e-3) / max(before, 1e-3))) < max_jump


def is_cut(before: Pixels, after: Pixels) -> bool:
    """Whether a shot ends between two small pictures of one size."""
    change = float(np.abs(before.astype(np.int16) - after).mean())
    return change > _CUT_LEVELS and _histogram_distance(before, after) > _CUT_HISTOGRAM


def _histogram_distance(before: Pixels, after: Pixels) -> float:
    """L1 distance of the colour histograms, 0 to 2."""
    weights = np.array([_CUT_BINS**2, _CUT_BINS, 1])
    counts = [
        np.bincount(((one.astype(int) * _CUT_BINS // 256) @ weights).ravel(), minlength=_CUT_BINS**3) / one[..., 0].size
        for one in (before, after)
    ]
    return float(np.abs(counts[0] - counts[1]).sum())


def measure_frame(pixels: Pixels, mesh: Plane) -> tuple[float, Plane]:
    """How well a frame shows a face, see `Track.qualities`, and the light on its cheeks, see `Track.lights`."""
    landmarks = mesh[list(LANDMARK_POINTS), :2]
    chip_from_image = align(landmarks, _CHIP_PX)
    chip = geometry.warp(pixels, chip_from_image, _CHIP_PX, _CHIP_PX)
    light = regions.to_light(np.ascontiguousarray(chip))
    inner = np.log(light[_INNER] / 255 + 0.05)
    fine = float(np.abs(np.diff(inner, axis=0)).mean() + np.abs(np.diff(inner, axis=1)).mean())
    yaw, pitch, _ = measure_pose(mesh)
    turned = math.exp(-((yaw / 25) ** 2) - ((pitch / 30) ** 2))
    size = min(1.0, 1 / (geometry.scale_of(chip_from_image) * 3))
    cheeks = np.array([math.log(float(light[where].mean()) / 255 + 0.05) for where in _CHEEKS], np.float32)
    return (0.2 + 0.8 * turned) * (0.3 + 0.7 * size) * fine, cheeks


def measure_step(before: Pixels, after: Pixels, mesh: Plane, next_mesh: Plane) -> Matrix:
    """The affine matrix by which the skin of a face moved between two pictures (H, W, 3), px: finer than its meshes.

    Args:
        before: the first.
        after: the second.
        mesh: (478, 3) in the first.
        next_mesh: in the second.
    """
    points, guess = mesh[steady_points(), :2], next_mesh[steady_points(), :2]
    together = np.vstack([points, guess])
    low, high = together.min(0) - 1, together.max(0) + 1
    scale = min(1.0, _FLOW_PX / float((high - low).max()))
    small_from_image = scale * np.eye(2, 3)
    small_from_image[:, 2] = _FLOW_MARGIN_PX - scale * low
    width, height = (np.ceil((high - low) * scale) + 2 * _FLOW_MARGIN_PX).astype(int).tolist()
    cut = [
        regions.to_light(np.ascontiguousarray(geometry.warp(one, small_from_image, height, width))).astype(np.uint8)
        for one in (before, after)
    ]
    here, there = (geometry.move_points(one, small_from_image) for one in (points, guess))
    found, is_found = follow_points(cut[0], cut[1], here, there)
    is_found &= np.linalg.norm(found - there, axis=1) < _FLOW_REACH_PX
    if is_found.sum() < len(points) / 3:
        return fit_affine(points, guess)
    small_step = fit_affine(here[is_found], found[is_found], softness_px=0.3)
    image_from_small = geometry.invert(small_from_image)
    return image_from_small @ _squared(small_step) @ _squared(small_from_image)


def _squared(matrix: Matrix) -> Matrix:
    return np.vstack([matrix, [0, 0, 1]])


@cache
def steady_points() -> NDArray[np.int64]:
    """(N,) mesh points on skin that neither eyes nor mouth move much."""
    x, y = np.abs(mean_mesh()[:NUM_SURFACE, 0]), mean_mesh()[:NUM_SURFACE, 1]
    eyes = ((x - 0.5) / 0.42) ** 2 + ((y + 0.08) / 0.38) ** 2 < 1
    return np.flatnonzero(~eyes & (x < 0.95) & (y > -0.8) & (y < 0.85))


def _box_of(mesh: Plane) -> tuple[float, float, float, float]:
    return face_box(mesh[list(LANDMARK_POINTS), :2])


def _scaled(meshes: Plane, factor: float) -> Plane:
    """Meshes of a picture that was made smaller by a factor, px of the picture itself."""
    if factor == 1:
        return meshes.astype(np.float32)
    scaled = meshes * factor
    scaled[..., :2] += (factor - 1) / 2
    return scaled.astype(np.float32)


def _scaled_steps(steps: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    """The steps (T, 2, 3) in a picture larger by a factor, see `_scaled`."""
    scaled = steps.copy()
    centre = np.full(2, (factor - 1) / 2)
    scaled[:, :, 2] = factor * steps[:, :, 2] + centre - steps[:, :, :2] @ centre
    return scaled


def join_tracks(tracks: list[Track], cuts: list[int], max_gap_seconds: float = 0.5) -> list[Track]:
    """The tracks with short gaps closed, in which a face was hidden: its mesh moves evenly from one to the other."""
    joined: list[Track] = []
    for track in tracks:
        before = next((one for one in joined if _goes_on(one, track, cuts, max_gap_seconds)), None)
        if before is None:
            joined.append(track)
        else:
            joined[joined.index(before)] = _join(before, track)
    return joined


def _goes_on(before: Track, after: Track, cuts: list[int], max_gap_seconds: float) -> bool:
    gap = float(after.seconds[0] - before.seconds[-1])
    if not (before.last < after.first and gap <= max_gap_seconds):
        return False
    if any(before.last < cut <= after.first for cut in cuts):
        return False
    return _is_near(after.meshes[0], before.meshes[-1], 0.6)


def _join(before: Track, after: Track) -> Track:
    missing = after.first - before.last - 1
    shares = (np.arange(1, missing + 1) / (missing + 1))[:, None, None]
    between = (1 - shares) * before.meshes[-1] + shares * after.meshes[0]
    times = before.seconds[-1] + shares.ravel() * (after.seconds[0] - before.seconds[-1])
    bridge = [before.meshes[-1], *between, after.meshes[0]]
    steps = [fit_affine(one[:NUM_SURFACE, :2], other[:NUM_SURFACE, :2]) for one, other in pairwise(bridge)]
    return replace(
        before,
        seconds=np.concatenate([before.seconds, times, after.seconds]),
        meshes=np.concatenate([before.meshes, between, after.meshes]).astype(np.float32),
        qualities=np.concatenate([before.qualities, np.zeros(missing, np.float32), after.qualities]),
        lights=np.concatenate([before.lights, np.repeat(before.lights[-1:], missing, 0), after.lights]),
        steps=np.concatenate([before.steps, steps, after.steps[1:]]),
        looks=np.concatenate([before.looks, after.looks]),
        leaves=after.leaves,
    )
