"""Reads videos: what a file holds, and its frames one after the other, with their times.

Convention: times in seconds from the start of the container; a frame is upright where its pixels are turned by the
rotation that the file asks for.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from reage.errors import VideoError
from reage.files import is_address
from reage.video.library import av
from reage.video.tone_mapping import to_sdr

_PQ, _HLG = 16, 18
"""Transfer characteristics of HDR, as in ITU-T H.273."""
_MIN_SIDE_PX = 16
_SHORT_SECONDS = 0.5
"""A file that ends so much before its stated length ends early."""
_MANY_BAD = 200
"""Packets in a row that cannot be read, after which nothing more is expected."""


@dataclass(frozen=True, kw_only=True)
class VideoSource:
    """What a video file holds.

    Args:
        path: of the file.
        stream: number of its video stream.
        width_px: of a frame as it is stored.
        height_px: likewise.
        rotation_degrees: counter-clockwise turn that makes a stored frame upright: 0, 90, 180 or 270.
        rate: frames a second, on average.
        time_base: seconds that one unit of a time stamp lasts.
        pixel_format: as FFmpeg calls it.
        bits: of a channel.
        seconds: stated length; 0 where the file does not say.
        stated_frames: 0 where it does not say.
        codec: name of the codec.
        is_hdr: whether levels are of PQ or HLG.
        tone_map: whether its frames are brought from HDR to SDR when they are read.
        interlaced: whether frames are fields.
        sounds: codecs of the streams of sound.
        subtitles: codecs of the streams of subtitles.
        other_streams: kinds of the streams that are none of these.
    """

    path: Path
    stream: int
    width_px: int
    height_px: int
    rotation_degrees: int
    rate: Fraction
    time_base: Fraction
    pixel_format: str
    bits: int
    seconds: float
    stated_frames: int
    codec: str
    is_hdr: bool
    interlaced: bool
    sounds: tuple[str, ...]
    subtitles: tuple[str, ...]
    other_streams: tuple[str, ...]
    tone_map: bool = False

    def tone_mapped(self) -> VideoSource:
        """The same video, whose frames are read as SDR, see `reage.video.tone_mapping`."""
        return replace(self, is_hdr=False, tone_map=True, bits=8, pixel_format="yuv420p")

    @property
    def upright_size(self) -> tuple[int, int]:
        """Height and width of an upright frame, px."""
        size = (self.height_px, self.width_px)
        return size if self.rotation_degrees % 180 == 0 else size[::-1]

    def expect_frames(self, seconds: float | None = None) -> int:
        """About how many frames there are, in all or in the first seconds; 0 where it is not known."""
        total = self.stated_frames or round(self.seconds * float(self.rate))
        return total if seconds is None else min(total or 10**9, math.ceil(seconds * float(self.rate)))

    def fingerprint(self) -> str:
        """16 hex digits that change when the file does: of its size, its time and its first 64 KB."""
        state = self.path.stat()
        digest = hashlib.sha256(f"{state.st_size} {state.st_mtime_ns}".encode())
        with self.path.open("rb") as file:
            digest.update(file.read(2**16))
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Frame:
    """A frame of a video.

    Args:
        number: from 0.
        pts: its time stamp in units of the time base, rising from frame to frame.
        seconds: its time.
        picture: as it was decoded.
    """

    number: int
    pts: int
    seconds: float
    picture: av.VideoFrame


@dataclass
class Damage:
    """What could not be read of a video.

    Args:
        packets: number of packets that could not be decoded.
        first_seconds: time of the first of them.
        ended_seconds: where the file ended, if that is before its stated length; else None.
    """

    packets: int = 0
    first_seconds: float = 0.0
    ended_seconds: float | None = None

    def describe(self, source: VideoSource) -> str:
        """A sentence; "" where nothing was lost."""
        if self.packets:
            return (
                f"'{source.path}' is broken at {self.first_seconds:.2f} s: {self.packets} packets could not be read; "
                "what could be read was kept."
            )
        if self.ended_seconds is not None:
            return (
                f"'{source.path}' ends at {self.ended_seconds:.2f} s of its {source.seconds:.2f} s; what there is was "
                "kept."
            )
        return ""


def probe_video(path: str | Path) -> VideoSource:
    """What a video file holds.

    Raises:
        VideoError: when it cannot be read, or has no moving picture.
    """
    path = Path(path)
    with open_container(path) as container:
        stream = find_stream(container, path)
        context = stream.codec_context
        first = _first_frame(container, stream)
        if first is None:
            raise VideoError(f"'{path}' has no frame that can be read; give another file.")
        if min(first.width, first.height) < _MIN_SIDE_PX:
            raise VideoError(
                f"'{path}' is {first.width} x {first.height} px; the least is {_MIN_SIDE_PX} px a side, give a larger "
                "copy."
            )
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        kinds = [(other.type, _codec_of(other)) for other in container.streams if other.index != stream.index]
        bits = max((component.bits for component in first.format.components), default=8)
        return VideoSource(
            path=path,
            stream=stream.index,
            width_px=first.width,
            height_px=first.height,
            rotation_degrees=round(first.rotation / 90) * 90 % 360,
            rate=Fraction(rate),
            time_base=Fraction(stream.time_base or Fraction(1, 90000)),
            pixel_format=first.format.name,
            bits=bits,
            seconds=(container.duration or 0) / 1e6,
            stated_frames=stream.frames,
            codec=context.name,
            is_hdr=int(first.color_trc) in (_PQ, _HLG),
            interlaced=bool(first.interlaced_frame),
            sounds=tuple(codec for kind, codec in kinds if kind == "audio"),
            subtitles=tuple(codec for kind, codec in kinds if kind == "subtitle"),
            other_streams=tuple(kind for kind, _ in kinds if kind not in ("audio", "subtitle")),
        )


def _codec_of(stream: av.stream.Stream) -> str:
    context = getattr(stream, "codec_context", None)
    return "" if context is None else str(context.name)


def open_container(path: Path) -> av.container.InputContainer:
    """A video file, opened for reading.

    Raises:
        VideoError: when it is none, or a still picture.
    """
    if is_address(path):
        raise VideoError(
            f"'{path}' is an address, and reage reads files; fetch it first, as in curl -L -o clip.mp4 URL."
        )
    if path.is_dir():
        raise VideoError(f"'{path}' is a folder; give one video.")
    if not path.exists():
        raise VideoError(f"'{path}' does not exist; give a video.")
    if path.stat().st_size == 0:
        raise VideoError(f"'{path}' is empty; give a video.")
    try:
        container = av.open(str(path), metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"'{path}' is no video that can be read ({_reason(error)}); give another file.") from error
    if container.format.name.endswith("_pipe") or container.format.name.startswith("image2"):
        container.close()
        raise VideoError(f"'{path}' is a still picture, whatever its name; age it with `reage age`.")
    return container


def find_stream(container: av.container.InputContainer, path: Path) -> av.video.stream.VideoStream:
    """The moving picture of a file; covers of music do not count.

    Raises:
        VideoError: when there is none.
    """
    moving = [one for one in container.streams.video if not one.disposition & av.stream.Disposition.attached_pic]
    if not moving:
        raise VideoError(f"'{path}' has no video stream; give a file with moving pictures.")
    if getattr(moving[0], "codec_context", None) is None:
        raise VideoError(f"'{path}' has a video stream that the installed av cannot decode; convert it to H.264 first.")
    return moving[0]


def _first_frame(container: av.container.InputContainer, stream: av.video.stream.VideoStream) -> av.VideoFrame | None:
    tried = 0
    for packet in container.demux(stream):
        try:
            for frame in packet.decode():
                return frame
        except av.FFmpegError:
            tried += 1
            if tried > _MANY_BAD:
                return None
    return None


@dataclass
class FrameReader:
    """The frames of a video, in the order of their times; iterate once.

    Args:
        source: of the file.
        seconds: of the video from its first frame, after which to stop; None for all.
        start_pts: time stamp of a frame to start from, which the file is searched for; None for the first frame.
        start_number: number of that frame.
        damage: what could not be read, known after the last frame.
    """

    source: VideoSource
    seconds: float | None = None
    start_pts: int | None = None
    start_number: int = 0
    damage: Damage = field(default_factory=Damage)

    def __iter__(self) -> Iterator[Frame]:
        with open_container(self.source.path) as container:
            stream: Any = container.streams[self.source.stream]
            stream.thread_type = "AUTO"
            if self.start_pts is not None:
                container.seek(self.start_pts, stream=stream)
            yield from self._number(self._decode(container, stream))

    def _decode(self, container: av.container.InputContainer, stream: Any) -> Iterator[av.VideoFrame]:
        bad_in_a_row, at = 0, 0.0
        packets = container.demux(stream)
        while True:
            try:
                packet: Any = next(packets)
            except StopIteration:
                return
            except (av.FFmpegError, OSError):
                self._note_bad(at)
                return
            if packet.pts is not None:
                at = float(packet.pts * self.source.time_base)
            try:
                decoded = packet.decode()
                bad_in_a_row = 0
            except av.FFmpegError:
                self._note_bad(at)
                bad_in_a_row += 1
                if bad_in_a_row > _MANY_BAD:
                    return
                continue
            yield from decoded

    def _note_bad(self, seconds: float) -> None:
        if not self.damage.packets:
            self.damage.first_seconds = seconds
        self.damage.packets += 1

    def _number(self, pictures: Iterator[av.VideoFrame]) -> Iterator[Frame]:
        """Gives every frame a time stamp above that of the frame before."""
        base, step = self.source.time_base, max(1, round(1 / (self.source.rate * self.source.time_base)))
        last: int | None = None
        first_seconds: float | None = None
        number = self.start_number
        ended = False
        for picture in pictures:
            if (picture.width, picture.height) != (self.source.width_px, self.source.height_px):
                picture = picture.reformat(width=self.source.width_px, height=self.source.height_px)
            pts = picture.pts if picture.pts is not None else (0 if last is None else last + step)
            if last is not None:
                pts = max(pts, last + 1)
            if self.start_pts is not None and pts < self.start_pts:
                continue
            last = pts
            if self.source.tone_map:
                picture = to_sdr(picture)
            seconds = float(pts * base)
            first_seconds = seconds if first_seconds is None else first_seconds
            if self.seconds is not None and seconds - first_seconds >= self.seconds:
                ended = True
                break
            yield Frame(number, pts, seconds, picture)
            number += 1
        if not ended and last is not None and self.source.seconds:
            end = float((last + step) * base)
            if end < self.source.seconds - _SHORT_SECONDS and not self._other_streams_are_longer(end):
                self.damage.ended_seconds = end

    def _other_streams_are_longer(self, seconds: float) -> bool:
        """Whether the video stream itself states that it ends here, so that only the sound goes on."""
        with open_container(self.source.path) as container:
            stream = container.streams[self.source.stream]
            if stream.duration is None or stream.time_base is None:
                return False
            start = stream.start_time or 0
            return float((start + stream.duration) * stream.time_base) < seconds + _SHORT_SECONDS


def read_frame(source: VideoSource, pts: int) -> av.VideoFrame:
    """One frame by its time stamp.

    Raises:
        VideoError: when it cannot be found again.
    """
    for start in (pts, None):
        for frame in FrameReader(source, start_pts=start):
            if frame.pts == pts:
                return frame.picture
            if frame.pts > pts:
                break
    raise VideoError(f"'{source.path}' gives other frames when it is read again; convert it to another format first.")


def _reason(error: Exception) -> str:
    words = str(getattr(error, "strerror", None) or error).split()
    return " ".join(words).rstrip(".") or type(error).__name__
