"""Which codecs and containers a video is written with, and how well.

Convention: a codec is one of `CODECS`, a quality one of `QUALITIES`; a suffix has a dot and is lower case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from reage.errors import VideoError
from reage.video.library import av
from reage.video.source import VideoSource

QUALITIES = ("lossless", "high", "medium", "small")
"""From the largest file to the smallest."""
DEFAULT_QUALITY = "high"


@dataclass(frozen=True, kw_only=True)
class CodecFamily:
    """A codec, and the encoders that write it.

    Args:
        encoders: names in FFmpeg, the best first.
        crf: constant rate factor of each of `QUALITIES` after the first, which has none.
        lossless: options of the first quality; empty where there is none.
        even_sides: whether 4:2:0 frames need even sides.
    """

    encoders: tuple[str, ...]
    crf: tuple[int, int, int]
    lossless: Mapping[str, str]
    even_sides: bool


CODECS: Mapping[str, CodecFamily] = MappingProxyType(
    {
        "h264": CodecFamily(encoders=("libx264",), crf=(17, 21, 26), lossless={"qp": "0"}, even_sides=True),
        "h265": CodecFamily(
            encoders=("libx265",), crf=(19, 23, 28), lossless={"x265-params": "lossless=1"}, even_sides=True
        ),
        "vp9": CodecFamily(encoders=("libvpx-vp9",), crf=(24, 31, 38), lossless={"lossless": "1"}, even_sides=False),
        "av1": CodecFamily(encoders=("libsvtav1", "libaom-av1"), crf=(22, 30, 40), lossless={}, even_sides=True),
    }
)
"""What `--codec` may name."""
_SPEED: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "libx264": {"preset": "faster", "bf": "0"},
        "libx265": {"preset": "medium", "x265-params": "bframes=0:log-level=none:pools=none:frame-threads=1"},
        "libvpx-vp9": {"deadline": "good", "cpu-used": "4", "row-mt": "1", "b": "0"},
        "libsvtav1": {"preset": "8"},
        "libaom-av1": {"cpu-used": "6", "b": "0"},
    }
)
"""Frames are written in the order in which they are shown, so that every time stamp is that of the source."""
CONTAINERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        ".mp4": ("h264", "h265", "av1", "vp9"),
        ".m4v": ("h264", "h265", "av1"),
        ".mov": ("h264", "h265"),
        ".mkv": ("h264", "h265", "vp9", "av1"),
        ".webm": ("vp9", "av1"),
    }
)
"""Suffix of a video that can be written -> its codecs, the default first."""
_FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
_EIGHT_BIT, _TEN_BIT = "yuv420p", "yuv420p10le"


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How a video is written.

    Args:
        codec: one of `CODECS`.
        encoder: name of its encoder in FFmpeg.
        quality: one of `QUALITIES`.
        pixel_format: of the encoded frames.
        container: name of the format in FFmpeg.
        options: of the encoder.
    """

    codec: str
    encoder: str
    quality: str
    pixel_format: str
    container: str
    options: Mapping[str, str]


def choose_encoding(
    source: VideoSource, output: Path, codec: str | None = None, quality: str = DEFAULT_QUALITY
) -> Encoding:
    """How a video is written to a file, checked.

    Args:
        source: of the frames.
        output: its suffix names the container.
        codec: one of `CODECS`; the default of the container for None.
        quality: one of `QUALITIES`.

    Raises:
        VideoError: when the container cannot be written, cannot hold the codec or the sound, or the installed av cannot
            write the codec.
    """
    suffix = output.suffix.lower()
    family_name = check_codec(suffix, codec, quality)
    family = CODECS[family_name]
    encoder = find_encoder(family_name)
    pixel_format = _choose_pixel_format(source, encoder)
    odd = source.width_px % 2 or source.height_px % 2
    if odd and family.even_sides and "444" not in pixel_format:
        raise VideoError(
            f"'{source.path}' is {source.width_px} x {source.height_px} px, and {family_name} stores even sides only; "
            "write .webm or .mkv with --codec vp9."
        )
    for sound in source.sounds:
        if not _holds(_FORMATS[suffix], sound):
            raise VideoError(
                f"A {suffix} file cannot hold the sound ({sound}) of '{source.path}'; write .mkv, or .mp4."
            )
    return Encoding(
        codec=family_name,
        encoder=encoder,
        quality=quality,
        pixel_format=pixel_format,
        container=_FORMATS[suffix],
        options=MappingProxyType(_options(family, encoder, quality)),
    )


