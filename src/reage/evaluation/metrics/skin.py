"""Whether aged skin has the fine detail of real skin of that age, and whether it keeps its hue.

Convention:
    energies (N, Q, B) as of `reage.faces.skin_detail.measure_energy`: mean absolute value of each of B frequency bands
    of log luminance, finest first, in each of Q patches of the face. A result is NaN where nothing is known.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from reage.faces.skin_detail import BAND_SIGMAS
from reage.images import regions
from reage.types import Pixels

Values = NDArray[np.floating]
Mask = NDArray[np.bool_]
Names = NDArray[np.str_]

MIN_REAL_PEOPLE = 8
"""An energy ratio is known where at least so many real people show the patch."""
LIKE_REAL = (0.7, 1.3)
"""Energy ratios between these count as those of real skin; lower ones are too smooth, higher ones too strong."""
MIN_CHROMA = 2.0
"""Mean chroma of skin in CIE L*a*b* below which it has no hue."""
_MIN_SIGMA_PX = 1.0


def resolved_bands(px_per_face_unit: Values) -> Mask:
    """(N, B) which bands a photo resolves: those whose wider blur has a sigma of at least one of its pixels.

    The frequency at the middle of such a band has a wavelength of at least 3.3 px.

    Args:
        px_per_face_unit: (N,) photo px between the eyes.
    """
    return np.asarray(px_per_face_unit)[:, None] * np.array(BAND_SIGMAS) >= _MIN_SIGMA_PX


def energy_ratios(energies: Values, people: Names, real: Values, real_people: Names) -> Values:
    """Energy of each face divided by the mean over real people, the person of the face left out.

    Args:
        energies: (N, Q, B).
        people: (N,) ids.
        real: (M, Q, B) of real photos; several photos of a person count as their mean.
        real_people: (M,) ids.

    Returns:
        (N, Q, B); NaN where fewer than `MIN_REAL_PEOPLE` are known.
    """
    names = np.unique(real_people)
    means = np.array([_mean_of_known(real[real_people == name]) for name in names]).reshape(-1, *energies.shape[1:])
    ratios = np.full(energies.shape, math.nan)
    for person in np.unique(people):
        others = means[names != person]
        enough = np.isfinite(others).sum(0) >= MIN_REAL_PEOPLE
        typical = np.where(enough, _mean_of_known(others), math.nan)
        own = people == person
        ratios[own] = energies[own] / np.where(typical > 0, typical, math.nan)
    return ratios


def share_between(ratios: Values, low: float, high: float) -> Values:
    """(N,) share in [0, 1] of the known ratios of each face (N, ...) from `low` to below `high`; NaN without any."""
    flat = np.asarray(ratios).reshape(len(ratios), math.prod(ratios.shape[1:]))
    known = np.isfinite(flat)
    counts = known.sum(1)
    inside = (known & (flat >= low) & (flat < high)).sum(1)
    return np.divide(inside, counts, out=np.full(len(flat), math.nan), where=counts > 0)


def hue_shift(before: Pixels, after: Pixels, skin: Mask) -> float:
    """Mean absolute change of the hue angle of CIE L*a*b* in degrees, 0 to 180.

    Pixels are weighted by the geometric mean of both chromas, as hue is in the hue difference of CIE (1976).

    Args:
        before: (H, W, 3) RGB uint8.
        after: the same shape.
        skin: (H, W); NaN where its mean chroma is below `MIN_CHROMA` in either picture, as in grey photos.
    """
    if not skin.any():
        return math.nan
    first, second = (regions.to_lab(pixels)[skin][:, 1:].astype(np.float64) for pixels in (before, after))
    chromas = np.hypot(*first.T), np.hypot(*second.T)
    if min(chroma.mean() for chroma in chromas) < MIN_CHROMA:
        return math.nan
    turned = np.abs(np.arctan2(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0], (first * second).sum(1)))
    return float(np.degrees(np.average(turned, weights=np.sqrt(chromas[0] * chromas[1]))))


def _mean_of_known(values: Values) -> Values:
    """(N, ...) -> (...) mean over the first axis of what is finite; NaN where nothing is."""
    known = np.isfinite(values)
    counts = known.sum(0)
    total = np.where(known, values, 0).sum(0)
    return np.divide(total, counts, out=np.full(total.shape, math.nan), where=counts > 0)
