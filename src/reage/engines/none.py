"""The engine that changes nothing: the baseline of measurements, and a fast engine for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from reage.engines.base import Condition
from reage.types import OLDEST_TARGET, YOUNGEST_TARGET, Aged, CompletePlan, Face, Reading


class NoOpEngine:
    """Returns every crop as it is, so that the picture stays the same bit for bit."""

    name = "none"
    summary = "changes nothing: the baseline"
    accepts: frozenset[Condition] = frozenset({"age", "zones"})
    zone_driven = False
    ages = (float(YOUNGEST_TARGET), float(OLDEST_TARGET))
    weights_hash = ""

    @classmethod
    def load(cls, weights: str | Path | None = None, device: str = "cpu") -> Self:
        """The engine; it has no weights."""
        return cls()

    def render(self, face: Face, reading: Reading, plan: CompletePlan) -> Aged:
        """A copy of the crop."""
        return Aged(crop=face.crop.copy())
