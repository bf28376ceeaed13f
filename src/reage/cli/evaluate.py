"""`reage evaluate`: judge an engine on portraits it never learned from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reage.cli.extras import require_pyarrow
from reage.engines import DEFAULT_ENGINE


def evaluate(
    shards: Annotated[Path, typer.Argument(help="Folder of shards made by `reage training prepare`.")],
    engine: Annotated[str, typer.Option(help="Name of the engine.")] = DEFAULT_ENGINE,
    weights: Annotated[Path | None, typer.Option(help="Weights file; the shipped one by default.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the report.")] = Path("report"),
    youngest: Annotated[float, typer.Option(help="Youngest source, years.")] = 35.0,
    oldest: Annotated[float, typer.Option(help="Oldest source, years.")] = 60.0,
) -> None:
    """Age colour portraits of people held out from training, and report age, identity and background."""
    require_pyarrow()
    from rich.progress import Progress

    from reage.cli.console import stderr_console
    from reage.engines import load_engine
    from reage.errors import ReageError
    from reage.evaluation.report import describe, draw_faces_sheet, worst_of, write_report
    from reage.evaluation.run import Judges, judge_portrait, summarise
    from reage.matte import Parser
    from reage.measure import Identifier, Meter
    from reage.portraits import read_shards

    portraits = read_shards(shards)
    wanted = (portraits.split == "val") & ~portraits.grey
    portraits = portraits.pick(wanted & (portraits.age_years >= youngest) & (portraits.age_years <= oldest))
    if not len(portraits):
        raise ReageError(f"No held-out colour portrait in {shards} is between {youngest:g} and {oldest:g} years old.")
    judged = load_engine(engine, weights=weights)
    judges = Judges(
        reader=Meter.load("age-a"), estimator=Meter.load("age-b"), identifier=Identifier.load(), parser=Parser.load()
    )
    verdicts, pictures = [], []
    with Progress(console=stderr_console()) as progress:
        for row in progress.track(range(len(portraits)), description="Judging"):
            verdict, aged = judge_portrait(judged, portraits, row, judges)
            verdicts.append(verdict)
            pictures.append(aged)
    summary = summarise(verdicts)
    picked = {"sheet": list(range(0, len(verdicts), max(1, len(verdicts) // 12)))[:12], "worst": worst_of(verdicts)}
    sheets = {
        name: draw_faces_sheet(
            [verdicts[i] for i in rows], [pictures[i] for i in rows], [portraits.crops[i] for i in rows]
        )
        for name, rows in picked.items()
    }
    write_report(output, engine, judged.weights_hash, verdicts, summary, sheets)
    typer.echo(describe(verdicts, summary))
    typer.echo(output)
