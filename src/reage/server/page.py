"""The page for people: Gradio over the same workers as the API.

Everything the page shows is served by this server, and `SECURITY_HEADERS` let a browser ask no other. Its files lie in
the folder of the server, are deleted after some minutes, and with the folder when the server stops.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from reage.errors import PlanError
from reage.plan_texts import parse_sweep
from reage.server.api import parse_age_task
from reage.server.config import ServerConfig
from reage.server.guard import Refused
from reage.server.jobs import Jobs
from reage.server.refusals import run_task
from reage.server.tasks import (
    AgeTask,
    Answer,
    CompareTask,
    FindTask,
    MeasureTask,
    PreviewTask,
    SweepTask,
    list_names,
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
_DELETE_EVERY_SECONDS, _DELETE_AFTER_SECONDS = 60, 600
_MILLION = 1_000_000
_FONTS = ["system-ui", "sans-serif"]
_CSS = """
footer { display: none !important; }
.gradio-container { max-width: 72rem !important; margin: 0 auto; box-sizing: border-box; }
.gradio-container .main { box-sizing: border-box; max-width: 100vw !important; min-width: 0 !important; }
:focus-visible { outline: 3px solid #f59e0b !important; outline-offset: 2px; }
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
        max_file_size=int(config.limits.megabytes * _MILLION),
        ssr_mode=False,
        enable_monitoring=False,
        theme=gr.themes.Default(font=_FONTS, font_mono=["monospace"]),
        css=_CSS,
    )


def blend_preview(pictures: Mapping[float, Pixels], source: Pixels, age: float, strength: float) -> Pixels:
    """A coarse picture of a face at an age, blended from those at the two ages around it.

    Args:
        pictures: age in years -> (H, W, 3) RGB uint8.
        source: the same part of the photo.
        age: target age in years; beyond the outermost picture, that one.
        strength: share of the change, 0 to 1.5.
    """
    ages = sorted(pictures)
    above = min(max(int(np.searchsorted(ages, age)), 1), len(ages) - 1)
    low, high = ages[above - 1], ages[above]
    share = min(max((age - low) / (high - low), 0.0), 1.0)
    aged = (1 - share) * pictures[low].astype(np.float32) + share * pictures[high]
    return np.clip(np.rint(source + strength * (aged - source)), 0, 255).astype(np.uint8)


def _make_photo(label: str, **settings: Any) -> gr.Image:
    """A place for a photo, whose file is handed on as it is: the server itself decodes nothing."""
    made = gr.Image(label=label, height=320, **settings)
    made.preprocess = lambda payload: None if payload is None else payload.path  # type: ignore[method-assign]
    return made


