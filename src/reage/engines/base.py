"""What an engine is: it loads its weights once, then turns a face and a complete plan into an aged crop."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol, Self

from reage.types import Aged, CompletePlan, Face, Reading

Condition = Literal["age", "zones", "person"]


class Engine(Protocol):
    """The contract that `tests/test_engines.py` holds every engine to.

    Attributes:
        name: the name it is asked for by.
        summary: one line for people.
        accepts: what it can be conditioned on; for "zones" it lacks, its change is masked with the zone masks.
        dense_landmarks: whether its faces need the 68 landmarks.
        zone_driven: whether it wants its plan completed with a score for every zone.
        ages: youngest and oldest target it was made for, years; targets beyond are brought to the nearer one.
        weights_hash: 12 hex digits that change when the weights do; "" without weights.
    """

    name: str
    summary: str
    accepts: frozenset[Condition]
    dense_landmarks: bool
    zone_driven: bool
    ages: tuple[float, float]
    weights_hash: str

    @classmethod
    def load(cls, weights: str | Path | None = None, device: str = "cpu") -> Self:
        """Reads the weights, the shipped ones by default.

        Raises:
            WeightsError: when they are missing, damaged or made for something else.
        """
        ...

    def render(self, face: Face, reading: Reading, plan: CompletePlan) -> Aged:
        """The crop as the plan wants it: same size, input untouched, same seed same pixels; `plan` is complete."""
        ...
