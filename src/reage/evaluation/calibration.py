"""Measures the reference: what the judges measure on real people, whose ages and identities are known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reage.data.faces import portrait_to_face
from reage.data.shards import Portraits
from reage.evaluation.judges import Judges
from reage.evaluation.metrics.ages import BIAS_WINDOW_YEARS, estimator_bias
from reage.evaluation.metrics.statistics import bootstrap_interval
from reage.evaluation.metrics.verification import (
    ScoreSummary,
    group_thresholds,
    impostors_needed,
    match_rate,
    non_match_rate,
    summarise_scores,
    threshold_at,
)
from reage.evaluation.reference import (
    AGE_GAP_LIMITS_YEARS,
    AGES,
    FALSE_MATCH_RATES,
    MIN_FACES,
    AgeReference,
    IdentityReference,
    Reference,
    Threshold,
    age_gap_names,
)
from reage.evaluation.report.tables import Cell, Figure, Table
from reage.faces.segmentation import FaceParser
from reage.zones import ZONES

Values = NDArray[np.floating]


def measure_identity(portraits: Portraits, identities: Values, recognizer: str, *, distance: bool) -> IdentityReference:
    """A recognizer's reference; thresholds come from training people, match rates and impostors from held-out ones.

    Args:
        portraits: of all people.
        identities: (N, D) of the portraits.
        recognizer: its name.
        distance: scores are negative distances, as for dlib's net; else cosines.
    """
    training, held_out = (
        FacePairs.of(portraits.pick(portraits.split == split), identities[portraits.split == split], distance)
        for split in ("train", "val")
    )
    everyone = FacePairs.of(portraits, identities, distance)
    impostors = training.impostor & training.same_sex
    held_out_impostors = held_out.impostor & held_out.same_sex
    gap_group = np.searchsorted(AGE_GAP_LIMITS_YEARS, training.years_apart[impostors], side="right") - 1
    return IdentityReference(
        recognizer=recognizer,
        genuine=summarise_scores(everyone.scores[everyone.genuine]),
        genuine_years=float(np.median(everyone.years_apart[everyone.genuine])) if everyone.genuine.any() else math.nan,
        impostors=summarise_scores(held_out.scores[held_out_impostors]),
        genuine_cosines=summarise_scores(everyone.cosines[everyone.genuine]),
        impostor_cosines=summarise_scores(held_out.cosines[held_out_impostors]),
        thresholds=tuple(
            _measure_threshold(rate, training.scores[impostors], held_out.scores[held_out_impostors], everyone)
            for rate in FALSE_MATCH_RATES
        ),
        thresholds_by_age_gap=group_thresholds(
            {name: training.scores[impostors][gap_group == group] for group, name in enumerate(age_gap_names())},
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
        squared_norms = (exact**2).sum(1)
        squared_distances = np.maximum(squared_norms[:, None] + squared_norms - 2 * exact @ exact.T, 0)[first, second]
        return cls(
            scores=-np.sqrt(squared_distances) if distance else cosines,
            cosines=cosines,
            genuine=portraits.person[first] == portraits.person[second],
            same_sex=portraits.sex[first] == portraits.sex[second],
            years_apart=np.abs(portraits.age_years[first] - portraits.age_years[second]),
            person=portraits.person[first],
        )


def _measure_threshold(rate: float, impostors: Values, held_out_impostors: Values, everyone: FacePairs) -> Threshold:
    score = threshold_at(impostors, rate)
    genuine, people = everyone.scores[everyone.genuine], everyone.person[everyone.genuine].tolist()
    missed = (genuine < score).astype(float) if score == score else np.full(len(genuine), math.nan)
    low, high = bootstrap_interval(missed, people) if len(people) else (math.nan, math.nan)
    known = len(held_out_impostors) >= impostors_needed(rate)
    return Threshold(
        false_match_rate=rate,
        score=score,
        num_impostors=len(impostors),
        held_out_match_rate=match_rate(held_out_impostors, score) if known else math.nan,
        num_held_out=len(held_out_impostors),
        non_match_rate=non_match_rate(genuine, score),
        non_match_low=low,
        non_match_high=high,
        num_genuine=len(genuine),
    )


def measure_ages(true_ages: Values, readings: Values, second_readings: Values, judge: str) -> AgeReference:
    """The estimators' reference from true ages (N,) and both readings (N,) of held-out people.

    Args:
        true_ages: years.
        readings: of the judges' first estimator.
        second_readings: of their second one.
        judge: name of the first one.
    """
    near = np.abs(true_ages - np.array(AGES)[:, None]) <= BIAS_WINDOW_YEARS
    counts = near.sum(1)
    bias = np.where(counts >= MIN_FACES, estimator_bias(readings, true_ages, np.array(AGES)), math.nan)
    return AgeReference(
        judge=judge,
        bias=tuple(bias.tolist()),
        counts=tuple(counts.tolist()),
        mean_error=float(np.abs(readings - true_ages).mean()),
        mean_difference=float(np.abs(readings - second_readings).mean()),
        correlation=float(np.corrcoef(readings, second_readings)[0, 1]),
        num=len(true_ages),
    )


def measure_zone_differences(portraits: Portraits, judges: Judges, parser: FaceParser) -> dict[str, float]:
    """Zone -> mean absolute difference of both zone scorers on portraits; faces that do not show it are left out."""
    differences = []
    for row in range(len(portraits)):
        face = portrait_to_face(portraits, row, parser)
        first, second = judges.zone_scorer.measure(face), judges.second_zone_scorer.measure(face)
        differences.append([abs(first.get(zone, math.nan) - second.get(zone, math.nan)) for zone in ZONES])
    return dict(zip(ZONES, np.nanmean(differences, 0).tolist(), strict=True))


def measure_reference(portraits: Portraits, judges: Judges, parser: FaceParser) -> Reference:
    """The whole reference from portraits of known age, of training and of held-out people."""
    held_out = portraits.pick(portraits.split == "val")
    readings, second_readings = (
        np.array([reading.age_years for reading in age_estimator.measure_crops(held_out.crops)])
        for age_estimator in (judges.age_estimator, judges.second_age_estimator)
    )
    identities = judges.recognizer.embed_crops(portraits.crops, portraits.landmarks)
    people = len(set(portraits.person.tolist()))
    return Reference(
        people=f"{len(portraits)} official portraits of {people} people, {len(held_out)} of them held out",
        identity=measure_identity(portraits, identities, "dlib", distance=True),
        ages=measure_ages(held_out.age_years, readings, second_readings, judges.names["age"]),
        zone_differences=measure_zone_differences(held_out, judges, parser),
    )


# Tables


def describe_reference(reference: Reference) -> list[Table]:
    """The reference as tables."""
    return [_distance_table(reference), _threshold_table(reference.identity), _bias_table(reference.ages)]


def _distance_table(reference: Reference) -> Table:
    identity = reference.identity
    return Table(
        name="distances",
        title="Identity distances of real people",
        headers=("mean", "nearest twentieth", "median", "farthest twentieth", "pairs"),
        rows={
            f"one person, {identity.genuine_years:.0f} years apart": _distance_cells(identity.genuine),
            "two people of one sex": _distance_cells(identity.impostors),
        },
        note=f"{reference.people}.",
    )


def _distance_cells(scores: ScoreSummary) -> list[Cell]:
    distances = (scores.mean, scores.quantile_95, scores.median, scores.quantile_05)
    return [*(Figure(value=-score) for score in distances), str(scores.num)]


def _threshold_table(identity: IdentityReference) -> Table:
    rows: dict[str, list[Cell]] = {}
    for threshold in identity.thresholds:
        held_out = Figure(value=threshold.held_out_match_rate, style=".2%")
        genuine = Figure(
            value=threshold.non_match_rate,
            low=threshold.non_match_low,
            high=threshold.non_match_high,
            style=".1%",
        )
        rows[f"FMR {threshold.false_match_rate:.2%}"] = [
            Figure(value=-threshold.score, style=".3f"),
            str(threshold.num_impostors),
            f"{held_out} (N={threshold.num_held_out})",
            f"{genuine} (N={threshold.num_genuine})",
        ]
    for name, group in identity.thresholds_by_age_gap.items():
        rows[f"FMR {FALSE_MATCH_RATES[0]:.2%}, {name} years apart"] = [
            Figure(value=-group.score, style=".3f"),
            f"{group.num_impostors} ({' and '.join(group.groups)} years apart)",
            "",
            "",
        ]
    return Table(
        name="thresholds",
        title="Closer than this two faces count as one person",
        headers=("distance", "impostor pairs", "held-out impostors that match (FMR)", "one person not matched (FNMR)"),
        rows=rows,
    )


def _bias_table(ages: AgeReference) -> Table:
    return Table(
        name="bias",
        title=f"What {ages.judge} reads too much at an age",
        corner="age",
        headers=("years", "faces within 5 years"),
        rows={
            str(age): [Figure(value=bias, style="+.1f"), str(count)]
            for age, bias, count in zip(AGES, ages.bias, ages.counts, strict=True)
        },
        note=(
            f"Mean error {Figure(value=ages.mean_error)} years, N={ages.num}. Both estimators are "
            f"{Figure(value=ages.mean_difference)} years apart on average, their readings correlate by "
            f"{Figure(value=ages.correlation, style='.3f')}."
        ),
    )
