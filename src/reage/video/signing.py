"""Where a video comes from: Content Credentials that are written, and those and the comment that are read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from reage.errors import VideoError
from reage.files import replace_file
from reage.images.xmp import DIGITAL_SOURCE_TYPE
from reage.provenance import SIGNED_VIDEO_SUFFIXES, Credentials, Provenance, check_signed, read_manifest, sign_stream
from reage.video.order import VideoOrder, VideoOutcome
from reage.video.source import open_container

_TOOL = re.compile(r"reage [\w.]+")


def check_signed_video(path: Path) -> None:
    """Checks that a video of this name can hold Content Credentials.

    Raises:
        ImageError: when it cannot.
    """
    check_signed(path, SIGNED_VIDEO_SUFFIXES)


def sign_video(outcome: VideoOutcome, order: VideoOrder, credentials: Credentials) -> None:
    """Signs the file of a result, with its source as an ingredient that keeps its own manifest.

    Args:
        outcome: of the video.
        order: that was given.
        credentials: with which it is signed.

    Raises:
        ImageError: when it cannot be signed; then the file stays as it was.
    """
    path, source = outcome.output, outcome.source
    check_signed_video(path)
    kind = SIGNED_VIDEO_SUFFIXES.get(source.suffix.lower())
    with replace_file(path, VideoError) as unfinished, path.open("rb") as made, source.open("rb") as original:
        origin = None if kind is None else (kind, original)
        with unfinished.open("w+b") as signed:
            media_type = SIGNED_VIDEO_SUFFIXES[path.suffix.lower()]
            sign_stream(made, media_type, credentials, _describe_edit(outcome, order), origin, signed)


def _describe_edit(outcome: VideoOutcome, order: VideoOrder) -> dict[str, Any]:
    """What a manifest says of an aged video, as `reage.provenance.describe_edit` of a picture."""
    plans = [order.plan_for(person) for person in outcome.people]
    faces = [{"plan": plan.to_json()} for plan in plans if plan is not None]
    return {"engine": outcome.engine, "weights_hash": outcome.weights_hash, "faces": faces}


def read_video_provenance(path: Path, trust: Path | None = None) -> Provenance:
    """What a video file says of its origin.

    Args:
        path: of the video.
        trust: PEM file of the certificates that may vouch for signers; None for none.

    Raises:
        VideoError: when the file is no video.
        ReageError: when `trust` cannot be read.
    """
    with open_container(path) as container:
        comment = next((text for key, text in container.metadata.items() if key.lower() == "comment"), "")
    tool = _TOOL.search(comment)
    mark: dict[str, Any] = {
        "mark": "comment",
        "source_type": DIGITAL_SOURCE_TYPE if DIGITAL_SOURCE_TYPE in comment else "",
        "creator_tool": tool[0] if tool else "",
    }
    with path.open("rb") as file:
        return Provenance(**mark, **read_manifest(file, SIGNED_VIDEO_SUFFIXES.get(path.suffix.lower()), trust))
