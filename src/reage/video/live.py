"""Live: ages the camera, or a file as a camera, as fast as the machine can; frames are dropped, never queued.

One face, the largest, is followed. Its change is learned once in a thread, while frames are shown as they are, and anew
where the target age or the person becomes another.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from reage.composite import composite
from reage.engines.base import FaceChange
from reage.engines.exemplar.hair_mask import hat_is_hair
from reage.errors import VideoError
from reage.faces.blazeface import BlazeFaceConfig
from reage.faces.detector import BlazeFaceDetector, DetectorConfig
from reage.faces.segmentation import FaceParser
from reage.images import geometry
from reage.measure import DlibRecognizer, identity_distance, measure_face
from reage.measure.recognizers import SAME_PERSON_DISTANCE
from reage.mesh_points import LANDMARK_POINTS
from reage.pipeline import Reager, clip_target
from reage.plan import complete
from reage.types import Face, Pixels, Plan, Plane, Reading
from reage.video.aging import check_levels
from reage.video.change import learn_change
from reage.video.frames import to_rgb
from reage.video.library import av
from reage.video.looking import find_shares, join_hat, look_at, make_face
from reage.video.people import cut_face
from reage.video.source import FrameReader, probe_video
from reage.video.steadying import OneEuroConfig, OneEuroFilter
from reage.video.tracking import follow, measure_step

Value = TypeVar("Value")

_SEARCH_SECONDS = 0.3
"""Time between two searches while no face is seen."""
_OWN_SHARE = 0.5
"""Share of a frame's own masks; the rest are those of the frames before."""
_RATE_SECONDS = 2.0
_STOP_SECONDS = 30.0
"""Longest time for which a session waits for its frame at its end."""
_CAMERAS = {"linux": ("v4l2", "/dev/video{}"), "darwin": ("avfoundation", "{}"), "win32": ("dshow", "video={}")}
"""Platform -> the input of FFmpeg that reads cameras, and the name of a camera by its number."""


def read_camera(number: int) -> Iterator[Pixels]:
    """The frames (H, W, 3) of a camera, without end.

    Raises:
        VideoError: when there is no such camera, or it cannot be read.
    """
    form, name = _CAMERAS.get(sys.platform, _CAMERAS["linux"])
    try:
        with av.open(name.format(number), format=form) as camera:
            for picture in camera.decode(video=0):
                yield np.asarray(picture.to_ndarray(format="rgb24"), np.uint8)
    except (av.FFmpegError, OSError, ValueError, IndexError) as error:
        raise VideoError(
            f"Camera {number} cannot be read ({name.format(number)}: {getattr(error, 'strerror', None) or error}); "
            "give another --camera, or a file."
        ) from error


def read_as_camera(
    path: str | Path, *, again: bool = True, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Pixels]:
    """The frames (H, W, 3) of a file at the speed at which it plays, again and again.

    Args:
        path: of a video.
        again: whether it starts anew at its end.
        sleep: waits for the time of a frame.

    Raises:
        VideoError: when it cannot be read.
    """
    source = check_levels(probe_video(path), tone_map=True)
    while True:
        started, first = time.monotonic(), None
        for frame in FrameReader(source):
            first = frame.seconds if first is None else first
            sleep(max(0.0, frame.seconds - first - (time.monotonic() - started)))
            yield np.asarray(to_rgb(frame.picture, source), np.uint8)
        if not again:
            return


class Newest(Generic[Value]):
    """The newest of values that come faster than they are used: one takes the place of the one before."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._value: Value | None = None
        self._number, self._taken = 0, 0
        self.dropped = 0
        """Values that nobody took."""
        self.is_closed = False

    def put(self, value: Value) -> None:
        """Sets the newest value."""
        with self._changed:
            self.dropped += self._number > self._taken
            self._value, self._number = value, self._number + 1
            self._changed.notify_all()

    def close(self) -> None:
        """Ends all waiting."""
        with self._changed:
            self.is_closed = True
            self._changed.notify_all()

    def take(self, after: int = 0, timeout_seconds: float | None = None) -> tuple[int, Value] | None:
        """Number and value of the newest one after a number; None once it is closed, or the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: self.is_closed or self._number > after, timeout_seconds)
            if self._number <= after or self._value is None:
                return None
            self._taken = self._number
            return self._number, self._value


