"""A clip as the driver: the face of a photo follows the pose and the expression of the person in a clip.

What the clip does is taken relative to its calmest frame, in which the face looks as in the photo. An age is changed
first and once, so that skin and identity are the same in every frame.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import reage
from reage.errors import FaceNotFound, PlanError, VideoError
from reage.faces.expression import measure_expression
from reage.faces.expression_transfer import Angles, ExpressionTransfer, limit_turn
from reage.faces.head_pose import fit_pose
from reage.files import check_place, replace_file, shorten_name
from reage.images import Image, geometry
from reage.pipeline import Reager, as_image
from reage.reenactment import TAKES, Reenactor
from reage.types import Face, Pixels, Plan, Plane
from reage.video.aging import Progress, VideoReager, check_levels
from reage.video.codecs import CONTAINERS, DEFAULT_QUALITY, choose_encoding
from reage.video.encoding import SegmentEncoder
from reage.video.frames import from_rgb, to_rgb
from reage.video.looking import bare_face
from reage.video.muxing import MuxedFrames, mux
from reage.video.people import Person
from reage.video.source import FrameReader, VideoSource, probe_video
from reage.video.workspace import Survey, Workspace

_LONGEST_SIDE_PX = 1080
_SEGMENT_FRAMES = 120
_CALM_FRAMES = 80
"""Most frames of a clip that are looked at for the calmest."""
_CALM_DEGREES = 30.0
"""Turn that counts as much as a whole score of expression."""


@dataclass(frozen=True, kw_only=True)
class DriveOrder:
    """How a photo follows a clip.

    Args:
        age: target age in years that the face gets first; None to leave it.
        take: one of `reage.reenactment.TAKES`.
        face: of the photo: "largest" or a number from 1.
        person: of the clip, see `reage find`; 1 is the one who is seen most.
        seconds: of the clip to follow; None for all.
        codec: see `reage.video.order.VideoOrder`.
        quality: likewise.

    Raises:
        PlanError: when a value is out of range.
    """

    age: float | None = None
    take: str = "both"
    face: str | int | tuple[int, ...] = "largest"
    person: int = 1
    seconds: float | None = None
    codec: str | None = None
    quality: str = DEFAULT_QUALITY

    def __post_init__(self) -> None:
        if self.take not in TAKES:
            raise PlanError(f"What to take is '{self.take}'; use one of {', '.join(TAKES)}.")
        if self.age is not None:
            Plan(age=self.age)
        if self.seconds is not None and not self.seconds > 0:
            raise PlanError(f"The length is {self.seconds:g} s; it must be above 0.")


@dataclass(frozen=True, kw_only=True)
class Driven:
    """What became of a photo and a clip.

    Args:
        output: file of the result.
        num_frames: of it.
        calmest: number of the frame of the clip in which the face looks as in the photo.
        hidden_share: largest share of the face that the photo does not show, and that was drawn.
        seconds: time spent on each step.
        notes: what the user should know, a sentence each.
    """

    output: Path
    num_frames: int
    calmest: int
    hidden_share: float
    seconds: Mapping[str, float]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "output": str(self.output),
            "frames": self.num_frames,
            "calmest_frame": self.calmest,
            "hidden_share": round(self.hidden_share, 4),
            "seconds": {step: round(value, 3) for step, value in self.seconds.items()},
            "notes": list(self.notes),
        }


def check_driven(clip: VideoSource, photo: Path, output: str | Path | None) -> Path:
    """The file of the result, checked.

    Raises:
        VideoError: when it would overwrite a source, or cannot be made there.
    """
    path = Path(shorten_name(photo.stem, "-reenacted.mp4") if output is None else output)
    if path.suffix.lower() not in CONTAINERS:
        raise VideoError(f"A clip as the driver makes a video; write one of {', '.join(CONTAINERS)}, not '{path}'.")
    for source in (clip.path, photo):
        if path.exists() and source.exists() and path.samefile(source):
            raise VideoError(f"'{path}' is a source, which is never overwritten; choose another name.")
    check_place(path, VideoError)
    return path


def reenact_like_clip(
    reager: Reager,
    reenactor: Reenactor,
    photo: str | Path | Image,
    clip: str | Path,
    order: DriveOrder = DriveOrder(),
    output: str | Path | None = None,
    *,
    progress: Progress | None = None,
) -> Driven:
    """Writes a video in which the face of a photo does what the person in a clip does, with the clip's times and sound.

    A run that was stopped goes on where it was, as in `reage.video.aging.VideoReager.age`.

    Args:
        reager: with the engine that changes the age; it follows the faces of the clip, too.
        reenactor: that moves the face.
        photo: a file, or a picture.
        clip: a file.
        order: how.
        output: file of the result; NAME-reenacted.mp4 in the current folder by default.
        progress: called after each frame.

    Raises:
        VideoError: when the clip cannot be read, or the result not be written.
        ImageError: when the photo cannot be read.
        FaceNotFound: when there is no face in one of them, or not the person who is asked for.
    """
    started = time.perf_counter()
    driver, picture = check_levels(probe_video(clip), tone_map=True), as_image(photo)
    target = check_driven(driver, Path(picture.source or "photo"), output)
    still = _prepare(picture)
    size = still.pixels.shape[:2]
    shown = replace(
        driver, width_px=size[1], height_px=size[0], rotation_degrees=0, pixel_format="yuv420p", bits=8, is_hdr=False
    )
    encoding = choose_encoding(shown, target, order.codec, order.quality)
    key: dict[str, Any] = {
        "clip": driver.fingerprint(),
        "photo": hashlib.sha256(still.pixels.tobytes()).hexdigest()[:16],
        "order": repr(order),
    }
    key |= {"engine": [reager.engine.name, reager.engine.weights_hash], "version": reage.__version__}
    workspace = Workspace.open(target, {**key, "encoder": [encoding.encoder, dict(encoding.options)]})
    try:
        survey, person = _find_driver(reager, driver, order, progress)
        face, notes = reenactor.find(still, order.face)
    except FaceNotFound:
        workspace.remove()
        raise
    if order.age is not None:
        aged = reager(still, Plan(age=order.age), faces=order.face)
        still, notes = replace(aged.image, notes=()), (*notes, *aged.notes)
    acting = _Acting(reenactor, still, face, person, order.take)
    found = time.perf_counter()
    segments = _write(acting, driver, shown, survey, encoding, workspace, progress)
    drawn = time.perf_counter()
    frames = MuxedFrames(
        segments=segments,
        pts=survey.pts.tolist(),
        until=None if order.seconds is None else float(survey.seconds[-1]) + 1 / float(driver.rate),
    )
    with replace_file(target, VideoError) as unfinished:
        lost = mux(shown, encoding, frames, unfinished, drawn=from_rgb(still.pixels, encoding.pixel_format))
    workspace.remove()
    return Driven(
        output=target,
        num_frames=len(survey.pts),
        calmest=acting.calmest,
        hidden_share=acting.hidden_share,
        seconds={"find": found - started, "render": drawn - found, "join": time.perf_counter() - drawn},
        notes=tuple(dict.fromkeys((*picture.notes, *notes, *acting.notes, *lost))),
    )


def _prepare(picture: Image) -> Image:
    """The photo at the size of a video, with even sides."""
    factor = min(1.0, _LONGEST_SIDE_PX / max(picture.pixels.shape[:2]))
    pixels = geometry.resize_by(picture.pixels, factor)
    height, width = (side // 2 * 2 for side in pixels.shape[:2])
    return Image(pixels=np.ascontiguousarray(pixels[:height, :width]))


def _find_driver(
    reager: Reager, driver: VideoSource, order: DriveOrder, progress: Progress | None
) -> tuple[Survey, Person]:
    survey, people = VideoReager(reager).find_people(driver, order.seconds, progress)
    if not people:
        raise FaceNotFound(f"No face was found in '{driver.path}'; give a clip in which one can be seen.")
    if not 1 <= order.person <= len(people):
        raise FaceNotFound(f"There is no person {order.person} in the clip, which shows {len(people)}.")
    return survey, people[order.person - 1]


class _Acting:
    """The photo in the pose and expression of each frame.

    Args:
        reenactor: that moves its face.
        picture: the photo.
        face: in it.
        person: of the clip.
        take: see `DriveOrder`.
    """

    def __init__(self, reenactor: Reenactor, picture: Image, face: Face, person: Person, take: str) -> None:
        self._reenactor, self._picture, self._face, self._person, self._take = reenactor, picture, face, person, take
        self.calmest = find_calmest(person)
        self._movement = RelativeMovement(reenactor.transfer, face.mesh, _mesh(person, self.calmest), take)
        self._last: Pixels = picture.pixels
        self.hidden_share = 0.0

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know."""
        note = "The clip turns farther than a photo can; the face turns by 30 degrees at most."
        return (note,) if self._movement.is_limited else ()

    def draw(self, number: int, pixels: Pixels) -> Pixels:
        """The photo as the person looks in a frame (H, W, 3) of the clip; where nobody is seen it stays as it was."""
        found = self._person.mesh_at(number)
        if found is not None:
            mesh = self._movement.to(found[1])
            driver = None if self._take == "pose" else bare_face(pixels, found[1])
            samples, hidden_share = self._reenactor.move(self._picture, self._face, mesh, driver, {})
            self._last, self.hidden_share = np.asarray(samples, np.uint8), max(self.hidden_share, hidden_share)
        return self._last


