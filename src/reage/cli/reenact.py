"""`reage reenact`: give a face the expression and pose of another, or those that numbers name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reage.cli.console import print_json, print_notes
from reage.cli.extras import require_extra
from reage.cli.options import AsJson, Device, Frame, MaxMegapixels, Photo
from reage.cli.video import stoppable
from reage.engines import DEFAULT_ENGINE
from reage.errors import PlanError
from reage.files import is_video
from reage.plan_texts import parse_expression, parse_faces

if TYPE_CHECKING:
    from reage.reenactment import Reenacted

EXPRESSION_HELP = (
    "Scores from 0 to 1, as in smile=0.8,jaw_open=0.3: smile, frown, blink, squint, brows_up, brows_down, show_teeth, "
    "stretch, press_lips, pucker, or a blend shape such as mouth_smile_left."
)


def reenact(
    photo: Photo,
    like: Annotated[
        Path | None,
        typer.Option(
            metavar="PHOTO|VIDEO",
            help="A photo of the face to be like, or a clip of the person to follow; the shape of the own face stays.",
        ),
    ] = None,
    take: Annotated[
        str, typer.Option(metavar="both|expression|pose", help="What is taken from the face to be like.")
    ] = "both",
    expression: Annotated[str | None, typer.Option(metavar="NAME=SCORE,...", help=EXPRESSION_HELP)] = None,
    yaw: Annotated[
        float | None, typer.Option(metavar="DEGREES", help="Where the face turns to, positive to the right.")
    ] = None,
    pitch: Annotated[float | None, typer.Option(metavar="DEGREES", help="Positive where it looks up.")] = None,
    roll: Annotated[float | None, typer.Option(metavar="DEGREES", help="Positive clockwise.")] = None,
    face: Annotated[
        str, typer.Option(metavar="largest|N", help="The face to change; a number is one that `reage find` shows.")
    ] = "largest",
    to: Annotated[
        float | None, typer.Option(metavar="AGE", help="With a clip: an age in years that the face gets first.")
    ] = None,
    person: Annotated[
        int | None, typer.Option(metavar="N", help="With a clip: whom to follow; 1, who is seen most, by default.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="Result file; its suffix sets the format; NAME-reenacted.SUFFIX in the current folder by default.",
        ),
    ] = None,
    device: Device = "cpu",
    frame: Frame = None,
    max_megapixels: MaxMegapixels = None,
    as_json: AsJson = False,
) -> None:
    """Give the face of a photo another expression and pose, as in another photo or by numbers.

    Who it is stays: the shape, size and place of the face, its gaze and the light. Numbers take the place of what is
    taken from the other photo; what is neither named nor taken stays. A face turns by 30 degrees at most.
    A clip makes a video with its times and its sound: the face does what the person in it does, relative to the clip's
    calmest frame, in which it looks as in the photo.
    """
    if like is not None and is_video(like):
        if expression is not None or (yaw, pitch, roll) != (None, None, None):
            raise PlanError("A clip is followed in all it does; leave --expression, --yaw, --pitch and --roll out.")
        order = {"age": to, "take": take, "face": parse_faces(face), "person": 1 if person is None else person}
        _follow_clip(photo, like, order, output, device, frame, max_megapixels, as_json)
        return
    for flag, value in (("--to", to), ("--person", person)):
        if value is not None:
            raise PlanError(
                f"{flag} is for a clip as --like; age a photo with `reage age PHOTO --to AGE --like OTHER`."
            )
    from reage.files import shorten_name
    from reage.images import MAX_MEGAPIXELS, SUFFIXES, check_output, load_image
    from reage.reenactment import Reenactor, Target, check_request

    target = Target(take=take, expression=parse_expression(expression), yaw=yaw, pitch=pitch, roll=roll)
    number = parse_faces(face)
    check_request(target, like)
    picture = load_image(photo, frame=frame, max_megapixels=max_megapixels or MAX_MEGAPIXELS)
    suffix = photo.suffix if photo.suffix.lower() in SUFFIXES else ".png"
    output = output or Path(shorten_name(photo.stem, f"-reenacted{suffix}"))
    check_output(output, source=picture)
    if like is not None:
        check_output(output, source=like)
    done = Reenactor.load(device).reenact(picture, target, like=like, face=number)
    save_reenacted(done, output)
    if as_json:
        print_json(
            {"input": str(photo), "like": None if like is None else str(like), "output": str(output), **done.to_json()}
        )
        return
    typer.echo(f"{describe(done)}: {output}")


def _follow_clip(
    photo: Path,
    clip: Path,
    order: Mapping[str, Any],
    output: Path | None,
    device: str,
    frame: int | None,
    max_megapixels: float | None,
    as_json: bool,
) -> None:
    """Writes the video in which the face of a photo follows a clip."""
    require_extra("video")
    from reage.cli.video import load_reager, show_progress
    from reage.images import MAX_MEGAPIXELS, load_image
    from reage.reenactment import Reenactor
    from reage.video.driving import DriveOrder, check_driven, reenact_like_clip
    from reage.video.source import probe_video

    wanted = DriveOrder(**order)
    picture = load_image(photo, frame=frame, max_megapixels=max_megapixels or MAX_MEGAPIXELS)
    path = check_driven(probe_video(clip), photo, output)
    reager, reenactor = (
        load_reager(DEFAULT_ENGINE if wanted.age is not None else "none", device),
        Reenactor.load(device),
    )
    with stoppable(path), show_progress() as progress:
        done = reenact_like_clip(reager, reenactor, picture, clip, wanted, path, progress=progress)
    print_notes(done.notes)
    if as_json:
        print_json({"input": str(photo), "like": str(clip), **done.to_json()})
        return
    seconds = sum(done.seconds.values())
    typer.echo(f"1 face follows {clip.name} in {done.num_frames} frames, {seconds:.1f} s: {done.output}")


def save_reenacted(done: Reenacted, output: Path) -> None:
    """Writes the picture, and prints the notes on it and on what its format cannot keep."""
    from reage.images import describe_losses

    done.save(output)
    print_notes((*done.notes, *describe_losses(done.image, output.suffix)))


def describe(done: Reenacted) -> str:
    """What was done, in a few words."""
    from reage.faces.head_pose import fit_pose

    before, after = (fit_pose(mesh).angles for mesh in (done.face.mesh, done.mesh))
    turned = max(abs(a - b) for a, b in zip(before, after, strict=True)) > 0.5
    turn = f"turned to yaw {after[0]:.0f}, pitch {after[1]:.0f}, roll {after[2]:.0f}" if turned else "changed"
    return f"1 face {turn} in {sum(done.seconds.values()):.1f} s"
