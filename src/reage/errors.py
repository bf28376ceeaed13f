"""The errors that a user can correct; each text is one sentence: what was given, what is allowed, what to do.

    ReageError
    ├── ImageError       a file that is no usable picture, or a place it cannot be written to
    ├── FaceNotFound     no face in the picture, or not the face that was asked for
    ├── VideoError       a file that is no usable video, or a video that cannot be written so
    ├── PlanError        an age, zone, strength or seed outside its range
    ├── EngineError      an unknown engine, or a plan or setting that it does not support
    └── WeightsError     weights that are missing, damaged or made for something else

A bug in reage itself is an `AssertionError`, never one of these.
"""

from importlib.metadata import PackageNotFoundError, metadata


class ReageError(Exception):
    """The base of all errors that the caller can correct; the text is one sentence for the user."""


class ImageError(ReageError):
    """The file is no usable picture, or a picture cannot be written to that place."""


class FaceNotFound(ReageError):
    """The picture shows no face, or not the one asked for."""


class VideoError(ReageError):
    """The file is no usable video, or a video cannot be written in that form or place."""


class PlanError(ReageError):
    """An age, zone, score, strength or seed outside its range."""


class EngineError(ReageError):
    """There is no engine of that name, or it does not support the plan or a setting."""


class WeightsError(ReageError):
    """Weights that are missing, damaged, or made for something else."""


def describe_unexpected(error: BaseException) -> str:
    """One sentence about an exception that no part of reage foresaw, with its type and where to report it."""
    reason = " ".join(str(error).split()).rstrip(".")
    named = type(error).__name__ + (f" ({reason[:300]})" if reason else "")
    if isinstance(error, MemoryError):
        return f"There is not enough memory for it: {named}; give a smaller copy, or fewer --jobs."
    return (
        f"It ended in an unexpected {named}, a fault of reage; please report it with the file, {_find_report_place()}."
    )


def _find_report_place() -> str:
    """Where faults are reported, as the installed package says; the words that its pages use where it does not."""
    try:
        addresses = metadata("reage").get_all("Project-URL") or []
    except PackageNotFoundError:
        addresses = []
    issues = [address.partition(",")[2].strip() for address in addresses if address.lower().startswith("issues")]
    return f"at {issues[0]}" if issues else "as an issue of the repository that reage came from"
