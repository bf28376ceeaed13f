"""The rows of a run as arrays over sources and targets, groups of people, and figures with intervals by person.

Convention:
    N sources in the order of the rows, T targets rising; NaN where a picture is missing or no face was found in it.
    Q patches and B frequency bands of skin, see `reage.faces.skin_detail`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from reage.evaluation.metrics.skin import energy_ratios, resolved_bands
from reage.evaluation.metrics.statistics import bootstrap_interval, thirds
from reage.evaluation.report.tables import Figure
from reage.evaluation.rows import Rows
from reage.faces.skin_detail import NUM_BANDS, PATCHES

Values = NDArray[np.floating]
Mask = NDArray[np.bool_]
Names = NDArray[np.str_]

MIN_PEOPLE = 5
"""A figure of fewer people is not resolvable."""
REAL_WINDOW_YEARS = 7.0
"""Aged skin is compared with that of real people up to so many years from the target."""
NUM_FINE_BANDS = 2
"""Of so many bands, the finest that the photos resolve, the energies are summarised."""
COMPARED_YEARS = (35.0, 60.0)
"""Colour portraits of such people have a group of their own: old enough to rejuvenate, young enough to age."""


@dataclass(frozen=True)
class MeasuredFaces:
    """What was measured on whole faces.

    Args:
        rows: all rows of a run.
    """

    rows: Rows

    @cached_property
    def sources(self) -> Rows:
        """Rows of the source photos (N,)."""
        return self.rows.of_kind("source")

    @cached_property
    def targets(self) -> list[float]:
        """(T,) ages that were asked for."""
        return self.rows.targets

    @cached_property
    def aged_rows(self) -> dict[float, Rows]:
        """Target -> rows of the aged pictures."""
        return {target: self.rows.at(target) for target in self.targets}

    @property
    def people(self) -> Names:
        """(N,) ids."""
        return self.sources["person"]

    def aged(self, column: str) -> Values:
        """(N, T) a column of the aged pictures."""
        return self.compare(column, lambda source, aged: aged)

    def compare(self, column: str, measure: Callable[[Values, Values], Values]) -> Values:
        """(N, T) a comparison of a column of the sources with that of the aged pictures, (K, ...) both -> (K,)."""
        compared = np.full((len(self.sources), len(self.targets)), math.nan)
        for j, aged in enumerate(self.aged_rows.values()):
            sources = self.source_indices(aged)
            compared[sources, j] = measure(self.sources[column][sources], aged[column])
        return compared

    def source_indices(self, pictures: Rows) -> list[int]:
        """Index of the source of each picture."""
        indices = {file: index for index, file in enumerate(self.sources["file"].tolist())}
        return [indices[file] for file in pictures["file"].tolist()]

    @cached_property
    def years_before(self) -> Values:
        """(N,) true age, or what the second age estimator reads where it is not known."""
        true_years = self.sources["true_years"]
        return np.where(np.isnan(true_years), self.sources["second_years"], true_years)

    @cached_property
    def fine_bands(self) -> list[int]:
        """The finest bands that at least half of the photos resolve, at most `NUM_FINE_BANDS`."""
        shares = resolved_bands(self.sources["px_per_face_unit"]).mean(0)
        return np.flatnonzero(shares >= 0.5)[:NUM_FINE_BANDS].tolist()

    @cached_property
    def energy_ratios(self) -> Values:
        """(N, T, Q, B) energies of aged faces divided by those of real people of about the target age."""
        ratios = np.full((len(self.sources), len(self.targets), len(PATCHES), NUM_BANDS), math.nan)
        for at, (target, aged) in enumerate(self.aged_rows.items()):
            real, people = self._real_energies(target)
            ratios[self.source_indices(aged), at] = energy_ratios(_energies(aged), aged["person"], real, people)
        return ratios

    def real_energy_ratios(self, target: float) -> tuple[Values, Names]:
        """(M, Q, B) the same ratios of real faces of about that age, and the ids (M,) of the people."""
        real, people = self._real_energies(target)
        return energy_ratios(real, people, real, people), people

    def _real_energies(self, target: float) -> tuple[Values, Names]:
        near = np.abs(self.years_before - target) <= REAL_WINDOW_YEARS
        return _energies(self.sources)[near], self.people[near]

    @cached_property
    def distances(self) -> Values:
        """(N, T) identity distances to the source."""
        return self.compare("identity", lambda source, aged: np.linalg.norm(source - aged, axis=1))

    def cosines(self, column: str = "identity") -> Values:
        """(N, T) cosines of identities with the source's."""
        return self.compare(column, cosine)

    @cached_property
    def groups(self) -> dict[str, Mask]:
        """Name -> which sources belong to it, all of them first; empty groups are left out."""
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


def _energies(rows: Rows) -> Values:
    """(N, Q, B) of each row; NaN in bands that the photo does not resolve."""
    energies = rows["band_energy"].reshape(len(rows), len(PATCHES), NUM_BANDS)
    return np.where(resolved_bands(rows["px_per_face_unit"])[:, None], energies, math.nan)


def cosine(first: Values, second: Values) -> Values:
    """Cosines of the rows of (K, D) and (K, D) -> (K,)."""
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return np.asarray((first * second).sum(1) / lengths)


def figure(
    values: Values, people: Names, statistic: Callable[[Values], float] | None = None, style: str = ".2f"
) -> Figure:
    """A statistic of values (N,) with its 95 % interval by person.

    Args:
        values: NaN ones are left out; those of fewer than `MIN_PEOPLE` people give an unknown figure.
        people: (N,) ids.
        statistic: of (K,) values; the mean by default.
        style: for `format`.
    """
    statistic = statistic or mean
    known = ~np.isnan(values)
    values, people = values[known], people[known]
    if len(set(people.tolist())) < MIN_PEOPLE:
        return Figure(value=math.nan, num=len(values), style=style)
    if np.isinf(values).any():
        return Figure(value=float(statistic(values)), num=len(values), style=style)
    low, high = bootstrap_interval(values, people.tolist(), statistic)
    return Figure(value=statistic(values), low=low, high=high, num=len(values), style=style)


def mean(values: Values) -> float:
    """Mean of (N,)."""
    return float(np.mean(values))


def median(values: Values) -> float:
    """Median of (N,)."""
    return float(np.median(values))
