"""`reage provenance`: what a picture says of its origin, and whether that verifies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reage.cli.console import print_json
from reage.cli.options import AsJson


def provenance(
    picture: Annotated[Path, typer.Argument(metavar="FILE", help="A picture.")],
    trust: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="PEM file of the certificates that may vouch for a signer; none by default."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what is known of a picture's origin: its XMP mark, its Content Credentials, and whether they verify.

    The credentials are "trusted" when a certificate of --trust vouches for the signer, "intact" when they fit the
    picture but nobody vouches, and "broken" when the picture was changed after they were signed.
    """
    from reage.provenance import read_provenance

    found = read_provenance(picture, trust)
    if as_json:
        print_json({"input": str(picture), **found.to_json()})
        return
    for sentence in found.describe():
        typer.echo(sentence)
