"""Evaluates the age estimators on held-out people: error, bias, fairness, robustness, agreement."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator

from reage.data.ages import QUERY_AGES, with_taught_ages
from reage.data.augment import AugmentConfig, augment
from reage.data.shards import Portraits
from reage.evaluation.metrics.statistics import bootstrap_interval, thirds
from reage.evaluation.real_aging import pairs_of
from reage.faces.skin_features import skin_tone
from reage.images.tensors import from_net, to_net
from reage.measure.age import AgeEstimator
from reage.training.measures.zone_scorer import Parse, view_portrait_skin
from reage.types import Pixels

Values = NDArray[np.float64]

MIN_PORTRAITS = 10
"""Fewer portraits or pairs give no figure."""
DECADES = (0, 10, 20, 30, 40, 50, 60, 70, 80)
_CHILD_AGE, _READ_AS_CHILD = 3.0, 6.0
"""Babies and toddlers are younger than this, and ought to be read as younger than that."""
YEARS_APART = (8.0, 12.0)
"""Years between the two portraits of a pair, about ten."""
DEGRADATION = AugmentConfig(flip_prob=0.0, max_rotation_degrees=0.0, max_scale=0.0, max_shift=0.0)
"""Augmentation of the degraded copies: light, lens and camera without geometry."""

_DRAWS = 4000
_BATCH = 32


@dataclass(frozen=True, kw_only=True)
class Readings:
    """Predictions of an estimator for N portraits.

    Args:
        years: (N,) calibrated ages.
        uncalibrated: (N,) expected ages before calibration.
        stds: (N,) predicted standard deviations.
        masculinity: (N,) in [0, 1].
        degraded: (N,) calibrated ages of the degraded copies.
    """

    years: Values
    uncalibrated: Values
    stds: Values
    masculinity: Values
    degraded: Values


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One line of the report.

    Args:
        name: what was measured.
        num: portraits, or pairs, it was measured on.
        value: in years, a share, or a correlation; NaN with fewer portraits than `MIN_PORTRAITS`.
        low: lower end of the 95 % interval, by a bootstrap over people; NaN where there is none.
        high: upper end.
    """

    name: str
    num: int
    value: float
    low: float = math.nan
    high: float = math.nan

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON; None instead of NaN."""
        numbers = {"value": self.value, "low": self.low, "high": self.high}
        rounded = {name: None if math.isnan(value) else round(value, 4) for name, value in numbers.items()}
        return {"name": self.name, "num": self.num, **rounded}


def read_portraits(age_estimator: AgeEstimator, crops: Pixels, degraded: Pixels) -> Readings:
    """Predictions for crops (N, S, S, 3) and their degraded copies (N, S, S, 3)."""
    found = {name: values.astype(np.float64) for name, values in age_estimator.estimate(crops).items()}
    return Readings(
        years=found["age_years"],
        uncalibrated=found["uncalibrated_years"],
        stds=found["age_std_years"],
        masculinity=found["masculinity"],
        degraded=age_estimator.estimate(degraded)["age_years"].astype(np.float64),
    )


def degrade(crops: Pixels, seed: int = 0) -> Pixels:
    """(N, S, S, 3) -> copies with random light, blur, downscaling, noise, JPEG and grey; S is a multiple of 8."""
    generator = Generator().manual_seed(seed)
    batches = [crops[start : start + _BATCH] for start in range(0, len(crops), _BATCH)]
    with torch.inference_mode():
        return np.concatenate([from_net(augment(to_net(batch), DEGRADATION, generator)) for batch in batches])


def measure_tones(portraits: Portraits, parse: Parse, track: Callable[[range], Iterable[int]]) -> Values:
    """(N,) individual typology angles of the skin in degrees; NaN for grey portraits."""
    tones = np.full(len(portraits), np.nan)
    for row in track(range(len(portraits))):
        if not portraits.grey[row]:
            crop = portraits.crops[row]
            tones[row] = skin_tone(view_portrait_skin(crop, portraits.landmarks[row], parse(crop, portraits.mesh[row])))
    return tones


def judge_ages(
    portraits: Portraits,
    age_estimators: Mapping[str, AgeEstimator],
    parse: Parse,
    track: Callable[[range], Iterable[int]],
) -> dict[str, list[Figure]]:
    """Figures of each estimator by its name, and of "both", on the people of the "val" split.

    Args:
        portraits: all portraits.
        age_estimators: name -> estimator, two of them.
        parse: crop -> its segmentation.
        track: shows progress over a range; `iter` shows none.
    """
    portraits = with_judged_ages(portraits.pick(portraits.split == "val"))
    tones, degraded = measure_tones(portraits, parse, track), degrade(portraits.crops)
    readings = {
        name: read_portraits(age_estimator, portraits.crops, degraded) for name, age_estimator in age_estimators.items()
    }
    figures = {name: judge_readings(portraits, found, tones) for name, found in readings.items()}
    return {**figures, "both": compare_readings(portraits, *readings.values())}


def with_judged_ages(portraits: Portraits) -> Portraits:
    """The portraits whose age is known, was prompted or can be taught, with that age, in this order, as `age_years`."""
    asked = np.where(np.isnan(portraits.age_years), portraits.age_prompted_years, portraits.age_years)
    return with_taught_ages(replace(portraits, age_years=asked), dict(QUERY_AGES))


def judge_readings(portraits: Portraits, readings: Readings, tones: Values) -> list[Figure]:
    """Figures of one estimator, from N held-out portraits, its readings, and the skin tones (N,)."""
    ages, people = portraits.age_years.astype(np.float64), portraits.person
    errors = readings.years - ages
    both = np.stack([readings.years, ages], 1)
    return [
        _measure("mean absolute error", np.abs(errors), people),
        _measure("mean absolute error without calibration", np.abs(readings.uncalibrated - ages), people),
        _measure("bias (reading less true age)", errors, people),
        _measure("correlation r with true age", both, people, statistic=_correlate),
        *_judge_groups(_decades(ages), errors, people),
        *_judge_groups(_sources(portraits), errors, people),
        *_judge_sources(portraits, both, np.abs(errors) <= readings.stds),
        _measure("babies and toddlers read under 6", readings.years < _READ_AS_CHILD, people, ages < _CHILD_AGE),
        *_judge_groups(_groups(portraits, tones), errors, people),
        _measure("error on degraded copies", np.abs(readings.degraded - ages), people),
        _measure(
            "standard deviation of the shift on degraded copies",
            readings.degraded - readings.years,
            people,
            statistic=_std,
        ),
        *_judge_pairs(portraits, readings.years),
        _measure("true age within the stated std (0.68 expected)", np.abs(errors) <= readings.stds, people),
        _measure("sex right", (readings.masculinity > 0.5) == (portraits.sex == "M"), people, portraits.sex != ""),
    ]


def compare_readings(portraits: Portraits, first: Readings, second: Readings) -> list[Figure]:
    """Agreement of two estimators on the same portraits."""
    people = portraits.person
    both = np.stack([first.years, second.years], 1)
    errors = both - portraits.age_years[:, None]
    return [
        _measure("correlation of both errors", errors, people, statistic=_correlate),
        _measure("mean absolute difference of both readings", np.abs(both[:, 0] - both[:, 1]), people),
        _measure("correlation r of both readings", both, people, statistic=_correlate),
    ]


def pairs_about_ten_years_apart(portraits: Portraits) -> NDArray[np.intp]:
    """(P, 2) rows of the younger and the older portrait of each person who has two portraits `YEARS_APART`."""
    ages, (low, high) = portraits.age_years, YEARS_APART
    pairs = [(first, last) for first, last in pairs_of(portraits) if low <= ages[last] - ages[first] <= high]
    return np.array(pairs, np.intp).reshape(-1, 2)


def _judge_groups(groups: Mapping[str, NDArray[np.bool_]], errors: Values, people: NDArray[np.str_]) -> list[Figure]:
    biases = [_measure(f"bias {name}", errors, people, rows) for name, rows in groups.items()]
    return biases + [_measure(f"error {name}", np.abs(errors), people, rows) for name, rows in groups.items()]


def _judge_pairs(portraits: Portraits, years: Values) -> list[Figure]:
    younger, older = pairs_about_ten_years_apart(portraits).T
    people, read = portraits.person[younger], years[older] - years[younger]
    return [
        _measure(
            "one person twice: true years between", portraits.age_years[older] - portraits.age_years[younger], people
        ),
        _measure("one person twice: years read between", read, people),
        _measure("one person twice: the older is read as older", read > 0, people),
    ]


def _sources(portraits: Portraits) -> dict[str, NDArray[np.bool_]]:
    """The portraits by where their age comes from; only photos of known age have a year."""
    prompted = ~np.isnan(portraits.age_prompted_years)
    known = ~prompted & (portraits.query == "")
    return {"of known age": known, "of prompted age": prompted, "of predicted age": ~known & ~prompted}


def _judge_sources(portraits: Portraits, both: Values, covered: NDArray[np.bool_]) -> list[Figure]:
    people, sources = portraits.person, _sources(portraits)
    return [
        *(
            _measure(f"correlation r {name}", both, people, rows, statistic=_correlate)
            for name, rows in sources.items()
        ),
        *(_measure(f"within the stated std {name}", covered, people, rows) for name, rows in sources.items()),
    ]


def _decades(ages: Values) -> dict[str, NDArray[np.bool_]]:
    return {f"at {decade}-{decade + 9}": ages // 10 == decade // 10 for decade in DECADES}


def _groups(portraits: Portraits, tones: Values) -> dict[str, NDArray[np.bool_]]:
    known = ~np.isnan(tones)
    third = np.full(len(tones), -1)
    if known.any():
        third[known] = thirds(tones[known])
    return {
        "of grey portraits": portraits.grey,
        "of colour portraits": ~portraits.grey,
        "of men": portraits.sex == "M",
        "of women": portraits.sex == "F",
        "of the darkest third of skin": third == 0,
        "of the middle third of skin": third == 1,
        "of the lightest third of skin": third == 2,
    }


def _measure(
    name: str,
    values: NDArray[Any],
    people: NDArray[np.str_],
    rows: NDArray[np.bool_] | slice = slice(None),
    *,
    statistic: Callable[[NDArray[np.floating]], float] = lambda values: float(np.mean(values)),
) -> Figure:
    values, people = values[rows].astype(np.float64), people[rows]
    if len(values) < MIN_PORTRAITS:
        return Figure(name=name, num=len(values), value=math.nan)
    low, high = bootstrap_interval(values, people.tolist(), statistic, draws=_DRAWS)
    return Figure(name=name, num=len(values), value=statistic(values), low=low, high=high)


def _correlate(columns: NDArray[np.floating]) -> float:
    return float(np.corrcoef(columns.T)[0, 1])


def _std(values: NDArray[np.floating]) -> float:
    return float(np.std(values))
