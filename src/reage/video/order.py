"""What to do with a video, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from reage.errors import PlanError, VideoError
from reage.files import check_place, shorten_name
from reage.types import Plan
from reage.video.codecs import CONTAINERS, DEFAULT_QUALITY
from reage.video.people import Person
from reage.video.source import VideoSource


@dataclass(frozen=True, kw_only=True)
class VideoOrder:
    """What to do with a video.

    Args:
        plan: for every person; None for those in `ages` alone.
        ages: number of a person -> target age in years, in place of that of the plan.
        faces: the people to age: "all", "largest" for the one seen most, or numbers.
        over_time: target ages in years at the start and at the end of the video; None for one age.
        seconds: of the video to age; None for all.
        codec: one of `reage.video.codecs.CODECS`; None for the default of the suffix.
        quality: one of `reage.video.codecs.QUALITIES`.
        tone_map: whether HDR is brought to the range of SDR first; else it is refused.

    Raises:
        PlanError: when it asks for nothing.
    """

    plan: Plan | None
    ages: Mapping[int, float] = field(default_factory=dict)
    faces: str | tuple[int, ...] = "all"
    over_time: tuple[float, float] | None = None
    seconds: float | None = None
    codec: str | None = None
    quality: str = DEFAULT_QUALITY
    tone_map: bool = False

    def __post_init__(self) -> None:
        if self.plan is None and not self.ages:
            raise PlanError("Nothing is asked for: give a target age with --to, or one for each person with --person.")
        if self.over_time is not None and self.ages:
            raise PlanError("Ages over time hold for everybody; leave the ages of single people out.")
        if self.seconds is not None and not self.seconds > 0:
            raise PlanError(f"The length of the preview is {self.seconds:g} s; it must be above 0.")

    def plan_for(self, person: Person) -> Plan | None:
        """The plan of a person; None to leave them as they are."""
        if self.faces == "largest" and person.number != 1:
            return None
        if isinstance(self.faces, tuple) and person.number not in self.faces:
            return None
        if person.number in self.ages:
            age = self.ages[person.number]
            return Plan(age=age) if self.plan is None else replace(self.plan, age=age)
        return self.plan

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        faces = list(self.faces) if isinstance(self.faces, tuple) else self.faces
        return {
            "plan": None if self.plan is None else self.plan.to_json(),
            "ages": {str(number): age for number, age in self.ages.items()},
            "faces": faces,
            "over_time": self.over_time,
            "seconds": self.seconds,
            "codec": self.codec,
            "quality": self.quality,
            "tone_map": self.tone_map,
        }


@dataclass(frozen=True, kw_only=True)
class VideoOutcome:
    """What became of a video.

    Args:
        source: the video.
        output: file of the result.
        people: everybody who was found.
        targets: number of each person who was aged -> target ages, in years, first and last.
        num_frames: of the result.
        num_aged: frames in which somebody was aged.
        seconds: time spent on each step.
        notes: what the user should know, a sentence each.
        broken: a sentence on what could not be read; "" where all could.
        engine: name of the engine.
        weights_hash: of its weights.
    """

    source: Path
    output: Path
    people: tuple[Person, ...]
    targets: Mapping[int, tuple[float | None, float | None]]
    num_frames: int
    num_aged: int
    seconds: Mapping[str, float]
    notes: tuple[str, ...]
    broken: str
    engine: str
    weights_hash: str

    @property
    def frames_per_second(self) -> float:
        """Frames that were finished in a second of this run."""
        return self.num_frames / max(sum(self.seconds.values()), 1e-9)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "input": str(self.source),
            "output": str(self.output),
            "engine": self.engine,
            "weights_hash": self.weights_hash,
            "frames": self.num_frames,
            "frames_aged": self.num_aged,
            "frames_per_second": round(self.frames_per_second, 2),
            "seconds": {step: round(value, 3) for step, value in self.seconds.items()},
            "people": [{**person.to_json(), "target_years": self.targets.get(person.number)} for person in self.people],
            "notes": list(self.notes),
            "broken": self.broken,
        }


def check_video_output(source: VideoSource, order: VideoOrder, output: str | Path | None) -> Path:
    """The file of the result, checked.

    Raises:
        VideoError: when it would overwrite the source, or cannot be made there.
    """
    path = Path(name_video(source.path, order) if output is None else output)
    if path.suffix.lower() not in CONTAINERS:
        raise VideoError(
            f"A video cannot be written as '{path.suffix or path.name}'; use one of {', '.join(CONTAINERS)}."
        )
    if path.is_dir():
        raise VideoError(f"'{path}' is a folder; give the name of a file.")
    if path.exists() and path.samefile(source.path):
        raise VideoError(f"'{path}' is the source, which is never overwritten; choose another name.")
    check_place(path, VideoError)
    return path


def name_video(source: Path, order: VideoOrder) -> str:
    """The default name of a result, such as me-70.mp4."""
    suffix = source.suffix.lower() if source.suffix.lower() in CONTAINERS else ".mp4"
    if order.over_time is not None:
        ages = "-".join(f"{age:g}" for age in order.over_time)
    elif order.ages:
        ages = "-".join(f"{age:g}" for age in order.ages.values())
    else:
        ages = "aged" if order.plan is None or order.plan.age is None else f"{order.plan.age:g}"
    return shorten_name(source.stem, f"-{ages}{'-preview' if order.seconds is not None else ''}{suffix}")
