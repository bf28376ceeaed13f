"""The One-Euro filter (Casiez, Roussel & Vogel, CHI 2012): it smooths what rests and follows what moves.

Convention: values (T, N, C) of T frames, of any unit; times in seconds, rising.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from reage.images import geometry
from reage.images.motion import fit_affine
from reage.types import Matrix, Plane

Move = Callable[[NDArray[np.float64]], NDArray[np.float64]]

_REACH = 12
"""Frames by which a track is continued at its ends before it is filtered."""


@dataclass(frozen=True, kw_only=True)
class OneEuroConfig:
    """Settings of the filter.

    Args:
        min_cutoff_hz: cutoff frequency of what rests; the lower, the steadier.
        beta: Hz by which the cutoff rises for each unit a second; the higher, the less what moves lags behind.
        speed_cutoff_hz: cutoff frequency of the speed itself.
    """

    min_cutoff_hz: float = 3.0
    beta: float = 20.0
    speed_cutoff_hz: float = 2.0


class OneEuroFilter:
    """The filter for values that come one after the other.

    Args:
        config: its settings.

    Example:
        >>> steady = OneEuroFilter()
        >>> float(steady(np.zeros(1), 0.0)[0]), float(steady(np.ones(1), 0.04)[0]) > 0.8
        (0.0, True)
    """

    def __init__(self, config: OneEuroConfig = OneEuroConfig()) -> None:
        self.config = config
        self._value: NDArray[np.float64] | None = None
        self._speed: NDArray[np.float64] | None = None
        self._seconds = 0.0

    def __call__(self, value: NDArray[np.float64], seconds: float, move: Move | None = None) -> NDArray[np.float64]:
        """The filtered value (...) at a time that is later than the one before.

        Args:
            value: as measured.
            seconds: its time.
            move: takes the filtered value of before to where it is expected now; None where it is expected to rest.
        """
        value = np.array(value, np.float64)
        if self._value is None or self._speed is None:
            self._value, self._speed, self._seconds = value, np.zeros_like(value), seconds
            return value
        step = max(seconds - self._seconds, 1e-4)
        expected = self._value if move is None else move(self._value)
        speed = (value - expected) / step
        steady_speed = self._speed + _share(self.config.speed_cutoff_hz, step) * (speed - self._speed)
        cutoff = self.config.min_cutoff_hz + self.config.beta * np.abs(steady_speed)
        steady: NDArray[np.float64] = expected + _share(cutoff, step) * (value - expected)
        self._value, self._speed, self._seconds = steady, steady_speed, seconds
        return steady


def _share(cutoff_hz: NDArray[np.float64] | float, step_seconds: float) -> NDArray[np.float64]:
    rise = 2 * math.pi * np.asarray(cutoff_hz) * step_seconds
    return np.asarray(rise / (rise + 1), np.float64)


def smooth(
    values: NDArray[np.floating], seconds: NDArray[np.floating], config: OneEuroConfig = OneEuroConfig()
) -> Plane:
    """The values of a whole track, filtered forwards and backwards; the mean of both lags behind in neither direction.

    Args:
        values: (T, ...).
        seconds: (T,).
        config: of the filter.
    """
    reach = min(_REACH, len(values) - 1)
    longer, times = (_go_on(np.asarray(one, np.float64), reach) for one in (values, seconds))
    forwards, backwards = OneEuroFilter(config), OneEuroFilter(config)
    there = np.stack([forwards(value, float(at)) for value, at in zip(longer, times, strict=True)])
    back = np.stack([backwards(value, -float(at)) for value, at in zip(longer[::-1], times[::-1], strict=True)])
    return ((there + back[::-1]) / 2)[reach : reach + len(values)].astype(np.float32)


def _go_on(values: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """Values (T, ...) that move on at both ends as they moved there, so that the filter has settled at the ends."""
    before = 2 * values[:1] - values[1 : reach + 1][::-1]
    after = 2 * values[-1:] - values[-reach - 1 : -1][::-1]
    return np.concatenate([before, values, after])


def smooth_mesh(
    meshes: Plane,
    seconds: NDArray[np.floating],
    steps: NDArray[np.floating],
    config: OneEuroConfig = OneEuroConfig(min_cutoff_hz=1.5, beta=4.0),
) -> Plane:
    """The meshes of a track, steadied: they move as the skin does, and what they differ by from that is filtered.

    Args:
        meshes: (T, 478, 3) px of the picture.
        seconds: (T,).
        steps: (T, 2, 3) matrix by which the skin moved from the frame before, px; the first means nothing.
        config: of the filter, whose unit is the height of the face.
    """
    if len(meshes) < 2:
        return meshes.astype(np.float32)
    height = max(float(np.median(np.ptp(meshes[..., 1], axis=1))), 1.0)
    reach = min(_REACH, len(meshes) - 1)
    longer, times = _go_on(meshes.astype(np.float64), reach), _go_on(np.asarray(seconds, np.float64), reach)
    points = [fit_affine(one[:, :2], other[:, :2]) for one, other in pairwise(longer[: reach + 1])]
    after = [fit_affine(one[:, :2], other[:, :2]) for one, other in pairwise(longer[len(longer) - reach - 1 :])]
    moves = [np.eye(2, 3), *points, *steps[1:], *after]
    there = _filter(longer, times, moves, height, config)
    undone = [np.eye(2, 3), *(geometry.invert(one) for one in moves[:0:-1])]
    back = _filter(longer[::-1], -times[::-1], undone, height, config)[::-1]
    return ((there + back) / 2)[reach : reach + len(meshes)].astype(np.float32)


def _filter(
    meshes: NDArray[np.float64],
    seconds: NDArray[np.float64],
    moves: Sequence[Matrix],
    height: float,
    config: OneEuroConfig,
) -> NDArray[np.float64]:
    steady = OneEuroFilter(config)
    found = []
    for mesh, at, matrix in zip(meshes, seconds, moves, strict=True):

        def move(before: NDArray[np.float64], matrix: Matrix = matrix) -> NDArray[np.float64]:
            return geometry.move_points(before * height, matrix).astype(np.float64) / height

        found.append(steady(mesh / height, float(at), move) * height)
    return np.stack(found)