class RelativeMovement:
    """The mesh of a face that does what another face does, relative to a calm frame of the other.

    Args:
        transfer: of expressions.
        mesh: (478, 3) px of the face.
        calm: (478, 3) of the other in its calm frame.
        take: see `DriveOrder`.
    """

    def __init__(self, transfer: ExpressionTransfer, mesh: Plane, calm: Plane, take: str = "both") -> None:
        self._transfer, self._mesh, self._take = transfer, mesh, take
        self._own, self._calm = fit_pose(mesh), fit_pose(calm)
        self._still = transfer.move(mesh, driver=calm)
        self.is_limited = False

    def to(self, other: Plane) -> Plane:
        """(478, 3) the mesh as the other face (478, 3) looks now."""
        moved = self._mesh
        if self._take != "pose":
            moved = moved + self._transfer.move(self._mesh, driver=other) - self._still
        if self._take == "expression":
            return moved
        turned = fit_pose(other).angles
        yaw, pitch, roll = (
            own + now - calm for own, now, calm in zip(self._own.angles, turned, self._calm.angles, strict=True)
        )
        angles: Angles
        angles, note = limit_turn(self._own, (yaw, pitch, roll))
        self.is_limited = self.is_limited or bool(note)
        return self._transfer.move(moved, angles=angles)


