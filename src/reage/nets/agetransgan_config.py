"""Age groups and sizes of AgeTransGAN; without torch, so that the engine knows them too."""

from __future__ import annotations

GROUP_YEARS: tuple[tuple[int, int], ...] = (
    *((0, 2), (3, 6), (7, 9), (10, 14), (15, 19), (20, 29), (30, 39), (40, 49), (50, 69), (70, 120)),
)
"""First and last year of each of the ten groups of FFHQ-Aging (Or-El et al., ECCV 2020)."""


def group_of(age_years: float) -> int:
    """Number of the group of an age; a birthday is the first day in the next year of life."""
    return max(number for number, (first, _) in enumerate(GROUP_YEARS) if age_years >= first)