@dataclass
class _Followed:
    """The face as it is followed.

    Args:
        meshes: of the last two frames, px.
        pixels: the last frame.
        seconds: its time.
        steady: filters the mesh.
        mesh: (478, 3) as filtered.
        shares: (10, P, P) masks, steadied; None at first.
    """

    meshes: list[Plane]
    pixels: Pixels
    seconds: float
    steady: OneEuroFilter
    mesh: Plane
    shares: Plane | None = None


@dataclass(frozen=True)
class _Learned:
    """The change of a person: its target age, and the face and the reading that it was learned from."""

    age: float
    face: Face
    reading: Reading
    look: Plane
    hat_is_hair: bool
    change: FaceChange


class LiveReager:
    """Ages one frame after the other.

    Args:
        reager: with the engine.
        age: target age in years.
        executor: learns changes beside the frames; None learns them in place, before the frame is shown.

    Example:
        >>> live = LiveReager(Reager(), 70)  # doctest: +SKIP
        >>> aged = live.add(frame, seconds=0.0)  # doctest: +SKIP
    """

    def __init__(self, reager: Reager, age: float, executor: Executor | None = None) -> None:
        self.reager, self._executor = reager, executor
        self._parser = FaceParser.load()
        quick = BlazeFaceConfig(search_px=(576,))
        self._detector = BlazeFaceDetector(DetectorConfig(blazeface=quick, rotations_degrees=()))
        self._recognizer = DlibRecognizer.load()
        self._followed: _Followed | None = None
        self._searched_seconds = -np.inf
        self._learned: _Learned | None = None
        self._learning: Future[_Learned] | None = None
        self._check_person = True
        self.age = age

    @property
    def age(self) -> float:
        """Target age in years; may be set at any time."""
        return self._age

    @age.setter
    def age(self, years: float) -> None:
        Plan(age=years)
        self._age = float(years)

    @property
    def reading(self) -> Reading | None:
        """Reading of the person; None until a face was seen."""
        return None if self._learned is None else self._learned.reading

    @property
    def shown_age(self) -> float | None:
        """Target age of what is shown; None while it is shown as it is."""
        return None if self._learned is None or self._followed is None else self._learned.age

    def add(self, pixels: Pixels, seconds: float) -> Pixels:
        """The next frame (H, W, 3), aged as far as is known; its time must be later than that of the one before."""
        self._follow(pixels, seconds)
        followed = self._followed
        if followed is None:
            return pixels
        self._learn(pixels, followed)
        learned = self._learned
        if learned is None:
            return pixels
        look = look_at(pixels, followed.mesh, self._parser)
        assert look.shares is not None
        before = look.shares if followed.shares is None else followed.shares
        followed.shares = before + np.float32(_OWN_SHARE) * (look.shares - before)
        shares = join_hat(followed.shares) if learned.hat_is_hair else followed.shares
        face = make_face(pixels, look, shares)
        return composite(pixels, face, learned.change.on(face, shares))

    def stop(self) -> None:
        """Ends what is being learned."""
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)

    def _follow(self, pixels: Pixels, seconds: float) -> None:
        """Finds the face of the frame."""
        last = self._followed
        mesh = None if last is None or last.pixels.shape != pixels.shape else follow(pixels, last.meshes)
        if last is None or mesh is None:
            self._followed = self._search(pixels, seconds)
            return
        step = measure_step(last.pixels, pixels, last.meshes[-1], mesh)

        def move(before: NDArray[np.float64]) -> NDArray[np.float64]:
            return geometry.move_points(before * height, step).astype(np.float64) / height

        height = float(np.ptp(mesh[:, 1]))
        last.mesh = (last.steady(mesh.astype(np.float64) / height, seconds, move) * height).astype(np.float32)
        last.meshes, last.pixels, last.seconds = [last.meshes[-1], mesh], pixels, seconds

    def _search(self, pixels: Pixels, seconds: float) -> _Followed | None:
        if seconds - self._searched_seconds < _SEARCH_SECONDS:
            return None
        self._searched_seconds = seconds
        found = self._detector.detect(pixels)
        if not found:
            return None
        mesh = max(found, key=lambda one: float(np.ptp(one.mesh[:, 1]))).mesh
        self._check_person = True
        steady = OneEuroFilter(OneEuroConfig(min_cutoff_hz=3.0, beta=8.0))
        steady(mesh.astype(np.float64) / float(np.ptp(mesh[:, 1])), seconds)
        return _Followed([mesh], pixels, seconds, steady, mesh)

    def _learn(self, pixels: Pixels, followed: _Followed) -> None:
        """Takes over what was learned, and starts to learn what is needed."""
        if self._learning is not None and self._learning.done():
            learning, self._learning = self._learning, None
            self._learned = learning.result()
        learned = self._learned
        if self._learning is not None:
            return
        if learned is not None and self._check_person:
            self._check_person = False
            look = self._recognizer.embed(pixels, followed.mesh[list(LANDMARK_POINTS), :2])
            if float(identity_distance(look, learned.look)) > SAME_PERSON_DISTANCE:
                learned = self._learned = None
        if learned is not None and learned.age == self.age:
            return
        task = (self.age, pixels.copy(), followed.mesh.copy(), learned)
        if self._executor is None:
            self._learned = self._make(*task)
        else:
            self._learning = self._executor.submit(self._make, *task)

    def _make(self, age: float, pixels: Pixels, mesh: Plane, known: _Learned | None) -> _Learned:
        """The change of the face with a mesh in a frame; of a person who is known, on the frame that is known."""
        engine = self.reager.engine
        if known is not None:
            face, reading, look, hat, like = known.face, known.reading, known.look, known.hat_is_hair, known.change
        else:
            face = cut_face(self.reager.finder, pixels, mesh)
            scorer = self.reager.zone_scorer if engine.zone_driven else None
            reading, like = measure_face(face, self.reager.age_estimator, scorer), None
            look = self._recognizer.embed(pixels, mesh[list(LANDMARK_POINTS), :2])
            hat = hat_is_hair(face, find_shares(pixels, mesh, self._parser))
        plan = complete(clip_target(Plan(age=age), engine), reading)
        return _Learned(age, face, reading, look, hat, learn_change(engine, face, reading, plan, like))


