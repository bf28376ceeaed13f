"""Sources and the pictures made of them as arrays, groups of people, and figures with intervals by person.

Convention:
    N sources in the order of the rows, T targets rising; NaN where a picture is missing or no face was found in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from reage.evaluation.metrics.statistics import bootstrap_interval, thirds
from reage.evaluation.report.tables import Figure
from reage.evaluation.rows import Rows

Values = NDArray[np.floating]
Mask = NDArray[np.bool_]
Names = NDArray[np.str_]

LEAST_PEOPLE = 5
"""A figure is told from so many people."""
COMPARED_YEARS = (35.0, 60.0)
"""Colour portraits of such people have a group of their own: old enough to rejuvenate, young enough to age."""


@dataclass(frozen=True)
class Faces:
    """What was measured on whole faces.

    Args:
        rows: all rows of a run.
    """

    rows: Rows

    @cached_property
    def sources(self) -> Rows:
        """The photos as they were (N,)."""
        return self.rows.of_kind("source")

    @cached_property
    def targets(self) -> list[float]:
        """(T,) ages that were asked for."""
        return self.rows.targets

    @property
    def people(self) -> Names:
        """(N,) ids."""
        return self.sources["person"]

    def of(self, column: str) -> Values:
        """(N, T) a column of the aged pictures."""
        return self.compared(column, lambda source, aged: aged)

    def compared(self, column: str, measure: Callable[[Values, Values], Values]) -> Values:
        """(N, T) a comparison of a column of the sources with that of the aged pictures, (K, ...) both -> (K,)."""
        found = np.full((len(self.sources), len(self.targets)), math.nan)
        for j, target in enumerate(self.targets):
            aged = self.rows.at(target)
            own = self.places_of(aged)
            found[own, j] = measure(self.sources[column][own], aged[column])
        return found

    def places_of(self, made: Rows) -> list[int]:
        """The place of the source of each picture."""
        place = {file: i for i, file in enumerate(self.sources["file"].tolist())}
        return [place[file] for file in made["file"].tolist()]

    @cached_property
    def distances(self) -> Values:
        """(N, T) identity distances to the source."""
        return self.compared("identity", lambda source, aged: np.linalg.norm(source - aged, axis=1))

    def cosines(self, column: str = "identity") -> Values:
        """(N, T) cosines of identities with the source's."""
        return self.compared(column, cosine)

    @cached_property
    def groups(self) -> dict[str, Mask]:
        """Name -> which sources belong to it, everybody first; empty groups are left out."""
        sources = self.sources
        grey, years, sex = sources["grey"].astype(bool), sources["true_years"], sources["sex"]
        low, high = COMPARED_YEARS
        groups = {
            "all": np.ones(len(sources), bool),
            f"colour, {low:g} to {high:g}": ~grey & (years >= low) & (years <= high),
            "women": sex == "F",
            "men": sex == "M",
        }
        tone = np.full(len(sources), -1)
        if (~grey).any():
            tone[~grey] = thirds(sources["tone_degrees"][~grey])
        for third, name in enumerate(("darkest third", "middle third", "lightest third")):
            groups[name] = tone == third
        groups["grey photos"] = grey
        return {name: mask for name, mask in groups.items() if mask.any()}


def cosine(first: Values, second: Values) -> Values:
    """(K, D), (K, D) -> (K,)."""
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return np.asarray((first * second).sum(1) / lengths)


def figure(
    values: Values, people: Names, statistic: Callable[[Values], float] | None = None, style: str = ".2f"
) -> Figure:
    """A statistic of values (N,) with its interval by person; NaN values are left out, too few make it unknown."""
    statistic = statistic or mean
    known = ~np.isnan(values)
    values, people = values[known], people[known]
    if len(set(people.tolist())) < LEAST_PEOPLE:
        return Figure(value=math.nan, num=len(values), style=style)
    if np.isinf(values).any():
        return Figure(value=float(statistic(values)), num=len(values), style=style)
    low, high = bootstrap_interval(values, people.tolist(), statistic)
    return Figure(value=statistic(values), low=low, high=high, num=len(values), style=style)


def mean(values: Values) -> float:
    """Of (N,)."""
    return float(np.mean(values))


def median(values: Values) -> float:
    """Of (N,)."""
    return float(np.median(values))
