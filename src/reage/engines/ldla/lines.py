"""Lines that are drawn in the common face, and the bounds within which they are scaled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reage.engines.exemplar.view import FaceView
from reage.engines.ldla.redraw import PatchEdit
from reage.faces.patches import zone_map, zone_of_patch
from reage.faces.skin_detail import coarser_than, fill_unusable, hold_within, log_luminance
from reage.types import Plane

COARSEST_PARTS = 16
"""What is coarser than the face divided by so many comes from `exemplar`."""
_MOST_LINES = (-0.6, 0.3)
"""Bounds of the change of log luminance, darker and lighter, of zones whose score rises."""
_TINY = 1e-4


@dataclass(frozen=True)
class Lines:
    """Lines in the common face, by any factor.

    Args:
        drawn: (N, N, 3) change of log colour.
        least: (N, N, 1) 0 or below: bound of it where it is darker.
        most: (N, N, 1) 0 or above: bound of it where it is lighter.
    """

    drawn: Plane
    least: Plane
    most: Plane

    def scaled(self, factor: Plane | float) -> Plane:
        """(N, N, 3) the lines times a factor, smoothly held within their bounds."""
        lines = np.asarray(factor, np.float32) * self.drawn
        return hold_within(lines, np.minimum(self.least, -_TINY), np.maximum(self.most, _TINY))


def bound_lines(view: FaceView, edits: Sequence[PatchEdit]) -> tuple[Plane, Plane]:
    """The least and the most change of log luminance, each (N, N, 1).

    In zones whose score falls, a change may take away what of the face's own detail there is, and no more: beyond,
    folds become light streaks.
    """
    light = fill_unusable(log_luminance(view.levels), view.usable)
    detail = light - coarser_than(light, COARSEST_PARTS)
    falling = [edit.patch for edit in edits if edit.target_score < edit.score]
    share = np.minimum(2 * zone_map([zone_of_patch(name) for name in falling], len(light)), 1)
    darker, lighter = (bound + share * (own - bound) for bound, own in zip(_MOST_LINES, _to_flat(detail), strict=True))
    return darker[..., None].astype(np.float32), lighter[..., None].astype(np.float32)


def _to_flat(detail: Plane) -> tuple[Plane, Plane]:
    """The least and the most change that takes detail (N, N) no further than to 0."""
    return np.minimum(-detail, 0), np.maximum(-detail, 0)
