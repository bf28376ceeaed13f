"""What the judges measure on real people: the reference that every number of a report is read beside.

Two photos of one person taken years apart say how much identity distance real ageing costs, photos of two people give
the thresholds of a match, and an estimator's bias says what it reads on a real face of 70. The shipped reference was
measured on official portraits by `reage training calibrate`.
"""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import asdict, dataclass, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from reage.errors import ReageError
from reage.evaluation.metrics.verification import GroupThreshold, ScoreSummary
from reage.files import replace_file

Values = NDArray[np.floating]

FALSE_MATCH_RATES = (0.001, 0.0001)
AGE_GAP_LIMITS_YEARS = (0, 10, 20, 30, 40, 100)
"""Limits of the groups of age gaps; each group gets a threshold."""
AGES = tuple(range(20, 91, 5))
"""Ages in years at which the estimator's bias is measured."""
MIN_FACES = 10
"""A bias is known where at least so many faces are near."""

_SHIPPED = Path(__file__).with_name("reference.json")


def age_gap_names() -> list[str]:
    """Names of the groups of age gaps, rising."""
    return [f"{low}-{high}" for low, high in itertools.pairwise(AGE_GAP_LIMITS_YEARS)]


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """The smallest score at which two faces match at one false match rate, and its error rates on real people.

    Args:
        false_match_rate: on the training people's impostors, of one sex.
        score: NaN when not resolvable; of dlib's net the negative distance.
        num_impostors: pairs it comes from.
        held_out_match_rate: share of the held-out people's impostors that match; NaN when those are too few to know.
        num_held_out: how many those are.
        non_match_rate: FNMR of real pairs of one person.
        non_match_low: lower end of its 95 % interval, by person.
        non_match_high: upper end.
        num_genuine: how many pairs those are.
    """

    false_match_rate: float
    score: float
    num_impostors: int
    held_out_match_rate: float
    num_held_out: int
    non_match_rate: float
    non_match_low: float
    non_match_high: float
    num_genuine: int


@dataclass(frozen=True, kw_only=True)
class IdentityReference:
    """Scores of a recognizer on pairs of real portraits.

    Args:
        recognizer: its name.
        genuine: scores of two photos of one person, all people of whom there are two.
        genuine_years: median number of years between the two.
        impostors: scores of held-out people of one sex.
        genuine_cosines: cosines of the normalised identities of the pairs of `genuine`.
        impostor_cosines: likewise of `impostors`.
        thresholds: at each of `FALSE_MATCH_RATES`.
        thresholds_by_age_gap: group of `age_gap_names()` -> threshold at the first of the rates, from impostors as far
            apart in age.
    """

    recognizer: str
    genuine: ScoreSummary
    genuine_years: float
    impostors: ScoreSummary
    genuine_cosines: ScoreSummary
    impostor_cosines: ScoreSummary
    thresholds: tuple[Threshold, ...]
    thresholds_by_age_gap: dict[str, GroupThreshold]


@dataclass(frozen=True, kw_only=True)
class AgeReference:
    """Errors of both age estimators on held-out people.

    Args:
        judge: name and hash of the judges' first estimator.
        bias: of that one at each of `AGES`, years; NaN where fewer than `MIN_FACES` are near.
        counts: faces that each bias comes from.
        mean_error: mean absolute error of that one, years.
        mean_difference: mean absolute difference of both estimators' readings, years.
        correlation: of both estimators' readings.
        num: faces.
    """

    judge: str
    bias: tuple[float, ...]
    counts: tuple[int, ...]
    mean_error: float
    mean_difference: float
    correlation: float
    num: int

    def bias_at(self, years: Values) -> Values:
        """Bias of the judge at ages (N,), years, interpolated; NaN outside the ages where it is known."""
        known = ~np.isnan(self.bias)
        if not known.any():
            return np.full(np.shape(years), math.nan)
        ages, bias = np.array(AGES, float)[known], np.array(self.bias)[known]
        return np.asarray(np.interp(years, ages, bias, left=math.nan, right=math.nan))


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The whole reference.

    Args:
        people: whose portraits it comes from, in words.
        identity: of dlib's net.
        ages: of the age estimators.
        zone_differences: zone -> mean absolute difference of both zone scorers on held-out people: the noise floor.
    """

    people: str
    identity: IdentityReference
    ages: AgeReference
    zone_differences: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Plain values; null where a number is not known."""
        values: dict[str, Any] = _to_plain(asdict(self))
        return values

    def save(self, path: Path) -> None:
        """Writes the file that `load_reference` reads."""
        with replace_file(path) as unfinished:
            unfinished.write_text(json.dumps(self.to_json(), indent=1, allow_nan=False) + "\n")


@cache
def load_reference(path: Path = _SHIPPED) -> Reference:
    """The shipped reference, or that of a file.

    Raises:
        ReageError: when the file is missing or holds something else.
    """
    try:
        reference: Reference = _build(Reference, json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReageError(f"{path} holds no reference; make it with: reage training calibrate.") from error
    return reference


# Plain values


def _to_plain(value: Any) -> Any:
    """Dictionaries, lists and numbers; None for NaN, which JSON cannot hold."""
    if isinstance(value, dict):
        return {name: _to_plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_plain(item) for item in value]
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 5)
    return value


def _build(kind: Any, plain: Any) -> Any:
    """The inverse of `_to_plain`, by the types of the dataclasses."""
    if is_dataclass(kind):
        kinds = get_type_hints(kind)
        return kind(**{name: _build(kinds[name], plain[name]) for name in kinds})  # type: ignore[operator]
    arguments = get_args(kind)
    if get_origin(kind) is tuple:
        return tuple(_build(arguments[0], item) for item in plain)
    if get_origin(kind) is dict:
        return {name: _build(arguments[1], item) for name, item in plain.items()}
    return math.nan if plain is None else kind(plain)
