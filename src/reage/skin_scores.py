"""The names of the scores of skin colour, and the check of a wish for them."""

from __future__ import annotations

from collections.abc import Mapping

from reage.errors import PlanError
from reage.zones import check_range

SKIN_SCORES: tuple[str, ...] = ("dark_spots", "redness")
"""Spots of 2 to 6 mm that are darker and browner than their surround, such as freckles and age spots; redness of
cheeks and nose against forehead and temples."""


def check_skin(scores: Mapping[str, float]) -> dict[str, float]:
    """The scores in the order of `SKIN_SCORES`.

    Args:
        scores: one of `SKIN_SCORES` -> score in [0, 1], the share of people of the same skin tone who have less.

    Raises:
        PlanError: on an unknown name or a score outside [0, 1].
    """
    for name, score in scores.items():
        if name not in SKIN_SCORES:
            raise PlanError(f"There is no skin score '{name}'; use {' or '.join(SKIN_SCORES)}.")
        check_range(f"The skin score '{name}'", score, 0, 1)
    return {name: float(scores[name]) for name in SKIN_SCORES if name in scores}
