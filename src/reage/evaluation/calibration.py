"""Measures the lines of real people that every figure of a report is read beside."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reage.data.faces import portrait_to_face
from reage.data.shards import Portraits
from reage.evaluation.judges import Judges
from reage.evaluation.metrics.ages import NEAR_YEARS, estimator_bias
from reage.evaluation.metrics.statistics import bootstrap_interval
from reage.evaluation.metrics.verification import (
    group_thresholds,
    impostors_needed,
    match_rate,
    non_match_rate,
    spread_of,
    threshold_at,
)
from reage.evaluation.reference import (
    AGES,
    FALSE_MATCH_RATES,
    GAPS_YEARS,
    LEAST_FACES,
    AgeLines,
    IdentityLines,
    Reference,
    Threshold,
    gap_names,
)
from reage.evaluation.report.tables import Cell, Figure, Table
from reage.faces.segmentation import FaceParser
from reage.zones import ZONES

Values = NDArray[np.floating]


def measure_identity(portraits: Portraits, identities: Values, matcher: str, *, distance: bool) -> IdentityLines:
    """A matcher's lines; thresholds come from training people, rates and impostors from held-out ones.

    Args:
        portraits: of all people.
        identities: (N, D) of the portraits.
        matcher: its name.
        distance: scores are negative distances, as for dlib's net; else cosines.
    """
    pairs = {
        split: FacePairs.of(portraits.pick(portraits.split == split), identities[portraits.split == split], distance)
        for split in ("train", "val")
    }
    everyone = FacePairs.of(portraits, identities, distance)
    learned, held_out = pairs["train"], pairs["val"]
    same = learned.impostor & learned.same_sex
    others = held_out.impostor & held_out.same_sex
    of_gap = np.searchsorted(GAPS_YEARS, learned.years_apart[same], side="right") - 1
    return IdentityLines(
        matcher=matcher,
        genuine=spread_of(everyone.scores[everyone.genuine]),
        genuine_years=float(np.median(everyone.years_apart[everyone.genuine])) if everyone.genuine.any() else math.nan,
        impostors=spread_of(held_out.scores[others]),
        cosines=spread_of(everyone.cosines[everyone.genuine]),
        impostor_cosines=spread_of(held_out.cosines[others]),
        thresholds=tuple(
            _threshold(rate, learned.scores[same], held_out.scores[others], everyone) for rate in FALSE_MATCH_RATES
        ),
        by_gap=group_thresholds(
            {name: learned.scores[same][of_gap == place] for place, name in enumerate(gap_names())},
            FALSE_MATCH_RATES[0],
        ),
    )


@dataclass(frozen=True, kw_only=True)
class FacePairs:
    """All pairs of some portraits (P,).

    Args:
        scores: higher for more alike.
        cosines: of the normalised identities.
        genuine: both show one person.
        same_sex: both show men, or women.
        years_apart: true ages apart.
        person: of the first picture.
    """

    scores: Values
    cosines: Values
    genuine: NDArray[np.bool_]
    same_sex: NDArray[np.bool_]
    years_apart: Values
    person: NDArray[np.str_]

    @property
    def impostor(self) -> NDArray[np.bool_]:
        """Both show different people."""
        return ~self.genuine

    @classmethod
    def of(cls, portraits: Portraits, identities: Values, distance: bool) -> FacePairs:
        """Every pair once."""
        first, second = np.triu_indices(len(portraits), 1)
        exact = np.asarray(identities, np.float64)
        unit = exact / np.linalg.norm(exact, axis=1, keepdims=True)
        cosines = (unit @ unit.T)[first, second]
        squares = (exact**2).sum(1)
        gaps = np.maximum(squares[:, None] + squares - 2 * exact @ exact.T, 0)[first, second]
        return cls(
            scores=-np.sqrt(gaps) if distance else cosines,
            cosines=cosines,
            genuine=portraits.person[first] == portraits.person[second],
            same_sex=portraits.sex[first] == portraits.sex[second],
            years_apart=np.abs(portraits.age_years[first] - portraits.age_years[second]),
            person=portraits.person[first],
        )


def _threshold(rate: float, learned: Values, held_out: Values, everyone: FacePairs) -> Threshold:
    score = threshold_at(learned, rate)
    genuine, people = everyone.scores[everyone.genuine], everyone.person[everyone.genuine].tolist()
    missed = (genuine < score).astype(float) if score == score else np.full(len(genuine), math.nan)
    low, high = bootstrap_interval(missed, people) if len(people) else (math.nan, math.nan)
    known = len(held_out) >= impostors_needed(rate)
    return Threshold(
        false_match_rate=rate,
        score=score,
        num_impostors=len(learned),
        held_out_rate=match_rate(held_out, score) if known else math.nan,
        num_held_out=len(held_out),
        missed=non_match_rate(genuine, score),
        missed_low=low,
        missed_high=high,
        num_genuine=len(genuine),
    )


def measure_ages(ages: Values, judged: Values, read: Values, judge: str) -> AgeLines:
    """Lines of the estimators from true ages (N,) and both readings (N,) of held-out people."""
    near = np.abs(ages - np.array(AGES)[:, None]) <= NEAR_YEARS
    counts = near.sum(1)
    bias = np.where(counts >= LEAST_FACES, estimator_bias(judged, ages, np.array(AGES)), math.nan)
    return AgeLines(
        judge=judge,
        bias=tuple(bias.tolist()),
        counts=tuple(counts.tolist()),
        mean_error=float(np.abs(judged - ages).mean()),
        apart=float(np.abs(judged - read).mean()),
        correlation=float(np.corrcoef(judged, read)[0, 1]),
        num=len(ages),
    )


def measure_reference(portraits: Portraits, judges: Judges, parser: FaceParser) -> Reference:
    """All lines from portraits of known age, of training and of held-out people."""
    held_out = portraits.pick(portraits.split == "val")
    years, second = (
        np.array([reading.age_years for reading in age_estimator.measure_crops(held_out.crops)])
        for age_estimator in (judges.estimator, judges.reader)
    )
    apart = []
    for row in range(len(held_out)):
        face = portrait_to_face(held_out, row, parser)
        mine, other = judges.scorer.measure(face), judges.zone_reader.measure(face)
        apart.append([abs(mine.get(zone, math.nan) - other.get(zone, math.nan)) for zone in ZONES])
    identities = judges.recognizer.embed_crops(portraits.crops, portraits.landmarks)
    people = len(set(portraits.person.tolist()))
    return Reference(
        people=f"{len(portraits)} official portraits of {people} people, {len(held_out)} of them held out",
        identity=measure_identity(portraits, identities, "dlib", distance=True),
        ages=measure_ages(held_out.age_years, years, second, judges.names["age"]),
        zones_apart=dict(zip(ZONES, np.nanmean(apart, 0).tolist(), strict=True)),
    )


def describe_reference(reference: Reference) -> list[Table]:
    """The lines as tables."""
    lines, ages = reference.identity, reference.ages
    borders: dict[str, list[Cell]] = {
        f"FMR {one.false_match_rate:.2%}": [
            Figure(value=-one.score, style=".3f"),
            str(one.num_impostors),
            f"{Figure(value=one.held_out_rate, style='.2%')} (N={one.num_held_out})",
            f"{Figure(value=one.missed, low=one.missed_low, high=one.missed_high, style='.1%')} (N={one.num_genuine})",
        ]
        for one in lines.thresholds
    }
    for name, own in lines.by_gap.items():
        pooled = f"{own.num_impostors} ({' and '.join(own.groups)} years apart)"
        borders[f"FMR {FALSE_MATCH_RATES[0]:.2%}, {name} years apart"] = [
            Figure(value=-own.score, style=".3f"),
            pooled,
            "",
            "",
        ]
    people: dict[str, list[Cell]] = {
        name: [
            Figure(value=-own.mean),
            Figure(value=-own.high),
            Figure(value=-own.median),
            Figure(value=-own.low),
            str(own.num),
        ]
        for name, own in {
            f"one person, {lines.genuine_years:.0f} years apart": lines.genuine,
            "two people of one sex": lines.impostors,
        }.items()
    }
    bias: dict[str, list[Cell]] = {
        str(age): [Figure(value=own, style="+.1f"), str(count)]
        for age, own, count in zip(AGES, ages.bias, ages.counts, strict=True)
    }
    return [
        Table(
            name="distances",
            title="Identity distances of real people",
            headers=("mean", "nearest twentieth", "median", "farthest twentieth", "pairs"),
            rows=people,
            note=f"{reference.people}.",
        ),
        Table(
            name="borders",
            title="Closer than this two faces count as one person",
            headers=("distance", "from impostor pairs", "held-out impostors let in", "one person kept out"),
            rows=borders,
        ),
        Table(
            name="bias",
            title=f"What {ages.judge} reads too much at an age",
            corner="age",
            headers=("years", "faces within 5 years"),
            rows=bias,
            note=(
                f"Mean error {Figure(value=ages.mean_error)} years, N={ages.num}. Both estimators are "
                f"{Figure(value=ages.apart)} years apart, their readings correlate by "
                f"{Figure(value=ages.correlation, style='.3f')}."
            ),
        ),
    ]
