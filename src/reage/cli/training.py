"""`reage training`: from photos of known age to weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reage.cli.console import print_json, print_table, stderr_console
from reage.cli.extras import require_pyarrow
from reage.cli.look import AsJson

training = typer.Typer(name="training", no_args_is_help=True, help="Train engines on photos of known age.")


@training.command(epilog="Example: reage training prepare photos/ -o shards/")
def prepare(
    folder: Annotated[Path, typer.Argument(help="Folder of photos with a table portraits.csv.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the shards.")],
) -> None:
    """Find the face in every photo and store the aligned crops as Parquet shards.

    The table has the columns file, person, age_years, gender (M or F) and year.
    """
    require_pyarrow()
    from reage.data.prepare import prepare as prepare_portraits

    written, missed = prepare_portraits(folder, output)
    typer.echo(f"{written} portraits: {output}")
    for file in missed:
        typer.echo(f"No face was found in {file}.", err=True)


@training.command(epilog="Example: reage training fit prototype --shards shards/ -o prototype.safetensors")
def fit(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe; it is also the name of the weights.")],
    shards: Annotated[Path, typer.Option(help="Folder of shards made by `reage training prepare`.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Weights file to write.")] = None,
    journal: Annotated[
        Path | None, typer.Option(help="Folder for the losses of this run, to watch it by.", show_default=False)
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|DIR",
            help="Of ldla: latent diffusion to go on from; ldm-small, a folder or file of Stable Diffusion 1.x or"
            " 2.x, or its name on the hub.",
        ),
    ] = None,
) -> None:
    """Run a recipe and write its weights; a run that was stopped goes on where it was.

    With --journal, `reage training curve` draws the losses, and `tensorboard --logdir` shows them as they come.
    """
    require_pyarrow()
    from reage.training.recipes import train
    from reage.training.runner import DEFAULT_BASE

    typer.echo(train(recipe, shards, output, journal, base or DEFAULT_BASE))


@training.command(epilog="Example: reage training curve runs/age-a -o curve.svg")
def curve(
    folder: Annotated[Path, typer.Argument(help="Folder that `reage training fit --journal` wrote to.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="SVG or PNG file to write.")] = Path("curve.svg"),
) -> None:
    """Draw the losses of a run, finished or not, over its steps."""
    require_pyarrow()
    from reage.training.logger import draw_curve

    draw_curve(folder, output)
    typer.echo(output)


@training.command(epilog="Example: reage training draw ldm-small -o faces.png")
def draw(
    base: Annotated[str, typer.Argument(metavar="NAME|DIR", help="A latent diffusion base.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Picture to write.")] = Path("faces.png"),
    count: Annotated[int, typer.Option("-n", min=1, max=16, help="Faces of each age group.")] = 6,
    seed: Annotated[int, typer.Option(help="Decides on the noise.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, or a torch device such as cuda.")] = "cpu",
) -> None:
    """Let a base draw faces of the six age groups by itself, a row for each."""
    from reage.images import Image, save_image
    from reage.nets.diffusion import load_base
    from reage.prompts import AGE_LABELS, label_prompt
    from reage.training.draw import draw_faces

    pixels = draw_faces(load_base(base, device), [label_prompt(label) for label in AGE_LABELS], count, seed)
    save_image(Image(pixels=pixels), output)
    typer.echo(output)


@training.command(epilog="Example: reage training regularization --shards shards/ -o others/ --without B001298")
def regularization(
    shards: Annotated[Path, typer.Option(help="Folder of shards made by `reage training prepare`.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="New folder for the pictures and captions.csv.")],
    count: Annotated[int, typer.Option("-n", min=1, help="Pictures, spread evenly over the age groups.")] = 612,
    without: Annotated[str, typer.Option(metavar="PERSON,...", help="People to leave out: the subject.")] = "",
    side: Annotated[int, typer.Option(min=64, max=1024, help="Side of the pictures, px.")] = 512,
    seed: Annotated[int, typer.Option(help="Decides who is chosen.")] = 0,
) -> None:
    """Write a set of other people, each captioned with the age group it shows, to fine-tune a person beside."""
    require_pyarrow()
    from rich.progress import track

    from reage.data.shards import read_shards
    from reage.training.dreambooth.class_images import choose_rows, write_class_images

    portraits = read_shards(shards, "train")
    chosen = choose_rows(portraits, count, set(without.split(",")), seed)
    write_class_images(portraits, chosen, output, side, lambda rows: track(rows, "pictures", console=stderr_console()))
    typer.echo(f"{', '.join(f'{len(rows)} {label}' for label, rows in chosen.items())}: {output}")


@training.command(epilog="Example: reage training calibrate --shards shards/ -o reference.json")
def calibrate(
    shards: Annotated[Path, typer.Option(help="Folder of shards made by `reage training prepare`.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="JSON file to write.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure real people before the judges: borders of identity, the estimator's bias, what both scorers differ by.

    These are the lines that every evaluation is read beside.
    """
    require_pyarrow()
    from reage.data.shards import read_shards
    from reage.evaluation.calibration import describe_reference, measure_reference
    from reage.evaluation.judges import Judges
    from reage.faces.segmentation import FaceParser

    found = measure_reference(read_shards(shards), Judges.load(), FaceParser.load())
    if output:
        found.save(output)
    if as_json:
        print_json(found.to_json())
        return
    for table in describe_reference(found):
        typer.echo(table.to_markdown())


