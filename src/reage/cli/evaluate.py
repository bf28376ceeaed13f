"""`reage evaluate`: evaluates an engine on people it never learned from, or the pictures of any other program."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from reage.cli.extras import require_extra
from reage.cli.options import AsJson
from reage.cli.request import parse_targets
from reage.engines import DEFAULT_ENGINE
from reage.errors import ReageError

if TYPE_CHECKING:
    from reage.evaluation.report.tables import Table
    from reage.evaluation.run import EvaluationConfig, EvaluationRun
    from reage.evaluation.video import VideoReport

PAIRS = 60
"""Pairs of portraits on which reenactment is evaluated, unless --count is given."""
SKETCHED = 220
"""People whose sketches are evaluated, unless --count is given."""


def evaluate(
    engine: Annotated[str, typer.Option(help="Name of the engine; with --pairs any name for the report.")] = "",
    faces: Annotated[
        Path | None,
        typer.Option(help="Folder of shards made by `reage training prepare`, or of photos.", show_default=False),
    ] = None,
    pairs: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            help="Folder of photos, and of the pictures a program made of them, under the same names.",
            metavar="BEFORE AFTER",
            show_default=False,
        ),
    ] = None,
    targets: Annotated[
        str | None, typer.Option(help="Ages asked for: 20,30,40 or 20:80:10; 20 to 80 by default.", show_default=False)
    ] = None,
    target: Annotated[float | None, typer.Option(help="The age asked for in --pairs.", show_default=False)] = None,
    count: Annotated[int, typer.Option(min=0, help="Use so many of them, evenly spaced over all; 0 for all.")] = 0,
    zone_faces: Annotated[int, typer.Option(min=0, help="On so many faces single zones are asked for scores.")] = 24,
    weights: Annotated[
        Path | None, typer.Option(help="Weights file of the engine; the shipped one by default.")
    ] = None,
    matcher: Annotated[Path | None, typer.Option(help="A second face recognizer: aifd, or an ONNX file.")] = None,
    matcher_kind: Annotated[
        Literal["arcface", "adaface"], typer.Option(help="How the second face recognizer wants its faces.")
    ] = "arcface",
    inception: Annotated[
        Path | None, typer.Option(help="TorchScript file of Inception-v3, for the KID and FID of papers.")
    ] = None,
    protocol: Annotated[
        Literal["aging", "identity-preserving", "sketch"],
        typer.Option(
            help="identity-preserving: --pairs are PERSON/ of photos and PERSON/LABEL/ of generated pictures. sketch: "
            "--faces are shards, which are drawn by rules; --pairs are photos and artists' sketches of the same names."
        ),
    ] = "aging",
    sketch_set: Annotated[
        Literal["cuhk", "ar", "xm2vts", "cufsf", "fs2k"] | None,
        typer.Option(help="With --protocol sketch: --faces is this set of artists' sketches, as it is published."),
    ] = None,
    reenactment: Annotated[
        bool,
        typer.Option(
            "--reenactment",
            help="Evaluate `reage reenact` instead, on shards of people with several expressions; --count pairs, 60 by "
            "default.",
        ),
    ] = False,
    video: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            help="A video, and what a program made of it: flicker, identity and age over time are measured.",
            metavar="BEFORE AFTER",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 for one on each core.", show_default=False)] = 0,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the report.")] = Path("report"),
    as_json: AsJson = False,
) -> None:
    """Evaluate an engine: age, identity, background, zones, realism, beside real people.

    Of shards only the people held out from training are used. The same command resumes a run that was stopped. The
    folder gets report.html, report.json, report.md and rows.parquet; with identity-preserving, --reenactment or
    --video only .json and .md.
    """
    if video is not None:
        _evaluate_video(*video, output, as_json)
        return
    require_extra("evaluate")
    if reenactment:
        if faces is None:
            raise ReageError("Give the faces to evaluate on: --faces FOLDER of shards.")
        _evaluate_reenactment(faces, count or PAIRS, output, as_json)
        return
    if protocol == "sketch":
        if (faces is None) == (pairs is None):
            raise ReageError("Give what to evaluate on: --faces FOLDER of shards or of a sketch set, or --pairs.")
        _evaluate_sketches(
            faces, pairs, sketch_set, count or SKETCHED, matcher, matcher_kind, inception, output, as_json
        )
        return
    if protocol == "identity-preserving":
        if pairs is None:
            raise ReageError(
                "Give the pictures as --pairs PHOTOS GENERATED, with PHOTOS/mia/1.jpg and GENERATED/mia/old/1.png."
            )
        _evaluate_generated(*pairs, output, as_json)
        return
    from reage.evaluation.run import TARGETS, EvaluationConfig

    if (faces is None) == (pairs is None):
        raise ReageError("Give the faces to evaluate on: either --faces FOLDER, or --pairs BEFORE AFTER --target AGE.")
    if pairs and (target is None or targets):
        raise ReageError("Pairs have one target age: give it as --target AGE.")
    if faces and target is not None:
        raise ReageError("--target belongs to --pairs; for an engine give --targets.")
    ages = (target,) if target is not None else parse_targets(targets) if targets else TARGETS
    config = EvaluationConfig(
        engine=engine or (pairs[1].name if pairs else DEFAULT_ENGINE),
        faces=pairs[0] if pairs else faces,  # type: ignore[arg-type]
        after=pairs[1] if pairs else None,
        weights=weights,
        targets=ages,
        num_subjects=count,
        zone_subjects=zone_faces,
        second_recognizer=matcher,
        second_recognizer_kind=matcher_kind,
        inception=inception,
    )
    _report(config, _run(config, output, workers or os.cpu_count() or 1), output, as_json)


def _evaluate_video(before: Path, after: Path, output: Path, as_json: bool) -> None:
    import json

    from reage.cli.console import print_json, print_table
    from reage.cli.video import show_progress
    from reage.files import replace_file

    require_extra("video")
    from reage.evaluation.video import describe_report, judge_video

    with show_progress() as progress:
        report = judge_video(before, after, progress)
    values, rows = report.to_json(), describe_report(report)
    output.mkdir(parents=True, exist_ok=True)
    lines = ["| measured | face | head |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]
    lines += _draw_video(report, output)
    for name, text in (("report.json", json.dumps(values, indent=1)), ("report.md", "\n".join(lines) + "\n")):
        with replace_file(output / name) as unfinished:
            unfinished.write_text(text, encoding="utf-8")
    if as_json:
        print_json(values)
        return
    print_table(("measured", "face", "head"), rows)
    typer.echo(output / "report.md")


def _draw_video(report: VideoReport, output: Path) -> list[str]:
    """Writes the charts of a video, and returns the lines that show them; none where matplotlib is missing."""
    if find_spec("matplotlib") is None:
        typer.echo("Note: Charts need matplotlib, which the extra 'evaluate' installs.", err=True)
        return []
    from reage.evaluation.report.video import draw_video_plots
    from reage.files import replace_file

    lines = []
    for name, plot in draw_video_plots(report).items():
        with replace_file(output / f"{name}.svg") as unfinished:
            unfinished.write_text(plot.svg, encoding="utf-8")
        lines += ["", f"![{plot.title}]({name}.svg)", "", plot.note]
    return lines


def _evaluate_generated(photos: Path, generated: Path, output: Path, as_json: bool) -> None:
    from rich.progress import track

    from reage.cli.console import stderr_console
    from reage.evaluation.identity_protocol import judge_generated, read_generated
    from reage.evaluation.judges import Judges

    judges = Judges.load()
    pictures = read_generated(photos, generated, judges, lambda rows: track(rows, "pictures", console=stderr_console()))
    _write_table(judge_generated(pictures, judges.names["age"]), output, as_json)


def _evaluate_reenactment(faces: Path, count: int, output: Path, as_json: bool) -> None:
    from reage.cli.console import track
    from reage.data.shards import read_shards
    from reage.evaluation.reenactment import judge_reenactment, load_systems

    portraits = read_shards(faces, split="val")
    _write_table(
        judge_reenactment(portraits, load_systems(), count, lambda rows: track(rows, "pairs")), output, as_json
    )


def _evaluate_sketches(
    faces: Path | None,
    pairs: tuple[Path, Path] | None,
    sketch_set: str | None,
    count: int,
    matcher: Path | None,
    matcher_kind: str,
    inception: Path | None,
    output: Path,
    as_json: bool,
) -> None:
    from reage.cli.console import track
    from reage.data.shards import read_shards
    from reage.data.sketch_sets import read_pairs, read_sketch_set
    from reage.evaluation.metrics.distribution import Inception
    from reage.evaluation.sketch import draw_subjects, judge_drawings, read_subjects, score_matches, tabulate_matches
    from reage.faces.segmentation import FaceParser
    from reage.matching import MATCHERS, Matcher
    from reage.sketch import Sketcher

    sketcher = Sketcher()
    if faces is not None and sketch_set is None:
        portraits = read_shards(faces, split="val")
        subjects = draw_subjects(portraits, FaceParser.load(), count, track=lambda rows: track(rows, "drawn"))
    else:
        found = read_pairs(*pairs) if pairs else read_sketch_set(str(faces), str(sketch_set))
        test = [pair for pair in found if pair.split == "test"][:count]
        subjects = read_subjects(test, sketcher.finder, lambda rows: track(rows, "pairs"))
    names = [*MATCHERS, *([str(matcher)] if matcher and str(matcher) not in MATCHERS else [])]
    matchers = [Matcher(name, matcher_kind, sketcher) for name in names]
    drawings = judge_drawings(subjects, sketcher, Inception.load(inception) if inception else None)
    scores = score_matches(subjects, matchers, track=lambda rows: track(rows, "matching"))
    _write_tables([drawings, tabulate_matches(scores, len(subjects))], output, as_json)


def _write_table(table: Table, output: Path, as_json: bool) -> None:
    """Writes a table to report.json and report.md of a folder, and prints it."""
    _write_tables([table], output, as_json)


def _write_tables(tables: Sequence[Table], output: Path, as_json: bool) -> None:
    """Writes one table, or several by their names, to report.json and report.md of a folder, and prints them."""
    import json

    from reage.cli.console import print_json, print_table
    from reage.files import replace_file

    report = tables[0].to_json() if len(tables) == 1 else {table.name: table.to_json() for table in tables}
    output.mkdir(parents=True, exist_ok=True)
    for name, text in (
        ("report.json", json.dumps(report, indent=1, allow_nan=False)),
        ("report.md", "\n".join(table.to_markdown() for table in tables)),
    ):
        with replace_file(output / name) as unfinished:
            unfinished.write_text(text, encoding="utf-8")
    if as_json:
        print_json(report)
        return
    for table in tables:
        head, *rows = table.to_lines()
        print_table(head, rows)
    typer.echo(output / "report.md")


def _run(config: EvaluationConfig, output: Path, workers: int) -> EvaluationRun:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from reage.cli.console import stderr_console
    from reage.evaluation import run

    columns = (TextColumn("Evaluating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=stderr_console()) as bar:
        task = bar.add_task("", total=None)

        class Bar(run.Progress):
            def begin(self, done: int, total: int) -> None:
                bar.update(task, completed=done, total=total)

            def step(self) -> None:
                bar.advance(task)

        try:
            return run.run_evaluation(config, output, workers=workers, progress=Bar())
        except KeyboardInterrupt:
            bar.stop()
            typer.echo("Stopped; the same command resumes the run.", err=True)
            raise typer.Exit(130) from None


def _report(config: EvaluationConfig, run: EvaluationRun, output: Path, as_json: bool) -> None:
    from reage.cli.console import print_json, print_table
    from reage.evaluation.reference import load_reference
    from reage.evaluation.report.write import make_tables, to_json, write_report
    from reage.evaluation.run import measure_second_recognizer

    reference = load_reference()
    tables = make_tables(run.rows, reference, measure_second_recognizer(config))
    write_report(output, run, tables, reference)
    if as_json:
        print_json(to_json(run, tables, reference))
        return
    head, *rows = tables[0].to_lines()
    print_table(head[:3], [row[:3] for row in rows])  # the report has all groups and tables
    for name in run.missed:
        typer.echo(f"No face was found in {name}.", err=True)
    typer.echo(output / "report.html")
