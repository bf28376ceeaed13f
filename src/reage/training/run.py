"""What every recipe gets and gives."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Weights = tuple[dict[str, Any], dict[str, object]]
"""Tensors by name, and the config that is stored beside them."""

DEFAULT_BASE = "ldm-small"


@dataclass(frozen=True, kw_only=True)
class Run:
    """Where a run keeps what is not its weights.

    Args:
        checkpoint: file that a stopped run is resumed from; a recipe of several stages names one for each after it.
        journal: folder for the losses of a recipe that learns in steps, see `reage.training.journal`; None keeps none.
        base: of recipes that go on from one, see `reage.nets.diffusion.load_base`.
    """

    checkpoint: Path
    journal: Path | None = None
    base: str = DEFAULT_BASE


def find_commit() -> str:
    """The commit of the code that runs, "" outside a checkout."""
    try:
        folder = Path(__file__).parent
        found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return found.stdout.strip()
