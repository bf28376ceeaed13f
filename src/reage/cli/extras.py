"""Optional packages: which extra of reage installs them, and the error where they are missing."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from types import MappingProxyType

from reage.errors import ReageError

EXTRAS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "convert": ("onnx", "tensorflow", "tf2onnx"),
        "diffusion": ("diffusers", "einops", "peft", "torch", "transformers"),
        "evaluate": ("einops", "jinja2", "matplotlib", "onnx", "pyarrow", "torch", "torchmetrics"),
        "label": ("ai_edge_litert",),
        "match": ("faiss", "pyarrow"),
        "provenance": ("c2pa",),
        "ray": ("fsspec", "pyarrow", "ray"),
        "train": ("accelerate", "einops", "onnx", "pyarrow", "torch"),
        "video": ("av",),
        "web": ("fastapi", "gradio", "python_multipart", "uvicorn"),
    }
)
"""Extra -> the packages without which its commands cannot run."""


def require_extra(*names: str) -> None:
    """Checks that the packages of extras are installed, without importing them.

    Args:
        names: keys of `EXTRAS` that a command needs.

    Raises:
        ReageError: when a package is missing; the sentence names it and the extras to install.
    """
    missing = {name: [package for package in EXTRAS[name] if find_spec(package) is None] for name in names}
    packages = sorted({package for found in missing.values() for package in found})
    if packages:
        extras = ",".join(name for name in names if missing[name])
        raise ReageError(f"This command also needs {', '.join(packages)}; run `pip install 'reage[{extras}]'`.")
