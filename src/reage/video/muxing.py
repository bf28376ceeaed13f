"""Joins encoded frames with the sound, subtitles, chapters and metadata of their source into one file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

from reage.errors import VideoError
from reage.images.xmp import DIGITAL_SOURCE_TYPE
from reage.video.codecs import HELD_SUBTITLES, Encoding
from reage.video.encoding import configure, read_segment
from reage.video.library import av
from reage.video.source import FrameReader, VideoSource, open_container

PROVENANCE = f"Altered by AI with reage {version('reage')}; digital source type {DIGITAL_SOURCE_TYPE}"
"""The comment that marks a video as altered, as the XMP of a picture does."""
_OWN_TAGS = ("encoder", "major_brand", "minor_version", "compatible_brands")
"""Metadata that the writer of a file sets itself."""


@dataclass(frozen=True, kw_only=True)
class MuxedFrames:
    """The frames to join.

    Args:
        segments: files of `reage.video.encoding.SegmentEncoder`, in order.
        pts: (T,) time stamp of every frame, in the time base of the source.
        until: seconds at which sound and subtitles end; None for all of them.
    """

    segments: Sequence[Path]
    pts: Sequence[int]
    until: float | None = None


def mux(
    source: VideoSource, encoding: Encoding, frames: MuxedFrames, path: Path, *, altered: bool = True, drawn: Any = None
) -> list[str]:
    """Writes the finished video.

    Args:
        source: whose sound, subtitles, chapters, metadata and rotation are kept.
        encoding: of the frames.
        frames: to write.
        path: of the new file.
        altered: whether to add the comment `PROVENANCE`.
        drawn: a frame whose colour tags hold, where the frames are other pictures than those of the source, with square
            pixels; None for those of the source.

    Returns:
        What the new file cannot keep, a sentence each.

    Raises:
        VideoError: when it cannot be written.
    """
    notes: list[str] = []
    try:
        with open_container(source.path) as original:
            options = {"movflags": "+use_metadata_tags"} if encoding.container in ("mp4", "mov") else {}
            with av.open(str(path), "w", format=encoding.container, options=options) as made:
                video = _add_video(made, original, source, encoding, drawn)
                copied = _add_copied(made, original, source, encoding, notes)
                _set_metadata(made, original, altered)
                _copy_chapters(made, original, frames.until)
                made.start_encoding()
                _write(made, video, _video_packets(frames, source), _copied_packets(original, copied, frames.until))
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"'{path.name}' could not be written ({error}); choose another suffix or --codec.") from error
    return notes


def _add_video(made: Any, original: Any, source: VideoSource, encoding: Encoding, drawn: Any) -> Any:
    first = drawn or next(iter(FrameReader(source))).picture
    old = original.streams[source.stream]
    video = made.add_stream(encoding.encoder, rate=source.rate)
    configure(video.codec_context, source, encoding, first)
    if old.sample_aspect_ratio and drawn is None:
        video.codec_context.sample_aspect_ratio = old.sample_aspect_ratio
    video.codec_context.time_base = source.time_base
    video.time_base = source.time_base
    if source.rotation_degrees:
        video.set_display_rotation(source.rotation_degrees)
    _copy_tags(video, old)
    return video


def _add_copied(made: Any, original: Any, source: VideoSource, encoding: Encoding, notes: list[str]) -> dict[int, Any]:
    """Number of each stream of the source that is copied -> its new stream."""
    copied = {}
    for stream in original.streams:
        if stream.index == source.stream:
            continue
        if stream.type == "attachment" and encoding.container == "matroska":
            made.add_attachment(stream.name or "attachment", stream.mimetype or "", stream.data)
            continue
        codec = getattr(getattr(stream, "codec_context", None), "name", "")
        if stream.type not in ("audio", "subtitle") or (
            stream.type == "subtitle" and codec not in HELD_SUBTITLES[encoding.container]
        ):
            if stream.type == "data" and original.chapters():
                continue  # the titles of chapters, which are kept by themselves
            kind = f"subtitles ({codec})" if stream.type == "subtitle" else f"{stream.type} stream"
            notes.append(f"The new file cannot hold the {kind} of the source.")
            continue
        new = made.add_stream_from_template(stream)
        new.time_base = stream.time_base
        with suppress(AttributeError, ValueError):
            new.disposition = stream.disposition
        _copy_tags(new, stream)
        copied[stream.index] = new
    return copied


def _copy_tags(new: Any, old: Any) -> None:
    new.metadata.update({key: value for key, value in old.metadata.items() if key.lower() not in _OWN_TAGS})


def _set_metadata(made: Any, original: Any, altered: bool) -> None:
    tags = {key: value for key, value in original.metadata.items() if key.lower() not in _OWN_TAGS}
    if altered:
        comment = next((key for key in tags if key.lower() == "comment"), "comment")
        earlier = tags.get(comment, "")
        tags[comment] = earlier if PROVENANCE in earlier else "; ".join(filter(None, (earlier, PROVENANCE)))
    made.metadata.update(tags)


def _copy_chapters(made: Any, original: Any, until: float | None) -> None:
    chapters = [one for one in original.chapters() if until is None or one["start"] * one["time_base"] < until]
    if chapters:
        made.set_chapters(chapters)


def _video_packets(frames: MuxedFrames, source: VideoSource) -> Iterator[tuple[float, Any]]:
    """Each frame with its time."""
    number, last = 0, len(frames.pts) - 1
    step = max(1, round(1 / (source.rate * source.time_base)))
    for segment in frames.segments:
        for stored in read_segment(segment):
            packet = av.Packet(stored.content)
            packet.pts = packet.dts = frames.pts[number]
            packet.time_base = source.time_base
            packet.duration = frames.pts[number + 1] - packet.pts if number < last else step
            packet.is_keyframe = stored.is_key
            yield float(packet.pts * source.time_base), packet
            number += 1


def _copied_packets(original: Any, copied: dict[int, Any], until: float | None) -> Iterator[tuple[float, Any]]:
    """Each packet of the copied streams with its time and its new stream; they end where the source is broken."""
    if not copied:
        return
    seconds = 0.0
    packets = original.demux([original.streams[index] for index in copied])
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.FFmpegError):
            return
        if packet.dts is None and packet.size == 0:
            continue  # the end of a stream
        at = packet.dts if packet.dts is not None else packet.pts
        seconds = float(at * Fraction(packet.time_base)) if at is not None else seconds
        if until is not None and seconds >= until:
            continue
        packet.stream = copied[packet.stream_index]
        yield seconds, packet


def _write(made: Any, video: Any, frames: Iterator[tuple[float, Any]], copied: Iterator[tuple[float, Any]]) -> None:
    """Writes both in the order of their times, so that nothing waits in memory."""
    frame, other = next(frames, None), next(copied, None)
    while frame is not None or other is not None:
        if other is None or (frame is not None and frame[0] <= other[0]):
            assert frame is not None
            frame[1].stream = video
            made.mux_one(frame[1])
            frame = next(frames, None)
        else:
            made.mux_one(other[1])
            other = next(copied, None)
