"""Tiny clips of the demo photo: real files of real codecs, made in the test."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import skimage.data

from reage.types import Pixels

TIME_BASE = Fraction(1, 12800)
FRAME_UNITS = 512
HEIGHT, WIDTH = 240, 320


def draw_face(left: int = 60, height: int = HEIGHT, width: int = WIDTH) -> Pixels:
    """(H, W, 3) the demo face; it moves to the left as `left` grows."""
    return np.ascontiguousarray(skimage.data.astronaut()[:height, left : left + width])


def draw_wall(level: int = 90, height: int = HEIGHT, width: int = WIDTH) -> Pixels:
    """(H, W, 3) a picture without a face."""
    wall = np.full((height, width, 3), level, np.uint8)
    wall[:, ::8] = 40
    return wall


def write_clip(
    path: Path,
    frames: Sequence[Pixels],
    *,
    codec: str = "libx264",
    pts: Sequence[int] | None = None,
    rotation: int = 0,
    sound: str | None = "aac",
    colours: Sequence[int] = (1, 1, 1, 1),
    pixel_format: str = "yuv420p",
    chapters: bool = False,
) -> Path:
    """Writes frames and a tone; times vary unless they are given."""
    height, width = frames[0].shape[:2]
    if pts is None:
        pts = [index * FRAME_UNITS + 100 * (index % 3) for index in range(len(frames))]
    with av.open(str(path), "w") as container:
        options = {"crf": "10", "preset": "veryfast"} if codec == "libx264" else {"crf": "20"}
        video: Any = container.add_stream(codec, rate=25, options=options)
        video.width, video.height, video.pix_fmt = width, height, pixel_format
        video.time_base = video.codec_context.time_base = TIME_BASE
        context = video.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = colours
        if rotation:
            video.set_display_rotation(rotation)
        if chapters:
            chapter = {"id": 1, "start": 0, "end": 200, "time_base": Fraction(1, 1000), "metadata": {"title": "one"}}
            container.set_chapters([chapter])
        container.metadata["title"] = "a title"
        tone: Any = container.add_stream(sound, rate=48000) if sound else None
        for at, pixels in zip(pts, frames, strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = at, TIME_BASE
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if tone is not None:
            for first in range(0, round(48000 * len(frames) / 25), 960):
                wave = 0.3 * np.sin(np.arange(first, first + 960) * 0.05)
                heard = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], format="fltp", layout="mono")
                heard.sample_rate, heard.pts = 48000, first
                container.mux(tone.encode(heard))
            container.mux(tone.encode(None))
    return path


def moving_face(count: int) -> list[Pixels]:
    """Frames in which the demo face moves."""
    return [draw_face(60 + 3 * index) for index in range(count)]


def read_sound(path: Path) -> list[tuple[float, bytes]]:
    """Time and bytes of each packet of sound."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
        return [(float(packet.pts * packet.time_base), bytes(packet)) for packet in packets]
