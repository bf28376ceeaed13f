"""What to read first: how much age, at what cost in identity and background, for everybody and for each group."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from reage.evaluation.metrics.ages import age_errors, share_within
from reage.evaluation.metrics.progression import (
    TOLERANCE_YEARS,
    rising_faces,
    rising_steps,
    slopes,
    unevenness,
)
from reage.evaluation.metrics.statistics import rank_agreement, rank_correlation
from reage.evaluation.reference import GAPS_YEARS, Reference, gap_names
from reage.evaluation.report.measured_faces import Faces, Values, figure, mean, median
from reage.evaluation.report.tables import Cell, Figure, Table

OLDER, YOUNGER = 75.0, 30.0
"""Targets of the headline; of others the nearest ones."""
LEAST_PROGRESSION = 3
"""Targets that make a progression."""

Measured = dict[str, tuple[Values, Callable[[Values], float], str]]
"""Name -> values (N,), their statistic, and its style."""


def headline(faces: Faces, reference: Reference) -> Table:
    """Every group beside the others."""
    figures = {**_at_targets(faces, reference), **_over_targets(faces, reference), **_untouched(faces)}
    identity = reference.identity
    return Table(
        name="headline",
        title="At a glance",
        headers=[f"{name} (N={mask.sum()})" for name, mask in faces.groups.items()],
        rows={
            name: [figure(values[mask], faces.people[mask], statistic, style) for mask in faces.groups.values()]
            for name, (values, statistic, style) in figures.items()
        },
        note=(
            "Means unless said; in brackets the 95 % interval by a bootstrap over people. Two photos of one person "
            f"{identity.genuine_years:.0f} years apart are {-identity.genuine.median:.2f} from each other (median, "
            f"N={identity.genuine.num}), photos of two people {-identity.impostors.median:.2f} "
            f"(N={identity.impostors.num}); the border is {-identity.thresholds[0].score:.2f}. Backdrops are known in "
            "photos with a plain coloured one; the background is all but skin and hair and a margin around them."
        ),
    )


def _at_targets(faces: Faces, reference: Reference) -> Measured:
    figures: Measured = {}
    gained = faces.of("years") - faces.sources["years"][:, None]
    score = reference.identity.thresholds[0].score
    for target in dict.fromkeys(nearest(faces.targets, wanted) for wanted in (OLDER, YOUNGER)):
        at = faces.targets.index(target)
        figures[f"years gained at {target:g}"] = (gained[:, at], mean, "+.1f")
        figures[f"identity distance at {target:g}, median"] = (faces.distances[:, at], median, ".3f")
        figures[f"still the same person at {target:g}"] = (matches(-faces.distances[:, at], score), mean, ".1%")
    return figures


def _over_targets(faces: Faces, reference: Reference) -> Measured:
    years, targets = faces.of("years"), np.array(faces.targets)
    errors = age_errors(years, targets)
    corrected = age_errors(years, targets, reference.ages.bias_at(targets))
    figures: Measured = {
        "age error, all targets, years": (errors.mean(1), mean, ".1f"),
        "the same less the judge's own bias, years": (_mean_of_known(corrected), mean, ".1f"),
    }
    if len(targets) < LEAST_PROGRESSION:
        return figures
    rising, steps = rising_steps(years, TOLERANCE_YEARS), np.abs(np.diff(faces.distances, axis=1))
    ranks = {"Spearman": rank_correlation, "Kendall's tau-b": rank_agreement}
    return {
        **figures,
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
        "largest step in identity by mean step": (unevenness(steps), mean, ".2f"),
        "cosine lost by ten years of target": (-10 * slopes(targets, faces.cosines()), mean, ".4f"),
    }


def _untouched(faces: Faces) -> Measured:
    return {
        "backdrop changed visibly, worst target": (faces.of("backdrop_changed").max(1), mean, ".2%"),
        "background, mean difference, worst target": (faces.of("background_l1").max(1), mean, ".3%"),
        "background PSNR, worst target, dB, median": (faces.of("background_psnr").min(1), median, ".1f"),
        "share of all change that is in the background": (faces.of("leak").max(1), mean, ".2%"),
        "whole crop, mean difference, worst target": (faces.of("changed").max(1), mean, ".2%"),
        "no face found in the picture made": (np.isnan(faces.of("years")).mean(1), mean, ".1%"),
    }


def by_target(faces: Faces, reference: Reference) -> Table:
    """Every target beside the others."""
    rows: dict[str, list[Cell]] = {}

    def add(name: str, cell: Cell) -> None:
        rows.setdefault(name, []).append(cell)

    people, truly = faces.people, faces.sources["true_years"]
    years, second = faces.of("years"), faces.of("reader_years")
    expected = np.array(faces.targets) + reference.ages.bias_at(np.array(faces.targets))
    scores, cosines = -faces.distances, faces.cosines()
    columns = {name: faces.of(name) for name in ("ssim", "psnr", "seconds")}
    for at, target in enumerate(faces.targets):
        read = figure(years[:, at], people, style=".1f")
        add("pictures", str(int((~np.isnan(years[:, at])).sum())))
        add("mean reading (EAM), years", read)
        add("what real faces of that age read", Figure(value=float(expected[at]), style=".1f"))
        add("gap, years", Figure(value=abs(read.value - float(expected[at])), style=".1f"))
        add("mean reading of the second estimator", figure(second[:, at], people, style=".1f"))
        errors = age_errors(years[:, at], np.full(len(years), target))
        add("age error, years", figure(errors, people, style=".1f"))
        corrected = age_errors(years[:, at], np.full(len(years), target), expected[at] - target)
        add("the same less the judge's bias", figure(corrected, people, style=".1f"))
        add("within 5 years (CS5), bias taken off", figure(corrected, people, share_within, ".0%"))
        add("identity distance, median", figure(-scores[:, at], people, median))
        add("its worst twentieth", figure(-scores[:, at], people, _highest_twentieth))
        add("identity cosine (CSIM)", figure(cosines[:, at], people, style=".3f"))
        for line in reference.identity.thresholds:
            missed = 1 - matches(scores[:, at], line.score)
            add(f"not recognised (FNMR at FMR {line.false_match_rate:.2%})", figure(missed, people, style=".1%"))
        start = np.where(np.isnan(truly), faces.sources["reader_years"], truly)
        fair = matches(scores[:, at], gap_scores(np.abs(target - start), reference))
        add("recognised, threshold by age gap (FVR)", figure(fair, people, style=".1%"))
        add("place between strangers (0) and ten real years (1)", _place(scores[:, at], reference))
        add("SSIM with the source", figure(columns["ssim"][:, at], people))
        add("PSNR with the source, dB, median", figure(columns["psnr"][:, at], people, median, ".1f"))
        add("seconds", figure(columns["seconds"][:, at], people, median))
    if np.isnan(columns["seconds"]).all():
        del rows["seconds"]
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


def matches(scores: Values, threshold: Values | float) -> Values:
    """(N,) 1 where a score reaches its threshold, 0 where not or no face was found, NaN without a threshold."""
    reached = np.nan_to_num(scores, nan=-math.inf) >= threshold
    return np.where(np.isnan(threshold), math.nan, reached.astype(float))


def gap_scores(gaps_years: Values, reference: Reference) -> Values:
    """(N,) the threshold for two photos so far apart in age."""
    found = [reference.identity.by_gap[name].score for name in gap_names()]
    places = np.clip(np.searchsorted(GAPS_YEARS, gaps_years, side="right") - 1, 0, len(found) - 1)
    return np.array(found)[places]


def nearest(targets: Sequence[float], wanted: float) -> float:
    """The target that is nearest to a wanted one."""
    return min(targets, key=lambda target: abs(target - wanted))


def _place(scores: Values, reference: Reference) -> Figure:
    lines = reference.identity
    found = scores[~np.isnan(scores)]
    if not len(found):
        return Figure(value=math.nan)
    return Figure(value=float((found.mean() - lines.impostors.mean) / (lines.genuine.mean - lines.impostors.mean)))


def _highest_twentieth(values: Values) -> float:
    return float(np.quantile(values, 0.95))


def _mean_of_known(values: Values) -> Values:
    """(N, T) -> (N,) mean over the targets that are known for everybody; NaN if none is."""
    known = values[:, ~np.isnan(values).all(0)]
    return known.mean(1) if known.shape[1] else np.full(len(values), math.nan)