def find_calmest(person: Person) -> int:
    """Number of the frame in which a person looks calmest: straight at the camera, with the least expression."""
    frames = [frame for track in person.tracks for frame in track.frames]
    step = max(1, len(frames) // _CALM_FRAMES)

    def unrest(frame: int) -> float:
        mesh = _mesh(person, frame)
        scores = [score for name, score in measure_expression(mesh).items() if not name.startswith("eyeLook")]
        turned = float(np.abs(fit_pose(mesh).angles).sum())
        return float(np.sum(scores)) + turned / _CALM_DEGREES

    return min(frames[::step], key=unrest)


def _mesh(person: Person, frame: int) -> Plane:
    found = person.mesh_at(frame)
    assert found is not None
    return found[1]


def _write(
    acting: _Acting,
    driver: VideoSource,
    shown: VideoSource,
    survey: Survey,
    encoding: Any,
    workspace: Workspace,
    progress: Progress | None,
) -> list[Path]:
    """Writes the segments that are missing, and returns all."""
    total = len(survey.pts)
    segments = [workspace.segment(index) for index in range(-(-total // _SEGMENT_FRAMES))]
    encoder: SegmentEncoder | None = None
    for number, pixels in _frames(driver, survey):
        path = segments[number // _SEGMENT_FRAMES]
        if encoder is None and path.is_file():
            continue
        picture = from_rgb(acting.draw(number, pixels), encoding.pixel_format)
        encoder = encoder or SegmentEncoder(shown, encoding, picture)
        encoder.add(picture)
        if progress is not None:
            progress("render", number + 1, total)
        if (number + 1) % _SEGMENT_FRAMES == 0 or number + 1 == total:
            encoder.finish(path)
            encoder = None
    return segments


def _frames(driver: VideoSource, survey: Survey) -> Iterator[tuple[int, Pixels]]:
    for frame in FrameReader(driver):
        if frame.number >= len(survey.pts):
            return
        yield frame.number, np.asarray(to_rgb(frame.picture, driver), np.uint8)
