"""`reage provenance`: what a picture or a video says of its origin, and whether that verifies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reage.cli.console import print_json
from reage.cli.extras import require_extra
from reage.cli.options import AsJson
from reage.files import is_video


def provenance(
    picture: Annotated[Path, typer.Argument(metavar="FILE", help="A picture or a video.")],
    trust: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="PEM file of the certificates that may vouch for a signer; none by default."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what is known of the origin of a picture or a video: its mark, its Content Credentials, whether they verify.

    The credentials are "trusted" when a certificate of --trust vouches for the signer, "intact" when they fit the
    file but nobody vouches, and "broken" when the file was changed after they were signed.
    """
    if is_video(picture):
        require_extra("video")
        from reage.video.signing import read_video_provenance

        found = read_video_provenance(picture, trust)
    else:
        from reage.provenance import read_provenance

        found = read_provenance(picture, trust)
    if as_json:
        print_json({"input": str(picture), **found.to_json()})
        return
    for sentence in found.describe():
        typer.echo(sentence)
