"""The page for people: Gradio over the same workers as the API.

Everything the page shows is served by this server, and `SECURITY_HEADERS` let a browser ask no other. Its files lie in
the folder of the server, are deleted after some minutes, and with the folder when the server stops.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from reage.errors import PlanError
from reage.images import Image, encode_image
from reage.plan_texts import parse_sweep
from reage.server.api import parse_age_task
from reage.server.config import ServerConfig
from reage.server.guard import Refused
from reage.server.jobs import Jobs
from reage.server.page_files import DELETE_AFTER_SECONDS, PageFiles
from reage.server.page_jobs import JobTabs
from reage.server.page_words import describe_aged, describe_found, describe_readings, name_zone, say
from reage.server.refusals import run_task
from reage.server.tasks import (
    AgeTask,
    CompareTask,
    FindTask,
    MeasureTask,
    PreviewTask,
    SweepTask,
)
from reage.server.workers import WorkerPool
from reage.types import MAX_STRENGTH, OLDEST_TARGET, YOUNGEST_TARGET, Pixels, Plan
from reage.zones import ZONE_PRESETS, ZONES, expand_zones

if TYPE_CHECKING:
    from fastapi import FastAPI

PREVIEW_AGES = (20.0, 40.0, 60.0, 80.0)
"""Target ages in years that the preview is blended from."""

_BY_AGE, _BY_HAND = "as the age brings them", "by hand"
_MAX_SWEEP = 8
_DELETE_EVERY_SECONDS = 60
_MILLION = 1_000_000
_FONTS = ["system-ui", "sans-serif"]
_CSS = """
footer { display: none !important; }
.gradio-container { max-width: 72rem !important; margin: 0 auto; box-sizing: border-box; }
progress { width: 100%; accent-color: #c2410c; }
.gradio-container .main { width: 100%; box-sizing: border-box; max-width: 100vw !important; min-width: 0 !important; }
:focus-visible { outline: 3px solid #f59e0b !important; outline-offset: 2px; }
body:not(.dark) button[role=tab][aria-selected=true] { color: #c2410c !important; }
#preview figure { margin: 0; }
#preview canvas { width: 16rem; max-width: 100%; border-radius: 0.5rem; }
@media (max-width: 40rem) { .gradio-container { padding: 0.5rem !important; } }
"""


def mount_page(app: FastAPI, pool: WorkerPool, jobs: Jobs, config: ServerConfig, folder: Path) -> FastAPI:
    """The application with the page at its root.

    Args:
        app: of the API.
        pool: does the work.
        jobs: does the longer work.
        config: of the server.
        folder: for the files of the page, which the server deletes when it stops.
    """
    os.environ.update(GRADIO_TEMP_DIR=str(folder), GRADIO_ANALYTICS_ENABLED="False", HF_HUB_OFFLINE="1")
    page = _Page(pool, jobs, config, folder).build()
    page.queue(max_size=config.limits.queue_length, default_concurrency_limit=config.num_workers + 1)
    return gr.mount_gradio_app(
        app,
        page,
        path="/",
        footer_links=[],
        show_error=False,
        max_file_size=int(config.limits.job_megabytes * _MILLION),
        ssr_mode=False,
        enable_monitoring=False,
        theme=_make_theme(),
        css=_CSS,
        head="".join(f"<script>{_read_script(name)}</script>" for name in ("preview.js", "names.js")),
    )


def _make_theme() -> gr.themes.Default:
    """The theme of gradio with the fonts of the system, and colours on which white text can be read."""
    theme = gr.themes.Default(font=_FONTS, font_mono=["monospace"])
    theme.set(
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_hover_dark="*primary_800",
        button_cancel_background_fill="#b91c1c",
        button_cancel_background_fill_hover="#991b1b",
        body_text_color_subdued="*neutral_500",
    )
    return theme


def _read_script(name: str) -> str:
    return (resources.files("reage.server") / name).read_text("utf-8")


def draw_preview(pictures: Mapping[str, Pixels]) -> str:
    """HTML of a canvas on which preview.js shows a face, and of the pictures that it blends.

    Args:
        pictures: target age in years, or "source" for the photo -> (H, W, 3) RGB uint8.
    """
    side = len(next(iter(pictures.values())))
    images = [
        f'<img hidden alt="" data-age="{name}" src="data:image/jpeg;base64,{_encode_jpeg(pixels)}">'
        for name, pixels in pictures.items()
    ]
    title = "Coarse preview of the largest face"
    canvas = f'<canvas role="img" aria-label="{title}" width="{side}" height="{side}"></canvas>'
    return f"<figure>{canvas}<figcaption>{title}</figcaption></figure>{''.join(images)}"


def _encode_jpeg(pixels: Pixels) -> str:
    return base64.b64encode(encode_image(Image(pixels=pixels), ".jpg", altered=True)).decode()


def _make_photo(label: str, **settings: Any) -> gr.Image:
    """A place for a photo, whose file is handed on as it is: the server itself decodes nothing."""
    made = gr.Image(label=label, height=320, **settings)
    made.preprocess = lambda payload: None if payload is None else payload.path  # type: ignore[method-assign]
    return made


class _Page:
    """The components of the page, and what they do."""

    def __init__(self, pool: WorkerPool, jobs: Jobs, config: ServerConfig, folder: Path) -> None:
        self._jobs = jobs
        self._pool, self._config, self._files = pool, config, PageFiles(folder, config.limits)

    def build(self) -> gr.Blocks:
        """The page."""
        cache = (_DELETE_EVERY_SECONDS, DELETE_AFTER_SECONDS)
        tabs = JobTabs(self._jobs, self._config, self._files)
        with gr.Blocks(title="reage", analytics_enabled=False, delete_cache=cache) as page:
            gr.Markdown("# reage\nMake the faces in a photo look older or younger. Nothing leaves this computer.")
            with gr.Tab("Photo", elem_id="tab-photo"):
                self._build_photo()
            with gr.Tab("Compare", elem_id="tab-compare"):
                self._build_compare()
            with gr.Tab("Video", elem_id="tab-video"):
                tabs.build_video()
            with gr.Tab("Batch", elem_id="tab-batch"):
                tabs.build_photos()
        return page

    # One photo

    def _build_photo(self) -> None:
        with gr.Row():
            with gr.Column(min_width=280):
                photo = _make_photo("Photo: drop, paste, or take one", sources=["upload", "clipboard", "webcam"])
                age = gr.Slider(YOUNGEST_TARGET, OLDEST_TARGET, 70, step=1, label="Target age, years")
                strength = gr.Slider(0, MAX_STRENGTH, Plan.strength, step=0.05, label="Strength: share of the change")
                face = gr.Dropdown(["all", "largest"], value="all", label="Faces to age", filterable=False)
                run = gr.Button("Age the photo", variant="primary")
            with gr.Column(min_width=280):
                status = gr.Markdown("Give a photo.", label="What happened", elem_id="status")
                preview = gr.HTML("", elem_id="preview")
                result = gr.ImageSlider(label="Before and after", buttons=["fullscreen"])
                save = gr.DownloadButton("Save the picture", interactive=False)
        with gr.Accordion("What was found", open=True):
            with gr.Row():
                faces = gr.Image(label="Faces, by their numbers", buttons=[], height=320)
                drawn = gr.Image(label="Zones of the largest face", buttons=[], height=320)
            with gr.Accordion("All readings", open=False):
                readings = gr.Markdown("Nothing yet.")
        with gr.Accordion("Zones", open=False):
            mode = gr.Radio([_BY_AGE, *ZONE_PRESETS, _BY_HAND], value=_BY_AGE, label="Zones")
            sliders = self._build_zones()
        with gr.Accordion("More", open=False):
            engine = gr.Dropdown(
                list(self._config.engines), value=self._config.engine, label="Engine", filterable=False
            )
            age_from = gr.Number(0, minimum=0, label="Real age of the person, years; 0 to measure it")
            box = gr.Textbox("", label="A face by hand: left,top,right,bottom px in the photo; empty to find all")
            seed = gr.Number(Plan.seed, label="Seed, for engines that draw random numbers", precision=0, minimum=0)
            references = gr.File(label="Reference photos of the same person (exemplar)", file_count="multiple")
        with gr.Accordion("Several ages", open=False):
            ages = gr.Textbox("20:80:20", label=f"START:STOP:STEP in years, at most {_MAX_SWEEP} ages")
            sweep = gr.Button("Show the faces at these ages")
            strip = gr.Image(label="The faces at several ages", buttons=["fullscreen"])
        chosen = [photo, age, strength, face, mode, engine, age_from, seed, box, references, *sliders]
        aged = [status, result, save]
        private: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal"}
        photo.change(self._find, [photo], [status, faces, drawn, readings, face, preview, *sliders], **private).then(
            self._prepare_preview, [photo], [preview], **{**private, "show_progress": "hidden"}
        ).then(None, [age, strength], None, js="(...given) => window.reagePreview.load(...given)", **private)
        for moved in (age, strength):
            moved.input(None, [age, strength], None, js="(...given) => window.reagePreview.show(...given)", **private)
        for event in (age.release, run.click):
            event(self._age, chosen, aged, trigger_mode="always_last", concurrency_id="age", **private)
        sweep.click(self._sweep, [ages, *chosen], [status, strip], **private)
        mode.change(self._set_zones, [mode], sliders, queue=False, **private)
        for slider in sliders:
            slider.input(lambda: _BY_HAND, None, [mode], queue=False, **private)

    def _build_zones(self) -> list[gr.Slider]:
        """A slider for each zone, in the order of `ZONES`, the left ones on the left as in the picture."""
        made: dict[str, gr.Slider] = {}
        columns = {
            "Left in the picture": [zone for zone in ZONES if zone.endswith(".left")],
            "Middle": [zone for zone in ZONES if "." not in zone],
            "Right in the picture": [zone for zone in ZONES if zone.endswith(".right")],
        }
        with gr.Row():
            for title, zones in columns.items():
                with gr.Column(min_width=200):
                    gr.Markdown(f"**{title}**")
                    for zone in zones:
                        made[zone] = gr.Slider(0, 1, 0.5, step=0.01, label=name_zone(zone))
        return [made[zone] for zone in ZONES]

    async def _find(self, photo: str | None) -> list[Any]:
        nothing = [gr.skip() for _ in ZONES]
        if photo is None:
            return ["Give a photo.", None, None, "Nothing yet.", gr.skip(), "", *nothing]
        try:
            content = self._files.read(photo)
            found = await run_task(self._pool, FindTask(photo=content, draw=True, keep=True))
            measured = await run_task(self._pool, MeasureTask(photo=content, keep=True))
        except Refused as refusal:
            return [say(refusal), None, None, "Nothing.", gr.skip(), "", *nothing]
        numbers = [str(face["number"]) for face in found.values["faces"]]
        zones = measured.values["faces"][0]["zones"]
        return [
            describe_found(measured),
            found.pixels["faces"],
            found.pixels["zones"],
            describe_readings(measured),
            gr.Dropdown(["all", "largest", *numbers], value="all"),
            "",
            *(gr.Slider(value=zones[zone]) if zone in zones else gr.skip() for zone in ZONES),
        ]

    async def _prepare_preview(self, photo: str | None) -> str:
        """The pictures that previews are blended from, made once while the person reads."""
        if photo is None:
            return ""
        plan, engine = Plan(age=PREVIEW_AGES[0]), self._config.engine
        try:
            task = PreviewTask(
                photo=self._files.read(photo), plan=plan, engine=engine, faces="largest", ages=PREVIEW_AGES, keep=True
            )
            return draw_preview((await run_task(self._pool, task)).pixels)
        except Refused:
            return ""  # the full picture will say why

    def _make_task(self, kind: Any, photo: str, chosen: Sequence[Any], **further: Any) -> Any:
        age, strength, face, mode, engine, age_from, seed, box, references, *scores = chosen
        files = {} if not references else self._files.read_all(references)
        zones = None
        if mode == _BY_HAND:
            zones = ",".join(f"{zone}={score:g}" for zone, score in zip(ZONES, scores, strict=True))
        elif mode != _BY_AGE:
            zones = mode
        task = parse_age_task(
            self._files.read(photo),
            age,
            zones,
            strength,
            engine,
            str(face),
            int(seed or 0),
            engines=self._config.engines,
            age_from=age_from or None,
            box=box,
            references=files,
            keep=True,
        )
        return kind(**{**vars(task), **further})

    async def _age(self, photo: str | None, *chosen: Any) -> list[Any]:
        if photo is None:
            return ["Give a photo first.", gr.skip(), gr.skip()]
        try:
            task = self._make_task(AgeTask, photo, chosen, show=True)
            answer = await run_task(self._pool, task)
        except Refused as refusal:
            return [say(refusal), gr.skip(), gr.skip()]
        saved = self._files.make_place(f"aged-{chosen[0]:g}{answer.suffix}")
        saved.write_bytes(answer.picture)
        shown = (answer.pixels["before"], answer.pixels["after"])
        return [describe_aged(answer), shown, gr.DownloadButton(value=str(saved), interactive=True)]

    async def _sweep(self, ages: str, photo: str | None, *chosen: Any) -> list[Any]:
        if photo is None:
            return ["Give a photo first.", None]
        try:
            targets = parse_sweep(ages, "The range")
            if len(targets) > _MAX_SWEEP:
                raise Refused(
                    422, "plan", f"These are {len(targets)} ages; take larger steps, {_MAX_SWEEP} are allowed."
                )
            task = self._make_task(SweepTask, photo, chosen, ages=targets)
            return ["The faces at several ages are below.", (await run_task(self._pool, task)).pixels["strip"]]
        except PlanError as error:
            return [f"**{error}**", None]
        except Refused as refusal:
            return [say(refusal), None]

    def _set_zones(self, mode: str) -> list[Any]:
        if mode not in ZONE_PRESETS:
            return [gr.skip() for _ in ZONES]
        scores = expand_zones(ZONE_PRESETS[mode])
        return [gr.Slider(value=scores[zone]) if zone in scores else gr.skip() for zone in ZONES]

    # Compare

    def _build_compare(self) -> None:
        with gr.Row():
            first = _make_photo("A photo")
            second = _make_photo("Another photo")
        button = gr.Button("One person?", variant="primary")
        verdict = gr.Markdown("Give two photos; their largest faces are compared.")
        button.click(self._compare, [first, second], [verdict], api_visibility="private", show_progress="minimal")

    async def _compare(self, first: str | None, second: str | None) -> str:
        if first is None or second is None:
            return "Give two photos first."
        try:
            task = CompareTask(photo=self._files.read(first), other=self._files.read(second))
            found = (await run_task(self._pool, task)).values
        except Refused as refusal:
            return say(refusal)
        people = "The same person" if found["same_person"] else "Two people"
        one, other = found["age_years"]
        return (
            f"**{people}**: distance {found['distance']:.2f}, the same below {found['threshold']:g}. "
            f"The first looks {one:.0f}, the second {other:.0f} years old."
        )
