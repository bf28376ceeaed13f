"""Ages the people of a video: a first reading follows them, a second one warps the change of each to every frame."""

from __future__ import annotations

import os
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

import reage
from reage.composite import Box, composite_into
from reage.engines.base import FaceChange
from reage.engines.exemplar.hair_mask import hat_is_hair
from reage.errors import FaceNotFound, VideoError
from reage.faces.segmentation import FaceParser
from reage.files import replace_file
from reage.images import geometry
from reage.pipeline import Reager, clip_target, describe_clipped_ages
from reage.plan import complete
from reage.types import Pixels, Plan, Plane, Samples
from reage.video.change import learn_change, scaled
from reage.video.codecs import Encoding, choose_encoding
from reage.video.encoding import SegmentEncoder
from reage.video.frames import to_rgb, write_change
from reage.video.library import av
from reage.video.looking import REACH, Look, find_shares, join_hat, look_at, make_face, place_window, steady_shares
from reage.video.muxing import MuxedFrames, mux
from reage.video.occlusion import FaceModel, hide
from reage.video.order import VideoOrder, VideoOutcome, check_video_output
from reage.video.people import Identities, Person, cut_face, mesh_in
from reage.video.source import Frame, FrameReader, VideoSource, probe_video, read_frame
from reage.video.tracking import Track, Tracker, join_tracks
from reage.video.workspace import Survey, Workspace

_SEGMENT_SECONDS = 4.0
_SEGMENT_FRAMES = (16, 240)
_PARSED_A_SECOND = 20
"""Frames a second above which the face parser sees every second one."""
_KNOT_YEARS = 5.0
"""Ages over time are learned at multiples of it, and mixed in between."""
_CHANGES_KEPT = 6
_FADE_SECONDS = 0.15
"""Time over which the change comes and goes where a face appears or is lost amid a shot."""

Item = TypeVar("Item")
Progress = Callable[[str, int, int], None]
"""Step, frames that are finished, and frames in all, 0 where that is not known."""