@dataclass
class LiveSession:
    """Reads a camera in one thread and ages its newest frame in another.

    Args:
        frames: of the camera.
        live: ages them.
        shown: the newest aged frame, before and after.
    """

    frames: Iterator[Pixels]
    live: LiveReager
    shown: Newest[tuple[Pixels, Pixels]] = field(default_factory=Newest)
    _captured: Newest[Pixels] = field(default_factory=Newest)
    _threads: list[threading.Thread] = field(default_factory=list)
    _times: list[float] = field(default_factory=list)
    _error: Exception | None = None

    def start(self) -> None:
        """Starts both threads, which end with `stop`, or with the camera."""
        for work in (self._capture, self._age):
            thread = threading.Thread(target=work, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Ends the session."""
        self._captured.close()
        self.shown.close()
        for thread in self._threads:
            thread.join(timeout=_STOP_SECONDS)
        self.live.stop()

    def raise_error(self) -> None:
        """Raises what ended the session, if anything did."""
        if self._error is not None:
            raise self._error

    def to_json(self) -> dict[str, Any]:
        """What it does now, as plain values."""
        now, reading = time.monotonic(), self.live.reading
        recent = [at for at in self._times if now - at < _RATE_SECONDS]
        return {
            "age": self.live.age,
            "shown_age": self.live.shown_age,
            "looks": None if reading is None else round(reading.age_years, 1),
            "frames_per_second": round(len(recent) / _RATE_SECONDS, 1),
            "dropped": self._captured.dropped,
            "error": None if self._error is None else str(self._error),
        }

    def _capture(self) -> None:
        try:
            for pixels in self.frames:
                if self._captured.is_closed:
                    return
                self._captured.put(pixels)
        except Exception as error:  # it ends the thread, and is told by `raise_error`
            self._error = error
        finally:
            self._captured.close()

    def _age(self) -> None:
        number = 0
        try:
            while (found := self._captured.take(number)) is not None:
                number, pixels = found
                self.shown.put((pixels, self.live.add(pixels, time.monotonic())))
                self._times = [*self._times[-240:], time.monotonic()]
        except Exception as error:  # as in `_capture`
            self._error = error
        finally:
            self.shown.close()


def start_session(reager: Reager, frames: Iterator[Pixels], age: float) -> LiveSession:
    """A session that ages frames, started."""
    session = LiveSession(frames, LiveReager(reager, age, ThreadPoolExecutor(1)))
    session.start()
    return session
