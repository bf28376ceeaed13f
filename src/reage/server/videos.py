"""Ages a video in a worker process, within the limits of the server."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from reage.errors import VideoError
from reage.provenance import SIGNED_VIDEO_SUFFIXES
from reage.server.workers import Progress

if TYPE_CHECKING:
    from reage.pipeline import Reager
    from reage.server.config import Limits, ServerConfig
    from reage.server.tasks import Answer, VideoTask
    from reage.video.source import VideoSource

_REPORT_SECONDS = 0.1
STEPS = {"find": "finding people", "render": "aging"}
"""Steps of `reage.video.aging.Progress` in words."""


def age_video(task: VideoTask, reager: Reager, config: ServerConfig, report: Callable[[Progress], None]) -> Answer:
    """Ages the video of a task into its file.

    Args:
        task: to do.
        reager: with its engine.
        config: of the server.
        report: is told how far it has come, a few times a second.

    Raises:
        VideoError: when the video cannot be read, or is larger than the limits allow.
        ReageError: see `reage.video.aging.VideoReager.age`.
    """
    from reage.server.tasks import Answer
    from reage.video.aging import VideoReager
    from reage.video.order import VideoOrder
    from reage.video.signing import sign_video
    from reage.video.source import probe_video

    _check_size(probe_video(task.source), task.seconds, config.limits)
    faces = (task.faces,) if isinstance(task.faces, int) else task.faces
    order = VideoOrder(plan=task.plan, faces=faces, seconds=task.seconds)
    progress = _make_progress(config.limits.job_frames, report)
    outcome = VideoReager(reager).age(task.source, order, task.output, progress=progress)
    if config.credentials is not None and task.output.suffix in SIGNED_VIDEO_SUFFIXES:
        sign_video(outcome, order, config.credentials)
    values: dict[str, Any] = outcome.to_json()
    del values["input"], values["output"]
    return Answer(values=values, suffix=task.output.suffix)


def _check_size(source: VideoSource, seconds: float | None, limits: Limits) -> None:
    megapixels = source.width_px * source.height_px / 1e6
    if megapixels > limits.megapixels:
        raise VideoError(
            f"A frame has {megapixels:.1f} megapixels, and {limits.megapixels:g} are allowed; give a smaller copy."
        )
    if source.expect_frames(seconds) > limits.job_frames:
        raise _too_long(limits.job_frames)


def _make_progress(most: int, report: Callable[[Progress], None]) -> Callable[[str, int, int], None]:
    """Reports at most every `_REPORT_SECONDS`, and refuses more frames than are allowed, whatever the file states."""
    reported_at = 0.0

    def show(step: str, done: int, total: int) -> None:
        nonlocal reported_at
        if done > most:
            raise _too_long(most)
        now = time.monotonic()
        if now - reported_at >= _REPORT_SECONDS or done == total:
            reported_at = now
            report(Progress(STEPS.get(step, step), done, total))

    return show


def _too_long(most: int) -> VideoError:
    return VideoError(f"The video has more than the {most} frames that are allowed; give a shorter part of it.")
