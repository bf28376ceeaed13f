"""A reel: one photo that ages smoothly, as a video or an animated picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from reage.composite import composite
from reage.engines.base import FaceChange
from reage.engines.exemplar.hair_mask import hat_is_hair
from reage.errors import PlanError, VideoError
from reage.faces.segmentation import FaceParser
from reage.files import check_place, replace_file, shorten_name
from reage.images import Image, draw_strip, geometry, save_image
from reage.pipeline import Reager, as_image, clip_target
from reage.plan import complete
from reage.types import Aged, Face, Pixels, Plan
from reage.video.change import learn_change
from reage.video.library import av
from reage.video.looking import find_shares, join_hat
from reage.video.muxing import PROVENANCE

MOVIES = (".mp4", ".m4v", ".mov", ".mkv")
ANIMATIONS = (".gif", ".webp")
_KNOT_YEARS = 5.0
_LONGEST_SIDE_PX = 1080
_LONGEST_ANIMATION_PX = 640
_RATE, _ANIMATION_RATE = 30, 12


@dataclass(frozen=True, kw_only=True)
class ReelOrder:
    """What a reel shows.

    Args:
        first: age in years at its start.
        last: at its end.
        seconds: that the change takes.
        hold_seconds: for which each end stands still.
        labels: whether the age is written above the picture.
        faces: to age: "all", "largest" or a number.

    Raises:
        PlanError: when a number is out of its range.
    """

    first: float
    last: float
    seconds: float = 6.0
    hold_seconds: float = 0.7
    labels: bool = False
    faces: str | int | tuple[int, ...] = "largest"

    def __post_init__(self) -> None:
        for age in (self.first, self.last):
            Plan(age=age)
        if self.first == self.last:
            raise PlanError(f"The reel starts and ends at {self.first:g} years; give two ages with --from and --to.")
        if not 0.2 <= self.seconds <= 120:
            raise PlanError(f"The reel is {self.seconds:g} s long; give 0.2 to 120 s.")

    def ages(self, rate: float) -> list[float]:
        """Target age of every frame, at a number of frames a second."""
        hold, moving = round(self.hold_seconds * rate), max(2, round(self.seconds * rate))
        shares = np.linspace(0, 1, moving)
        eased = shares * shares * (3 - 2 * shares)
        between = (self.first + eased * (self.last - self.first)).tolist()
        return [self.first] * hold + between + [self.last] * hold


def check_reel(source: Path, order: ReelOrder, output: Path | None) -> Path:
    """The file of a reel, checked.

    Raises:
        VideoError: when it cannot be written there.
    """
    path = output or Path(shorten_name(source.stem, f"-{order.first:g}-{order.last:g}.mp4"))
    if path.suffix.lower() not in (*MOVIES, *ANIMATIONS):
        raise VideoError(
            f"A reel cannot be written as '{path.suffix or path.name}'; use one of {', '.join((*MOVIES, *ANIMATIONS))}."
        )
    if path.exists() and source.exists() and path.samefile(source):
        raise VideoError(f"'{path}' is the photo, which is never overwritten; choose another name.")
    check_place(path, VideoError)
    return path


def make_reel(
    reager: Reager,
    photo: str | Path,
    order: ReelOrder,
    output: str | Path | None = None,
    *,
    progress: Callable[[str, int, int], None] | None = None,
) -> Path:
    """Writes a reel of a photo, and returns its path.

    Args:
        reager: with the engine.
        photo: a file.
        order: what it shows.
        output: .mp4, .m4v, .mov, .mkv, .gif or .webp; NAME-FIRST-LAST.mp4 in the current folder by default.
        progress: called after each frame.

    Raises:
        VideoError: when it cannot be written.
        ImageError: when the photo cannot be read.
        FaceNotFound: when it shows no face.
    """
    path = check_reel(Path(photo), order, None if output is None else Path(output))
    animated = path.suffix.lower() in ANIMATIONS
    picture = as_image(photo).frames[0].pixels
    longest = _LONGEST_ANIMATION_PX if animated else _LONGEST_SIDE_PX
    picture = geometry.resize_by(picture, min(1.0, longest / max(picture.shape[:2])))
    rate = _ANIMATION_RATE if animated else _RATE
    ages = order.ages(rate)
    frames = _count(_draw(reager, picture, order, ages), len(ages), progress)
    with replace_file(path, VideoError) as unfinished:
        if animated:
            _write_animation(frames, unfinished, rate, reager.engine.name != "none")
        else:
            _write_movie(frames, unfinished, rate)
    return path


def _count(frames: Iterator[Pixels], total: int, progress: Callable[[str, int, int], None] | None) -> Iterator[Pixels]:
    for number, frame in enumerate(frames, 1):
        yield frame
        if progress is not None:
            progress("render", number, total)


class _Portrait:
    """One face of the photo, and its changes at the ages at which they are learned.

    Args:
        reager: with the engine.
        picture: (H, W, 3) the photo.
        face: in it.
        parser: of faces.
    """

    def __init__(self, reager: Reager, picture: Pixels, face: Face, parser: FaceParser) -> None:
        self._engine, self._face, self._reading = reager.engine, face, reager.measure(face)
        shares = find_shares(picture, face.mesh, parser)
        self._shares = join_hat(shares) if hat_is_hair(face, shares) else shares
        self._changes: dict[float, FaceChange] = {}

    def aged(self, age: float) -> Aged:
        """The face at an age in years."""
        low = _KNOT_YEARS * float(np.floor(age / _KNOT_YEARS))
        change = self._change(low)
        if age > low:
            change = change.mixed(self._change(low + _KNOT_YEARS), (age - low) / _KNOT_YEARS)
        return change.on(self._face, self._shares)

    def _change(self, age: float) -> FaceChange:
        if age not in self._changes:
            plan = complete(clip_target(Plan(age=min(max(age, 1.0), 100.0)), self._engine), self._reading)
            like = next(iter(self._changes.values()), None)
            self._changes[age] = learn_change(self._engine, self._face, self._reading, plan, like)
        return self._changes[age]


def _draw(reager: Reager, picture: Pixels, order: ReelOrder, ages: list[float]) -> Iterator[Pixels]:
    """The frames; one that is like the one before is drawn once."""
    faces, parser = reager.choose(picture, order.faces), FaceParser.load()
    portraits = [(face, _Portrait(reager, picture, face, parser)) for face in faces]
    last: tuple[float, Pixels] | None = None
    for age in ages:
        if last is None or last[0] != age:
            result = picture
            for face, portrait in portraits:
                result = composite(result, face, portrait.aged(age))
            last = (age, _label(result, age) if order.labels else result)
        yield last[1]


def _label(pixels: Pixels, age: float) -> Pixels:
    """The picture with the age in a band above it."""
    return draw_strip([pixels], [f"{age:.0f}"], height_px=len(pixels))


def _write_movie(frames: Iterator[Pixels], path: Path, rate: int) -> None:
    try:
        with av.open(str(path), "w") as made:
            stream = made.add_stream("libx264", rate=Fraction(rate), options={"crf": "17", "preset": "medium"})
            made.metadata["comment"] = PROVENANCE
            for index, pixels in enumerate(frames):
                even = np.ascontiguousarray(pixels[: len(pixels) // 2 * 2, : pixels.shape[1] // 2 * 2])
                if index == 0:
                    stream.height, stream.width = even.shape[:2]
                    stream.pix_fmt = "yuv420p"
                frame = av.VideoFrame.from_ndarray(even, format="rgb24")
                made.mux(stream.encode(frame))
            made.mux(stream.encode(None))
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"'{path.name}' could not be written ({error}); choose another suffix.") from error


def _write_animation(frames: Iterator[Pixels], path: Path, rate: int, altered: bool) -> None:
    duration = round(1000 / rate)
    pictures = [Image(pixels=pixels, duration_ms=duration) for pixels in frames]
    save_image(replace(pictures[0], more=tuple(pictures[1:])), path, altered=altered)