class _Page:
    """The components of the page, and what they do."""

    def __init__(self, pool: WorkerPool, jobs: Jobs, config: ServerConfig, folder: Path) -> None:
        self._jobs = jobs
        self._pool, self._config, self._limits, self._folder = pool, config, config.limits, folder

    def build(self) -> gr.Blocks:
        """The page."""
        cache = (_DELETE_EVERY_SECONDS, _DELETE_AFTER_SECONDS)
        with gr.Blocks(title="reage", analytics_enabled=False, delete_cache=cache) as page:
            gr.Markdown("# reage\nMake the faces in a photo look older or younger. Nothing leaves this computer.")
            with gr.Tab("One photo"):
                self._build_photo()
            with gr.Tab("Compare"):
                self._build_compare()
            with gr.Tab("Several photos"):
                self._build_batch()
        return page

    # One photo

    def _build_photo(self) -> None:
        found = gr.State(None, time_to_live=_DELETE_AFTER_SECONDS)
        with gr.Row():
            with gr.Column(min_width=280):
                photo = _make_photo("Photo: drop, paste, or take one", sources=["upload", "clipboard", "webcam"])
                age = gr.Slider(YOUNGEST_TARGET, OLDEST_TARGET, 70, step=1, label="Target age, years")
                strength = gr.Slider(0, MAX_STRENGTH, Plan.strength, step=0.05, label="Strength: share of the change")
                face = gr.Dropdown(["all", "largest"], value="all", label="Faces to age", filterable=False)
                run = gr.Button("Age the photo", variant="primary")
            with gr.Column(min_width=280):
                status = gr.Markdown("Give a photo.", label="What happened", elem_id="status")
                preview = gr.Image(
                    label="Coarse preview of the largest face", height=256, buttons=[], elem_id="preview"
                )
                result = gr.ImageSlider(label="Before and after", buttons=["fullscreen"])
                save = gr.DownloadButton("Save the picture", interactive=False)
        with gr.Accordion("What was found", open=True):
            readings = gr.Markdown("Nothing yet.")
            with gr.Row():
                faces = gr.Image(label="Faces, by their numbers", buttons=[])
                drawn = gr.Image(label="Zones of the largest face", buttons=[])
        with gr.Accordion("Zones", open=False):
            mode = gr.Radio([_BY_AGE, *ZONE_PRESETS, _BY_HAND], value=_BY_AGE, label="Zones")
            sliders = self._build_zones()
        with gr.Accordion("More", open=False):
            engine = gr.Dropdown(
                list(self._config.engines), value=self._config.engine, label="Engine", filterable=False
            )
            age_from = gr.Number(0, minimum=0, label="Real age of the person, years; 0 to measure it")
            seed = gr.Number(Plan.seed, label="Seed, for engines that draw random numbers", precision=0, minimum=0)
            references = gr.File(label="Reference photos of the same person (exemplar)", file_count="multiple")
        with gr.Accordion("Several ages", open=False):
            ages = gr.Textbox("20:80:20", label=f"START:STOP:STEP in years, at most {_MAX_SWEEP} ages")
            sweep = gr.Button("Show the faces at these ages")
            strip = gr.Image(label="The faces at several ages", buttons=["fullscreen"])
        chosen = [photo, age, strength, face, mode, engine, age_from, seed, references, *sliders]
        aged = [status, result, save]
        private: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal"}
        photo.change(
            self._find, [photo], [status, faces, drawn, readings, face, found, preview, *sliders], **private
        ).then(
            self._prepare_preview, [photo, age, strength], [found, preview], **{**private, "show_progress": "hidden"}
        )
        for moved in (age, strength):
            moved.input(
                self._show_preview,
                [found, age, strength],
                [preview],
                api_visibility="private",
                show_progress="hidden",
                trigger_mode="always_last",
                queue=False,
            )
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
                    gr.Markdown(f"### {title}")
                    for zone in zones:
                        made[zone] = gr.Slider(0, 1, 0.5, step=0.01, label=_name_zone(zone))
        return [made[zone] for zone in ZONES]

    async def _find(self, photo: str | None) -> list[Any]:
        nothing = [gr.skip() for _ in ZONES]
        if photo is None:
            return ["Give a photo.", None, None, "Nothing yet.", gr.skip(), None, None, *nothing]
        content = Path(photo).read_bytes()
        try:
            found = await run_task(self._pool, FindTask(photo=content, draw=True, keep=True))
            measured = await run_task(self._pool, MeasureTask(photo=content, keep=True))
        except Refused as refusal:
            return [_say(refusal), None, None, "Nothing.", gr.skip(), None, None, *nothing]
        numbers = [str(face["number"]) for face in found.values["faces"]]
        zones = measured.values["faces"][0]["zones"]
        return [
            _describe_found(measured),
            found.pixels["faces"],
            found.pixels["zones"],
            _describe_readings(measured),
            gr.Dropdown(["all", "largest", *numbers], value="all"),
            None,
            None,
            *(gr.Slider(value=zones[zone]) if zone in zones else gr.skip() for zone in ZONES),
        ]

    async def _prepare_preview(self, photo: str | None, age: float, strength: float) -> list[Any]:
        """The pictures that previews are blended from, made once while the person reads; and a first preview."""
        if photo is None:
            return [None, None]
        task = PreviewTask(
            photo=Path(photo).read_bytes(),
            plan=Plan(age=PREVIEW_AGES[0]),
            engine=self._config.engine,
            faces="largest",
            ages=PREVIEW_AGES,
            keep=True,
        )
        try:
            found = (await run_task(self._pool, task)).pixels
        except Refused:
            return [None, None]  # the full picture will say why
        return [found, self._show_preview(found, age, strength)]

    def _show_preview(self, found: dict[str, Pixels] | None, age: float, strength: float) -> Any:
        if found is None:
            return gr.skip()
        pictures = {float(name): pixels for name, pixels in found.items() if name != "source"}
        return blend_preview(pictures, found["source"], age, strength)

    def _make_task(self, kind: Any, photo: str, chosen: Sequence[Any], **further: Any) -> Any:
        age, strength, face, mode, engine, age_from, seed, references, *scores = chosen
        files = {} if not references else _read_files(references, self._limits.num_photos)
        zones = None
        if mode == _BY_HAND:
            zones = ",".join(f"{zone}={score:g}" for zone, score in zip(ZONES, scores, strict=True))
        elif mode != _BY_AGE:
            zones = mode
        task = parse_age_task(
            Path(photo).read_bytes(),
            age,
            zones,
            strength,
            engine,
            str(face),
            int(seed or 0),
            engines=self._config.engines,
            age_from=age_from or None,
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
            return [_say(refusal), gr.skip(), gr.skip()]
        saved = self._write(answer.picture, f"aged-{chosen[0]:g}{answer.suffix}")
        shown = (answer.pixels["before"], answer.pixels["after"])
        return [_describe_aged(answer), shown, gr.DownloadButton(value=str(saved), interactive=True)]

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
            return [_say(refusal), None]

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
        task = CompareTask(photo=Path(first).read_bytes(), other=Path(second).read_bytes())
        try:
            found = (await run_task(self._pool, task)).values
        except Refused as refusal:
            return _say(refusal)
        people = "The same person" if found["same_person"] else "Two people"
        one, other = found["age_years"]
        return (
            f"**{people}**: distance {found['distance']:.2f}, the same below {found['threshold']:g}. "
            f"The first looks {one:.0f}, the second {other:.0f} years old."
        )

    # Several photos

    def _build_batch(self) -> None:
        photos = gr.File(label=f"Photos, at most {self._limits.num_photos}", file_count="multiple")
        age = gr.Slider(YOUNGEST_TARGET, OLDEST_TARGET, 70, step=1, label="Target age of all photos, years")
        button = gr.Button("Age all photos", variant="primary")
        outcome = gr.Markdown("Give photos; the results come as one zip.")
        archive = gr.DownloadButton("Save the zip", interactive=False)
        button.click(self._batch, [photos, age], [outcome, archive], api_visibility="private", concurrency_id="batch")

    async def _batch(self, photos: list[str] | None, age: float, progress: Any = gr.Progress()) -> list[Any]:  # noqa: B008
        if not photos:
            return ["Give photos first.", gr.skip()]
        try:
            files = _read_files(photos, self._limits.num_photos)
        except Refused as refusal:
            return [_say(refusal), gr.skip()]
        lines, path = [], self._write(b"", "aged.zip")
        with zipfile.ZipFile(path, "w") as archive:
            for number, (name, content) in enumerate(files.items()):
                progress((number, len(files)), desc=name)
                try:
                    task = self._make_batch_task(content, age)
                    answer = await run_task(self._pool, task)
                except Refused as refusal:
                    lines.append(f"- {_plain(name)}: {_plain(str(refusal.detail))}")
                    continue
                archive.writestr(f"{Path(name).stem}-{age:g}{answer.suffix}", answer.picture)
                count = len(answer.values["faces"])
                lines.append(f"- {_plain(name)}: {count} {'face' if count == 1 else 'faces'} aged")
        return ["\n".join(lines), gr.DownloadButton(value=str(path), interactive=True)]

    def _make_batch_task(self, photo: bytes, age: float) -> AgeTask:
        engine, engines = self._config.engine, self._config.engines
        return parse_age_task(photo, age, None, Plan.strength, engine, "all", Plan.seed, engines=engines)

    def _write(self, content: bytes, name: str) -> Path:
        """A file that a person may save, in a folder that nobody can guess and that is deleted as uploads are."""
        folder = self._folder / secrets.token_hex(16)
        folder.mkdir()
        asyncio.get_running_loop().call_later(_DELETE_AFTER_SECONDS, shutil.rmtree, folder, True)
        (folder / name).write_bytes(content)
        return folder / name


def _read_files(paths: Sequence[str], most: int) -> dict[str, bytes]:
    """Name -> content of uploaded files.

    Raises:
        Refused: when there are too many.
    """
    if len(paths) > most:
        raise Refused(422, "photos", f"These are {len(paths)} photos, and {most} are allowed; give fewer.")
    names = list_names([Path(path).name for path in paths])
    return {name: Path(path).read_bytes() for name, path in zip(names, paths, strict=True)}


# Words


def _say(refusal: Refused) -> str:
    return f"**{_plain(str(refusal.detail))}**"


def _plain(text: str) -> str:
    """A text in which nothing is read as Markdown or HTML."""
    return "".join(f"&#{ord(one)};" if one in "\\`*_{}[]()<>#+!|&" else one for one in text)


def _name_zone(zone: str) -> str:
    name, _, side = zone.partition(".")
    return name.replace("_", " ") + (f", {side}" if side else "")


def _describe_found(measured: Answer) -> str:
    faces = measured.values["faces"]
    looks = ", ".join(f"{face['age_years']:.0f} ± {face['age_std_years']:.0f}" for face in faces)
    doubts = "".join(
        f" Face {number} is {' and '.join(face['doubts'])}." for number, face in enumerate(faces, 1) if face["doubts"]
    )
    return f"{len(faces)} {'face' if len(faces) == 1 else 'faces'}, looking {looks} years old.{doubts}"


def _describe_readings(measured: Answer) -> str:
    faces = measured.values["faces"]
    heads = " | ".join(f"face {number}" for number in range(1, len(faces) + 1))
    rows = [
        ("looks, years", [f"{face['age_years']:.0f} ± {face['age_std_years']:.0f}" for face in faces]),
        ("quality", [", ".join(face["doubts"]) or "good" for face in faces]),
        *((_name_zone(zone), [_score(face["zones"], zone) for face in faces]) for zone in ZONES),
        *(
            (name.replace("_", " "), [_score(face["skin"], name) for face in faces])
            for name in ("dark_spots", "redness")
        ),
    ]
    lines = [f"| | {heads} |", "|---" * (len(faces) + 1) + "|"]
    lines += [f"| {name} | {' | '.join(cells)} |" for name, cells in rows]
    notes = [f"\n{_plain(note)}" for note in measured.values["notes"]]
    return "\n".join([*lines, *notes])


def _score(scores: Mapping[str, float], name: str) -> str:
    return f"{scores[name]:.2f}" if name in scores else "not shown"


def _describe_aged(answer: Answer) -> str:
    values = answer.values
    parts = []
    for number, face in enumerate(values["faces"], 1):
        parts.append(f"Face {number}: aged from {face['plan']['age_from']:.0f} to {face['plan']['age']:g}.")
        if face["doubts"]:
            parts.append(f"It is {' and '.join(face['doubts'])}; give the real age under More.")
        left_out = [one for one in face.get("references", ()) if not one["used"]]
        parts += [f"{_plain(one['file'])} is left out: {_plain(one['left_out'])}." for one in left_out]
    seconds = sum(values["seconds"].values())
    return " ".join([*parts, *(_plain(note) for note in values["notes"]), f"It took {seconds:.1f} s."])
