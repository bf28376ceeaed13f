"""PyAV, the library of FFmpeg, which the extra `video` installs; every module of this room takes it from here."""

from __future__ import annotations

from reage.errors import VideoError

try:
    import av
except ImportError as missing:
    raise VideoError("Video also needs av; run `pip install 'reage[video]'`.") from missing

__all__ = ["av"]
