"""reage changes the apparent age of the faces in a photo, and leaves everything else alone.

import reage

reage.reage("me.jpg", age=70).save("me-70.png")
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_MODULES = {
    "AgeEstimator": "measure.age",
    "AgedFace": "pipeline",
    "CompletePlan": "types",
    "Engine": "engines.base",
    "EngineError": "errors",
    "Face": "types",
    "FaceFinder": "faces.finder",
    "FaceNotFound": "errors",
    "Image": "images",
    "Matcher": "matching",
    "ImageError": "errors",
    "Plan": "types",
    "PlanError": "errors",
    "ReageError": "errors",
    "Reager": "pipeline",
    "Reading": "types",
    "Result": "pipeline",
    "Sketcher": "sketch",
    "DriveOrder": "video.driving",
    "LiveReager": "video.live",
    "ReelOrder": "video.reel",
    "VideoError": "errors",
    "VideoOrder": "video.order",
    "VideoOutcome": "video.order",
    "VideoReager": "video.aging",
    "WeightsError": "errors",
    "Reenacted": "reenactment",
    "Reenactor": "reenactment",
    "Target": "reenactment",
    "judge_video": "evaluation.video",
    "load_image": "images",
    "make_reel": "video.reel",
    "reage": "pipeline",
    "reenact": "reenactment",
    "reenact_like_clip": "video.driving",
}
__all__ = ["__version__", *_MODULES]


def __getattr__(name: str) -> Any:
    """Public names are imported when they are first used, so that `import reage` is instant and loads no torch."""
    if name not in _MODULES:
        raise AttributeError(f"module 'reage' has no attribute '{name}'")
    return getattr(import_module(f"reage.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
