"""What a recipe is run with: where it keeps its files, and what it returns."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from reage.files import replace_file

Weights = tuple[dict[str, Any], dict[str, object]]
"""Tensors by name, and the config that is stored beside them."""

Arrays = TypeVar("Arrays")

DEFAULT_BASE = "ldm-small"


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """Where a run keeps what is not its weights.

    Args:
        checkpoint: file that a stopped run is resumed from; a recipe of several stages derives one for each from it.
        log_dir: folder for the losses, see `reage.training.logger`; None keeps none.
        base: latent diffusion base of recipes that fine-tune one, see `reage.nets.diffusion.load_base`.
    """

    checkpoint: Path
    log_dir: Path | None = None
    base: str = DEFAULT_BASE

    def cached(self, suffix: str, kind: type[Arrays], make: Callable[[], Arrays]) -> Arrays:
        """A dataclass of arrays: made once, then read from its file beside the checkpoint.

        Args:
            suffix: of that file, such as ".pairs.npz".
            kind: the dataclass.
            make: makes it where the file is missing.
        """
        path = self.checkpoint.with_suffix(suffix)
        if not path.exists():
            save_arrays(path, make())
        return load_arrays(path, kind)


def save_arrays(path: Path, arrays: Any) -> None:
    """Writes all fields of a dataclass of numpy arrays to one file, whole or not at all."""
    with replace_file(path) as unfinished, unfinished.open("wb") as file:
        np.savez(file, **{field.name: getattr(arrays, field.name) for field in fields(arrays)})


def load_arrays(path: Path, kind: type[Arrays]) -> Arrays:
    """Reads what `save_arrays` wrote of a dataclass of this kind."""
    with np.load(path) as stored:
        return kind(**{name: stored[name] for name in stored.files})


def find_commit() -> str:
    """The commit of the running code, "" outside a checkout."""
    try:
        folder = Path(__file__).parent
        found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return found.stdout.strip()
