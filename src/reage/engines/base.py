"""The interface of engines: an engine loads its weights once, then renders a face by a complete plan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol, Self, runtime_checkable

from reage.types import Aged, CompletePlan, Face, Reading, ReferenceFace

Condition = Literal["age", "zones", "skin", "person", "references"]


class Engine(Protocol):
    """An engine; `tests/test_engines.py` tests the contract for every one in `reage.engines.ENGINES`.

    Attributes:
        name: key in `ENGINES`.
        summary: one line that describes it.
        accepts: what it can be conditioned on; without "zones", `reage.pipeline.render` makes zones by masks, and
            without "skin" it refuses a plan that asks for it.
        zone_driven: whether it needs readings with the scores of all zones.
        ages: youngest and oldest target in years that it was trained for; targets beyond are clipped to them.
        weights_hash: 12 hex digits that change when the weights do; "" without weights.
    """

    name: str
    summary: str
    accepts: frozenset[Condition]
    zone_driven: bool
    ages: tuple[float, float]
    weights_hash: str

    @classmethod
    def load(cls, weights: str | Path | None = None, device: str = "cpu") -> Self:
        """The engine with its weights, the shipped ones by default.

        Raises:
            WeightsError: when they are missing, damaged or made for something else.
        """
        ...

    def render(self, face: Face, reading: Reading, plan: CompletePlan) -> Aged:
        """The aged crop, of the same size; the input is not changed, and the same seed gives the same pixels."""
        ...


@runtime_checkable
class ReferenceEngine(Engine, Protocol):
    """An engine that accepts "references", photos of the same person at another age."""

    def with_references(self, references: Sequence[ReferenceFace]) -> Engine:
        """The engine for that person; the engine itself does not change."""
        ...
