"""Encodes frames into segments: files of packets that are complete or not there, so that a stopped run can go on."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from reage.errors import VideoError
from reage.files import replace_file
from reage.video.codecs import Encoding
from reage.video.library import av
from reage.video.source import VideoSource

_HEAD = struct.Struct("<I?I")
"""Of a packet: number of its frame in the segment, whether it is a key frame, and its bytes."""


@dataclass(frozen=True)
class StoredPacket:
    """An encoded frame.

    Args:
        number: of the frame in its segment.
        is_key: whether it can be decoded by itself.
        content: its bytes.
    """

    number: int
    is_key: bool
    content: bytes


def configure(context: Any, source: VideoSource, encoding: Encoding, colours: av.VideoFrame) -> None:
    """Sets size, colours and options of an encoder, the same for every segment and for the finished file.

    Args:
        context: codec context of the encoder.
        source: of the frames.
        encoding: how they are written.
        colours: a decoded frame, whose colour tags are kept.
    """
    context.width, context.height, context.pix_fmt = source.width_px, source.height_px, encoding.pixel_format
    context.framerate = source.rate
    context.options = dict(encoding.options)
    for name in ("color_primaries", "color_trc", "colorspace", "color_range"):
        setattr(context, name, int(getattr(colours, name)))


class SegmentEncoder:
    """Encodes the frames of one segment.

    Args:
        source: of the frames.
        encoding: how they are written.
        colours: a decoded frame, see `configure`.

    Raises:
        VideoError: when the encoder refuses the settings.
    """

    def __init__(self, source: VideoSource, encoding: Encoding, colours: av.VideoFrame) -> None:
        os.environ.setdefault("SVT_LOG", "1")  # the encoder of AV1 prints errors only
        self._context: Any = av.CodecContext.create(encoding.encoder, "w")
        configure(self._context, source, encoding, colours)
        self._context.time_base = 1 / Fraction(source.rate)
        self._context.flags |= av.codec.context.Flags.global_header
        try:
            self._context.open()
        except (av.FFmpegError, ValueError) as error:
            raise VideoError(
                f"The installed av cannot write {encoding.codec} of {source.width_px} x {source.height_px} px "
                f"({encoding.pixel_format}); use another --codec."
            ) from error
        self._packets: list[StoredPacket] = []
        self._count = 0

    @property
    def count(self) -> int:
        """Number of frames so far."""
        return self._count

    def add(self, picture: av.VideoFrame) -> None:
        """Encodes the next frame, which is changed: its time is the number of the frame."""
        picture.pts, picture.time_base = self._count, self._context.time_base
        picture.pict_type = 0  # the encoder chooses
        self._count += 1
        self._keep(self._context.encode(picture))

    def finish(self, path: Path) -> None:
        """Writes the segment to a file."""
        self._keep(self._context.encode(None))
        packets = sorted(self._packets, key=lambda packet: packet.number)
        assert [packet.number for packet in packets] == list(range(self._count)), "the encoder dropped a frame"
        with replace_file(path, VideoError) as unfinished, unfinished.open("wb") as file:
            for packet in packets:
                file.write(_HEAD.pack(packet.number, packet.is_key, len(packet.content)))
                file.write(packet.content)

    def _keep(self, packets: list[Any]) -> None:
        self._packets += [StoredPacket(int(one.pts), bool(one.is_keyframe), bytes(one)) for one in packets]


def read_segment(path: Path) -> Iterator[StoredPacket]:
    """The packets of a segment, in the order of their frames."""
    with path.open("rb") as file:
        while head := file.read(_HEAD.size):
            number, is_key, size = _HEAD.unpack(head)
            yield StoredPacket(number, is_key, file.read(size))
