"""How real people fare before the same judges: what every figure of a report is read beside.

Two photos of one person taken years apart say how much identity distance real ageing costs, photos of two people where
a match ends, and an estimator's bias what "70" reads like on a real face of 70. The shipped lines were measured on
official portraits by `reage training calibrate`.
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
from reage.evaluation.metrics.verification import GroupThreshold, Spread
from reage.files import replace_file

Values = NDArray[np.floating]

FALSE_MATCH_RATES = (0.001, 0.0001)
GAPS_YEARS = (0, 10, 20, 30, 40, 100)
"""Borders of the groups of age gaps that get a threshold each."""
AGES = tuple(range(20, 91, 5))
"""Where the estimator's bias is told."""
LEAST_FACES = 10
"""A bias is told from so many faces."""

_SHIPPED = Path(__file__).with_name("reference.json")


def gap_names() -> list[str]:
    """The groups of age gaps, rising."""
    return [f"{low}-{high}" for low, high in itertools.pairwise(GAPS_YEARS)]


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """From which score on two faces match at one false match rate, and what it does to real people.

    Args:
        false_match_rate: of the training people's impostors, of one sex.
        score: NaN when not resolvable; of dlib's net the negative distance.
        num_impostors: pairs it comes from.
        held_out_rate: share of the held-out people's impostors that match; NaN when those are too few to know.
        num_held_out: how many those are.
        missed: FNMR of real pairs of one person.
        missed_low: of its 95 % interval, by person.
        missed_high: of the same.
        num_genuine: how many pairs those are.
    """

    false_match_rate: float
    score: float
    num_impostors: int
    held_out_rate: float
    num_held_out: int
    missed: float
    missed_low: float
    missed_high: float
    num_genuine: int


@dataclass(frozen=True, kw_only=True)
class IdentityLines:
    """What a matcher says of real people.

    Args:
        matcher: its name.
        genuine: scores of two photos of one person, all people of whom there are two.
        genuine_years: median number of years between the two.
        impostors: scores of held-out people of one sex.
        cosines: of the same pairs as `genuine`, of the normalised identities.
        impostor_cosines: likewise.
        thresholds: at each of `FALSE_MATCH_RATES`.
        by_gap: name of a group of `GAPS_YEARS` -> threshold at the first of them, from impostors as far apart in age.
    """

    matcher: str
    genuine: Spread
    genuine_years: float
    impostors: Spread
    cosines: Spread
    impostor_cosines: Spread
    thresholds: tuple[Threshold, ...]
    by_gap: dict[str, GroupThreshold]


@dataclass(frozen=True, kw_only=True)
class AgeLines:
    """What both estimators say of held-out people.

    Args:
        judge: name and hash of the one that judges.
        bias: of the judge at each of `AGES`; NaN where fewer than `LEAST_FACES` are near.
        counts: faces that each bias comes from.
        mean_error: mean absolute error of the judge.
        apart: mean absolute difference of both estimators' readings.
        correlation: of both estimators' readings.
        num: faces.
    """

    judge: str
    bias: tuple[float, ...]
    counts: tuple[int, ...]
    mean_error: float
    apart: float
    correlation: float
    num: int

    def bias_at(self, years: Values) -> Values:
        """What the judge reads too much at some ages (N,); NaN outside the ages where it is known."""
        known = ~np.isnan(self.bias)
        if not known.any():
            return np.full(np.shape(years), math.nan)
        ages, bias = np.array(AGES, float)[known], np.array(self.bias)[known]
        near = np.interp(years, ages, bias, left=math.nan, right=math.nan)
        return np.asarray(near)


@dataclass(frozen=True, kw_only=True)
class Reference:
    """All lines.

    Args:
        people: whose portraits they come from, in words.
        identity: of dlib's net.
        ages: of the estimators.
        zones_apart: zone -> mean absolute difference of both zone scorers on held-out people: the noise floor.
    """

    people: str
    identity: IdentityLines
    ages: AgeLines
    zones_apart: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Plain values; null where a number is not known."""
        story: dict[str, Any] = _to_plain(asdict(self))
        return story

    def save(self, path: Path) -> None:
        """Writes the file that `load_reference` reads."""
        with replace_file(path) as unfinished:
            unfinished.write_text(json.dumps(self.to_json(), indent=1, allow_nan=False) + "\n")


@cache
def load_reference(path: Path = _SHIPPED) -> Reference:
    """The shipped lines, or those of a file.

    Raises:
        ReageError: when the file is missing or holds something else.
    """
    try:
        reference: Reference = _build(Reference, json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReageError(f"{path} holds no reference lines; make it with: reage training calibrate.") from error
    return reference


# Plain values


def _to_plain(value: Any) -> Any:
    """Dictionaries, lists and numbers; null for NaN, which JSON has no word for."""
    if isinstance(value, dict):
        return {name: _to_plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_to_plain(one) for one in value]
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 5)
    return value


def _build(kind: Any, story: Any) -> Any:
    """The other way, by the types of the dataclasses."""
    if is_dataclass(kind):
        kinds = get_type_hints(kind)
        return kind(**{name: _build(kinds[name], story[name]) for name in kinds})  # type: ignore[operator]
    inside = get_args(kind)
    if get_origin(kind) is tuple:
        return tuple(_build(inside[0], one) for one in story)
    if get_origin(kind) is dict:
        return {name: _build(inside[1], one) for name, one in story.items()}
    return math.nan if story is None else kind(story)
