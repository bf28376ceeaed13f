"""The interface of engines: an engine loads its weights once, then renders a face by a complete plan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, Self, runtime_checkable

from reage.types import Aged, CompletePlan, Face, Plane, Reading, ReferenceFace

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


class FaceChange(Protocol):
    """A change of one person's face that was learned on one picture and holds for every other of a video."""

    def on(self, face: Face, shares: Plane) -> Aged:
        """The face of any picture, changed.

        Args:
            face: in the picture.
            shares: (10, P, P) shares of `reage.face_classes.CLASSES` in a window of two crop sides around it.
        """
        ...

    def mixed(self, other: Self, share: float) -> Self:
        """This change and a share of another of the same person and kind, in between."""
        ...


@runtime_checkable
class SteadyEngine(Engine, Protocol):
    """An engine that learns the change of a face once for all frames of a video."""

    def make_change(self, face: Face, reading: Reading, plan: CompletePlan, like: Any = None) -> FaceChange:
        """The change of a face by a plan.

        Args:
            face: of the best frame.
            reading: of the person.
            plan: for it.
            like: an earlier change of the same person, from which it must not differ without need; None for none.
        """
        ...
