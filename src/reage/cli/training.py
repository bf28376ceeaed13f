"""`reage training`: from photos of known age to weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from reage.cli.console import print_json, print_table, stderr_console, track
from reage.cli.extras import require_extra
from reage.cli.options import AsJson, Device, Shards

training = typer.Typer(name="training", no_args_is_help=True, help="Train engines on photos of known age.")


@training.command(epilog="Example: reage training prepare photos/ -o shards/")
def prepare(
    folder: Annotated[Path, typer.Argument(help="Folder of pictures with a table of them.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the shards.")],
    table: Annotated[str, typer.Option(metavar="NAME", help="Name of the table in the folder.")] = "portraits.csv",
    crop_px: Annotated[int, typer.Option(min=64, max=2048, metavar="N", help="Side of the stored crops, px.")] = 384,
    age_predictor: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="dlib's age predictor, an ONNX file, whose readings are stored too."),
    ] = None,
) -> None:
    """Find the face in every picture and store the aligned crops as Parquet shards.

    The table has the column file, and any of person, age_years, age_prompted_years, gender (M or F), year and query; an
    empty cell is not known. Recipes that need true ages leave out pictures without age_years or gender.
    """
    require_extra("train")
    from reage.data.age_predictor import AgePredictor
    from reage.data.prepare import prepare as prepare_portraits

    predict_age = AgePredictor.load(age_predictor).predict if age_predictor else None
    written, missed = prepare_portraits(folder, output, table=table, crop_px=crop_px, predict_age=predict_age)
    typer.echo(f"{written} portraits: {output}")
    for file in missed:
        typer.echo(f"No face was found in {file}.", err=True)


@training.command(
    epilog="Example: reage training label faker/ -o scenes/ --person-matte selfie_segmentation.tflite",
)
def label(
    folder: Annotated[Path, typer.Argument(help="Folder of photos with a table of them.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the labelled photos.")],
    person_matte: Annotated[
        Path, typer.Option(metavar="FILE", help="MediaPipe's selfie_segmentation.tflite, which finds the person.")
    ],
    parser: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Face parser that labels what stays doubtful, where it is sure.")
    ] = None,
    table: Annotated[str, typer.Option(metavar="NAME", help="Name of the table in the folder.")] = "portraits.csv",
) -> None:
    """Label each photo pixel by pixel for the face parser: skin, hair, eyes, glasses, hat and so on.

    Photos that were labelled by hand keep these labels; of people held out from training, only those are taken.
    """
    require_extra("label", "train")
    from reage.faces.segmentation import FaceParser
    from reage.training.measures.person_matte import PersonMatte
    from reage.training.measures.scenes import label_photos

    matte = PersonMatte.load(person_matte)
    number = label_photos(
        folder,
        output,
        matte.measure,
        parser=FaceParser.load(parser) if parser else None,
        table=table,
        track=lambda rows: track(rows, "photos"),
    )
    typer.echo(f"{number} labelled photos: {output}")


@training.command(epilog="Example: reage training export age-a.safetensors -o age-a.onnx")
def export(
    weights: Annotated[str, typer.Argument(help="Weights of a net that runs without torch: a file, or the name.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="ONNX file to write; by default NAME.onnx.")
    ] = None,
) -> None:
    """Write the ONNX file of a trained net, which runs without torch."""
    require_extra("train")
    from reage.training.export import export

    typer.echo(export(weights, output))


@training.command(epilog="Example: reage training show amgan")
def show(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe.")],
    as_json: AsJson = False,
) -> None:
    """Print the full configuration of a recipe."""
    require_extra("train")
    from dataclasses import asdict

    from reage.training.recipes import find_recipe

    config = asdict(find_recipe(recipe).load_config())
    if as_json:
        print_json(_to_plain(config))
        return
    settings = _flatten(config)
    width = max(len(name) for name in settings)
    for name, value in settings.items():
        typer.echo(f"{name:{width}} = {value}")


@training.command(epilog="Example: reage training fit exemplar --shards shards/ -o exemplar.safetensors")
def fit(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe, which is also the name of the weights.")],
    shards: Shards,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Weights file to write.")] = None,
    log_dir: Annotated[
        Path | None, typer.Option(help="Folder for the log of this run: its losses.", show_default=False)
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|DIR",
            help="For ldla: latent diffusion base to fine-tune; ldm-small, a folder or file of Stable Diffusion 1.x or"
            " 2.x, or its name on the hub.",
        ),
    ] = None,
) -> None:
    """Run a recipe and write its weights; a run that was stopped is resumed by the same command.

    With --log-dir, `reage training curve` draws the losses, and `tensorboard --logdir` shows them as they come.
    """
    require_extra("train")
    from reage.training.recipes import train
    from reage.training.runner import DEFAULT_BASE

    typer.echo(train(recipe, shards, output, log_dir, base or DEFAULT_BASE))


@training.command(epilog="Example: reage training curve runs/age-a -o curve.svg")
def curve(
    folder: Annotated[Path, typer.Argument(help="Folder that `reage training fit --log-dir` wrote to.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="SVG or PNG file to write.")] = Path("curve.svg"),
) -> None:
    """Draw the losses of a run, finished or not, over its steps."""
    require_extra("train")
    from reage.training.logger import draw_curve

    draw_curve(folder, output)
    typer.echo(output)


@training.command(epilog="Example: reage training draw ldm-small -o faces.png")
def draw(
    base: Annotated[str, typer.Argument(metavar="NAME|DIR", help="A latent diffusion base.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Picture to write.")] = Path("faces.png"),
    count: Annotated[int, typer.Option("-n", min=1, max=16, help="Number of faces of each age group.")] = 6,
    seed: Annotated[int, typer.Option(help="Seed of the noise.")] = 0,
    device: Device = "cpu",
) -> None:
    """Generate faces of the six age groups from noise alone, a row for each."""
    require_extra("diffusion")
    from reage.images import Image, save_image
    from reage.nets.diffusion import load_base
    from reage.nets.sampling import draw_sheet_of_prompts
    from reage.prompts import AGE_LABELS, label_prompt

    prompts = [label_prompt(label) for label in AGE_LABELS]
    pixels = draw_sheet_of_prompts(load_base(base, device), prompts, count, seed)
    save_image(Image(pixels=pixels), output)
    typer.echo(output)


@training.command(
    name="class-images", epilog="Example: reage training class-images --shards shards/ -o others/ --without B001298"
)
def class_images(
    shards: Shards,
    output: Annotated[Path, typer.Option("--output", "-o", help="New folder for the pictures and captions.csv.")],
    count: Annotated[
        int, typer.Option("-n", min=1, help="Number of pictures, spread evenly over the age groups.")
    ] = 612,
    without: Annotated[str, typer.Option(metavar="PERSON,...", help="People to leave out, such as the subject.")] = "",
    side: Annotated[int, typer.Option(min=64, max=1024, help="Side of the pictures, px.")] = 512,
    seed: Annotated[int, typer.Option(help="Seed of the choice.")] = 0,
) -> None:
    """Write captioned pictures of other people in each age group, for the prior preservation of `reage personalize`."""
    require_extra("train")
    from reage.data.shards import read_shards
    from reage.training.dreambooth.class_images import choose_rows, write_class_images

    portraits = read_shards(shards, "train").with_known_age()
    chosen = choose_rows(portraits, count, set(without.split(",")), seed)
    write_class_images(portraits, chosen, output, side, track)
    typer.echo(f"{', '.join(f'{len(rows)} {label}' for label, rows in chosen.items())}: {output}")


@training.command(epilog="Example: reage training convert mediapipe/ -o nets/")
def convert(
    folder: Annotated[Path, typer.Argument(help="Folder of MediaPipe's .tflite files and dlib's .dat file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the .onnx files.")],
) -> None:
    """Convert MediaPipe's face nets and dlib's face recognizer to the ONNX files that come with reage.

    The folder holds face_detection_full_range.tflite, face_landmarks_detector.tflite, face_blendshapes.tflite and
    dlib_face_recognition_resnet_model_v1.dat.
    """
    require_extra("convert")
    from reage.training.convert import convert as convert_nets

    for path in convert_nets(folder, output):
        typer.echo(path)


@training.command(epilog="Example: reage training calibrate --shards shards/ -o reference.json")
def calibrate(
    shards: Shards,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="JSON file to write.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure the reference of evaluations on real people: identity thresholds, age bias, differences of scorers."""
    require_extra("train")
    from reage.data.shards import read_shards
    from reage.evaluation.calibration import describe_reference, measure_reference
    from reage.evaluation.judges import Judges
    from reage.faces.segmentation import FaceParser

    reference = measure_reference(read_shards(shards).with_known_age(), Judges.load(), FaceParser.load())
    if output:
        reference.save(output)
    if as_json:
        print_json(reference.to_json())
        return
    for table in describe_reference(reference):
        typer.echo(table.to_markdown())