def check_codec(suffix: str, codec: str | None, quality: str) -> str:
    """The codec for a container, checked by name.

    Raises:
        VideoError: see `choose_encoding`.
    """
    if suffix not in CONTAINERS:
        raise VideoError(f"A video cannot be written as '{suffix}'; use one of {', '.join(CONTAINERS)}.")
    if quality not in QUALITIES:
        raise VideoError(f"The quality is '{quality}'; use one of {', '.join(QUALITIES)}.")
    chosen = CONTAINERS[suffix][0] if codec is None else codec
    if chosen not in CODECS:
        raise VideoError(f"There is no codec '{chosen}'; use one of {', '.join(CODECS)}.")
    if chosen not in CONTAINERS[suffix]:
        raise VideoError(f"A {suffix} file cannot hold {chosen}; use {' or '.join(CONTAINERS[suffix])}, or write .mkv.")
    if quality == "lossless" and not CODECS[chosen].lossless:
        raise VideoError(f"The codec {chosen} is not written lossless here; use h264, h265 or vp9, or --quality high.")
    return chosen


def find_encoder(codec: str) -> str:
    """The encoder of a codec that the installed av has.

    Raises:
        VideoError: when it has none.
    """
    for name in CODECS[codec].encoders:
        if _has_encoder(name):
            return name
    able = [other for other in CODECS if any(map(_has_encoder, CODECS[other].encoders))]
    raise VideoError(f"The installed av cannot write {codec}; use --codec {' or '.join(able) or 'of another build'}.")


def _has_encoder(name: str) -> bool:
    try:
        return bool(av.Codec(name, "w").is_encoder)
    except ValueError:
        return False


def _options(family: CodecFamily, encoder: str, quality: str) -> dict[str, str]:
    speed = dict(_SPEED[encoder])
    if quality != "lossless":
        return {**speed, "crf": str(family.crf[QUALITIES.index(quality) - 1])}
    if encoder == "libx265":
        return {**speed, "x265-params": f"{speed['x265-params']}:lossless=1"}
    return {**speed, **family.lossless}


def _choose_pixel_format(source: VideoSource, encoder: str) -> str:
    """The format of the source where the encoder has it, or the usual one of as many bits."""
    known = {form.name for form in av.Codec(encoder, "w").video_formats or ()}
    if source.pixel_format in known and source.pixel_format.startswith("yuv"):
        return source.pixel_format
    return _TEN_BIT if source.bits > 8 and _TEN_BIT in known else _EIGHT_BIT


_HELD: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "mp4": ("aac", "mp3", "mp3float", "ac3", "eac3", "alac", "opus", "flac", "mp2", "mp2float", "dca", "truehd"),
        "mov": ("aac", "mp3", "mp3float", "ac3", "eac3", "alac", "mp2", "pcm"),
        "webm": ("opus", "vorbis", "libopus", "libvorbis"),
    }
)
"""Sound that a container holds; Matroska holds all."""


def _holds(container: str, sound: str) -> bool:
    return container == "matroska" or any(sound.startswith(name) for name in _HELD[container])


HELD_SUBTITLES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"mp4": ("mov_text",), "mov": ("mov_text",), "webm": ("webvtt",), "matroska": ("subrip", "srt", "ass", "ssa")}
)
"""Subtitles that a container holds, as they are."""
