"""Other opinions on the same pictures: real people's lines, a second matcher, real faces of that age, both judges."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from reage.evaluation.metrics.distribution import KernelDistance, frechet_distance, kernel_distance
from reage.evaluation.metrics.verification import Spread, spread_of
from reage.evaluation.reference import IdentityLines, Reference
from reage.evaluation.report.measured_faces import Faces, Mask, Values, figure, median
from reage.evaluation.report.summary import matches
from reage.evaluation.report.tables import Cell, Figure, Table

MOVES = (((30.0, 50.0), 70.0, (65.0, 80.0)), ((55.0, 75.0), 40.0, (33.0, 47.0)))
"""Realism: people of such true ages, moved to an age, beside real people of other true ages around it."""
LEAST_FACES = 20
"""Faces in either set of a face-KID."""


def identity_lines(faces: Faces, reference: Reference) -> Table:
    """Aged faces between real people."""
    lines = reference.identity
    rows: dict[str, Sequence[Cell]] = {
        f"one person, {lines.genuine_years:.0f} real years apart": _distances(lines.genuine),
        "two people of one sex": _distances(lines.impostors),
    }
    for at, target in enumerate(faces.targets):
        rows[f"source and picture at {target:g}"] = _distances(spread_of(-faces.distances[:, at]))
    missed = []
    for line in lines.thresholds:
        border = Figure(value=-line.score, style=".3f")
        rows[f"border at FMR {line.false_match_rate:.2%}"] = [border, f"{line.num_impostors} pairs", "", "", ""]
        share = Figure(value=line.missed, low=line.missed_low, high=line.missed_high, style=".1%")
        missed.append(f"at FMR {line.false_match_rate:.2%} the border misses {share} of the real pairs")
    return Table(
        name="identity",
        title="Identity, beside real people",
        headers=("mean distance", "N", "nearest twentieth", "median", "farthest twentieth"),
        rows=rows,
        note=f"Distances of dlib's 128 numbers; {'; '.join(missed)}. Real people: {reference.people}.",
    )


def _distances(spread: Spread) -> list[Cell]:
    return [
        Figure(value=-spread.mean),
        str(spread.num),
        Figure(value=-spread.high),
        Figure(value=-spread.median),
        Figure(value=-spread.low),
    ]


def second_matcher(faces: Faces, lines: IdentityLines | None) -> Table | None:
    """The same faces before a second net; its borders need real people of known age."""
    if not faces.sources["matcher"].shape[1]:
        return None
    cosines, people = faces.cosines("matcher"), faces.people
    rows: dict[str, list[Cell]] = {"cosine (CSIM)": [], "cosine, median": []}
    for at in range(len(faces.targets)):
        rows["cosine (CSIM)"].append(figure(cosines[:, at], people, style=".3f"))
        rows["cosine, median"].append(figure(cosines[:, at], people, median, ".3f"))
        for line in lines.thresholds if lines else ():
            missed = 1 - matches(cosines[:, at], line.score)
            name = f"not recognised (FNMR at FMR {line.false_match_rate:.2%})"
            rows.setdefault(name, []).append(figure(missed, people, style=".1%"))
    note = "Without shards of real people its borders and lines are not resolvable."
    if lines:
        note = (
            f"{lines.matcher}: cosine of one person {lines.genuine_years:.0f} real years apart "
            f"{Figure(value=lines.cosines.median, style='.3f')} (median, N={lines.cosines.num}), of two people "
            f"{Figure(value=lines.impostor_cosines.median, style='.3f')} (N={lines.impostor_cosines.num})."
        )
    return Table(
        name="second matcher",
        title="Identity, before a second matcher",
        headers=[f"{target:g}" for target in faces.targets],
        rows=rows,
        note=note,
    )


# Realism


def realism(faces: Faces) -> Table | None:
    """Sets of aged faces beside sets of real ones; None when nobody's true age is known."""
    years = faces.sources["true_years"]
    if np.isnan(years).all():
        return None
    nets = {"face": "features"}
    if faces.sources["inception"].shape[1]:
        nets["Inception"] = "inception"
    headers = [f"{net}-{figure}" for net in nets for figure in ("KID x 1000", "FID")]
    rows: dict[str, list[Cell]] = {}
    for (youngest, oldest), wanted, (low, high) in MOVES:
        if wanted not in faces.targets:
            continue
        moved, real = (years >= youngest) & (years <= oldest), (years >= low) & (years <= high)
        sets = f"{youngest:g}-{oldest:g} beside real {low:g}-{high:g}"
        shown = {f"{sets}, moved to {wanted:g}": True, f"{sets}, as they were": False}
        for name, aged in shown.items():
            rows[name] = [
                cell
                for column in nets.values()
                for cell in _set_distances(faces, column, moved, real, wanted if aged else None)
            ]
        rows[f"half of real {low:g}-{high:g} beside the other half"] = [
            cell for column in nets.values() for cell in _half_distances(faces, column, real)
        ]
    if not rows:
        return None
    return Table(
        name="realism",
        title="Realism: sets of faces beside real ones",
        headers=headers,
        rows=rows,
        note=(
            "A face-KID is the kernel distance on the features of the judging estimator, not the KID of papers; give "
            "Inception weights for that. After the sign ± the deviation over 100 draws. Smaller is better: an engine "
            "should go from the second line of each three towards the third. FID is too large for small sets; compare "
            "it at one N only."
        ),
    )


