"""The errors a person can cause, each told in one sentence: what was given, what is allowed, what to do.

    ReageError
    ├── ImageError       a file that is no usable picture, or a place it cannot be written to
    ├── FaceNotFound     no face in the picture, or not the face that was asked for
    ├── PlanError        an age, zone, strength or seed outside its range
    ├── EngineError      an unknown engine, or an order it cannot carry out
    └── WeightsError     weights that are missing, damaged or made for something else

A bug in reage itself is an `AssertionError`, never one of these.
"""


class ReageError(Exception):
    """Anything that the caller can put right; its text is one sentence fit for a person."""


class ImageError(ReageError):
    """The file is no usable picture, or cannot be written where it was asked to go."""


class FaceNotFound(ReageError):
    """The picture shows no face, or not the one asked for."""


class PlanError(ReageError):
    """An order outside its range: age, zone, score, strength or seed."""


class EngineError(ReageError):
    """No engine of that name, or it cannot do what the plan asks."""


class WeightsError(ReageError):
    """Weights that are missing, damaged, or made for something else."""