@training.command(name="real-aging", epilog="Example: reage training real-aging --shards shards/ --engine exemplar")
def real_aging(
    shards: Shards,
    engine: Annotated[str, typer.Option(help="Also age the earlier photo by this engine.")] = "",
) -> None:
    """Measure how held-out people with two photos aged between them."""
    require_extra("train")
    from rich.progress import Progress

    from reage.data.shards import read_shards
    from reage.engines import load_engine
    from reage.evaluation.judges import Judges
    from reage.evaluation.real_aging import describe_years, measure_years
    from reage.evaluation.reference import load_reference
    from reage.faces.segmentation import FaceParser

    loaded = load_engine(engine) if engine else None
    with Progress(console=stderr_console()) as progress:
        portraits = read_shards(shards, "val").with_known_age()
        years = measure_years(portraits, Judges.load(), FaceParser.load(), loaded, progress.track)
    for table in describe_years(years, load_reference(), engine):
        typer.echo(table.to_markdown())


@training.command(name="judge-face-parser", epilog="Example: reage training judge-face-parser --shards scenes/")
def judge_face_parser(
    shards: Shards,
    net_alone: Annotated[bool, typer.Option("--net-alone", help="Without the detector of headwear.")] = False,
) -> None:
    """Measure how well the face parser agrees with the labels drawn by hand on people held out from training."""
    require_extra("train")
    from reage.faces.segmentation import FaceParser
    from reage.nets.runtime import load_session
    from reage.training.measures.face_parser import measure_iou
    from reage.training.measures.scenes import read_scenes

    labelled = read_scenes(shards)
    labelled = labelled.pick((labelled.split == "val") & labelled.by_hand)
    parser = FaceParser(load_session("face-parser")) if net_alone else FaceParser.load()
    overlaps = measure_iou(parser, labelled)
    headers = ("class", f"IoU on {len(labelled)} photos")
    mean = sum(overlaps.values()) / len(overlaps)
    print_table(headers, [(name, f"{overlap:.3f}") for name, overlap in [*overlaps.items(), ("mean", mean)]])


