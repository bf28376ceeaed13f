"""The command line: it parses options, calls the library and prints.

Everything heavy is imported inside the commands, so that `reage --help` is instant. An error that the user can correct
is one sentence on stderr with exit code 2. Results go to stdout, everything else to stderr.
"""

from __future__ import annotations

import os
import shutil
import warnings
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import reage
from reage.cli.age import age
from reage.cli.batch import batch
from reage.cli.compare import compare
from reage.cli.console import adapt_streams, is_narrow
from reage.cli.devices import devices
from reage.cli.engines import engines
from reage.cli.evaluate import evaluate
from reage.cli.find import find
from reage.cli.forensic import forensic
from reage.cli.imagine import imagine
from reage.cli.live import live
from reage.cli.match import match
from reage.cli.measure import measure
from reage.cli.personalize import personalize
from reage.cli.provenance import provenance
from reage.cli.reel import reel
from reage.cli.reenact import reenact
from reage.cli.serve import serve
from reage.cli.sketch import sketch
from reage.cli.training import training
from reage.cli.video import video
from reage.cli.zones import zones
from reage.errors import ReageError, describe_unexpected


class _Group(TyperGroup):
    """A group of commands in which a `ReageError` becomes a line on stderr and exit code 2, a fault one and code 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except ReageError as error:
            typer.echo(f"Error: {error}", err=True)
            raise typer.Exit(2) from error
        except Exception as error:
            is_handled = type(error).__module__.partition(".")[0] in ("click", "typer") or isinstance(
                error, BrokenPipeError
            )
            if is_handled or TRACEBACK_VARIABLE in os.environ:
                raise
            typer.echo(f"Error: {describe_unexpected(error)}", err=True)
            raise typer.Exit(1) from error


TRACEBACK_VARIABLE = "REAGE_TRACEBACK"
"""The environment variable that, when set, shows where an unexpected error arose."""


app = typer.Typer(
    name="reage",
    cls=_Group,
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: reage age me.jpg --to 70",
)
app.command(
    epilog="Example: reage age me.jpg --to 70 --zones crows_feet=0.9 -o older.jpg. "
    "For a compositor: reage age plate.png --to 70 --face 1,3 --protect hat.png -o aged.png --layers layers/"
)(age)
app.command(
    epilog="Examples: reage reenact me.jpg --like laughing.jpg -o me-laughing.jpg. By numbers: reage reenact me.jpg "
    "--expression smile=0.8 --yaw 15. The smile alone: reage reenact me.jpg --like laughing.jpg --take expression. "
    "A clip to follow: reage reenact me.jpg --like clip.mp4 --to 70 -o me-70.mp4"
)(reenact)
app.command(
    epilog="Examples: reage reel me.jpg --from 20 --to 80 -o me.mp4. With the age above it: reage reel me.jpg "
    "--from 20 --to 80 --label -o me.webp"
)(reel)
app.command(
    epilog="Examples: reage video me.mp4 --to 70. Two people: reage video us.mp4 --person 1=70 --person 2=30 -o a.mov. "
    "Five seconds of it: reage video me.mp4 --age-over-time 30:80 --preview 5"
)(video)
app.command(
    epilog="Examples: reage batch photos/ -o aged/ --to 70. On a Ray cluster: reage batch s3://bucket/photos "
    "-o s3://bucket/aged --to 70 --address 10.0.0.1:6379"
)(batch)
app.command(
    epilog="Examples: reage live --to 70, then open http://127.0.0.1:7861/. A file as the camera: "
    "reage live me.mp4 --to 30"
)(live)
app.command(epilog="Example: reage find party.jpg -o boxes.png, or the people of a video: reage find party.mp4")(find)
app.command(
    epilog="Examples: reage sketch me.jpg -o sketch.png. Back again: reage sketch --reverse sketch.png -o photo.png"
)(sketch)
app.command(
    epilog="Examples: reage match sketch.png mugshots/ --top 10 -o sheet.png. For a large gallery: "
    "reage match me.jpg mugshots/ --index mugshots.parquet"
)(match)
app.command(
    epilog="Examples: reage forensic me.jpg --to 25 --style pencil -o case/. For the missing: "
    "reage forensic child.jpg --ages 20,25,30 --reference father.jpg -o case/"
)(forensic)
app.command(epilog="Example: reage engines --json")(engines)
app.command(epilog="Example: reage devices --json")(devices)
app.command(epilog="Example: reage zones me.jpg -o map.png")(zones)
app.command(epilog="Example: reage measure me.jpg --to 70")(measure)
app.command(epilog="Example: reage compare me.jpg me-70.jpg")(compare)
app.command(epilog="Example: reage evaluate --engine amgan --faces shards/ -o report/")(evaluate)
app.command(epilog="Example: reage personalize photos/ --out mia.safetensors --class-images others/")(personalize)
app.command(epilog="Example: reage imagine mia.safetensors --as elderly -n 8")(imagine)
app.command(epilog="Example: reage serve --host 127.0.0.1 --port 7860 --token token.txt")(serve)
app.command(epilog="Example: reage provenance me-70.jpg --trust anchors.pem --json")(provenance)
app.add_typer(training)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"reage {reage.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and stop.")
    ] = False,
) -> None:
    """Change the apparent age of the faces in a photo, and leave everything else alone."""


def main() -> None:
    """The `reage` command, as `reage.__main__` starts it."""
    adapt_streams()
    warnings.filterwarnings("ignore", module="PIL")  # on odd tags; reage has notes of its own
    options: dict[str, Any] = {}
    if is_narrow():
        app.rich_markup_mode = training.rich_markup_mode = None
        options["terminal_width"] = shutil.get_terminal_size().columns
    app(**options)
