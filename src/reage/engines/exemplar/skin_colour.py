"""Changes dark spots and redness towards wished scores, in the colours of the photo.

Convention: planes of the common face as in `reage.faces.skin_colour`; changes are log ratios, see `reage.types.Gain`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from reage.composite import apply_gains
from reage.errors import PlanError
from reage.faces.common_face import COMMON_UNITS
from reage.faces.common_view import CommonView
from reage.faces.geometry import smoothstep
from reage.faces.skin_colour import (
    REDNESS_PX,
    find_dark_spots,
    measure_dark_spots,
    redness_of,
    redness_regions,
    small_view,
    spot_weights,
)
from reage.faces.skin_detail import LUMINANCE, to_log
from reage.faces.skin_scorer import SkinScorer, SkinValues, read_skin
from reage.images import geometry, regions
from reage.types import CompletePlan, Face, Pixels, Plane

_SPOT_SPREAD, _SPOT_SOFTNESS = 0.02, 0.01
"""Face units by which a spot is larger than where its contrast is found, and the width of its border."""
_SURROUND, _SURROUND_PX = 0.06, 200
"""Blur of the skin around a spot, face units, and side of the common face in which it is made."""
_PORES = 0.006
"""What is finer, face units, stays."""
_MOLE_LIGHT, _MOLE_RADIUS = 0.7, 0.04
"""Log luminance by which a mole is darker than its surround, and its size; moles stay."""
_SURE_CONTRAST, _LEAST_WEIGHT = 0.004, 0.05
"""Contrast from which a spot is changed in full, and weight of the skin below which none is."""
_MOST_DARKENING = 3.0
"""Times of its own colour that a spot may get darker by."""
_MOST_SPOT = 0.5
_GROWTH = 1.5
"""Rise of the mean contrast of spots, relative, when they get darker by once their own colour."""
_MOST_AGING = 1.0
"""The same bound for what an older age brings."""
_ROUNDS = 7
"""Bisections of the share by which spots are changed."""
_RED_DIRECTION = np.array([0.2, -0.64, -0.47], np.float32)
"""Change of log RGB of one in `redness_of`: that of haemoglobin, with half of its change of light."""
_MOST_REDNESS = 0.3
_RED_SOFTNESS = 0.14
_LEAST_EXCESS = 0.02
"""Redness below that of forehead and temples at which nothing more is taken away."""


@dataclass(frozen=True)
class Spots:
    """The dark spots of a face.

    Args:
        share: (N, N) 1 in a spot, 0 outside, in the view of `view_skin`.
        view: that view.
    """

    share: Plane
    view: CommonView


@cache
def _scorer() -> SkinScorer:
    return SkinScorer.load()


def skin_colour_change(face: Face, levels: Pixels, before: Plane, plan: CompletePlan) -> Plane:
    """The change of log colour (N, N, 3) that a plan asks for: its scores, and fewer dark spots for a younger face.

    Args:
        face: to change.
        levels: (N, N, 3) of it in the common face, at any resolution.
        before: (N, N, 3) change of log colour that the age brings; a spot that it has faded is not removed twice.
        plan: for it.

    Raises:
        PlanError: when the photo does not show what is to be changed.
    """
    change = np.zeros((*levels.shape[:2], 3), np.float32)
    if not plan.skin and plan.age == plan.age_from:
        return change
    read = read_skin(face)
    shown = {} if read is None else read.values
    hidden = [name for name in plan.skin if name not in shown]
    if hidden:
        raise PlanError(
            f"The photo does not show {' and '.join(hidden)}: it has no colour, the face is small or turned, or too "
            "little of the skin is bare; leave it out, or take a larger photo."
        )
    if read is None:
        return change
    wanted = {name: _scorer().value(name, score, read.tone) for name, score in plan.skin.items()}
    if "dark_spots" in shown:
        spots = find_spots(read.view)
        if "dark_spots" in wanted:
            share = _spot_share(spots, wanted["dark_spots"])
        else:
            share = _aging_share(read, plan.age_from, plan.age)
        change += spot_change(spots, _apply(levels, before) if share > 0 else levels, share)
    if "redness" in wanted:
        small = redness_change(read.view, wanted["redness"] - read.values["redness"])
        change += geometry.resize(small, len(levels), len(levels))
    return change


def _aging_share(read: SkinValues, old_years: float, new_years: float) -> float:
    """The share for `spot_change` between two ages: the score stays as far above or below the mean of the age."""
    scorer, value = _scorer(), read.values["dark_spots"]
    rise = scorer.typical_score("dark_spots", new_years) - scorer.typical_score("dark_spots", old_years)
    score = scorer.score("dark_spots", value, read.tone)
    wanted = scorer.value("dark_spots", float(np.clip(score + rise, 0, 1)), read.tone)
    return float(np.clip((1 - math.exp(wanted - value)) / (1 if rise < 0 else _GROWTH), -_MOST_AGING, 1))


# Dark spots


def find_spots(view: CommonView) -> Spots:
    """The dark spots of a view, without moles; faint ones are found once stronger ones beside them are gone."""
    first = _find_once(view)
    second = _find_once(replace(view, levels=_apply(view.levels, spot_change(first, view.levels, 1.0))))
    return Spots(np.maximum(first.share, second.share), view)


def _find_once(view: CommonView) -> Spots:
    unit = len(view.levels) / COMMON_UNITS
    contrast = find_dark_spots(view) * (spot_weights(view.usable) > _LEAST_WEIGHT)
    share = geometry.grow(smoothstep(contrast, 0.0, _SURE_CONTRAST), _SPOT_SPREAD * unit)
    share = geometry.blur(share, _SPOT_SOFTNESS * unit)
    depth = (_towards_surround(to_log(view.levels), share, unit) @ LUMINANCE) * share
    moles = geometry.grow((depth > _MOLE_LIGHT).astype(np.float32), _MOLE_RADIUS * unit)
    return Spots(share * (1 - geometry.blur(moles, _SPOT_SOFTNESS * unit)), view)


def spot_change(spots: Spots, levels: Pixels, share: float) -> Plane:
    """The change of log colour (N, N, 3) that takes a share of the spots away, or adds to them where it is negative."""
    side = len(levels)
    place = geometry.resize(spots.share, side, side)
    removed = _towards_surround(to_log(levels), place, side / COMMON_UNITS)
    change: Plane = np.maximum(np.float32(share) * place[..., None] * removed, -_MOST_SPOT)
    return change


def _towards_surround(colour: Plane, place: Plane, unit: float) -> Plane:
    """(N, N, 3) log colour of the skin around the places (N, N), on a smaller plane, less that in them."""
    side = len(colour)
    small = min(side, _SURROUND_PX)
    rest = 1 - geometry.resize(place, small, small)
    sigma = _SURROUND * unit * small / side
    weight = np.maximum(geometry.blur(rest, sigma), 1e-3)
    skin = geometry.resize(colour, small, small) * rest[..., None]
    around = np.divide(geometry.blur(skin, sigma), weight[..., None], dtype=np.float32)
    own = geometry.blur(colour, _PORES * unit)
    removed: Plane = np.maximum(geometry.resize(around, side, side) - own, 0)
    return removed


def _spot_share(spots: Spots, wanted: float) -> float:
    """The share for `spot_change` after which `measure_dark_spots` is what is wanted, or as near as it gets."""
    low, high = -_MOST_DARKENING, 1.0
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        changed = replace(spots.view, levels=_apply(spots.view.levels, spot_change(spots, spots.view.levels, middle)))
        low, high = (middle, high) if measure_dark_spots(changed) > wanted else (low, middle)
    return (low + high) / 2


def _apply(levels: Pixels, change: Plane) -> Pixels:
    return regions.to_pixels(apply_gains(levels, [change]))


# Redness


def redness_change(view: CommonView, wanted: float) -> Plane:
    """The change of log colour (M, M, 3) by which `measure_redness` rises by what is wanted.

    It lies on cheeks and nose, and follows what is red there. What is not redder than the forehead stays, so that no
    cheek turns green: a very low score may not be reached.
    """
    levels, usable = small_view(view)
    unit = REDNESS_PX / COMMON_UNITS
    red, calm = redness_regions()
    place = geometry.blur(red, _RED_SOFTNESS * unit)
    redness = geometry.blur(redness_of(levels), 0.05 * unit)
    inside = red * usable
    mean = float((redness * inside).sum() / inside.sum())
    spread = math.sqrt(float(((redness - mean) ** 2 * inside).sum() / inside.sum())) + 1e-3
    place = place * np.clip(1 + 0.4 * (redness - mean) / spread, 0.4, 1.6)
    effect = [float((place * region * usable).sum() / (region * usable).sum()) for region in (red, calm)]
    amount = np.clip(wanted / max(effect[0] - effect[1], 0.1), -_MOST_REDNESS, _MOST_REDNESS)
    weights = calm * usable
    excess = redness - float((redness * weights).sum() / weights.sum()) + _LEAST_EXCESS
    rise = np.maximum(np.float32(amount) * place, -np.maximum(excess, 0))
    change: Plane = rise[..., None] * _RED_DIRECTION
    return change.astype(np.float32)