@training.command(name="real-aging", epilog="Example: reage training real-aging --shards shards/ --engine prototype")
def real_aging(
    shards: Annotated[Path, typer.Option(help="Folder of shards made by `reage training prepare`.")],
    engine: Annotated[str, typer.Option(help="Also age the earlier photo by this engine.")] = "",
) -> None:
    """Measure what years did to the held-out people of whom there are two photos."""
    require_pyarrow()
    from rich.progress import Progress

    from reage.data.shards import read_shards
    from reage.engines import load_engine
    from reage.evaluation.judges import Judges
    from reage.evaluation.real_aging import describe_years, measure_years
    from reage.evaluation.reference import load_reference
    from reage.faces.segmentation import FaceParser

    loaded = load_engine(engine) if engine else None
    with Progress(console=stderr_console()) as progress:
        years = measure_years(read_shards(shards, "val"), Judges.load(), FaceParser.load(), loaded, progress.track)
    for table in describe_years(years, load_reference(), engine):
        typer.echo(table.to_markdown())


@training.command(name="judge-parts", epilog="Example: reage training judge-parts --shards shards/")
def judge_parts(
    shards: Annotated[Path, typer.Option(help="Folder of shards made by `reage training prepare`.")],
) -> None:
    """Say how well the parser of skin and hair agrees with the automatic labels of people held out from training."""
    require_pyarrow()
    from reage.data.shards import read_shards
    from reage.nets.segmentation import load_segmentation_net
    from reage.training.measures.face_parser import label_portraits, overlap_of_parts

    portraits = read_shards(shards)
    known = label_portraits(portraits.pick(portraits.split == "val"))
    overlap = overlap_of_parts(load_segmentation_net(), known)
    print_table(("part", f"overlap on {len(known.crops)} portraits"), [(k, f"{v:.3f}") for k, v in overlap.items()])


@training.command(name="judge-zones", epilog="Example: reage training judge-zones --shards shards/")
def judge_zones(
    shards: Annotated[Path, typer.Option(help="Folder of shards made by `reage training prepare`.")],
) -> None:
    """Say how the scores of zones rise with age, repeat and agree, on people held out from training.

    The typical scores at each age, of those `zones-a` learned from, follow as they stand in `reage.plan`.
    """
    require_pyarrow()
    from rich.progress import Progress

    from reage.data.shards import read_shards
    from reage.faces.segmentation import FaceParser
    from reage.faces.zone_scorer import ZoneScorer
    from reage.training.measures.zone_report import RETAKES, typical_rows
    from reage.training.measures.zone_report import judge_zones as judge

    names = ("zones-a", "zones-b")
    scorers = (ZoneScorer.load(names[0]), ZoneScorer.load(names[1]))
    with Progress(console=stderr_console()) as progress:
        verdicts = judge(read_shards(shards), scorers, FaceParser.load().parse, progress.track)
    for name, rows in zip(names, verdicts, strict=True):
        typer.echo(name)
        print_table(
            ("zone", "N", "rho with age, 95 %", *(f"moved by {retake}" for retake in RETAKES), "rho with the other"),
            [
                (
                    row.zone,
                    row.num,
                    _known(f"{row.with_age:.2f}, {row.low:.2f} to {row.high:.2f}"),
                    *(_known(f"{moved:.3f}") for moved in row.moved.values()),
                    _known(f"{row.agreement:.2f}"),
                )
                for row in rows
            ],
        )
    for zone, typical in typical_rows(scorers[0]):
        typer.echo(f'"{zone}": ({", ".join(f"{score:.2f}" for score in typical)}),')


@training.command(name="judge-ages", epilog="Example: reage training judge-ages --shards shards/")
def judge_ages(
    shards: Annotated[Path, typer.Option(help="Folder of shards made by `reage training prepare`.")],
    as_json: AsJson = False,
) -> None:
    """Say how well the estimators of age read people held out from training: error, bias, fairness, agreement."""
    require_pyarrow()
    from rich.progress import Progress

    from reage.data.shards import read_shards
    from reage.faces.segmentation import FaceParser
    from reage.measure.age import AgeEstimator
    from reage.training.measures.age_report import judge_ages as judge

    age_estimators = {name: AgeEstimator.load(name) for name in ("age-a", "age-b")}
    with Progress(console=stderr_console()) as progress:
        figures = judge(read_shards(shards), age_estimators, FaceParser.load().parse, progress.track)
    if as_json:
        print_json({name: [one.to_json() for one in rows] for name, rows in figures.items()})
        return
    for name, rows in figures.items():
        typer.echo(name)
        table = [(one.name, one.num, _known(f"{one.value:.2f}, {one.low:.2f} to {one.high:.2f}")) for one in rows]
        print_table(("years, shares, correlations", "N", "95 %"), table)


def _known(text: str) -> str:
    return "not resolvable" if "nan" in text else text
