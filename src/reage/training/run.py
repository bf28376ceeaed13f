"""What every recipe gets and gives."""

from __future__ import annotations

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
