"""The tabs of the page for what takes longer: a video, and many photos at once."""

from __future__ import annotations

import zipfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData

from reage.files import VIDEO_SUFFIXES
from reage.server.api import parse_age_task
from reage.server.config import ServerConfig
from reage.server.guard import Refused
from reage.server.jobs import Job, Jobs
from reage.server.page_files import PageFiles
from reage.server.page_words import describe_job, describe_photos, describe_video, say
from reage.server.tasks import AgeTask, list_names
from reage.types import MAX_STRENGTH, OLDEST_TARGET, YOUNGEST_TARGET, Plan

_PREVIEW_SECONDS = 2.0
_PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


class JobTabs:
    """The tabs for videos and for several photos.

    Args:
        jobs: do the work.
        config: of the server.
        files: of the page.
    """

    def __init__(self, jobs: Jobs, config: ServerConfig, files: PageFiles) -> None:
        self._jobs, self._config, self._limits, self._files = jobs, config, config.limits, files

    def build_video(self) -> None:
        """The components of the tab for a video."""
        with gr.Row():
            with gr.Column(min_width=280):
                video = gr.File(label="Video: drop it, or choose a file", file_types=list(VIDEO_SUFFIXES), height=120)
                age, strength, engine = self._build_settings("Target age in the video, years")
                face = gr.Textbox("all", label="People to age: all, largest, or numbers as in 1,3")
                with gr.Row():
                    preview = gr.Button(f"Preview {_PREVIEW_SECONDS:g} seconds", min_width=120)
                    run = gr.Button("Age the video", variant="primary", min_width=120)
                    stop = gr.Button("Stop", variant="stop", min_width=80)
            with gr.Column(min_width=280):
                said = gr.Markdown("Give a video.", elem_id="video-status")
                bar = gr.HTML(_draw_bar(None), elem_id="video-progress")
                shown = gr.Video(label="The aged video", buttons=[], elem_id="aged-video")
                shown.postprocess = _show_as_it_is
                save = gr.DownloadButton("Save the video", interactive=False)
        chosen, outputs = [video, age, strength, engine, face], [said, bar, shown, save]
        events: list[dict[str, Any]] = [
            button.click(
                self._age_video,
                [*chosen, gr.State(seconds)],
                outputs,
                concurrency_id="job",
                concurrency_limit=self._limits.num_jobs,
                **_PRIVATE,
            )
            for button, seconds in ((run, None), (preview, _PREVIEW_SECONDS))
        ]
        stop.click(lambda: ("Stopped.", _draw_bar(None)), None, [said, bar], cancels=events, queue=False, **_PRIVATE)

    def build_photos(self) -> None:
        """The components of the tab for several photos."""
        photos = gr.File(
            label=f"Photos, at most {self._limits.job_photos}, or one zip of them", file_count="multiple", height=160
        )
        age, strength, engine = self._build_settings("Target age of all photos, years")
        with gr.Row():
            button = gr.Button("Age all photos", variant="primary")
            stop = gr.Button("Stop", variant="stop", min_width=80)
        said = gr.Markdown("Give photos; the results come as one zip.", elem_id="photos-status")
        bar = gr.HTML(_draw_bar(None), elem_id="photos-progress")
        save = gr.DownloadButton("Save the zip", interactive=False)
        event = button.click(
            self._age_photos,
            [photos, age, strength, engine],
            [said, bar, save],
            concurrency_id="job",
            concurrency_limit=self._limits.num_jobs,
            **_PRIVATE,
        )
        stop.click(lambda: ("Stopped.", _draw_bar(None)), None, [said, bar], cancels=event, queue=False, **_PRIVATE)

    def _build_settings(self, title: str) -> tuple[gr.Slider, gr.Slider, gr.Dropdown]:
        age = gr.Slider(YOUNGEST_TARGET, OLDEST_TARGET, 70, step=1, label=title)
        strength = gr.Slider(0, MAX_STRENGTH, Plan.strength, step=0.05, label="Strength: share of the change")
        engine = gr.Dropdown(list(self._config.engines), value=self._config.engine, label="Engine", filterable=False)
        return age, strength, engine

    # Work

    async def _age_video(
        self,
        video: str | None,
        age: float,
        strength: float,
        engine: str,
        face: str,
        seconds: float | None,
    ) -> AsyncIterator[list[Any]]:
        if video is None:
            yield ["Give a video first.", gr.skip(), gr.skip(), gr.skip()]
            return

        def add() -> Any:
            task = self._make_task(age, strength, engine, face)
            return self._add(Path(video), task, seconds)

        async for job, said in self._follow(add, describe_video):
            path = self._keep(job) if job is not None and job.state == "done" else None
            done = [str(path), gr.DownloadButton(value=str(path), interactive=True)] if path else [gr.skip()] * 2
            yield [said, _draw_bar(job), *done]

    async def _age_photos(
        self, photos: list[str] | None, age: float, strength: float, engine: str
    ) -> AsyncIterator[list[Any]]:
        if not photos:
            yield ["Give photos first.", gr.skip(), gr.skip()]
            return

        def add() -> Any:
            packed = Path(photos[0]) if len(photos) == 1 and photos[0].lower().endswith(".zip") else self._pack(photos)
            return self._add(packed, self._make_task(age, strength, engine, "all"), None)

        async for job, said in self._follow(add, describe_photos):
            path = self._keep(job) if job is not None and job.state == "done" else None
            yield [said, _draw_bar(job), gr.DownloadButton(value=str(path), interactive=True) if path else gr.skip()]

    def _make_task(self, age: float, strength: float, engine: str, face: str) -> AgeTask:
        return parse_age_task(b"", age, None, strength, engine, face, Plan.seed, engines=self._config.engines)

    async def _add(self, path: Path, task: AgeTask, seconds: float | None) -> Job:
        with path.open("rb") as file:
            return await self._jobs.add(file, path.name, task, seconds)

    async def _follow(
        self, add: Callable[[], Any], describe: Callable[[Any], str]
    ) -> AsyncIterator[tuple[Job | None, str]]:
        """A job that `add` makes, and what is said of it, until it is over; then nothing of it is left."""
        try:
            job = await add()
        except Refused as refusal:
            yield None, say(refusal)
            return
        try:
            async for _ in job.follow():
                yield job, describe(job.values) if job.state == "done" else describe_job(job)
        finally:
            await self._jobs.remove(job)

    def _keep(self, job: Job) -> Path:
        """The result, moved to where the page's files are."""
        assert job.result is not None
        return job.result.rename(self._files.make_place(job.result.name))

    def _pack(self, photos: list[str]) -> Path:
        """A zip of uploaded photos."""
        path = self._files.make_place("photos.zip")
        with zipfile.ZipFile(path, "w") as archive:
            names = list_names([Path(photo).name for photo in photos])
            for photo, name in zip(photos, names, strict=True):
                archive.write(photo, name)
        return path


def _draw_bar(job: Job | None) -> str:
    """A bar that shows how far a job has come; nothing where there is none."""
    if job is None or job.state in ("failed", "cancelled"):
        return ""
    if job.state == "done":
        return _BAR.format(' value="1" max="1"')
    known = job.progress.total and job.state == "running"
    return _BAR.format(f' value="{job.progress.done}" max="{job.progress.total}"' if known else "")


_BAR = '<progress aria-label="How far it has come"{}></progress>'


def _show_as_it_is(path: str | None) -> FileData | None:
    """The file for a browser, which is not converted."""
    return None if path is None else FileData(path=path, orig_name=Path(path).name)
