"""The tables to read first: how much age, at what cost in identity and background, by group and by target."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from reage.evaluation.metrics.ages import age_errors, cumulative_score
from reage.evaluation.metrics.progression import (
    TOLERANCE_YEARS,
    largest_step_ratio,
    rising_faces,
    rising_steps,
    slopes,
)
from reage.evaluation.metrics.skin import LIKE_REAL, share_between
from reage.evaluation.metrics.statistics import kendall_tau, rank_correlation
from reage.evaluation.reference import AGE_GAP_LIMITS_YEARS, Reference, age_gap_names
from reage.evaluation.report.measured_faces import MeasuredFaces, Values, figure, mean, median
from reage.evaluation.report.skin import median_ratio
from reage.evaluation.report.tables import Cell, Figure, Table

OLDER, YOUNGER = 75.0, 30.0
"""Targets of the summary; where they were not asked for, the nearest ones."""
MIN_PROGRESSION = 3
"""Fewer targets are not judged as a progression."""

Measures = dict[str, tuple[Values, Callable[[Values], float], str]]
"""Name -> values (N,), the statistic over faces, and its style."""


def summary_table(faces: MeasuredFaces, reference: Reference) -> Table:
    """The main numbers, a column for each group of people."""
    measures = {
        **_at_targets(faces, reference),
        **_over_targets(faces, reference),
        **_skin(faces),
        **_background(faces),
    }
    identity = reference.identity
    return Table(
        name="summary",
        title="At a glance",
        headers=[f"{name} (N={mask.sum()})" for name, mask in faces.groups.items()],
        rows={
            name: [figure(values[mask], faces.people[mask], statistic, style) for mask in faces.groups.values()]
            for name, (values, statistic, style) in measures.items()
        },
        note=(
            "Means unless said; in brackets the 95 % interval by a bootstrap over people. Two photos of one person "
            f"{identity.genuine_years:.0f} years apart are {-identity.genuine.median:.2f} from each other (median, "
            f"N={identity.genuine.num}), photos of two people {-identity.impostors.median:.2f} "
            f"(N={identity.impostors.num}); two faces match up to {-identity.thresholds[0].score:.2f}. Backdrops are "
            "known in photos with a plain coloured one; the background is all but skin, hair and a margin around them. "
            "Fine-line energy is 1 where skin has as much fine detail as that of real people of the target age."
        ),
    )


def _at_targets(faces: MeasuredFaces, reference: Reference) -> Measures:
    measures: Measures = {}
    gained = faces.aged("years") - faces.sources["years"][:, None]
    score = reference.identity.thresholds[0].score
    for target in _summary_targets(faces):
        at = faces.targets.index(target)
        measures[f"years gained at {target:g}"] = (gained[:, at], mean, "+.1f")
        measures[f"identity distance at {target:g}, median"] = (faces.distances[:, at], median, ".3f")
        measures[f"still the same person at {target:g}"] = (matches(-faces.distances[:, at], score), mean, ".1%")
    return measures


def _over_targets(faces: MeasuredFaces, reference: Reference) -> Measures:
    years, targets = faces.aged("years"), np.array(faces.targets)
    errors = age_errors(years, targets)
    corrected = age_errors(years, targets, reference.ages.bias_at(targets))
    measures: Measures = {
        "age error, all targets, years": (errors.mean(1), mean, ".1f"),
        "age error less the judge's own bias, years": (_mean_of_known(corrected), mean, ".1f"),
    }
    if len(targets) < MIN_PROGRESSION:
        return measures
    rising, steps = rising_steps(years, TOLERANCE_YEARS), np.abs(np.diff(faces.distances, axis=1))
    ranks = {"Spearman": rank_correlation, "Kendall's tau-b": kendall_tau}
    return {
        **measures,
        **{
            f"rank correlation of reading and target ({name})": (
                np.array([rank(targets, row) for row in years]),
                mean,
                ".3f",
            )
            for name, rank in ranks.items()
        },
        "steps that rise (1 year tolerance)": (rising, mean, ".1%"),
        "faces that rise at every step": (rising_faces(years, TOLERANCE_YEARS).astype(float), mean, ".1%"),
        "largest step in identity divided by mean step": (largest_step_ratio(steps), mean, ".2f"),
        "cosine lost by ten years of target": (-10 * slopes(targets, faces.cosines()), mean, ".4f"),
    }


def _skin(faces: MeasuredFaces) -> Measures:
    measures: Measures = {}
    low, high = LIKE_REAL
    for target in _summary_targets(faces):
        at = faces.targets.index(target)
        ratios = faces.energy_ratios[:, at][..., faces.fine_bands]
        like_real = share_between(ratios, low, high)
        hue = faces.aged("hue_shift_degrees")[:, at]
        energy = median_ratio(ratios)
        measures[f"fine-line energy at {target:g} by that of real faces, median"] = (energy, median, ".2f")
        measures[f"zones with {low:g} to {high:g} of that energy at {target:g}"] = (like_real, mean, ".0%")
        measures[f"hue shift on skin at {target:g}, degrees"] = (hue, mean, ".2f")
    return measures


def _summary_targets(faces: MeasuredFaces) -> list[float]:
    return list(dict.fromkeys(nearest(faces.targets, wanted) for wanted in (OLDER, YOUNGER)))


def _background(faces: MeasuredFaces) -> Measures:
    return {
        "changed outside skin, hair, brows and beard, worst target": (
            faces.aged("outside_changed").max(1),
            mean,
            ".2%",
        ),
        "backdrop changed visibly, worst target": (faces.aged("backdrop_changed").max(1), mean, ".2%"),
        "background, mean difference, worst target": (faces.aged("background_l1").max(1), mean, ".3%"),
        "background PSNR, worst target, dB, median": (faces.aged("background_psnr").min(1), median, ".1f"),
        "share of all change that is in the background": (faces.aged("background_share_of_change").max(1), mean, ".2%"),
        "whole crop, mean difference, worst target": (faces.aged("l1").max(1), mean, ".2%"),
        "no face found in the picture": (np.isnan(faces.aged("years")).mean(1), mean, ".1%"),
    }


# By target


def target_table(faces: MeasuredFaces, reference: Reference) -> Table:
    """Ages, identity, similarity and time, a column for each target."""
    columns = [
        {
            **_age_cells(faces, at, reference),
            **_identity_cells(faces, at, reference),
            **_similarity_cells(faces, at),
        }
        for at in range(len(faces.targets))
    ]
    rows = {name: [column[name] for column in columns] for name in columns[0]} if columns else {}
    if np.isnan(faces.aged("seconds")).all():
        rows.pop("seconds", None)
    return Table(
        name="by target",
        title="Target by target",
        corner="asked for",
        headers=[f"{target:g}" for target in faces.targets],
        rows=rows,
        note=(
            f"Ages are read by {reference.ages.judge}, whose mean error on real held-out faces is "
            f"{reference.ages.mean_error:.1f} years (N={reference.ages.num}); thresholds come from training "
            "people's impostors of one sex. A cosine above that of real pairs means that the face hardly changed."
        ),
    )


def _age_cells(faces: MeasuredFaces, at: int, reference: Reference) -> dict[str, Cell]:
    target, people = faces.targets[at], faces.people
    years, second = faces.aged("years")[:, at], faces.aged("second_years")[:, at]
    expected = float((np.array(faces.targets) + reference.ages.bias_at(np.array(faces.targets)))[at])
    targets = np.full(len(years), target)
    corrected = age_errors(years, targets, expected - target)
    reading = figure(years, people, style=".1f")
    return {
        "pictures": str(int((~np.isnan(years)).sum())),
        "mean reading (EAM), years": reading,
        "what real faces of that age read": Figure(value=expected, style=".1f"),
        "difference, years": Figure(value=abs(reading.value - expected), style=".1f"),
        "mean reading of the second estimator": figure(second, people, style=".1f"),
        "age error, years": figure(age_errors(years, targets), people, style=".1f"),
        "age error less the judge's bias, years": figure(corrected, people, style=".1f"),
        "within 5 years (CS5), bias taken off": figure(corrected, people, cumulative_score, ".0%"),
    }


def _identity_cells(faces: MeasuredFaces, at: int, reference: Reference) -> dict[str, Cell]:
    people, distances, scores = faces.people, faces.distances[:, at], -faces.distances[:, at]
    missed = {
        f"not recognised (FNMR at FMR {threshold.false_match_rate:.2%})": 1 - matches(scores, threshold.score)
        for threshold in reference.identity.thresholds
    }
    recognised = matches(scores, age_gap_scores(np.abs(faces.targets[at] - faces.years_before), reference))
    return {
        "identity distance, median": figure(distances, people, median),
        "identity distance, 95 % quantile": figure(distances, people, _quantile_95),
        "identity cosine (CSIM)": figure(faces.cosines()[:, at], people, style=".3f"),
        **{name: figure(own, people, style=".1%") for name, own in missed.items()},
        "recognised, threshold by age gap (FVR)": figure(recognised, people, style=".1%"),
        "score between strangers (0) and ten real years (1)": _relative_score(scores, reference),
    }


def _similarity_cells(faces: MeasuredFaces, at: int) -> dict[str, Cell]:
    ssim, psnr, seconds = (faces.aged(name)[:, at] for name in ("ssim", "psnr", "seconds"))
    return {
        "SSIM with the source": figure(ssim, faces.people),
        "PSNR with the source, dB, median": figure(psnr, faces.people, median, ".1f"),
        "seconds": figure(seconds, faces.people, median),
    }


# Matches


def matches(scores: Values, threshold: Values | float) -> Values:
    """(N,) 1 where a score reaches its threshold, 0 where not or no face was found, NaN without a threshold."""
    reached = np.nan_to_num(scores, nan=-math.inf) >= threshold
    return np.where(np.isnan(threshold), math.nan, reached.astype(float))


def age_gap_scores(gaps_years: Values, reference: Reference) -> Values:
    """(N,) the threshold for two photos so far apart in age."""
    scores = [reference.identity.thresholds_by_age_gap[name].score for name in age_gap_names()]
    groups = np.clip(np.searchsorted(AGE_GAP_LIMITS_YEARS, gaps_years, side="right") - 1, 0, len(scores) - 1)
    return np.array(scores)[groups]


def nearest(targets: Sequence[float], wanted: float) -> float:
    """The target that is nearest to a wanted one."""
    return min(targets, key=lambda target: abs(target - wanted))


def _relative_score(scores: Values, reference: Reference) -> Figure:
    identity = reference.identity
    known = scores[~np.isnan(scores)]
    if not len(known):
        return Figure(value=math.nan)
    strangers, genuine = identity.impostors.mean, identity.genuine.mean
    return Figure(value=float((known.mean() - strangers) / (genuine - strangers)))


def _quantile_95(values: Values) -> float:
    return float(np.quantile(values, 0.95))


def _mean_of_known(values: Values) -> Values:
    """(N, T) -> (N,) mean over the targets that are known for everybody; NaN if none is."""
    known = values[:, ~np.isnan(values).all(0)]
    return known.mean(1) if known.shape[1] else np.full(len(values), math.nan)