def _set_distances(faces: Faces, column: str, moved: Mask, real: Mask, target: float | None) -> list[Cell]:
    features = faces.sources[column]
    known = features[real]
    if target is None:
        return _distances_of_sets(known, features[moved])
    aged = faces.rows.at(target)
    files = faces.sources["file"][moved]
    return _distances_of_sets(known, aged[column][np.isin(aged["file"], files)])


def _half_distances(faces: Faces, column: str, real: Mask) -> list[Cell]:
    """Of two halves of real people, no person in both."""
    people = faces.people[real]
    first = np.isin(people, np.random.default_rng(0).permutation(np.unique(people))[::2])
    features = faces.sources[column][real]
    return _distances_of_sets(features[first], features[~first])


def _distances_of_sets(real: Values, aged: Values) -> list[Cell]:
    real, aged = (rows[~np.isnan(rows).any(1)] for rows in (real, aged))
    if min(len(real), len(aged)) < LEAST_FACES:
        return [Figure(value=math.nan), Figure(value=math.nan)]
    kernel, counts = kernel_distance(real, aged), f"N={len(aged)}, {len(real)}"
    return [f"{_by_thousand(kernel)} ({counts})", f"{frechet_distance(real, aged):.3g} ({counts})"]


def _by_thousand(kernel: KernelDistance) -> str:
    return f"{1000 * kernel.mean:.1f} ± {1000 * kernel.std:.1f}"


# Both judges


def judges_agree(faces: Faces, reference: Reference) -> Table:
    """Both estimators on real photos and on pictures made: an engine that fools one of them parts them."""
    rows: dict[str, Sequence[Cell]] = {
        f"real photos of the reference (N={reference.ages.num})": [
            Figure(value=reference.ages.apart, style=".2f"),
            "",
            Figure(value=reference.ages.correlation, style=".3f"),
        ],
        "the photos before": _agreement(faces.sources["years"], faces.sources["reader_years"], faces),
    }
    years, second = faces.of("years"), faces.of("reader_years")
    for at, target in enumerate(faces.targets):
        rows[f"pictures at {target:g}"] = _agreement(years[:, at], second[:, at], faces)
    rows["all pictures made"] = _agreement(years.T.ravel(), second.T.ravel(), faces)
    return Table(
        name="judges",
        title="Do both estimators agree?",
        headers=("apart, years", "second less first, years", "correlation"),
        rows=rows,
        note="At one target the ages lie close together, so the correlation is lower there than over all ages.",
    )


def _agreement(years: Values, second: Values, faces: Faces) -> list[Cell]:
    people = np.tile(faces.people, len(years) // len(faces.people))
    known = ~np.isnan(years) & ~np.isnan(second)
    places = np.flatnonzero(known).astype(float)

    def correlation(drawn: Values) -> float:
        at = drawn.astype(int)
        if not np.ptp(years[at]) or not np.ptp(second[at]):
            return math.nan
        return float(np.corrcoef(years[at], second[at])[0, 1])

    return [
        figure(np.abs(second - years), people),
        figure(second - years, people, style="+.2f"),
        figure(places, people[known], correlation, ".3f"),
    ]
