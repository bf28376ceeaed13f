"""A teacher engine with what measures its faces, and what is computed for each portrait in several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, TypeVar

from reage.composite import composite
from reage.data.shards import Portraits
from reage.engines import Engine
from reage.faces.segmentation import FaceParser
from reage.faces.zone_scorer import ZoneScorer
from reage.measure import measure_face
from reage.measure.age import AgeEstimator
from reage.plan import complete
from reage.types import Face, Pixels, Plan, Reading

Row = TypeVar("Row")
Settings = TypeVar("Settings")
MakeRow = Callable[[Portraits, Settings, int], Row]
"""Takes the portraits, what the caller of `map_rows` gives, and the number of a row."""


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """An engine to learn from, and what measures and parses its faces.

    Args:
        engine: ages the faces.
        age_estimator: measures apparent ages.
        zone_scorer: measures zone scores.
        parser: finds skin and hair.
    """

    engine: Engine
    age_estimator: AgeEstimator
    zone_scorer: ZoneScorer
    parser: FaceParser

    @classmethod
    def load(cls, engine: Engine) -> Teacher:
        """The engine with the shipped weights "age-a", "zones-a" and "face-parser", none of which judge evaluations."""
        return cls(
            engine=engine,
            age_estimator=AgeEstimator.load("age-a"),
            zone_scorer=ZoneScorer.load("zones-a"),
            parser=FaceParser.load(),
        )

    def read(self, face: Face) -> Reading:
        """Apparent age, sex and zone scores of a face."""
        return measure_face(face, self.age_estimator, self.zone_scorer)

    def age(self, face: Face, reading: Reading, age_years: float) -> Pixels:
        """The face's crop (S, S, 3) at that age."""
        aged = self.engine.render(face, reading, complete(Plan(age=age_years), reading))
        return composite(face.crop, face, aged)


def map_rows(make_row: MakeRow[Settings, Row], portraits: Portraits, settings: Settings, workers: int) -> Iterator[Row]:
    """What `make_row` makes of each portrait, in their order.

    Args:
        make_row: a function of a module.
        portraits: in memory, which the processes share.
        settings: passed on.
        workers: number of processes; 1 for this one.
    """
    rows = range(len(portraits))
    if workers == 1:
        yield from (make_row(portraits, settings, row) for row in rows)
        return
    with ProcessPoolExecutor(workers, get_context("fork"), _share, (make_row, portraits, settings)) as pool:
        yield from pool.map(_make_shared_row, rows, chunksize=4)


_shared: list[tuple[MakeRow[Any, Any], Portraits, Any]] = []
"""What a forked process inherits; a task that carried the portraits would copy them for each row."""


def _share(make_row: MakeRow[Any, Any], portraits: Portraits, settings: Any) -> None:
    _shared[:] = [(make_row, portraits, settings)]


def _make_shared_row(row: int) -> Any:
    make_row, portraits, settings = _shared[0]
    return make_row(portraits, settings, row)
