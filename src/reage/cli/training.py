"""`reage training`: from photos of known age to weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reage.cli.extras import require_pyarrow

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
    from reage.training.prepare import prepare as prepare_portraits

    written, missed = prepare_portraits(folder, output)
    typer.echo(f"{written} portraits: {output}")
    for file in missed:
        typer.echo(f"No face was found in {file}.", err=True)


@training.command(epilog="Example: reage training fit prototype --shards shards/ -o prototype.safetensors")
def fit(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe; it is also the name of the weights.")],
    shards: Annotated[Path, typer.Option(help="Folder of shards made by `reage training prepare`.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Weights file to write.")] = None,
) -> None:
    """Run a recipe and write its weights; a run that was stopped goes on where it was."""
    require_pyarrow()
    from reage.training.recipes import train

    typer.echo(train(recipe, shards, output))
