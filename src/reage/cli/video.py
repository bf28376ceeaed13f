"""`reage video`: age the people of a video."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reage.cli.console import print_json, print_notes, print_table
from reage.cli.extras import require_extra
from reage.cli.options import AsJson, Device, Key, Sign
from reage.cli.request import AgeRequest, load_credentials, parse_ages_over_time, parse_people
from reage.engines import DEFAULT_ENGINE
from reage.errors import PlanError
from reage.plan_texts import parse_faces, parse_zones
from reage.types import Plan

if TYPE_CHECKING:
    from reage.pipeline import Reager
    from reage.provenance import Credentials
    from reage.types import Pixels
    from reage.video.aging import Progress
    from reage.video.order import VideoOrder, VideoOutcome
    from reage.video.people import Person
    from reage.video.source import VideoSource


def video(
    source: Annotated[Path, typer.Argument(metavar="VIDEO", help="A video.")],
    to: Annotated[float | None, typer.Option(metavar="AGE", help="Target age in years, 1 to 100.")] = None,
    person: Annotated[
        list[str] | None,
        typer.Option(
            metavar="N=AGE",
            help="Target age of one person, as in 2=30; may be given several times. The numbers are those that "
            "`reage find` shows; who is not named is aged by --to, or left as they are without it.",
        ),
    ] = None,
    face: Annotated[
        str | None,
        typer.Option(metavar="all|largest|N,...", help="The people to age, all by default; largest is person 1."),
    ] = None,
    age_over_time: Annotated[
        str | None,
        typer.Option(metavar="START:STOP", help="Target ages at the start and at the end of the video, as in 30:80."),
    ] = None,
    age_from: Annotated[
        float | None, typer.Option("--from", metavar="AGE", help="Age of the person; measured by default.")
    ] = Plan.age_from,
    zones: Annotated[
        str | None, typer.Option(metavar="NAME=SCORE,...", help="Zone scores from 0 to 1, see `reage zones`.")
    ] = None,
    strength: Annotated[
        float, typer.Option(metavar="SHARE", help="Share of the change that is applied, 0 to 1.5.")
    ] = Plan.strength,
    engine: Annotated[str, typer.Option(metavar="NAME", help="Engine, see `reage engines`.")] = DEFAULT_ENGINE,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="Result file: .mp4, .m4v, .mov, .mkv or .webm; NAME-AGE.SUFFIX in the current folder by default.",
        ),
    ] = None,
    preview: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Age only so many seconds from the start.")
    ] = None,
    codec: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="h264, h265, vp9 or av1; h264 by default, and vp9 in .webm."),
    ] = None,
    quality: Annotated[
        str,
        typer.Option(metavar="NAME", help="lossless, high, medium or small: from the largest file to the smallest."),
    ] = "high",
    tone_map: Annotated[
        bool, typer.Option("--tone-map", help="Bring HDR (PQ or HLG) to the range of SDR, in which faces are aged.")
    ] = False,
    sign: Sign = None,
    key: Key = None,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Make the people of a video look older or younger, the same in every frame.

    Sound, subtitles, chapters, metadata, rotation, colours and the time of every frame are kept. A run that was stopped
    goes on where it was when the command is given again.
    """
    plan = None
    zone_scores = parse_zones(zones)
    if to is not None or zone_scores or age_over_time is not None:
        over_time = parse_ages_over_time(age_over_time)
        if over_time is not None and to is not None:
            raise PlanError("--to and --age-over-time exclude each other; give one of them.")
        age = over_time[0] if over_time is not None else to
        plan = Plan(age=age, zones=zone_scores, strength=strength, age_from=age_from)
    else:
        over_time = None
    ages = parse_people(person or ())
    faces = "all" if face is None else parse_faces(face)
    chosen = (faces,) if isinstance(faces, int) else faces
    if plan is None and not ages:
        raise PlanError(
            "Nothing is asked for: give a target age with --to, or one for each person with --person N=AGE."
        )
    require_extra("video")
    from reage.video.order import VideoOrder

    order = VideoOrder(
        plan=plan,
        ages=ages,
        faces=chosen,
        over_time=over_time,
        seconds=preview,
        codec=codec,
        quality=quality,
        tone_map=tone_map,
    )
    age_video(
        source, order, output, engine=engine, device=device, as_json=as_json, credentials=load_credentials(sign, key)
    )