@training.command(name="judge-zones", epilog="Example: reage training judge-zones --shards shards/")
def judge_zones(
    shards: Shards,
) -> None:
    """Measure how zone scores rise with age, repeat and agree, on people held out from training.

    Then the typical scores at each age follow, measured on the people `zones-a` was trained on, as in `reage.zones`.
    """
    require_extra("train")
    from rich.progress import Progress

    from reage.data.shards import read_shards
    from reage.faces.segmentation import FaceParser
    from reage.faces.zone_scorer import ZoneScorer
    from reage.training.measures.zone_report import PERTURBATIONS, typical_rows
    from reage.training.measures.zone_report import judge_zones as judge

    names = ("zones-a", "zones-b")
    scorers = (ZoneScorer.load(names[0]), ZoneScorer.load(names[1]))
    with Progress(console=stderr_console()) as progress:
        reports = judge(read_shards(shards).with_known_age(), scorers, FaceParser.load().parse, progress.track)
    for name, rows in zip(names, reports, strict=True):
        typer.echo(name)
        print_table(
            ("zone", "N", "rho with age, 95 %", *(f"change by {name}" for name in PERTURBATIONS), "rho with the other"),
            [
                (
                    row.zone,
                    row.num,
                    _known(f"{row.age_correlation:.2f}, {row.low:.2f} to {row.high:.2f}"),
                    *(_known(f"{change:.3f}") for change in row.mean_changes.values()),
                    _known(f"{row.agreement:.2f}"),
                )
                for row in rows
            ],
        )
    for zone, typical in typical_rows(scorers[0]):
        typer.echo(f'"{zone}": ({", ".join(f"{score:.2f}" for score in typical)}),')


@training.command(name="judge-ages", epilog="Example: reage training judge-ages --shards shards/")
def judge_ages(
    shards: Shards,
    as_json: AsJson = False,
) -> None:
    """Measure the age estimators on people held out from training: error, bias, fairness, agreement.

    Where no age is known, the age that a picture was asked for counts, or what dlib's age predictor reads.
    """
    require_extra("train")
    from rich.progress import Progress

    from reage.data.shards import read_shards
    from reage.faces.segmentation import FaceParser
    from reage.measure.age import AgeEstimator
    from reage.training.measures.age_report import judge_ages as judge

    age_estimators = {name: AgeEstimator.load(name) for name in ("age-a", "age-b")}
    with Progress(console=stderr_console()) as progress:
        figures = judge(read_shards(shards), age_estimators, FaceParser.load().parse, progress.track)
    if as_json:
        print_json({name: [figure.to_json() for figure in rows] for name, rows in figures.items()})
        return
    for name, rows in figures.items():
        typer.echo(name)
        table = [(row.name, row.num, _known(f"{row.value:.2f}, {row.low:.2f} to {row.high:.2f}")) for row in rows]
        print_table(("years, shares, correlations", "N", "95 %"), table)


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings under dotted names."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flatten(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def _to_plain(value: Any) -> Any:
    """A value that JSON knows: numbers that are not finite become text."""
    if isinstance(value, dict):
        return {name: _to_plain(own) for name, own in value.items()}
    if isinstance(value, list | tuple):
        return [_to_plain(own) for own in value]
    if isinstance(value, str | int | None) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)


def _known(text: str) -> str:
    return "not resolvable" if "nan" in text else text