class VideoReager:
    """Ages videos with one engine.

    Args:
        reager: with the engine.

    Example:
        >>> VideoReager(Reager()).age("me.mp4", VideoOrder(plan=Plan(age=70)))  # doctest: +SKIP
    """

    def __init__(self, reager: Reager) -> None:
        self.reager = reager

    @cached_property
    def parser(self) -> FaceParser:
        """The face parser."""
        return FaceParser.load()

    def find_people(
        self, source: VideoSource, seconds: float | None = None, progress: Progress | None = None
    ) -> tuple[Survey, list[Person]]:
        """Everybody in a video, or in its first seconds.

        Raises:
            VideoError: when it cannot be read.
        """
        survey = follow_faces(source, seconds, progress)
        return survey, self._tell_apart(source, survey)

    def _tell_apart(self, source: VideoSource, survey: Survey) -> list[Person]:
        reader = _FrameCache(source, survey)
        scorer = self.reager.zone_scorer if self.reager.engine.zone_driven else None
        return Identities(reader, self.reager.finder, self.reager.age_estimator, scorer).find(survey.tracks)

    def age(
        self,
        path: str | Path,
        order: VideoOrder,
        output: str | Path | None = None,
        *,
        progress: Progress | None = None,
    ) -> VideoOutcome:
        """Ages a video and writes it.

        A run that was stopped goes on where it was: the same call ends in the same frames.

        Args:
            path: of the video.
            order: what to do.
            output: file of the result; by default NAME-AGE.SUFFIX in the current folder.
            progress: called after each frame.

        Raises:
            VideoError: when the video cannot be read, or not be written so.
            FaceNotFound: when no face is in it, or not the person who is asked for.
            PlanError: when the engine cannot do what the plan asks for.
        """
        started = time.perf_counter()
        source = check_levels(probe_video(path), order.tone_map)
        target = check_video_output(source, order, output)
        encoding = choose_encoding(source, target, order.codec, order.quality)
        workspace = Workspace.open(target, self._describe(source, order, encoding))
        try:
            survey = workspace.load_survey()
            if survey is None:
                survey = follow_faces(source, order.seconds, progress)
                if not survey.tracks:
                    raise FaceNotFound(f"No face was found in '{path}'; give a video in which one can be seen.")
                workspace.save_survey(survey)
            people = self._tell_apart(source, survey)
            _check_people(order, people)
        except FaceNotFound:
            workspace.remove()
            raise
        found = time.perf_counter()
        film = Film(self, source, survey, people, order)
        num_aged = film.write(encoding, workspace, progress)
        rendered = time.perf_counter()
        frames = MuxedFrames(
            segments=[workspace.segment(index) for index in range(film.num_segments)],
            pts=survey.pts.tolist(),
            until=None if order.seconds is None else float(survey.seconds[-1]) + 1 / float(source.rate),
        )
        altered = self.reager.engine.name != "none"
        with replace_file(target, VideoError) as unfinished:
            notes = mux(source, encoding, frames, unfinished, altered=altered)
        workspace.remove()
        steps = {"find": found - started, "render": rendered - found, "join": time.perf_counter() - rendered}
        clipped = describe_clipped_ages(self.reager.engine, film.asked_ages)
        fields = ["The video is interlaced; its frames are aged whole."] if source.interlaced else []
        return VideoOutcome(
            source=source.path,
            output=target,
            people=tuple(people),
            targets=film.targets,
            num_frames=len(survey.pts),
            num_aged=num_aged,
            seconds=steps,
            notes=tuple(filter(None, (clipped, *fields, *notes))),
            broken=survey.damage.describe(source),
            engine=self.reager.engine.name,
            weights_hash=self.reager.engine.weights_hash,
        )

    def _describe(self, source: VideoSource, order: VideoOrder, encoding: Encoding) -> dict[str, Any]:
        """All that a result depends on."""
        return {
            "source": source.fingerprint(),
            "order": order.to_json(),
            "engine": [self.reager.engine.name, self.reager.engine.weights_hash],
            "encoder": [encoding.encoder, encoding.pixel_format, dict(encoding.options)],
            "version": reage.__version__,
        }


def follow_faces(source: VideoSource, seconds: float | None = None, progress: Progress | None = None) -> Survey:
    """The faces of a video, or of its first seconds, followed from frame to frame.

    Raises:
        VideoError: when it cannot be read, or is HDR.
    """
    source = check_levels(source)
    tracker = Tracker()
    reader = FrameReader(source, seconds)
    pts, times = list[int](), list[float]()
    total = source.expect_frames(seconds)
    shown = ((frame, np.asarray(to_rgb(frame.picture, source), np.uint8)) for frame in reader)
    for frame, pixels in read_ahead(shown):
        pts.append(frame.pts)
        times.append(frame.seconds)
        tracker.add(frame.number, frame.seconds, pixels)
        if progress is not None:
            progress("find", len(pts), max(total, len(pts)))
    if not pts:
        raise VideoError(f"'{source.path}' has no frame that can be read; give another file.")
    tracks = join_tracks(tracker.finish(), tracker.cuts)
    return Survey(
        pts=np.array(pts, np.int64),
        seconds=np.array(times),
        tracks=tracks,
        cuts=tracker.cuts,
        damage=reader.damage,
    )