def age_video(
    source: Path,
    order: VideoOrder,
    output: Path | None,
    *,
    engine: str,
    device: str,
    as_json: bool,
    credentials: Credentials | None = None,
) -> None:
    """Ages a video, prints what became of it, and exits with 1 where it was broken."""
    from reage.video.aging import VideoReager, check_levels
    from reage.video.codecs import choose_encoding
    from reage.video.order import check_video_output
    from reage.video.signing import check_signed_video, sign_video
    from reage.video.source import probe_video

    found = check_levels(probe_video(source), order.tone_map)
    path = check_video_output(found, order, output)
    choose_encoding(found, path, order.codec, order.quality)
    if credentials is not None:
        check_signed_video(path)
    ager = VideoReager(load_reager(engine, device))
    with stoppable(path), show_progress() as progress:
        outcome = ager.age(source, order, path, progress=progress)
    if credentials is not None:
        sign_video(outcome, order, credentials)
    print_notes(outcome.notes)
    if as_json:
        print_json(outcome.to_json())
    else:
        typer.echo(f"{describe(outcome)}: {outcome.output}")
    if outcome.broken:
        typer.echo(f"Error: {outcome.broken}", err=True)
        raise typer.Exit(1)


def load_reager(engine: str, device: str) -> Reager:
    """The `Reager` with an engine by its name."""
    request = AgeRequest(
        source=Path(), output=None, plan=Plan(age=Plan.strength), engine=engine, device=device, as_json=False
    )
    return request.load_reager()


@contextmanager
def stoppable(output: Path) -> Iterator[None]:
    """Says what becomes of a video that is stopped by Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"Stopped; the same command goes on with what is in '{output.name}.unfinished'.", err=True)
        raise typer.Exit(130) from None


@contextmanager
def show_progress() -> Iterator[Progress]:
    """A bar on stderr with frames a second and time left."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from reage.cli.console import stderr_console

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    speed = TextColumn("{task.fields[speed]}")
    console = stderr_console()
    with Progress(*columns, speed, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as bar:
        tasks = {}
        words = {"find": "finding people", "render": "ageing"}

        def show(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = bar.add_task(words.get(step, step), total=total or None, speed="")
            task = tasks[step]
            rate = bar.tasks[task].speed
            bar.update(task, completed=done, total=total or None, speed=f"{rate:.1f} frames/s" if rate else "")

        yield show


def describe(outcome: VideoOutcome) -> str:
    """What was done, in a few words."""
    aged = [person for person in outcome.people if person.number in outcome.targets]
    parts = []
    for person in aged:
        first, last = outcome.targets[person.number]
        target = "changed" if first is None else f"to {first:g}" if first == last else f"to {first:g} to {last:g}"
        parts.append(f"person {person.number} from {person.reading.age_years:.0f} {target}")
    seconds = sum(outcome.seconds.values())
    return (
        f"{', '.join(parts) or 'nobody'} in {outcome.num_aged} of {outcome.num_frames} frames, {seconds:.1f} s, "
        f"{outcome.frames_per_second:.1f} frames a second"
    )


def find_in_video(source: Path, output: Path, as_json: bool) -> None:
    """Lists the people of a video with their times and ages, and draws the best frame of each."""
    require_extra("video")
    from reage.cli.photos import save_drawing
    from reage.errors import FaceNotFound
    from reage.images import check_output
    from reage.pipeline import Reager
    from reage.video.aging import VideoReager
    from reage.video.source import probe_video

    found = probe_video(source)
    check_output(output)
    with show_progress() as progress:
        survey, people = VideoReager(Reager("none")).find_people(found, progress=progress)
    if not people:
        raise FaceNotFound(f"No face was found in '{source}'; give a video in which one can be seen.")
    save_drawing(draw_people(found, survey.pts.tolist(), people), output)
    if as_json:
        print_json({"input": str(source), "output": str(output), "people": [one.to_json() for one in people]})
    else:
        print_table(("person", "looks", "face, px", "frames", "seconds"), [_row(one) for one in people])
        typer.echo(output)
    broken = survey.damage.describe(found)
    if broken:
        typer.echo(f"Error: {broken}", err=True)
        raise typer.Exit(1)


def _row(person: Person) -> tuple[object, ...]:
    times = ", ".join(f"{first:.2f}-{last:.2f}" for first, last in person.times)
    looks = f"{person.reading.age_years:.0f} ± {person.reading.age_std_years:.0f}"
    return person.number, looks, f"{person.height_px:.0f}", person.num_frames, times


def draw_people(source: VideoSource, pts: Sequence[int], people: Sequence[Person]) -> Pixels:
    """A strip with the best frame of each person, cut around the face."""
    import numpy as np

    from reage.faces.detector import align
    from reage.images import draw_strip, geometry
    from reage.mesh_points import LANDMARK_POINTS
    from reage.video.frames import to_rgb
    from reage.video.people import mesh_in
    from reage.video.source import read_frame

    crops = []
    for person in people:
        pixels = np.asarray(to_rgb(read_frame(source, pts[person.best]), source), np.uint8)
        mesh = mesh_in(person.tracks, person.best)
        crops.append(geometry.warp(pixels, align(mesh[list(LANDMARK_POINTS), :2], 256), 256, 256))
    labels = [f"{person.number}: looks {person.reading.age_years:.0f}" for person in people]
    return draw_strip(crops, labels, height_px=256)
