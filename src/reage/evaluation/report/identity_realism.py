"""Tables of identity beside real people, of a second recognizer, of realism, and of how well both age judges agree."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from reage.evaluation.judges import FINE_CROP_PX
from reage.evaluation.metrics.distribution import KernelDistance, frechet_distance, kernel_distance
from reage.evaluation.metrics.verification import ScoreSummary, summarise_scores
from reage.evaluation.reference import IdentityReference, Reference
from reage.evaluation.report.measured_faces import Mask, MeasuredFaces, Values, figure, median
from reage.evaluation.report.summary import matches
from reage.evaluation.report.tables import Cell, Figure, Table

REALISM_SETS = (((30.0, 50.0), 70.0, (65.0, 80.0)), ((55.0, 75.0), 40.0, (33.0, 47.0)))
"""People of such true ages, moved to a target age, are compared with real people of true ages around it."""
MIN_FACES = 20
"""A face-KID with fewer faces in either set is not resolvable."""


def identity_table(faces: MeasuredFaces, reference: Reference) -> Table:
    """Distances of sources and aged pictures beside those of real people."""
    identity = reference.identity
    rows: dict[str, Sequence[Cell]] = {
        f"one person, {identity.genuine_years:.0f} real years apart": _distances(identity.genuine),
        "two people of one sex": _distances(identity.impostors),
    }
    for at, target in enumerate(faces.targets):
        rows[f"source and picture at {target:g}"] = _distances(summarise_scores(-faces.distances[:, at]))
    missed = []
    for threshold in identity.thresholds:
        distance = Figure(value=-threshold.score, style=".3f")
        rate = f"FMR {threshold.false_match_rate:.2%}"
        rows[f"threshold at {rate}"] = [distance, f"{threshold.num_impostors} pairs", "", "", ""]
        share = Figure(
            value=threshold.non_match_rate, low=threshold.non_match_low, high=threshold.non_match_high, style=".1%"
        )
        missed.append(f"at {rate} {share} of the real pairs do not match")
    return Table(
        name="identity",
        title="Identity, beside real people",
        headers=("mean distance", "N", "nearest twentieth", "median", "farthest twentieth"),
        rows=rows,
        note=f"Distances of dlib's 128 numbers; {'; '.join(missed)}. Real people: {reference.people}.",
    )


def _distances(scores: ScoreSummary) -> list[Cell]:
    return [
        Figure(value=-scores.mean),
        str(scores.num),
        Figure(value=-scores.quantile_95),
        Figure(value=-scores.median),
        Figure(value=-scores.quantile_05),
    ]


def second_recognizer_table(faces: MeasuredFaces, identity: IdentityReference | None) -> Table | None:
    """Identity by the second recognizer; None if there is none.

    Args:
        faces: what was measured.
        identity: that net's reference; without it there are no thresholds.
    """
    if not faces.sources["second_identity"].shape[1]:
        return None
    cosines, people = faces.cosines("second_identity"), faces.people
    rows: dict[str, list[Cell]] = {"cosine (CSIM)": [], "cosine, median": []}
    for at in range(len(faces.targets)):
        rows["cosine (CSIM)"].append(figure(cosines[:, at], people, style=".3f"))
        rows["cosine, median"].append(figure(cosines[:, at], people, median, ".3f"))
        for threshold in identity.thresholds if identity else ():
            missed = 1 - matches(cosines[:, at], threshold.score)
            name = f"not recognised (FNMR at FMR {threshold.false_match_rate:.2%})"
            rows.setdefault(name, []).append(figure(missed, people, style=".1%"))
    note = "Without shards of real people its thresholds are not resolvable."
    if identity:
        genuine, impostors = identity.genuine_cosines, identity.impostor_cosines
        note = (
            f"{identity.recognizer}: cosine of one person {identity.genuine_years:.0f} real years apart "
            f"{Figure(value=genuine.median, style='.3f')} (median, N={genuine.num}), of two people "
            f"{Figure(value=impostors.median, style='.3f')} (N={impostors.num})."
        )
    return Table(
        name="second recognizer",
        title="Identity, by a second recognizer",
        headers=[f"{target:g}" for target in faces.targets],
        rows=rows,
        note=note,
    )


# Realism


def realism_table(faces: MeasuredFaces) -> Table | None:
    """KID and FID of sets of aged faces and sets of real ones; None when no true age is known."""
    years = faces.sources["true_years"]
    if np.isnan(years).all():
        return None
    nets = {
        name: column
        for name, column in (
            ("face", "features"),
            (f"face at {FINE_CROP_PX} px", "fine_features"),
            ("Inception", "inception"),
        )
        if faces.sources[column].shape[1]
    }
    rows: dict[str, list[Cell]] = {}
    for (youngest, oldest), target, (low, high) in REALISM_SETS:
        if target not in faces.targets:
            continue
        moved, real = (years >= youngest) & (years <= oldest), (years >= low) & (years <= high)
        sets = f"{youngest:g}-{oldest:g} beside real {low:g}-{high:g}"
        for name, at in ((f"{sets}, moved to {target:g}", target), (f"{sets}, as they were", None)):
            rows[name] = [cell for column in nets.values() for cell in _set_distances(faces, column, moved, real, at)]
        rows[f"half of real {low:g}-{high:g} beside the other half"] = [
            cell for column in nets.values() for cell in _half_distances(faces, column, real)
        ]
    if not rows:
        return None
    return Table(
        name="realism",
        title="Realism: sets of faces beside real ones",
        headers=[_metric_name(net, metric) for net in nets for metric in ("KID x 1000", "FID")],
        rows=rows,
        note=(
            "A face-KID is the kernel distance on the features of the judges' age estimator, not the KID of papers; "
            "give Inception weights for that; "
            f"at {FINE_CROP_PX} px the same net sees crops of that side, where skin texture counts for more and age "
            "for less. The number after ± is the standard deviation over 100 draws. Smaller is "
            "better: an engine should bring the first line of each three from the second towards the third. FID is too "
            "large for small sets; compare it only at the same N."
        ),
    )


def _metric_name(net: str, metric: str) -> str:
    """Name of a column, such as "face-KID x 1000 at 512 px"."""
    name, _, px = net.partition(" ")
    return f"{name}-{metric} {px}".rstrip()


def _set_distances(faces: MeasuredFaces, column: str, moved: Mask, real: Mask, target: float | None) -> list[Cell]:
    """Distances of real people to the moved people at a target, or as they were without one."""
    features = faces.sources[column]
    if target is None:
        return _distances_of_sets(features[real], features[moved])
    aged = faces.aged_rows[target]
    files = faces.sources["file"][moved]
    return _distances_of_sets(features[real], aged[column][np.isin(aged["file"], files)])


def _half_distances(faces: MeasuredFaces, column: str, real: Mask) -> list[Cell]:
    """Distances of two halves of the real people, no person in both."""
    people = faces.people[real]
    first = np.isin(people, np.random.default_rng(0).permutation(np.unique(people))[::2])
    features = faces.sources[column][real]
    return _distances_of_sets(features[first], features[~first])


def _distances_of_sets(real: Values, aged: Values) -> list[Cell]:
    """Cells of KID and FID."""
    real, aged = (rows[~np.isnan(rows).any(1)] for rows in (real, aged))
    if min(len(real), len(aged)) < MIN_FACES:
        return [Figure(value=math.nan), Figure(value=math.nan)]
    kernel, counts = kernel_distance(real, aged), f"N={len(aged)}, {len(real)}"
    return [f"{_by_thousand(kernel)} ({counts})", f"{frechet_distance(real, aged):.3g} ({counts})"]


def _by_thousand(kernel: KernelDistance) -> str:
    return f"{1000 * kernel.mean:.1f} ± {1000 * kernel.std:.1f}"


# Both age judges


def judge_agreement_table(faces: MeasuredFaces, reference: Reference) -> Table:
    """How far both age estimators differ on real photos and on aged pictures: more on those that fool one of them."""
    rows: dict[str, Sequence[Cell]] = {
        f"real photos of the reference (N={reference.ages.num})": [
            Figure(value=reference.ages.mean_difference, style=".2f"),
            "",
            Figure(value=reference.ages.correlation, style=".3f"),
        ],
        "the photos before": _agreement(faces.sources["years"], faces.sources["second_years"], faces),
    }
    years, second = faces.aged("years"), faces.aged("second_years")
    for at, target in enumerate(faces.targets):
        rows[f"pictures at {target:g}"] = _agreement(years[:, at], second[:, at], faces)
    rows["all pictures"] = _agreement(years.T.ravel(), second.T.ravel(), faces)
    return Table(
        name="judges",
        title="Do both age estimators agree?",
        headers=("absolute difference, years", "second minus first, years", "correlation"),
        rows=rows,
        note="At one target the ages lie close together, so the correlation is lower there than over all ages.",
    )


def _agreement(years: Values, second: Values, faces: MeasuredFaces) -> list[Cell]:
    people = np.tile(faces.people, len(years) // len(faces.people))
    known = ~np.isnan(years) & ~np.isnan(second)
    indices = np.flatnonzero(known).astype(float)

    def correlation(sample: Values) -> float:
        at = sample.astype(int)
        if not np.ptp(years[at]) or not np.ptp(second[at]):
            return math.nan
        return float(np.corrcoef(years[at], second[at])[0, 1])

    return [
        figure(np.abs(second - years), people),
        figure(second - years, people, style="+.2f"),
        figure(indices, people[known], correlation, ".3f"),
    ]