def read_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The items, each made in a thread while the one before is in use."""
    end = object()
    with ThreadPoolExecutor(1) as thread:
        coming: Future[Any] = thread.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = thread.submit(next, items, end)
            yield item


def check_levels(source: VideoSource, tone_map: bool = False) -> VideoSource:
    """The source, brought to SDR where that is asked for; HDR has not the levels that the engines were made for.

    Raises:
        VideoError: for PQ and HLG, unless they are tone mapped.
    """
    if source.is_hdr and not tone_map:
        raise VideoError(
            f"'{source.path}' is HDR (PQ or HLG), which cannot be aged as it is; give --tone-map to bring it to SDR."
        )
    return source.tone_mapped() if source.is_hdr else source


def _check_people(order: VideoOrder, people: Sequence[Person]) -> None:
    asked = {*order.ages, *(order.faces if isinstance(order.faces, tuple) else ())}
    missing = sorted(number for number in asked if not 1 <= number <= len(people))
    if missing:
        raise FaceNotFound(
            f"There is no person {missing[0]}: {len(people)} {'was' if len(people) == 1 else 'were'} found, see "
            "`reage find`."
        )


def _join_boxes(boxes: Sequence[Box]) -> Box | None:
    if not boxes:
        return None
    tops, bottoms, lefts, rights = zip(*boxes, strict=True)
    return min(tops), max(bottoms), min(lefts), max(rights)


@dataclass
class _FrameCache:
    """Reads frames by their numbers; the last one is kept, because a person is looked at several times in a row."""

    source: VideoSource
    survey: Survey
    kept: dict[int, Pixels] = field(default_factory=dict)

    def __call__(self, number: int) -> Pixels:
        if number not in self.kept:
            if len(self.kept) > 3:
                self.kept.clear()
            picture = read_frame(self.source, int(self.survey.pts[number]))
            self.kept[number] = np.asarray(to_rgb(picture, self.source), np.uint8)
        return self.kept[number]


Seen = tuple[Pixels, dict[int, Look]]
"""The upright pixels of a frame, and what it shows of each person."""


@dataclass
class _Task:
    """A frame on its way."""

    frame: Frame
    seen: Future[Seen]


class Film:
    """The frames of one result.

    Args:
        ager: with the engine.
        source: the video.
        survey: what the first reading found.
        people: in it.
        order: what to do.
    """

    def __init__(
        self, ager: VideoReager, source: VideoSource, survey: Survey, people: Sequence[Person], order: VideoOrder
    ) -> None:
        self._ager, self._source, self._survey, self._order = ager, source, survey, order
        self._read = _FrameCache(source, survey)
        self._plans: dict[int, tuple[Person, Plan]] = {}
        self._models: dict[int, FaceModel | None] = {}
        self._changes: OrderedDict[tuple[int, int, float | None], FaceChange] = OrderedDict()
        self._first_change: dict[int, FaceChange] = {}
        self._hat_is_hair: dict[int, bool] = {}
        self.asked_ages: list[float | None] = []
        for person in people:
            plan = order.plan_for(person)
            if plan is not None:
                self._plans[person.number] = (person, plan)
                looks = [look for track in person.tracks for look in track.looks]
                self._models[person.number] = FaceModel.learn(looks)
                self.asked_ages += order.over_time or (plan.age,)
        rate = float(source.rate)
        self._skips = rate > _PARSED_A_SECOND
        self._segment_frames = int(np.clip(round(rate * _SEGMENT_SECONDS), *_SEGMENT_FRAMES))

    @property
    def num_segments(self) -> int:
        """How many segments the result has."""
        return -(-len(self._survey.pts) // self._segment_frames)

    @property
    def targets(self) -> dict[int, tuple[float | None, float | None]]:
        """Target ages of each person, within those of the engine."""
        first, last = 0, len(self._survey.pts) - 1
        return {
            number: (self._age_at(first, plan), self._age_at(last, plan)) for number, (_, plan) in self._plans.items()
        }

    def write(self, encoding: Encoding, workspace: Workspace, progress: Progress | None) -> int:
        """Writes the segments that are missing; returns in how many frames somebody is aged."""
        size, total = self._segment_frames, len(self._survey.pts)
        missing = [index for index in range(self.num_segments) if not workspace.segment(index).is_file()]
        if missing:
            first = missing[0] * size
            encoder: SegmentEncoder | None = None
            for number, picture in self.render(range(first, total), encoding.pixel_format):
                encoder = encoder or SegmentEncoder(self._source, encoding, picture)
                encoder.add(picture)
                if progress is not None:
                    progress("render", number + 1, total)
                if (number + 1) % size == 0 or number + 1 == total:
                    encoder.finish(workspace.segment(number // size))
                    encoder = None
        return sum(
            any(person.mesh_at(number) is not None for person, _ in self._plans.values()) for number in range(total)
        )

    def render(self, numbers: range, pixel_format: str) -> Iterator[tuple[int, av.VideoFrame]]:
        """The finished frames of a range that ends with the video, with their numbers."""
        if not numbers:
            return
        begin = max(0, numbers.start - REACH)
        start_pts = int(self._survey.pts[begin]) if begin else None
        reader = FrameReader(self._source, self._order.seconds if begin == 0 else None, start_pts, begin)
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            yield from self._run(self._expected(reader), numbers, pixel_format, pool)

    def _expected(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames that the first reading found, checked."""
        for frame in frames:
            if frame.number >= len(self._survey.pts):
                return
            if frame.pts != int(self._survey.pts[frame.number]):
                break
            yield frame
            if frame.number == len(self._survey.pts) - 1:
                return
        raise VideoError(f"'{self._source.path}' gives other frames when it is read again; convert it first.")

    def _run(
        self, frames: Iterator[Frame], numbers: range, pixel_format: str, pool: ThreadPoolExecutor
    ) -> Iterator[tuple[int, av.VideoFrame]]:
        tasks: deque[_Task] = deque()
        pending: deque[tuple[int, Future[av.VideoFrame]]] = deque()
        index = 0  # of the next task to render, in `tasks`
        ended = False
        while not ended or index < len(tasks):
            while not ended and len(tasks) <= index + REACH:
                frame = next(frames, None)
                if frame is None:
                    ended = True
                else:
                    tasks.append(_Task(frame, pool.submit(self._look, frame)))
            if index >= len(tasks):
                break
            own = tasks[index]
            if own.frame.number in numbers:
                before = [tasks[i] for i in range(index - 1, max(-1, index - 1 - REACH), -1)]
                after = [tasks[i] for i in range(index + 1, min(len(tasks), index + 1 + REACH))]
                changes = self._changes_at(own.frame.number)
                future = pool.submit(self._render, own, before, after, changes, pixel_format)
                pending.append((own.frame.number, future))
            index += 1
            while index > REACH:
                tasks.popleft()
                index -= 1
            while pending and (len(pending) > 3 or pending[0][1].done()):
                number, future = pending.popleft()
                yield number, future.result()
        for number, future in pending:
            yield number, future.result()

    def _look(self, frame: Frame) -> Seen:
        """The upright pixels of a frame, and what it shows of each person to age."""
        rgb = np.asarray(to_rgb(frame.picture, self._source), np.uint8)
        looks = {}
        for number, (person, _) in self._plans.items():
            found = person.mesh_at(frame.number)
            if found is not None:
                parser = self._ager.parser if self._is_parsed(frame.number, found[0]) else None
                look = look_at(rgb, found[1], parser)
                looks[number] = look if look.shares is None else self._without_occlusion(number, rgb, look)
        return rgb, looks

    def _without_occlusion(self, number: int, rgb: Pixels, look: Look) -> Look:
        """What a frame shows of a person, without what passes before the face and is taken for skin."""
        model = self._models[number]
        strange = None if model is None else model.find_strange(rgb, look.mesh)
        if strange is None or look.shares is None:
            return look
        mesh = geometry.move_points(look.mesh, place_window(look.mesh, look.shares.shape[-1]))
        return replace(look, shares=hide(look.shares, strange, mesh))

    def _is_parsed(self, number: int, track: Track) -> bool:
        """Whether the parser sees a frame: every second one where there are many, and both ends of a track."""
        return not self._skips or number % 2 == 0 or number in (track.first, track.last)

    def _render(
        self,
        own: _Task,
        earlier: Sequence[_Task],
        later: Sequence[_Task],
        changes: Mapping[int, FaceChange],
        pixel_format: str,
    ) -> av.VideoFrame:
        rgb, looks = own.seen.result()
        samples: Samples = rgb
        if self._source.bits > 8 and looks:
            samples = to_rgb(own.frame.picture, self._source, deep=True)
        result, boxes = samples, list[Box]()
        for number, look in looks.items():
            person, _ = self._plans[number]
            found = person.mesh_at(own.frame.number)
            assert found is not None
            track = found[0]

            def shares_of(tasks: Sequence[_Task], number: int = number, track: Track = track) -> list[Plane]:
                inside = [task for task in tasks if track.first <= task.frame.number <= track.last]
                looks = (task.seen.result()[1][number] for task in inside)
                return [look.shares for look in looks if look.shares is not None]

            shares = steady_shares(look.shares, shares_of(earlier), shares_of(later))
            if self._hat_is_hair.get(number):
                shares = join_hat(shares)
            face = make_face(rgb, look, shares)
            aged = scaled(changes[number].on(face, shares), self._presence(person, own.frame.number))
            before, result = result, result.copy()
            box = composite_into(result, before, face, aged)
            boxes += [] if box is None else [box]
        return write_change(own.frame.picture, result, _join_boxes(boxes), self._source, pixel_format)

    def _presence(self, person: Person, number: int) -> float:
        """How far the change of a person is there: less where their face is about to appear or to be lost."""
        found = person.mesh_at(number)
        assert found is not None
        track, at = found[0], float(self._survey.seconds[number])
        share = 1.0
        if track.enters:
            share = min(share, (at - float(track.seconds[0])) / _FADE_SECONDS + 0.25)
        if track.leaves:
            share = min(share, (float(track.seconds[-1]) - at) / _FADE_SECONDS + 0.25)
        return share

    def _age_at(self, number: int, plan: Plan) -> float | None:
        """Target age in a frame."""
        if self._order.over_time is None:
            return clip_target(plan, self._ager.reager.engine).age
        seconds = self._survey.seconds
        share = (seconds[number] - seconds[0]) / max(seconds[-1] - seconds[0], 1e-9)
        first, last = self._order.over_time
        return clip_target(replace(plan, age=first + share * (last - first)), self._ager.reager.engine).age

    def _changes_at(self, number: int) -> dict[int, FaceChange]:
        """The change of each person in a frame."""
        found = {}
        for index, (person, plan) in self._plans.items():
            if person.mesh_at(number) is None:
                continue
            references = person.references_at(number, lambda frame: float(self._survey.seconds[frame]))
            age = self._age_at(number, plan)
            changes = [self._change_between(person, plan, reference, age) for reference, _ in references]
            found[index] = changes[0] if len(changes) == 1 else changes[0].mixed(changes[1], references[1][1])
        return found

    def _change_between(self, person: Person, plan: Plan, reference: int, age: float | None) -> FaceChange:
        if age is None or self._order.over_time is None:
            return self._change(person, plan, reference, age)
        low = _KNOT_YEARS * np.floor(age / _KNOT_YEARS)
        lower = self._change(person, plan, reference, max(low, 1.0))
        share = (age - low) / _KNOT_YEARS
        if share == 0:
            return lower
        return lower.mixed(self._change(person, plan, reference, low + _KNOT_YEARS), float(share))

    def _change(self, person: Person, plan: Plan, reference: int, age: float | None) -> FaceChange:
        """The change of a person towards an age, learned on one frame, and kept."""
        key = (person.number, reference, age)
        if person.number not in self._first_change and reference != person.best:
            self._change(person, plan, person.best, age)  # what is learned later is like it, wherever a run goes on
        if key not in self._changes:
            engine = self._ager.reager.engine
            face = cut_face(self._ager.reager.finder, self._read(reference), mesh_in(person.tracks, reference))
            wanted = clip_target(replace(plan, age=age), engine) if age is not None else plan
            if person.number not in self._hat_is_hair:
                shares = find_shares(self._read(reference), face.mesh, self._ager.parser)
                self._hat_is_hair[person.number] = hat_is_hair(face, shares)
            like = self._first_change.get(person.number)
            change = learn_change(engine, face, person.reading, complete(wanted, person.reading), like)
            self._first_change.setdefault(person.number, change)
            self._changes[key] = change
            if len(self._changes) > _CHANGES_KEPT * max(1, len(self._plans)):
                self._changes.popitem(last=False)
        self._changes.move_to_end(key)
        return self._changes[key]
