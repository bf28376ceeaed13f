"""`reage age`: age a photo, a photo at several ages, or a folder of photos."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from reage.cli.console import print_json, print_notes
from reage.cli.folder import FolderOptions, age_folder
from reage.cli.options import (
    AsJson,
    AsJsonLines,
    Device,
    FaceBox,
    Frame,
    Jobs,
    Key,
    MaxMegapixels,
    Quiet,
    Recursive,
    Resume,
    Sign,
    SkipExisting,
    Verbose,
)
from reage.cli.request import (
    AgeRequest,
    DiffusionOptions,
    choose_device,
    load_credentials,
)
from reage.cli.run_report import ReportOptions
from reage.cli.video import video
from reage.engines import DEFAULT_ENGINE
from reage.errors import ImageError, PlanError
from reage.files import STANDARD_STREAM, is_video
from reage.plan_texts import parse_box, parse_faces, parse_skin, parse_sweep, parse_zones
from reage.types import Plan

if TYPE_CHECKING:
    from reage.images import Image
    from reage.pipeline import AgedFace, Reager, Result
    from reage.types import Face

_DIFFUSION = "Latent diffusion"
_COMPOSITING = "Masks and layers"


def age(
    source: Annotated[
        Path, typer.Argument(metavar="INPUT", help="A photo, - for standard input, a folder (needs -o), or a video.")
    ],
    to: Annotated[float | None, typer.Option(metavar="AGE", help="Target age in years, 1 to 100.")] = None,
    age_from: Annotated[
        float | None, typer.Option("--from", metavar="AGE", help="Age of the person; measured by default.")
    ] = Plan.age_from,
    zones: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=SCORE,...",
            help="Zone scores from 0 (smooth) to 1 (marked), see `reage zones`; or a preset: older, younger, upper, "
            "lower, mixed.",
        ),
    ] = None,
    skin: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=SCORE,...",
            help="For exemplar: dark_spots and redness from 0 (none has less) to 1, see `reage measure`, as in "
            "dark_spots=0.1,redness=0.3.",
        ),
    ] = None,
    strength: Annotated[
        float, typer.Option(metavar="SHARE", help="Share of the change that is applied, 0 to 1.5.")
    ] = Plan.strength,
    face: Annotated[
        str | None,
        typer.Option(
            metavar="all|largest|N,...",
            help=f"The faces to age, {AgeRequest.faces} by default; numbers, as in 2 or 1,3, are those that "
            "`reage find` shows.",
        ),
    ] = None,
    box: FaceBox = None,
    mask: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A grey picture of the photo's size: the photo may change where it is white; where it is black, every "
            "bit is kept.",
            rich_help_panel=_COMPOSITING,
        ),
    ] = None,
    protect: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A grey picture of the photo's size: where it is white, every bit of the photo is kept.",
            rich_help_panel=_COMPOSITING,
        ),
    ] = None,
    layers: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Also write the change as layers for a compositor: shape, gain, added levels, mattes of skin and "
            "hair, and a README.txt with the formula that joins them.",
            rich_help_panel=_COMPOSITING,
        ),
    ] = None,
    sweep: Annotated[
        str | None,
        typer.Option(
            metavar="START:STOP:STEP",
            help="Age the photo to each of these ages, and draw a labelled strip of the faces.",
        ),
    ] = None,
    reference: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH",
            help="For exemplar: a photo of the same person at about the target age, or a folder of them; may be given "
            "several times. Their lines, light and shape take the place of those of other people.",
        ),
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option(
            metavar="PHOTO",
            help="Also give the aged face the expression and pose of the face in this photo, see `reage reenact`.",
        ),
    ] = None,
    engine: Annotated[str, typer.Option(metavar="NAME", help="Engine, see `reage engines`.")] = DEFAULT_ENGINE,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="Result file; its suffix sets the format; NAME-AGE.SUFFIX in the current folder by default; - for "
            "standard output. "
            "For a folder: the folder for the results. For a sweep: the strip; the photos are written beside it.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of engines that draw random numbers.")] = Plan.seed,
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Weights of the engine; the shipped ones by default.")
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|DIR",
            help="For ldla: Stable Diffusion 1.x or 2.x to use without trained weights: a folder, a file, or its name"
            " on the hub. For personal: where the base of the person is now.",
            rich_help_panel=_DIFFUSION,
        ),
    ] = None,
    person: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="For personal: the person in the photo, a file made by `reage personalize`.",
            rich_help_panel=_DIFFUSION,
        ),
    ] = None,
    noise_strength: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Noise level that denoising starts from, above 0 to 1: how far a zone or a face is regenerated "
            "(gamma_n).",
            rich_help_panel=_DIFFUSION,
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(metavar="N", help="Number of denoising steps (gamma_inf).", rich_help_panel=_DIFFUSION),
    ] = None,
    guidance_scale: Annotated[
        float | None,
        typer.Option(
            metavar="SCALE",
            help="Scale of classifier-free guidance, 0 to 20: how strongly the score or age is followed (gamma_g).",
            rich_help_panel=_DIFFUSION,
        ),
    ] = None,
    added_noise: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Share of the starting noise that is really added, 0 to 1; ldla adds none unless --base is given.",
            rich_help_panel=_DIFFUSION,
        ),
    ] = None,
    refine: Annotated[
        bool,
        typer.Option(
            "--refine",
            help="For ldla: blend the zones by a second pass over the face.",
            rich_help_panel=_DIFFUSION,
        ),
    ] = False,
    sign: Sign = None,
    key: Key = None,
    device: Device = "cpu",
    frame: Frame = None,
    max_megapixels: MaxMegapixels = None,
    recursive: Recursive = False,
    skip_existing: SkipExisting = False,
    resume: Resume = None,
    jobs: Jobs = None,
    failures_only: Quiet = False,
    verbose: Verbose = False,
    as_json: AsJson = False,
    as_json_lines: AsJsonLines = False,
) -> None:
    """Make the faces of a photo look older or younger.

    The photo itself is never overwritten; an earlier result is.
    """
    options = FolderOptions(
        recursive=recursive,
        skip_existing=skip_existing,
        resume=resume,
        num_jobs=jobs,
        report=ReportOptions(
            failures_only=failures_only, verbose=verbose, as_json=as_json, as_json_lines=as_json_lines
        ),
    )
    if is_video(source) and not os.path.isdir(source):
        options.check_unused(source)
        others = {
            "--box": box,
            "--mask": mask,
            "--protect": protect,
            "--layers": layers,
            "--sweep": sweep,
            "--reference": reference,
            "--like": like,
            "--weights": weights,
            "--base": base,
            "--frame": frame,
            "--person": person,
            "--steps": steps,
            "--skin": skin,
        }
        for flag, value in others.items():
            if value:
                raise PlanError(f"{flag} is for photos, and '{source}' is a video; leave it out, see `reage video`.")
        typer.echo(f"'{source}' is a video, which `reage video` ages:", err=True)
        video(
            source,
            to=to,
            face=face,
            age_from=age_from,
            zones=zones,
            strength=strength,
            engine=engine,
            output=output,
            sign=sign,
            key=key,
            device=device,
            as_json=as_json or as_json_lines,
        )
        return
    if not os.path.isdir(source):
        options.check_unused(source)
    if as_json and as_json_lines:
        raise PlanError("--json and --jsonl exclude each other; give one of them.")
    if sweep is not None and to is not None:
        raise PlanError("--to and --sweep exclude each other; give one of them.")
    if box is not None and face is not None:
        raise PlanError("--face and --box exclude each other; give one of them.")
    if box is not None and os.path.isdir(source):
        raise PlanError(f"--box is a place in one photo, and '{source}' is a folder; give one photo, or leave it out.")
    if os.path.isdir(source) and (mask, protect, layers) != (None, None, None):
        flag = "--mask" if mask is not None else "--protect" if protect is not None else "--layers"
        raise PlanError(f"{flag} is for one photo, and '{source}' is a folder; give one photo, or leave it out.")
    if frame is not None and source.is_dir():
        raise PlanError(f"--frame is for one file, and '{source}' is a folder; give one photo, or leave it out.")
    if sign is not None and (sweep is not None or source.is_dir() or STANDARD_STREAM in (source, output)):
        raise PlanError("--sign is for one photo that is read from a file and written to one; leave it out.")
    if layers is not None and sweep is not None:
        raise PlanError("--layers and --sweep exclude each other; give one age with --to.")
    chosen = AgeRequest.faces if face is None else parse_faces(face)
    if like is not None:
        if isinstance(chosen, tuple):
            raise PlanError(f"--like is for one face, and --face is '{face}'; give one number.")
        _check_like(source, {"--sweep": sweep, "--layers": layers, "--mask": mask, "--protect": protect})
        if (to, zones, skin) == (None, None, None):
            raise PlanError("--like follows an age; give --to as well, or use `reage reenact`.")
    ages = parse_sweep(sweep) if sweep is not None else ()
    request = AgeRequest(
        source=source,
        output=output,
        plan=Plan(
            age=ages[0] if ages else to,
            zones=parse_zones(zones),
            strength=strength,
            seed=seed,
            age_from=age_from,
            skin=parse_skin(skin),
        ),
        ages=ages,
        faces=chosen,
        box=parse_box(box),
        mask=mask,
        protect=protect,
        layers=layers,
        references=tuple(reference or ()),
        like=like,
        engine=engine,
        device=device,
        as_json=as_json or as_json_lines,
        frame=frame,
        max_megapixels=max_megapixels,
        weights=weights,
        credentials=load_credentials(sign, key),
        diffusion=DiffusionOptions(
            base=base,
            person=person,
            noise_strength=noise_strength,
            num_inference_steps=steps,
            guidance_scale=guidance_scale,
            added_noise=added_noise,
            refine=refine or None,
        ),
    )
    if ages:
        _age_sweep(request, as_json_lines)
    elif os.path.isdir(source):
        age_folder(request, options)
    elif STANDARD_STREAM in (output, source if output is None else None):
        _pipe_photo(request)
    else:
        _age_photo(request, failures_only, as_json_lines)


def _check_like(source: Path, others: Mapping[str, object]) -> None:
    """Refuses what a face that is also reenacted cannot have."""
    if os.path.isdir(source):
        raise PlanError(f"--like is for one photo, and '{source}' is a folder; give one photo, or leave it out.")
    for flag, value in others.items():
        if value is not None:
            raise PlanError(f"--like and {flag} exclude each other; leave one of them out.")


def _pipe_photo(request: AgeRequest) -> None:
    """Ages a photo and writes the result to standard output, in the format of a photo with a name, else as PNG."""
    if request.as_json:
        raise PlanError("Standard output is for the picture; give -o FILE with --json or --jsonl.")
    if sys.stdout.isatty():
        raise ImageError("The picture would go to the terminal; give -o FILE, or send it on with > FILE.")
    from reage.images import SUFFIXES

    suffix = request.source.suffix.lower()
    with TemporaryDirectory(prefix="reage-") as folder:
        output = Path(folder) / f"picture{suffix if suffix in SUFFIXES else '.png'}"
        _age_photo(replace(request, output=output), failures_only=True)
        sys.stdout.buffer.write(output.read_bytes())
        sys.stdout.buffer.flush()


def _age_photo(request: AgeRequest, failures_only: bool, as_json_lines: bool = False) -> None:
    from reage.batch import age_photo, check_photo
    from reage.images import check_layers, check_output
    from reage.pipeline import clip_target
    from reage.provenance import check_signed

    photo = request.load_photo(frame=request.frame)
    output = check_photo(photo, clip_target(request.plan, request.engine_class()), request.output)
    for mask_file in request.mask_files:
        check_output(output, source=mask_file)
    if request.layers is not None:
        check_layers(request.layers, [request.source, output, *request.mask_files])
    mask = request.load_mask(photo)
    if request.like is not None:
        check_output(output, source=request.like)
    if request.credentials is not None:
        check_signed(output)
    reager = request.load_reager()
    faces = _choose_faces(request, reager, photo)
    references = request.read_references(reager)
    outcome = age_photo(
        reager,
        photo,
        request.plan,
        output,
        faces=faces,
        mask=mask,
        layers=request.layers,
        references=references,
        finish=None if request.like is None else partial(_reenact, request=request),
        credentials=request.credentials,
    )
    _print_doubts(outcome.result, request.faces)
    _print_references(outcome.result, request.faces)
    print_notes(outcome.notes)
    if request.as_json:
        print_json(outcome.to_json(), in_one_line=as_json_lines)
    elif not failures_only:
        layers = "" if request.layers is None else f", layers in {request.layers}"
        typer.echo(f"{_describe(outcome.result, request.plan)}: {output}{layers}")


def _reenact(result: Result, request: AgeRequest) -> Result:
    """The aged photo, whose face then takes the expression and pose of another."""
    from reage.reenactment import Reenactor

    assert request.like is not None
    chosen = result.faces[0].face if request.box is not None else request.faces
    return Reenactor.load(choose_device(request.device, DEFAULT_ENGINE)).finish(result, request.like, chosen)


def _age_sweep(request: AgeRequest, as_json_lines: bool) -> None:
    from reage.batch import age_sweep, check_sweep, clip_ages
    from reage.images import check_output
    from reage.pipeline import describe_clipped_ages

    photo = request.load_photo(frame=request.frame or 1)
    ages = clip_ages(request.ages, request.engine_class())
    outputs = check_sweep(photo, request.plan, ages, request.output)
    for mask_file in request.mask_files:
        for output in (outputs.strip, *outputs.photos):
            check_output(output, source=mask_file)
    mask = request.load_mask(photo)
    reager = request.load_reager()
    faces = _choose_faces(request, reager, photo)
    references = request.read_references(reager)
    outcome = age_sweep(reager, photo, request.plan, ages, outputs.strip, faces=faces, mask=mask, references=references)
    if outcome.photos:
        _print_references(outcome.photos[0].result, request.faces)
    clipped = describe_clipped_ages(reager.engine, request.ages)
    notes = [note for aged in outcome.photos for note in aged.notes]
    print_notes(dict.fromkeys([*([clipped] if clipped else []), *notes]))
    if request.as_json:
        print_json(outcome.to_json(), in_one_line=as_json_lines)
        return
    for path in (*outputs.photos, outputs.strip):
        typer.echo(path)


def _numbered(result: Result, chosen: str | int | tuple[int, ...]) -> Iterable[tuple[int, AgedFace]]:
    """The aged faces by the number that `reage find` shows."""
    numbers = chosen if isinstance(chosen, tuple) else count(chosen if isinstance(chosen, int) else 1)
    return zip(numbers, result.faces, strict=False)


def _print_references(result: Result, chosen: str | int | tuple[int, ...]) -> None:
    """A line on stderr for each face about the references that are left out for it, and why."""
    from reage.measure.references import describe_left_out

    for number, done in _numbered(result, chosen):
        left_out = describe_left_out(done.references)
        used = sum(one.reference is not None for one in done.references)
        by = f"by {used} of {len(done.references)} references" if used else "without references"
        if left_out:
            typer.echo(f"Note: face {number} is aged {by}; left out: {left_out}.", err=True)


def _print_doubts(result: Result, chosen: str | int | tuple[int, ...]) -> None:
    """A line on stderr for each face whose age may have been read wrong, by the number that `reage find` shows."""
    for number, done in _numbered(result, chosen):
        if done.doubts:
            read = f"{done.reading.age_years:.0f} ± {done.reading.age_std_years:.0f} years"
            typer.echo(
                f"Note: face {number} looks {read}, but it is {' and '.join(done.doubts)}; "
                "give the real age with --from.",
                err=True,
            )


def _choose_faces(request: AgeRequest, reager: Reager, photo: Image) -> str | int | tuple[int, ...] | list[Face]:
    """The faces by name or numbers, or the one that was given by hand."""
    return request.faces if request.box is None else [reager.find_in_box(photo, request.box)]


def _describe(result: Result, plan: Plan) -> str:
    num_faces = len(result.faces)
    ages = [f"{aged.plan.age_from:.0f}" for aged in result.faces]
    ages_from = ", ".join(dict.fromkeys(ages) if result.image.more else ages)
    frames = f" of {len(result.image.frames)} frames" if result.image.more else ""
    faces = f"{num_faces} {'face' if num_faces == 1 else 'faces'}{frames}"
    used = result.faces[0].plan.age if plan.age is not None and result.faces else plan.age
    parts = [f"in {len(plan.zones)} zones"] if plan.zones else []
    parts += [name.replace("_", " ") for name in plan.skin]
    change = f"changed {' and '.join(parts)}" if used is None else f"aged from {ages_from} to {used:g}"
    return f"{faces} {change} in {sum(result.seconds.values()):.1f} s"
